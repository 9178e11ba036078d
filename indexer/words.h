/**
 * Words that mostly repeat, or change by little, without what repeats.
 *
 * PURPOSE  The columns of stores (stores.h) and of calls (calls.h): up to eight u64 at a time, a *group*, each as the
 *          difference to what was written in its place the last time, without the bytes that are 0.
 * NOT      What a word means, and where its last value is remembered: that is the caller's.
 * FORMAT   u32 number of groups, u32 bytes of the second column, then
 *            groups  for each group u8: bit i says that word i is another than the last time
 *            bytes   for each such word u8: bit k says that byte k of zigzag(word - last) is there; the others are 0
 *            data    those bytes, low first
 *          Example: a counter that goes from 7 to 8 beside a pointer that stays: group 0x01, byte 0x01, data 02.
 *
 * With AVX-512 a group is two dozen instructions and no branch. Code compiled without goes word by word, and leaves out only what
 * is 0 above the highest other byte.
 */
#ifndef URD_INDEXER_WORDS_H
#define URD_INDEXER_WORDS_H
#include "base/buf.h"
#if defined __AVX512VBMI2__ && defined __AVX512BW__ && defined __AVX512DQ__ && defined __BMI2__
#include <immintrin.h>
#define URD_WORDS_WIDE 1
#endif

/** Where the next group goes. Kept in registers by hot loops, which make room first (urd_words_reserve). */
struct urd_words {
    uint8_t *group, *byte, *data;
};

struct urd_words_columns {
    struct urd_words at;
    struct urd_buf groups, bytes, data;
};

/** What a group's words are. */
struct urd_words_group {
    uint64_t bytes; /* bit 8 i + k: byte k of word i counts; words that there are not have none */
    uint8_t first, rest; /* words to be taken relative to one number, and to another */
    uint8_t addresses;   /* stores.h: which words are addresses, */
    uint8_t n_marks;     /* and where the stores are that these tell of: so many urd_stores_marks from this one on */
    uint32_t marks;
};

void urd_words_deinit(struct urd_words_columns *c);
void urd_words_clear(struct urd_words_columns *c);
/** Room for n more groups. */
void urd_words_reserve(struct urd_words_columns *c, size_t n);
/** Append the columns to out, as in FORMAT. */
void urd_words_finish(const struct urd_words_columns *c, struct urd_buf *out);

/**
 * Write one group. memory: eight words that its place wrote last, replaced. Words of `first` are taken relative to `to_first`,
 * those of `rest` to `to_rest`. Gives a bit for each word that changed.
 */
__attribute__((always_inline)) static inline uint8_t
urd_words_put(struct urd_words *w, uint64_t *memory, const void *words,
              const struct urd_words_group *g, uint64_t to_first, uint64_t to_rest)
{
#ifdef URD_WORDS_WIDE
    __m512i x = _mm512_maskz_loadu_epi8(g->bytes, words);
    __m512i base = _mm512_maskz_set1_epi64(g->rest, (long long)to_rest);
    base = _mm512_mask_set1_epi64(base, g->first, (long long)to_first);
    x = _mm512_sub_epi64(x, base);
    __m512i d = _mm512_sub_epi64(x, _mm512_loadu_si512(memory));
    _mm512_storeu_si512(memory, x);
    d = _mm512_xor_si512(_mm512_slli_epi64(d, 1), _mm512_srai_epi64(d, 63));
    __mmask8 changed = _mm512_test_epi64_mask(d, d);
    __mmask64 bytes = _mm512_test_epi8_mask(d, d);
    *w->group++ = changed;
    uint64_t of_changed = _pext_u64(bytes, _pdep_u64(changed, 0x0101010101010101ull) * 0xff);
    memcpy(w->byte, &of_changed, 8);
    w->byte += __builtin_popcount(changed);
    _mm512_storeu_si512(w->data, _mm512_maskz_compress_epi8(bytes, d));
    w->data += __builtin_popcountll(bytes);
    return changed;
#else
    uint8_t changed = 0;
    for (unsigned i = 0; i < 8 && g->bytes >> 8 * i; i++) {
        uint64_t x;
        if (!(g->bytes >> 8 * i & 0xff))
            continue;
        memcpy(&x, (const uint8_t *)words + 8 * i, 8);
        unsigned unused = (unsigned)__builtin_clz((uint32_t)(g->bytes >> 8 * i & 0xff)) - 24;
        x &= ~0ull >> 8 * unused;
        x -= to_first & -(uint64_t)(g->first >> i & 1);
        x -= to_rest & -(uint64_t)(g->rest >> i & 1);
        uint64_t d = urd_zigzag((int64_t)(x - memory[i]));
        memory[i] = x;
        if (!d)
            continue;
        changed |= (uint8_t)(1 << i);
        unsigned n = (71u - (unsigned)__builtin_clzll(d)) / 8; /* up to the highest that is not 0 */
        memcpy(w->data, &d, 8);
        w->data += n;
        *w->byte++ = (uint8_t)((1u << n) - 1);
    }
    *w->group++ = changed;
    return changed;
#endif
}

struct urd_words_reader {
    struct urd_cursor groups, bytes, data;
    uint8_t group;
};

/** False: that is no such thing. */
bool urd_words_open(struct urd_words_reader *r, struct urd_cursor *in);
/** The i-th word of a group, in order, 0 first: its last value becomes it. */
static inline uint64_t urd_words_get(struct urd_words_reader *r, unsigned i, uint64_t *memory)
{
    if (i == 0)
        r->group = urd_cursor_u8(&r->groups);
    if (!(r->group >> i & 1))
        return *memory;
    uint64_t d = 0;
    unsigned bytes = urd_cursor_u8(&r->bytes);
    if (bytes && !(bytes & (bytes + 1)) && urd_cursor_left(&r->data) >= 8) { /* mostly: the low ones */
        unsigned unused = (unsigned)__builtin_clz(bytes) - 24;
        memcpy(&d, r->data.at, 8);
        d &= ~0ull >> 8 * unused;
        r->data.at += 8 - unused;
        bytes = 0;
    }
    for (; bytes; bytes &= bytes - 1)
        d |= (uint64_t)urd_cursor_u8(&r->data) << 8 * __builtin_ctz(bytes);
    return *memory += (uint64_t)urd_unzigzag(d);
}
/** Was all of it read, and not more? */
bool urd_words_done(const struct urd_words_reader *r);
#endif
