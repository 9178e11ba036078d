#include "indexer/stores.h"
#include "indexer/flow.h"

void urd_stores_init(struct urd_stores *s)
{
    memset(s, 0, sizeof *s);
    urd_stores_begin(s, 0, 0);
}

void urd_stores_deinit(struct urd_stores *s)
{
    for (uint32_t i = 0; i < s->n_pages; i++) {
        urd_buf_deinit(&s->pages[i]->out);
        free(s->pages[i]);
    }
    free(s->pages);
    free(s->touched);
    urd_map_deinit(&s->index);
    urd_buf_deinit(&s->tags);
    urd_buf_deinit(&s->places);
    urd_buf_deinit(&s->values);
}

void urd_stores_begin(struct urd_stores *s, uint32_t space, uint32_t row)
{
    for (unsigned i = 0; i < URD_STORES_NEAR; i++)
        s->near[i].page = ~0ull;
    s->n_touched = 0;
    s->space = (uint64_t)space << 36;
    s->row = row + 1;
    s->at = (struct urd_stores_columns){s->tags.data, s->places.data, s->values.data, 0};
}

static void make_room(struct urd_buf *b, uint8_t **at, size_t extra)
{
    b->size = *at ? (size_t)(*at - b->data) : 0;
    urd_buf_reserve(b, extra + 64);
    *at = b->data + b->size;
}

void urd_stores_reserve(struct urd_stores *s, size_t log_bytes)
{
    make_room(&s->tags, &s->at.tag, log_bytes / 8);
    make_room(&s->places, &s->at.place, log_bytes);
    make_room(&s->values, &s->at.value, log_bytes);
}

static uint64_t *groups_of(struct urd_stores *s, uint64_t page)
{
    struct urd_stores_near *n = &s->near[page & (URD_STORES_NEAR - 1)];
    if (n->page == page)
        return n->groups;
    uint64_t key = s->space | (page & ((1ull << 36) - 1));
    uint64_t *known = urd_map_put(&s->index, key);
    if (!*known) {
        struct urd_stores_page *p = urd_xcalloc(1, sizeof *p);
        p->key = key;
        URD_PUSH(s->pages, s->n_pages, s->cap_pages) = p;
        *known = s->n_pages;
    }
    struct urd_stores_page *p = s->pages[*known - 1];
    if (p->row != s->row) {
        p->row = s->row;
        URD_PUSH(s->touched, s->n_touched, s->cap_touched) = (uint32_t)*known - 1;
    }
    *n = (struct urd_stores_near){page, p->groups};
    return p->groups;
}

void urd_stores_mark_slowly(struct urd_stores *s, uint64_t address, unsigned bytes)
{
    for (uint64_t word = address >> 3; word <= (address + bytes - 1) >> 3; word++)
        groups_of(s, word >> 9)[word >> 6 & 7] |= 1ull << (word & 63);
}

void urd_stores_put_large(struct urd_stores *s, struct urd_stores_columns *c, unsigned code,
                          uint64_t *memory, uint64_t address, const uint8_t *value)
{
    unsigned bytes = urd_store_bytes((uint8_t)code);
    unsigned low = urd_stores_put_place(c, -(int64_t)(code >> 3 & 1), memory, address);
    for (unsigned i = 0; i < bytes / 8; i++) {
        uint64_t x;
        memcpy(&x, value + i * 8, 8);
        *c->tag++ = (uint8_t)(low | urd_stores_put_value(c, memory + 1 + i, x) << 4);
        low = 0;
    }
    s->count -= bytes / 8 - 1; /* rows are counted by their tags */
    urd_stores_mark_slowly(s, address, bytes);
}

static void end_page(struct urd_stores *s, struct urd_stores_page *p)
{
    uint8_t which = 0;
    for (unsigned g = 0; g < 8; g++)
        which |= (uint8_t)((p->groups[g] != 0) << g);
    urd_buf_varint(&p->out, s->row - 1 - (p->any ? p->last : 0));
    urd_buf_u8(&p->out, which);
    urd_buf_reserve(&p->out, 64);
    for (unsigned g = 0; g < 8; g++)
        if (p->groups[g]) {
            memcpy(p->out.data + p->out.size, &p->groups[g], 8);
            p->out.size += 8;
            p->groups[g] = 0;
        }
    p->any = true;
    p->last = s->row - 1;
}

void urd_stores_finish(struct urd_stores *s, struct urd_buf *ret)
{
    size_t tags = (size_t)(s->at.tag - s->tags.data),
           places = (size_t)(s->at.place - s->places.data);
    size_t values = (size_t)(s->at.value - s->values.data);
    ret->size = 0;
    if (!tags)
        return;
    s->count += tags;
    for (uint32_t i = 0; i < s->n_touched; i++)
        end_page(s, s->pages[s->touched[i]]);
    s->n_touched = 0;
    struct urd_buf raw = {0};
    urd_buf_reserve(&raw, tags + places + values + 16);
    urd_buf_u32(&raw, (uint32_t)tags);
    urd_buf_u32(&raw, (uint32_t)places);
    urd_buf_put(&raw, s->tags.data, tags);
    urd_buf_put(&raw, s->places.data, places);
    urd_buf_put(&raw, s->values.data, values);
    urd_blob_pack_level(raw.data, raw.size, URD_STORES_LEVEL, ret);
    urd_buf_deinit(&raw);
}

void urd_stores_pack_page(struct urd_stores_page *p, struct urd_buf *ret)
{
    urd_blob_pack(p->out.data, p->out.size, ret);
}

/* ---- reading ---- */

urd_err *urd_stores_decoder_init(struct urd_stores_decoder *d, const void *data, size_t size,
                                 const uint32_t *starts, uint32_t n_dense)
{
    struct urd_cursor none = urd_cursor((const uint8_t *)"", 0);
    *d = (struct urd_stores_decoder){
        .starts = starts, .ok = true, .tags = none, .places = none, .values = none};
    size_t raw = 0;
    if (size)
        URD_TRY(urd_blob_unpack(data, size, &d->memory, &raw));
    struct urd_cursor in = urd_cursor(d->memory, raw);
    if (size) {
        uint32_t tags = urd_cursor_u32(&in), places = urd_cursor_u32(&in);
        const uint8_t *t = urd_cursor_bytes(&in, tags), *p = urd_cursor_bytes(&in, places);
        if (!t || !p) {
            free(d->memory);
            URD_FAIL("a row of stores in the index is damaged");
        }
        d->tags = urd_cursor(t, tags);
        d->places = urd_cursor(p, places);
        d->values = in;
        d->capacity = tags + 1;
    }
    d->remembered = urd_xcalloc(starts[n_dense] + 1, sizeof *d->remembered);
    return NULL;
}

void urd_stores_decoder_deinit(struct urd_stores_decoder *d)
{
    urd_stores_decoded_deinit(&d->out);
    free(d->memory);
    free(d->remembered);
    *d = (struct urd_stores_decoder){0};
}

static uint64_t get_bytes(struct urd_cursor *c, unsigned n)
{
    uint64_t x = 0;
    const uint8_t *p = urd_cursor_bytes(c, n);
    if (p && n <= 8)
        memcpy(&x, p, n);
    return x;
}

static void next_store(struct urd_stores_decoder *d, struct urd_store_shape shape, uint64_t *memory,
                       int64_t clock)
{
    uint64_t stack = -(uint64_t)(shape.code >> 3 & 1);
    unsigned bytes = urd_store_bytes(shape.code), tag = urd_cursor_u8(&d->tags);
    if (!d->tags.ok || d->out.n == d->capacity) {
        d->ok = false;
        return;
    }
    if (d->n_values + bytes + 8 > d->cap_values) {
        d->cap_values = d->cap_values ? d->cap_values * 2 : 65536;
        d->out.values = urd_xrealloc(d->out.values, d->cap_values);
    }
    memory[0] += (uint64_t)urd_unzigzag(get_bytes(&d->places, tag & 15));
    uint64_t address = memory[0] + (d->sp & stack);
    d->sp ^= (d->sp ^ address) & stack;
    if (!d->out.stores)
        d->out.stores = urd_xrealloc(NULL, d->capacity * sizeof *d->out.stores);
    d->out.stores[d->out.n++] = (struct urd_store){clock, address, (uint32_t)d->n_values, bytes};
    for (unsigned at = 0; at < bytes; at += 8) {
        if (at)
            tag = urd_cursor_u8(&d->tags);
        memory[1 + at / 8] ^= get_bytes(&d->values, tag >> 4);
        memcpy(d->out.values + d->n_values + at, &memory[1 + at / 8], 8);
    }
    d->n_values += bytes;
}

void urd_stores_next(struct urd_stores_decoder *d, uint32_t dense,
                     const struct urd_store_shape *shapes, unsigned n_shapes, unsigned n_insns,
                     int64_t clock)
{
    uint64_t *memory = d->remembered + d->starts[dense];
    for (unsigned i = 0; i < n_shapes && shapes[i].insn < n_insns && d->ok; i++) {
        next_store(d, shapes[i], memory, clock + shapes[i].insn);
        memory += urd_store_memory(shapes[i].code);
    }
}

urd_err *urd_stores_take(struct urd_stores_decoder *d, struct urd_stores_decoded *ret)
{
    if (!d->ok || !d->tags.ok || !d->places.ok || !d->values.ok || urd_cursor_left(&d->tags) ||
        urd_cursor_left(&d->places) || urd_cursor_left(&d->values))
        URD_FAIL("a row of stores in the index is damaged");
    *ret = d->out;
    d->out = (struct urd_stores_decoded){0};
    return NULL;
}

void urd_stores_decoded_deinit(struct urd_stores_decoded *d)
{
    free(d->stores);
    free(d->values);
    *d = (struct urd_stores_decoded){0};
}

static bool has_words(const uint64_t groups[8], unsigned low, unsigned high)
{
    for (unsigned w = low; w <= high; w++)
        if (groups[w / 64] >> w % 64 & 1)
            return true;
    return false;
}

urd_err *urd_stores_touched(const void *data, size_t size, unsigned low, unsigned high,
                            urd_touched_fn fn, void *fn_data)
{
    uint8_t *raw;
    size_t raw_size;
    URD_TRY(urd_blob_unpack(data, size, &raw, &raw_size));
    struct urd_cursor in = urd_cursor(raw, raw_size);
    uint64_t row = 0;
    while (urd_cursor_left(&in)) {
        row += urd_cursor_varint(&in);
        unsigned which = urd_cursor_u8(&in);
        uint64_t groups[8] = {0};
        for (unsigned g = 0; g < 8; g++)
            if (which >> g & 1)
                groups[g] = urd_cursor_u64(&in);
        if (!in.ok || row > UINT32_MAX)
            break;
        if (has_words(groups, low, high))
            fn(fn_data, (uint32_t)row);
    }
    free(raw);
    if (!in.ok)
        URD_FAIL("a row of touched pages in the index is damaged");
    return NULL;
}
