/**
 * Stores: what translated code wrote, in the order in which it ran.
 *
 * PURPOSE  The columns beside a row of flow from which address and value of each of its stores come back, and for each
 *          page which rows of flow store to it.
 * NOT      Writes of the kernel, of REP and of conditional stores, and those of odd sizes: writes.h has them.
 * OWNS     A urd_stores owns its columns and pages. One thread.
 * FORMAT   Flow says which blocks ran, the dictionary which stores a block has (urd_flow_trace.stores); so neither clock,
 *          size nor instruction is kept. Blocks are those of the log here, of one or more pieces. A block's *words* are, for each of its stores in order, its address, if
 *          it is not some constant away from that of an earlier store of the block, and its value, if that is not known (one word up to 8
 *          bytes, more for 16 to 64), in groups of eight as in words.h; each block remembers the words that it
 *          wrote last in the row (0 at first). Returns and indirect jumps have an address, too, the stack pointer, and write nothing. flow.stores is a blob (flow.h) of these groups, for the blocks of the row in
 *          order; of a block of which only a part ran, the words of that part.
 *          Where an address is formed from the stack pointer, the first such word of a block is taken relative to the row's last such address
 *          before (0 at first), the others relative to that first. So frames that move with the stack take no bytes at all.
 *          Example: `push %rbp; push %rbx` at 0x7ff8 and 0x7ff0 when the row's last such store was at 0x8000: the words are -8, rbp, rbx, as the
 *          second address is the first one - 8. The second time, from another frame with the same registers, the group is one byte: 0.
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
    uint8_t code; /* enum urd_store_code */
    uint8_t
        root; /* with URD_STORE_DERIVED: the shape, an earlier one, from whose address its own is `delta` away */
    int32_t delta;  /* else 0 */
    uint64_t value; /* with URD_STORE_KNOWN */
};

enum urd_store_code {
    URD_STORE_SIZE = 7, /* these bits: log2 of its bytes, at most 64; or */
    URD_STORE_NONE = 7, /* it is none, but an address: the stack pointer */
    URD_STORE_BY_SP =
        8, /* its address is formed from the stack pointer; if it is derived: that of its root is */
    URD_STORE_DERIVED = 16,
    URD_STORE_KNOWN = 32,
    URD_STORE_CODES = 64
};

/** 0: it writes nothing. */
static inline unsigned urd_store_bytes(uint8_t code)
{
    return (code & URD_STORE_SIZE) == URD_STORE_NONE ? 0 : 1u << (code & URD_STORE_SIZE);
}

/** Of its value, in the row. */
static inline unsigned urd_store_value_words(uint8_t code)
{
    unsigned bytes = code & URD_STORE_KNOWN ? 0 : urd_store_bytes(code);
    return (bytes + 7) / 8;
}

/** Words of a store: its address, its value. */
static inline unsigned urd_store_words(uint8_t code)
{
    return !(code & URD_STORE_DERIVED) + urd_store_value_words(code);
}

#define URD_STORES_MAX        128 /* of a block */
#define URD_STORES_MAX_GROUPS (URD_STORES_MAX * 9 / 8)
#define URD_STORES_MAX_MARKS  (URD_STORES_MAX_GROUPS + URD_STORES_MAX / 8)

/** Up to eight stores whose addresses are words of one group, and constants. */
struct urd_stores_marks {
    int32_t delta[8];
    uint8_t word[8]; /* of the group */
    uint32_t sizes;  /* log2 of the bytes, four bits for each */
    uint8_t which;   /* a bit for each that there is */
};

/** How a block's words lie in groups. */
struct urd_stores_layout {
    unsigned n_groups, n_words, n_marks;
    int first_sp,
        last_sp; /* words before the first and last address formed from the stack pointer; -1: there is none */
    int32_t last_delta; /* to be added to the latter */
    uint16_t
        root_word[URD_STORES_MAX]; /* of each shape: the word to which its delta is to be added */
    struct urd_words_group groups[URD_STORES_MAX_GROUPS]; /* their marks: indexes of */
    struct urd_stores_marks marks[URD_STORES_MAX_MARKS];
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

/** The stores of a group whose addresses are these words of eight are to be marked. */
__attribute__((always_inline)) static inline void
urd_stores_mark_later(struct urd_stores *s, const uint8_t *words, unsigned which,
                      const struct urd_words_group *g, const struct urd_stores_marks *marks)
{
    const struct urd_stores_marks *m = marks + g->marks;
    for (unsigned n = g->n_marks; n; n--, m++) {
        uint64_t *to = s->marks + s->n_marks;
#ifdef URD_WORDS_WIDE
        const __m512i shifts = _mm512_set_epi64(32, 36, 40, 44, 48, 52, 56, 60);
        __m512i x = _mm512_maskz_loadu_epi64(g->addresses, words); /* behind the log is nothing */
        __m512i word = _mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)m->word));
        __m512i bit = _mm512_sllv_epi64(_mm512_set1_epi64(1), word);
        __mmask8 those =
            _mm512_mask_test_epi64_mask(m->which, bit, _mm512_set1_epi64((long long)which));
        __m512i delta = _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)m->delta));
        x = _mm512_add_epi64(_mm512_permutexvar_epi64(word, x), delta);
        __m512i tags = _mm512_sllv_epi64(_mm512_set1_epi64(m->sizes), shifts);
        tags = _mm512_and_si512(tags, _mm512_set1_epi64((long long)(15ull << 60)));
        x = _mm512_ternarylogic_epi64(tags, x, _mm512_set1_epi64((1ll << 60) - 1), 0xf8);
        _mm512_storeu_si512(to, _mm512_maskz_compress_epi64(those, x));
        s->n_marks += (unsigned)__builtin_popcount(those);
#else
        for (unsigned left = m->which; left; left &= left - 1) {
            unsigned i = (unsigned)__builtin_ctz(left);
            uint64_t address;
            if (!(which >> m->word[i] & 1))
                continue;
            memcpy(&address, words + 8 * m->word[i], 8);
            address += (uint64_t)(int64_t)m->delta[i];
            *to++ = (address & ((1ull << 60) - 1)) | (uint64_t)(m->sizes >> 4 * i & 15) << 60;
            s->n_marks++;
        }
#endif
    }
}

/** As in urd_stores_layout. */
struct urd_stores_groups {
    const struct urd_words_group *groups;
    const struct urd_stores_marks *marks;
    unsigned n;
    int first_sp, last_sp;
    int32_t last_delta;
};

static inline struct urd_stores_groups urd_stores_groups_of(const struct urd_stores_layout *l)
{
    return (struct urd_stores_groups){l->groups,   l->marks,   l->n_groups,
                                      l->first_sp, l->last_sp, l->last_delta};
}

/** The words of a block's stores, or of the first of them. memory: what the block wrote last, 8 words for each group. There is room. */
void urd_stores_put(struct urd_stores *s, const struct urd_stores_groups *of, uint64_t *memory,
                    const uint8_t *words);

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
    uint16_t
        first_sp; /* the word of its first address by the stack pointer; no_sp: there is none */
    uint64_t low, high; /* the bytes of such stores, relative to the first of them */
    uint64_t last;      /* the last of them, likewise */
};

/** Reading a row back: give it the row's blocks one by one. */
struct urd_stores_decoder {
    struct urd_stores_decoded out;
    uint8_t *blob;
    struct urd_words_reader in;
    uint64_t sp;
    uint64_t *remembered;           /* of all stores of all blocks */
    const uint32_t *starts;         /* of each block in it; borrowed */
    uint64_t low, high;             /* only stores to bytes of [low, high) are kept */
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
