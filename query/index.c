#include "query/index.h"
#include "indexer/schema.h"
#include "indexer/store.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Decoded rows are kept: questions come in runs that touch the same ones. */
#define FLOW_CACHE   8
#define FLOW_COLUMNS "chunk, tid, space, first, blocks, data, stack"

struct flow_step {
    int64_t clock;  /* of the block's first instruction */
    uint32_t block; /* index in the dictionary */
    uint16_t insns;
};

/** One row of flow, decoded. */
struct flow_row {
    struct urd_index_segment *segment;
    uint32_t chunk, n, space;
    int32_t tid;
    int64_t first;
    const struct flow_step *steps;
};

struct flow_cache {
    struct {
        struct flow_row row; /* segment NULL: nothing is there */
        uint64_t stamp;
    } rows[FLOW_CACHE];
    uint64_t stamp;
    /* Rows in which one instruction was looked for, and which are not kept: the second time they will be. */
    struct {
        const struct urd_index_segment *segment;
        uint32_t chunk;
    } walked[FLOW_CACHE];
    unsigned next_walked;
};

#define STORES_CACHE 16

struct stores_cache {
    struct stores_entry {
        struct urd_stores_decoded d; /* first: what is handed out points here */
        uint32_t segment, row, users;
        uint64_t low, high; /* it has the row's stores to [low, high) */
        bool used;
        uint64_t stamp;
    } * rows[STORES_CACHE];
    uint64_t stamp;
};

static urd_err *failed(struct urd_index *x)
{
    return urd_store_failed(x->db, "cannot read the index");
}

static urd_err *prepare(struct urd_index *x, const char *sql, sqlite3_stmt **ret)
{
    if (sqlite3_prepare_v2(x->db, sql, -1, ret, NULL) != SQLITE_OK)
        return failed(x);
    return NULL;
}

static urd_err *load_events(struct urd_index *x)
{
    sqlite3_stmt *q;
    URD_TRY(
        prepare(x,
                "SELECT number, clock, kind, flags, pid, tid, space, other, syscall FROM events "
                "ORDER BY number",
                &q));
    uint64_t n = 0, capacity = 0;
    x->events = NULL;
    URD_PUSH(x->events, n, capacity) = (struct urd_index_event){0};
    while (sqlite3_step(q) == SQLITE_ROW)
        URD_PUSH(x->events, n, capacity) =
            (struct urd_index_event){.clock = sqlite3_column_int64(q, 1),
                                     .kind = (uint8_t)sqlite3_column_int(q, 2),
                                     .flags = (uint8_t)sqlite3_column_int(q, 3),
                                     .pid = sqlite3_column_int(q, 4),
                                     .tid = sqlite3_column_int(q, 5),
                                     .space = (uint32_t)sqlite3_column_int(q, 6),
                                     .other = sqlite3_column_int(q, 7),
                                     .syscall = sqlite3_column_int(q, 8)};
    sqlite3_finalize(q);
    x->n_events = n - 1;
    return NULL;
}

static urd_err *load_segments(struct urd_index *x)
{
    sqlite3_stmt *q;
    URD_TRY(prepare(x,
                    "SELECT id, start_clock, steps, blocks IS NULL, start_event, end_event FROM "
                    "segments WHERE start_clock IS NOT NULL ORDER BY id",
                    &q));
    uint32_t capacity = 0, cap_gaps = 0;
    x->segments = NULL;
    x->gaps = NULL;
    x->n_segments = x->n_gaps = 0;
    bool damaged = false;
    while (sqlite3_step(q) == SQLITE_ROW) {
        struct urd_index_segment s = {.start_event = (uint64_t)sqlite3_column_int64(q, 4),
                                      .end_event = (uint64_t)sqlite3_column_int64(q, 5),
                                      .id = (uint32_t)sqlite3_column_int64(q, 0),
                                      .start = sqlite3_column_int64(q, 1),
                                      .steps = sqlite3_column_int64(q, 2),
                                      .counted = sqlite3_column_int(q, 3)};
        if (s.counted && !s.steps && s.start_event == s.end_event)
            continue; /* nothing is missing of it */
        bool after_gap = x->n_segments && x->segments[x->n_segments - 1].counted;
        URD_PUSH(x->segments, x->n_segments, capacity) = s;
        uint64_t from = (uint64_t)sqlite3_column_int64(q, 4),
                 to = (uint64_t)sqlite3_column_int64(q, 5);
        damaged |= from > x->n_events || to > x->n_events;
        if (!s.counted || damaged)
            continue;
        if (!after_gap)
            URD_PUSH(x->gaps, x->n_gaps, cap_gaps) = (struct urd_index_gap){
                .first = s.start - 1, .from = {from, (uint64_t)(s.start - x->events[from].clock)}};
        struct urd_index_gap *g = &x->gaps[x->n_gaps - 1];
        g->end = s.start + s.steps;
        g->to = (struct urd_moment){to, (uint64_t)(g->end - x->events[to].clock)};
    }
    sqlite3_finalize(q);
    if (damaged)
        URD_FAIL("a segment of the index is damaged");
    if (x->n_segments)
        x->end = x->segments[x->n_segments - 1].start + x->segments[x->n_segments - 1].steps;
    return NULL;
}

static urd_err *load_spaces(struct urd_index *x)
{
    sqlite3_stmt *q;
    URD_TRY(prepare(x, "SELECT parent, pid, clock, event, path FROM spaces ORDER BY id", &q));
    uint32_t n = 0, capacity = 0;
    URD_PUSH(x->spaces, n, capacity) = (struct urd_index_space){0};
    while (sqlite3_step(q) == SQLITE_ROW)
        URD_PUSH(x->spaces, n, capacity) =
            (struct urd_index_space){.parent = (uint32_t)sqlite3_column_int(q, 0),
                                     .pid = sqlite3_column_int(q, 1),
                                     .clock = sqlite3_column_int64(q, 2),
                                     .event = (uint64_t)sqlite3_column_int64(q, 3),
                                     .path = strdup((const char *)sqlite3_column_text(q, 4))};
    sqlite3_finalize(q);
    x->n_spaces = n - 1;
    return NULL;
}

static void index_cleanup(struct urd_index **x)
{
    urd_index_close(*x);
}

static bool is_complete(struct urd_index *x)
{
    sqlite3_stmt *q;
    bool complete = false;
    if (sqlite3_prepare_v2(x->db,
                           "SELECT count(*) FROM meta WHERE (key='complete' AND value=1) OR "
                           "(key='version' AND value='" URD_INDEX_VERSION "')",
                           -1, &q, NULL) == SQLITE_OK)
        complete = sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int(q, 0) == 2;
    sqlite3_finalize(q);
    return complete;
}

/** Only where `urd index --reads` has put them. */
static urd_err *load_reads(struct urd_index *x)
{
    struct urd_index_reads *r = &x->reads;
    sqlite3_stmt *q;
    uint32_t capacity = 0;
    URD_TRY(prepare(x, "SELECT value FROM meta WHERE key = 'reads'", &q));
    bool there = sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int(q, 0) == 1;
    sqlite3_finalize(q);
    if (!there)
        return NULL;
    URD_TRY(prepare(x, "SELECT start_clock FROM read_segments ORDER BY id", &q));
    while (sqlite3_step(q) == SQLITE_ROW)
        URD_PUSH(r->starts, r->n, capacity) = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    URD_PUSH(r->starts, r->n, capacity) = x->end;
    URD_TRY(prepare(x,
                    "SELECT rowid, segment, first, n, words FROM reads INDEXED BY reads_by_page "
                    "WHERE space = ? AND page = ? ORDER BY segment, first",
                    &r->by_page));
    URD_TRY(prepare(x, "SELECT data FROM reads WHERE rowid = ?", &r->page_data));
    r->cache = urd_xcalloc(1, sizeof *r->cache);
    return NULL;
}

static void reads_deinit(struct urd_index_reads *r)
{
    for (unsigned i = 0; r->cache && i < URD_WRITES_CACHE; i++)
        urd_writes_decoded_deinit(&r->cache->rows[i].d);
    free(r->cache);
    free(r->starts);
    sqlite3_finalize(r->by_page);
    sqlite3_finalize(r->page_data);
}

static urd_err *data_version(struct urd_index *x, int64_t *ret)
{
    sqlite3_stmt *q;
    URD_TRY(prepare(x, "PRAGMA data_version", &q));
    bool ok = sqlite3_step(q) == SQLITE_ROW;
    *ret = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return ok ? NULL : failed(x);
}

/** All that depends on which segments there are. */
static void forget_segments(struct urd_index *x)
{
    for (uint32_t i = 0; i < x->n_segments; i++) {
        urd_flow_dictionary_deinit(&x->segments[i].dictionary);
        free(x->segments[i].below);
        free(x->segments[i].memory);
        free(x->segments[i].firsts);
        urd_index_coarse_free(x->segments[i].coarse);
    }
    free(x->segments);
    free(x->gaps);
    x->segments = NULL;
    x->gaps = NULL;
    x->n_segments = x->n_gaps = 0;
    for (unsigned i = 0; x->stores_cache && i < STORES_CACHE; i++)
        if (x->stores_cache->rows[i]) {
            urd_stores_decoded_deinit(&x->stores_cache->rows[i]->d);
            free(x->stores_cache->rows[i]);
        }
    for (unsigned i = 0; x->flow_cache && i < FLOW_CACHE; i++)
        free((void *)x->flow_cache->rows[i].row.steps);
    for (unsigned i = 0; x->writes_cache && i < URD_WRITES_CACHE; i++)
        urd_writes_decoded_deinit(&x->writes_cache->rows[i].d);
    free(x->stores_cache);
    free(x->flow_cache);
    free(x->writes_cache);
    x->stores_cache = NULL;
    x->flow_cache = NULL;
    x->writes_cache = NULL;
}

static void make_caches(struct urd_index *x)
{
    x->flow_cache = urd_xcalloc(1, sizeof *x->flow_cache);
    x->stores_cache = urd_xcalloc(1, sizeof *x->stores_cache);
    x->writes_cache = urd_xcalloc(1, sizeof *x->writes_cache);
}

urd_err *urd_index_hold(struct urd_index *x)
{
    int64_t version;
    if (sqlite3_exec(x->db, "BEGIN; SELECT 1 FROM meta", NULL, NULL, NULL) != SQLITE_OK)
        return failed(x);
    URD_TRY(data_version(x, &version));
    if (version == x->version)
        return NULL;
    if (!is_complete(x))
        return urd_err_hint(URD_ERROR(URD_ERR_FAILED, "the index was replaced by another one"),
                            "start again what asked this");
    forget_segments(x);
    make_caches(x);
    URD_TRY(load_segments(x)); /* once there are segments to the end, nothing else changes, */
    reads_deinit(&x->reads);   /* but reads may have come */
    x->reads = (struct urd_index_reads){.wanted = x->reads.wanted};
    URD_TRY(load_reads(x));
    x->version = version;
    return NULL;
}

void urd_index_release(struct urd_index *x)
{
    sqlite3_exec(x->db, "COMMIT", NULL, NULL, NULL);
}

struct urd_index_segment *urd_index_segment(const struct urd_index *x, int64_t id)
{
    uint32_t low = 0, high = x->n_segments;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (x->segments[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < x->n_segments && x->segments[low].id == id ? &x->segments[low] : NULL;
}

static urd_err *load(struct urd_index *x)
{
    URD_TRY(data_version(x, &x->version));
    URD_TRY(load_events(x));
    URD_TRY(load_segments(x));
    URD_TRY(load_spaces(x));
    URD_TRY(urd_index_load_shown(x));
    URD_TRY(urd_index_load_remaps(x));
    return load_reads(x);
}

urd_err *urd_index_open(const char *directory, struct urd_index **ret)
{
    *ret = NULL;
    URD_AUTO_FREE char *path = urd_xprintf("%s/index.urd", directory);
    if (access(path, R_OK) != 0)
        return NULL;
    URD_CLEANUP(index_cleanup) struct urd_index *x = urd_xcalloc(1, sizeof *x);
    if (sqlite3_open_v2(path, &x->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        return failed(x);
    sqlite3_busy_timeout(x->db, 200);
    sqlite3_exec(x->db, "PRAGMA mmap_size=1099511627776; PRAGMA cache_size=-65536; BEGIN;", NULL,
                 NULL, NULL);
    if (!is_complete(x))
        return NULL;
    URD_TRY(load(x));
    URD_TRY(prepare(x,
                    "SELECT rowid, segment, first, n, words FROM writes INDEXED BY writes_by_page "
                    "WHERE space = ? AND page = ? ORDER BY segment, first",
                    &x->by_page));
    URD_TRY(prepare(x, "SELECT data FROM writes WHERE rowid = ?", &x->page_data));
    URD_TRY(prepare(
        x, "SELECT segment, data FROM touched WHERE space = ? AND page = ? ORDER BY segment",
        &x->touched));
    URD_TRY(prepare(x, "SELECT " FLOW_COLUMNS ", stores FROM flow WHERE segment = ? AND chunk = ?",
                    &x->flow_row));
    urd_index_release(x);
    make_caches(x);
    *ret = x;
    x = NULL;
    return NULL;
}

void urd_index_close(struct urd_index *x)
{
    if (!x)
        return;
    forget_segments(x);
    for (uint32_t i = 0; x->spaces && i <= x->n_spaces; i++)
        free(x->spaces[i].path);
    reads_deinit(&x->reads);
    free(x->shown);
    free(x->remaps);
    free(x->first_remap);
    free(x->life.spans);
    free(x->spaces);
    free(x->events);
    sqlite3_finalize(x->by_page);
    sqlite3_finalize(x->page_data);
    sqlite3_finalize(x->touched);
    sqlite3_finalize(x->flow_row);
    sqlite3_close(x->db);
    free(x);
}

/* ---- moments and clocks ---- */

struct urd_moment urd_index_moment(const struct urd_index *x, int64_t clock)
{
    if (clock < 0)
        return (struct urd_moment){0, 0};
    uint64_t low = 1, high = x->n_events + 1; /* the last event with events[].clock <= clock */
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (x->events[middle].clock <= clock)
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t event = low - 1;
    return (struct urd_moment){event, event ? (uint64_t)(clock - x->events[event].clock) : 0};
}

urd_err *urd_index_clock(const struct urd_index *x, struct urd_moment m, int64_t *ret)
{
    if (m.event > x->n_events)
        URD_WRONG("there is no event %llu; the trace ends with event %llu",
                  (unsigned long long)m.event, (unsigned long long)x->n_events);
    int64_t clock = x->events[m.event].clock + (int64_t)m.steps;
    int64_t end = m.event < x->n_events ? x->events[m.event + 1].clock : x->end;
    if (clock > end)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "event %llu is followed by only %lld steps",
                                      (unsigned long long)m.event,
                                      (long long)(end - x->events[m.event].clock)),
                            "the next moment is %llu:0", (unsigned long long)m.event + 1);
    *ret = clock;
    return NULL;
}

uint32_t urd_index_space_at(const struct urd_index *x, uint64_t event, int32_t tid)
{
    for (uint64_t e = event + 1; e <= x->n_events;
         e++) /* the next event of the task is in that space */
        if (x->events[e].tid == tid && x->events[e].space && x->events[e].kind != URD_EVENT_EXEC &&
            x->events[e].kind != URD_EVENT_START)
            return x->events[e].space;
        else if (x->events[e].tid == tid)
            break;
    for (uint64_t e = event; e; e--)
        if (x->events[e].tid == tid && x->events[e].space)
            return x->events[e].space;
    return 0;
}

/* ---- control flow ---- */

static struct urd_index_segment *segment_at(struct urd_index *x, int64_t clock)
{
    uint32_t low = 0, high = x->n_segments;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (x->segments[middle].start <= clock)
            low = middle + 1;
        else
            high = middle;
    }
    while (low > 1 && x->segments[low - 1].steps == 0)
        low--; /* empty segments end where the next begins */
    return low ? &x->segments[low - 1] : NULL;
}

static urd_err *load_blocks(struct urd_index *x, struct urd_index_segment *s)
{
    struct urd_flow_dictionary *d = &s->dictionary;
    if (s->memory || s->counted)
        return NULL;
    sqlite3_stmt *q;
    URD_TRY(prepare(x, "SELECT blocks FROM segments WHERE id = ?", &q));
    sqlite3_bind_int64(q, 1, s->id);
    urd_err *err = sqlite3_step(q) == SQLITE_ROW
                       ? urd_flow_dictionary_decode(sqlite3_column_blob(q, 0),
                                                    (size_t)sqlite3_column_bytes(q, 0), d)
                       : failed(x);
    sqlite3_finalize(q);
    URD_TRY(err);
    s->memory = urd_flow_words(d);
    return NULL;
}

urd_err *urd_index_blocks(struct urd_index *x, uint32_t i, const struct urd_flow_block **ret,
                          uint32_t *ret_n)
{
    URD_TRY(load_blocks(x, &x->segments[i]));
    *ret = x->segments[i].dictionary.blocks;
    *ret_n = x->segments[i].dictionary.n_blocks;
    return NULL;
}

static bool flow_cached(struct urd_index *x, const struct urd_index_segment *s, uint32_t chunk,
                        struct flow_row *ret)
{
    struct flow_cache *c = x->flow_cache;
    for (unsigned i = 0; i < FLOW_CACHE; i++)
        if (c->rows[i].row.segment == s && c->rows[i].row.chunk == chunk) {
            c->rows[i].stamp = ++c->stamp;
            *ret = c->rows[i].row;
            return true;
        }
    return false;
}

/** Traces become the plain blocks that they stand for. */
static urd_err *decode_flow(struct urd_index *x, struct urd_index_segment *s, const void *data,
                            size_t size, uint32_t n_traces, int64_t first, struct flow_step **ret,
                            uint32_t *ret_n)
{
    struct urd_flow_decoder d;
    URD_TRY(load_blocks(x, s));
    URD_TRY(urd_flow_decoder_init(&d, data, size, n_traces, s->dictionary.n_traces));
    struct flow_step *steps = NULL;
    uint32_t n = 0, capacity = 0, dense, left, n_read = 0;
    int64_t clock = first;
    for (; n_read < n_traces && urd_flow_next(&d, &dense, &left); n_read++) {
        const struct urd_flow_trace *t = &s->dictionary.traces[dense];
        for (uint32_t k = t->first; k < t->first + t->n_blocks && left; k++) {
            uint32_t insns = s->dictionary.blocks[k].n_insns;
            insns = insns < left ? insns : left;
            URD_PUSH(steps, n, capacity) = (struct flow_step){clock, k, (uint16_t)insns};
            left -= left == UINT32_MAX ? 0 : insns;
            clock += insns;
        }
    }
    urd_flow_decoder_deinit(&d);
    if (n_read != n_traces) {
        free(steps);
        URD_FAIL("a row of control flow in the index is damaged");
    }
    *ret = steps;
    *ret_n = n;
    return NULL;
}

/** Fill row->steps from a statement whose columns are chunk, tid, space, first, blocks, data. */
static urd_err *flow_from(struct urd_index *x, struct urd_index_segment *s, sqlite3_stmt *q,
                          struct flow_row *row)
{
    *row = (struct flow_row){.segment = s,
                             .chunk = (uint32_t)sqlite3_column_int(q, 0),
                             .tid = sqlite3_column_int(q, 1),
                             .space = (uint32_t)sqlite3_column_int(q, 2),
                             .first = sqlite3_column_int64(q, 3) + s->start};
    if (flow_cached(x, s, row->chunk, row))
        return NULL;
    struct flow_cache *c = x->flow_cache;
    unsigned victim = 0;
    for (unsigned i = 1; i < FLOW_CACHE; i++)
        if (c->rows[i].stamp < c->rows[victim].stamp)
            victim = i;
    struct flow_step *steps = NULL;
    URD_TRY(decode_flow(x, s, sqlite3_column_blob(q, 5), (size_t)sqlite3_column_bytes(q, 5),
                        (uint32_t)sqlite3_column_int(q, 4), row->first, &steps, &row->n));
    URD_TRY(load_blocks(x, s));
    free((void *)c->rows[victim].row.steps);
    row->steps = steps;
    c->rows[victim].row = *row;
    c->rows[victim].stamp = ++c->stamp;
    return NULL;
}

/** The number of the row that covers a clock, or begins last before it, and its segment; NULL: there is none. */
static urd_err *find_row(struct urd_index *x, int64_t clock, struct urd_index_segment **ret,
                         uint32_t *ret_chunk)
{
    struct urd_index_segment *s = segment_at(x, clock);
    *ret = NULL;
    if (!s)
        return NULL;
    const int64_t *firsts;
    uint32_t low = 0, high;
    URD_TRY(urd_index_rows(x, (uint32_t)(s - x->segments), &firsts, &high));
    while (low < high) { /* the last one that begins at or before the clock */
        uint32_t middle = (low + high) / 2;
        if (firsts[middle] <= clock)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low ? s : NULL;
    *ret_chunk = low - 1;
    return NULL;
}

/** x->flow_row stands at a row, with FLOW_COLUMNS and stores: reset it. */
static urd_err *read_row(struct urd_index *x, const struct urd_index_segment *s, uint32_t chunk)
{
    sqlite3_bind_int64(x->flow_row, 1, s->id);
    sqlite3_bind_int64(x->flow_row, 2, chunk);
    if (sqlite3_step(x->flow_row) == SQLITE_ROW)
        return NULL;
    urd_err *err = failed(x);
    sqlite3_reset(x->flow_row);
    return err;
}

/** The row that covers a clock; row->n is 0 when there is none. stack: gets the row's stack blob, or NULL. */
static urd_err *flow_row_at(struct urd_index *x, int64_t clock, struct flow_row *row,
                            struct urd_buf *stack)
{
    *row = (struct flow_row){0};
    struct urd_index_segment *s;
    uint32_t chunk;
    URD_TRY(find_row(x, clock, &s, &chunk));
    if (!s || (!stack && flow_cached(x, s, chunk, row)))
        return NULL;
    sqlite3_stmt *q = x->flow_row;
    URD_TRY(read_row(x, s, chunk));
    urd_err *err = flow_from(x, s, q, row);
    if (!err && stack)
        urd_buf_put(stack, sqlite3_column_blob(q, 6), (size_t)sqlite3_column_bytes(q, 6));
    sqlite3_reset(q);
    return err;
}

/* ---- stores ---- */

urd_err *urd_index_rows(struct urd_index *x, uint32_t i, const int64_t **ret_firsts,
                        uint32_t *ret_n)
{
    struct urd_index_segment *s = &x->segments[i];
    if (!s->firsts) {
        sqlite3_stmt *q;
        uint32_t capacity = 0;
        URD_TRY(prepare(x, "SELECT first FROM flow WHERE segment = ? ORDER BY chunk", &q));
        sqlite3_bind_int64(q, 1, s->id);
        while (sqlite3_step(q) == SQLITE_ROW)
            URD_PUSH(s->firsts, s->n_rows, capacity) = sqlite3_column_int64(q, 0) + s->start;
        sqlite3_finalize(q);
    }
    *ret_firsts = s->firsts;
    *ret_n = s->n_rows;
    return NULL;
}

/** The stores to [low, high), from a statement whose columns are those of FLOW_COLUMNS and stores. Of which the flow is decoded once
 * more: the row's steps know no traces. */
static urd_err *decode_stores(struct urd_index *x, struct urd_index_segment *s, sqlite3_stmt *q,
                              uint64_t low, uint64_t high, struct urd_stores_decoded *ret)
{
    struct urd_flow_decoder flow;
    struct urd_stores_decoder d;
    int64_t clock = sqlite3_column_int64(q, 3) + s->start;
    uint32_t dense, partial, n_traces = s->dictionary.n_traces;
    URD_TRY(urd_flow_decoder_init(&flow, sqlite3_column_blob(q, 5),
                                  (size_t)sqlite3_column_bytes(q, 5),
                                  (uint32_t)sqlite3_column_int(q, 4), n_traces));
    urd_err *err =
        urd_stores_decoder_init(&d, sqlite3_column_blob(q, 7), (size_t)sqlite3_column_bytes(q, 7),
                                s->memory, n_traces, low, high);
    while (!err && urd_flow_next(&flow, &dense, &partial)) {
        const struct urd_flow_trace *t = &s->dictionary.traces[dense];
        urd_stores_next(&d, dense, urd_flow_shapes(&s->dictionary, t), t->n_shapes, partial, clock);
        clock += partial < t->n_insns ? partial : t->n_insns;
    }
    urd_flow_decoder_deinit(&flow);
    URD_TRY(err);
    err = urd_stores_take(&d, ret);
    urd_stores_decoder_deinit(&d);
    return err;
}

static struct stores_entry *stores_victim(struct stores_cache *c)
{
    unsigned victim = STORES_CACHE;
    for (unsigned i = 0; i < STORES_CACHE; i++) {
        if (!c->rows[i])
            c->rows[i] = urd_xcalloc(1, sizeof *c->rows[i]);
        if (!c->rows[i]->users &&
            (victim == STORES_CACHE || c->rows[i]->stamp < c->rows[victim]->stamp))
            victim = i;
    }
    urd_check(victim < STORES_CACHE, "too many questions within questions");
    return c->rows[victim];
}

urd_err *urd_index_stores(struct urd_index *x, uint32_t i, uint32_t row, uint64_t address,
                          uint64_t size, const struct urd_stores_decoded **ret)
{
    struct stores_cache *c = x->stores_cache;
    struct stores_entry *e = NULL;
    uint64_t low = address, high = address + size;
    for (unsigned k = 0; k < STORES_CACHE && !e; k++) {
        struct stores_entry *known = c->rows[k];
        if (!known || !known->used || known->segment != i || known->row != row)
            continue;
        if (known->low <= address && address + size <= known->high) {
            e = known;
        } else { /* of another place in the row */
            low = 0;
            high = UINT64_MAX;
        }
    }
    if (!e) {
        struct urd_index_segment *s = &x->segments[i];
        e = stores_victim(c);
        e->used = false;
        urd_stores_decoded_deinit(&e->d);
        URD_TRY(load_blocks(x, s));
        URD_TRY(read_row(x, s, row));
        urd_err *err = decode_stores(x, s, x->flow_row, low, high, &e->d);
        sqlite3_reset(x->flow_row);
        URD_TRY(err);
        e->segment = i;
        e->row = row;
        e->low = low;
        e->high = high;
        e->used = true;
    }
    e->stamp = ++c->stamp;
    e->users++;
    *ret = &e->d;
    return NULL;
}

void urd_index_release_stores(struct urd_index *x, const struct urd_stores_decoded *d)
{
    (void)x;
    if (d)
        ((struct stores_entry *)d)->users--;
}

static uint32_t step_at(const struct flow_row *row, int64_t clock)
{
    uint32_t low = 0, high = row->n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (row->steps[middle].clock <= clock)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? low - 1 : 0;
}

static uint64_t pc_in_block(const struct urd_flow_block *b, unsigned insn)
{
    uint64_t pc = b->pc;
    for (unsigned i = 0; i < insn && i < b->n_insns; i++)
        pc += b->lengths[i];
    return pc;
}

/** The instruction of a trace that is the n-th, from 0, of those of its plain blocks. */
static uint64_t pc_in_trace(const struct urd_flow_dictionary *d, const struct urd_flow_trace *t,
                            unsigned n)
{
    const struct urd_flow_block *b = &d->blocks[t->first];
    for (; n >= b->n_insns; b++)
        n -= b->n_insns;
    return pc_in_block(b, n);
}

/** Was this row walked over not long ago? Then it is now. */
static bool walked_before(struct flow_cache *c, const struct urd_index_segment *s, uint32_t chunk)
{
    for (unsigned i = 0; i < FLOW_CACHE; i++)
        if (c->walked[i].segment == s && c->walked[i].chunk == chunk)
            return true;
    c->walked[c->next_walked].segment = s;
    c->walked[c->next_walked].chunk = chunk;
    c->next_walked = (c->next_walked + 1) % FLOW_CACHE;
    return false;
}

/** In the row at which x->flow_row stands. */
static urd_err *walk_to(struct urd_index *x, struct urd_index_segment *s, int64_t clock,
                        struct urd_index_place *ret)
{
    struct urd_flow_decoder d;
    sqlite3_stmt *q = x->flow_row;
    uint32_t dense, left, n = (uint32_t)sqlite3_column_int(q, 4);
    int64_t at = sqlite3_column_int64(q, 3) + s->start;
    URD_TRY(urd_flow_decoder_init(&d, sqlite3_column_blob(q, 5), (size_t)sqlite3_column_bytes(q, 5),
                                  n, s->dictionary.n_traces));
    for (; n && urd_flow_next(&d, &dense, &left) && !ret->found; n--) {
        const struct urd_flow_trace *t = &s->dictionary.traces[dense];
        uint32_t insns = t->n_insns < left ? t->n_insns : left;
        ret->found = clock < at + insns;
        if (ret->found)
            ret->pc = pc_in_trace(&s->dictionary, t, (unsigned)(clock - at));
        at += insns;
    }
    urd_flow_decoder_deinit(&d);
    if (n && !ret->found)
        URD_FAIL("a row of control flow in the index is damaged");
    ret->tid = sqlite3_column_int(q, 1);
    ret->space = (uint32_t)sqlite3_column_int(q, 2);
    return NULL;
}

urd_err *urd_index_place(struct urd_index *x, int64_t clock, struct urd_index_place *ret)
{
    struct urd_index_segment *in;
    struct urd_index_place place = {0};
    struct flow_row row = {0};
    uint32_t chunk;
    *ret = place;
    URD_TRY(find_row(x, clock, &in, &chunk));
    if (!in)
        return NULL;
    if (!flow_cached(x, in, chunk, &row) && !walked_before(x->flow_cache, in, chunk)) {
        URD_TRY(load_blocks(x, in));
        URD_TRY(read_row(x, in, chunk));
        urd_err *err = walk_to(x, in, clock, &place);
        sqlite3_reset(x->flow_row);
        URD_TRY(err);
        *ret = place.found ? place : *ret;
        return NULL;
    }
    URD_TRY(flow_row_at(x, clock, &row, NULL));
    if (!row.n)
        return NULL;
    const struct flow_step *s = &row.steps[step_at(&row, clock)];
    if (clock < s->clock || clock >= s->clock + s->insns)
        return NULL;
    ret->pc = pc_in_block(&row.segment->dictionary.blocks[s->block], (unsigned)(clock - s->clock));
    ret->tid = row.tid;
    ret->space = row.space;
    ret->found = true;
    return NULL;
}

urd_err *urd_index_runner(struct urd_index *x, int64_t clock, struct urd_index_place *ret)
{
    struct urd_index_segment *s;
    uint32_t chunk;
    sqlite3_stmt *q;
    *ret = (struct urd_index_place){0};
    URD_TRY(find_row(x, clock, &s, &chunk));
    if (!s)
        return NULL;
    URD_TRY(prepare(x, "SELECT tid, space, first + steps FROM flow WHERE segment = ? AND chunk = ?",
                    &q));
    sqlite3_bind_int64(q, 1, s->id);
    sqlite3_bind_int64(q, 2, chunk);
    urd_err *err = sqlite3_step(q) == SQLITE_ROW ? NULL : failed(x);
    if (!err && clock < s->start + sqlite3_column_int64(q, 2))
        *ret = (struct urd_index_place){.tid = sqlite3_column_int(q, 0),
                                        .space = (uint32_t)sqlite3_column_int(q, 1),
                                        .found = true};
    sqlite3_finalize(q);
    return err;
}

/** Which instruction of each block is a wanted one: a list, for each row's space. */
struct wanted {
    uint32_t block, insn, which;
};

static uint32_t find_wanted(const struct urd_index_segment *s, uint32_t space,
                            const struct urd_index_pc *pcs, uint32_t n, struct wanted **list)
{
    uint32_t found = 0, capacity = 0;
    *list = NULL;
    bool any = false; /* most rows are of other spaces */
    for (uint32_t i = 0; i < n && !any; i++)
        any = pcs[i].space == space;
    if (!any)
        return 0;
    for (uint32_t d = 0; d < s->dictionary.n_blocks; d++) {
        const struct urd_flow_block *b = &s->dictionary.blocks[d];
        for (uint32_t i = 0; i < n; i++) {
            if (pcs[i].space != space || pcs[i].pc < b->pc || pcs[i].pc > b->pc + 64 * 15)
                continue;
            uint64_t pc = b->pc;
            for (unsigned k = 0; k < b->n_insns; pc += b->lengths[k++])
                if (pc == pcs[i].pc)
                    URD_PUSH(*list, found, capacity) = (struct wanted){d, k, i};
        }
    }
    return found;
}

/** How often each plain block ran in a row, added to counts. */
static urd_err *add_cover(const struct urd_index_segment *s, sqlite3_stmt *q, int column,
                          uint32_t *counts)
{
    const struct urd_flow_dictionary *d = &s->dictionary;
    URD_AUTO_FREE uint32_t *traces = urd_xcalloc(d->n_traces + 1, sizeof *traces);
    URD_TRY(urd_flow_cover(sqlite3_column_blob(q, column), (size_t)sqlite3_column_bytes(q, column),
                           d->n_traces, traces));
    for (uint32_t i = 0; i < d->n_traces; i++)
        for (uint32_t k = 0; traces[i] && k < d->traces[i].n_blocks; k++)
            counts[d->traces[i].first + k] += traces[i];
    return NULL;
}

/** Which traces of the segment have a wanted block, by dense id. Free it. */
static bool *traces_with(const struct urd_index_segment *s, const struct wanted *list, uint32_t n)
{
    const struct urd_flow_dictionary *d = &s->dictionary;
    bool *ret = urd_xcalloc(d->n_traces + 1, sizeof *ret);
    for (uint32_t t = 0, i = 0; t < d->n_traces && i < n; t++) /* both are by block */
        for (; i < n && list[i].block < d->traces[t].first + d->traces[t].n_blocks; i++)
            ret[t] = true;
    return ret;
}

static urd_err *row_has(const struct urd_index_segment *s, sqlite3_stmt *q, int column,
                        const bool *traces, bool *ret)
{
    struct urd_flow_times *list;
    uint32_t n;
    URD_TRY(urd_flow_cover_list(sqlite3_column_blob(q, column),
                                (size_t)sqlite3_column_bytes(q, column), s->dictionary.n_traces,
                                &list, &n));
    *ret = false;
    for (uint32_t i = 0; i < n && !*ret; i++)
        *ret = traces[list[i].dense];
    free(list);
    return NULL;
}

static bool give_row(const struct flow_row *row, const struct wanted *list, uint32_t n,
                     int64_t from, int64_t to, bool descending, urd_execution_fn fn, void *data)
{
    uint32_t n_blocks = row->segment->dictionary.n_blocks;
    int32_t *first = urd_xrealloc(NULL, (n_blocks + 1) * sizeof *first);
    memset(first, 0xff, (n_blocks + 1) * sizeof *first);
    for (uint32_t i = n; i-- > 0;)
        first[list[i].block] = (int32_t)i;
    bool more = true;
    for (uint32_t k = 0; k < row->n && more; k++) {
        const struct flow_step *s = &row->steps[descending ? row->n - 1 - k : k];
        int32_t at = first[s->block];
        if (at < 0)
            continue;
        /* wanted instructions of one block lie side by side in the list; order them by instruction */
        uint32_t end = (uint32_t)at;
        while (end < n && list[end].block == s->block)
            end++;
        for (unsigned j = 0; j < s->insns && more; j++) {
            unsigned insn = descending ? s->insns - 1 - j : j;
            for (uint32_t w = (uint32_t)at; w < end && more; w++)
                if (list[w].insn == insn && s->clock + insn >= from && s->clock + insn < to)
                    more = fn(data, s->clock + insn, row->tid, list[w].which);
        }
    }
    free(first);
    return more;
}

static urd_err *segment_executions(struct urd_index *x, struct urd_index_segment *s,
                                   const struct urd_index_pc *pcs, uint32_t n, int64_t from,
                                   int64_t to, bool descending, urd_execution_fn fn, void *data,
                                   bool *ret_more)
{
    URD_TRY(load_blocks(x, s));
    sqlite3_stmt *q;
    URD_TRY(prepare(x,
                    descending ? "SELECT " FLOW_COLUMNS
                                 ", cover, steps FROM flow WHERE segment = ? ORDER BY chunk DESC"
                               : "SELECT " FLOW_COLUMNS
                                 ", cover, steps FROM flow WHERE segment = ? ORDER BY chunk",
                    &q));
    sqlite3_bind_int64(q, 1, s->id);
    struct wanted *list = NULL;
    bool *traces = NULL;
    uint32_t n_list = 0, list_space = 0;
    bool have = false;
    urd_err *err = NULL;
    while (!err && *ret_more && sqlite3_step(q) == SQLITE_ROW) {
        int64_t first = sqlite3_column_int64(q, 3) + s->start;
        if (first >= to || first + sqlite3_column_int64(q, 8) <= from)
            continue;
        uint32_t space = (uint32_t)sqlite3_column_int(q, 2);
        if (!have || list_space != space) {
            free(list);
            free(traces);
            n_list = find_wanted(s, space, pcs, n, &list);
            traces = traces_with(s, list, n_list);
            list_space = space;
            have = true;
        }
        bool has = false;
        if (!n_list)
            continue;
        err = row_has(s, q, 7, traces, &has);
        if (err || !has)
            continue;
        struct flow_row row;
        err = flow_from(x, s, q, &row);
        if (!err)
            *ret_more = give_row(&row, list, n_list, from, to, descending, fn, data);
    }
    free(list);
    free(traces);
    sqlite3_finalize(q);
    return err;
}

urd_err *urd_index_executions(struct urd_index *x, const struct urd_index_pc *pcs, uint32_t n,
                              int64_t from, int64_t to, bool descending, urd_execution_fn fn,
                              void *data)
{
    bool more = true;
    for (uint32_t k = 0; k < x->n_segments && more; k++) {
        struct urd_index_segment *s = &x->segments[descending ? x->n_segments - 1 - k : k];
        if (s->start + s->steps > from && s->start < to && !s->counted)
            URD_TRY(segment_executions(x, s, pcs, n, from, to, descending, fn, data, &more));
    }
    return NULL;
}

urd_err *urd_index_counts(struct urd_index *x, urd_count_fn fn, void *data)
{
    for (uint32_t k = 0; k < x->n_segments; k++) {
        struct urd_index_segment *s = &x->segments[k];
        if (s->counted)
            continue;
        URD_TRY(load_blocks(x, s));
        sqlite3_stmt *q;
        URD_TRY(prepare(x, "SELECT space, cover FROM flow WHERE segment = ? ORDER BY space", &q));
        sqlite3_bind_int64(q, 1, s->id);
        const struct urd_flow_dictionary *dictionary = &s->dictionary;
        uint32_t *counts = urd_xcalloc(dictionary->n_blocks + 1, sizeof *counts), space = 0;
        urd_err *err = NULL;
        bool more = true;
        while (!err && more) {
            more = sqlite3_step(q) == SQLITE_ROW;
            uint32_t now = more ? (uint32_t)sqlite3_column_int(q, 0) : 0;
            if (space && now != space) {
                for (uint32_t d = 0; d < dictionary->n_blocks; d++) {
                    const struct urd_flow_block *b = &dictionary->blocks[d];
                    uint64_t pc = b->pc;
                    for (unsigned i = 0; counts[d] && i < b->n_insns; pc += b->lengths[i++])
                        fn(data, space, pc, counts[d]);
                }
                memset(counts, 0, (dictionary->n_blocks + 1) * sizeof *counts);
            }
            space = now;
            if (more)
                err = add_cover(s, q, 1, counts);
        }
        free(counts);
        sqlite3_finalize(q);
        URD_TRY(err);
    }
    return NULL;
}

/* ---- stacks ---- */

static void ignore_call(void *data, const struct urd_call *call) {}

static int by_task_and_clock(const void *a, const void *b)
{
    const struct urd_index_below *x = a, *y = b;
    if (x->tid != y->tid)
        return x->tid < y->tid ? -1 : 1;
    if (x->clock != y->clock)
        return x->clock < y->clock ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void note_below(struct urd_index_segment *s, struct urd_coroutines *c, int32_t tid,
                       int64_t clock)
{
    URD_PUSH(s->below, s->n_below, s->cap_below) =
        (struct urd_index_below){tid, clock, urd_coroutines_of(c, tid)->stack.n, s->n_below};
}

/** What the segment's joins tell about its tasks at its start is read elsewhere. */
static void skip_task(struct urd_cursor *joins)
{
    for (unsigned k = 0; k < 4; k++) /* tid, space, first block's pc and function, */
        urd_cursor_varint(joins);
    urd_cursor_u8(joins);     /* its flags, */
    urd_cursor_varint(joins); /* its clock, */
    urd_cursor_u8(joins);     /* what is pending, with a return, */
    urd_cursor_u8(joins);
    for (unsigned k = 0; k < 5; k++) /* its site and function, slot, return pc, clock */
        urd_cursor_varint(joins);
}

/** The stacks as the segment's first n_changes changes leave them. below: how many frames each task has when goes to s->below. Gives the
 * last change. */
static bool play(struct urd_index_segment *s, struct urd_cursor stacks, struct urd_cursor joins,
                 uint64_t n_changes, bool below, struct urd_coroutines *c,
                 struct urd_call_change *ret_last)
{
    uint64_t n = urd_cursor_varint(&stacks);
    /* both have the same tasks; the lists that wait first, as a task's own frames count */
    struct urd_cursor of_tasks = stacks;
    struct urd_coroutines skipped = {.done = ignore_call};
    for (uint64_t i = 0; i < n && stacks.ok; i++)
        urd_coroutines_decode(&skipped, &stacks);
    urd_coroutines_deinit(&skipped);
    while (urd_cursor_left(&stacks) && stacks.ok)
        urd_coroutines_decode(c, &stacks);
    for (uint64_t i = 0; i < n && of_tasks.ok; i++)
        urd_coroutines_decode(c, &of_tasks);
    for (uint32_t i = 0; i < c->n_tasks && below; i++)
        note_below(s, c, c->tasks[i].tid, INT64_MIN);
    n = urd_cursor_varint(&joins);
    for (uint64_t i = 0; i < n && joins.ok; i++)
        skip_task(&joins);
    n = urd_cursor_varint(&joins);
    for (uint64_t i = 0; i < n && i < n_changes && joins.ok; i++) {
        *ret_last = urd_calls_change_decode(&joins, s->start);
        urd_coroutines_apply(c, ret_last, &joins, s->start);
        if (below) {
            note_below(s, c, ret_last->tid, ret_last->clock);
            if (ret_last->kind == URD_CALLS_STARTED)
                note_below(s, c, ret_last->other, ret_last->clock);
        }
    }
    return stacks.ok && of_tasks.ok && joins.ok;
}

static urd_err *play_changes(struct urd_index *x, struct urd_index_segment *s, uint64_t n_changes,
                             bool below, struct urd_coroutines *c, struct urd_call_change *ret_last)
{
    sqlite3_stmt *q;
    URD_TRY(prepare(x, "SELECT stacks, joins FROM segments WHERE id = ?", &q));
    sqlite3_bind_int64(q, 1, s->id);
    uint8_t *stacks = NULL, *joins = NULL;
    size_t stacks_size = 0, joins_size = 0;
    urd_err *err = sqlite3_step(q) == SQLITE_ROW ? NULL : failed(x);
    if (!err)
        err = urd_blob_unpack(sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0),
                              &stacks, &stacks_size);
    if (!err)
        err = urd_blob_unpack(sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1), &joins,
                              &joins_size);
    sqlite3_finalize(q);
    bool ok = err || play(s, urd_cursor(stacks, stacks_size), urd_cursor(joins, joins_size),
                          n_changes, below, c, ret_last);
    free(stacks);
    free(joins);
    if (!ok)
        URD_FAIL("a segment of the index is damaged");
    return err;
}

/** How many frames tasks have that they did not enter since their last change, at any time of the segment. */
static urd_err *load_below(struct urd_index *x, struct urd_index_segment *s)
{
    struct urd_coroutines c = {.done = ignore_call};
    struct urd_call_change last;
    urd_err *err = play_changes(x, s, UINT64_MAX, true, &c, &last);
    urd_coroutines_deinit(&c);
    if (s->n_below)
        qsort(s->below, s->n_below, sizeof *s->below, by_task_and_clock);
    return err;
}

/** The frames that tid has after so many changes. */
static urd_err *outer_frames(struct urd_index *x, struct urd_index_segment *s, int32_t tid,
                             uint64_t n_changes, struct urd_call_stack *ret,
                             struct urd_call_change *ret_last)
{
    struct urd_coroutines c = {.done = ignore_call};
    urd_err *err = play_changes(x, s, n_changes, false, &c, ret_last);
    if (!err) {
        struct urd_coroutine *l = urd_coroutines_of(&c, tid);
        *ret = l->stack;
        l->stack = (struct urd_call_stack){0};
    }
    urd_coroutines_deinit(&c);
    return err;
}

/** What the row says about frames that came or went, up to a clock. */
struct row_notes {
    struct urd_cursor left; /* from the last change on, or its start */
    uint64_t n_changes;     /* before the row, and in it */
    int64_t change_at;      /* steps of the row before the last change; -1: it has none */
    bool calls;             /* that was a call, and has not entered its callee */
    uint32_t outer;         /* frames that there are then */
};

static struct row_notes read_notes(const struct flow_row *row, struct urd_cursor in,
                                   uint64_t n_changes, int64_t clock)
{
    struct row_notes n = {in, n_changes, -1, false, 0};
    while (urd_cursor_left(&in) && in.ok) {
        int64_t at = (int64_t)urd_cursor_varint(&in);
        if (at > clock - row->first)
            break;
        if (urd_cursor_varint(&in) != 0)
            continue;
        n.left = in;
        n.n_changes++;
        n.change_at = at;
    }
    return n;
}

static void replay_calls(const struct urd_index *x, const struct flow_row *row, int64_t clock,
                         struct row_notes *notes, struct urd_call_stack *stack);

urd_err *urd_index_stack(struct urd_index *x, int64_t clock, int32_t tid,
                         struct urd_call_stack *ret)
{
    struct flow_row row;
    struct urd_buf packed = {0};
    *ret = (struct urd_call_stack){0};
    /* the row in which the task last ran before the clock */
    int64_t at = clock;
    for (unsigned tries = 0;; tries++) {
        packed.size = 0;
        URD_TRY(flow_row_at(x, at, &row, &packed));
        if (!row.n || row.tid == tid || row.first <= 0 || tries > 100000)
            break;
        at = row.first - 1;
    }
    if (!row.n || row.tid != tid) {
        urd_buf_deinit(&packed);
        return NULL;
    }
    uint8_t *raw = NULL;
    size_t size = 0;
    urd_err *err = urd_blob_unpack(packed.data, packed.size, &raw, &size);
    urd_buf_deinit(&packed);
    URD_TRY(err);
    struct urd_cursor in = urd_cursor(raw, size);
    uint64_t n_changes = urd_cursor_varint(&in);
    struct urd_call_stack entered = {0};
    struct urd_call_change last = {0};
    struct urd_cursor frames = in;
    urd_calls_stack_decode(&in, row.segment->start, tid, &entered);
    free(entered.frames);
    struct row_notes notes = read_notes(&row, in, n_changes, clock);
    err = outer_frames(x, row.segment, tid, notes.n_changes, ret, &last);
    if (!err) {
        notes.calls = last.kind == URD_CALLS_CALLED;
        notes.outer = ret->n;
        if (notes.change_at < 0)
            urd_calls_stack_decode(&frames, row.segment->start, tid, ret);
        replay_calls(x, &row, clock, &notes, ret);
    }
    free(raw);
    return err;
}

static bool is_call(uint8_t end)
{
    return end == 3 || end == 4; /* URD_END_CALL, URD_END_CALL_INDIRECT (translate/translate.h) */
}

static bool is_ret(uint8_t end)
{
    return end == 6; /* URD_END_RET */
}

static uint64_t last_insn(const struct urd_flow_block *b)
{
    return pc_in_block(b, b->n_insns - 1u);
}

/** Frames were left, as flow.h has it. outer: how many there are from before the last change. */
static void leave_frames(struct urd_call_stack *stack, uint32_t outer, uint64_t what,
                         int64_t segment_start)
{
    if (what == 1)
        stack->n = outer < stack->n ? outer : stack->n;
    /* what a call just before the segment entered has its first clock, what is called in it a later one */
    while (what > 1 && stack->n > outer &&
           stack->frames[stack->n - 1].entry > segment_start + (int64_t)(what - 2))
        stack->n--;
}

static uint32_t newest_returning_to(const struct urd_call_stack *stack, uint64_t pc, uint64_t most)
{
    uint32_t k = stack->n;
    while (k && pc - stack->frames[k - 1].return_pc > most)
        k--;
    return k;
}

/** The newest frame that a return ends behind which pc, at clock, is the first that is in a block: + 1; 0: none. What is at the return
 * address may be an instruction that is an event (RDTSC, say), and so in no block. */
static uint32_t returning_to(const struct urd_index *x, const struct urd_call_stack *stack,
                             uint64_t pc, int64_t clock)
{
    enum { INSN_MAX = 15 };
    uint32_t k = newest_returning_to(stack, pc, 0);
    bool after_event = !k && x->events[urd_index_moment(x, clock).event].clock == clock;
    return after_event ? newest_returning_to(stack, pc, INSN_MAX) : k;
}

/**
 * Within the row the depth follows from calls and returns alone: a call pushes, a return to a frame's return address
 * pops down to it. Stack pointers are not needed as the row's frames are all known by return address; the
 * newest frame with that address is the one. It begins at the last change: what was before is in the frames.
 */
static void replay_calls(const struct urd_index *x, const struct flow_row *row, int64_t clock,
                         struct row_notes *notes, struct urd_call_stack *stack)
{
    struct urd_cursor *in = &notes->left;
    uint64_t left_at = urd_cursor_left(in) ? urd_cursor_varint(in) : UINT64_MAX;
    const struct urd_flow_block *blocks = row->segment->dictionary.blocks;
    uint64_t sp_guess = URD_CALLS_OUTER; /* and below it: no two frames have the same */
    for (uint32_t i = 0; i + 1 < row->n && row->steps[i + 1].clock <= clock; i++) {
        const struct urd_flow_block *b = &blocks[row->steps[i].block];
        const struct urd_flow_block *next = &blocks[row->steps[i + 1].block];
        int64_t steps = row->steps[i + 1].clock - row->first;
        if (steps < notes->change_at || (steps == notes->change_at && !notes->calls))
            continue;
        while (left_at <= (uint64_t)steps) {
            leave_frames(stack, notes->outer, urd_cursor_varint(in), row->segment->start);
            left_at = urd_cursor_left(in) ? urd_cursor_varint(in) : UINT64_MAX;
        }
        if (row->steps[i].insns < b->n_insns)
            continue;
        if (is_call(b->end)) {
            uint64_t site = last_insn(b);
            urd_calls_push(stack,
                           (struct urd_call_frame){.callee = next->pc,
                                                   .site = site,
                                                   .sp = --sp_guess,
                                                   .return_pc = site + b->lengths[b->n_insns - 1],
                                                   .entry = row->steps[i + 1].clock});
        } else if (is_ret(b->end)) {
            uint32_t k = returning_to(x, stack, next->pc, row->steps[i + 1].clock);
            if (k) {
                uint64_t sp = stack->frames[k - 1].sp;
                while (k && stack->frames[k - 1].sp == sp)
                    k--;
                stack->n = k;
            }
        } else if ((b->end == 5 || b->end == 1) && !stack->n) {
            if (next->pc != b->pc && next->flags & URD_BLOCK_ENTRY)
                urd_calls_push(stack, (struct urd_call_frame){.callee = next->pc,
                                                              .sp = URD_CALLS_OUTER,
                                                              .site = last_insn(b),
                                                              .entry = row->steps[i + 1].clock});
        } else if ((b->end == 5 || b->end == 1) && next->pc != b->pc &&
                   (next->flags & URD_BLOCK_ENTRY ||
                    row->steps[i + 1].clock - stack->frames[stack->n - 1].entry <=
                        URD_CALLS_STUB)) {
            struct urd_call_frame *top = &stack->frames[stack->n - 1];
            if (b->end == 5 && row->steps[i + 1].clock - top->entry <= URD_CALLS_STUB) {
                top->callee = next->pc;
                top->entry = row->steps[i + 1].clock;
            } else if (next->flags & URD_BLOCK_ENTRY) {
                struct urd_call_frame f = *top;
                f.callee = next->pc;
                f.site = last_insn(b);
                f.entry = row->steps[i + 1].clock;
                if (!(stack->n > 8 && stack->frames[stack->n - 8].sp == top->sp))
                    urd_calls_push(stack, f);
                else
                    *top = f;
            }
        }
    }
}

/* ---- calls ---- */

/** Frames of before the task's last change below a call that was entered at clock. *first: of the last call's task in s->below, 0 at first. */
static uint32_t frames_below(const struct urd_index_segment *s, int32_t tid, int64_t clock,
                             uint32_t *first)
{
    if (*first >= s->n_below || s->below[*first].tid != tid)
        for (*first = 0; *first < s->n_below && s->below[*first].tid != tid;)
            ++*first;
    uint32_t low = *first, high = s->n_below;
    while (low < high) { /* the first of another task, or later than clock */
        uint32_t middle = (low + high) / 2;
        if (s->below[middle].tid == tid && s->below[middle].clock <= clock)
            low = middle + 1;
        else
            high = middle;
    }
    return low > *first ? s->below[low - 1].frames : 0;
}

urd_err *urd_index_call_row(struct urd_index *x, sqlite3_stmt *q, urd_index_call_fn fn, void *data,
                            bool *ret_more)
{
    int64_t segment =
        sqlite3_column_int64(q, 2); /* -1: clocks and depths are those of the whole run */
    struct urd_index_segment *s = urd_index_segment(x, segment);
    if (segment >= 0 && !s) /* it is not joined yet */
        return NULL;
    if (s && !s->n_below)
        URD_TRY(load_below(x, s));
    uint8_t *raw;
    size_t size;
    URD_TRY(urd_blob_unpack(sqlite3_column_blob(q, 4), (size_t)sqlite3_column_bytes(q, 4), &raw,
                            &size));
    struct urd_calls_reader in;
    struct urd_call c;
    uint32_t first = 0;
    bool ok = urd_calls_open(&in, raw, size);
    for (int64_t n = sqlite3_column_int64(q, 3); n > 0 && ok && *ret_more; n--) {
        ok = urd_calls_next(&in, &c);
        c.callee = (uint64_t)sqlite3_column_int64(q, 1);
        if (s) {
            c.entry += s->start;
            c.end += s->start;
            c.depth += frames_below(s, c.tid, c.entry, &first);
        }
        if (ok)
            *ret_more = fn(data, (uint32_t)sqlite3_column_int(q, 0), &c);
    }
    free(raw);
    if (!ok)
        URD_FAIL("a row of calls in the index is damaged");
    return NULL;
}

urd_err *urd_index_calls(struct urd_index *x, uint32_t space, uint64_t entry, urd_index_call_fn fn,
                         void *data)
{
    sqlite3_stmt *q;
    URD_TRY(prepare(x, "SELECT " URD_INDEX_CALL_COLUMNS " FROM calls WHERE space = ? AND entry = ?",
                    &q));
    sqlite3_bind_int64(q, 1, space);
    sqlite3_bind_int64(q, 2, (int64_t)entry);
    urd_err *err = NULL;
    bool more = true;
    while (!err && more && sqlite3_step(q) == SQLITE_ROW)
        err = urd_index_call_row(x, q, fn, data, &more);
    sqlite3_finalize(q);
    return err;
}
