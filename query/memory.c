/* Writes to addresses, through pages, segments and the spaces that a space was forked from; and what memory held. */
#include "query/index.h"
#include "indexer/store.h"
#include <fcntl.h>
#include <unistd.h>

struct page_row {
    int64_t rowid, first;
    uint32_t segment, n;
};

static urd_err *decoded(struct urd_index *x, const struct page_row *p,
                        const struct urd_writes_decoded **ret)
{
    struct urd_writes_cache *c = x->writes_cache;
    unsigned victim = 0;
    for (unsigned i = 0; i < URD_WRITES_CACHE; i++) {
        if (c->rows[i].d.n && c->rows[i].rowid == p->rowid) {
            c->rows[i].stamp = ++c->stamp;
            *ret = &c->rows[i].d;
            return NULL;
        }
        if (c->rows[i].stamp < c->rows[victim].stamp)
            victim = i;
    }
    sqlite3_bind_int64(x->page_data, 1, p->rowid);
    struct urd_writes_decoded d = {0};
    urd_err *err = sqlite3_step(x->page_data) == SQLITE_ROW
                       ? urd_writes_decode(sqlite3_column_blob(x->page_data, 0),
                                           (size_t)sqlite3_column_bytes(x->page_data, 0),
                                           (uint64_t)p->first, p->n, &d)
                       : urd_store_failed(x->db, "cannot read the index");
    sqlite3_reset(x->page_data);
    URD_TRY(err);
    urd_writes_decoded_deinit(&c->rows[victim].d);
    c->rows[victim].d = d;
    c->rows[victim].rowid = p->rowid;
    c->rows[victim].stamp = ++c->stamp;
    *ret = &c->rows[victim].d;
    return NULL;
}

static bool touches(const uint8_t *words, uint64_t low,
                    uint64_t high /* offsets in the page, high included */)
{
    for (uint64_t w = low / 8; w <= high / 8; w++)
        if (words[w / 8] >> w % 8 & 1)
            return true;
    return false;
}

/** Rows of one page that may hold writes to [low, high], in order. */
static urd_err *page_rows(struct urd_index *x, uint32_t space, uint64_t page, uint64_t low,
                          uint64_t high, struct page_row **ret, uint32_t *ret_n)
{
    uint32_t capacity = 0;
    *ret = NULL;
    *ret_n = 0;
    sqlite3_bind_int64(x->by_page, 1, space);
    sqlite3_bind_int64(x->by_page, 2, (int64_t)page);
    int code;
    while ((code = sqlite3_step(x->by_page)) == SQLITE_ROW)
        if (sqlite3_column_bytes(x->by_page, 4) == 64 &&
            touches(sqlite3_column_blob(x->by_page, 4), low, high))
            URD_PUSH(*ret, *ret_n, capacity) = (struct page_row){
                sqlite3_column_int64(x->by_page, 0), sqlite3_column_int64(x->by_page, 2),
                (uint32_t)sqlite3_column_int(x->by_page, 1),
                (uint32_t)sqlite3_column_int(x->by_page, 3)};
    sqlite3_reset(x->by_page);
    if (code != SQLITE_DONE)
        return urd_store_failed(x->db, "cannot read the index");
    return NULL;
}

static int64_t segment_start(const struct urd_index *x, uint32_t id)
{
    for (uint32_t i = 0; i < x->n_segments; i++)
        if (x->segments[i].id == id)
            return x->segments[i].start;
    return 0;
}

static int64_t segment_end(const struct urd_index *x, uint32_t id)
{
    for (uint32_t i = 0; i < x->n_segments; i++)
        if (x->segments[i].id == id)
            return x->segments[i].start + x->segments[i].steps;
    return x->end;
}

struct page_query {
    uint32_t space;
    uint64_t address, size; /* within one page */
    int64_t from, to;
    bool descending;
    urd_index_write_fn fn;
    void *data;
    bool more;
};

static urd_err *give_page_row(struct urd_index *x, struct page_query *q, const struct page_row *p)
{
    const struct urd_writes_decoded *d = NULL;
    int64_t base = segment_start(x, p->segment);
    if (base + p->first - 1 >= q->to || segment_end(x, p->segment) < q->from)
        return NULL;
    URD_TRY(decoded(x, p, &d));
    uint64_t low = q->address & 4095, high = low + q->size;
    uint64_t page = q->address & ~4095ull;
    for (uint32_t k = 0; k < d->n && q->more; k++) {
        const struct urd_write *w = &d->writes[q->descending ? d->n - 1 - k : k];
        if (w->offset >= high || w->offset + w->size <= low)
            continue;
        int64_t clock = base + (int64_t)w->clock - (w->event ? 1 : 0);
        if (clock < q->from || clock >= q->to)
            continue;
        struct urd_index_write out = {.clock = clock,
                                      .address = page + w->offset,
                                      .size = w->size,
                                      .event = w->event,
                                      .space = q->space,
                                      .value = w->value};
        q->more = q->fn(q->data, &out);
    }
    return NULL;
}

static urd_err *one_page(struct urd_index *x, struct page_query *q)
{
    struct page_row *rows;
    uint32_t n;
    URD_TRY(page_rows(x, q->space, q->address >> 12, q->address & 4095,
                      (q->address & 4095) + q->size - 1, &rows, &n));
    urd_err *err = NULL;
    for (uint32_t i = 0; i < n && q->more && !err; i++)
        err = give_page_row(x, q, &rows[q->descending ? n - 1 - i : i]);
    free(rows);
    return err;
}

struct collected {
    struct urd_index_write *writes;
    uint32_t n, capacity;
};

static bool collect(void *data, const struct urd_index_write *w)
{
    struct collected *c = data;
    struct urd_index_write copy = *w;
    uint8_t *bytes = urd_xrealloc(NULL, w->size);
    memcpy(bytes, w->value, w->size);
    copy.value = bytes;
    URD_PUSH(c->writes, c->n, c->capacity) = copy;
    return true;
}

static int by_clock(const void *a, const void *b)
{
    const struct urd_index_write *x = a, *y = b;
    if (x->clock != y->clock)
        return x->clock < y->clock ? -1 : 1;
    return x->address < y->address ? -1 : x->address > y->address;
}

/** A range over several pages: their writes are merged. */
static urd_err *many_pages(struct urd_index *x, struct page_query *q)
{
    struct collected c = {0};
    struct page_query one = *q;
    one.fn = collect;
    one.data = &c;
    one.descending = false;
    uint64_t end = q->address + q->size;
    urd_err *err = NULL;
    for (uint64_t at = q->address; at < end && !err; at = (at & ~4095ull) + 4096) {
        one.address = at;
        one.size = ((at & ~4095ull) + 4096 < end ? (at & ~4095ull) + 4096 : end) - at;
        err = one_page(x, &one);
    }
    qsort(c.writes, c.n, sizeof *c.writes, by_clock);
    for (uint32_t i = 0; i < c.n && q->more && !err; i++)
        q->more = q->fn(q->data, &c.writes[q->descending ? c.n - 1 - i : i]);
    for (uint32_t i = 0; i < c.n; i++)
        free((void *)c.writes[i].value);
    free(c.writes);
    return err;
}

static urd_err *in_space(struct urd_index *x, struct page_query *q)
{
    if (!q->size)
        return NULL;
    bool one = (q->address >> 12) == ((q->address + q->size - 1) >> 12);
    return one ? one_page(x, q) : many_pages(x, q);
}

urd_err *urd_index_writes(struct urd_index *x, uint32_t space, uint64_t address, uint64_t size,
                          int64_t from, int64_t to, bool descending, urd_index_write_fn fn,
                          void *data)
{
    uint32_t chain[256], n = 0;
    int64_t until[256], end = to;
    for (uint32_t s = space; s && s <= x->n_spaces && n < 256; s = x->spaces[s].parent) {
        chain[n] = s;
        until[n++] = end;
        if (x->spaces[s].clock < end)
            end = x->spaces[s].clock;
    }
    struct page_query q = {.address = address,
                           .size = size,
                           .from = from,
                           .descending = descending,
                           .fn = fn,
                           .data = data,
                           .more = true};
    for (uint32_t k = 0; k < n && q.more; k++) {
        uint32_t i = descending ? k : n - 1 - k;
        q.space = chain[i];
        q.to = until[i];
        URD_TRY(in_space(x, &q));
    }
    return NULL;
}

urd_err *urd_index_writes_own(struct urd_index *x, uint32_t space, uint64_t address, uint64_t size,
                              int64_t from, int64_t to, bool descending, urd_index_write_fn fn,
                              void *data)
{
    struct page_query q = {.space = space,
                           .address = address,
                           .size = size,
                           .from = from,
                           .to = to,
                           .descending = descending,
                           .fn = fn,
                           .data = data,
                           .more = true};
    return in_space(x, &q);
}

/* ---- what memory held ---- */

struct filling {
    uint64_t address, size, left;
    uint8_t *bytes;
    bool *known;
};

static bool fill(void *data, const struct urd_index_write *w)
{
    struct filling *f = data;
    for (uint64_t i = 0; i < w->size; i++) {
        uint64_t at = w->address + i - f->address;
        if (w->address + i >= f->address && at < f->size && !f->known[at]) {
            f->known[at] = true;
            f->bytes[at] = w->value[i];
            f->left--;
        }
    }
    return f->left > 0;
}

/** What a mapping held when it was made: the file's bytes, or zeros. Clock of its making in *ret_from. */
static urd_err *initial_bytes(struct urd_index *x, struct urd_trace *trace, uint32_t space,
                              uint64_t address, uint64_t event, int64_t *ret_from, uint8_t *ret,
                              bool *ret_mapped)
{
    sqlite3_stmt *q;
    *ret_mapped = false;
    *ret = 0;
    if (sqlite3_prepare_v2(
            x->db,
            "SELECT start, file, file_offset, from_event, name FROM mappings WHERE space = ? AND "
            "start <= ? AND start + size > ? AND from_event <= ? AND to_event > ? "
            "ORDER BY from_event DESC LIMIT 1",
            -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(x->db, "cannot read the index");
    sqlite3_bind_int64(q, 1, space);
    sqlite3_bind_int64(q, 2, (int64_t)address);
    sqlite3_bind_int64(q, 3, (int64_t)address);
    sqlite3_bind_int64(q, 4, (int64_t)event);
    sqlite3_bind_int64(q, 5, (int64_t)event);
    if (sqlite3_step(q) == SQLITE_ROW) {
        *ret_mapped = true;
        int64_t file = sqlite3_column_int64(q, 1);
        uint64_t offset =
            (uint64_t)sqlite3_column_int64(q, 2) + address - (uint64_t)sqlite3_column_int64(q, 0);
        URD_AUTO_FREE char *path = file ? urd_trace_file_path(trace, (uint32_t)file - 1) : NULL;
        URD_AUTO_CLOSE int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd >= 0 && pread(fd, ret, 1, (off_t)offset) != 1)
            *ret = 0;
    } else {
        sqlite3_stmt *stack; /* a stack grows below what its mapping says */
        if (sqlite3_prepare_v2(
                x->db,
                "SELECT 1 FROM mappings WHERE space = ? AND name = '[stack]' AND start > ? AND "
                "start - 8388608 <= ? LIMIT 1",
                -1, &stack, NULL) == SQLITE_OK) {
            sqlite3_bind_int64(stack, 1, space);
            sqlite3_bind_int64(stack, 2, (int64_t)address);
            sqlite3_bind_int64(stack, 3, (int64_t)address);
            *ret_mapped = sqlite3_step(stack) == SQLITE_ROW;
        }
        sqlite3_finalize(stack);
    }
    sqlite3_finalize(q);
    *ret_from = 0;
    return NULL;
}

urd_err *urd_index_memory(struct urd_index *x, struct urd_trace *trace, uint32_t space,
                          uint64_t address, uint64_t size, int64_t clock, uint8_t *ret,
                          bool *ret_known)
{
    struct filling f = {address, size, size, ret, ret_known};
    memset(ret_known, 0, size);
    memset(ret, 0, size);
    URD_TRY(urd_index_writes(x, space, address, size, INT64_MIN, clock, true, fill, &f));
    struct urd_moment m = urd_index_moment(x, clock);
    for (uint64_t i = 0; i < size && f.left; i++) {
        int64_t from;
        if (ret_known[i])
            continue;
        URD_TRY(
            initial_bytes(x, trace, space, address + i, m.event, &from, &ret[i], &ret_known[i]));
    }
    return NULL;
}
