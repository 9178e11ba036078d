#include "indexer/writes.h"
#include "indexer/flow.h"
#include <zstd.h>

struct urd_writes_rest {
    urd_page_row_fn row;
    void *data;
    urd_err *err;
    struct urd_map index; /* key -> index into pages + 1 */
    struct urd_writes_page **pages;
    size_t n_pages, cap_pages;
    ZSTD_CCtx *zstd;
    struct urd_buf raw, packed, clocks, places, lengths, values;
};

static struct urd_writes_page no_page;

struct urd_writes *urd_writes_create(urd_page_row_fn row, void *data)
{
    struct urd_writes *w = urd_xcalloc(1, sizeof *w);
    for (unsigned i = 0; i < URD_WRITES_CACHE_PAGES; i++)
        w->cache[i] = &no_page;
    w->rest = urd_xcalloc(1, sizeof *w->rest);
    w->rest->row = row;
    w->rest->data = data;
    w->rest->zstd = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(w->rest->zstd, ZSTD_c_compressionLevel, -1);
    return w;
}

void urd_writes_destroy(struct urd_writes *w)
{
    if (!w)
        return;
    struct urd_writes_rest *r = w->rest;
    for (size_t i = 0; i < r->n_pages; i++) {
        free(r->pages[i]->entries);
        urd_buf_deinit(&r->pages[i]->large);
        urd_buf_deinit(&r->pages[i]->extras);
        free(r->pages[i]);
    }
    free(r->pages);
    urd_map_deinit(&r->index);
    struct urd_buf *const buffers[] = {&r->raw,    &r->packed,  &r->clocks,
                                       &r->places, &r->lengths, &r->values};
    for (unsigned i = 0; i < sizeof buffers / sizeof *buffers; i++)
        urd_buf_deinit(buffers[i]);
    ZSTD_freeCCtx(r->zstd);
    urd_err_free(r->err);
    free(r);
    free(w);
}

static const uint8_t code_sizes[7] = {1, 2, 4, 8, 16, 32, 64};

static unsigned size_code(uint64_t size, uint64_t event)
{
    if (event)
        return 8;
    switch (size) {
    case 1:
        return 0;
    case 2:
        return 1;
    case 4:
        return 2;
    case 8:
        return 3;
    case 16:
        return 4;
    case 32:
        return 5;
    case 64:
        return 6;
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

static void mark_words(uint8_t words[64], unsigned offset, uint32_t size)
{
    for (unsigned word = offset / 8; word <= (offset + size - 1) / 8; word++)
        words[word / 8] |= (uint8_t)(1 << word % 8);
}

/** A write of more than 8 bytes or by the kernel, into the columns. Gives its size. */
static uint32_t encode_large(struct urd_writes_rest *r, const struct urd_writes_page *p,
                             const struct urd_writes_entry *e, uint8_t *shadow,
                             struct urd_cursor *extras)
{
    unsigned offset = e->place & 0xfff, code = e->place >> 12;
    uint32_t size;
    if (code < 7) {
        size = code_sizes[code];
    } else {
        size = (uint32_t)urd_cursor_varint(extras);
        if (code == 8)
            urd_cursor_varint(extras);
    }
    urd_buf_reserve(&r->values, size + 16);
    exchange(shadow + offset, p->large.data + e->value, size, r->values.data + r->values.size);
    r->values.size += size;
    return size;
}

static void encode_page(struct urd_writes_rest *r, struct urd_writes_page *p, uint8_t words[64])
{
    uint8_t shadow[4096 + 64] = {0};
    memset(words, 0, 64);
    struct urd_cursor extras = urd_cursor(p->extras.data, p->extras.size);
    r->clocks.size = r->places.size = r->lengths.size = r->values.size = 0;
    urd_buf_reserve(&r->clocks, p->n * 5ull + 16);
    urd_buf_reserve(&r->places, p->n * 2ull);
    urd_buf_reserve(&r->lengths, p->n + 16ull);
    urd_buf_reserve(&r->values, p->n * 8ull + 64);
    uint8_t *clocks = r->clocks.data, *lengths = r->lengths.data;
    uint16_t *places = (uint16_t *)r->places.data;
    uint64_t seen[8] = {0}; /* words, 64 at a time */
    for (uint32_t i = 0; i < p->n; i++) {
        const struct urd_writes_entry *e = &p->entries[i];
        unsigned offset = e->place & 0xfff, code = e->place >> 12;
        places[i] = e->place;
        uint32_t clock = e->clock;
        while (clock >= 0x80) {
            *clocks++ = (uint8_t)clock | 0x80;
            clock >>= 7;
        }
        *clocks++ = (uint8_t)clock;
        if (__builtin_expect(code >= 4, 0)) {
            mark_words(words, offset, encode_large(r, p, e, shadow, &extras));
            urd_buf_reserve(&r->values, (p->n - i) * 8ull + 64);
            continue;
        }
        uint64_t was, mask = ~0ull >> (64 - (8u << code));
        memcpy(&was, shadow + offset, 8);
        uint64_t x = (e->value ^ was) & mask;
        was ^= x;
        memcpy(shadow + offset, &was, 8);
        unsigned length = (71u - (unsigned)__builtin_clzll(x | 1)) / 8 - (x == 0);
        *lengths++ = (uint8_t)length;
        memcpy(r->values.data + r->values.size, &x, 8);
        r->values.size += length;
        unsigned first = offset / 8, last = (offset + (1u << code) - 1) / 8;
        seen[first / 64] |= 1ull << first % 64;
        seen[last / 64] |= 1ull << last % 64;
    }
    for (unsigned i = 0; i < 64; i++)
        words[i] |= (uint8_t)(seen[i / 8] >> i % 8 * 8);
    r->clocks.size = (size_t)(clocks - r->clocks.data);
    r->places.size = p->n * 2ull;
    r->lengths.size = (size_t)(lengths - r->lengths.data);
    r->raw.size = 0;
    put_column(&r->raw, &r->clocks);
    put_column(&r->raw, &r->places);
    put_column(&r->raw, &r->lengths);
    put_column(&r->raw, &p->extras);
    put_column(&r->raw, &r->values);
}

static void flush_page(struct urd_writes_rest *r, struct urd_writes_page *p)
{
    if (!p->n)
        return;
    struct urd_page_row row = {.space = (uint32_t)((p->key - 1) >> 36),
                               .page = (p->key - 1) & ((1ull << 36) - 1),
                               .first = p->first,
                               .n = p->n};
    encode_page(r, p, row.words);
    size_t bound = ZSTD_compressBound(r->raw.size);
    r->packed.size = 0;
    urd_buf_reserve(&r->packed, bound + 4);
    uint32_t raw_size = (uint32_t)r->raw.size;
    memcpy(r->packed.data, &raw_size, 4);
    size_t n = ZSTD_compress2(r->zstd, r->packed.data + 4, bound, r->raw.data, r->raw.size);
    p->n = 0;
    p->large.size = p->extras.size = 0;
    if (ZSTD_isError(n)) {
        if (!r->err)
            r->err = URD_ERROR(URD_ERR_FAILED, "zstd: %s", ZSTD_getErrorName(n));
        return;
    }
    row.data = r->packed.data;
    row.size = n + 4;
    if (!r->err)
        r->err = r->row(r->data, &row);
}

static struct urd_writes_page *find_page(struct urd_writes *w, uint64_t key)
{
    struct urd_writes_page **slot = &w->cache[key & (URD_WRITES_CACHE_PAGES - 1)];
    if ((*slot)->key == key)
        return *slot;
    struct urd_writes_rest *r = w->rest;
    uint64_t *known = urd_map_put(&r->index, key);
    if (!*known) {
        struct urd_writes_page *p = urd_xcalloc(1, sizeof *p);
        p->key = key;
        URD_PUSH(r->pages, r->n_pages, r->cap_pages) = p;
        *known = r->n_pages;
    }
    return *slot = r->pages[*known - 1];
}

void urd_writes_add(struct urd_writes *w, uint32_t space, uint64_t clock, uint64_t address,
                    uint64_t size, const void *value, uint64_t event)
{
    while ((address & 4095) + size > 4096) {
        uint64_t part = 4096 - (address & 4095);
        uint8_t bytes[4096 + 8] = {0}; /* a part's value is not followed by padding */
        memcpy(bytes, value, part);
        urd_writes_add(w, space, clock, address, part, bytes, event);
        address += part;
        value = (const uint8_t *)value + part;
        size -= part;
    }
    if (!size)
        return;
    struct urd_writes_page *p = find_page(w, urd_writes_key(space, address));
    if (p->n == URD_WRITES_CHUNK || (p->n && clock - p->last > UINT32_MAX))
        flush_page(w->rest, p);
    if (!p->n)
        p->first = p->last = clock;
    if (p->n == p->capacity) {
        p->capacity = p->capacity ? p->capacity * 2 : 8;
        p->entries = urd_xrealloc(p->entries, p->capacity * sizeof *p->entries);
    }
    unsigned code = size_code(size, event);
    struct urd_writes_entry *e = &p->entries[p->n++];
    e->clock = (uint32_t)(clock - p->last);
    e->place = (uint16_t)((address & 4095) | code << 12);
    p->last = clock;
    w->count++;
    if (code < 4) {
        e->value = 0;
        memcpy(&e->value, value, size);
        return;
    }
    e->value = p->large.size;
    urd_buf_put(&p->large, value, size);
    if (code >= 7)
        urd_buf_varint(&p->extras, size);
    if (code == 8)
        urd_buf_varint(&p->extras, event);
}

urd_err *urd_writes_flush(struct urd_writes *w)
{
    for (size_t i = 0; i < w->rest->n_pages; i++)
        flush_page(w->rest, w->rest->pages[i]);
    urd_err *err = w->rest->err;
    w->rest->err = NULL;
    URD_TRY(err);
    return NULL;
}

uint64_t urd_writes_count(const struct urd_writes *w)
{
    return w->count;
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
        if (x->offset + x->size > 4096 || used + x->size > room || !in.ok || !clocks.ok ||
            !places.ok)
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
    if (!urd_blob_unpack_to(data, size, raw, raw_size))
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
