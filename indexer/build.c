/* The parallel build.
 *
 * The leader (this thread) replays natively on the recorded core. Every so often, at an event or, when none comes, in the
 * middle of a computation, it forks the whole session (a checkpoint) and gives the segment that ended there to the
 * workers: the checkpoint at its start, and how to know its end: an event, or a *cut*, the exact state that the
 * leader saw. A worker adopts the checkpoint, replays it translated into a builder, and writes the segment's
 * rows in one transaction. Segments have relative clocks; join.c makes one line of them.
 *
 * The coarse level: a segment that is not indexed, or not yet, is replayed with steps counted, not logged, which is faster and gives the
 * same clocks (coarse.h says what else). What is outside of the scope (urd_index_options.parts) stays like that; and what is left of a run
 * that takes long (coarse_after_ms) is first made so, that all of it can be asked about soon. Then the leader goes once more to neighbouring
 * segments of that kind, a *gap*, and cuts it into new segments, *pieces*. Every few seconds those that are there up to some moment, from the
 * gap's start on, take the place of what was counted (publish): in one transaction, so who asks sees a whole line of segments at all times.
 * Pieces that a killed build has not published are made anew.
 */
#include "indexer/index.h"
#include "base/log.h"
#include "indexer/budget.h"
#include "indexer/builder.h"
#include "indexer/coarse.h"
#include "indexer/flow.h"
#include "indexer/reads.h"
#include "indexer/schema.h"
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Native time of a segment. */
enum { SEGMENT_MS_LEAST = 60, SEGMENT_MS_MOST = 500 };

/** Neighbouring segments that are only counted, to be replaced from the first on. Steps of moments are since the event. */
struct gap {
    struct counted_row {
        uint32_t id;
        struct urd_moment end;
        int64_t end_clock;
    } * rows; /* without those that are replaced: from first_row on */
    uint32_t n_rows, cap_rows, first_row;
    uint32_t next_piece;          /* the id of the next one to be published */
    struct urd_moment start, end; /* start: of what is not replaced */
    int64_t clock;                /* of start */
};

struct job {
    struct urd_session *session; /* asleep, at `start` */
    uint32_t id;
    bool counted;    /* of no interest but for its clocks, now */
    bool outside;    /* of the scope */
    struct gap *gap; /* that it is a piece of, or NULL */
    struct urd_moment start;
    uint64_t end_event; /* the segment ends when this event is applied ... */
    bool has_cut;       /* ... or at this state after it */
    bool has_pages;     /* pages is what it may have written */
    struct urd_coarse pages;
    struct urd_cut cut;
    struct job *next;
};

struct build {
    struct urd_trace *trace;
    struct urd_store *store;
    const struct urd_index_options *options;
    bool reads; /* this is the pass for them, and for nothing else */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *first, *last;
    unsigned n_waiting, n_running, n_workers, n_started;
    uint64_t recorded_ns;      /* how long the recording took */
    uint64_t leader_waited_ns; /* for workers */
    struct urd_budget budget;
    bool scarce; /* memory did not allow another segment */
    bool no_more;
    urd_err *err; /* the first one of any thread */
    bool cut_missed;
    struct urd_index_summary *summary;
    uint64_t done_events;
    struct gap *gaps; /* that are being filled, in order */
    uint32_t n_gaps;
    bool publishing;
    uint64_t published_ns, publishing_ns; /* when last; and how long that took */
};

static void fail(struct build *b, urd_err *err)
{
    pthread_mutex_lock(&b->lock);
    if (!b->err)
        b->err = err;
    else
        urd_err_free(err);
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

/* ---- workers ---- */

/** How the replay of a segment goes on; the intervals' steps are whose `data` is. */
struct segment_run {
    struct build *b;
    struct job *j;
    struct urd_runner *r;
    uint64_t all;   /* with URD_PROBE_COUNT: more steps than there can be; else 0 */
    uint64_t steps; /* counted so far */
    /** The interval before the next event has run. */
    void (*interval)(void *data, const struct urd_session *s);
    void *data;
};

/** To the segment's end. *ret_at_cut: that is its cut. */
static urd_err *run_to_end(struct segment_run *run, bool *ret_at_cut)
{
    struct build *b = run->b;
    struct job *j = run->j;
    struct urd_session *s = j->session;
    *ret_at_cut = false;
    while (!b->err && (s->event < j->end_event || j->has_cut) && s->next) {
        if (j->has_cut && s->event > j->end_event) {
            b->cut_missed = true;
            return URD_ERROR(URD_ERR_FAILED, "the end of segment %u was not recognised", j->id);
        }
        if (j->has_cut && s->event == j->end_event)
            urd_runner_set_cut(run->r, &j->cut);
        if (urd_session_running(s)) {
            enum urd_run_end end;
            uint64_t left = run->all;
            URD_TRY(urd_runner_run(run->r, run->all ? &left : NULL, &end));
            run->steps += run->all - left;
            *ret_at_cut = end == URD_RUN_CUT;
            if (*ret_at_cut)
                return NULL;
            if (!urd_run_end_fits(s->next, end))
                return urd_session_diverged(s, urd_session_running(s),
                                            "it stopped for another reason");
        }
        run->interval(run->data, s);
        URD_TRY(urd_runner_apply(run->r));
    }
    return NULL;
}

/** Who takes the log: one of them. */
struct taker {
    struct urd_builder *builder;
    struct urd_reads *reads;
    uint64_t interval_start; /* its steps at the last event */
};

static uint64_t steps_taken(const struct taker *t)
{
    return t->reads ? urd_reads_steps(t->reads) : urd_builder_steps(t->builder);
}

static void take_interval(void *data, const struct urd_session *s)
{
    struct taker *t = data;
    if (t->builder)
        urd_builder_event(t->builder, s, s->next);
    t->interval_start = steps_taken(t);
}

static urd_err *run_segment(struct build *b, struct job *j, struct urd_kept_code *code,
                            struct urd_store_segment *g, struct taker *taker)
{
    struct urd_sink sink =
        taker->reads ? urd_reads_sink(taker->reads) : urd_builder_sink(taker->builder);
    struct segment_run run = {.b = b, .j = j, .interval = take_interval, .data = taker};
    unsigned probes = URD_PROBE_LOG | (taker->reads ? URD_PROBE_READS : 0);
    bool at_cut;
    URD_TRY(urd_runner_create(j->session, probes, &sink, &run.r));
    urd_runner_keep_code(run.r, code);
    urd_runner_set_limit(run.r, j->end_event);
    urd_err *err = run_to_end(&run, &at_cut);
    g->start = j->start;
    g->end = (struct urd_moment){j->session->event,
                                 at_cut ? steps_taken(taker) - taker->interval_start : 0};
    struct urd_runner_stats stats = urd_runner_get_stats(run.r);
    __atomic_fetch_add(&b->summary->stepped, stats.steps, __ATOMIC_RELAXED);
    __atomic_fetch_add(&b->summary->unlogged, stats.unlogged, __ATOMIC_RELAXED);
    urd_runner_destroy(run.r);
    URD_TRY(err);
    return taker->reads ? urd_reads_finish(taker->reads) : urd_builder_finish(taker->builder);
}

/** Tool thread and replay on one core: a ptrace stop then costs 6 us, not 40 (shared/FACTS.md). */
static void share_core(struct urd_session *s)
{
    cpu_set_t here;
    if (sched_getaffinity(0, sizeof here, &here) != 0)
        return;
    for (uint32_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i].exists)
            sched_setaffinity(s->tasks[i].process->pid, sizeof here, &here);
}

static void on_covered(void *data, uint32_t space, uint64_t pc, uint64_t bytes)
{
    urd_coarse_add(data, space, pc, pc + bytes);
}

static struct urd_store_blob keep_coarse(struct urd_store_segment *g, struct urd_coarse *c)
{
    struct urd_buf packed = {0};
    urd_coarse_tidy(c);
    urd_coarse_pack(c, &packed);
    struct urd_store_blob kept = urd_store_keep(g, packed.data, packed.size);
    urd_buf_deinit(&packed);
    return kept;
}

struct clocks {
    const struct segment_run *run;
    struct urd_buf deltas; /* urd_store_segment.event_steps */
    uint64_t last_event;   /* steps then */
};

static void count_interval(void *data, const struct urd_session *s)
{
    struct clocks *c = data;
    urd_buf_varint(&c->deltas, c->run->steps - c->last_event);
    c->last_event = c->run->steps;
}

/** As run_segment, but only the clocks of events, and the coarse level. */
static urd_err *count_segment(struct build *b, struct job *j, struct urd_kept_code *code,
                              struct urd_store_segment *g)
{
    struct urd_buf packed = {0};
    struct urd_coarse ran = {0};
    struct urd_sink sink = {.data = &ran, .covered = on_covered};
    struct clocks clocks = {0};
    struct segment_run run = {
        .b = b, .j = j, .all = 1ull << 62, .interval = count_interval, .data = &clocks};
    clocks.run = &run;
    bool at_cut;
    URD_TRY(urd_runner_create(j->session, URD_PROBE_COUNT | URD_PROBE_COVER, &sink, &run.r));
    urd_runner_keep_code(run.r, code);
    urd_err *err = run_to_end(&run, &at_cut);
    g->start = j->start;
    g->end = (struct urd_moment){j->session->event, at_cut ? run.steps - clocks.last_event : 0};
    g->steps = run.steps;
    g->counted = true;
    urd_runner_destroy(run.r);
    urd_blob_pack(clocks.deltas.data, clocks.deltas.size, &packed);
    g->event_steps = urd_store_keep(g, packed.data, packed.size);
    g->ran = keep_coarse(g, &ran);
    if (j->has_pages)
        g->pages = keep_coarse(g, &j->pages);
    urd_coarse_deinit(&ran);
    urd_buf_deinit(&clocks.deltas);
    urd_buf_deinit(&packed);
    return err;
}

/* ---- publishing ---- */

/** What a counted segment has behind a moment in it is all that is left of it. end: its own. */
static urd_err *trim(struct urd_store *store, const struct counted_row *row, struct urd_moment at,
                     int64_t clock)
{
    sqlite3 *db = urd_store_db(store);
    sqlite3_stmt *q;
    struct urd_buf left = {0}, packed = {0};
    uint8_t *raw = NULL;
    size_t size = 0;
    if (sqlite3_prepare_v2(
            db, "SELECT start_event, start_clock, event_steps FROM segments WHERE id = ?", -1, &q,
            NULL) != SQLITE_OK)
        return urd_store_failed(db, "cannot read the index");
    sqlite3_bind_int64(q, 1, row->id);
    urd_err *err = sqlite3_step(q) == SQLITE_ROW
                       ? urd_blob_unpack(sqlite3_column_blob(q, 2),
                                         (size_t)sqlite3_column_bytes(q, 2), &raw, &size)
                       : urd_store_failed(db, "cannot read the index");
    uint64_t event = err ? 0 : (uint64_t)sqlite3_column_int64(q, 0);
    int64_t now = err ? 0 : sqlite3_column_int64(q, 1), before = clock;
    sqlite3_finalize(q);
    URD_TRY(err);
    struct urd_cursor in = urd_cursor(raw, size);
    while (urd_cursor_left(&in) && in.ok) {
        now += (int64_t)urd_cursor_varint(&in);
        if (++event <= at.event)
            continue;
        urd_buf_varint(&left, (uint64_t)(now - before));
        before = now;
    }
    free(raw);
    urd_blob_pack(left.data, left.size, &packed);
    if (sqlite3_prepare_v2(db,
                           "UPDATE segments SET start_event = ?, start_clock = ?, steps = ?, "
                           "end_steps = ?, event_steps = ? WHERE id = ?",
                           -1, &q, NULL) != SQLITE_OK)
        err = urd_store_failed(db, "cannot write the index");
    sqlite3_bind_int64(q, 1, (int64_t)at.event);
    sqlite3_bind_int64(q, 2, clock);
    sqlite3_bind_int64(q, 3, row->end_clock - clock);
    sqlite3_bind_int64(q, 4,
                       (int64_t)(row->end.steps - (row->end.event == at.event ? at.steps : 0)));
    sqlite3_bind_blob(q, 5, packed.data, (int)packed.size, SQLITE_STATIC);
    sqlite3_bind_int64(q, 6, row->id);
    if (!err && sqlite3_step(q) != SQLITE_DONE)
        err = urd_store_failed(db, "cannot write the index");
    sqlite3_finalize(q);
    urd_buf_deinit(&left);
    urd_buf_deinit(&packed);
    return err;
}

/** A segment that begins and ends in one interval counts its steps from its own start. */
static struct urd_moment segment_end(struct urd_moment start, uint64_t end_event,
                                     uint64_t end_steps)
{
    return (struct urd_moment){end_event, end_steps + (start.event == end_event ? start.steps : 0)};
}

/** Pieces of the gap that are stored, without any missing in between, take the place of what was counted. */
static urd_err *replace(struct urd_store *store, struct gap *gap, bool *any)
{
    sqlite3 *db = urd_store_db(store);
    sqlite3_stmt *q;
    if (gap->first_row == gap->n_rows)
        return NULL;
    if (sqlite3_prepare_v2(
            db,
            "SELECT id, end_event, end_steps, steps FROM segments WHERE id >= ? AND id < ? "
            "AND start_clock IS NULL ORDER BY id",
            -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(db, "cannot read the index");
    sqlite3_bind_int64(q, 1, gap->next_piece);
    sqlite3_bind_int64(q, 2, gap->rows[gap->first_row].id);
    uint32_t from = gap->next_piece;
    struct urd_moment began = gap->start;
    while (sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int64(q, 0) == gap->next_piece) {
        gap->next_piece++;
        gap->start = segment_end(gap->start, (uint64_t)sqlite3_column_int64(q, 1),
                                 (uint64_t)sqlite3_column_int64(q, 2));
        gap->clock += sqlite3_column_int64(q, 3);
    }
    sqlite3_finalize(q);
    if (gap->next_piece == from)
        return NULL;
    *any = true;
    URD_AUTO_FREE char *sql =
        urd_xprintf("UPDATE segments SET start_clock = 0 WHERE id BETWEEN %u AND %u", from,
                    gap->next_piece - 1);
    URD_TRY(urd_store_exec(store, sql));
    for (; gap->first_row < gap->n_rows; gap->first_row++) {
        const struct counted_row *row = &gap->rows[gap->first_row];
        if (urd_moment_compare(row->end, gap->start) > 0)
            return urd_moment_compare(gap->start, began) > 0
                       ? trim(store, row, gap->start, gap->clock)
                       : NULL;
        URD_AUTO_FREE char *forget = urd_xprintf("DELETE FROM segments WHERE id = %u", row->id);
        URD_TRY(urd_store_exec(store, forget));
        began = row->end;
    }
    return NULL;
}

static urd_err *publish_in_transaction(struct build *b)
{
    bool any = false;
    for (uint32_t i = 0; i < b->n_gaps; i++)
        URD_TRY(replace(b->store, &b->gaps[i], &any));
    return any ? urd_index_join_more(b->trace, b->store) : NULL;
}

/** What is stored becomes visible to those who ask. */
static urd_err *publish(struct build *b)
{
    urd_store_hold(b->store);
    urd_err *err = urd_store_exec(b->store, "BEGIN");
    if (!err)
        err = publish_in_transaction(b);
    if (!err)
        err = urd_store_exec(b->store, "COMMIT");
    if (err)
        sqlite3_exec(urd_store_db(b->store), "ROLLBACK", NULL, NULL, NULL);
    urd_store_release(b->store);
    return err;
}

/** It costs more the more segments there are: now and then, and no more than a twentieth of the time. */
static urd_err *publish_if_due(struct build *b)
{
    uint64_t now = urd_now_ns();
    uint64_t pause = (b->options->publish_ms ? b->options->publish_ms : 2000) * 1000000ull;
    pthread_mutex_lock(&b->lock);
    if (pause < 20 * b->publishing_ns)
        pause = 20 * b->publishing_ns;
    bool due = !b->publishing && now - b->published_ns >= pause;
    b->publishing |= due;
    pthread_mutex_unlock(&b->lock);
    if (!due)
        return NULL;
    urd_err *err = publish(b);
    pthread_mutex_lock(&b->lock);
    b->publishing = false;
    b->published_ns = urd_now_ns();
    b->publishing_ns = b->published_ns - now;
    pthread_mutex_unlock(&b->lock);
    return err;
}

/* ---- workers, their jobs ---- */

/** Translations that a worker keeps from segment to segment: with the log, and with steps counted. */
struct kept {
    struct urd_kept_code *logged, *counted;
};

static urd_err *do_job(struct build *b, struct job *j, const struct kept *kept)
{
    URD_TRY(urd_session_adopt(j->session));
    share_core(j->session);
    struct urd_store_segment g = {.id = j->id};
    urd_err *err;
    if (j->counted) {
        err = count_segment(b, j, kept->counted, &g);
    } else if (b->reads) {
        struct taker taker = {.reads = urd_reads_create(&g)};
        err = run_segment(b, j, kept->logged, &g, &taker);
        urd_reads_destroy(taker.reads);
    } else {
        struct taker taker = {.builder = urd_builder_create(b->trace, b->options->processor,
                                                            b->options->follow_after, &g)};
        err = run_segment(b, j, kept->logged, &g, &taker);
        urd_budget_look(&b->budget, __atomic_load_n(&b->n_running, __ATOMIC_RELAXED));
        urd_builder_destroy(taker.builder);
    }
    if (!err && !b->err)
        err = b->reads ? urd_store_put_reads(b->store, &g) : urd_store_put_segment(b->store, &g);
    if (!err && !b->err && j->gap)
        err = publish_if_due(b);
    pthread_mutex_lock(&b->lock);
    b->summary->steps += g.steps;
    b->summary->writes += g.n_writes;
    b->summary->segments++;
    b->summary->counted += j->outside;
    b->done_events += g.end.event - g.start.event;
    if (!err && b->options->progress)
        b->options->progress(b->options->progress_data, b->done_events,
                             urd_trace_event_count(b->trace), b->summary->steps);
    pthread_mutex_unlock(&b->lock);
    urd_store_segment_deinit(&g);
    URD_TRY(err);
    return NULL;
}

/** Does memory allow one more segment to be worked on? With b->lock. */
static bool has_room(struct build *b)
{
    bool room = urd_budget_allows(&b->budget, b->n_running);
    b->scarce |= !room;
    return room;
}

static struct job *take_job(struct build *b)
{
    pthread_mutex_lock(&b->lock);
    while (!b->err && (b->first ? !has_room(b) : !b->no_more))
        pthread_cond_wait(&b->changed, &b->lock);
    struct job *j = b->err ? NULL : b->first;
    if (j) {
        b->first = j->next;
        b->n_waiting--;
        b->n_running++;
        pthread_cond_broadcast(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return j;
}

static void free_job(struct job *j)
{
    urd_session_close(j->session);
    urd_coarse_deinit(&j->pages);
    free(j);
}

static void *worker(void *data)
{
    struct build *b = data;
    unsigned number = __atomic_fetch_add(&b->n_started, 1, __ATOMIC_RELAXED);
    cpu_set_t core;
    CPU_ZERO(&core);
    CPU_SET(number % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &core);
    sched_setaffinity(0, sizeof core, &core);
    const struct kept kept = {urd_kept_code_create(), urd_kept_code_create()};
    for (struct job *j; (j = take_job(b));) {
        urd_err *err = do_job(b, j, &kept);
        free_job(j);
        pthread_mutex_lock(&b->lock);
        b->n_running--;
        pthread_cond_broadcast(&b->changed);
        pthread_mutex_unlock(&b->lock);
        if (err)
            fail(b, err);
    }
    urd_kept_code_destroy(kept.logged);
    urd_kept_code_destroy(kept.counted);
    return NULL;
}

static bool put_job(struct build *b, struct job *j)
{
    pthread_mutex_lock(&b->lock);
    uint64_t came = urd_now_ns();
    while (b->n_waiting > (b->scarce ? 0 : b->n_workers) && !b->err)
        pthread_cond_wait(&b->changed, &b->lock);
    b->leader_waited_ns += urd_now_ns() - came;
    bool ok = !b->err;
    if (ok) {
        if (b->first)
            b->last->next = j;
        else
            b->first = j;
        b->last = j;
        b->n_waiting++;
        pthread_cond_broadcast(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return ok;
}

/* ---- the leader ---- */

static volatile int leader_tick;

static void on_tick(int signal)
{
    leader_tick = 1;
}

static void arm(timer_t timer, uint64_t ms)
{
    leader_tick = 0;
    struct itimerspec t = {{0, 5000000}, {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000}};
    timer_settime(timer, 0, &t, NULL);
}

static urd_err *make_timer(timer_t *ret)
{
    struct sigaction act = {.sa_handler = on_tick};
    sigaction(SIGRTMIN + 3, &act, NULL);
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 3};
    ev._sigev_un._tid = (int)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &ev, ret) != 0)
        URD_FAIL_ERRNO("cannot make a timer");
    return NULL;
}

struct leader {
    struct build *b;
    struct urd_session *s;
    timer_t timer;
    uint64_t started;
    uint32_t next_id;
    struct job *open; /* begun, its end not known yet */
    struct gap *gap;  /* that is being cut into pieces, or NULL */
};

/** How long the next segment is to be. Each begins with blocks that it does not know, and names them in a dictionary of its own,
 * so few long ones cost least; but all workers are to be busy up to the end, and a long one takes more memory. So with several of them
 * each segment is a part of what is left of the run: as long as the recording took for it, and as fast as the leader has been until now. */
static uint64_t segment_ms(const struct leader *l)
{
    const struct build *b = l->b;
    enum { KNOWN_AFTER_NS = 10000000 };
    if (b->options->segment_ms)
        return b->options->segment_ms;
    if (__atomic_load_n(&b->scarce, __ATOMIC_RELAXED))
        return 50; /* shorter ones need less */
    if (b->n_workers == 1)
        return SEGMENT_MS_MOST;
    uint64_t now = l->s->next ? l->s->next->time_ns : b->recorded_ns;
    uint64_t took = urd_now_ns() - l->started - b->leader_waited_ns;
    if (now < KNOWN_AFTER_NS || now >= b->recorded_ns)
        return SEGMENT_MS_LEAST;
    double left_ms = (double)(b->recorded_ns - now) / 1e6 * (double)took / (double)now;
    double ms = left_ms / (2 * b->n_workers);
    return ms < SEGMENT_MS_LEAST  ? SEGMENT_MS_LEAST
           : ms > SEGMENT_MS_MOST ? SEGMENT_MS_MOST
                                  : (uint64_t)ms;
}

/** Has the segment from `start` to the session's place anything of the scope? in_middle: that place is after its event. */
static bool is_in_scope(const struct urd_index_options *o, const struct urd_session *s,
                        struct urd_moment start, bool in_middle)
{
    bool in = !o->n_parts;
    for (uint32_t i = 0; i < o->n_parts && !in; i++) {
        struct urd_moment from = o->parts[i].from, to = o->parts[i].to;
        bool begun = s->event > from.event || (in_middle && s->event == from.event) || !s->next;
        bool ended = start.event > to.event || (start.event == to.event && !to.steps);
        in = begun && !ended;
    }
    return in;
}

static bool touches_scope(const struct urd_index_options *o, struct urd_moment start,
                          struct urd_moment end)
{
    bool touches = !o->n_parts;
    for (uint32_t i = 0; i < o->n_parts && !touches; i++)
        touches = urd_moment_compare(start, o->parts[i].to) < 0 &&
                  urd_moment_compare(end, o->parts[i].from) > 0;
    return touches;
}

/** Has so much time passed that all of the run had better be seen coarsely first? */
static bool takes_long(const struct leader *l)
{
    unsigned after = l->b->options->coarse_after_ms;
    return urd_now_ns() - l->started >= (after ? after : 30000) * 1000000ull;
}

/** Will it, or may it, be a segment that is only counted? */
static bool may_be_counted(const struct leader *l)
{
    const struct urd_index_options *o = l->b->options;
    bool all = !o->coarse && !o->n_parts;
    return !l->gap && (!all || takes_long(l));
}

/** What the open segment is, as its end is known now. */
static void close_job(struct leader *l, struct job *j, const struct urd_cut *cut)
{
    const struct urd_index_options *o = l->b->options;
    j->end_event = l->s->event;
    j->has_cut = cut != NULL;
    if (cut)
        j->cut = *cut;
    j->gap = l->gap;
    j->outside =
        !l->gap && !l->b->reads && (o->coarse || !is_in_scope(o, l->s, j->start, j->has_cut));
    j->counted = j->outside || (!l->gap && !l->b->reads && takes_long(l));
    j->id = l->next_id + (j->counted ? URD_INDEX_GAP_IDS - 1 : 0);
    l->next_id = j->id + 1;
}

/** Before a process, or the checkpoint that it shares its pages with, is not there any more: which of them it has written since. */
static void note_pages(struct leader *l, const struct urd_task *t)
{
    urd_err *err = urd_coarse_own_pages(t->process->pid, t->space, &l->open->pages);
    l->open->has_pages = !err; /* else it may have written anything */
    urd_err_free(err);
}

static void note_all_pages(struct leader *l)
{
    for (uint32_t i = 0; l->open && l->open->has_pages && i < l->s->n_tasks; i++) {
        const struct urd_task *t = &l->s->tasks[i];
        bool seen = !t->exists;
        for (uint32_t k = 0; k < i && !seen; k++)
            seen = l->s->tasks[k].exists && l->s->tasks[k].process == t->process;
        if (!seen)
            note_pages(l, t);
    }
}

/** A fork shares what its parent has written; an exec and the end of a process take it away. */
static void note_pages_before(struct leader *l, const struct urd_event *e)
{
    bool forks = e->kind == URD_EVENT_START && !(e->flags & URD_EVENT_SHARES);
    bool ends = e->kind == URD_EVENT_EXEC || e->kind == URD_EVENT_EXIT;
    struct urd_task *t = urd_session_task(l->s, forks ? e->other_tid : e->tid);
    if (l->open && l->open->has_pages && (forks || ends) && t && t->exists)
        note_pages(l, t);
}

/** The session stands at a good place: end the open segment there and, unless it is the last one, begin the next. */
static urd_err *split(struct leader *l, const struct urd_cut *cut, bool last, bool *ret_done)
{
    *ret_done = false;
    struct urd_session *copy = NULL;
    bool possible = true;
    note_all_pages(l); /* also where no checkpoint is possible: what was begun has shared them */
    if (l->s->next && !last)
        URD_TRY(urd_session_checkpoint(l->s, &possible, &copy));
    if (!possible)
        return NULL;
    struct job *next = NULL;
    if (copy) {
        next = urd_xcalloc(1, sizeof *next);
        next->session = copy;
        next->start = (struct urd_moment){l->s->event, 0};
        next->has_pages = may_be_counted(l);
    }
    struct job *j = l->open;
    if (j && l->gap && l->next_id == l->gap->rows[0].id)
        return urd_err_hint(URD_ERROR(URD_ERR_FAILED, "there are no numbers left for segments"),
                            "run urd index again: it goes on");
    if (j) {
        close_job(l, j, cut);
        if (!put_job(l->b, j))
            free_job(j);
    }
    l->open = next;
    *ret_done = true;
    return NULL;
}

enum {
    MOST_AT_ONCE = 100000
}; /* events that the leader runs over without a stop, unless the timer stops it */

/** Take a cut where the session stands in the middle of a computation, and split there. */
static urd_err *split_at_cut(struct leader *l, struct urd_task *t, bool last, bool *ret_done)
{
    struct urd_cut cut;
    struct urd_stacks stacks;
    urd_session_stacks(l->s, t, t->regs.rsp, &stacks);
    urd_err *err = urd_cut_take(t->process->pid, t->process->mem, URD_MEMORY_REPLAYED, &t->regs,
                                &stacks, &cut);
    free(stacks.sps);
    URD_TRY(err);
    return split(l, &cut, last, ret_done);
}

/** last_event: go no further than to it. */
static urd_err *lead_interval(struct leader *l, uint64_t last_event)
{
    struct urd_session *s = l->s;
    const volatile int *interrupt = l->b->options->no_cuts ? NULL : &leader_tick;
    for (;;) {
        enum urd_stop stop;
        struct urd_task *t = urd_session_running(s);
        uint64_t most = s->event + (interrupt ? MOST_AT_ONCE : 1);
        URD_TRY(urd_session_run_native(s, most < last_event ? most : last_event, interrupt, &stop));
        if (stop != URD_STOP_INTERRUPTED) {
            if (stop != urd_session_stop_wanted(s->next))
                return urd_session_diverged(s, t, "it stopped for another reason");
            return NULL;
        }
        if (urd_cut_rep_end(t->process->mem, t->regs.rip)) {
            arm(l->timer, 2);
            continue;
        }
        bool done;
        URD_TRY(split_at_cut(l, t, false, &done));
        arm(l->timer, done ? segment_ms(l) : 20);
        if (l->b->err)
            return NULL;
    }
}

/** From where the session stands to after an event, or to the end. The last segment stays open. */
static urd_err *lead(struct leader *l, uint64_t last_event)
{
    struct urd_session *s = l->s;
    bool done;
    arm(l->timer, segment_ms(l));
    URD_TRY(split(l, NULL, false, &done));
    if (!l->open)
        URD_FAIL("no segment can begin at event %llu", (unsigned long long)s->event);
    while (s->next && s->event < last_event && !l->b->err) {
        if (urd_session_running(s))
            URD_TRY(lead_interval(l, last_event));
        if (l->b->err)
            break;
        note_pages_before(l, s->next);
        URD_TRY(urd_session_apply(s));
        if (leader_tick && s->next && s->event < last_event) {
            URD_TRY(split(l, NULL, false, &done));
            arm(l->timer, done ? segment_ms(l) : 5);
        }
    }
    return NULL;
}

static urd_err *lead_all(struct leader *l)
{
    bool done;
    URD_TRY(lead(l, UINT64_MAX));
    return split(l, NULL, true, &done);
}

/* ---- going on where an earlier build was stopped ---- */

/** which: a condition on ids, `>= 3`. */
static urd_err *forget_segments(struct urd_store *store, const char *which)
{
    URD_AUTO_FREE char *sql =
        urd_xprintf("DELETE FROM writes WHERE segment %s; DELETE FROM flow WHERE segment %s;"
                    "DELETE FROM touched WHERE segment %s; DELETE FROM calls WHERE segment %s;"
                    "DELETE FROM segments WHERE id %s;",
                    which, which, which, which, which);
    return urd_store_exec(store, sql);
}

static urd_err *resume_point(struct urd_store *store, uint32_t *ret_next, struct urd_moment *ret)
{
    sqlite3_stmt *q;
    sqlite3 *db = urd_store_db(store);
    struct urd_moment at = {0, 0};
    *ret_next = 0;
    if (sqlite3_prepare_v2(db,
                           "SELECT id, end_event, end_steps, blocks IS NULL FROM segments "
                           "ORDER BY id",
                           -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(db, "cannot read the index");
    while (sqlite3_step(q) == SQLITE_ROW) {
        uint32_t wanted = *ret_next + (sqlite3_column_int(q, 3) ? URD_INDEX_GAP_IDS - 1 : 0);
        if (sqlite3_column_int64(q, 0) != wanted)
            break;
        at = segment_end(at, (uint64_t)sqlite3_column_int64(q, 1),
                         (uint64_t)sqlite3_column_int64(q, 2));
        *ret_next = wanted + 1;
    }
    *ret = at;
    sqlite3_finalize(q);
    URD_AUTO_FREE char *which = urd_xprintf(">= %u", *ret_next);
    return forget_segments(store, which);
}

static void free_gaps(struct gap *gaps, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        free(gaps[i].rows);
    free(gaps);
}

/** The gaps that the scope touches, in order. Free *ret with free_gaps. */
static urd_err *find_gaps(struct urd_store *store, const struct urd_index_options *o,
                          struct gap **ret, uint32_t *ret_n)
{
    sqlite3_stmt *q;
    sqlite3 *db = urd_store_db(store);
    struct urd_moment at = {0, 0};
    uint32_t capacity = 0, next_id = 0;
    bool open = false; /* the last gap reaches to here */
    *ret = NULL;
    *ret_n = 0;
    if (sqlite3_prepare_v2(
            db,
            "SELECT id, end_event, end_steps, blocks IS NULL, start_clock, steps FROM segments "
            "WHERE start_clock IS NOT NULL ORDER BY id",
            -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(db, "cannot read the index");
    while (sqlite3_step(q) == SQLITE_ROW) {
        struct urd_moment start = at;
        uint32_t id = (uint32_t)sqlite3_column_int64(q, 0), first_piece = next_id;
        int64_t clock = sqlite3_column_int64(q, 4);
        next_id = id + 1;
        at = segment_end(at, (uint64_t)sqlite3_column_int64(q, 1),
                         (uint64_t)sqlite3_column_int64(q, 2));
        bool wanted = sqlite3_column_int(q, 3) && touches_scope(o, start, at);
        if (wanted && !open)
            URD_PUSH(*ret, *ret_n, capacity) =
                (struct gap){.start = start, .clock = clock, .next_piece = first_piece};
        open = wanted;
        if (!wanted)
            continue;
        struct gap *g = &(*ret)[*ret_n - 1];
        URD_PUSH(g->rows, g->n_rows, g->cap_rows) =
            (struct counted_row){id, at, clock + sqlite3_column_int64(q, 5)};
        g->end = at;
    }
    sqlite3_finalize(q);
    return NULL;
}

/** Forward by steps that all lie in the session's interval. */
static urd_err *count_on(struct urd_session *s, uint64_t steps)
{
    struct urd_runner *r;
    enum urd_run_end end;
    uint64_t left = steps;
    if (!steps)
        return NULL;
    URD_TRY(urd_runner_create(s, URD_PROBE_COUNT, NULL, &r));
    urd_err *err = urd_runner_run(r, &left, &end);
    urd_runner_destroy(r);
    URD_TRY(err);
    if (left)
        URD_FAIL("event %llu is followed by fewer steps than the index says",
                 (unsigned long long)s->event);
    return NULL;
}

/** From wherever the session stands, at or before it, to a moment. */
static urd_err *go_to(struct urd_session *s, struct urd_moment *at, struct urd_moment to)
{
    uint64_t done = at->event == to.event ? at->steps : 0;
    URD_TRY(urd_session_to_event(s, to.event));
    URD_TRY(count_on(s, to.steps - done));
    *at = to;
    return NULL;
}

/** Cut a gap into segments. *at: where the session stands. */
static urd_err *lead_gap(struct leader *l, struct gap *gap, struct urd_moment *at)
{
    bool done;
    URD_TRY(go_to(l->s, at, gap->start));
    l->gap = gap;
    l->next_id = gap->next_piece;
    URD_TRY(lead(l, gap->end.event));
    if (l->b->err)
        return NULL;
    at->event = l->s->event;
    at->steps = gap->start.event == at->event ? gap->start.steps : 0;
    URD_TRY(go_to(l->s, at, gap->end));
    if (!gap->end.steps)
        return split(l, NULL, true, &done);
    return split_at_cut(l, urd_session_running(l->s), true, &done);
}

static urd_err *lead_gaps(struct leader *l, struct gap *gaps, uint32_t n)
{
    struct urd_moment at = {0, 0};
    for (uint32_t i = 0; i < n && !l->b->err; i++)
        URD_TRY(lead_gap(l, &gaps[i], &at));
    return NULL;
}

static bool is_set(struct urd_store *store, const char *key)
{
    return urd_store_number(store, key) == 1;
}

/** gaps NULL: all from where an earlier build stopped. */
static urd_err *build_segments(struct build *b, struct gap *gaps, uint32_t n_gaps)
{
    struct leader l = {.b = b, .started = urd_now_ns()};
    struct urd_moment from = {0, 0}, at = {0, 0};
    if (!gaps && !b->reads)
        URD_TRY(resume_point(b->store, &l.next_id, &from));
    URD_TRY(urd_session_open(b->trace, true, &l.s));
    urd_err *err = gaps ? NULL : go_to(l.s, &at, from);
    l.s->check_memory = true;
    b->done_events = from.event;
    pthread_t threads[64];
    cpu_set_t all, pinned; /* the leader is pinned to the recorded core, the workers run anywhere */
    CPU_ZERO(&all);
    for (int i = 0; i < CPU_SETSIZE; i++)
        CPU_SET(i, &all);
    sched_getaffinity(0, sizeof pinned, &pinned);
    sched_setaffinity(0, sizeof all, &all);
    sigset_t tick;
    sigemptyset(&tick);
    sigaddset(&tick, SIGRTMIN + 3);
    pthread_sigmask(SIG_BLOCK, &tick, NULL);
    for (unsigned i = 0; i < b->n_workers; i++)
        pthread_create(&threads[i], NULL, worker, b);
    pthread_sigmask(SIG_UNBLOCK, &tick, NULL);
    sched_setaffinity(0, sizeof pinned, &pinned);
    if (!err)
        err = make_timer(&l.timer);
    if (!err) {
        err = gaps ? lead_gaps(&l, gaps, n_gaps) : lead_all(&l);
        timer_delete(l.timer);
    }
    if (err)
        fail(b, err);
    pthread_mutex_lock(&b->lock);
    b->no_more = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    for (unsigned i = 0; i < b->n_workers; i++)
        pthread_join(threads[i], NULL);
    if (gaps && !b->err && (err = publish(b)))
        fail(b, err);
    urd_check(!l.open || b->err, "a segment was never closed");
    if (l.open)
        free_job(l.open);
    while (b->first) {
        struct job *j = b->first;
        b->first = j->next;
        free_job(j);
    }
    urd_session_close(l.s);
    sched_setaffinity(0, sizeof all, &all);
    return b->err;
}

static double cpu_seconds(void)
{
    double s = 0;
    for (int who = -1; who <= 0; who++) { /* RUSAGE_CHILDREN, RUSAGE_SELF */
        struct rusage u;
        getrusage(who, &u);
        s += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
             (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    }
    return s;
}

static urd_err *find_recorded_ns(struct urd_trace *trace, uint64_t *ret)
{
    struct urd_trace_reader *r;
    const struct urd_event *last;
    uint64_t n = urd_trace_event_count(trace);
    *ret = 0;
    URD_TRY(urd_trace_read_from(trace, n ? n : 1, &r));
    urd_err *err = urd_trace_next(r, &last);
    if (!err && last)
        *ret = last->time_ns;
    urd_trace_reader_close(r);
    return err;
}

static urd_err *build_once(struct urd_trace *trace, struct urd_store *store,
                           const struct urd_index_options *o, bool reads, struct gap *gaps,
                           uint32_t n_gaps, struct urd_index_summary *summary, bool *ret_cut_missed)
{
    struct build b = {
        .trace = trace, .store = store, .options = o, .reads = reads, .summary = summary};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    URD_TRY(find_recorded_ns(trace, &b.recorded_ns));
    b.gaps = gaps;
    b.n_gaps = n_gaps;
    b.published_ns = urd_now_ns();
    b.n_workers = o->workers ? o->workers : cores > 0 ? (unsigned)cores : 1;
    if (b.n_workers > 64)
        b.n_workers = 64;
    pthread_mutex_init(&b.lock, NULL);
    pthread_cond_init(&b.changed, NULL);
    urd_budget_init(&b.budget, o->memory_bytes ? o->memory_bytes : URD_INDEX_MEMORY);
    urd_err *err = build_segments(&b, gaps, n_gaps);
    pthread_mutex_destroy(&b.lock);
    pthread_cond_destroy(&b.changed);
    if (b.budget.most_bytes > summary->memory)
        summary->memory = b.budget.most_bytes;
    urd_budget_deinit(&b.budget);
    *ret_cut_missed = b.cut_missed;
    return err;
}

/** All segments up to the end, those outside of the scope counted. */
static urd_err *build_all(struct urd_trace *trace, struct urd_store *store,
                          const struct urd_index_options *o, struct urd_index_summary *summary)
{
    bool cut_missed;
    urd_err *err = build_once(trace, store, o, false, NULL, 0, summary, &cut_missed);
    if (err && cut_missed) {
        urd_log(1, "a cut was missed: going on with segments that begin at events");
        urd_err_free(err);
        struct urd_index_options without = *o;
        without.no_cuts = true;
        err = build_once(trace, store, &without, false, NULL, 0, summary, &cut_missed);
    }
    URD_TRY(err);
    return urd_store_exec(store, "INSERT OR REPLACE INTO meta VALUES('ended', 1)");
}

/** Pieces of gaps that a build was stopped before it published. */
static urd_err *forget_pieces(struct urd_store *store)
{
    sqlite3_stmt *q;
    sqlite3 *db = urd_store_db(store);
    if (sqlite3_prepare_v2(db, "SELECT 1 FROM segments WHERE start_clock IS NULL LIMIT 1", -1, &q,
                           NULL) != SQLITE_OK)
        return urd_store_failed(db, "cannot read the index");
    bool any = sqlite3_step(q) == SQLITE_ROW;
    sqlite3_finalize(q);
    return any ? forget_segments(store, "IN (SELECT id FROM segments WHERE start_clock IS NULL)")
               : NULL;
}

/** *ret_n: how many there were. */
static urd_err *fill_gaps(struct urd_trace *trace, struct urd_store *store,
                          const struct urd_index_options *o, struct urd_index_summary *summary,
                          uint32_t *ret_n)
{
    struct gap *gaps;
    uint32_t n;
    bool cut_missed = false;
    URD_TRY(forget_pieces(store));
    URD_TRY(find_gaps(store, o, &gaps, &n));
    urd_err *err = n ? urd_store_share(store) : NULL;
    if (n && !err)
        err = build_once(trace, store, o, false, gaps, n, summary, &cut_missed);
    free_gaps(gaps, n);
    *ret_n = n;
    if (!err || !cut_missed || o->no_cuts)
        return err;
    urd_log(1, "a cut was missed: going on with segments that begin at events");
    urd_err_free(err);
    struct urd_index_options without = *o;
    without.no_cuts = true;
    return fill_gaps(trace, store, &without, summary, &n);
}

/** Clocks are those of the index only when both passes saw as many instructions. */
static urd_err *check_read_steps(struct urd_store *store)
{
    sqlite3_stmt *q;
    int64_t here = -1, there = -2;
    if (sqlite3_prepare_v2(urd_store_db(store),
                           "SELECT (SELECT sum(steps) FROM read_segments),"
                           " (SELECT max(start_clock + steps) FROM segments)",
                           -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW) {
        here = sqlite3_column_int64(q, 0);
        there = sqlite3_column_int64(q, 1);
    }
    sqlite3_finalize(q);
    if (here != there)
        URD_FAIL("the pass for reads saw %lld instructions, the index has %lld", (long long)here,
                 (long long)there);
    return NULL;
}

/** A pass of its own, begun anew when an earlier one was killed. */
static urd_err *build_reads(struct urd_trace *trace, struct urd_store *store,
                            const struct urd_index_options *o, struct urd_index_summary *summary)
{
    struct urd_index_options all = *o;
    bool cut_missed = false;
    urd_err *err = NULL;
    for (unsigned tries = 0; tries < 2; tries++) {
        struct urd_index_summary pass = {.memory = summary->memory};
        URD_TRY(urd_store_exec(store, URD_INDEX_READS_SCHEMA));
        err = build_once(trace, store, &all, true, NULL, 0, &pass, &cut_missed);
        summary->reads = pass.writes;
        summary->unknown_reads = pass.unlogged;
        summary->memory = pass.memory;
        if (!err || !cut_missed || all.no_cuts)
            break;
        urd_log(1, "a cut was missed: going on with segments that begin at events");
        urd_err_free(err);
        all.no_cuts = true;
    }
    URD_TRY(err);
    URD_TRY(check_read_steps(store));
    return urd_store_exec(store, URD_INDEX_READS_JOIN);
}

static void close_store(struct urd_store **s)
{
    urd_store_close(*s);
}

urd_err *urd_index_build(struct urd_trace *trace, const struct urd_index_options *o,
                         struct urd_index_summary *ret)
{
    uint64_t started = urd_now_ns();
    double cpu = cpu_seconds();
    mallopt(M_MMAP_THRESHOLD, 1 << 30); /* each segment needs the same large buffers: keep them */
    mallopt(M_TRIM_THRESHOLD, INT32_MAX);
    struct urd_index_summary summary = {0};
    URD_CLEANUP(close_store) struct urd_store *store = NULL;
    URD_TRY(urd_store_open(urd_trace_directory(trace), &store));
    bool ended = is_set(store, "ended"), complete = is_set(store, "complete");
    if (!ended)
        URD_TRY(build_all(trace, store, o, &summary));
    if (!complete)
        URD_TRY(urd_index_join(trace, store));
    uint32_t n_gaps = 0;
    if (!o->coarse)
        URD_TRY(fill_gaps(trace, store, o, &summary, &n_gaps));
    summary.was_there = complete && !n_gaps;
    if (!summary.was_there) /* some may have been counted and indexed */
        summary.steps = urd_store_number(store, "steps");
    if (o->reads && !is_set(store, "reads")) {
        summary.was_there = false;
        URD_TRY(urd_store_share(store));
        URD_TRY(build_reads(trace, store, o, &summary));
    }
    close_store(&store);
    store = NULL;
    URD_AUTO_FREE char *path = urd_xprintf("%s/index.urd", urd_trace_directory(trace));
    struct stat st;
    summary.bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    summary.wall_s = (double)(urd_now_ns() - started) / 1e9;
    summary.cpu_s = cpu_seconds() - cpu;
    *ret = summary;
    return NULL;
}
