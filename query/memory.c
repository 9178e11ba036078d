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
    struct urd_writes_cache *c = x->reads.wanted ? x->reads.cache : x->writes_cache;
    sqlite3_stmt *q = x->reads.wanted ? x->reads.page_data : x->page_data;
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
    sqlite3_bind_int64(q, 1, p->rowid);
    struct urd_writes_decoded d = {0};
    urd_err *err =
        sqlite3_step(q) == SQLITE_ROW
            ? urd_writes_decode(sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0),
                                (uint64_t)p->first, p->n, &d)
            : urd_store_failed(x->db, "cannot read the index");
    sqlite3_reset(q);
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
    sqlite3_stmt *q = x->reads.wanted ? x->reads.by_page : x->by_page;
    *ret = NULL;
    *ret_n = 0;
    sqlite3_bind_int64(q, 1, space);
    sqlite3_bind_int64(q, 2, (int64_t)page);
    int code;
    while ((code = sqlite3_step(q)) == SQLITE_ROW)
        if (sqlite3_column_bytes(q, 4) == 64 &&
            (x->reads.wanted || urd_index_segment(x, sqlite3_column_int64(q, 1))) &&
            touches(sqlite3_column_blob(q, 4), low, high))
            URD_PUSH(*ret, *ret_n, capacity) = (struct page_row){
                sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 2),
                (uint32_t)sqlite3_column_int(q, 1), (uint32_t)sqlite3_column_int(q, 3)};
    sqlite3_reset(q);
    if (code != SQLITE_DONE)
        return urd_store_failed(x->db, "cannot read the index");
    return NULL;
}

/** When the segment of a row began, and ended: of one that is there. */
static void segment_clocks(const struct urd_index *x, uint32_t id, int64_t *ret_start,
                           int64_t *ret_end)
{
    if (x->reads.wanted) {
        *ret_start = id < x->reads.n ? x->reads.starts[id] : 0;
        *ret_end = id + 1 < x->reads.n ? x->reads.starts[id + 1] : x->end;
    } else {
        const struct urd_index_segment *s = urd_index_segment(x, id);
        *ret_start = s->start;
        *ret_end = s->start + s->steps;
    }
}

struct page_query {
    uint32_t space;
    uint64_t address, size; /* within one page */
    int64_t at, from, to;   /* at: page_life only */
    bool descending;
    urd_index_write_fn fn;
    void *data;
    bool more;
};

/* A page's writes lie in two places: rows of `writes`, and among the stores of rows of flow. Each is walked by itself, in
 * order or descending; one_page merges them. Only the kernel's can have the clock of a store, and come after it. */

struct rare_walk {
    struct page_row *rows;
    uint32_t n_rows, row, k; /* k: writes of the row that were looked at */
    const struct urd_writes_decoded *d;
};

static struct urd_index_write *fitting(struct page_query *q, struct urd_index_write *w)
{
    bool in = w->address < q->address + q->size && w->address + w->size > q->address &&
              w->clock >= q->from && w->clock < q->to;
    return in ? w : NULL;
}

/** *ret_found false: no more. */
static urd_err *next_rare(struct urd_index *x, struct page_query *q, struct rare_walk *w,
                          struct urd_index_write *ret, bool *ret_found)
{
    *ret_found = false;
    for (; w->row < w->n_rows; w->row++, w->k = 0, w->d = NULL) {
        const struct page_row *p = &w->rows[q->descending ? w->n_rows - 1 - w->row : w->row];
        int64_t base, end;
        segment_clocks(x, p->segment, &base, &end);
        if (base + p->first - 1 >= q->to || end < q->from)
            continue;
        URD_TRY(decoded(x, p, &w->d));
        while (w->k < w->d->n) {
            uint32_t k = w->k++;
            const struct urd_write *from = &w->d->writes[q->descending ? w->d->n - 1 - k : k];
            *ret = (struct urd_index_write){.clock =
                                                base + (int64_t)from->clock - (from->event ? 1 : 0),
                                            .address = (q->address & ~4095ull) + from->offset,
                                            .size = from->size,
                                            .event = from->event,
                                            .space = q->space,
                                            .value = from->value};
            if (fitting(q, ret)) {
                *ret_found = true;
                return NULL;
            }
        }
    }
    return NULL;
}

struct stores_walk {
    struct touched_row {
        uint32_t segment, row; /* segment: index */
    } * rows;
    uint32_t n_rows, cap_rows, row, k;
    const struct urd_stores_decoded *d;
    uint32_t segment; /* while rows are collected */
};

static void add_touched(void *data, uint32_t row)
{
    struct stores_walk *w = data;
    URD_PUSH(w->rows, w->n_rows, w->cap_rows) = (struct touched_row){w->segment, row};
}

/** Rows of flow with stores to [low, high] of the page within the query's time. */
static urd_err *touched_rows(struct urd_index *x, const struct page_query *q, unsigned low,
                             unsigned high, struct stores_walk *w)
{
    sqlite3_bind_int64(x->touched, 1, q->space);
    sqlite3_bind_int64(x->touched, 2, (int64_t)(q->address >> 12));
    urd_err *err = NULL;
    int code;
    while (!err && (code = sqlite3_step(x->touched)) == SQLITE_ROW) {
        const struct urd_index_segment *s =
            urd_index_segment(x, sqlite3_column_int64(x->touched, 0));
        w->segment = s ? (uint32_t)(s - x->segments) : 0;
        if (s && s->start < q->to && s->start + s->steps > q->from)
            err = urd_stores_touched(sqlite3_column_blob(x->touched, 1),
                                     (size_t)sqlite3_column_bytes(x->touched, 1), low / 8, high / 8,
                                     add_touched, w);
    }
    sqlite3_reset(x->touched);
    return err;
}

/** Does the row have clocks in [from, to)? */
static urd_err *row_is_in_time(struct urd_index *x, const struct page_query *q,
                               const struct touched_row *r, bool *ret)
{
    const int64_t *firsts;
    uint32_t n;
    URD_TRY(urd_index_rows(x, r->segment, &firsts, &n));
    if (r->row >= n)
        URD_FAIL("a row of touched pages in the index is damaged");
    *ret = firsts[r->row] < q->to && (r->row + 1 == n || firsts[r->row + 1] > q->from);
    return NULL;
}

static urd_err *next_store(struct urd_index *x, struct page_query *q, struct stores_walk *w,
                           struct urd_index_write *ret, bool *ret_found)
{
    *ret_found = false;
    for (; w->row < w->n_rows; w->row++) {
        const struct touched_row *r = &w->rows[q->descending ? w->n_rows - 1 - w->row : w->row];
        bool in_time = false;
        URD_TRY(row_is_in_time(x, q, r, &in_time));
        if (!in_time)
            continue;
        if (!w->d)
            URD_TRY(urd_index_stores(x, r->segment, r->row, q->address, q->size, &w->d));
        while (w->k < w->d->n) {
            uint32_t k = w->k++;
            const struct urd_store *s = &w->d->stores[q->descending ? w->d->n - 1 - k : k];
            if (s->address >= q->address + q->size || s->address + s->size <= q->address)
                continue;
            *ret = (struct urd_index_write){.clock = s->clock,
                                            .address = s->address,
                                            .size = s->size,
                                            .space = q->space,
                                            .value = w->d->values + s->value};
            if (fitting(q, ret)) {
                *ret_found = true;
                return NULL;
            }
        }
        urd_index_release_stores(x, w->d);
        w->d = NULL;
        w->k = 0;
    }
    return NULL;
}

/** A store over a page's end comes once for each page, as all writes do. */
static struct urd_index_write within_page(struct urd_index_write w, uint64_t page)
{
    if (w.address < page) {
        w.value += page - w.address;
        w.size -= page - w.address;
        w.address = page;
    }
    if (w.address + w.size > page + 4096)
        w.size = page + 4096 - w.address;
    return w;
}

static bool rare_is_first(const struct page_query *q, const struct urd_index_write *rare,
                          const struct urd_index_write *store)
{
    return q->descending ? rare->clock >= store->clock : rare->clock < store->clock;
}

static urd_err *merge(struct urd_index *x, struct page_query *q, struct rare_walk *rare,
                      struct stores_walk *stores)
{
    struct urd_index_write a, b;
    bool have_a, have_b;
    URD_TRY(next_rare(x, q, rare, &a, &have_a));
    URD_TRY(next_store(x, q, stores, &b, &have_b));
    while (q->more && (have_a || have_b)) {
        bool take_a = have_a && (!have_b || rare_is_first(q, &a, &b));
        struct urd_index_write out = within_page(take_a ? a : b, q->address & ~4095ull);
        q->more = q->fn(q->data, &out);
        if (!q->more)
            break;
        if (take_a)
            URD_TRY(next_rare(x, q, rare, &a, &have_a));
        else
            URD_TRY(next_store(x, q, stores, &b, &have_b));
    }
    return NULL;
}

static urd_err *one_page(struct urd_index *x, struct page_query *q)
{
    struct rare_walk rare = {0};
    struct stores_walk stores = {0};
    unsigned low = (unsigned)(q->address & 4095), high = low + (unsigned)q->size - 1;
    URD_TRY(page_rows(x, q->space, q->address >> 12, low, high, &rare.rows, &rare.n_rows));
    urd_err *err = x->reads.wanted ? NULL : touched_rows(x, q, low, high, &stores);
    if (!err)
        err = merge(x, q, &rare, &stores);
    urd_index_release_stores(x, stores.d);
    free(rare.rows);
    free(stores.rows);
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
static urd_err *many_pages(struct urd_index *x, struct page_query *q,
                           urd_err *(*page)(struct urd_index *x, struct page_query *q))
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
        err = page(x, &one);
    }
    qsort(c.writes, c.n, sizeof *c.writes, by_clock);
    for (uint32_t i = 0; i < c.n && q->more && !err; i++)
        q->more = q->fn(q->data, &c.writes[q->descending ? c.n - 1 - i : i]);
    for (uint32_t i = 0; i < c.n; i++)
        free((void *)c.writes[i].value);
    free(c.writes);
    return err;
}

/** page: answers for one page. */
static urd_err *all_pages(struct urd_index *x, struct page_query *q,
                          urd_err *(*page)(struct urd_index *x, struct page_query *q))
{
    if (!q->size)
        return NULL;
    bool one = (q->address >> 12) == ((q->address + q->size - 1) >> 12);
    return one ? page(x, q) : many_pages(x, q, page);
}

/* ---- through the life of memory ---- */

static int64_t event_clock(const struct urd_index *x, uint64_t event)
{
    return event > x->n_events ? x->end + 1 : event ? x->events[event].clock : INT64_MIN;
}

struct in_span {
    const struct urd_index *x;
    struct urd_index_span span;
    struct page_query *q;
};

/** The kernel's writes of an event carry the clock before: they are told by its number. */
static bool give_in_span(void *data, const struct urd_index_write *w)
{
    struct in_span *s = data;
    bool kernel = w->event && w->event != URD_WRITE_INITIAL;
    bool in = kernel ? w->event >= s->span.from && w->event < s->span.to
                     : w->clock >= event_clock(s->x, s->span.from) - (w->event != 0) &&
                           w->clock < event_clock(s->x, s->span.to);
    if (!in)
        return true;
    struct urd_index_write moved = *w;
    moved.address += s->span.shift;
    s->q->more = s->q->fn(s->q->data, &moved);
    return s->q->more;
}

static urd_err *page_life(struct urd_index *x, struct page_query *q)
{
    const struct urd_index_life *life = urd_index_life(x, q->space, q->address, q->at);
    uint32_t n = life->n; /* whoever gets the writes may ask for another life */
    URD_AUTO_FREE struct urd_index_span *spans = urd_xrealloc(NULL, n * sizeof *spans);
    memcpy(spans, life->spans, n * sizeof *spans);
    for (uint32_t i = 0; i < n && q->more; i++) {
        struct in_span in = {x, spans[q->descending ? i : n - 1 - i], q};
        int64_t from = event_clock(x, in.span.from), to = event_clock(x, in.span.to);
        struct page_query one = *q;
        one.space = in.span.space;
        one.address = q->address - in.span.shift;
        one.from = from != INT64_MIN && from - 1 > q->from ? from - 1 : q->from;
        one.to = to < q->to ? to : q->to;
        one.fn = give_in_span;
        one.data = &in;
        URD_TRY(one_page(x, &one));
    }
    return NULL;
}

urd_err *urd_index_writes_private(struct urd_index *x, uint32_t space, uint64_t address,
                                  uint64_t size, int64_t at, int64_t from, int64_t to,
                                  bool descending, urd_index_write_fn fn, void *data)
{
    struct page_query q = {.space = space,
                           .address = address,
                           .size = size,
                           .at = at,
                           .from = from,
                           .to = to,
                           .descending = descending,
                           .fn = fn,
                           .data = data,
                           .more = true};
    return all_pages(x, &q, page_life);
}

urd_err *urd_index_writes(struct urd_index *x, uint32_t space, uint64_t address, uint64_t size,
                          int64_t at, int64_t from, int64_t to, bool descending,
                          urd_index_write_fn fn, void *data)
{
    uint64_t event = urd_index_moment(x, at > x->end ? x->end : at).event;
    return urd_index_shows(x, space, address, size, event)
               ? urd_index_writes_shared(x, space, address, size, from, to, event, descending, fn,
                                         data)
               : urd_index_writes_private(x, space, address, size, at, from, to, descending, fn,
                                          data);
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
    return all_pages(x, &q, one_page);
}

/* ---- reads: rows like those of rare writes, and nothing else ---- */

urd_err *urd_index_need_reads(const struct urd_index *x)
{
    if (x->reads.by_page)
        return NULL;
    return urd_err_hint(URD_ERROR(URD_ERR_NOTHING, "the index has no reads"),
                        "`urd index --reads` adds them to it");
}

urd_err *urd_index_reads(struct urd_index *x, uint32_t space, uint64_t address, uint64_t size,
                         int64_t at, int64_t from, int64_t to, bool descending,
                         urd_index_write_fn fn, void *data)
{
    URD_TRY(urd_index_need_reads(x));
    x->reads.wanted = true;
    urd_err *err = urd_index_writes(x, space, address, size, at, from, to, descending, fn, data);
    x->reads.wanted = false;
    return err;
}

urd_err *urd_index_reads_own(struct urd_index *x, uint32_t space, uint64_t address, uint64_t size,
                             int64_t from, int64_t to, bool descending, urd_index_write_fn fn,
                             void *data)
{
    URD_TRY(urd_index_need_reads(x));
    x->reads.wanted = true;
    urd_err *err = urd_index_writes_own(x, space, address, size, from, to, descending, fn, data);
    x->reads.wanted = false;
    return err;
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

/** A byte of a stored file (index + 1; 0: none), or 0. */
static uint8_t file_byte(const struct urd_trace *trace, uint32_t file, uint64_t offset)
{
    uint8_t byte = 0;
    URD_AUTO_FREE char *path = file ? urd_trace_file_path(trace, file - 1) : NULL;
    URD_AUTO_CLOSE int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    return fd >= 0 && pread(fd, &byte, 1, (off_t)offset) == 1 ? byte : 0;
}

/** What shared memory held when it was first mapped. */
static uint8_t initial_shared_byte(const struct urd_index *x, const struct urd_trace *trace,
                                   uint32_t object, uint64_t offset)
{
    for (uint32_t i = 0; i < x->n_shown; i++) {
        const struct urd_index_shown *s = &x->shown[i];
        if (s->object == object && s->file)
            return file_byte(trace, s->file, offset);
    }
    return 0;
}

/** What a mapping held when it was made: the file's bytes, or zeros. */
static urd_err *initial_bytes(struct urd_index *x, struct urd_trace *trace, uint32_t space,
                              uint64_t address, uint64_t event, uint8_t *ret, bool *ret_mapped)
{
    sqlite3_stmt *q;
    const struct urd_index_shown *shown = urd_index_shown_at(x, space, address, event);
    *ret_mapped = shown;
    *ret = 0;
    if (shown) {
        *ret = initial_shared_byte(x, trace, shown->object,
                                   shown->offset + (address - shown->address));
        return NULL;
    }
    if (sqlite3_prepare_v2(x->db,
                           "SELECT start, file, file_offset FROM mappings WHERE space = ? AND "
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
        *ret = file_byte(trace, (uint32_t)sqlite3_column_int64(q, 1),
                         (uint64_t)sqlite3_column_int64(q, 2) + address -
                             (uint64_t)sqlite3_column_int64(q, 0));
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
    return NULL;
}

urd_err *urd_index_memory(struct urd_index *x, struct urd_trace *trace, uint32_t space,
                          uint64_t address, uint64_t size, int64_t clock, uint8_t *ret,
                          bool *ret_known)
{
    memset(ret_known, 0, size);
    memset(ret, 0, size);
    bool gap;
    int64_t from = INT64_MIN; /* before that something may have been written that is not indexed */
    URD_TRY(urd_index_lacks(x,
                            &(struct urd_index_need){.from = INT64_MIN,
                                                     .to = clock,
                                                     .kind = URD_NEEDS_WRITES,
                                                     .space = space,
                                                     .address = address,
                                                     .size = size,
                                                     .at = clock},
                            &gap, &from));
    /* Piece by piece: a row of flow is decoded for the pieces only that it stores to. */
    uint64_t piece = size <= 1024 ? 8 : 64, left = 0;
    for (uint64_t at = 0, next; at < size; at = next) {
        next = ((address + at) / piece + 1) * piece - address;
        next = next < size ? next : size;
        struct filling f = {address + at, next - at, next - at, ret + at, ret_known + at};
        URD_TRY(urd_index_writes(x, space, address + at, next - at, clock, from, clock, true, fill,
                                 &f));
        left += f.left;
    }
    struct urd_moment m = urd_index_moment(x, clock);
    for (uint64_t i = 0; i < size && left; i++) {
        if (ret_known[i])
            continue;
        const struct urd_index_origin o = urd_index_life(x, space, address + i, clock)->origin;
        if (gap && (!o.event ||
                    x->events[o.event].clock <= from)) /* written there, for all that is known */
            continue;
        bool as_it_is = !o.event || urd_index_shown_at(x, space, address + i, m.event);
        URD_TRY(as_it_is
                    ? initial_bytes(x, trace, space, address + i, m.event, &ret[i], &ret_known[i])
                    : initial_bytes(x, trace, o.space, o.address + (address + i) % 4096, o.event,
                                    &ret[i], &ret_known[i]));
    }
    return NULL;
}
