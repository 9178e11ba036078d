#include "indexer/stores.h"
#include "indexer/flow.h"

void urd_stores_init(struct urd_stores *s)
{
    memset(s, 0, sizeof *s);
    /* beyond the limit: what one record may add, and a vector is stored whole */
    s->marks =
        urd_xrealloc(NULL, (URD_STORES_MARKS + 8 * URD_STORES_MAX_GROUPS + 8) * sizeof *s->marks);
    urd_stores_begin(s, 0, 0);
}

void urd_stores_deinit(struct urd_stores *s)
{
    for (uint32_t i = 0; i < s->n_pages; i++) {
        urd_buf_deinit(&s->pages[i]->out);
        free(s->pages[i]);
    }
    free(s->pages);
    free(s->marks);
    free(s->touched);
    urd_map_deinit(&s->index);
    urd_words_deinit(&s->columns);
}

void urd_stores_begin(struct urd_stores *s, uint32_t space, uint32_t row)
{
    for (unsigned i = 0; i < URD_STORES_NEAR; i++)
        s->near[i].page = ~0ull;
    s->n_touched = 0;
    s->space = (uint64_t)space << 36;
    s->row = row + 1;
    urd_words_clear(&s->columns);
    s->sp = 0;
}

/** The store's address is word `word`, and its delta. */
static void add_mark(struct urd_stores_layout *l, unsigned word,
                     const struct urd_store_shape *shape)
{
    struct urd_words_group *g = &l->groups[word / 8];
    struct urd_stores_marks *m = g->n_marks ? &l->marks[g->marks + g->n_marks - 1u] : NULL;
    if (!m || m->which == 0xff) {
        /* those of a group lie one behind the other: groups are come to in order */
        m = &l->marks[l->n_marks];
        *m = (struct urd_stores_marks){0};
        g->marks = g->n_marks++ ? g->marks : l->n_marks;
        l->n_marks++;
    }
    unsigned i = (unsigned)__builtin_popcount(m->which);
    m->which |= (uint8_t)(1 << i);
    m->delta[i] = shape->delta;
    m->word[i] = word % 8;
    m->sizes |= (uint32_t)(shape->code & URD_STORE_SIZE) << 4 * i;
}

/** Marks of each group, from the words that the shapes have. */
static void lay_out_marks(const struct urd_store_shape *shapes, unsigned n,
                          struct urd_stores_layout *l)
{
    for (unsigned g = 0; g < l->n_groups; g++)
        for (unsigned i = 0; i < n; i++)
            if (l->root_word[i] / 8 == g && urd_store_bytes(shapes[i].code))
                add_mark(l, l->root_word[i], &shapes[i]);
}

void urd_stores_lay_out(const struct urd_store_shape *shapes, unsigned n,
                        struct urd_stores_layout *ret)
{
    unsigned at = 0;
    ret->first_sp = ret->last_sp = -1;
    ret->last_delta = 0;
    ret->n_marks = 0;
    for (unsigned i = 0; i < n; i++) {
        uint8_t code = shapes[i].code;
        unsigned bytes = urd_store_bytes(code), words = urd_store_words(code);
        bool derived = code & URD_STORE_DERIVED;
        ret->root_word[i] = derived ? ret->root_word[shapes[i].root] : (uint16_t)at;
        if (code & URD_STORE_BY_SP) {
            ret->last_sp = ret->root_word[i];
            ret->last_delta = shapes[i].delta;
        }
        for (unsigned k = derived; k < words + derived; k++, at++) { /* k: 0 for the address */
            struct urd_words_group *g = &ret->groups[at / 8];
            if (at % 8 == 0)
                *g = (struct urd_words_group){0};
            g->bytes |= (k == 0 || bytes >= 8 ? 0xffull : (1ull << bytes) - 1) << at % 8 * 8;
            if (k)
                continue;
            g->addresses |= (uint8_t)(1 << at % 8);
            if (!(code & URD_STORE_BY_SP))
                continue;
            *(ret->first_sp < 0 ? &g->first : &g->rest) |= (uint8_t)(1 << at % 8);
            ret->first_sp = ret->first_sp < 0 ? (int)at : ret->first_sp;
        }
    }
    ret->n_words = at;
    ret->n_groups = (at + 7) / 8;
    lay_out_marks(shapes, n, ret);
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

/* The first store to a page in a row, words beside one another. */
static void mark_slowly(struct urd_stores *s, uint64_t address, unsigned bytes)
{
    for (uint64_t word = address >> 3; word <= (address + bytes - 1) >> 3; word++)
        groups_of(s, word >> 9)[word >> 6 & 7] |= 1ull << (word & 63);
}

void urd_stores_mark_all(struct urd_stores *s)
{
    for (uint32_t i = 0; i < s->n_marks; i++) {
        unsigned bytes = 1u << (s->marks[i] >> 60);
        uint64_t address = (uint64_t)((int64_t)(s->marks[i] << 4) >> 4), page = address >> 12;
        const struct urd_stores_near *n = &s->near[page & (URD_STORES_NEAR - 1)];
        /* what is aligned lies within one word, if it is no vector; for the rest it is not worth the time to look */
        if (__builtin_expect(n->page != page || (address & (bytes - 1)) || bytes > 8, 0))
            mark_slowly(s, address, bytes);
        else
            n->groups[address >> 9 & 7] |= 1ull << (address >> 3 & 63);
    }
    s->n_marks = 0;
}

void urd_stores_put(struct urd_stores *s, const struct urd_stores_groups *of, uint64_t *memory,
                    const uint8_t *words)
{
    uint64_t first = 0;
    if (of->first_sp >= 0)
        memcpy(&first, words + 8 * of->first_sp, 8);
    for (unsigned i = 0; i < of->n; i++) {
        const struct urd_words_group *g = &of->groups[i];
        urd_words_put(&s->columns.at, memory + 8 * i, words + 64 * i, g, s->sp, first);
        urd_stores_mark_later(s, words + 64 * i, g->addresses, g, of->marks);
    }
    urd_stores_mark_all(s);
    if (of->first_sp < 0)
        return;
    memcpy(&s->sp, words + 8 * of->last_sp, 8);
    s->sp += (uint64_t)(int64_t)of->last_delta;
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
    ret->size = 0;
    if (s->columns.at.group == s->columns.groups.data)
        return;
    urd_stores_mark_all(s);
    for (uint32_t i = 0; i < s->n_touched; i++)
        end_page(s, s->pages[s->touched[i]]);
    s->n_touched = 0;
    struct urd_buf raw = {0};
    urd_words_finish(&s->columns, &raw);
    urd_blob_pack_level(raw.data, raw.size, URD_STORES_LEVEL, ret);
    urd_buf_deinit(&raw);
}

void urd_stores_pack_page(struct urd_stores_page *p, struct urd_buf *ret)
{
    urd_blob_pack(p->out.data, p->out.size, ret);
}

/* ---- reading ---- */

urd_err *urd_stores_decoder_init(struct urd_stores_decoder *d, const void *data, size_t size,
                                 const uint32_t *starts, uint32_t n_dense, uint64_t low,
                                 uint64_t high)
{
    *d = (struct urd_stores_decoder){.starts = starts, .low = low, .high = high};
    struct urd_cursor in = urd_cursor("\0\0\0\0\0\0\0", 8); /* no groups at all */
    size_t raw = 0;
    if (size) {
        URD_TRY(urd_blob_unpack(data, size, &d->blob, &raw));
        in = urd_cursor(d->blob, raw);
    }
    if (!urd_words_open(&d->in, &in)) {
        free(d->blob);
        URD_FAIL("a row of stores in the index is damaged");
    }
    d->remembered = urd_xcalloc(starts[n_dense] + 1, sizeof *d->remembered);
    if (low || high != UINT64_MAX)
        d->quiet = urd_xcalloc(n_dense + 1, sizeof *d->quiet);
    return NULL;
}

void urd_stores_decoder_deinit(struct urd_stores_decoder *d)
{
    urd_stores_decoded_deinit(&d->out);
    free(d->blob);
    free(d->remembered);
    free(d->quiet);
    *d = (struct urd_stores_decoder){0};
}

/** Room for one more store. */
static void make_room(struct urd_stores_decoder *d)
{
    if (d->out.n == d->capacity) {
        d->capacity = d->capacity ? d->capacity * 2 : 1024;
        d->out.stores = urd_xrealloc(d->out.stores, d->capacity * sizeof *d->out.stores);
    }
    if (d->n_values + 64 > d->cap_values) {
        d->cap_values = d->cap_values ? d->cap_values * 2 : 1 << 14;
        d->out.values = urd_xrealloc(d->out.values, d->cap_values);
    }
}

#define NO_SP UINT16_MAX

/** A trace all of whose stores ran, and whose words are those of the last time: passed over when none of its stores is kept. */
static bool pass_over(struct urd_stores_decoder *d, uint32_t dense)
{
    const struct urd_stores_quiet *q = &d->quiet[dense];
    size_t n_groups = (d->starts[dense + 1] - d->starts[dense] + 7) / 8;
    if (!q->known || urd_cursor_left(&d->in.groups) < n_groups)
        return false;
    for (size_t i = 0; i < n_groups; i++)
        if (d->in.groups.at[i])
            return false;
    if (q->first_sp != NO_SP) {
        uint64_t first = d->sp + d->remembered[d->starts[dense] + q->first_sp];
        if (first + q->low < d->high && first + q->high > d->low)
            return false;
        d->sp = first + q->last;
    }
    d->in.groups.at += n_groups;
    return true;
}

/** The bytes of one more store by the stack pointer, relative to the first of them. word: of its address, if it has one. */
static void add_quiet(struct urd_stores_quiet *q, unsigned word, uint64_t at, unsigned bytes)
{
    if (q->first_sp == NO_SP)
        *q = (struct urd_stores_quiet){.first_sp = (uint16_t)word};
    q->last = at;
    if (!bytes)
        return;
    q->low = (int64_t)at < (int64_t)q->low ? at : q->low;
    q->high = (int64_t)(at + bytes) > (int64_t)q->high ? at + bytes : q->high;
}

/** The next store's value, n words that `at` is the first of, or what is known; kept when ret is not NULL. */
static void get_value(struct urd_stores_decoder *d, uint64_t *memory, unsigned at,
                      const struct urd_store_shape *shape, uint8_t *ret)
{
    unsigned n = urd_store_value_words(shape->code);
    if (ret && (shape->code & URD_STORE_KNOWN))
        memcpy(ret, &shape->value, 8);
    for (unsigned k = 0; k < n; k++) {
        uint64_t value = urd_words_get(&d->in, (at + k) % 8, &memory[at + k]);
        if (ret)
            memcpy(ret + 8 * k, &value, 8);
    }
}

void urd_stores_next(struct urd_stores_decoder *d, uint32_t dense,
                     const struct urd_store_shape *shapes, unsigned n_shapes, unsigned n_insns,
                     int64_t clock)
{
    uint64_t *memory = d->remembered + d->starts[dense], first = 0, addresses[URD_STORES_MAX];
    struct urd_stores_quiet quiet = {.first_sp = NO_SP};
    bool any_sp = false, whole = !n_shapes || shapes[n_shapes - 1].insn < n_insns, kept = false;
    unsigned at = 0;
    if (!d->in.groups.ok || (d->quiet && whole && pass_over(d, dense)))
        return;
    for (unsigned i = 0; i < n_shapes && shapes[i].insn < n_insns; i++) {
        uint8_t code = shapes[i].code;
        unsigned bytes = urd_store_bytes(code), n_values = urd_store_value_words(code);
        uint64_t address = addresses[code & URD_STORE_DERIVED ? shapes[i].root : i];
        if (!(code & URD_STORE_DERIVED)) {
            address = urd_words_get(&d->in, at % 8, &memory[at]);
            if (code & URD_STORE_BY_SP)
                address += any_sp ? first : d->sp;
            at++;
        }
        address += (uint64_t)(int64_t)shapes[i].delta;
        addresses[i] = address;
        if (code & URD_STORE_BY_SP) {
            first = any_sp ? first : address;
            any_sp = true;
            d->sp = address;
            add_quiet(&quiet, at - 1, address - first, bytes);
        }
        bool keep = bytes && address < d->high && address + bytes > d->low;
        if (keep) {
            kept |= !(code & URD_STORE_BY_SP);
            make_room(d);
            d->out.stores[d->out.n++] =
                (struct urd_store){clock + shapes[i].insn, address, (uint32_t)d->n_values, bytes};
        }
        get_value(d, memory, at, &shapes[i], keep ? d->out.values + d->n_values : NULL);
        at += n_values;
        d->n_values += keep ? bytes : 0;
    }
    quiet.known = whole && !kept;
    if (d->quiet)
        d->quiet[dense] = quiet;
}

urd_err *urd_stores_take(struct urd_stores_decoder *d, struct urd_stores_decoded *ret)
{
    if (!urd_words_done(&d->in))
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
