/**
 * Stores: what translated code wrote, in the order in which it ran.
 *
 * PURPOSE  The columns beside a row of flow from which address and value of each of its stores come back, and for each
 *          page which rows of flow store to it.
 * NOT      Writes of the kernel, of REP and of conditional stores, and those of odd sizes: writes.h has them.
 * OWNS     A urd_stores owns its columns and pages. One thread.
 * FORMAT   Flow says which blocks ran, the dictionary which stores a block has (urd_flow_block.stores); so neither clock,
 *          size nor instruction is kept. Each store of a block remembers, within the row, the place and the value it
 *          wrote last (0 at first). flow.stores is a blob (flow.h) of: u32 bytes of tags, u32 bytes of places, then
 *            tags    for each store u8: bytes of its place (low 4 bits), bytes of its value (high 4 bits); and one
 *                    more for each further 8 bytes of a value, with the low 4 bits 0
 *            places  zigzag of (place - place this store wrote last), its low bytes
 *            values  value XOR the value this store wrote last, its low bytes
 *          A place is an address; of a store whose address is formed from the stack pointer it is the difference to
 *          the row's last such store before (0 at first). Addresses beside one another, and frames that move with the stack,
 *          so take no bytes at all.
 *          Example: `push %rbx` behind `push %rbp` lies 8 below it, in whatever frame: from the second time on its tag is
 *          0x?0. A loop that stores 4-byte elements in a row: each tag 0x?1, each place byte 08 (zigzag of 4).
 *
 *          touched.data is a blob of, for each row of flow of the segment that stores to the page, in order: varint
 *          difference of chunk to the one before (the first: chunk), u8 which of 8 groups of 64 words follow, those groups as u64:
 *          bit i of group g says that the 8 bytes at offset (64 g + i) * 8 of the page were touched.
 */
#ifndef URD_INDEXER_STORES_H
#define URD_INDEXER_STORES_H
#include "base/buf.h"
#include "base/map.h"

/* Inlined into each clone of the hot loop, so that all of it is compiled for the clone's processor. */
#define URD_STORES_HOT __attribute__((always_inline)) static inline

/** One store of a block, as the dictionary has it. */
struct urd_store_shape {
    uint8_t insn; /* index within the block */
    uint8_t code; /* bits 0-2: log2 of its bytes, at most 64; bit 3: by the stack pointer */
};

static inline unsigned urd_store_bytes(uint8_t code)
{
    return 1u << (code & 7);
}

/** u64s that a store remembers: its place, its value. */
static inline unsigned urd_store_memory(uint8_t code)
{
    return (code & 7) <= 3 ? 2 : 1 + (1u << ((code & 7) - 3));
}

struct urd_stores_page {
    uint64_t key; /* space << 36 | page number */
    uint64_t groups[8];
    uint32_t row, last; /* row + 1 that is being touched; row that was put into out last */
    bool any;
    struct urd_buf out;
};

#define URD_STORES_NEAR  2048
#define URD_STORES_LEVEL 1 /* zstd */

/** Columns being written: kept in registers by the hot loop, which makes room first (urd_stores_reserve). */
struct urd_stores_columns {
    uint8_t *tag, *place, *value;
    uint64_t sp; /* address of the last store by the stack pointer */
};

struct urd_stores {
    struct urd_stores_near {
        uint64_t page;
        uint64_t *groups;
    } near[URD_STORES_NEAR]; /* by low bits of the page: the pages of this row */
    struct urd_stores_columns at;
    struct urd_buf tags, places, values;
    uint64_t count;
    uint64_t space;       /* << 36 */
    struct urd_map index; /* key -> index into pages + 1 */
    struct urd_stores_page **pages;
    uint32_t n_pages, cap_pages;
    uint32_t *touched; /* indexes of pages in this row */
    uint32_t n_touched, cap_touched;
    uint32_t row; /* + 1 */
};

void urd_stores_init(struct urd_stores *s);
void urd_stores_deinit(struct urd_stores *s);
/** A row of flow begins: its number in the segment. */
void urd_stores_begin(struct urd_stores *s, uint32_t space, uint32_t row);
/** Room for the stores of that many bytes of log. */
void urd_stores_reserve(struct urd_stores *s, size_t log_bytes);
/** The row ends: its blob. */
void urd_stores_finish(struct urd_stores *s, struct urd_buf *ret);
/** A page's blob for the table `touched`. */
void urd_stores_pack_page(struct urd_stores_page *p, struct urd_buf *ret);
/** What urd_stores_mark does not do at once: the first store to a page in a row, words beside one another. */
void urd_stores_mark_slowly(struct urd_stores *s, uint64_t address, unsigned bytes);

URD_STORES_HOT void urd_stores_mark(struct urd_stores *s, uint64_t address, unsigned bytes)
{
    uint64_t page = address >> 12;
    const struct urd_stores_near *n = &s->near[page & (URD_STORES_NEAR - 1)];
    /* what is aligned lies within one word; for the rest it is not worth the time to look */
    if (__builtin_expect(n->page != page || (address & (bytes - 1)), 0)) {
        urd_stores_mark_slowly(s, address, bytes);
        return;
    }
    n->groups[address >> 9 & 7] |= 1ull << (address >> 3 & 63);
}

/** Bytes up to the highest that is not 0. */
URD_STORES_HOT unsigned urd_stores_length(uint64_t x)
{
    return (71u - (x ? (unsigned)__builtin_clzll(x) : 64)) / 8; /* one lzcnt, where there is one */
}

URD_STORES_HOT unsigned urd_stores_put_place(struct urd_stores_columns *c, int64_t by_stack,
                                             uint64_t *memory, uint64_t address)
{
    uint64_t stack = (uint64_t)by_stack; /* all ones or 0 */
    uint64_t place = address - (c->sp & stack);
    c->sp ^= (c->sp ^ address) & stack;
    uint64_t x = urd_zigzag((int64_t)(place - *memory));
    *memory = place;
    unsigned n = urd_stores_length(x);
    memcpy(c->place, &x, 8);
    c->place += n;
    return n;
}

URD_STORES_HOT unsigned urd_stores_put_value(struct urd_stores_columns *c, uint64_t *memory,
                                             uint64_t value)
{
    uint64_t x = value ^ *memory;
    *memory = value;
    unsigned n = urd_stores_length(x);
    memcpy(c->value, &x, 8);
    c->value += n;
    return n;
}

/** One store of at most 8 bytes. stack: -1 when it is by the stack pointer, else 0; mask: of the value's bytes. */
URD_STORES_HOT void urd_stores_put(struct urd_stores *s, struct urd_stores_columns *c,
                                   int64_t stack, unsigned bytes, uint64_t mask, uint64_t *memory,
                                   uint64_t address, uint64_t value)
{
    unsigned n = urd_stores_put_place(c, stack, memory, address);
    n |= urd_stores_put_value(c, memory + 1, value & mask) << 4;
    *c->tag++ = (uint8_t)n;
    urd_stores_mark(s, address, bytes);
}

/** One of 16 to 64 bytes. */
void urd_stores_put_large(struct urd_stores *s, struct urd_stores_columns *c, unsigned code,
                          uint64_t *memory, uint64_t address, const uint8_t *value);

/** A decoded store; its value lies in the decoder's memory. */
struct urd_store {
    int64_t clock; /* relative like the row's first */
    uint64_t address;
    uint32_t value; /* offset in urd_stores_decoded.values */
    uint32_t size;
};

struct urd_stores_decoded {
    struct urd_store *stores; /* in order */
    uint32_t n;
    uint8_t *values;
};

/** Reading a row back: give it the row's blocks one by one. */
struct urd_stores_decoder {
    struct urd_stores_decoded out;
    uint8_t *memory;
    struct urd_cursor tags, places, values;
    uint64_t sp;
    uint64_t *remembered;   /* of all stores of all blocks */
    const uint32_t *starts; /* of each block in it; borrowed */
    uint32_t capacity;
    size_t n_values, cap_values;
    bool ok;
};

/** starts: for each block of the dictionary where its stores' memory begins, and at the end the sum. */
urd_err *urd_stores_decoder_init(struct urd_stores_decoder *d, const void *data, size_t size,
                                 const uint32_t *starts, uint32_t n_dense) URD_MUST_USE;
void urd_stores_decoder_deinit(struct urd_stores_decoder *d);
/** The stores of the first n_insns of block `dense`, whose first instruction runs at clock. */
void urd_stores_next(struct urd_stores_decoder *d, uint32_t dense,
                     const struct urd_store_shape *shapes, unsigned n_shapes, unsigned n_insns,
                     int64_t clock);
/** Takes what was decoded out of d; an error when the row was not what its blocks say. */
urd_err *urd_stores_take(struct urd_stores_decoder *d, struct urd_stores_decoded *ret) URD_MUST_USE;
void urd_stores_decoded_deinit(struct urd_stores_decoded *d);

/** Rows that touch words [low, high] (8 bytes each) of the page, in order. False: the blob is damaged. */
typedef void (*urd_touched_fn)(void *data, uint32_t row);
urd_err *urd_stores_touched(const void *data, size_t size, unsigned low, unsigned high,
                            urd_touched_fn fn, void *fn_data) URD_MUST_USE;
#endif
