/* owner: whose memory is at an address: which block of the allocator's, and which mapping. */
#include "query/allocations.h"
#include "indexer/store.h"
#include "record/record.h"
#include <stdio.h>

/** A row of allocations.urd; numbers as there. */
struct owned {
    int64_t id, address, size, clock, returned, tid, freed, freed_call, freed_tid, heir;
    bool is_freed, freed_seen;
};

struct owning {
    struct answer *a;
    sqlite3 *db;
    uint32_t space; /* of the question */
    uint64_t address;
    int64_t at;
    json_t *live;      /* rows, the newest block first */
    struct owned dead; /* the one that was freed last; id 0: none */
    json_t *dead_row;
    int64_t *heirs; /* blocks of ancestors that are told by rows of their descendants */
    uint32_t n_heirs, cap_heirs;
};

/** The frames at a clock, innermost first: function, file, line, moment of the call. */
static urd_err *stack_json(struct urd_engine *e, uint32_t space, int64_t clock, int32_t tid,
                           json_t **ret)
{
    struct urd_call_stack stack = {0};
    struct urd_index_place place;
    URD_TRY(urd_index_stack(e->index, clock, tid, &stack));
    urd_err *err = urd_index_place(e->index, clock, &place);
    *ret = json_array();
    uint64_t event = urd_index_moment(e->index, clock).event,
             pc = !err && place.found ? place.pc : 0;
    bool is_caller = false;
    for (uint32_t i = stack.n + 1; i-- > 0 && !err;) {
        const struct urd_call_frame *frame = i ? &stack.frames[i - 1] : NULL;
        struct place_name n;
        engine_name(e, space, event, pc, is_caller, &n);
        size_t length = strlen(n.function);
        bool plumbing = (length > 4 && strcmp(n.function + length - 4, "@plt") == 0) || !pc ||
                        strncmp(n.function, "_dl_runtime_resolve", 19) == 0;
        if (!plumbing || i == stack.n) {
            json_t *row = json_object();
            json_set_place(row, &n);
            json_object_set_new(row, "moment",
                                frame ? json_moment(urd_index_moment(e->index, frame->entry))
                                      : json_null());
            json_array_append_new(*ret, row);
        }
        if (!frame)
            break;
        bool exact = frame->signal || (i > 1 && stack.frames[i - 2].sp == frame->sp);
        pc = exact ? frame->site : frame->return_pc;
        is_caller = !exact;
    }
    free(stack.frames);
    return err;
}

static void set_text(json_t *row, const char *field, sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    json_object_set_new(row, field, text ? json_text(text, strlen(text)) : json_null());
}

static void set_number(json_t *row, const char *field, sqlite3_stmt *q, int column)
{
    json_object_set_new(row, field,
                        sqlite3_column_type(q, column) == SQLITE_NULL
                            ? json_null()
                            : json_integer(sqlite3_column_int64(q, column)));
}

static json_t *moment_of(struct urd_engine *e, int64_t clock)
{
    return json_moment(urd_index_moment(e->index, clock));
}

#define OWNED_COLUMNS                                                                              \
    "id, address, size, clock, returned, tid, freed, freed_call, freed_tid, function, caller, "    \
    "file, line, freed_by, freed_caller, freed_file, freed_line, heir"

static struct owned read_owned(sqlite3_stmt *q)
{
    return (struct owned){.id = sqlite3_column_int64(q, 0),
                          .address = sqlite3_column_int64(q, 1),
                          .size = sqlite3_column_int64(q, 2),
                          .clock = sqlite3_column_int64(q, 3),
                          .returned = sqlite3_column_int64(q, 4),
                          .tid = sqlite3_column_int64(q, 5),
                          .freed = sqlite3_column_int64(q, 6),
                          .freed_call = sqlite3_column_int64(q, 7),
                          .freed_tid = sqlite3_column_int64(q, 8),
                          .heir = sqlite3_column_int64(q, 17),
                          .is_freed = sqlite3_column_type(q, 6) != SQLITE_NULL,
                          .freed_seen = sqlite3_column_type(q, 7) != SQLITE_NULL};
}

/** Who gave it; and who ended it, when somebody did. */
static void set_life(struct urd_engine *e, json_t *row, sqlite3_stmt *q, const struct owned *b)
{
    json_object_set_new(row, "returned", moment_of(e, b->returned));
    set_text(row, "function", q, 9);
    set_text(row, "caller", q, 10);
    set_text(row, "file", q, 11);
    set_number(row, "line", q, 12);
    json_object_set_new(row, "freed", b->is_freed ? moment_of(e, b->freed) : json_null());
    json_object_set_new(row, "freed_call",
                        b->freed_seen ? moment_of(e, b->freed_call) : json_null());
    json_object_set_new(row, "freed_clock", b->is_freed ? json_integer(b->freed) : json_null());
    json_object_set_new(row, "freed_tid", b->freed_seen ? json_integer(b->freed_tid) : json_null());
    if (!b->freed_seen)
        return;
    set_text(row, "freed_by", q, 13);
    set_text(row, "freed_caller", q, 14);
    set_text(row, "freed_file", q, 15);
    set_number(row, "freed_line", q, 16);
}

/** state: what it is at the moment of the question. */
static json_t *block_row(struct owning *o, sqlite3_stmt *q, const struct owned *b,
                         const char *state)
{
    struct urd_engine *e = o->a->engine;
    json_t *row =
        json_pack("{s:s, s:s, s:o, s:I, s:I, s:o, s:I, s:I}", "kind", "block", "state", state,
                  "address", json_hex((uint64_t)b->address), "size", (json_int_t)b->size, "offset",
                  (json_int_t)(o->address - (uint64_t)b->address), "moment", moment_of(e, b->clock),
                  "clock", (json_int_t)b->clock, "tid", (json_int_t)b->tid);
    set_life(e, row, q, b);
    return row;
}

static bool is_told(const struct owning *o, int64_t id)
{
    for (uint32_t i = 0; i < o->n_heirs; i++)
        if (o->heirs[i] == id)
            return true;
    return false;
}

static void take_block(struct owning *o, sqlite3_stmt *q, uint32_t space, int64_t until)
{
    struct owned b = read_owned(q);
    if (b.heir)
        URD_PUSH(o->heirs, o->n_heirs, o->cap_heirs) = b.heir;
    if (is_told(o, b.id))
        return;
    if (b.is_freed && b.freed <= until) {
        if (o->dead.id && b.freed <= o->dead.freed)
            return;
        json_decref(o->dead_row);
        o->dead_row = block_row(o, q, &b, "freed");
        o->dead = b;
        return;
    }
    if (space != o->space) /* what its parent did with it later is the parent's */
        b.is_freed = b.freed_seen = false;
    json_array_append_new(o->live, block_row(o, q, &b, "live"));
}

/** Rows of one space that began before `until` at or below the address (?3), as far as `rest` of the statement has it. */
static urd_err *owned_by(struct owning *o, uint32_t space, int64_t until, const char *rest,
                         sqlite3_stmt **ret)
{
    URD_AUTO_FREE char *sql =
        urd_xprintf("SELECT " OWNED_COLUMNS " FROM allocations WHERE space = ?1 AND "
                    "returned <= ?2 AND address <= ?3 AND %s",
                    rest);
    if (sqlite3_prepare_v2(o->db, sql, -1, ret, NULL) != SQLITE_OK)
        return urd_store_failed(o->db, "cannot read the allocations");
    sqlite3_bind_int64(*ret, 1, space);
    sqlite3_bind_int64(*ret, 2, until);
    sqlite3_bind_int64(*ret, 3, (int64_t)o->address);
    return NULL;
}

/** Blocks of one space that cover the address and began before `until`: when the question's space was forked, or the question. */
static urd_err *look_in(struct owning *o, uint32_t space, int64_t until)
{
    sqlite3_stmt *q;
    URD_TRY(owned_by(o, space, until,
                     "kind = 'block' AND address + max(size, 1) > ?3 "
                     "ORDER BY returned DESC, id DESC",
                     &q));
    while (sqlite3_step(q) == SQLITE_ROW)
        take_block(o, q, space, until);
    sqlite3_finalize(q);
    return NULL;
}

static urd_err *add_stacks(struct owning *o, json_t *row)
{
    struct urd_engine *e = o->a->engine;
    json_t *stack, *freed = json_object_get(row, "freed_call");
    int64_t clock = json_integer_value(json_object_get(row, "clock"));
    URD_TRY(stack_json(e, o->space, clock, (int32_t)json_integer_value(json_object_get(row, "tid")),
                       &stack));
    json_object_set_new(row, "stack", stack);
    if (!json_is_string(freed))
        return NULL;
    struct urd_moment m;
    URD_TRY(urd_moment_parse(json_string_value(freed), &m));
    URD_TRY(urd_index_clock(e->index, m, &clock));
    URD_TRY(stack_json(e, o->space, clock,
                       (int32_t)json_integer_value(json_object_get(row, "freed_tid")), &stack));
    json_object_set_new(row, "freed_stack", stack);
    return NULL;
}

/** The region of a space that the address lies in at a clock, or lay in last; what its life is goes to the row, or to a new one when that is NULL and
 * it is over. *ret_found: there is one. until: when the question's space left this one, what happened later is not its life. */
static urd_err *region_of(struct owning *o, uint32_t space, int64_t until, json_t **row,
                          bool *ret_found)
{
    sqlite3_stmt *q;
    URD_TRY(owned_by(o, space, until,
                     "kind = 'mapping' AND address + size > ?3 "
                     "ORDER BY freed IS NULL DESC, freed DESC LIMIT 1",
                     &q));
    *ret_found = sqlite3_step(q) == SQLITE_ROW;
    if (*ret_found) {
        struct owned b = read_owned(q);
        bool over = b.is_freed && b.freed <= until;
        if (!over && space != o->space)
            b.is_freed = b.freed_seen = false;
        if (!*row && over)
            *row = json_pack("{s:s, s:s, s:o, s:I, s:I, s:o, s:I, s:I}", "kind", "mapping", "state",
                             "unmapped", "address", json_hex((uint64_t)b.address), "size",
                             (json_int_t)b.size, "offset",
                             (json_int_t)(o->address - (uint64_t)b.address), "moment",
                             moment_of(o->a->engine, b.clock), "clock", (json_int_t)b.clock, "tid",
                             (json_int_t)b.tid);
        if (*row &&
            over == (strcmp(json_string_value(json_object_get(*row, "state")), "unmapped") == 0))
            set_life(o->a->engine, *row, q, &b);
    }
    sqlite3_finalize(q);
    return NULL;
}

/** As region_of, of the question's space or of the one from which it has the region. */
static urd_err *add_region(struct owning *o, json_t **row)
{
    int64_t until = o->at;
    bool found = !o->db;
    for (uint32_t space = o->space; space && !found;) {
        const struct urd_index_space *s = &o->a->engine->index->spaces[space];
        URD_TRY(region_of(o, space, until, row, &found));
        until = s->clock < until ? s->clock : until;
        space = s->parent;
    }
    return NULL;
}

/** The mapping that the address lies in, and the call that made it; or the one that it lay in last. */
static urd_err *give_mapping(struct owning *o, struct urd_moment m, bool *ret_any)
{
    struct urd_engine *e = o->a->engine;
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(e->index->db,
                           "SELECT start, size, name, prot, from_event FROM mappings WHERE space = "
                           "?1 AND start <= "
                           "?2 AND start + size > ?2 AND from_event <= ?3 AND to_event > ?3",
                           -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(e->index->db, "cannot read the index");
    sqlite3_bind_int64(q, 1, o->space);
    sqlite3_bind_int64(q, 2, (int64_t)o->address);
    sqlite3_bind_int64(q, 3, (int64_t)m.event);
    json_t *row = NULL;
    if (sqlite3_step(q) == SQLITE_ROW) {
        row = json_pack("{s:s, s:s, s:o, s:I, s:I}", "kind", "mapping", "state", "mapped",
                        "address", json_hex((uint64_t)sqlite3_column_int64(q, 0)), "size",
                        (json_int_t)sqlite3_column_int64(q, 1), "offset",
                        (json_int_t)((int64_t)o->address - sqlite3_column_int64(q, 0)));
        set_text(row, "name", q, 2);
    }
    sqlite3_finalize(q);
    *ret_any = row != NULL;
    URD_TRY(add_region(o, &row));
    if (!row)
        return NULL;
    if (!*ret_any) {
        URD_TRY(add_stacks(o, row));
        return answer_row(o->a, row, NULL);
    }
    uint64_t event = urd_index_life(e->index, o->space, o->address, o->at)->origin.event;
    const struct urd_index_event *ev =
        event && event <= e->index->n_events ? &e->index->events[event] : NULL;
    const char *call = !ev                          ? NULL
                       : ev->kind == URD_EVENT_EXEC ? "execve"
                       : ev->syscall >= 0           ? urd_record_syscall_name(ev->syscall)
                                                    : urd_event_kind_name(ev->kind);
    json_object_set_new(row, "function", call ? json_string(call) : json_null());
    json_object_set_new(row, "moment",
                        ev ? json_moment((struct urd_moment){event, 0}) : json_null());
    json_object_set_new(row, "clock", ev ? json_integer(ev->clock) : json_null());
    json_object_set_new(row, "tid", ev ? json_integer(ev->tid) : json_null());
    if (ev && ev->kind != URD_EVENT_EXEC) {
        json_t *stack;
        URD_TRY(stack_json(e, o->space, ev->clock, ev->tid, &stack));
        json_object_set_new(row, "stack", stack);
    }
    return answer_row(o->a, row, NULL);
}

/** Was anything mapped at the address since the dead block ended? Then what is there, or was last, is not its memory. */
static urd_err *is_replaced(struct owning *o, uint64_t event, bool *ret)
{
    struct urd_index *x = o->a->engine->index;
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(
            x->db,
            "SELECT 1 FROM remaps WHERE space = ?1 AND event > ?2 AND event <= ?3 AND start <= ?4 "
            "AND start + size > ?4 AND kind IN (?5, ?6) LIMIT 1",
            -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(x->db, "cannot read the index");
    const int64_t numbers[] = {o->space,       (int64_t)urd_index_moment(x, o->dead.freed).event,
                               (int64_t)event, (int64_t)o->address,
                               URD_MAP_MAP,    URD_MAP_MOVE};
    for (int i = 0; i < 6; i++)
        sqlite3_bind_int64(q, i + 1, numbers[i]);
    *ret = sqlite3_step(q) == SQLITE_ROW;
    sqlite3_finalize(q);
    return NULL;
}

static urd_err *give_blocks(struct owning *o, uint64_t event)
{
    size_t i;
    json_t *row;
    bool replaced = true;
    if (!json_array_size(o->live) && o->dead_row)
        URD_TRY(is_replaced(o, event, &replaced));
    if (!replaced)
        json_array_append(o->live, o->dead_row);
    json_array_foreach(o->live, i, row)
    {
        URD_TRY(add_stacks(o, row));
        URD_TRY(answer_row(o->a, json_incref(row), NULL));
    }
    return NULL;
}

static void say_what(struct owning *o, bool mapped)
{
    const char *state = json_string_value(json_object_get(json_array_get(o->live, 0), "state"));
    json_object_set_new(o->a->summary, "address", json_hex(o->address));
    json_object_set_new(o->a->summary, "state",
                        json_string(state    ? state
                                    : mapped ? "mapped"
                                             : "unmapped"));
    if (!state && !mapped)
        json_object_set_new(o->a->summary, "nothing",
                            json_string("nothing was mapped at this address at this moment"));
    else if (!state)
        json_object_set_new(
            o->a->summary, "nothing",
            json_string("no block of an allocator was ever there until this moment"));
}

urd_err *q_owner(struct answer *a)
{
    const char *text, *path;
    struct urd_moment m;
    struct urd_task *t;
    struct urd_engine *e = a->engine;
    struct owning o = {.a = a};
    URD_TRY(question_need(a, "address", &text));
    URD_TRY(need_index(e));
    URD_TRY(question_address(a, text, &m, &t, &o.address));
    o.space = t->space;
    URD_TRY(urd_index_clock(e->index, m, &o.at));
    urd_err *err = engine_allocations(e, &path);
    bool known = !err;
    if (err && err->kind == URD_ERR_QUESTION) { /* its mapping can be told all the same */
        json_object_set_new(a->summary, "blocks", json_string(err->message));
        urd_err_free(err);
        err = NULL;
    }
    URD_TRY(err);
    o.live = json_array();
    const char *none = NULL;
    if (known && sqlite3_open_v2(path, &o.db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        err = urd_store_failed(o.db, "cannot read the allocations");
    if (known && !err)
        err = engine_allocations_none(o.db, "main", &none);
    if (none)
        json_object_set_new(a->summary, "blocks", json_string(none));
    int64_t until = o.at;
    for (uint32_t space = o.space; known && space && !err; space = e->index->spaces[space].parent) {
        err = look_in(&o, space, until);
        int64_t forked = e->index->spaces[space].clock;
        until = forked < until ? forked : until;
    }
    bool mapped = false;
    if (!err)
        err = give_blocks(&o, m.event);
    if (!err)
        err = give_mapping(&o, m, &mapped);
    if (!err)
        say_what(&o, mapped);
    json_object_set_new(a->summary, "at", json_moment(m));
    sqlite3_close(o.db);
    json_decref(o.live);
    json_decref(o.dead_row);
    free(o.heirs);
    return err;
}
