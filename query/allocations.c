#include "query/allocations.h"
#include "indexer/store.h"
#include "query/stops.h"
#include <stdio.h>
#include <unistd.h>

#define ALLOCATIONS_VERSION 2

enum kind { GIVES, STORES, MOVES, TAKES };

static const struct allocator {
    const char *symbol, *shown;
    enum kind kind;
    uint8_t pointer, size, times;
} allocators[] = {
#define URD_ALLOCATOR(...) {__VA_ARGS__},
#include "query/allocators.def"
#undef URD_ALLOCATOR
};
enum { N_ALLOCATORS = sizeof allocators / sizeof *allocators };

#define NEVER INT64_MAX

struct block {
    uint32_t space;
    uint64_t address, size, pc, freed_pc;
    int64_t clock, returned, freed,
        freed_call; /* NEVER: not freed; freed_call -1: by nobody that was seen */
    int32_t tid, freed_tid;
    uint8_t function, freed_by;
    uint32_t heir; /* index + 1 of the parent's block */
};

/** A call that has not returned. */
struct open_call {
    const struct allocator *allocator;
    uint64_t sp, return_pc, size, pointer;
    int64_t clock;
    uint32_t moved; /* MOVES: index + 1 of the block, which is nobody's meanwhile */
};

struct open_calls {
    struct open_call *calls;
    uint32_t n, capacity;
};

struct pass {
    struct urd_engine *e;
    struct urd_runner *runner;
    struct urd_map entries;   /* space and pc: index in allocators + 1 */
    struct urd_index_pc *pcs; /* the same */
    uint32_t n_pcs, cap_pcs;
    uint64_t *stops; /* entries, and where calls return to */
    uint32_t n_stops, cap_stops;
    struct urd_map stop_known;
    struct urd_map tasks; /* tid: index in open + 1 */
    struct open_calls *open;
    uint32_t n_open, cap_open, n_unreturned;
    struct urd_map *live; /* by space: address: index + 1 of the block there */
    uint32_t n_live;      /* spaces that have begun */
    struct block *blocks;
    uint32_t n_blocks, cap_blocks;
};

static uint64_t key_of(uint32_t space, uint64_t pc)
{
    return pc ^ (uint64_t)space << 48;
}

/* ---- where allocators are ---- */

static int allocator_named(const struct urd_symbol *s)
{
    const char *name = s->linkage ? s->linkage : s->name;
    size_t length = strcspn(name, "@");
    for (int i = 0; s->kind == URD_SYMBOL_FUNCTION && s->global && i < N_ALLOCATORS; i++)
        if (strncmp(allocators[i].symbol, name, length) == 0 && !allocators[i].symbol[length])
            return i;
    return -1;
}

static void add_stop(struct pass *p, uint64_t pc)
{
    uint64_t *known = urd_map_put(&p->stop_known, pc);
    if (!*known)
        URD_PUSH(p->stops, p->n_stops, p->cap_stops) = pc;
    *known = 1;
}

static void add_entry(struct pass *p, uint32_t space, uint64_t pc, int allocator)
{
    uint64_t *known = urd_map_put(&p->entries, key_of(space, pc));
    if (!*known)
        URD_PUSH(p->pcs, p->n_pcs, p->cap_pcs) = (struct urd_index_pc){space, pc};
    if (!*known ||
        (uint64_t)allocator <
            *known) /* one function may have several names: the first of the table is its own */
        *known = (uint64_t)allocator + 1;
    add_stop(p, pc);
}

static urd_err *find_entries(struct pass *p)
{
    struct urd_engine *e = p->e;
    sqlite3_stmt *q;
    struct code_mapping c;
    if (sqlite3_prepare_v2(e->index->db, ENGINE_CODE_MAPPINGS, -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(e->index->db, "cannot read the index");
    while (sqlite3_step(q) == SQLITE_ROW) {
        if (!engine_code_mapping(e, q, &c))
            continue;
        size_t n;
        const struct urd_symbol *symbols = urd_debuginfo_symbols(c.module, &n);
        for (size_t i = 0; i < n; i++) {
            int allocator = allocator_named(&symbols[i]);
            uint64_t pc = symbols[i].address + c.bias;
            if (allocator >= 0 && pc - c.start < c.size)
                add_entry(p, c.space, pc, allocator);
        }
    }
    sqlite3_finalize(q);
    return NULL;
}

/* ---- lives ---- */

/** Spaces that forks made until now begin with their parent's blocks. */
static void begin_spaces(struct pass *p, uint64_t event)
{
    const struct urd_index *x = p->e->index;
    while (p->n_live < x->n_spaces && x->spaces[p->n_live + 1].event <= event) {
        struct urd_map *own = &p->live[++p->n_live];
        const struct urd_map *parent = &p->live[x->spaces[p->n_live].parent];
        for (size_t i = 0; i < parent->capacity; i++)
            if (parent->slots[i].used == 1)
                *urd_map_put(own, parent->slots[i].key) = parent->slots[i].value;
    }
}

/** The block becomes this space's own: what happens to it is not its parent's. */
static struct block *own_block(struct pass *p, uint32_t space, uint32_t index)
{
    if (p->blocks[index].space == space)
        return &p->blocks[index];
    struct block copy = p->blocks[index];
    copy.space = space;
    copy.heir = index + 1;
    URD_PUSH(p->blocks, p->n_blocks, p->cap_blocks) = copy;
    return &p->blocks[p->n_blocks - 1];
}

struct caller {
    const struct allocator *allocator;
    int64_t clock;
    int32_t tid;
    uint64_t pc;
};

/** by->allocator NULL: nobody that was seen. */
static void end_block(struct pass *p, uint32_t space, uint32_t index, int64_t freed,
                      const struct caller *by)
{
    struct block *b = own_block(p, space, index);
    b->freed = freed;
    b->freed_call = by->allocator ? by->clock : -1;
    b->freed_by = by->allocator ? (uint8_t)(by->allocator - allocators) : 0;
    b->freed_tid = by->tid;
    b->freed_pc = by->pc;
}

/** Take the block at an address out of the living. Index + 1; 0: there is none. */
static uint32_t take_live(struct pass *p, uint32_t space, uint64_t address)
{
    uint64_t *slot = urd_map_get(&p->live[space], address);
    uint32_t index = slot ? (uint32_t)*slot : 0;
    if (slot)
        urd_map_remove(&p->live[space], address);
    return index;
}

static void give_block(struct pass *p, uint32_t space, int32_t tid, const struct open_call *c,
                       uint64_t address, int64_t now)
{
    uint64_t *slot = urd_map_put(&p->live[space], address);
    struct block fresh = {.space = space,
                          .address = address,
                          .size = c->size,
                          .pc = c->return_pc,
                          .clock = c->clock,
                          .returned = now,
                          .freed = NEVER,
                          .tid = tid,
                          .function = (uint8_t)(c->allocator - allocators)};
    if (*slot) {
        struct block *there = &p->blocks[*slot - 1];
        if (there->space == space && there->tid == tid && there->clock >= c->clock) {
            *there = fresh; /* a function that this one called gave it */
            return;
        }
        end_block(p, space, (uint32_t)*slot - 1, now, &(struct caller){0});
    }
    URD_PUSH(p->blocks, p->n_blocks, p->cap_blocks) = fresh;
    *slot = p->n_blocks;
}

static void returned(struct pass *p, struct urd_task *t, const struct open_call *c, int64_t now)
{
    uint64_t result = t->regs.rax, address = result;
    if (c->allocator->kind == STORES &&
        ((uint32_t)result != 0 || urd_tracee_read(t->process->mem, c->pointer, &address, 8) != 8))
        return;
    if (c->allocator->kind == MOVES && c->moved && (result || !c->size)) {
        struct caller by = {c->allocator, c->clock, t->tid, c->return_pc};
        end_block(p, t->space, c->moved - 1, now, &by);
    } else if (c->allocator->kind == MOVES && c->moved) { /* it failed: all is as it was */
        *urd_map_put(&p->live[t->space], c->pointer) = c->moved;
    }
    if (address)
        give_block(p, t->space, t->tid, c, address, now);
}

/* ---- the replay ---- */

static uint64_t argument(const struct urd_task *t, unsigned number)
{
    const struct user_regs_struct *r = &t->regs;
    return number == 1 ? r->rdi : number == 2 ? r->rsi : number == 3 ? r->rdx : 1;
}

static struct open_calls *open_of(struct pass *p, int32_t tid)
{
    uint64_t *index = urd_map_put(&p->tasks, (uint32_t)tid);
    if (!*index) {
        URD_PUSH(p->open, p->n_open, p->cap_open) = (struct open_calls){0};
        *index = p->n_open;
    }
    return &p->open[*index - 1];
}

static void drop_last(struct pass *p, struct open_calls *o)
{
    o->n--;
    p->n_unreturned--;
}

static void entered(struct pass *p, struct urd_task *t, const struct allocator *a, int64_t now)
{
    struct open_calls *o = open_of(p, t->tid);
    while (o->n && o->calls[o->n - 1].sp < t->regs.rsp) /* left by longjmp or an exception */
        drop_last(p, o);
    struct open_call c = {.allocator = a,
                          .sp = t->regs.rsp,
                          .clock = now,
                          .pointer = argument(t, a->pointer),
                          .size = argument(t, a->size) * argument(t, a->times)};
    if (urd_tracee_read(t->process->mem, c.sp, &c.return_pc, 8) != 8)
        return;
    if (a->kind == MOVES || a->kind == TAKES)
        c.moved = c.pointer ? take_live(p, t->space, c.pointer) : 0;
    if (a->kind == TAKES) {
        struct caller by = {a, now, t->tid, c.return_pc};
        if (c.moved)
            end_block(p, t->space, c.moved - 1, now, &by);
        return;
    }
    uint32_t before = p->n_stops;
    URD_PUSH(o->calls, o->n, o->capacity) = c;
    p->n_unreturned++;
    add_stop(p, c.return_pc);
    if (p->n_stops != before)
        urd_runner_set_stops(p->runner, p->stops, p->n_stops);
}

static void at_stop(struct pass *p, struct urd_task *t, struct urd_moment m)
{
    int64_t now = p->e->index->events[m.event].clock + (int64_t)m.steps;
    struct open_calls *o = open_of(p, t->tid);
    begin_spaces(p, m.event);
    while (o->n && o->calls[o->n - 1].return_pc == t->regs.rip &&
           o->calls[o->n - 1].sp + 8 == t->regs.rsp) {
        struct open_call c = o->calls[o->n - 1];
        drop_last(p, o);
        returned(p, t, &c, now);
    }
    uint64_t *entry = urd_map_get(&p->entries, key_of(t->space, t->regs.rip));
    if (entry)
        entered(p, t, &allocators[*entry - 1], now);
}

static urd_err *run_interval(struct pass *p, struct urd_session *s)
{
    const uint64_t all = 1ull << 62;
    uint64_t left = all;
    struct urd_task *t = urd_session_running(s);
    while (t) {
        enum urd_run_end end;
        URD_TRY(urd_runner_run(p->runner, &left, &end));
        if (end != URD_RUN_STOP)
            break;
        at_stop(p, t, (struct urd_moment){s->event, all - left});
    }
    return urd_runner_apply(p->runner);
}

/** Translated where calls begin, or where one has begun and not returned; natively elsewhere. */
static urd_err *run_all(struct pass *p, struct urd_session *s, const uint64_t *events, uint64_t n)
{
    uint64_t i = 0;
    while (s->next && (i < n || p->n_unreturned)) {
        while (i < n && events[i] < s->event)
            i++;
        struct urd_task *t = urd_session_running(s);
        bool here = (i < n && events[i] == s->event) || (t && open_of(p, t->tid)->n);
        if (here)
            URD_TRY(run_interval(p, s));
        else
            URD_TRY(stops_skip(s, p->runner, p->n_unreturned || i == n ? s->event + 1 : events[i]));
    }
    return NULL;
}

static urd_err *run_pass(struct pass *p)
{
    uint64_t *events = NULL, n;
    struct urd_session *s = NULL;
    URD_TRY(stops_intervals(p->e, p->pcs, p->n_pcs, INT64_MIN, INT64_MAX, &events, &n));
    if (!n)
        return NULL;
    urd_err *err = engine_session_at(p->e, events[0], &s);
    if (!err)
        err = urd_runner_create(s, URD_PROBE_COUNT, NULL, &p->runner);
    if (!err) {
        urd_runner_set_stops(p->runner, p->stops, p->n_stops);
        err = run_all(p, s, events, n);
        urd_runner_destroy(p->runner);
    }
    urd_session_close(s);
    free(events);
    return err;
}

/* ---- the file ---- */

static const char schema[] =
    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;"
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value);"
    "CREATE TABLE allocations(id INTEGER PRIMARY KEY, space INTEGER, address INTEGER, size "
    "INTEGER, "
    "clock INTEGER, returned INTEGER, tid INTEGER, function TEXT, pc INTEGER, caller TEXT, file "
    "TEXT, "
    "line INTEGER, freed INTEGER, freed_call INTEGER, freed_tid INTEGER, freed_by TEXT, freed_pc "
    "INTEGER, freed_caller TEXT, freed_file TEXT, freed_line INTEGER, heir INTEGER, kind TEXT);";

static void bind_text(sqlite3_stmt *q, int column, const char *text)
{
    if (text[0])
        sqlite3_bind_text(q, column, text, -1, SQLITE_TRANSIENT);
    else
        sqlite3_bind_null(q, column);
}

/** Columns from `first` on: pc, caller, file, line. */
static void bind_place(struct pass *p, sqlite3_stmt *q, int first, uint32_t space, int64_t clock,
                       uint64_t pc)
{
    struct place_name n;
    engine_name(p->e, space, urd_index_moment(p->e->index, clock).event, pc, true, &n);
    sqlite3_bind_int64(q, first, (int64_t)pc);
    bind_text(q, first + 1, n.function);
    bind_text(q, first + 2, n.file);
    if (n.line)
        sqlite3_bind_int64(q, first + 3, n.line);
}

static bool put_block(struct pass *p, sqlite3_stmt *q, uint32_t i)
{
    const struct block *b = &p->blocks[i];
    const int64_t numbers[] = {
        i + 1, b->space, (int64_t)b->address, (int64_t)b->size, b->clock, b->returned, b->tid};
    for (int k = 0; k < 7; k++)
        sqlite3_bind_int64(q, k + 1, numbers[k]);
    sqlite3_bind_text(q, 8, allocators[b->function].shown, -1, SQLITE_STATIC);
    const struct block *first = b; /* in the space in which it was allocated */
    while (first->heir)
        first = &p->blocks[first->heir - 1];
    bind_place(p, q, 9, first->space, b->clock, b->pc);
    if (b->freed != NEVER) {
        sqlite3_bind_int64(q, 13, b->freed);
        if (b->freed_call >= 0) {
            sqlite3_bind_int64(q, 14, b->freed_call);
            sqlite3_bind_int64(q, 15, b->freed_tid);
            sqlite3_bind_text(q, 16, allocators[b->freed_by].shown, -1, SQLITE_STATIC);
            bind_place(p, q, 17, b->space, b->freed_call, b->freed_pc);
        }
    }
    sqlite3_bind_int64(q, 21, b->heir);
    bool ok = sqlite3_step(q) == SQLITE_DONE;
    sqlite3_reset(q);
    sqlite3_clear_bindings(q);
    return ok;
}

static urd_err *save(struct pass *p, sqlite3 *db)
{
    static const char *const kinds[] = {"block", "mapping"};
    sqlite3_stmt *q[2] = {NULL, NULL};
    bool ok = sqlite3_exec(db, schema, NULL, NULL, NULL) == SQLITE_OK;
    for (unsigned i = 0; i < 2 && ok; i++) {
        URD_AUTO_FREE char *sql =
            urd_xprintf("INSERT INTO allocations "
                        "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,'%s')",
                        kinds[i]);
        ok = sqlite3_prepare_v2(db, sql, -1, &q[i], NULL) == SQLITE_OK;
    }
    for (uint32_t i = 0; i < p->n_blocks && ok; i++)
        ok = put_block(p, q[0], i);
    urd_err *err = ok ? engine_regions_save(p->e, q[1], p->n_blocks) : NULL;
    for (unsigned i = 0; i < 2; i++)
        sqlite3_finalize(q[i]);
    URD_TRY(err);
    URD_AUTO_FREE char *end = urd_xprintf(
        "CREATE INDEX by_space ON allocations(space, address);"
        "INSERT INTO meta VALUES('version', %d), ('steps', %lld), ('found', %u); COMMIT",
        ALLOCATIONS_VERSION, (long long)p->e->index->end, p->n_pcs);
    if (!ok || sqlite3_exec(db, end, NULL, NULL, NULL) != SQLITE_OK)
        return urd_store_failed(db, "cannot write the allocations");
    return NULL;
}

static void pass_deinit(struct pass *p)
{
    urd_map_deinit(&p->entries);
    urd_map_deinit(&p->stop_known);
    urd_map_deinit(&p->tasks);
    for (uint32_t i = 0; i < p->n_open; i++)
        free(p->open[i].calls);
    for (uint32_t i = 0; p->live && i <= p->e->index->n_spaces; i++)
        urd_map_deinit(&p->live[i]);
    free(p->open);
    free(p->live);
    free(p->pcs);
    free(p->stops);
    free(p->blocks);
}

/** Find all blocks and save them to a new file at `path`. */
static urd_err *make(struct urd_engine *e, const char *path)
{
    struct pass p = {.e = e};
    sqlite3 *db = NULL;
    p.live = urd_xcalloc(e->index->n_spaces + 1, sizeof *p.live);
    urd_err *err = find_entries(&p);
    if (!err && p.n_pcs)
        err = run_pass(&p);
    if (!err && sqlite3_open(path, &db) != SQLITE_OK)
        err = urd_store_failed(db, "cannot make the file of allocations");
    if (!err)
        err = save(&p, db);
    sqlite3_close(db);
    pass_deinit(&p);
    return err;
}

static bool is_current(const struct urd_engine *e, const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    bool current = false;
    URD_AUTO_FREE char *sql = urd_xprintf(
        "SELECT count(*) FROM meta WHERE (key = 'version' AND value = %d) OR (key = 'steps' "
        "AND value = %lld)",
        ALLOCATIONS_VERSION, (long long)e->index->end);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK)
        current = sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int(q, 0) == 2;
    sqlite3_finalize(q);
    sqlite3_close(db);
    return current;
}

urd_err *engine_allocations(struct urd_engine *e, const char **ret)
{
    URD_TRY(need_whole_index(e, "allocations need all of it"));
    if (!e->allocations) {
        char *kept = urd_xprintf("%s/allocations.urd", e->directory);
        if (access(kept, R_OK) == 0 && is_current(e, kept)) {
            e->allocations = kept;
        } else {
            const char *tmp = getenv("TMPDIR");
            e->allocations_own = access(e->directory, W_OK) != 0;
            URD_AUTO_FREE char *fresh = urd_xprintf("%s/allocations.%d.tmp",
                                                    !e->allocations_own ? e->directory
                                                    : tmp && *tmp       ? tmp
                                                                        : "/tmp",
                                                    (int)getpid());
            urd_err *err = make(e, fresh);
            if (!err && !e->allocations_own && rename(fresh, kept) != 0)
                err = URD_ERROR(URD_ERR_FAILED, "cannot make '%s'", kept);
            if (err) {
                unlink(fresh);
                free(kept);
                return err;
            }
            e->allocations = e->allocations_own ? strdup(fresh) : kept;
            if (e->allocations_own)
                free(kept);
        }
    }
    *ret = e->allocations;
    return NULL;
}

urd_err *engine_allocations_none(sqlite3 *db, const char *schema_name, const char **ret)
{
    sqlite3_stmt *q;
    URD_AUTO_FREE char *sql =
        urd_xprintf("SELECT value FROM %s.meta WHERE key = 'found'", schema_name);
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(db, "cannot read the allocations");
    bool none = sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int(q, 0) == 0;
    sqlite3_finalize(q);
    *ret = none ? "this program has no allocator that is known by name: malloc, free, operator new "
                  "and the like are found as global symbols of the program and its libraries; a "
                  "stripped static program has none"
                : NULL;
    return NULL;
}

void engine_allocations_close(struct urd_engine *e)
{
    if (e->allocations && e->allocations_own)
        unlink(e->allocations);
    free(e->allocations);
    e->allocations = NULL;
}
