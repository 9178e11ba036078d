/* Joining the segments: absolute clocks for segments and events, the calls that cross segments, the stack of each task at
 * each segment's start, and the trace's events as rows. One pass over the segments, one over the trace. */
#include "base/map.h"
#include "indexer/coroutines.h"
#include "indexer/flow.h"
#include "indexer/index.h"
#include "indexer/schema.h"
#include "indexer/store.h"
#include <stdio.h>

/** How the last block of a task ended that had none after it yet. */
struct pending {
    int32_t tid;
    uint8_t transfer; /* enum urd_flow_transfer */
    bool by_return;
    uint64_t site, function;
    uint64_t slot, return_pc; /* slot: of a call, or the stack pointer */
    int64_t clock;            /* of what is leaving */
};

struct cross {
    uint32_t space;
    struct urd_call call;
};

struct join {
    struct urd_trace *trace;
    struct urd_store *store;
    sqlite3 *db;
    struct urd_coroutines stacks;
    struct pending *pending; /* of each task that was seen */
    uint32_t n_pending, cap_pending;
    int64_t *clocks; /* of events, index 0 unused */
    uint64_t n_clocks, cap_clocks;
    int64_t base;
    struct cross *cross;
    uint32_t n_cross, cap_cross;
    int32_t tid;
};

static void cross_done(void *data, const struct urd_call *call)
{
    struct join *j = data;
    URD_PUSH(j->cross, j->n_cross, j->cap_cross) = (struct cross){0, *call};
}

static struct pending *pending_of(struct join *j, int32_t tid)
{
    for (uint32_t i = 0; i < j->n_pending; i++)
        if (j->pending[i].tid == tid)
            return &j->pending[i];
    URD_PUSH(j->pending, j->n_pending, j->cap_pending) = (struct pending){.tid = tid};
    return &j->pending[j->n_pending - 1];
}

/** The call or jump with which the segment before ended gets its target. */
static void arrive(struct join *j, const struct pending *p, const struct urd_flow_place *to,
                   int64_t clock)
{
    struct urd_call_change c = {.kind = URD_CALLS_JUMPED, .tid = p->tid, .clock = clock};
    c.jump = (struct urd_call_jump){.site = p->site,
                                    .function = p->function,
                                    .to = to->pc,
                                    .to_function = to->function,
                                    .sp = p->slot,
                                    .clock = clock,
                                    .indirect = p->transfer != URD_TRANSFER_JUMP,
                                    .to_entry = to->flags & URD_BLOCK_ENTRY};
    if (p->transfer == URD_TRANSFER_CALL) {
        c.kind = URD_CALLS_CALLED;
        c.sp = p->slot;
        urd_coroutines_change(&j->stacks, &c);
        urd_coroutines_push(&j->stacks, p->tid,
                            (struct urd_call_frame){.callee = to->pc,
                                                    .return_pc = p->return_pc,
                                                    .sp = p->slot,
                                                    .site = p->site,
                                                    .entry = clock});
        return;
    }
    if (p->transfer == URD_TRANSFER_LEAVING) {
        c.clock = p->clock;
        c.sp = p->slot;
        c.kind = p->by_return ? URD_CALLS_RETURNED : URD_CALLS_JUMPED;
    } else if (to->function == p->function) {
        return;
    } else if (p->transfer == URD_TRANSFER_JUMP) {
        c.jump.sp = URD_CALLS_OUTER;
    }
    urd_coroutines_change(&j->stacks, &c);
}

/** A task of a segment: what it brought along arrives. */
static int32_t join_task(struct join *j, struct urd_cursor *in, uint32_t *ret_space)
{
    struct urd_flow_place first = {0};
    struct pending now = {.tid = (int32_t)urd_cursor_varint(in)};
    *ret_space = (uint32_t)urd_cursor_varint(in);
    first.pc = urd_cursor_varint(in);
    first.function = urd_cursor_varint(in);
    first.flags = urd_cursor_u8(in);
    int64_t clock = (int64_t)urd_cursor_varint(in) + j->base;
    now.transfer = urd_cursor_u8(in);
    now.by_return = urd_cursor_u8(in);
    now.site = urd_cursor_varint(in);
    now.function = urd_cursor_varint(in);
    now.slot = urd_cursor_varint(in);
    now.return_pc = urd_cursor_varint(in);
    now.clock = urd_unzigzag(urd_cursor_varint(in)) + j->base;
    struct pending *p = pending_of(j, now.tid);
    if (first.pc && p->transfer)
        arrive(j, p, &first, clock);
    if (first.pc || now.transfer)
        *p = now;
    return now.tid;
}

/** The joins blob of one segment: stacks at its start go to *ret_stacks, stacks at its end into j. */
static urd_err *join_stacks(struct join *j, const void *data, size_t size,
                            struct urd_buf *ret_stacks)
{
    uint8_t *raw;
    size_t raw_size;
    URD_TRY(urd_blob_unpack(data, size, &raw, &raw_size));
    struct urd_cursor in = urd_cursor(raw, raw_size);
    struct urd_buf stacks = {0};
    uint64_t n = urd_cursor_varint(&in);
    struct {
        int32_t tid;
        uint32_t space;
    } *tasks = urd_xcalloc(n <= raw_size ? n + 1 : 1, sizeof *tasks);
    in.ok &= n <= raw_size;
    j->stacks.segment++;
    for (uint64_t i = 0; i < n && in.ok; i++)
        tasks[i].tid = join_task(j, &in, &tasks[i].space);
    urd_buf_varint(&stacks, n);
    for (uint64_t i = 0; i < n && in.ok; i++)
        urd_coroutines_encode(urd_coroutines_of(&j->stacks, tasks[i].tid), &stacks);
    j->stacks.went_on = &stacks;
    for (uint64_t left = urd_cursor_varint(&in); left && in.ok; left--) {
        struct urd_call_change c = urd_calls_change_decode(&in, j->base);
        urd_coroutines_apply(&j->stacks, &c, &in, j->base);
    }
    j->stacks.went_on = NULL;
    for (uint64_t i = 0; i < n && in.ok; i++)
        urd_coroutines_enter(&j->stacks, tasks[i].tid, tasks[i].space, &in, j->base);
    free(tasks);
    free(raw);
    if (!in.ok) {
        urd_buf_deinit(&stacks);
        URD_FAIL("a segment of the index is damaged");
    }
    urd_blob_pack(stacks.data, stacks.size, ret_stacks);
    urd_buf_deinit(&stacks);
    return NULL;
}

/** What runs in a segment that is only counted is not known: no stack goes on beyond it. */
static void forget_stacks(struct join *j)
{
    urd_coroutines_forget(&j->stacks, j->base);
    for (uint32_t i = 0; i < j->n_pending; i++)
        j->pending[i].transfer = URD_TRANSFER_NONE;
}

static urd_err *event_clocks(struct join *j, const void *data, size_t size)
{
    uint8_t *raw;
    size_t raw_size;
    URD_TRY(urd_blob_unpack(data, size, &raw, &raw_size));
    struct urd_cursor in = urd_cursor(raw, raw_size);
    int64_t clock = j->base;
    while (urd_cursor_left(&in) && in.ok) {
        clock += (int64_t)urd_cursor_varint(&in);
        URD_PUSH(j->clocks, j->n_clocks, j->cap_clocks) = clock;
    }
    free(raw);
    return NULL;
}

/** counted: there is no stack. Only what is not there already is written: a row is written as a whole, its dictionary of blocks included. */
static urd_err *put_joined(struct join *j, sqlite3_stmt *put, sqlite3_stmt *q, bool counted,
                           const struct urd_buf *stacks)
{
    bool there = sqlite3_column_type(q, 4) != SQLITE_NULL && sqlite3_column_int64(q, 4) == j->base;
    size_t size = (size_t)sqlite3_column_bytes(q, 5);
    if (there && (counted || (size && size == stacks->size &&
                              memcmp(sqlite3_column_blob(q, 5), stacks->data, size) == 0)))
        return NULL;
    sqlite3_bind_int64(put, 1, j->base);
    if (counted)
        sqlite3_bind_null(put, 2);
    else
        sqlite3_bind_blob(put, 2, stacks->data, (int)stacks->size, SQLITE_STATIC);
    sqlite3_bind_int64(put, 3, sqlite3_column_int64(q, 0));
    bool ok = sqlite3_step(put) == SQLITE_DONE;
    sqlite3_reset(put);
    return ok ? NULL : urd_store_failed(j->db, "cannot write the index");
}

static urd_err *join_segments(struct join *j)
{
    sqlite3_stmt *q, *put;
    if (sqlite3_prepare_v2(j->db,
                           "SELECT id, steps, event_steps, joins, start_clock, stacks, "
                           "steps = 0 AND start_event = end_event FROM segments WHERE start_clock "
                           "IS NOT NULL ORDER BY id",
                           -1, &q, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(j->db, "UPDATE segments SET start_clock = ?, stacks = ? WHERE id = ?",
                           -1, &put, NULL) != SQLITE_OK)
        return urd_store_failed(j->db, "cannot read the index");
    urd_err *err = NULL;
    struct urd_buf stacks = {0};
    URD_PUSH(j->clocks, j->n_clocks, j->cap_clocks) = 0;
    while (!err && sqlite3_step(q) == SQLITE_ROW) {
        err = event_clocks(j, sqlite3_column_blob(q, 2), (size_t)sqlite3_column_bytes(q, 2));
        bool counted = sqlite3_column_type(q, 3) == SQLITE_NULL;
        if (counted && !sqlite3_column_int(q, 6)) /* there is something in it */
            forget_stacks(j);
        else if (!counted && !err)
            err = join_stacks(j, sqlite3_column_blob(q, 3), (size_t)sqlite3_column_bytes(q, 3),
                              &stacks);
        if (!err)
            err = put_joined(j, put, q, counted, &stacks);
        j->base += sqlite3_column_int64(q, 1);
    }
    urd_buf_deinit(&stacks);
    sqlite3_finalize(q);
    sqlite3_finalize(put);
    return err;
}

/* ---- the trace's events ---- */

struct space_now {
    int32_t tid;
    uint32_t space;
};

struct live_mapping {
    uint32_t space;
    uint64_t start, end, file_offset, from_event;
    uint32_t file, object;
    uint8_t prot, shared;
    char *name;
};

struct rows {
    struct join *j;
    struct urd_map space_of; /* tid -> space */
    uint32_t n_spaces;
    struct live_mapping *maps;
    uint32_t n_maps, cap_maps;
    sqlite3_stmt *event, *output, *mapping, *space, *remap, *task, *task_end;
};

static int64_t event_clock(const struct join *j, uint64_t event)
{
    return event < j->n_clocks ? j->clocks[event] : j->base;
}

static void bind_all(sqlite3_stmt *q, const int64_t *numbers, int n)
{
    for (int i = 0; i < n; i++)
        sqlite3_bind_int64(q, i + 1, numbers[i]);
}

static urd_err *run(struct rows *r, sqlite3_stmt *q)
{
    int code = sqlite3_step(q);
    sqlite3_reset(q);
    if (code != SQLITE_DONE)
        return urd_store_failed(r->j->db, "cannot write the index");
    return NULL;
}

static urd_err *end_mapping(struct rows *r, uint32_t i, uint64_t event)
{
    struct live_mapping *m = &r->maps[i];
    const int64_t numbers[] = {m->space,  (int64_t)m->start, (int64_t)(m->end - m->start), m->prot,
                               m->shared, m->file,           (int64_t)m->file_offset};
    bind_all(r->mapping, numbers, 7);
    sqlite3_bind_text(r->mapping, 8, m->name, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(r->mapping, 9, (int64_t)m->from_event);
    sqlite3_bind_int64(r->mapping, 10, (int64_t)event);
    sqlite3_bind_int64(r->mapping, 11, m->object);
    free(m->name);
    *m = r->maps[--r->n_maps];
    return run(r, r->mapping);
}

static void add_mapping(struct rows *r, struct live_mapping m, const char *name)
{
    m.name = strdup(name);
    URD_PUSH(r->maps, r->n_maps, r->cap_maps) = m;
}

/** [start, end) of a space is unmapped or changes: what was there ends, its rest begins anew as it was. */
static urd_err *cut_mappings(struct rows *r, uint32_t space, uint64_t start, uint64_t end,
                             uint64_t event, int new_prot)
{
    for (uint32_t i = 0; i < r->n_maps;) {
        struct live_mapping m = r->maps[i];
        if (m.space != space || m.end <= start || m.start >= end) {
            i++;
            continue;
        }
        if (m.from_event == event && new_prot >= 0 && m.prot == new_prot) {
            i++;
            continue;
        }
        URD_AUTO_FREE char *name = strdup(m.name);
        URD_TRY(end_mapping(r, i, event));
        struct live_mapping left = m, right = m, middle = m;
        left.end = start;
        right.start = end;
        right.file_offset += end - m.start;
        middle.start = m.start > start ? m.start : start;
        middle.end = m.end < end ? m.end : end;
        middle.file_offset += middle.start - m.start;
        if (m.start < start)
            add_mapping(r, left, name);
        if (m.end > end)
            add_mapping(r, right, name);
        if (new_prot >= 0) {
            middle.prot = (uint8_t)new_prot;
            middle.from_event = event;
            add_mapping(r, middle, name);
        }
        i = 0;
    }
    return NULL;
}

/** What mremap moves stays what it was, in another place. */
static urd_err *move_mapping(struct rows *r, uint32_t space, const struct urd_map_op *op,
                             uint64_t event)
{
    struct live_mapping moved = {.prot = op->prot, .shared = op->shared, .file = op->file};
    URD_AUTO_FREE char *name = NULL;
    for (uint32_t i = 0; i < r->n_maps && !name; i++) {
        const struct live_mapping *m = &r->maps[i];
        if (m->space != space || op->offset < m->start || op->offset >= m->end)
            continue;
        moved = *m;
        moved.file_offset += op->offset - m->start;
        name = strdup(m->name);
    }
    moved.space = space;
    moved.start = op->start;
    moved.end = op->start + op->size;
    moved.from_event = event;
    URD_TRY(cut_mappings(r, space, op->offset, op->offset + op->old_size, event, -1));
    URD_TRY(cut_mappings(r, space, moved.start, moved.end, event, -1));
    add_mapping(r, moved, name ? name : op->name);
    return NULL;
}

static urd_err *map_op(struct rows *r, uint32_t space, const struct urd_map_op *op, uint64_t event)
{
    uint64_t end = op->start + op->size;
    switch (op->kind) {
    case URD_MAP_UNMAP:
        return cut_mappings(r, space, op->start, end, event, -1);
    case URD_MAP_PROTECT:
        return cut_mappings(r, space, op->start, end, event, op->prot);
    case URD_MAP_MOVE:
        return move_mapping(r, space, op, event);
    case URD_MAP_DISCARD:
    case URD_MAP_RESIZE:
        return NULL;
    }
    URD_TRY(cut_mappings(r, space, op->start, end, event, -1));
    add_mapping(r,
                (struct live_mapping){.space = space,
                                      .start = op->start,
                                      .end = end,
                                      .file_offset = op->offset,
                                      .from_event = event,
                                      .file = op->file,
                                      .object = op->object,
                                      .prot = op->prot,
                                      .shared = op->shared},
                op->name);
    return NULL;
}

static urd_err *put_remap(struct rows *r, uint32_t space, const struct urd_map_op *op,
                          uint64_t event)
{
    if (op->kind == URD_MAP_PROTECT || op->kind == URD_MAP_RESIZE)
        return NULL;
    const int64_t numbers[] = {space,
                               (int64_t)op->start,
                               (int64_t)op->size,
                               (int64_t)event,
                               op->kind,
                               op->kind == URD_MAP_MOVE ? (int64_t)op->offset : 0,
                               op->kind == URD_MAP_MOVE ? (int64_t)op->old_size : 0};
    bind_all(r->remap, numbers, 7);
    return run(r, r->remap);
}

static urd_err *new_space(struct rows *r, const struct urd_event *e, uint32_t parent,
                          const char *path)
{
    const int64_t numbers[] = {++r->n_spaces, e->pid, parent, (int64_t)e->number,
                               event_clock(r->j, e->number)};
    bind_all(r->space, numbers, 5);
    sqlite3_bind_text(r->space, 6, path, -1, SQLITE_TRANSIENT);
    *urd_map_put(&r->space_of, (uint32_t)e->tid) = r->n_spaces;
    return run(r, r->space);
}

static urd_err *new_task(struct rows *r, const struct urd_event *e)
{
    const int64_t numbers[] = {e->tid, e->pid, e->other_tid};
    bind_all(r->task, numbers, 3);
    sqlite3_bind_text(r->task, 4, "", -1, SQLITE_STATIC);
    sqlite3_bind_int64(r->task, 5, (int64_t)e->number);
    return run(r, r->task);
}

static urd_err *name_task(struct rows *r, const struct urd_event *e)
{
    URD_AUTO_FREE char *path = strdup(e->text);
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    URD_AUTO_FREE char *sql =
        sqlite3_mprintf("UPDATE tasks SET name = %Q WHERE tid = %d", name, e->tid);
    char *copy = strdup(sql);
    sqlite3_free(sql);
    sql = copy;
    return urd_store_exec(r->j->store, sql);
}

static urd_err *space_event(struct rows *r, const struct urd_event *e)
{
    if (e->kind == URD_EVENT_EXEC) {
        bool first = !urd_map_get(&r->space_of, (uint32_t)e->tid);
        if (first)
            URD_TRY(new_task(r, e));
        URD_TRY(name_task(r, e));
        return new_space(r, e, 0, e->text);
    }
    if (e->kind != URD_EVENT_START)
        return NULL;
    URD_TRY(new_task(r, e));
    uint64_t *parent = urd_map_get(&r->space_of, (uint32_t)e->other_tid);
    uint32_t from = parent ? (uint32_t)*parent : 0;
    if (e->flags & URD_EVENT_SHARES) {
        *urd_map_put(&r->space_of, (uint32_t)e->tid) = from;
        return NULL;
    }
    URD_TRY(new_space(r, e, from, ""));
    uint32_t n = r->n_maps;
    for (uint32_t i = 0; i < n; i++)
        if (r->maps[i].space == from) {
            struct live_mapping m = r->maps[i];
            m.space = r->n_spaces;
            m.from_event = e->number;
            add_mapping(r, m, r->maps[i].name);
        }
    return NULL;
}

static urd_err *end_task(struct rows *r, const struct urd_event *e)
{
    bind_all(r->task_end, (const int64_t[]){(int64_t)e->number, e->status, e->tid}, 3);
    return run(r, r->task_end);
}

static urd_err *put_event(struct rows *r, const struct urd_event *e, uint32_t space)
{
    int64_t result = (int64_t)e->after.rax;
    const int64_t numbers[] = {(int64_t)e->number,
                               event_clock(r->j, e->number),
                               e->kind,
                               e->flags,
                               e->pid,
                               e->tid,
                               space,
                               e->syscall,
                               result,
                               e->signal,
                               e->status,
                               e->other_tid,
                               (int64_t)e->time_ns,
                               (int64_t)e->before.rip};
    bind_all(r->event, numbers, 14);
    sqlite3_bind_text(r->event, 15, e->text, -1, SQLITE_TRANSIENT);
    const uint64_t args[6] = {e->before.rdi, e->before.rsi, e->before.rdx,
                              e->before.r10, e->before.r8,  e->before.r9};
    if (e->syscall >= 0)
        sqlite3_bind_blob(r->event, 16, args, sizeof args, SQLITE_TRANSIENT);
    else
        sqlite3_bind_null(r->event, 16);
    URD_TRY(run(r, r->event));
    if (e->output) {
        bind_all(r->output,
                 (const int64_t[]){(int64_t)e->number, event_clock(r->j, e->number), e->output,
                                   e->pid, e->tid},
                 5);
        sqlite3_bind_blob(r->output, 6, e->output_data, (int)e->output_size, SQLITE_TRANSIENT);
        URD_TRY(run(r, r->output));
    }
    return NULL;
}

static urd_err *one_event(struct rows *r, const struct urd_event *e)
{
    URD_TRY(space_event(r, e));
    uint64_t *slot = urd_map_get(&r->space_of, (uint32_t)e->tid);
    uint32_t space = slot ? (uint32_t)*slot : 0;
    for (uint32_t i = 0; i < e->n_map_ops; i++) {
        URD_TRY(map_op(r, space, &e->map_ops[i], e->number));
        URD_TRY(put_remap(r, space, &e->map_ops[i], e->number));
    }
    if (e->kind == URD_EVENT_EXIT)
        URD_TRY(end_task(r, e));
    return put_event(r, e, space);
}

static urd_err *fill_rows(struct rows *r)
{
    struct urd_trace_reader *reader;
    URD_TRY(urd_trace_read_from(r->j->trace, 1, &reader));
    urd_err *err = NULL;
    const struct urd_event *e = NULL;
    uint64_t last = 0;
    while (!err && !(err = urd_trace_next(reader, &e)) && e) {
        err = one_event(r, e);
        last = e->number;
    }
    urd_trace_reader_close(reader);
    while (!err && r->n_maps)
        err = end_mapping(r, r->n_maps - 1, last + 1);
    return err;
}

static urd_err *make_rows(struct join *j)
{
    struct rows r = {.j = j};
    static const char *const sql[] = {
        "INSERT INTO events VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        "INSERT INTO outputs VALUES(?,?,?,?,?,?)",
        "INSERT INTO mappings VALUES(?,?,?,?,?,?,?,?,?,?,?)",
        "INSERT INTO spaces VALUES(?,?,?,?,?,?)",
        "INSERT INTO remaps VALUES(?,?,?,?,?,?,?)",
        "INSERT OR IGNORE INTO tasks(tid,pid,parent,name,start_event) VALUES(?,?,?,?,?)",
        "UPDATE tasks SET end_event = ?, status = ? WHERE tid = ?"};
    sqlite3_stmt **statements[] = {&r.event, &r.output, &r.mapping, &r.space,
                                   &r.remap, &r.task,   &r.task_end};
    for (unsigned i = 0; i < 7; i++)
        if (sqlite3_prepare_v2(j->db, sql[i], -1, statements[i], NULL) != SQLITE_OK)
            return urd_store_failed(j->db, "cannot prepare a statement of the index");
    urd_err *err = fill_rows(&r);
    for (unsigned i = 0; i < 7; i++)
        sqlite3_finalize(*statements[i]);
    for (uint32_t i = 0; i < r.n_maps; i++)
        free(r.maps[i].name);
    free(r.maps);
    urd_map_deinit(&r.space_of);
    return err;
}

/* Those that cross segments are found by their rowids: nothing else leads to them. */
#define FORGET_CROSS_CALLS "DELETE FROM calls WHERE rowid < 0;"

enum { CROSS_ROW = 8192 };

/** By callee, and in order. */
static int by_callee(const void *a, const void *b)
{
    const struct cross *x = a, *y = b;
    if (x->space != y->space)
        return x->space < y->space ? -1 : 1;
    if (x->call.callee != y->call.callee)
        return x->call.callee < y->call.callee ? -1 : 1;
    if (x->call.end != y->call.end)
        return x->call.end < y->call.end ? -1 : 1;
    return x->call.depth > y->call.depth ? -1 : x->call.depth < y->call.depth;
}

static urd_err *put_cross_calls(struct join *j)
{
    sqlite3_stmt *put;
    if (sqlite3_prepare_v2(
            j->db, "INSERT INTO calls(space, entry, data, rowid, segment, n) VALUES(?,?,?,?,-1,?)",
            -1, &put, NULL) != SQLITE_OK)
        return urd_store_failed(j->db, "cannot write the index");
    if (j->n_cross)
        qsort(j->cross, j->n_cross, sizeof *j->cross, by_callee);
    struct urd_buf raw = {0}, packed = {0};
    struct urd_call *calls = urd_xcalloc(CROSS_ROW, sizeof *calls);
    urd_err *err = NULL;
    for (uint32_t i = 0, n; i < j->n_cross && !err; i += n) {
        const struct cross *c = &j->cross[i];
        for (n = 0; n < CROSS_ROW && i + n < j->n_cross && c[n].space == c->space &&
                    c[n].call.callee == c->call.callee;
             n++)
            calls[n] = c[n].call;
        raw.size = 0;
        urd_calls_encode(calls, n, &raw);
        urd_blob_pack(raw.data, raw.size, &packed);
        sqlite3_bind_int64(put, 1, c->space);
        sqlite3_bind_int64(put, 2, (int64_t)c->call.callee);
        sqlite3_bind_blob(put, 3, packed.data, (int)packed.size, SQLITE_STATIC);
        sqlite3_bind_int64(put, 4, -1 - (int64_t)i);
        sqlite3_bind_int64(put, 5, n);
        if (sqlite3_step(put) != SQLITE_DONE)
            err = urd_store_failed(j->db, "cannot write the index");
        sqlite3_reset(put);
    }
    sqlite3_finalize(put);
    free(calls);
    urd_buf_deinit(&raw);
    urd_buf_deinit(&packed);
    return err;
}

/** The first event at or after a clock: by halves, where SQLite would look through all events before it. */
static uint64_t event_from(const struct join *j, int64_t clock)
{
    uint64_t low = 1, high = j->n_clocks;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (j->clocks[middle] < clock)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/** The space that a task lived in at a clock: crossing calls belong to it. */
static urd_err *space_cross_calls(struct join *j)
{
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(
            j->db,
            "SELECT space FROM events WHERE tid = ? AND number >= ? AND space > 0 ORDER BY "
            "number LIMIT 1",
            -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(j->db, "cannot read the index");
    for (uint32_t i = 0; i < j->n_cross; i++) {
        sqlite3_bind_int64(q, 1, j->cross[i].call.tid);
        sqlite3_bind_int64(q, 2, (int64_t)event_from(j, j->cross[i].call.entry));
        if (sqlite3_step(q) == SQLITE_ROW)
            j->cross[i].space = (uint32_t)sqlite3_column_int(q, 0);
        sqlite3_reset(q);
    }
    sqlite3_finalize(q);
    return NULL;
}

/** In a transaction of the caller's. */
static urd_err *join_calls(struct join *j)
{
    urd_coroutines_forget(&j->stacks, j->base); /* what is still open when the trace ends */
    URD_TRY(space_cross_calls(j));
    return put_cross_calls(j);
}

static urd_err *join_again(struct join *j)
{
    URD_TRY(urd_store_exec(j->store, FORGET_CROSS_CALLS));
    URD_TRY(join_segments(j));
    return join_calls(j);
}

static urd_err *join_all(struct join *j)
{
    URD_TRY(urd_store_exec(j->store, "BEGIN"));
    URD_TRY(urd_store_exec(
        j->store, "DELETE FROM events; DELETE FROM outputs; DELETE FROM mappings;"
                  "DELETE FROM spaces; DELETE FROM tasks; DELETE FROM remaps; " FORGET_CROSS_CALLS
                  "UPDATE segments SET start_clock = 0 WHERE start_clock IS NULL;"));
    URD_TRY(join_segments(j));
    URD_TRY(make_rows(j));
    URD_TRY(urd_store_exec(j->store, URD_INDEX_INDEXES));
    URD_TRY(join_calls(j));
    URD_AUTO_FREE char *sql =
        urd_xprintf("INSERT OR REPLACE INTO meta VALUES('complete', 1), ('steps', %lld), "
                    "('trace_events', %llu); COMMIT;",
                    (long long)j->base, (unsigned long long)urd_trace_event_count(j->trace));
    return urd_store_exec(j->store, sql);
}

static void join_deinit(struct join *j)
{
    urd_coroutines_deinit(&j->stacks);
    free(j->pending);
    free(j->clocks);
    free(j->cross);
}

urd_err *urd_index_join(struct urd_trace *trace, struct urd_store *store)
{
    struct join j = {.trace = trace, .store = store, .db = urd_store_db(store)};
    j.stacks.done = cross_done;
    j.stacks.data = &j;
    urd_err *err = join_all(&j);
    if (err)
        sqlite3_exec(j.db, "ROLLBACK", NULL, NULL, NULL);
    join_deinit(&j);
    return err;
}

urd_err *urd_index_join_more(struct urd_trace *trace, struct urd_store *store)
{
    struct join j = {.trace = trace, .store = store, .db = urd_store_db(store)};
    j.stacks.done = cross_done;
    j.stacks.data = &j;
    urd_err *err = join_again(&j);
    join_deinit(&j);
    return err;
}
