/* The lives of memory that system calls gave: mmap, mremap, brk and their like.
 *
 * A region is a range that one call mapped and one call took away; when only a part is unmapped, or mapped over, it has been several regions from
 * the beginning. What an exec maps is none. A fork's child has its parent's, and rows of its own only for those that it ended itself.
 */
#include "query/allocations.h"
#include "indexer/store.h"
#include "record/record.h"

struct region {
    uint32_t space;
    uint64_t start, end, event;
    bool inherited;
};

struct regions {
    struct urd_engine *e;
    sqlite3_stmt *put;
    int64_t id; /* of the last row */
    struct region *live;
    uint32_t n, capacity;
    uint32_t n_spaces; /* that have begun */
};

/** Of an event's call; the names are those of the function that called its wrapper in libc, when it has one. */
struct call_place {
    const char *call;
    int32_t tid;
    uint64_t pc;
    struct place_name caller;
};

static bool is_wrapper(const char *function, const char *call)
{
    function += strspn(function, "_");
    return strncmp(function, call, strlen(call)) == 0 || strcmp(function, "syscall") == 0;
}

static urd_err *find_caller(struct urd_engine *e, uint64_t event, struct call_place *ret)
{
    const struct urd_index_event *ev = &e->index->events[event];
    struct urd_index_place at;
    struct urd_call_stack stack;
    *ret = (struct call_place){.tid = ev->tid,
                               .call = ev->syscall >= 0 ? urd_record_syscall_name(ev->syscall)
                                                        : urd_event_kind_name(ev->kind)};
    URD_TRY(urd_index_place(e->index, ev->clock - 1, &at));
    if (!at.found || at.tid != ev->tid)
        return NULL;
    ret->pc = at.pc;
    engine_name(e, at.space, event, at.pc, false, &ret->caller);
    if (!is_wrapper(ret->caller.function, ret->call))
        return NULL;
    URD_TRY(urd_index_stack(e->index, ev->clock - 1, ev->tid, &stack));
    if (stack.n) {
        ret->pc = stack.frames[stack.n - 1].return_pc;
        engine_name(e, at.space, event, ret->pc, true, &ret->caller);
    }
    free(stack.frames);
    return NULL;
}

static void bind_text(sqlite3_stmt *q, int column, const char *text)
{
    if (text && text[0])
        sqlite3_bind_text(q, column, text, -1, SQLITE_TRANSIENT);
    else
        sqlite3_bind_null(q, column);
}

/** Columns from `first` on: pc, caller, file, line. */
static void bind_call(sqlite3_stmt *q, int first, const struct call_place *c)
{
    sqlite3_bind_int64(q, first, (int64_t)c->pc);
    bind_text(q, first + 1, c->caller.function);
    bind_text(q, first + 2, c->caller.file);
    if (c->caller.line)
        sqlite3_bind_int64(q, first + 3, c->caller.line);
}

/** end: the event that took it away; 0: none. */
static urd_err *put_region(struct regions *r, const struct region *g, uint64_t end)
{
    const struct urd_index_event *events = r->e->index->events;
    struct call_place made, ended;
    URD_TRY(find_caller(r->e, g->event, &made));
    const int64_t numbers[] = {++r->id,
                               g->space,
                               (int64_t)g->start,
                               (int64_t)(g->end - g->start),
                               events[g->event].clock - 1,
                               events[g->event].clock,
                               made.tid};
    for (int k = 0; k < 7; k++)
        sqlite3_bind_int64(r->put, k + 1, numbers[k]);
    bind_text(r->put, 8, made.call);
    bind_call(r->put, 9, &made);
    if (end) {
        URD_TRY(find_caller(r->e, end, &ended));
        sqlite3_bind_int64(r->put, 13, events[end].clock);
        sqlite3_bind_int64(r->put, 14, events[end].clock - 1);
        sqlite3_bind_int64(r->put, 15, ended.tid);
        bind_text(r->put, 16, ended.call);
        bind_call(r->put, 17, &ended);
    }
    sqlite3_bind_int64(r->put, 21, g->inherited);
    bool ok = sqlite3_step(r->put) == SQLITE_DONE;
    sqlite3_reset(r->put);
    sqlite3_clear_bindings(r->put);
    if (!ok)
        URD_FAIL("cannot write the allocations");
    return NULL;
}

static void add_region(struct regions *r, struct region g)
{
    if (g.start < g.end)
        URD_PUSH(r->live, r->n, r->capacity) = g;
}

/** Whatever is in [start, end) ends at the event. */
static urd_err *end_regions(struct regions *r, uint32_t space, uint64_t start, uint64_t end,
                            uint64_t event)
{
    for (uint32_t i = r->n; i-- > 0;) {
        struct region g = r->live[i], left = g, right = g;
        if (g.space != space || g.end <= start || g.start >= end)
            continue;
        r->live[i] = r->live[--r->n];
        left.end = start;
        right.start = end;
        add_region(r, left);
        add_region(r, right);
        g.start = g.start > start ? g.start : start;
        g.end = g.end < end ? g.end : end;
        URD_TRY(put_region(r, &g, event));
    }
    return NULL;
}

/** Spaces that forks made until now begin with their parent's regions. */
static void begin_spaces(struct regions *r, uint64_t event)
{
    const struct urd_index *x = r->e->index;
    while (r->n_spaces < x->n_spaces && x->spaces[r->n_spaces + 1].event <= event) {
        uint32_t space = ++r->n_spaces, n = r->n;
        for (uint32_t i = 0; i < n; i++) {
            struct region copy = r->live[i];
            if (copy.space != x->spaces[space].parent)
                continue;
            copy.space = space;
            copy.inherited = true;
            add_region(r, copy);
        }
    }
}

/** Columns of q: space, start, size, event, kind, old_start, old_size. */
static urd_err *one_change(struct regions *r, sqlite3_stmt *q)
{
    uint32_t space = (uint32_t)sqlite3_column_int64(q, 0);
    uint64_t start = (uint64_t)sqlite3_column_int64(q, 1),
             size = (uint64_t)sqlite3_column_int64(q, 2),
             event = (uint64_t)sqlite3_column_int64(q, 3),
             old = (uint64_t)sqlite3_column_int64(q, 5),
             old_size = (uint64_t)sqlite3_column_int64(q, 6);
    int kind = sqlite3_column_int(q, 4);
    begin_spaces(r, event);
    if (kind == URD_MAP_DISCARD)
        return NULL;
    if (kind == URD_MAP_MOVE)
        URD_TRY(end_regions(r, space, old, old + old_size, event));
    URD_TRY(end_regions(r, space, start, start + size, event));
    if (kind != URD_MAP_UNMAP && r->e->index->events[event].kind != URD_EVENT_EXEC)
        add_region(r, (struct region){space, start, start + size, event, false});
    return NULL;
}

urd_err *engine_regions_save(struct urd_engine *e, sqlite3_stmt *put, int64_t last_id)
{
    struct regions r = {.e = e, .put = put, .id = last_id};
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(e->index->db,
                           "SELECT space, start, size, event, kind, old_start, old_size FROM "
                           "remaps WHERE space > 0 ORDER BY event, rowid",
                           -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(e->index->db, "cannot read the index");
    urd_err *err = NULL;
    while (!err && sqlite3_step(q) == SQLITE_ROW)
        err = one_change(&r, q);
    sqlite3_finalize(q);
    for (uint32_t i = 0; i < r.n && !err; i++)
        if (!r.live[i].inherited)
            err = put_region(&r, &r.live[i], 0);
    free(r.live);
    return err;
}
