#include "indexer/writes.h"
#include <zstd.h>

struct page {
    uint64_t key; /* space << 36 | page number, + 1; 0: free */
    uint64_t first, last;
    uint32_t n, capacity;
    uint32_t *clocks; /* differences; longer ones begin a new row */
    uint16_t *places;
    struct urd_buf values, extras;
};

#define CACHE 1024

struct urd_writes {
    urd_page_row_fn row;
    void *data;
    urd_err *err;
    struct urd_map index; /* key -> index into pages */
    struct page **pages;
    size_t n_pages, cap_pages;
    struct page *cache[CACHE];
    uint64_t count, memory;
    ZSTD_CCtx *zstd;
    struct urd_buf raw, packed;
};

struct urd_writes *urd_writes_create(urd_page_row_fn row, void *data)
{
    struct urd_writes *w = urd_xcalloc(1, sizeof *w);
    static struct page none;
    for (unsigned i = 0; i < CACHE; i++)
        w->cache[i] = &none;
    w->row = row;
    w->data = data;
    w->zstd = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, 1);
    return w;
}

void urd_writes_destroy(struct urd_writes *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n_pages; i++) {
        free(w->pages[i]->clocks);
        free(w->pages[i]->places);
        urd_buf_deinit(&w->pages[i]->values);
        urd_buf_deinit(&w->pages[i]->extras);
        free(w->pages[i]);
    }
    free(w->pages);
    urd_map_deinit(&w->index);
    urd_buf_deinit(&w->raw);
    urd_buf_deinit(&w->packed);
    ZSTD_freeCCtx(w->zstd);
    urd_err_free(w->err);
    free(w);
}

static const uint8_t code_sizes[7] = {1, 2, 4, 8, 16, 32, 64};

static unsigned size_code(uint64_t size, uint64_t event)
{
    if (event)
        return 8;
    switch (size) {
    case 1: return 0;
    case 2: return 1;
    case 4: return 2;
    case 8: return 3;
    case 16: return 4;
    case 32: return 5;
    case 64: return 6;
    }
    return 7;
}

static void put_column(struct urd_buf *out, const struct urd_buf *column)
{
    urd_buf_u32(out, (uint32_t)column->size);
    urd_buf_put(out, column->data, column->size);
}

/** XOR with what is there, and leave the new value there. */
static void exchange(uint8_t *was, const uint8_t *value, uint32_t size, uint8_t *ret)
{
    for (uint32_t i = 0; i < size; i++) {
        ret[i] = value[i] ^ was[i];
        was[i] = value[i];
    }
}

static void encode_page(struct urd_writes *w, struct page *p, uint8_t words[64])
{
    static __thread uint8_t shadow[4096 + 64];
    static __thread struct urd_buf clocks, lengths, values;
    clocks.size = lengths.size = values.size = 0;
    memset(shadow, 0, sizeof shadow);
    memset(words, 0, 64);
    const uint8_t *v = p->values.data;
    struct urd_cursor extras = urd_cursor(p->extras.data, p->extras.size);
    urd_buf_reserve(&clocks, p->n * 5 + 16);
    urd_buf_reserve(&lengths, p->n + 16);
    urd_buf_reserve(&values, p->values.size + 16);
    for (uint32_t i = 0; i < p->n; i++) {
        unsigned offset = p->places[i] & 0xfff, code = p->places[i] >> 12;
        uint32_t size;
        urd_buf_varint(&clocks, p->clocks[i]);
        if (code < 4) {
            size = code_sizes[code];
            uint64_t now = 0, was;
            memcpy(&now, v, 8);
            memcpy(&was, shadow + offset, 8);
            uint64_t mask = size == 8 ? ~0ull : (1ull << size * 8) - 1;
            uint64_t x = (now ^ was) & mask;
            was ^= x;
            memcpy(shadow + offset, &was, 8);
            unsigned length = x ? (unsigned)(71 - __builtin_clzll(x)) / 8 : 0;
            lengths.data[lengths.size++] = (uint8_t)length;
            memcpy(values.data + values.size, &x, 8);
            values.size += length;
        } else {
            if (code < 7) {
                size = code_sizes[code];
            } else {
                size = (uint32_t)urd_cursor_varint(&extras);
                if (code == 8)
                    urd_cursor_varint(&extras);
            }
            exchange(shadow + offset, v, size, values.data + values.size);
            values.size += size;
        }
        v += size;
        for (unsigned word = offset / 8; word <= (offset + size - 1) / 8; word++)
            words[word / 8] |= (uint8_t)(1 << word % 8);
    }
    struct urd_buf places = {(uint8_t *)p->places, p->n * 2, 0};
    w->raw.size = 0;
    put_column(&w->raw, &clocks);
    put_column(&w->raw, &places);
    put_column(&w->raw, &lengths);
    put_column(&w->raw, &p->extras);
    put_column(&w->raw, &values);
}

static void flush_page(struct urd_writes *w, struct page *p)
{
    if (!p->n)
        return;
    struct urd_page_row row = {.space = (uint32_t)((p->key - 1) >> 36),
                               .page = (p->key - 1) & ((1ull << 36) - 1),
                               .first = p->first, .n = p->n};
    encode_page(w, p, row.words);
    size_t bound = ZSTD_compressBound(w->raw.size);
    w->packed.size = 0;
    urd_buf_reserve(&w->packed, bound + 4);
    uint32_t raw_size = (uint32_t)w->raw.size;
    memcpy(w->packed.data, &raw_size, 4);
    size_t n = ZSTD_compress2(w->zstd, w->packed.data + 4, bound, w->raw.data, w->raw.size);
    if (ZSTD_isError(n)) {
        if (!w->err)
            w->err = URD_ERROR(URD_ERR_FAILED, "zstd: %s", ZSTD_getErrorName(n));
        return;
    }
    row.data = w->packed.data;
    row.size = n + 4;
    if (!w->err)
        w->err = w->row(w->data, &row);
    p->n = 0;
    p->values.size = p->extras.size = 0;
}

static struct page *find_page(struct urd_writes *w, uint64_t key)
{
    struct page **slot = &w->cache[key & (CACHE - 1)];
    if (__builtin_expect((*slot)->key == key, 1))
        return *slot;
    uint64_t *known = urd_map_put(&w->index, key);
    if (!*known) {
        struct page *p = urd_xcalloc(1, sizeof *p);
        p->key = key;
        URD_PUSH(w->pages, w->n_pages, w->cap_pages) = p;
        *known = w->n_pages;
        w->memory += sizeof *p;
    }
    return *slot = w->pages[*known - 1];
}

static void grow_page(struct urd_writes *w, struct page *p)
{
    uint32_t capacity = p->capacity ? p->capacity * 2 : 8;
    w->memory += (capacity - p->capacity) * 14ull;
    p->capacity = capacity;
    p->clocks = urd_xrealloc(p->clocks, capacity * sizeof *p->clocks);
    p->places = urd_xrealloc(p->places, capacity * sizeof *p->places);
    urd_buf_reserve(&p->values, capacity * 8 + 16);
}

void urd_writes_add(struct urd_writes *w, uint32_t space, uint64_t clock, uint64_t address,
                    uint64_t size, const void *value, uint64_t event)
{
    while (__builtin_expect((address & 4095) + size > 4096, 0)) {
        uint64_t part = 4096 - (address & 4095);
        urd_writes_add(w, space, clock, address, part, value, event);
        address += part;
        value = (const uint8_t *)value + part;
        size -= part;
    }
    if (!size)
        return;
    struct page *p = find_page(w, ((uint64_t)space << 36 | (address >> 12 & ((1ull << 36) - 1))) + 1);
    if (__builtin_expect(p->n == URD_WRITES_CHUNK || (p->n && clock - p->last > UINT32_MAX), 0))
        flush_page(w, p);
    if (!p->n)
        p->first = p->last = clock;
    if (__builtin_expect(p->n == p->capacity, 0))
        grow_page(w, p);
    unsigned code = size_code(size, event);
    p->clocks[p->n] = (uint32_t)(clock - p->last);
    p->places[p->n++] = (uint16_t)((address & 4095) | code << 12);
    p->last = clock;
    w->count++;
    urd_buf_reserve(&p->values, size + 16);
    if (__builtin_expect(code < 4, 1)) {
        memcpy(p->values.data + p->values.size, value, 8); /* a copy of known size; the rest is overwritten */
    } else {
        memcpy(p->values.data + p->values.size, value, size);
        if (code >= 7)
            urd_buf_varint(&p->extras, size);
        if (code == 8)
            urd_buf_varint(&p->extras, event);
    }
    p->values.size += size;
}

urd_err *urd_writes_flush(struct urd_writes *w)
{
    for (size_t i = 0; i < w->n_pages; i++)
        flush_page(w, w->pages[i]);
    urd_err *err = w->err;
    w->err = NULL;
    URD_TRY(err);
    return NULL;
}

uint64_t urd_writes_count(const struct urd_writes *w)
{
    return w->count;
}

uint64_t urd_writes_memory(const struct urd_writes *w)
{
    return w->memory;
}

static struct urd_cursor get_column(struct urd_cursor *in)
{
    uint32_t size = urd_cursor_u32(in);
    const uint8_t *p = urd_cursor_bytes(in, size);
    return urd_cursor(p ? p : (const uint8_t *)"", p ? size : 0);
}

static uint32_t decode_size(unsigned code, struct urd_cursor *extras, uint64_t *ret_event)
{
    *ret_event = 0;
    if (code < 7)
        return code_sizes[code];
    uint32_t size = (uint32_t)urd_cursor_varint(extras);
    if (code == 8)
        *ret_event = urd_cursor_varint(extras);
    return size;
}

static urd_err *decode_columns(const uint8_t *raw, size_t raw_size, uint64_t first, uint32_t n,
                               struct urd_writes_decoded *d)
{
    struct urd_cursor in = urd_cursor(raw, raw_size);
    struct urd_cursor clocks = get_column(&in), places = get_column(&in), lengths = get_column(&in);
    struct urd_cursor extras = get_column(&in), values = get_column(&in);
    uint8_t shadow[4096 + 64] = {0};
    size_t room = (size_t)n * 8 + raw_size + 64, used = 0;
    d->memory = urd_xrealloc(NULL, room);
    d->writes = urd_xrealloc(NULL, n * sizeof *d->writes);
    uint64_t clock = first;
    for (uint32_t i = 0; i < n; i++) {
        clock += urd_cursor_varint(&clocks);
        const uint8_t *place_bytes = urd_cursor_bytes(&places, 2);
        uint16_t place = 0;
        if (place_bytes)
            memcpy(&place, place_bytes, 2);
        struct urd_write *x = &d->writes[i];
        x->clock = clock;
        x->offset = place & 0xfff;
        x->size = decode_size(place >> 12, &extras, &x->event);
        if (x->offset + x->size > 4096 || used + x->size > room || !in.ok || !clocks.ok || !places.ok)
            URD_FAIL("a row of writes in the index is damaged");
        unsigned length = place >> 12 < 4 ? urd_cursor_u8(&lengths) : x->size;
        const uint8_t *bytes = urd_cursor_bytes(&values, length);
        if ((!bytes && length) || length > x->size)
            URD_FAIL("a row of writes in the index is damaged");
        for (unsigned b = 0; b < length; b++)
            shadow[x->offset + b] ^= bytes[b];
        memcpy(d->memory + used, shadow + x->offset, x->size);
        x->value = d->memory + used;
        used += x->size;
    }
    d->n = n;
    return NULL;
}

urd_err *urd_writes_decode(const void *data, size_t size, uint64_t first, uint32_t n,
                           struct urd_writes_decoded *ret)
{
    uint32_t raw_size = 0;
    if (size >= 4)
        memcpy(&raw_size, data, 4);
    if (size < 4 || raw_size > 1u << 28 || n > URD_WRITES_CHUNK)
        URD_FAIL("a row of writes in the index is damaged");
    URD_AUTO_FREE uint8_t *raw = urd_xrealloc(NULL, raw_size);
    size_t got = ZSTD_decompress(raw, raw_size, (const uint8_t *)data + 4, size - 4);
    if (ZSTD_isError(got) || got != raw_size)
        URD_FAIL("a row of writes in the index is damaged");
    struct urd_writes_decoded d = {0};
    urd_err *err = decode_columns(raw, raw_size, first, n, &d);
    if (err) {
        urd_writes_decoded_deinit(&d);
        return err;
    }
    *ret = d;
    return NULL;
}

void urd_writes_decoded_deinit(struct urd_writes_decoded *d)
{
    free(d->writes);
    free(d->memory);
    *d = (struct urd_writes_decoded){0};
}
