/* What an answer relies on, and which segments that are only counted (the coarse level) may change it. */
#include "query/index.h"

static urd_err *load_coarse(struct urd_index *x, struct urd_index_segment *s)
{
    if (s->coarse)
        return NULL;
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(x->db, "SELECT pages, ran FROM segments WHERE id = ?", -1, &q, NULL) !=
        SQLITE_OK)
        return urd_store_failed(x->db, "cannot read the index");
    struct urd_index_coarse *c = urd_xcalloc(1, sizeof *c);
    struct urd_coarse *both[] = {&c->pages, &c->ran};
    bool *has[] = {&c->has_pages, &c->has_ran};
    sqlite3_bind_int64(q, 1, s->id);
    urd_err *err =
        sqlite3_step(q) == SQLITE_ROW ? NULL : urd_store_failed(x->db, "cannot read the index");
    for (int i = 0; i < 2 && !err; i++) {
        *has[i] = sqlite3_column_type(q, i) != SQLITE_NULL;
        if (*has[i])
            err = urd_coarse_unpack(sqlite3_column_blob(q, i), (size_t)sqlite3_column_bytes(q, i),
                                    both[i]);
    }
    sqlite3_finalize(q);
    s->coarse = c;
    return err;
}

void urd_index_coarse_free(struct urd_index_coarse *c)
{
    if (!c)
        return;
    urd_coarse_deinit(&c->pages);
    urd_coarse_deinit(&c->ran);
    free(c);
}

/** May the segment have written to what the page names at the clock `at`? Pages were looked at when the segment ended, and when a process forked or
 * ended: memory that was unmapped or moved before that is not known. */
static bool may_write(struct urd_index *x, const struct urd_index_segment *s, uint32_t space,
                      uint64_t page, int64_t at)
{
    const struct urd_index_life *life = urd_index_life(x, space, page, at);
    for (uint32_t i = 0; i < life->n; i++) {
        const struct urd_index_span *span = &life->spans[i];
        uint64_t there = page - span->shift;
        if (span->to <= s->start_event || span->from > s->end_event + 1)
            continue;
        if (span->to <= s->end_event + 1 ||
            urd_coarse_touches(&s->coarse->pages, span->space, there, there + 4096))
            return true;
    }
    return false;
}

/** Of a segment that is only counted: may it change what is relied on? */
static urd_err *matters(struct urd_index *x, struct urd_index_segment *s,
                        const struct urd_index_need *n, bool *ret)
{
    *ret = n->kind == URD_NEEDS_ALL;
    for (uint32_t i = 0; i < n->n_also && !*ret; i++) /* a segment may have events and no steps */
        *ret = s->start <= n->also[i].end && s->start + s->steps > n->also[i].first;
    if (*ret)
        return NULL;
    URD_TRY(load_coarse(x, s));
    if (n->kind == URD_NEEDS_CODE) {
        bool ran = !s->coarse->has_ran;
        for (uint32_t i = 0; i < n->n_code && !ran; i++)
            ran = urd_coarse_touches(&s->coarse->ran, n->code[i].space, n->code[i].start,
                                     n->code[i].end);
        *ret = ran;
        return NULL;
    }
    bool written = !s->coarse->has_pages ||
                   urd_index_shows(x, n->space, n->address, n->size,
                                   urd_index_moment(x, n->at > x->end ? x->end : n->at).event);
    for (uint64_t page = n->address & ~4095ull; page < n->address + n->size && !written;
         page += 4096)
        written = may_write(x, s, n->space, page, n->at);
    *ret = written;
    return NULL;
}

static struct urd_index_gap gap_of(const struct urd_index *x, const struct urd_index_segment *s)
{
    int64_t end = s->start + s->steps;
    return (struct urd_index_gap){
        .first = s->start - 1,
        .end = end,
        .from = {s->start_event, (uint64_t)(s->start - x->events[s->start_event].clock)},
        .to = {s->end_event, (uint64_t)(end - x->events[s->end_event].clock)}};
}

urd_err *urd_index_missing(struct urd_index *x, const struct urd_index_need *n,
                           struct urd_index_gap **ret, uint32_t *ret_n)
{
    uint32_t capacity = 0;
    bool open = false; /* the last one reaches to here */
    *ret = NULL;
    *ret_n = 0;
    for (uint32_t i = 0; x->n_gaps && i < x->n_segments; i++) {
        struct urd_index_segment *s = &x->segments[i];
        bool lacks = s->counted && s->start - 1 < n->to && s->start + s->steps > n->from;
        if (lacks)
            URD_TRY(matters(x, s, n, &lacks));
        if (lacks && !open)
            URD_PUSH(*ret, *ret_n, capacity) = gap_of(x, s);
        if (lacks) {
            struct urd_index_gap g = gap_of(x, s), *last = &(*ret)[*ret_n - 1];
            last->end = g.end;
            last->to = g.to;
        }
        open = lacks;
    }
    return NULL;
}

urd_err *urd_index_lacks(struct urd_index *x, const struct urd_index_need *n, bool *ret,
                         int64_t *ret_end)
{
    *ret = false;
    for (uint32_t i = x->n_gaps ? x->n_segments : 0; i-- > 0 && !*ret;) {
        struct urd_index_segment *s = &x->segments[i];
        if (!s->counted || s->start - 1 >= n->to || s->start + s->steps <= n->from)
            continue;
        URD_TRY(matters(x, s, n, ret));
        if (*ret && ret_end)
            *ret_end = s->start + s->steps;
    }
    return NULL;
}

bool urd_index_knows_depth(const struct urd_index *x, int64_t clock)
{
    return !x->n_gaps || x->gaps[0].first >= clock;
}
