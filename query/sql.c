/* SQL over the run.
 *
 * A connection to an empty database in memory has the index attached as `ix`; users see virtual tables (writes, calls,
 * lines, symbols), which read the columns, and views (events, syscalls, outputs, tasks, mappings).
 *
 * Push-down: writes takes = < <= > >= on address and clock, and gives rows ordered by clock either way when the address is
 * bound, so that `WHERE address = X AND clock < T ORDER BY clock DESC LIMIT 1` reads one chunk. calls takes function =,
 * lines takes file = and line =. allocations is a view of a file of its own (allocations.h), which the first statement that names it makes.
 *
 * Counting calls: `SELECT function, count(*) FROM calls GROUP BY function`, and count(*) alone, do not look at each of a hundred million
 * calls. When nothing else of a statement depends on how many rows there are (struct sql_use), a cursor gives one row for each function, in
 * order, and our own count() adds how many calls it stands for.
 */
#include "query/allocations.h"
#include "indexer/store.h"
#include "query/before.h"
#include "record/record.h"
#include <stdio.h>

enum table_kind { TABLE_WRITES, TABLE_CALLS, TABLE_LINES, TABLE_SYMBOLS, TABLE_READS, N_TABLES };

static const char *const schemas[] = {
    "CREATE TABLE x(clock INTEGER, moment TEXT, pid INTEGER, tid INTEGER, address INTEGER, size "
    "INTEGER, old BLOB,"
    " new BLOB, pc INTEGER, function TEXT, file TEXT, line INTEGER, syscall TEXT, space INTEGER)",
    "CREATE TABLE x(clock INTEGER, moment TEXT, pid INTEGER, tid INTEGER, function TEXT, pc "
    "INTEGER, caller TEXT,"
    " file TEXT, line INTEGER, return_clock INTEGER, steps INTEGER, depth INTEGER, returned "
    "INTEGER, space INTEGER)",
    "CREATE TABLE x(clock INTEGER, moment TEXT, pid INTEGER, tid INTEGER, file TEXT, line INTEGER, "
    "function TEXT,"
    " pc INTEGER)",
    "CREATE TABLE x(name TEXT, address INTEGER, size INTEGER, kind TEXT, module TEXT, pid INTEGER, "
    "space INTEGER)",
    /* the columns of writes, those hidden that a read has not */
    "CREATE TABLE x(clock INTEGER, moment TEXT, pid INTEGER, tid INTEGER, address INTEGER, size "
    "INTEGER, old HIDDEN,"
    " new HIDDEN, pc INTEGER, function TEXT, file TEXT, line INTEGER, syscall HIDDEN, space "
    "INTEGER)"};

enum {
    W_CLOCK,
    W_MOMENT,
    W_PID,
    W_TID,
    W_ADDRESS,
    W_SIZE,
    W_OLD,
    W_NEW,
    W_PC,
    W_FUNCTION,
    W_FILE,
    W_LINE,
    W_SYSCALL,
    W_SPACE
};
enum {
    C_CLOCK,
    C_MOMENT,
    C_PID,
    C_TID,
    C_FUNCTION,
    C_PC,
    C_CALLER,
    C_FILE,
    C_LINE,
    C_RETURN,
    C_STEPS,
    C_DEPTH,
    C_RETURNED,
    C_SPACE
};
enum { L_CLOCK, L_MOMENT, L_PID, L_TID, L_FILE, L_LINE, L_FUNCTION, L_PC };
enum { S_NAME, S_ADDRESS, S_SIZE, S_KIND, S_MODULE, S_PID, S_SPACE };

/** What a statement does, from its authorization. */
struct sql_use {
    unsigned selects;
    bool counts;      /* count() */
    bool other;       /* a column or function for which each row matters */
    bool by_function; /* calls.function is read */
};

enum { PLAN_DESCENDING = 1, PLAN_COUNT = 2, PLAN_BY_NAME = 4, PLAN_OLD = 8 };

struct table {
    sqlite3_vtab base;
    struct urd_engine *engine;
    enum table_kind kind;
};

struct write_copy {
    struct urd_index_write w;
    uint8_t small[8], old_small[8];
    uint8_t *heap, *old_heap;
    bool old_known;
};

/** Writes to one address range in one space, fetched in growing batches. */
struct stream {
    uint32_t space;
    struct write_copy *batch;
    uint32_t n, capacity, at, want;
    int64_t from, to;
    bool done;
    struct before *before; /* of its writes, in ascending order */
};

struct cursor {
    sqlite3_vtab_cursor base;
    struct urd_engine *engine;
    enum table_kind kind;
    bool eof;
    /* writes */
    uint64_t low, high; /* addresses, high included */
    int64_t from, to;   /* clocks */
    bool descending, whole;
    bool with_old; /* the column is read */
    bool exact;    /* the write begins in [low, high], as the column says */
    struct stream *streams;
    uint32_t n_streams, current;
    sqlite3_stmt *scan; /* whole table */
    struct write_copy row;
    /* calls */
    struct call_entry {
        uint32_t space;
        struct urd_call call;
    } * calls;
    uint32_t n_calls, cap_calls, at_call;
    char *asked; /* the function is called as it was asked for: several names may be its */
    bool named;  /* name is that of named_callee */
    uint32_t named_space;
    uint64_t named_callee;
    struct urd_index_pc *entries;
    uint32_t n_entries, at_entry;
    struct named_count {
        char *name; /* "": unknown */
        int64_t n;
    } * counts;
    uint32_t n_counts, cap_counts;
    struct mapped_code {
        uint32_t space;
        uint64_t start, size, event;
    } * code; /* while they are counted */
    uint32_t n_code;
    /* lines */
    struct line_hit {
        int64_t clock;
        int32_t tid;
        uint32_t which;
    } * hits;
    uint64_t n_hits, cap_hits, at_hit;
    struct location location;
    /* symbols */
    uint64_t bias;
    uint32_t symbol_space;
    struct urd_module *module;
    const struct urd_symbol *symbols;
    size_t n_symbols, at_symbol;
    /* the place of this row, when asked for */
    int64_t placed_clock;
    bool placed;
    struct urd_index_place place;
    struct place_name name;
};

static int raise(sqlite3_vtab *t, urd_err *err)
{
    if (!err)
        return SQLITE_OK;
    sqlite3_free(t->zErrMsg);
    t->zErrMsg = sqlite3_mprintf("%s", err->message);
    urd_err_free(err);
    return SQLITE_ERROR;
}

static int table_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                         sqlite3_vtab **ret, char **error)
{
    struct table *t = sqlite3_malloc(sizeof *t);
    if (!t)
        return SQLITE_NOMEM;
    memset(t, 0, sizeof *t);
    t->engine = aux;
    static const char *const names[] = {"writes", "calls", "lines", "symbols", "reads"};
    for (unsigned i = 0; i < N_TABLES; i++)
        if (strcmp(argv[0], names[i]) == 0)
            t->kind = (enum table_kind)i;
    *ret = &t->base;
    return sqlite3_declare_vtab(db, schemas[t->kind]);
}

static int table_disconnect(sqlite3_vtab *t)
{
    sqlite3_free(t);
    return SQLITE_OK;
}

/** May one row stand for all calls of a function, or one for all? Then rows come by function. */
static void plan_count(const struct urd_engine *e, sqlite3_index_info *info)
{
    const struct sql_use *u = e->sql_use;
    bool grouped = info->nOrderBy == 1 && info->aOrderBy[0].iColumn == C_FUNCTION &&
                   sqlite3_vtab_distinct(info) == 1;
    if (!u || u->selects != 1 || !u->counts || u->other || (info->nOrderBy && !grouped) ||
        (!grouped && u->by_function))
        return;
    info->idxNum = PLAN_COUNT | (grouped ? PLAN_BY_NAME : 0) |
                   (grouped && info->aOrderBy[0].desc ? PLAN_DESCENDING : 0);
    info->orderByConsumed = grouped;
    info->estimatedCost = 1000;
}

/* idxStr: one letter a constraint, in order of the arguments: a = address, c = clock, f = function or file, l = line;
 * after it the operator: = < > (<= and >= too: rows are checked once more by SQLite). */
static int table_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    struct table *t = (struct table *)base;
    char plan[64] = "";
    int used = 0;
    bool address = false, name = false, clock = false, equal = false;
    for (int i = 0; i < info->nConstraint && used < 16; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        char letter = 0, op = 0;
        if (!c->usable)
            continue;
        switch (c->op) {
        case SQLITE_INDEX_CONSTRAINT_EQ:
            op = '=';
            break;
        case SQLITE_INDEX_CONSTRAINT_LT:
        case SQLITE_INDEX_CONSTRAINT_LE:
            op = '<';
            break;
        case SQLITE_INDEX_CONSTRAINT_GT:
        case SQLITE_INDEX_CONSTRAINT_GE:
            op = '>';
            break;
        default:
            continue;
        }
        if (t->kind == TABLE_WRITES || t->kind == TABLE_READS)
            letter = c->iColumn == W_ADDRESS ? 'a' : c->iColumn == W_CLOCK ? 'c' : 0;
        else if (t->kind == TABLE_CALLS)
            letter = c->iColumn == C_FUNCTION && op == '=' ? 'f' : 0;
        else if (t->kind == TABLE_LINES)
            letter = op != '=' ? 0 : c->iColumn == L_FILE ? 'f' : c->iColumn == L_LINE ? 'l' : 0;
        if (!letter)
            continue;
        address |= letter == 'a';
        equal |= letter == 'a' && op == '=';
        name |= letter == 'f';
        clock |= letter == 'c';
        info->aConstraintUsage[i].argvIndex = used / 2 + 1;
        plan[used++] = letter;
        plan[used++] = op;
    }
    bool accesses = t->kind == TABLE_WRITES || t->kind == TABLE_READS;
    double cost = accesses ? (equal ? 10 : address ? 1000 : clock ? 1e8 : 1e10) : name ? 1000 : 1e9;
    if (accesses && address && info->nOrderBy == 1 && info->aOrderBy[0].iColumn == W_CLOCK) {
        info->orderByConsumed = 1;
        info->idxNum = info->aOrderBy[0].desc ? PLAN_DESCENDING : 0;
    }
    if (t->kind == TABLE_WRITES && info->colUsed >> W_OLD & 1)
        info->idxNum |= PLAN_OLD;
    info->idxStr = sqlite3_mprintf("%s", plan);
    info->needToFreeIdxStr = 1;
    info->estimatedCost = cost;
    info->estimatedRows = equal ? 100 : 1000000;
    if (t->kind == TABLE_CALLS && !used)
        plan_count(t->engine, info);
    return SQLITE_OK;
}

static int cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret)
{
    struct cursor *c = urd_xcalloc(1, sizeof *c);
    c->engine = ((struct table *)base)->engine;
    c->kind = ((struct table *)base)->kind;
    *ret = &c->base;
    return SQLITE_OK;
}

static void free_batch(struct stream *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        free(s->batch[i].heap);
        free(s->batch[i].old_heap);
    }
    s->n = s->at = 0;
}

static void cursor_reset(struct cursor *c)
{
    for (uint32_t i = 0; i < c->n_streams; i++) {
        free_batch(&c->streams[i]);
        before_destroy(c->streams[i].before);
        free(c->streams[i].batch);
    }
    free(c->streams);
    sqlite3_finalize(c->scan);
    for (uint32_t i = 0; i < c->n_counts; i++)
        free(c->counts[i].name);
    free(c->counts);
    free(c->code);
    free(c->asked);
    free(c->calls);
    free(c->entries);
    free(c->hits);
    location_deinit(&c->location);
    sqlite3_vtab_cursor base = c->base;
    struct urd_engine *e = c->engine;
    enum table_kind kind = c->kind;
    memset(c, 0, sizeof *c);
    c->base = base;
    c->engine = e;
    c->kind = kind;
}

static int cursor_close(sqlite3_vtab_cursor *base)
{
    cursor_reset((struct cursor *)base);
    free(base);
    return SQLITE_OK;
}

/* ---- writes ---- */

static void copy_write(struct write_copy *to, const struct urd_index_write *w)
{
    *to = (struct write_copy){.w = *w};
    uint8_t *bytes = to->small;
    if (w->size > 8)
        bytes = to->heap = urd_xrealloc(NULL, w->size);
    memcpy(bytes, w->value, w->size);
    to->w.value = NULL;
}

static const uint8_t *write_value(const struct write_copy *w)
{
    return w->heap ? w->heap : w->small;
}

static bool fill_batch(void *data, const struct urd_index_write *w)
{
    struct stream *s = data;
    /* a batch ends between two clocks, so that the next one can begin at a clock */
    if (s->n >= s->want && s->batch[s->n - 1].w.clock != w->clock)
        return false;
    if (w->event == URD_WRITE_INITIAL)
        return true;
    struct write_copy copy;
    copy_write(&copy, w);
    URD_PUSH(s->batch, s->n, s->capacity) = copy;
    return true;
}

/** What was there before each write of the batch that is asked for. */
static urd_err *fill_old(struct cursor *c, struct stream *s)
{
    if (c->descending || c->scan) { /* what came before the batch is not walked */
        before_destroy(s->before);
        s->before = NULL;
    }
    if (!s->before)
        s->before = before_create(c->engine->index, c->engine->trace, s->space);
    for (uint32_t i = 0; i < s->n; i++) {
        struct write_copy *w = &s->batch[c->descending ? s->n - 1 - i : i];
        struct urd_index_write of = w->w;
        of.value = write_value(w);
        uint8_t *old = w->old_small;
        if (of.address < c->low || of.address > c->high)
            old = NULL;
        else if (of.size > sizeof w->old_small)
            old = w->old_heap = urd_xrealloc(NULL, of.size);
        URD_TRY(before_write(s->before, &of, old, &w->old_known));
    }
    return NULL;
}

/** The last address that writes are looked for at: what was before one that begins at `last` is told by those behind, too. A write that runs
 *  into another page comes as two. */
static uint64_t walked_to(const struct cursor *c, uint64_t last)
{
    uint64_t end = last | 4095;
    return !c->with_old ? last : end - last < BEFORE_LARGEST ? end : last + BEFORE_LARGEST - 1;
}

static urd_err *refill(struct cursor *c, struct stream *s)
{
    if (s->at < s->n || s->done)
        return NULL;
    if (s->n) {
        int64_t last = s->batch[s->n - 1].w.clock;
        if (c->descending)
            s->to = last;
        else
            s->from = last + 1;
    }
    free_batch(s);
    s->want = s->want ? (s->want < 65536 ? s->want * 4 : s->want) : 16;
    uint64_t size = walked_to(c, c->high) - c->low + 1;
    URD_TRY((c->kind == TABLE_READS ? urd_index_reads_own : urd_index_writes_own)(
        c->engine->index, s->space, c->low, size, s->from, s->to, c->descending, fill_batch, s));
    s->done = s->n == 0;
    return c->with_old ? fill_old(c, s) : NULL;
}

static urd_err *next_streamed(struct cursor *c)
{
    struct stream *best = NULL;
    for (uint32_t i = 0; i < c->n_streams; i++) {
        struct stream *s = &c->streams[i];
        URD_TRY(refill(c, s));
        if (s->done)
            continue;
        int64_t clock = s->batch[s->at].w.clock;
        if (!best || (c->descending ? clock > best->batch[best->at].w.clock
                                    : clock < best->batch[best->at].w.clock))
            best = s;
    }
    c->eof = !best;
    if (best)
        c->row = best->batch[best->at++];
    return NULL;
}

/** The whole table: row by row of the index, each decoded once. */
static bool take_all(void *data, const struct urd_index_write *w)
{
    return fill_batch(data, w);
}

static urd_err *next_scanned(struct cursor *c)
{
    struct stream *s = c->streams;
    struct urd_index *x = c->engine->index;
    while (s->at >= s->n) {
        free_batch(s);
        if (sqlite3_step(c->scan) != SQLITE_ROW) {
            c->eof = true;
            return NULL;
        }
        uint64_t page = (uint64_t)sqlite3_column_int64(c->scan, 1);
        s->want = UINT32_MAX;
        uint64_t low = page << 12, high = low + 4095;
        low = low > c->low ? low : c->low;
        uint64_t last = walked_to(c, c->high);
        high = high < last ? high : last;
        s->space = (uint32_t)sqlite3_column_int64(c->scan, 0);
        if (low <= high)
            URD_TRY((c->kind == TABLE_READS ? urd_index_reads_own : urd_index_writes_own)(
                x, s->space, low, high - low + 1, c->from, c->to, false, take_all, s));
        if (c->with_old)
            URD_TRY(fill_old(c, s));
    }
    c->row = s->batch[s->at++];
    return NULL;
}

static urd_err *next_write(struct cursor *c)
{
    do {
        URD_TRY(c->scan ? next_scanned(c) : next_streamed(c));
    } while (!c->eof && (c->row.w.address < c->low || c->row.w.address > c->high));
    c->placed = false;
    return NULL;
}

static urd_err *filter_writes(struct cursor *c)
{
    struct urd_index *x = c->engine->index;
    if (c->kind == TABLE_READS)
        URD_TRY(urd_index_need_reads(x));
    if (c->low > c->high || c->from >= c->to) {
        c->eof = true;
        return NULL;
    }
    if (c->high - c->low > 1u << 22) { /* everything, or nearly: page by page */
        c->streams = urd_xcalloc(1, sizeof *c->streams);
        c->n_streams = 1;
        const char *pages =
            c->kind == TABLE_READS
                ? "SELECT DISTINCT space, page FROM reads WHERE page BETWEEN ?1 AND ?2"
                : "SELECT space, page FROM writes WHERE page BETWEEN ?1 AND ?2 UNION "
                  "SELECT space, page FROM touched WHERE page BETWEEN ?1 AND ?2";
        if (sqlite3_prepare_v2(x->db, pages, -1, &c->scan, NULL) != SQLITE_OK)
            return urd_store_failed(x->db, "cannot read the index");
        sqlite3_bind_int64(c->scan, 1, (int64_t)(c->low >> 12));
        sqlite3_bind_int64(c->scan, 2, (int64_t)(c->high >> 12));
        return next_write(c);
    }
    c->streams = urd_xcalloc(x->n_spaces, sizeof *c->streams);
    for (uint32_t s = 1; s <= x->n_spaces; s++)
        c->streams[c->n_streams++] = (struct stream){.space = s, .from = c->from, .to = c->to};
    return next_write(c);
}

static urd_err *need_place(struct cursor *c, int64_t clock)
{
    if (c->placed && c->placed_clock == clock)
        return NULL;
    URD_TRY(urd_index_place(c->engine->index, clock, &c->place));
    memset(&c->name, 0, sizeof c->name);
    if (c->place.found)
        engine_name(c->engine, c->place.space, urd_index_moment(c->engine->index, clock).event,
                    c->place.pc, false, &c->name);
    c->placed = true;
    c->placed_clock = clock;
    return NULL;
}

static void give_text(sqlite3_context *ctx, const char *text)
{
    if (text && *text)
        sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

static void give_moment(struct cursor *c, sqlite3_context *ctx, int64_t clock)
{
    struct urd_moment m = urd_index_moment(c->engine->index, clock);
    char text[48];
    snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)m.event,
             (unsigned long long)m.steps);
    sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

static urd_err *write_column(struct cursor *c, sqlite3_context *ctx, int column)
{
    const struct urd_index_write *w = &c->row.w;
    const struct urd_index_event *ev = w->event ? &c->engine->index->events[w->event] : NULL;
    if ((column == W_PID || column == W_TID || (column >= W_PC && column <= W_LINE)) && !ev)
        URD_TRY(need_place(c, w->clock));
    switch (column) {
    case W_CLOCK:
        sqlite3_result_int64(ctx, w->clock);
        break;
    case W_MOMENT:
        give_moment(c, ctx, w->clock);
        break;
    case W_PID:
        sqlite3_result_int(ctx, ev ? ev->pid : c->engine->index->spaces[w->space].pid);
        break;
    case W_TID:
        sqlite3_result_int(ctx, ev ? ev->tid : c->place.tid);
        break;
    case W_ADDRESS:
        sqlite3_result_int64(ctx, (int64_t)w->address);
        break;
    case W_SIZE:
        sqlite3_result_int64(ctx, (int64_t)w->size);
        break;
    case W_OLD:
        if (c->row.old_known) /* else NULL: what a gap of the index leaves open */
            sqlite3_result_blob64(ctx, c->row.old_heap ? c->row.old_heap : c->row.old_small,
                                  w->size, SQLITE_TRANSIENT);
        break;
    case W_NEW:
        if (c->kind == TABLE_WRITES)
            sqlite3_result_blob64(ctx, write_value(&c->row), w->size, SQLITE_TRANSIENT);
        break;
    case W_PC:
        if (!ev && c->place.found)
            sqlite3_result_int64(ctx, (int64_t)c->place.pc);
        break;
    case W_FUNCTION:
        if (!ev)
            give_text(ctx, c->name.function);
        break;
    case W_FILE:
        if (!ev)
            give_text(ctx, c->name.file);
        break;
    case W_LINE:
        if (!ev && c->name.line)
            sqlite3_result_int64(ctx, c->name.line);
        break;
    case W_SYSCALL:
        if (ev)
            give_text(ctx, ev->kind == URD_EVENT_EXEC ? "execve"
                           : ev->syscall >= 0         ? urd_record_syscall_name(ev->syscall)
                                                      : urd_event_kind_name(ev->kind));
        break;
    case W_SPACE:
        sqlite3_result_int64(ctx, w->space);
        break;
    }
    return NULL;
}

/* ---- calls ---- */

static bool take_call(void *data, uint32_t space, const struct urd_call *call)
{
    struct cursor *c = data;
    URD_PUSH(c->calls, c->n_calls, c->cap_calls) = (struct call_entry){space, *call};
    return true;
}

static urd_err *next_call(struct cursor *c)
{
    bool more = true;
    c->at_call++;
    c->placed = false;
    while (c->at_call >= c->n_calls) {
        c->n_calls = c->at_call = 0;
        if (c->entries && c->at_entry < c->n_entries) {
            const struct urd_index_pc *pc = &c->entries[c->at_entry++];
            URD_TRY(urd_index_calls(c->engine->index, pc->space, pc->pc, take_call, c));
        } else if (!c->entries && c->scan && sqlite3_step(c->scan) == SQLITE_ROW) {
            URD_TRY(urd_index_call_row(c->engine->index, c->scan, take_call, c, &more));
        } else {
            c->eof = true;
            return NULL;
        }
    }
    return NULL;
}

static bool take_first(void *data, uint32_t space, const struct urd_call *call)
{
    *(struct urd_call *)data = *call;
    return false;
}

static void add_count(struct cursor *c, uint32_t space, uint64_t event, uint64_t callee, int64_t n)
{
    struct place_name name;
    engine_name_level(c->engine, space, event, callee, false, NAMED_CALLED, &name);
    URD_PUSH(c->counts, c->n_counts, c->cap_counts) =
        (struct named_count){urd_xprintf("%s", name.function), n};
}

/** The only event at which code was ever mapped at an address; false: there is none, or there are several. */
static bool only_mapped_at(const struct cursor *c, uint32_t space, uint64_t pc, uint64_t *ret_event)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < c->n_code; i++)
        if (c->code[i].space == space && pc - c->code[i].start < c->code[i].size) {
            *ret_event = c->code[i].event;
            n++;
        }
    return n == 1;
}

static urd_err *load_code(struct cursor *c)
{
    sqlite3 *db = c->engine->index->db;
    sqlite3_stmt *q;
    uint32_t capacity = 0;
    if (sqlite3_prepare_v2(db, "SELECT space, start, size, from_event FROM mappings WHERE prot & 4",
                           -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(db, "cannot read the index");
    while (sqlite3_step(q) == SQLITE_ROW)
        URD_PUSH(c->code, c->n_code, capacity) = (struct mapped_code){
            (uint32_t)sqlite3_column_int64(q, 0), (uint64_t)sqlite3_column_int64(q, 1),
            (uint64_t)sqlite3_column_int64(q, 2), (uint64_t)sqlite3_column_int64(q, 3)};
    sqlite3_finalize(q);
    return NULL;
}

static int compare_counts(const void *a, const void *b)
{
    const struct named_count *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/** Those of one name become one. */
static void merge_counts(struct cursor *c)
{
    uint32_t n = 0;
    qsort(c->counts, c->n_counts, sizeof *c->counts, compare_counts);
    for (uint32_t i = 0; i < c->n_counts; i++) {
        if (n && compare_counts(&c->counts[n - 1], &c->counts[i]) == 0) {
            c->counts[n - 1].n += c->counts[i].n;
            free(c->counts[i].name);
        } else {
            c->counts[n++] = c->counts[i];
        }
    }
    c->n_counts = n;
}

/* A row of the table has the calls of one function in one segment. */
#define COUNTED_CALLS                                                                              \
    " FROM calls WHERE (segment < 0 OR segment IN (SELECT id FROM segments WHERE start_clock IS "  \
    "NOT NULL))"

/** Of code at whose address there were several mappings, row by row: each has the name that its first call tells. */
static urd_err *count_rows(struct cursor *c, uint32_t space, uint64_t entry)
{
    struct urd_index *x = c->engine->index;
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(
            x->db, "SELECT " URD_INDEX_CALL_COLUMNS COUNTED_CALLS " AND space = ? AND entry = ?",
            -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(x->db, "cannot read the index");
    sqlite3_bind_int64(q, 1, space);
    sqlite3_bind_int64(q, 2, (int64_t)entry);
    urd_err *err = NULL;
    while (!err && sqlite3_step(q) == SQLITE_ROW) {
        struct urd_call first = {0};
        bool more = true;
        err = urd_index_call_row(x, q, take_first, &first, &more);
        if (!err)
            add_count(c, space, urd_index_moment(x, first.entry).event, entry,
                      sqlite3_column_int64(q, 3));
    }
    sqlite3_finalize(q);
    return err;
}

static urd_err *filter_counts(struct cursor *c, bool by_name)
{
    struct urd_index *x = c->engine->index;
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(x->db,
                           by_name ? "SELECT space, entry, sum(n)" COUNTED_CALLS
                                     " GROUP BY space, entry"
                                   : "SELECT 0, 0, sum(n)" COUNTED_CALLS,
                           -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(x->db, "cannot read the index");
    urd_err *err = by_name ? load_code(c) : NULL;
    while (!err && sqlite3_step(q) == SQLITE_ROW) {
        uint32_t space = (uint32_t)sqlite3_column_int64(q, 0);
        uint64_t entry = (uint64_t)sqlite3_column_int64(q, 1), event;
        int64_t n = sqlite3_column_int64(q, 2);
        if (!by_name && n)
            URD_PUSH(c->counts, c->n_counts, c->cap_counts) = (struct named_count){NULL, n};
        else if (by_name && only_mapped_at(c, space, entry, &event))
            add_count(c, space, event, entry, n);
        else if (by_name)
            err = count_rows(c, space, entry);
    }
    sqlite3_finalize(q);
    if (by_name)
        merge_counts(c);
    return err;
}

/** The row that the cursor stands at, or the end. */
static void set_count(struct cursor *c)
{
    c->eof = c->at_call >= c->n_counts;
    if (!c->eof)
        c->engine->sql_weight =
            c->counts[c->descending ? c->n_counts - 1 - c->at_call : c->at_call].n;
}

static urd_err *filter_calls(struct cursor *c, const char *function)
{
    struct urd_index *x = c->engine->index;
    if (function) {
        struct location l;
        urd_err *err = engine_location(c->engine, function, false, &l);
        if (err && err->kind == URD_ERR_QUESTION) { /* no such function: no rows */
            urd_err_free(err);
            c->eof = true;
            return NULL;
        }
        URD_TRY(err);
        c->asked = strchr(function, ':') ? NULL : urd_xprintf("%s", function);
        c->entries = l.pcs ? l.pcs : urd_xcalloc(1, sizeof *c->entries);
        c->n_entries = l.n;
        l.pcs = NULL;
        location_deinit(&l);
    } else if (sqlite3_prepare_v2(x->db, "SELECT " URD_INDEX_CALL_COLUMNS " FROM calls", -1,
                                  &c->scan, NULL) != SQLITE_OK) {
        return urd_store_failed(x->db, "cannot read the index");
    }
    c->at_call = UINT32_MAX;
    c->n_calls = 0;
    return next_call(c);
}

static urd_err *call_column(struct cursor *c, sqlite3_context *ctx, int column)
{
    if (c->counts) { /* nothing else is asked for */
        give_text(ctx, c->counts[c->descending ? c->n_counts - 1 - c->at_call : c->at_call].name);
        return NULL;
    }
    const struct call_entry *k = &c->calls[c->at_call];
    struct place_name n;
    uint64_t event = column == C_FUNCTION || (column >= C_CALLER && column <= C_LINE)
                         ? urd_index_moment(c->engine->index, k->call.entry).event
                         : 0;
    switch (column) {
    case C_CLOCK:
        sqlite3_result_int64(ctx, k->call.entry);
        break;
    case C_MOMENT:
        give_moment(c, ctx, k->call.entry);
        break;
    case C_PID:
        sqlite3_result_int(ctx, c->engine->index->spaces[k->space].pid);
        break;
    case C_TID:
        sqlite3_result_int(ctx, k->call.tid);
        break;
    case C_FUNCTION:
        if (c->asked) {
            give_text(ctx, c->asked);
            break;
        }
        if (!c->named || c->named_space != k->space || c->named_callee != k->call.callee) {
            engine_name_level(c->engine, k->space, event, k->call.callee, false, NAMED_CALLED,
                              &c->name); /* rows come by callee */
            c->named = true;
            c->named_space = k->space;
            c->named_callee = k->call.callee;
        }
        give_text(ctx, c->name.function);
        break;
    case C_PC:
        sqlite3_result_int64(ctx, (int64_t)k->call.callee);
        break;
    case C_CALLER:
    case C_FILE:
    case C_LINE:
        URD_TRY(engine_caller(c->engine, k->space, &k->call, &n));
        if (column == C_LINE && n.line)
            sqlite3_result_int64(ctx, n.line);
        else if (column != C_LINE)
            give_text(ctx, column == C_CALLER ? n.function : n.file);
        break;
    case C_RETURN:
        if (!k->call.abandoned)
            sqlite3_result_int64(ctx, k->call.end);
        break;
    case C_STEPS:
        sqlite3_result_int64(ctx, k->call.end - k->call.entry);
        break;
    case C_DEPTH:
        if (urd_index_knows_depth(c->engine->index, k->call.entry))
            sqlite3_result_int64(ctx, k->call.depth);
        break;
    case C_RETURNED:
        sqlite3_result_int(ctx, !k->call.abandoned);
        break;
    case C_SPACE:
        sqlite3_result_int64(ctx, k->space);
        break;
    }
    return NULL;
}

/* ---- lines ---- */

static bool take_hit(void *data, int64_t clock, int32_t tid, uint32_t which)
{
    struct cursor *c = data;
    URD_PUSH(c->hits, c->n_hits, c->cap_hits) = (struct line_hit){clock, tid, which};
    return true;
}

static urd_err *filter_lines(struct cursor *c, const char *file, int64_t line)
{
    if (!file || line <= 0)
        URD_WRONG("lines needs both: WHERE file = 'name.c' AND line = 42");
    URD_AUTO_FREE char *text = urd_xprintf("%s:%lld", file, (long long)line);
    urd_err *err = engine_location(c->engine, text, false, &c->location);
    if (err && err->kind == URD_ERR_QUESTION) {
        urd_err_free(err);
        c->eof = true;
        return NULL;
    }
    URD_TRY(err);
    if (c->location.line != (unsigned)line) { /* the line has no code */
        c->eof = true;
        return NULL;
    }
    URD_TRY(urd_index_executions(c->engine->index, c->location.pcs, c->location.n, INT64_MIN,
                                 INT64_MAX, false, take_hit, c));
    c->eof = !c->n_hits;
    return NULL;
}

static urd_err *line_column(struct cursor *c, sqlite3_context *ctx, int column)
{
    const struct line_hit *h = &c->hits[c->at_hit];
    const struct urd_index_pc *pc = &c->location.pcs[h->which];
    struct place_name n;
    if (column >= L_FILE)
        engine_name(c->engine, pc->space, urd_index_moment(c->engine->index, h->clock).event,
                    pc->pc, false, &n);
    switch (column) {
    case L_CLOCK:
        sqlite3_result_int64(ctx, h->clock);
        break;
    case L_MOMENT:
        give_moment(c, ctx, h->clock);
        break;
    case L_PID:
        sqlite3_result_int(ctx, c->engine->index->spaces[pc->space].pid);
        break;
    case L_TID:
        sqlite3_result_int(ctx, h->tid);
        break;
    case L_FILE:
        give_text(ctx, n.file);
        break;
    case L_LINE:
        sqlite3_result_int64(ctx, n.line);
        break;
    case L_FUNCTION:
        give_text(ctx, n.function);
        break;
    case L_PC:
        sqlite3_result_int64(ctx, (int64_t)pc->pc);
        break;
    }
    return NULL;
}

/* ---- symbols ---- */

static urd_err *next_symbol(struct cursor *c)
{
    c->at_symbol++;
    while (c->at_symbol >= c->n_symbols) {
        if (sqlite3_step(c->scan) != SQLITE_ROW) {
            c->eof = true;
            return NULL;
        }
        struct code_mapping code;
        c->n_symbols = c->at_symbol = 0;
        if (!engine_code_mapping(c->engine, c->scan, &code))
            continue;
        c->module = code.module;
        c->symbol_space = code.space;
        c->bias = code.bias;
        c->symbols = urd_debuginfo_symbols(c->module, &c->n_symbols);
    }
    return NULL;
}

static urd_err *filter_symbols(struct cursor *c)
{
    struct urd_index *x = c->engine->index;
    if (sqlite3_prepare_v2(x->db,
                           "SELECT space, start, size, file, file_offset FROM mappings WHERE prot "
                           "& 4 AND file > 0 "
                           "GROUP BY space, file",
                           -1, &c->scan, NULL) != SQLITE_OK)
        return urd_store_failed(x->db, "cannot read the index");
    return next_symbol(c);
}

static void symbol_column(struct cursor *c, sqlite3_context *ctx, int column)
{
    static const char *const kinds[] = {"function", "object", "tls", "plt", "frame"};
    const struct urd_symbol *s = &c->symbols[c->at_symbol];
    switch (column) {
    case S_NAME:
        give_text(ctx, s->name);
        break;
    case S_ADDRESS:
        sqlite3_result_int64(ctx,
                             (int64_t)(s->address + (s->kind == URD_SYMBOL_TLS ? 0 : c->bias)));
        break;
    case S_SIZE:
        sqlite3_result_int64(ctx, (int64_t)s->size);
        break;
    case S_KIND:
        give_text(ctx, kinds[s->kind]);
        break;
    case S_MODULE:
        give_text(ctx, urd_debuginfo_module_name(c->module));
        break;
    case S_PID:
        sqlite3_result_int(ctx, c->engine->index->spaces[c->symbol_space].pid);
        break;
    case S_SPACE:
        sqlite3_result_int64(ctx, c->symbol_space);
        break;
    }
}

/* ---- the module ---- */

static int cursor_filter(sqlite3_vtab_cursor *base, int number, const char *plan, int argc,
                         sqlite3_value **argv)
{
    struct cursor *c = (struct cursor *)base;
    cursor_reset(c);
    const char *name = NULL;
    int64_t line = 0;
    c->low = 0;
    c->high = (1ull << 47) - 1;
    c->from = INT64_MIN;
    c->to = INT64_MAX;
    c->descending = number & PLAN_DESCENDING;
    c->with_old = number & PLAN_OLD;
    c->engine->sql_weight = 1;
    for (int i = 0; i < argc && plan[i * 2]; i++) {
        char op = plan[i * 2 + 1];
        int64_t v = sqlite3_value_int64(argv[i]);
        switch (plan[i * 2]) {
        case 'a':
            if (op != '<' && (uint64_t)v > c->low)
                c->low = (uint64_t)v;
            if (op != '>' && (uint64_t)v < c->high)
                c->high = (uint64_t)v;
            break;
        case 'c':
            if (op != '<' && v > c->from)
                c->from = v;
            if (op != '>' && v < INT64_MAX && v + 1 < c->to)
                c->to = v + 1;
            break;
        case 'f':
            name = (const char *)sqlite3_value_text(argv[i]);
            break;
        case 'l':
            line = v;
            break;
        }
    }
    switch (c->kind) {
    case TABLE_WRITES:
    case TABLE_READS:
        return raise(base->pVtab, filter_writes(c));
    case TABLE_CALLS:
        if (!(number & PLAN_COUNT))
            return raise(base->pVtab, filter_calls(c, name));
        urd_err *err = filter_counts(c, number & PLAN_BY_NAME);
        set_count(c);
        return raise(base->pVtab, err);
    case TABLE_LINES:
        return raise(base->pVtab, filter_lines(c, name, line));
    default:
        return raise(base->pVtab, filter_symbols(c));
    }
}

static int cursor_next(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)base;
    switch (c->kind) {
    case TABLE_WRITES:
    case TABLE_READS:
        return raise(base->pVtab, next_write(c));
    case TABLE_CALLS:
        if (!c->counts)
            return raise(base->pVtab, next_call(c));
        c->at_call++;
        set_count(c);
        return SQLITE_OK;
    case TABLE_LINES:
        c->eof = ++c->at_hit >= c->n_hits;
        return SQLITE_OK;
    default:
        return raise(base->pVtab, next_symbol(c));
    }
}

static int cursor_eof(sqlite3_vtab_cursor *base)
{
    return ((struct cursor *)base)->eof;
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int column)
{
    struct cursor *c = (struct cursor *)base;
    switch (c->kind) {
    case TABLE_WRITES:
    case TABLE_READS:
        return raise(base->pVtab, write_column(c, ctx, column));
    case TABLE_CALLS:
        return raise(base->pVtab, call_column(c, ctx, column));
    case TABLE_LINES:
        return raise(base->pVtab, line_column(c, ctx, column));
    default:
        symbol_column(c, ctx, column);
        return SQLITE_OK;
    }
}

static int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
    *ret = 0;
    return SQLITE_OK;
}

static sqlite3_module module = {.xCreate = table_connect,
                                .xConnect = table_connect,
                                .xBestIndex = table_best_index,
                                .xDisconnect = table_disconnect,
                                .xDestroy = table_disconnect,
                                .xOpen = cursor_open,
                                .xClose = cursor_close,
                                .xFilter = cursor_filter,
                                .xNext = cursor_next,
                                .xEof = cursor_eof,
                                .xColumn = cursor_column,
                                .xRowid = cursor_rowid};

static void fn_moment(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
        return;
    struct urd_engine *e = sqlite3_user_data(ctx);
    struct urd_moment m = urd_index_moment(e->index, sqlite3_value_int64(argv[0]));
    char text[48];
    snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)m.event,
             (unsigned long long)m.steps);
    sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

static void fn_syscall_name(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    const char *name = urd_record_syscall_name(sqlite3_value_int(argv[0]));
    if (name)
        sqlite3_result_text(ctx, name, -1, SQLITE_STATIC);
}

static void fn_event_kind(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    sqlite3_result_text(ctx, urd_event_kind_name((enum urd_event_kind)sqlite3_value_int(argv[0])),
                        -1, SQLITE_STATIC);
}

/* count(*) and count(x), of rows that may stand for several */
static void count_step(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    const struct urd_engine *e = sqlite3_user_data(ctx);
    int64_t *n = sqlite3_aggregate_context(ctx, sizeof *n);
    if (n && (!argc || sqlite3_value_type(argv[0]) != SQLITE_NULL))
        *n += e->sql_weight;
}

static void count_inverse(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    const struct urd_engine *e = sqlite3_user_data(ctx);
    int64_t *n = sqlite3_aggregate_context(ctx, sizeof *n);
    if (n && (!argc || sqlite3_value_type(argv[0]) != SQLITE_NULL))
        *n -= e->sql_weight;
}

static void count_value(sqlite3_context *ctx)
{
    const int64_t *n = sqlite3_aggregate_context(ctx, 0);
    sqlite3_result_int64(ctx, n ? *n : 0);
}

static void fn_word(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    int i = sqlite3_value_int(argv[1]);
    if (sqlite3_value_bytes(argv[0]) < (i + 1) * 8 || i < 0)
        return;
    int64_t word;
    memcpy(&word, (const char *)sqlite3_value_blob(argv[0]) + i * 8, 8);
    sqlite3_result_int64(ctx, word);
}

static const char views[] =
    "CREATE TEMP VIEW events AS SELECT number, clock, number || ':0' AS moment, event_kind(kind) "
    "AS kind, pid, tid,"
    " CASE WHEN syscall >= 0 THEN syscall_name(syscall) END AS syscall, CASE WHEN kind IN (2, 4) "
    "THEN result END AS result,"
    " nullif(signal, 0) AS signal, CASE WHEN kind = 8 THEN status END AS status, time_ns, pc, "
    "nullif(text, '') AS text, space"
    " FROM ix.events;"
    "CREATE TEMP VIEW syscalls AS SELECT number, clock, number || ':0' AS moment, "
    "syscall_name(syscall) AS name, pid, tid,"
    " word(args, 0) AS arg1, word(args, 1) AS arg2, word(args, 2) AS arg3, word(args, 3) AS arg4, "
    "word(args, 4) AS arg5,"
    " word(args, 5) AS arg6, result, time_ns, pc, space FROM ix.events WHERE syscall >= 0 AND kind "
    "<> 3;"
    "CREATE TEMP VIEW outputs AS SELECT event, clock, moment_of(clock) AS moment, fd, pid, tid, "
    "length(data) AS size, data,"
    " CAST(data AS TEXT) AS text FROM ix.outputs;"
    "CREATE TEMP VIEW tasks AS SELECT tid, pid, parent, name, start_event, end_event, status FROM "
    "ix.tasks;"
    "CREATE TEMP VIEW mappings AS SELECT space, (SELECT pid FROM ix.spaces s WHERE s.id = space) "
    "AS pid, start, size,"
    " start + size AS end, prot, shared, file_offset, name, from_event, to_event FROM ix.mappings;";

static const char allocations_view[] =
    "CREATE TEMP VIEW allocations AS SELECT kind, clock, moment_of(clock) AS moment, (SELECT pid "
    "FROM "
    "ix.spaces s WHERE s.id = space) AS pid, tid, function, address, size, caller, file, line, "
    "returned AS returned_clock, freed AS freed_clock, moment_of(freed_call) AS freed_moment, "
    "freed_tid, freed_by, freed_caller, freed_file, freed_line, heir > 0 AS inherited, space "
    "FROM al.allocations;";

static urd_err *attach_allocations(struct urd_engine *e, const char *path)
{
    char *attach = sqlite3_mprintf("ATTACH %Q AS al", path);
    sqlite3_exec(e->tables, "PRAGMA query_only = 0", NULL, NULL, NULL);
    e->have_allocations = sqlite3_exec(e->tables, attach, NULL, NULL, NULL) == SQLITE_OK &&
                          sqlite3_exec(e->tables, allocations_view, NULL, NULL, NULL) == SQLITE_OK;
    sqlite3_free(attach);
    sqlite3_exec(e->tables, "PRAGMA query_only = 1", NULL, NULL, NULL);
    return e->have_allocations ? NULL : urd_store_failed(e->tables, "cannot read the allocations");
}

/** Finding them takes a replay: only for statements that name them. */
static urd_err *open_allocations(struct answer *a, const char *sql)
{
    struct urd_engine *e = a->engine;
    const char *path, *none, *word = "allocations";
    bool named = false;
    for (const char *p = sql; *p && !named; p++)
        named = sqlite3_strnicmp(p, word, (int)strlen(word)) == 0;
    if (!named)
        return NULL;
    if (!e->have_allocations) {
        URD_TRY(engine_allocations(e, &path));
        URD_TRY(attach_allocations(e, path));
    }
    URD_TRY(engine_allocations_none(e->tables, "al", &none));
    if (none)
        json_object_set_new(a->summary, "blocks", json_string(none));
    return NULL;
}
static urd_err *open_tables(struct urd_engine *e)
{
    if (e->tables)
        return NULL;
    if (sqlite3_open_v2(":memory:", &e->tables,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI,
                        NULL) != SQLITE_OK)
        URD_FAIL("cannot open a database in memory");
    URD_AUTO_FREE char *path = urd_xprintf("%s/index.urd", e->directory);
    char *attach = sqlite3_mprintf("ATTACH %Q AS ix", path);
    static const char *const names[] = {"writes", "calls", "lines", "symbols", "reads"};
    static const struct {
        const char *name;
        int n;
        void (*fn)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {{"moment_of", 1, fn_moment},
                     {"syscall_name", 1, fn_syscall_name},
                     {"event_kind", 1, fn_event_kind},
                     {"word", 2, fn_word}};
    bool ok = sqlite3_exec(e->tables, attach, NULL, NULL, NULL) == SQLITE_OK;
    sqlite3_free(attach);
    for (unsigned i = 0; i < N_TABLES && ok; i++)
        ok = sqlite3_create_module(e->tables, names[i], &module, e) == SQLITE_OK;
    for (unsigned i = 0; i < 4 && ok; i++)
        ok = sqlite3_create_function(e->tables, functions[i].name, functions[i].n, SQLITE_UTF8, e,
                                     functions[i].fn, NULL, NULL) == SQLITE_OK;
    for (int n = 0; n <= 1 && ok; n++)
        ok = sqlite3_create_window_function(e->tables, "count", n, SQLITE_UTF8, e, count_step,
                                            count_value, count_value, count_inverse,
                                            NULL) == SQLITE_OK;
    for (unsigned i = 0; i < N_TABLES && ok; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "CREATE VIRTUAL TABLE temp.%s USING %s", names[i], names[i]);
        ok = sqlite3_exec(e->tables, sql, NULL, NULL, NULL) == SQLITE_OK;
    }
    ok = ok && sqlite3_exec(e->tables, views, NULL, NULL, NULL) == SQLITE_OK;
    if (!ok) {
        urd_err *err = urd_store_failed(e->tables, "cannot make the tables");
        sqlite3_close_v2(e->tables);
        e->tables = NULL;
        return err;
    }
    sqlite3_exec(e->tables, "PRAGMA query_only = 1", NULL, NULL, NULL);
    return NULL;
}

static json_t *sql_value(sqlite3_stmt *q, int i)
{
    switch (sqlite3_column_type(q, i)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(q, i));
    case SQLITE_FLOAT:
        return json_real(sqlite3_column_double(q, i));
    case SQLITE_TEXT:
        return json_text((const char *)sqlite3_column_text(q, i),
                         (size_t)sqlite3_column_bytes(q, i));
    case SQLITE_BLOB:
        return json_bytes(sqlite3_column_blob(q, i), (size_t)sqlite3_column_bytes(q, i));
    default:
        return json_null();
    }
}

static urd_err *sql_failed(struct urd_engine *e, const char *sql)
{
    urd_err *err = URD_ERROR(URD_ERR_QUESTION, "%s", sqlite3_errmsg(e->tables));
    int offset = sqlite3_error_offset(e->tables);
    if (offset >= 0)
        urd_err_at(err, offset, NULL);
    return urd_err_hint(err,
                        "tables: writes, reads, calls, lines, events, syscalls, outputs, tasks, "
                        "mappings, symbols, allocations");
}

/** Functions that say the same of one row as of several equal ones. */
static bool is_harmless(const char *function)
{
    static const char *const names[] = {"like",   "glob",   "lower", "upper",  "length", "substr",
                                        "instr",  "min",    "max",   "ifnull", "nullif", "coalesce",
                                        "printf", "format", "trim",  "abs",    "replace"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (sqlite3_stricmp(function, names[i]) == 0)
            return true;
    return false;
}

/** Only reading: the index is nobody's to change, and no file is to be made. data: struct sql_use. */
static int allow_reading(void *data, int action, const char *a, const char *b, const char *c,
                         const char *d)
{
    struct sql_use *u = data;
    switch (action) {
    case SQLITE_SELECT:
        u->selects++;
        return SQLITE_OK;
    case SQLITE_READ:
        if (sqlite3_stricmp(a, "calls") == 0 && sqlite3_stricmp(b, "function") == 0)
            u->by_function = true;
        else if (sqlite3_stricmp(a, "calls") != 0 || *b)
            u->other = true;
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        if (sqlite3_stricmp(b, "count") == 0)
            u->counts = true;
        else if (!is_harmless(b))
            u->other = true;
        return SQLITE_OK;
    case SQLITE_RECURSIVE:
        u->other = true;
        return SQLITE_OK;
    }
    return SQLITE_DENY;
}

/** DISTINCT, windows, collations and calls joined with calls need each row; the authorizer does not hear of them. */
static bool may_need_each_row(const char *sql)
{
    static const char *const words[] = {"distinct", "over", "collate", "calls"};
    unsigned n[4] = {0};
    for (const char *p = sql; *p; p++)
        for (unsigned i = 0; i < 4; i++)
            n[i] += sqlite3_strnicmp(p, words[i], (int)strlen(words[i])) == 0;
    return n[0] || n[1] || n[2] || n[3] > 1;
}

urd_err *q_sql(struct answer *a)
{
    const char *sql, *tail = NULL;
    struct urd_engine *e = a->engine;
    URD_TRY(need_index(e));
    URD_TRY(question_need(a, "sql", &sql));
    URD_TRY(open_tables(e));
    URD_TRY(open_allocations(a, sql));
    sqlite3_stmt *q;
    struct sql_use use = {.other = may_need_each_row(sql)};
    sqlite3_set_authorizer(e->tables, allow_reading, &use);
    e->sql_use = &use;
    e->sql_weight = 1;
    int code = sqlite3_prepare_v2(e->tables, sql, -1, &q, &tail);
    e->sql_use = NULL;
    sqlite3_set_authorizer(e->tables, NULL, NULL);
    if (code != SQLITE_OK)
        return sql_failed(e, sql);
    if (!q)
        URD_WRONG("there is no statement in '%s'", sql);
    urd_err *err = NULL;
    json_t *columns = json_array();
    int n = sqlite3_column_count(q);
    for (int i = 0; i < n; i++)
        json_array_append_new(columns, json_string(sqlite3_column_name(q, i)));
    json_object_set_new(a->summary, "columns", columns);
    bool full = false;
    while (!err && !full && (code = sqlite3_step(q)) == SQLITE_ROW) {
        json_t *row = json_object();
        for (int i = 0; i < n; i++)
            json_object_set_new(row, sqlite3_column_name(q, i), sql_value(q, i));
        err = answer_row(a, row, &full);
    }
    a->truncated = full;
    if (!err && !full && code != SQLITE_DONE)
        err = sql_failed(e, sql);
    sqlite3_finalize(q);
    return err;
}
