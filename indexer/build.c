/* The parallel build.
 *
 * The leader (this thread) replays natively on the recorded core. Every so often, at an event or, when none comes, in the
 * middle of a computation, it forks the whole session (a checkpoint) and gives the segment that ended there to the
 * workers: the checkpoint at its start, and how to know its end: an event, or a *cut*, the exact state that the
 * leader saw. A worker adopts the checkpoint, replays it translated into a builder, and writes the segment's
 * rows in one transaction. Segments have relative clocks; join.c makes one line of them.
 *
 * A scope (urd_index_options.from, to) changes what a worker does: a segment with nothing of it is replayed with steps counted, not
 * logged, which is fast and gives the same clocks. A later build with a wider scope goes to each such *gap*, cuts it into segments once more, and
 * removes the gap's row when all of them are there. The pieces of a gap that was left in the middle are made anew.
 */
#include "indexer/index.h"
#include "base/log.h"
#include "indexer/budget.h"
#include "indexer/builder.h"
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

/** A segment that an earlier build has only counted. Its end is that of its last piece. */
struct gap {
    uint32_t id, n_pieces, n_stored;
    struct urd_moment start, end; /* steps since the event */
    bool closed;                  /* all pieces are made */
};

struct job {
    struct urd_session *session; /* asleep, at `start` */
    uint32_t id;
    bool counted;    /* of no interest but for its clocks */
    struct gap *gap; /* that it is a piece of, or NULL */
    struct urd_moment start;
    uint64_t end_event; /* the segment ends when this event is applied ... */
    bool has_cut;       /* ... or at this state after it */
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
    struct urd_budget budget;
    bool scarce; /* memory did not allow another segment */
    bool no_more;
    urd_err *err; /* the first one of any thread */
    bool cut_missed;
    struct urd_index_summary *summary;
    uint64_t done_events;
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

/** Who takes the log: one of them. */
struct taker {
    struct urd_builder *builder;
    struct urd_reads *reads;
};

static uint64_t steps_taken(const struct taker *t)
{
    return t->reads ? urd_reads_steps(t->reads) : urd_builder_steps(t->builder);
}

static urd_err *run_segment(struct build *b, struct job *j, struct urd_kept_code *code,
                            struct urd_store_segment *g, const struct taker *taker)
{
    struct urd_session *s = j->session;
    struct urd_sink sink =
        taker->reads ? urd_reads_sink(taker->reads) : urd_builder_sink(taker->builder);
    struct urd_runner *r;
    unsigned probes = URD_PROBE_LOG | (taker->reads ? URD_PROBE_READS : 0);
    URD_TRY(urd_runner_create(s, probes, &sink, &r));
    urd_runner_keep_code(r, code);
    urd_runner_set_limit(r, j->end_event);
    urd_err *err = NULL;
    uint64_t interval_start = 0;
    bool at_cut = false;
    while (!err && !at_cut && (s->event < j->end_event || j->has_cut) && s->next) {
        if (j->has_cut && s->event > j->end_event) {
            b->cut_missed = true;
            err = URD_ERROR(URD_ERR_FAILED, "the end of segment %u was not recognised", j->id);
            break;
        }
        if (j->has_cut && s->event == j->end_event)
            urd_runner_set_cut(r, &j->cut);
        if (urd_session_running(s)) {
            enum urd_run_end end;
            err = urd_runner_run(r, NULL, &end);
            at_cut = !err && end == URD_RUN_CUT;
            if (err || at_cut)
                break;
            if (!urd_run_end_fits(s->next, end))
                err = urd_session_diverged(s, urd_session_running(s),
                                           "it stopped for another reason");
        }
        if (!err && taker->builder)
            urd_builder_event(taker->builder, s, s->next);
        interval_start = steps_taken(taker);
        if (!err)
            err = urd_runner_apply(r);
        if (b->err)
            break;
    }
    g->start = j->start;
    g->end = (struct urd_moment){s->event, 0};
    if (at_cut)
        g->end.steps = steps_taken(taker) - interval_start;
    __atomic_fetch_add(&b->summary->stepped, urd_runner_get_stats(r).steps, __ATOMIC_RELAXED);
    __atomic_fetch_add(&b->summary->unlogged, urd_runner_get_stats(r).unlogged, __ATOMIC_RELAXED);
    urd_runner_destroy(r);
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

/** As run_segment, but only the clocks of events. */
static urd_err *count_segment(struct build *b, struct job *j, struct urd_kept_code *code,
                              struct urd_store_segment *g)
{
    const uint64_t all = 1ull << 62;
    struct urd_session *s = j->session;
    struct urd_runner *r;
    struct urd_buf clocks = {0}, packed = {0};
    uint64_t total = 0, last_event = 0;
    URD_TRY(urd_runner_create(s, URD_PROBE_COUNT, NULL, &r));
    urd_runner_keep_code(r, code);
    urd_err *err = NULL;
    bool at_cut = false;
    while (!err && !at_cut && !b->err && (s->event < j->end_event || j->has_cut) && s->next) {
        if (j->has_cut && s->event > j->end_event) {
            b->cut_missed = true;
            err = URD_ERROR(URD_ERR_FAILED, "the end of segment %u was not recognised", j->id);
            break;
        }
        if (j->has_cut && s->event == j->end_event)
            urd_runner_set_cut(r, &j->cut);
        if (urd_session_running(s)) {
            enum urd_run_end end;
            uint64_t left = all;
            err = urd_runner_run(r, &left, &end);
            total += all - left;
            at_cut = !err && end == URD_RUN_CUT;
            if (err || at_cut)
                break;
            if (!urd_run_end_fits(s->next, end))
                err = urd_session_diverged(s, urd_session_running(s),
                                           "it stopped for another reason");
        }
        if (!err) {
            urd_buf_varint(&clocks, total - last_event);
            last_event = total;
            err = urd_runner_apply(r);
        }
    }
    g->start = j->start;
    g->end = (struct urd_moment){s->event, at_cut ? total - last_event : 0};
    g->steps = total;
    g->counted = true;
    urd_runner_destroy(r);
    urd_blob_pack(clocks.data, clocks.size, &packed);
    g->event_steps = urd_store_keep(g, packed.data, packed.size);
    urd_buf_deinit(&clocks);
    urd_buf_deinit(&packed);
    return err;
}

/** A piece of a gap is stored. The gap's row goes with the last one. */
static urd_err *note_piece(struct build *b, struct gap *gap)
{
    pthread_mutex_lock(&b->lock);
    gap->n_stored++;
    bool done = gap->closed && gap->n_stored == gap->n_pieces;
    pthread_mutex_unlock(&b->lock);
    if (!done)
        return NULL;
    URD_AUTO_FREE char *sql = urd_xprintf("DELETE FROM segments WHERE id = %u", gap->id);
    return urd_store_exec(b->store, sql);
}

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
        urd_builder_destroy(taker.builder);
    }
    if (!err && !b->err)
        err = b->reads ? urd_store_put_reads(b->store, &g) : urd_store_put_segment(b->store, &g);
    if (!err && !b->err && j->gap)
        err = note_piece(b, j->gap);
    pthread_mutex_lock(&b->lock);
    b->summary->steps += g.steps;
    b->summary->writes += g.n_writes;
    b->summary->segments++;
    b->summary->counted += j->counted;
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
    while (b->n_waiting > (b->scarce ? 0 : b->n_workers) && !b->err)
        pthread_cond_wait(&b->changed, &b->lock);
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

static uint64_t segment_ms(struct build *b, uint64_t started)
{
    if (b->options->segment_ms)
        return b->options->segment_ms;
    if (__atomic_load_n(&b->scarce, __ATOMIC_RELAXED))
        return 50; /* shorter ones need less */
    uint64_t ms = (urd_now_ns() - started) / 16000000;
    return ms < 100 ? 100 : ms > 400 ? 400 : ms;
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

/** Has the segment from `start` to the session's place anything of the scope? in_middle: that place is after its event. */
static bool is_in_scope(const struct urd_index_options *o, const struct urd_session *s,
                        struct urd_moment start, bool in_middle)
{
    bool begun = s->event > o->from.event || (in_middle && s->event == o->from.event) || !s->next;
    bool ended = start.event > o->to.event || (start.event == o->to.event && !o->to.steps);
    return begun && !ended;
}

/** What the open segment is, as its end is known now. */
static void close_job(struct leader *l, struct job *j, const struct urd_cut *cut, bool last)
{
    j->end_event = l->s->event;
    j->has_cut = cut != NULL;
    if (cut)
        j->cut = *cut;
    j->gap = l->gap;
    j->counted = !l->gap && !l->b->reads && !is_in_scope(l->b->options, l->s, j->start, j->has_cut);
    j->id = l->next_id;
    l->next_id += j->counted ? URD_INDEX_GAP_IDS : 1;
    if (l->gap) {
        pthread_mutex_lock(&l->b->lock);
        l->gap->n_pieces++;
        l->gap->closed = last;
        pthread_mutex_unlock(&l->b->lock);
    }
}

/** The session stands at a good place: end the open segment there and, unless it is the last one, begin the next. */
static urd_err *split(struct leader *l, const struct urd_cut *cut, bool last, bool *ret_done)
{
    *ret_done = false;
    struct urd_session *copy = NULL;
    bool possible = true;
    if (l->s->next && !last)
        URD_TRY(urd_session_checkpoint(l->s, &possible, &copy));
    if (!possible)
        return NULL;
    struct job *next = NULL;
    if (copy) {
        next = urd_xcalloc(1, sizeof *next);
        next->session = copy;
        next->start = (struct urd_moment){l->s->event, 0};
    }
    struct job *j = l->open;
    if (j) {
        close_job(l, j, cut, last);
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
        arm(l->timer, done ? segment_ms(l->b, l->started) : 20);
        if (l->b->err)
            return NULL;
    }
}

/** From where the session stands to after an event, or to the end. The last segment stays open. */
static urd_err *lead(struct leader *l, uint64_t last_event)
{
    struct urd_session *s = l->s;
    bool done;
    arm(l->timer, segment_ms(l->b, l->started));
    URD_TRY(split(l, NULL, false, &done));
    if (!l->open)
        URD_FAIL("no segment can begin at event %llu", (unsigned long long)s->event);
    while (s->next && s->event < last_event && !l->b->err) {
        if (urd_session_running(s))
            URD_TRY(lead_interval(l, last_event));
        if (l->b->err)
            break;
        URD_TRY(urd_session_apply(s));
        if (leader_tick && s->next && s->event < last_event) {
            URD_TRY(split(l, NULL, false, &done));
            arm(l->timer, done ? segment_ms(l->b, l->started) : 5);
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
    if (sqlite3_prepare_v2(
            db,
            "SELECT id, start_event, end_event, end_steps, blocks IS NULL FROM segments "
            "ORDER BY id",
            -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(db, "cannot read the index");
    while (sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int64(q, 0) == *ret_next) {
        /* a segment that begins and ends in one interval counts its steps from its own start */
        bool same = sqlite3_column_int64(q, 1) == sqlite3_column_int64(q, 2);
        at.event = (uint64_t)sqlite3_column_int64(q, 2);
        at.steps = (same ? at.steps : 0) + (uint64_t)sqlite3_column_int64(q, 3);
        *ret_next += sqlite3_column_int(q, 4) ? URD_INDEX_GAP_IDS : 1;
    }
    *ret = at;
    sqlite3_finalize(q);
    URD_AUTO_FREE char *which = urd_xprintf(">= %u", *ret_next);
    return forget_segments(store, which);
}

/** The gaps that the scope touches, in order. Free *ret. */
static urd_err *find_gaps(struct urd_store *store, const struct urd_index_options *o,
                          struct gap **ret, uint32_t *ret_n)
{
    sqlite3_stmt *q;
    sqlite3 *db = urd_store_db(store);
    struct urd_moment at = {0, 0};
    uint32_t capacity = 0;
    *ret = NULL;
    *ret_n = 0;
    if (sqlite3_prepare_v2(
            db,
            "SELECT id, start_event, end_event, end_steps, blocks IS NULL FROM segments "
            "ORDER BY id",
            -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(db, "cannot read the index");
    uint32_t behind = 0; /* ids below are pieces of a gap that is still there */
    while (sqlite3_step(q) == SQLITE_ROW) {
        struct gap g = {.id = (uint32_t)sqlite3_column_int64(q, 0), .start = at};
        if (g.id < behind)
            continue;
        bool same = sqlite3_column_int64(q, 1) == sqlite3_column_int64(q, 2);
        at.event = (uint64_t)sqlite3_column_int64(q, 2);
        at.steps = (same ? at.steps : 0) + (uint64_t)sqlite3_column_int64(q, 3);
        if (!sqlite3_column_int(q, 4))
            continue;
        behind = g.id + URD_INDEX_GAP_IDS;
        g.end = at;
        if (urd_moment_compare(g.start, o->to) < 0 && urd_moment_compare(g.end, o->from) > 0)
            URD_PUSH(*ret, *ret_n, capacity) = g;
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
    l->next_id = gap->id + 1;
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
    sqlite3_stmt *q;
    bool set = false;
    if (sqlite3_prepare_v2(urd_store_db(store), "SELECT value FROM meta WHERE key = ?", -1, &q,
                           NULL) == SQLITE_OK) {
        sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
        set = sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int(q, 0) == 1;
    }
    sqlite3_finalize(q);
    return set;
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

static urd_err *build_once(struct urd_trace *trace, struct urd_store *store,
                           const struct urd_index_options *o, bool reads, struct gap *gaps,
                           uint32_t n_gaps, struct urd_index_summary *summary, bool *ret_cut_missed)
{
    struct build b = {
        .trace = trace, .store = store, .options = o, .reads = reads, .summary = summary};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
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

static urd_err *fill_gaps(struct urd_trace *trace, struct urd_store *store,
                          const struct urd_index_options *o, struct gap *gaps, uint32_t n,
                          struct urd_index_summary *summary)
{
    bool cut_missed;
    URD_TRY(urd_store_exec(store, "INSERT OR REPLACE INTO meta VALUES('complete', 0)"));
    for (uint32_t i = 0; i < n; i++) { /* what a killed build has made of it */
        URD_AUTO_FREE char *which =
            urd_xprintf("BETWEEN %u AND %u", gaps[i].id + 1, gaps[i].id + URD_INDEX_GAP_IDS - 1);
        URD_TRY(forget_segments(store, which));
    }
    return build_once(trace, store, o, false, gaps, n, summary, &cut_missed);
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
    bool ended = is_set(store, "ended");
    if (!ended)
        URD_TRY(build_all(trace, store, o, &summary));
    URD_AUTO_FREE struct gap *gaps = NULL;
    uint32_t n_gaps;
    URD_TRY(find_gaps(store, o, &gaps, &n_gaps));
    if (n_gaps)
        URD_TRY(fill_gaps(trace, store, o, gaps, n_gaps, &summary));
    summary.was_there = ended && !n_gaps && is_set(store, "complete");
    if (!summary.was_there)
        URD_TRY(urd_index_join(trace, store));
    if (o->reads && !is_set(store, "reads")) {
        summary.was_there = false;
        URD_TRY(build_reads(trace, store, o, &summary));
    }
    URD_AUTO_FREE char *path = urd_xprintf("%s/index.urd", urd_trace_directory(trace));
    struct stat st;
    summary.bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    summary.wall_s = (double)(urd_now_ns() - started) / 1e9;
    summary.cpu_s = cpu_seconds() - cpu;
    *ret = summary;
    return NULL;
}
