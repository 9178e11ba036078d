/**
 * Stores: what translated code wrote, in the order in which it ran.
 *
 * PURPOSE  The columns beside a row of flow from which address and value of each of its stores come back, and for each
 *          page which rows of flow store to it.
 * NOT      Writes of the kernel, of REP and of conditional stores, and those of odd sizes: writes.h has them.
 * OWNS     A urd_stores owns its columns and pages. One thread.
 * FORMAT   Flow says which blocks ran, the dictionary which stores a block has (urd_flow_trace.stores); so neither clock,
 *          size nor instruction is kept. Blocks are those of the log here, of one or more pieces. A block's *words* are, for each of its stores in order, its address and its value
 *          (one word up to 8 bytes, more for 16 to 64), in groups of eight as in words.h; each block remembers the words that it
 *          wrote last in the row (0 at first). flow.stores is a blob (flow.h) of these groups, for the blocks of the row in
 *          order; of a block of which only a part ran, the words of that part.
 *          Where an address is formed from the stack pointer, the first such one of a block is taken relative to the row's last one
 *          before (0 at first), the others relative to that first. So frames that move with the stack take no bytes at all.
 *          Example: `push %rbp; push %rbx` at 0x7ff8 and 0x7ff0 when the row's last such store was at 0x8000: the words are -8, rbp, -8,
 *          rbx. The second time, from another frame with the same registers, the group is one byte: 0.
 *
 *          touched.data is a blob of, for each row of flow of the segment that stores to the page, in order: varint
 *          difference of chunk to the one before (the first: chunk), u8 which of 8 groups of 64 words follow, those groups as u64:
 *          bit i of group g says that the 8 bytes at offset (64 g + i) * 8 of the page were touched.
 */
#ifndef URD_INDEXER_STORES_H
#define URD_INDEXER_STORES_H
#include "base/map.h"
#include "indexer/words.h"

/** One store of a block, as the dictionary has it. */
struct urd_store_shape {
    uint8_t insn; /* index within the block */
    uint8_t
        code; /* bits 0-2: log2 of its bytes, at most 64; bit 3: by the stack pointer; or URD_STORE_HOLE */
};

/** No store, but a word of the log's record that is not kept: it counts as one that never changes. */
#define URD_STORE_HOLE 7

static inline unsigned urd_store_bytes(uint8_t code)
{
    return 1u << (code & 7);
}

/** Words of a store: its address, its value. */
static inline unsigned urd_store_words(uint8_t code)
{
    return code == URD_STORE_HOLE ? 1 : (code & 7) <= 3 ? 2 : 1 + (1u << ((code & 7) - 3));
}

#define URD_STORES_MAX        128 /* of a block */
#define URD_STORES_MAX_GROUPS (URD_STORES_MAX * 9 / 8)

/** How a block's words lie in groups. Of first_sp and last_sp: words before the first and last address formed from the stack
 * pointer; -1: there is none. */
struct urd_stores_layout {
    unsigned n_groups, n_words;
    int first_sp, last_sp;
    struct urd_words_group groups[URD_STORES_MAX_GROUPS];
};

void urd_stores_lay_out(const struct urd_store_shape *shapes, unsigned n,
                        struct urd_stores_layout *ret);

struct urd_stores_page {
    uint64_t key; /* space << 36 | page number */
    uint64_t groups[8];
    uint32_t row, last; /* row + 1 that is being touched; row that was put into out last */
    bool any;
    struct urd_buf out;
};

#define URD_STORES_NEAR  512
#define URD_STORES_MARKS 2048
#define URD_STORES_LEVEL 1 /* zstd */

struct urd_stores {
    struct urd_stores_near {
        uint64_t page;
        uint64_t *groups;
    } near[URD_STORES_NEAR]; /* by low bits of the page: the pages of this row */
    /* Addresses to be marked, log2 of the bytes stored there in the upper 4 bits: marking them one after the other is much
     * faster than in between. */
    uint64_t *marks;
    uint32_t n_marks;
    struct urd_words_columns columns;
    uint64_t sp;          /* address of the row's last store by the stack pointer */
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
/** The row ends: its blob. */
void urd_stores_finish(struct urd_stores *s, struct urd_buf *ret);
/** A page's blob for the table `touched`. */
void urd_stores_pack_page(struct urd_stores_page *p, struct urd_buf *ret);
/** Mark what is in marks: at the end of a row, and when there are URD_STORES_MARKS of them. */
void urd_stores_mark_all(struct urd_stores *s);

/** The addresses among eight words are to be marked. */
__attribute__((always_inline)) static inline void
urd_stores_mark_later(struct urd_stores *s, const uint8_t *words, unsigned which, uint32_t sizes)
{
    uint64_t *to = s->marks + s->n_marks;
    s->n_marks += (unsigned)__builtin_popcount(which);
#ifdef URD_WORDS_WIDE
    const __m512i shifts = _mm512_set_epi64(32, 36, 40, 44, 48, 52, 56, 60);
    __m512i tags = _mm512_sllv_epi64(_mm512_set1_epi64(sizes), shifts);
    tags = _mm512_and_si512(tags, _mm512_set1_epi64((long long)(15ull << 60)));
    __m512i marks =
        _mm512_maskz_loadu_epi64((__mmask8)which, words); /* behind the log is nothing */
    marks = _mm512_ternarylogic_epi64(tags, marks, _mm512_set1_epi64((1ll << 60) - 1), 0xf8);
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi64((__mmask8)which, marks));
#else
    for (; which; which &= which - 1) {
        unsigned i = (unsigned)__builtin_ctz(which);
        uint64_t address;
        memcpy(&address, words + 8 * i, 8);
        *to++ = (address & ((1ull << 60) - 1)) | (uint64_t)(sizes >> 4 * i & 15) << 60;
    }
#endif
}

/** The words of a block's stores, or of the first of them; groups to last_sp: as in urd_stores_layout. memory: what the block wrote
 * last, n_groups * 8 words. There is room. */
void urd_stores_put(struct urd_stores *s, const struct urd_words_group *groups, unsigned n_groups,
                    int first_sp, int last_sp, uint64_t *memory, const uint8_t *words);

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

/** Of a trace that was walked over while only stores to some place were kept: where its stores are, as long as its words stay the same. */
struct urd_stores_quiet {
    bool known;
    uint16_t first_sp;  /* the word of its first address by the stack pointer; no_sp: there is none */
    uint64_t low, high; /* the bytes of such stores, relative to the first of them */
    uint64_t last;      /* the last of them, likewise */
};

/** Reading a row back: give it the row's blocks one by one. */
struct urd_stores_decoder {
    struct urd_stores_decoded out;
    uint8_t *blob;
    struct urd_words_reader in;
    uint64_t sp;
    uint64_t *remembered;   /* of all stores of all blocks */
    const uint32_t *starts; /* of each block in it; borrowed */
    uint64_t low, high;     /* only stores to bytes of [low, high) are kept */
    struct urd_stores_quiet *quiet; /* by trace; NULL: everything is kept */
    uint32_t capacity;
    size_t n_values, cap_values;
};

/** starts: for each trace of the dictionary where its stores' words begin, and at the end the sum. Of the row's stores those to bytes of
 * [low, high) are kept. */
urd_err *urd_stores_decoder_init(struct urd_stores_decoder *d, const void *data, size_t size,
                                 const uint32_t *starts, uint32_t n_dense, uint64_t low,
                                 uint64_t high) URD_MUST_USE;
void urd_stores_decoder_deinit(struct urd_stores_decoder *d);
/** The stores of the first n_insns of trace `dense`, whose first instruction runs at clock. */
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
