/* The parallel build.
 *
 * The leader (this thread) replays natively on the recorded core. Every so often, at an event or, when none comes, in the
 * middle of a computation, it forks the whole session (a checkpoint) and gives the segment that ended there to the
 * workers: the checkpoint at its start, and how to know its end: an event, or a *cut*, the exact state that the
 * leader saw. A worker adopts the checkpoint, replays it translated into a builder, and writes the segment's
 * rows in one transaction. Segments have relative clocks; join.c makes one line of them.
 */
#include "indexer/index.h"
#include "base/log.h"
#include "indexer/builder.h"
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

struct job {
    struct urd_session *session; /* asleep, at `start` */
    uint32_t id;
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
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *first, *last;
    unsigned n_waiting, n_workers, n_started;
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

static urd_err *run_segment(struct build *b, struct job *j, struct urd_kept_code *code,
                            struct urd_store_segment *g, struct urd_builder *builder)
{
    struct urd_session *s = j->session;
    struct urd_sink sink = urd_builder_sink(builder);
    struct urd_runner *r;
    URD_TRY(urd_runner_create(s, URD_PROBE_LOG, &sink, &r));
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
        if (!err)
            urd_builder_event(builder, s, s->next);
        interval_start = urd_builder_steps(builder);
        if (!err)
            err = urd_runner_apply(r);
        if (b->err)
            break;
    }
    g->start = j->start;
    g->end = (struct urd_moment){s->event, 0};
    if (at_cut)
        g->end.steps = urd_builder_steps(builder) - interval_start;
    __atomic_fetch_add(&b->summary->stepped, urd_runner_get_stats(r).steps, __ATOMIC_RELAXED);
    __atomic_fetch_add(&b->summary->unlogged, urd_runner_get_stats(r).unlogged, __ATOMIC_RELAXED);
    urd_runner_destroy(r);
    URD_TRY(err);
    return urd_builder_finish(builder);
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

static urd_err *do_job(struct build *b, struct job *j, struct urd_kept_code *code)
{
    URD_TRY(urd_session_adopt(j->session));
    share_core(j->session);
    struct urd_store_segment g = {.id = j->id};
    struct urd_builder *builder =
        urd_builder_create(b->trace, b->options->processor, b->options->follow_after, &g);
    urd_err *err = run_segment(b, j, code, &g, builder);
    urd_builder_destroy(builder);
    if (!err && !b->err)
        err = urd_store_put_segment(b->store, &g);
    pthread_mutex_lock(&b->lock);
    b->summary->steps += g.steps;
    b->summary->writes += g.n_writes;
    b->summary->segments++;
    b->done_events += g.end.event - g.start.event;
    if (!err && b->options->progress)
        b->options->progress(b->options->progress_data, b->done_events,
                             urd_trace_event_count(b->trace), b->summary->steps);
    pthread_mutex_unlock(&b->lock);
    urd_store_segment_deinit(&g);
    URD_TRY(err);
    return NULL;
}

static struct job *take_job(struct build *b)
{
    pthread_mutex_lock(&b->lock);
    while (!b->first && !b->no_more && !b->err)
        pthread_cond_wait(&b->changed, &b->lock);
    struct job *j = b->err ? NULL : b->first;
    if (j) {
        b->first = j->next;
        b->n_waiting--;
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
    struct urd_kept_code *code = urd_kept_code_create();
    for (struct job *j; (j = take_job(b));) {
        urd_err *err = do_job(b, j, code);
        free_job(j);
        if (err)
            fail(b, err);
    }
    urd_kept_code_destroy(code);
    return NULL;
}

static bool put_job(struct build *b, struct job *j)
{
    pthread_mutex_lock(&b->lock);
    while (b->n_waiting > b->n_workers && !b->err)
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
};

/** The session stands at a good place: end the open segment there and begin the next one. */
static urd_err *split(struct leader *l, const struct urd_cut *cut, bool *ret_done)
{
    *ret_done = false;
    struct urd_session *copy = NULL;
    bool possible = true;
    if (l->s->next)
        URD_TRY(urd_session_checkpoint(l->s, &possible, &copy));
    if (!possible)
        return NULL;
    struct job *next = NULL;
    if (copy) {
        next = urd_xcalloc(1, sizeof *next);
        next->session = copy;
        next->id = l->next_id++;
        next->start = (struct urd_moment){l->s->event, 0};
    }
    struct job *j = l->open;
    if (j) {
        j->end_event = l->s->event;
        j->has_cut = cut != NULL;
        if (cut)
            j->cut = *cut;
        if (!put_job(l->b, j))
            free_job(j);
    }
    l->open = next;
    *ret_done = true;
    return NULL;
}

enum { MOST_AT_ONCE = 100000 }; /* events that the leader runs over without a stop, unless the timer stops it */

static urd_err *lead_interval(struct leader *l)
{
    struct urd_session *s = l->s;
    const volatile int *interrupt = l->b->options->no_cuts ? NULL : &leader_tick;
    for (;;) {
        enum urd_stop stop;
        struct urd_task *t = urd_session_running(s);
        URD_TRY(urd_session_run_native(s, s->event + (interrupt ? MOST_AT_ONCE : 1), interrupt, &stop));
        if (stop != URD_STOP_INTERRUPTED) {
            if (stop != urd_session_stop_wanted(s->next))
                return urd_session_diverged(s, t, "it stopped for another reason");
            return NULL;
        }
        if (urd_cut_rep_end(t->process->mem, t->regs.rip)) {
            arm(l->timer, 2);
            continue;
        }
        struct urd_cut cut;
        bool done;
        struct urd_stacks stacks;
        urd_session_stacks(s, t, t->regs.rsp, &stacks);
        urd_err *err = urd_cut_take(t->process->pid, t->process->mem, URD_MEMORY_REPLAYED, &t->regs,
                                    &stacks, &cut);
        free(stacks.sps);
        URD_TRY(err);
        URD_TRY(split(l, &cut, &done));
        arm(l->timer, done ? segment_ms(l->b, l->started) : 20);
        if (l->b->err)
            return NULL;
    }
}

static urd_err *lead(struct leader *l)
{
    struct urd_session *s = l->s;
    bool done;
    arm(l->timer, segment_ms(l->b, l->started));
    URD_TRY(split(l, NULL, &done));
    while (s->next && !l->b->err) {
        if (urd_session_running(s))
            URD_TRY(lead_interval(l));
        if (l->b->err)
            break;
        URD_TRY(urd_session_apply(s));
        if (leader_tick && s->next) {
            URD_TRY(split(l, NULL, &done));
            arm(l->timer, done ? segment_ms(l->b, l->started) : 5);
        }
    }
    return split(l, NULL, &done);
}

/* ---- going on where an earlier build was stopped ---- */

static urd_err *resume_point(struct urd_store *store, uint32_t *ret_next, struct urd_moment *ret)
{
    sqlite3_stmt *q;
    sqlite3 *db = urd_store_db(store);
    struct urd_moment at = {0, 0};
    *ret_next = 0;
    if (sqlite3_prepare_v2(db,
                           "SELECT id, start_event, end_event, end_steps FROM segments ORDER BY id",
                           -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(db, "cannot read the index");
    while (sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int64(q, 0) == *ret_next) {
        /* a segment that begins and ends in one interval counts its steps from its own start */
        bool same = sqlite3_column_int64(q, 1) == sqlite3_column_int64(q, 2);
        at.event = (uint64_t)sqlite3_column_int64(q, 2);
        at.steps = (same ? at.steps : 0) + (uint64_t)sqlite3_column_int64(q, 3);
        ++*ret_next;
    }
    *ret = at;
    sqlite3_finalize(q);
    URD_AUTO_FREE char *sql =
        urd_xprintf("DELETE FROM writes WHERE segment >= %u; DELETE FROM flow WHERE segment >= %u;"
                    "DELETE FROM touched WHERE segment >= %u;"
                    "DELETE FROM calls WHERE segment >= %u; DELETE FROM segments WHERE id >= %u;",
                    *ret_next, *ret_next, *ret_next, *ret_next, *ret_next);
    return urd_store_exec(store, sql);
}

static urd_err *go_to(struct urd_session *s, struct urd_moment to)
{
    URD_TRY(urd_session_to_event(s, to.event));
    if (!to.steps)
        return NULL;
    struct urd_runner *r;
    URD_TRY(urd_runner_create(s, URD_PROBE_COUNT, NULL, &r));
    urd_err *err = urd_runner_seek(r, to);
    urd_runner_destroy(r);
    return err;
}

static bool is_complete(struct urd_store *store)
{
    sqlite3_stmt *q;
    bool complete = false;
    if (sqlite3_prepare_v2(urd_store_db(store), "SELECT value FROM meta WHERE key='complete'", -1,
                           &q, NULL) == SQLITE_OK)
        complete = sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int(q, 0) == 1;
    sqlite3_finalize(q);
    return complete;
}

static urd_err *build_segments(struct build *b)
{
    struct leader l = {.b = b, .started = urd_now_ns()};
    struct urd_moment from = {0, 0};
    URD_TRY(resume_point(b->store, &l.next_id, &from));
    URD_TRY(urd_session_open(b->trace, true, &l.s));
    urd_err *err = go_to(l.s, from);
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
        err = lead(&l);
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
    if (l.open && !b->err)
        urd_check(false, "a segment was never closed");
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
                           const struct urd_index_options *o, struct urd_index_summary *summary,
                           bool *ret_cut_missed)
{
    struct build b = {.trace = trace, .store = store, .options = o, .summary = summary};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    b.n_workers = o->workers ? o->workers : cores > 0 ? (unsigned)cores : 1;
    if (b.n_workers > 64)
        b.n_workers = 64;
    pthread_mutex_init(&b.lock, NULL);
    pthread_cond_init(&b.changed, NULL);
    urd_err *err = build_segments(&b);
    pthread_mutex_destroy(&b.lock);
    pthread_cond_destroy(&b.changed);
    *ret_cut_missed = b.cut_missed;
    return err;
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
    summary.was_there = is_complete(store);
    if (!summary.was_there) {
        bool cut_missed;
        urd_err *err = build_once(trace, store, o, &summary, &cut_missed);
        if (err && cut_missed) {
            urd_log(1, "a cut was missed: going on with segments that begin at events");
            urd_err_free(err);
            struct urd_index_options without = *o;
            without.no_cuts = true;
            err = build_once(trace, store, &without, &summary, &cut_missed);
        }
        URD_TRY(err);
        URD_TRY(urd_index_join(trace, store));
    }
    URD_AUTO_FREE char *path = urd_xprintf("%s/index.urd", urd_trace_directory(trace));
    struct stat st;
    summary.bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    summary.wall_s = (double)(urd_now_ns() - started) / 1e9;
    summary.cpu_s = cpu_seconds() - cpu;
    *ret = summary;
    return NULL;
}
