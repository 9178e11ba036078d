/**
 * Columns of writes: what was written to one page, in order, but for the stores (stores.h).
 *
 * PURPOSE  Collect writes by (address space, page) and turn them into rows; read them back.
 * NOT      Finding the page or the segment; see query/.
 * OWNS     A urd_writes owns its page buffers. One thread.
 * FORMAT   A row's data is zstd of, for n writes:
 *            clocks   varint difference to the write before (the first: to the row's `first`)
 *            places   u16: offset in the page (12 bits), size code (4 bits): 0-3: 1, 2, 4, 8 bytes, 4-6: 16,
 *                     32, 64, 7: other size, a varint in extras; 8: by the kernel, varint size and varint event
 *                     in extras
 *            lengths  for each write of code 0-3, u8: how many low bytes of value XOR old value follow in values
 *            values   those bytes; of the others the whole value XOR old value
 *          where "old value" is what earlier writes of the same row left there, 0 at first. Each column is preceded by
 *          its size as u32, in the order clocks, places, lengths, extras, values.
 *          Example: the 8-byte counter at offset 0x18 goes 5 -> 6: place 0x3018, length 1, value 03.
 */
#ifndef URD_INDEXER_WRITES_H
#define URD_INDEXER_WRITES_H
#include "base/buf.h"
#include "base/map.h"

#define URD_WRITES_CHUNK 16384
/** In place of an event: what exec put there as part of the program's image. Memory's first content, no write. */
#define URD_WRITE_INITIAL (1ull << 62)

struct urd_page_row {
    uint32_t space;
    uint64_t page;  /* number: address >> 12 */
    uint64_t first; /* relative clock of the first write */
    uint32_t n;
    uint8_t words[64];
    const void *data;
    size_t size;
};

/** Writes to one page that wait to become a row. */
struct urd_writes_page {
    uint64_t key; /* space << 36 | page number, + 1; 0: free */
    uint64_t first, last;
    uint32_t n, capacity;
    struct urd_writes_entry {
        uint64_t value; /* of more than 8 bytes, or by the kernel: where it lies in `large` */
        uint32_t clock; /* difference to the write before; longer ones begin a new row */
        uint16_t place;
        uint16_t unused;
    } * entries; /* one stream of stores a page */
    struct urd_buf large, extras;
};

#define URD_WRITES_CACHE_PAGES 1024

struct urd_writes {
    struct urd_writes_page *cache[URD_WRITES_CACHE_PAGES]; /* by low bits of key */
    uint64_t count;
    struct urd_writes_rest *rest;
};
typedef urd_err *(*urd_page_row_fn)(void *data, const struct urd_page_row *row);

struct urd_writes *urd_writes_create(urd_page_row_fn row, void *data);
void urd_writes_destroy(struct urd_writes *w);
/** clock is relative to the segment. event is 0 for the subject's own writes; then 8 bytes can be read at value. */
void urd_writes_add(struct urd_writes *w, uint32_t space, uint64_t clock, uint64_t address,
                    uint64_t size, const void *value, uint64_t event);
/** Hand out everything that is buffered. Also gives the first error that a row met before. */
urd_err *urd_writes_flush(struct urd_writes *w) URD_MUST_USE;
uint64_t urd_writes_count(const struct urd_writes *w);

static inline uint64_t urd_writes_key(uint32_t space, uint64_t address)
{
    return ((uint64_t)space << 36 | (address >> 12 & ((1ull << 36) - 1))) + 1;
}

/** The usual write: 1, 2, 4 or 8 bytes (code 0-3), 8 of which can be read at value. */
static inline void urd_writes_add_small(struct urd_writes *w, uint32_t space, uint64_t clock,
                                        uint64_t address, unsigned code, const void *value)
{
    uint64_t key = urd_writes_key(space, address);
    struct urd_writes_page *p = w->cache[key & (URD_WRITES_CACHE_PAGES - 1)];
    uint64_t offset = address & 4095, step = clock - p->last;
    if (__builtin_expect(p->key != key || p->n == p->capacity || !p->n || step > UINT32_MAX ||
                             offset + (1u << code) > 4096,
                         0)) {
        urd_writes_add(w, space, clock, address, 1ull << code, value, 0);
        return;
    }
    struct urd_writes_entry *e = &p->entries[p->n++];
    memcpy(&e->value, value, 8);
    e->clock = (uint32_t)step;
    e->place = (uint16_t)(offset | code << 12);
    p->last = clock;
    w->count++;
}

/** One decoded write; value points into the decoder's memory. */
struct urd_write {
    uint64_t
        clock; /* relative; of a kernel write: of its event (the clock it carries is one less) */
    uint32_t offset; /* in the page */
    uint32_t size;
    uint64_t event; /* 0: the subject's own */
    const uint8_t *value;
};

struct urd_writes_decoded {
    struct urd_write *writes;
    uint32_t n;
    uint8_t *memory;
};
urd_err *urd_writes_decode(const void *data, size_t size, uint64_t first, uint32_t n,
                           struct urd_writes_decoded *ret) URD_MUST_USE;
void urd_writes_decoded_deinit(struct urd_writes_decoded *d);
#endif
