#include "tests/oracle_run.h"
#include "indexer/calls.h"
#include "indexer/flow.h"
#include "indexer/writes.h"
#include <sqlite3.h>
#include <stdio.h>

static urd_err *prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
    if (sqlite3_prepare_v2(db, sql, -1, ret, NULL) != SQLITE_OK)
        URD_FAIL("%s: %s", sql, sqlite3_errmsg(db));
    return NULL;
}

static uint64_t number(sqlite3_stmt *q, int column)
{
    return (uint64_t)sqlite3_column_int64(q, column);
}

/* ---- flow ---- */

struct segment {
    uint64_t id, start_clock, steps, n_writes;
    struct urd_flow_dictionary d;
    uint32_t *memory; /* of the traces' stores, see urd_stores_decoder */
    uint64_t *counts;
    uint64_t n_stores;
    struct urd_map touched; /* page << 20 | row -> 1, from the stores themselves */
};

static urd_err *expand_trace(struct run *r, const struct segment *g, const struct urd_flow_trace *t, uint32_t partial)
{
    uint32_t left = partial == UINT32_MAX ? t->n_insns : partial;
    if (left > t->n_insns)
        URD_FAIL("a block of %u instructions ran for %u", t->n_insns, left);
    r->n_followed += t->n_blocks > 1;
    for (uint32_t k = t->first; k < t->first + t->n_blocks; k++) {
        const struct urd_flow_block *b = &g->d.blocks[k];
        uint64_t pc = b->pc;
        for (uint32_t i = 0; i < b->n_insns && left; i++, left--) {
            URD_PUSH(r->pcs, r->n_steps, r->cap_steps) = pc;
            pc += b->lengths[i];
        }
    }
    return NULL;
}

static urd_err *check_cover(sqlite3_stmt *q, const struct segment *g, const uint32_t *seen)
{
    URD_AUTO_FREE uint32_t *counts = urd_xcalloc(g->d.n_traces + 1, sizeof *counts);
    URD_TRY(urd_flow_cover(sqlite3_column_blob(q, 4), (size_t)sqlite3_column_bytes(q, 4), g->d.n_traces, counts));
    for (uint32_t i = 0; i < g->d.n_traces; i++) {
        if (counts[i] != seen[i])
            URD_FAIL("cover of segment %llu says that the block at %#llx ran %u times, flow says %u",
                     (unsigned long long)g->id, (unsigned long long)g->d.blocks[g->d.traces[i].first].pc, counts[i], seen[i]);
        g->counts[i] += seen[i];
    }
    return NULL;
}

/** A page and row of flow: what `touched` must have. */
static uint64_t touch_key(uint64_t space, uint64_t page, uint64_t row)
{
    return (space << 36 | page) * 1000003 + row;
}

static urd_err *take_stores(struct run *r, struct segment *g, struct urd_stores_decoder *d, uint32_t space, uint64_t row)
{
    struct urd_stores_decoded got;
    URD_TRY(urd_stores_take(d, &got));
    for (uint32_t i = 0; i < got.n; i++) {
        const struct urd_store *s = &got.stores[i];
        run_add_write(r, (struct run_write){.clock = (uint64_t)s->clock, .address = s->address, .space = space,
                                            .size = s->size}, got.values + s->value);
        for (uint64_t word = s->address >> 3; word <= (s->address + s->size - 1) >> 3; word++)
            *urd_map_put(&g->touched, touch_key(space, word >> 9 & ((1ull << 36) - 1), row) * 512 + (word & 511)) = 1;
    }
    g->n_stores += got.n;
    urd_stores_decoded_deinit(&got);
    return NULL;
}

static urd_err *read_flow_row(struct run *r, sqlite3_stmt *q, struct segment *g, uint64_t row)
{
    uint64_t first = number(q, 0) + g->start_clock, steps = number(q, 1);
    if (first != r->n_steps)
        URD_FAIL("a row of flow begins at clock %llu, the one before ended at %llu", (unsigned long long)first,
                 (unsigned long long)r->n_steps);
    run_add_interval(r, (int32_t)number(q, 2), (uint32_t)number(q, 3));
    struct urd_flow_decoder d;
    uint32_t n_blocks = (uint32_t)number(q, 6), dense, partial, n = 0;
    URD_AUTO_FREE uint32_t *seen = urd_xcalloc(g->d.n_traces + 1, sizeof *seen);
    URD_TRY(urd_flow_decoder_init(&d, sqlite3_column_blob(q, 5), (size_t)sqlite3_column_bytes(q, 5), n_blocks,
                                  g->d.n_traces));
    struct urd_stores_decoder stores;
    urd_err *err = urd_stores_decoder_init(&stores, sqlite3_column_blob(q, 7), (size_t)sqlite3_column_bytes(q, 7),
                                           g->memory, g->d.n_traces, 0, UINT64_MAX);
    for (; !err && urd_flow_next(&d, &dense, &partial); n++) {
        const struct urd_flow_trace *t = &g->d.traces[dense];
        seen[dense]++;
        urd_stores_next(&stores, dense, urd_flow_shapes(&g->d, t), t->n_shapes, partial, (int64_t)r->n_steps);
        err = expand_trace(r, g, t, partial);
    }
    urd_flow_decoder_deinit(&d);
    if (!err)
        err = take_stores(r, g, &stores, (uint32_t)number(q, 3), row);
    urd_stores_decoder_deinit(&stores);
    URD_TRY(err);
    if (n != n_blocks || r->n_steps != first + steps)
        URD_FAIL("a row of flow says %u blocks, %llu steps, and has %u, %llu", n_blocks, (unsigned long long)steps, n,
                 (unsigned long long)(r->n_steps - first));
    return check_cover(q, g, seen);
}

static urd_err *read_flow(struct run *r, sqlite3 *db, struct segment *g)
{
    sqlite3_stmt *q;
    URD_TRY(prepare(db, "SELECT first, steps, tid, space, cover, data, blocks, stores FROM flow WHERE segment = ?"
                        " ORDER BY chunk", &q));
    sqlite3_bind_int64(q, 1, (int64_t)g->id);
    urd_err *err = NULL;
    for (uint64_t row = 0; !err && sqlite3_step(q) == SQLITE_ROW; row++)
        err = read_flow_row(r, q, g, row);
    sqlite3_finalize(q);
    URD_TRY(err);
    for (uint32_t i = 0; i < g->d.n_traces; i++)
        if (g->counts[i] != g->d.traces[i].count)
            URD_FAIL("the dictionary of segment %llu says that the block at %#llx ran %llu times, flow says %llu",
                     (unsigned long long)g->id, (unsigned long long)g->d.blocks[g->d.traces[i].first].pc,
                     (unsigned long long)g->d.traces[i].count, (unsigned long long)g->counts[i]);
    return NULL;
}

/* ---- writes ---- */

static urd_err *check_words(const uint8_t *words, int size, const struct urd_writes_decoded *d)
{
    uint8_t seen[64] = {0};
    for (uint32_t i = 0; i < d->n; i++)
        for (uint32_t w = d->writes[i].offset / 8; w <= (d->writes[i].offset + d->writes[i].size - 1) / 8; w++)
            seen[w / 8] |= (uint8_t)(1 << w % 8);
    if (size != 64 || memcmp(seen, words, 64) != 0)
        URD_FAIL("a row's words are not those that it writes");
    return NULL;
}

static urd_err *read_write_row(struct run *r, sqlite3_stmt *q, const struct segment *g, uint64_t *last_page,
                               uint64_t *last)
{
    struct urd_writes_decoded d;
    uint64_t space = number(q, 0), page = number(q, 1), key = space << 40 | page;
    URD_TRY(urd_writes_decode(sqlite3_column_blob(q, 5), (size_t)sqlite3_column_bytes(q, 5), number(q, 2),
                              (uint32_t)number(q, 3), &d));
    urd_err *err = check_words(sqlite3_column_blob(q, 4), sqlite3_column_bytes(q, 4), &d);
    for (uint32_t i = 0; !err && i < d.n; i++) {
        struct urd_write *w = &d.writes[i];
        uint64_t order = w->clock << 1 | !w->event; /* the kernel's at clock(E) come before the next instruction's */
        if (key == *last_page && order < *last)
            err = URD_ERROR(URD_ERR_FAILED, "writes to page %#llx are out of order at clock %llu",
                            (unsigned long long)page, (unsigned long long)(w->clock + g->start_clock));
        *last_page = key;
        *last = order;
        run_add_write(r, (struct run_write){.clock = w->clock + g->start_clock, .address = page << 12 | w->offset,
                                            .event = w->event, .space = (uint32_t)space, .size = w->size},
                      w->value);
    }
    urd_writes_decoded_deinit(&d);
    return err;
}

static urd_err *read_writes(struct run *r, sqlite3 *db, const struct segment *g)
{
    sqlite3_stmt *q;
    uint64_t before = r->n_writes, last_page = 0, last = 0; /* rows have no writes over page ends */
    URD_TRY(prepare(db, "SELECT space, page, first, n, words, data FROM writes WHERE segment = ?"
                        " ORDER BY space, page, rowid", &q));
    sqlite3_bind_int64(q, 1, (int64_t)g->id);
    urd_err *err = NULL;
    while (!err && sqlite3_step(q) == SQLITE_ROW)
        err = read_write_row(r, q, g, &last_page, &last);
    sqlite3_finalize(q);
    URD_TRY(err);
    if (r->n_writes - before + g->n_stores != g->n_writes)
        URD_FAIL("segment %llu says %llu writes and has %llu", (unsigned long long)g->id,
                 (unsigned long long)g->n_writes, (unsigned long long)(r->n_writes - before + g->n_stores));
    return NULL;
}

struct touches {
    struct segment *g;
    uint64_t space, page, n;
    unsigned word;
    bool wrong;
};

static void one_touch(void *data, uint32_t row)
{
    struct touches *t = data;
    t->n++;
    t->wrong |= !urd_map_get(&t->g->touched, touch_key(t->space, t->page, row) * 512 + t->word);
}

/** `touched` says exactly what the stores say: as many words, and each of them. */
static urd_err *check_touched(sqlite3 *db, struct segment *g)
{
    sqlite3_stmt *q;
    struct touches t = {.g = g};
    URD_TRY(prepare(db, "SELECT space, page, data FROM touched WHERE segment = ?", &q));
    sqlite3_bind_int64(q, 1, (int64_t)g->id);
    urd_err *err = NULL;
    while (!err && sqlite3_step(q) == SQLITE_ROW) {
        t.space = number(q, 0);
        t.page = number(q, 1);
        for (t.word = 0; t.word < 512 && !err; t.word++)
            err = urd_stores_touched(sqlite3_column_blob(q, 2), (size_t)sqlite3_column_bytes(q, 2), t.word, t.word,
                                     one_touch, &t);
    }
    sqlite3_finalize(q);
    URD_TRY(err);
    if (t.wrong || t.n != g->touched.count)
        URD_FAIL("segment %llu: touched has %llu words%s, its stores have %llu", (unsigned long long)g->id,
                 (unsigned long long)t.n, t.wrong ? ", not the right ones" : "", (unsigned long long)g->touched.count);
    return NULL;
}

/* ---- calls, events ---- */

static urd_err *read_calls(struct run *r, sqlite3 *db, int64_t segment, uint64_t start_clock)
{
    sqlite3_stmt *q;
    URD_TRY(prepare(db, "SELECT n, data FROM calls WHERE segment = ?", &q));
    sqlite3_bind_int64(q, 1, segment);
    urd_err *err = NULL;
    while (!err && sqlite3_step(q) == SQLITE_ROW) {
        uint8_t *raw;
        size_t size;
        err = urd_blob_unpack(sqlite3_column_blob(q, 1), (size_t)sqlite3_column_bytes(q, 1), &raw, &size);
        if (err)
            break;
        struct urd_calls_reader in;
        struct urd_call c;
        bool ok = urd_calls_open(&in, raw, size);
        for (uint64_t n = number(q, 0); n && ok; n--) {
            ok = urd_calls_next(&in, &c);
            if (ok && !c.abandoned)
                URD_PUSH(r->calls, r->n_calls, r->cap_calls) =
                    (struct run_call){c.site, (uint64_t)c.end + start_clock, c.tid};
        }
        free(raw);
        if (!ok || !urd_words_done(&in.in))
            err = URD_ERROR(URD_ERR_FAILED, "a row of calls is damaged");
    }
    sqlite3_finalize(q);
    return err;
}

static urd_err *read_events(struct run *r, sqlite3 *db)
{
    sqlite3_stmt *q;
    URD_TRY(prepare(db, "SELECT number, clock FROM events ORDER BY number", &q));
    URD_PUSH(r->event_clocks, r->n_events, r->cap_events) = 0;
    while (sqlite3_step(q) == SQLITE_ROW)
        URD_PUSH(r->event_clocks, r->n_events, r->cap_events) = number(q, 1);
    sqlite3_finalize(q);
    return NULL;
}

static urd_err *read_segment(struct run *r, sqlite3 *db, sqlite3_stmt *q)
{
    struct segment g = {.id = number(q, 0), .start_clock = number(q, 1), .steps = number(q, 2),
                        .n_writes = number(q, 3)};
    if (g.start_clock != r->n_steps)
        URD_FAIL("segment %llu begins at clock %llu, flow ended at %llu", (unsigned long long)g.id,
                 (unsigned long long)g.start_clock, (unsigned long long)r->n_steps);
    URD_TRY(urd_flow_dictionary_decode(sqlite3_column_blob(q, 4), (size_t)sqlite3_column_bytes(q, 4), &g.d));
    URD_CLEANUP(urd_flow_dictionary_deinit) struct urd_flow_dictionary d = g.d; /* to be freed */
    URD_AUTO_FREE uint64_t *counts = g.counts = urd_xcalloc(g.d.n_traces + 1, sizeof *counts);
    URD_AUTO_FREE uint32_t *memory = g.memory = urd_flow_words(&g.d);
    URD_TRY(read_flow(r, db, &g));
    URD_TRY(check_touched(db, &g));
    urd_map_deinit(&g.touched);
    if (r->n_steps != g.start_clock + g.steps)
        URD_FAIL("segment %llu says %llu steps, flow has %llu", (unsigned long long)g.id,
                 (unsigned long long)g.steps, (unsigned long long)(r->n_steps - g.start_clock));
    URD_TRY(read_writes(r, db, &g));
    return read_calls(r, db, (int64_t)g.id, g.start_clock);
}

static void close_db(sqlite3 **db)
{
    sqlite3_close(*db);
}

/** Only an index made with --reads has the table. */
static urd_err *read_reads(struct run *r, sqlite3 *db)
{
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(db, "SELECT r.space, r.page, s.start_clock, r.first, r.n, r.words, r.data FROM reads r"
                               " JOIN read_segments s ON s.id = r.segment", -1, &q, NULL) != SQLITE_OK)
        return NULL;
    r->has_reads = true;
    urd_err *err = NULL;
    while (!err && sqlite3_step(q) == SQLITE_ROW) {
        struct urd_writes_decoded d = {0};
        const uint8_t *words = sqlite3_column_blob(q, 5);
        err = urd_writes_decode(sqlite3_column_blob(q, 6), (size_t)sqlite3_column_bytes(q, 6), number(q, 3),
                                (uint32_t)number(q, 4), &d);
        for (uint32_t i = 0; !err && i < d.n; i++) {
            const struct urd_write *w = &d.writes[i];
            URD_PUSH(r->reads, r->n_reads, r->cap_reads) =
                (struct run_write){.clock = number(q, 2) + w->clock, .address = (number(q, 1) << 12) + w->offset,
                                   .space = (uint32_t)number(q, 0), .size = w->size};
            if (!(words[w->offset / 64] >> w->offset / 8 % 8 & 1))
                err = URD_ERROR(URD_ERR_FAILED, "a row of reads has a read where its words say none");
        }
        urd_writes_decoded_deinit(&d);
    }
    sqlite3_finalize(q);
    return err;
}

urd_err *run_from_index(const char *path, struct run *r)
{
    URD_CLEANUP(close_db) sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        URD_FAIL("cannot open %s", path);
    sqlite3_stmt *q;
    URD_TRY(prepare(db, "SELECT id, start_clock, steps, n_writes, blocks FROM segments ORDER BY id", &q));
    urd_err *err = NULL;
    while (!err && sqlite3_step(q) == SQLITE_ROW)
        err = read_segment(r, db, q);
    sqlite3_finalize(q);
    URD_TRY(err);
    URD_TRY(read_calls(r, db, -1, 0));
    URD_TRY(read_reads(r, db));
    return read_events(r, db);
}
