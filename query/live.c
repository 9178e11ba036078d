/* Live replays: going to a moment.
 *
 * A seek begins at the nearest place that is known: where the last question looked, or a parked copy. It runs natively
 * to the moment's event. Behind that it goes on natively to a waypoint shortly before the moment (waypoint.h), where the index knows one,
 * and counts the steps that are left under translation. A long way goes over several waypoints, and so does one to an event that is told
 * by its state alone (a cut). On a long way copies are parked, so that the next
 * questions in that region begin there. When there is no room for another one, the copy goes that is the least way from the one
 * before.
 */
#include "query/engine.h"
#include "query/waypoint.h"
#include "base/log.h"

enum {
    PARK_NS = 15000000,       /* of a way, after which a copy is worth it */
    PARK_TIMES = 8,           /* ... if making the last copy took no more than that part of it */
    STEPS_AT_ONCE = 25000000, /* without a look at the time */
    WAY_STEPS = 100000000,    /* natively, without one */
    COPY_STEPS = 50000000,    /* ... take longer than to begin at a copy */
};

static void live_close(struct live *l)
{
    urd_session_close(l->session);
    *l = (struct live){0};
}

void engine_live_close(struct urd_engine *e)
{
    live_close(&e->live);
    for (unsigned i = 0; i < e->n_parked; i++)
        live_close(&e->parked[i]);
    e->n_parked = 0;
    if (e->kept)
        urd_kept_code_destroy(e->kept);
    e->kept = NULL;
}

static urd_err *copy_live(const struct live *from, struct live *ret, bool *ret_possible)
{
    struct urd_session *copy;
    URD_TRY(urd_session_checkpoint(from->session, ret_possible, &copy));
    if (!*ret_possible)
        return NULL;
    urd_err *err = urd_session_adopt(copy);
    if (err) {
        urd_session_close(copy);
        return err;
    }
    copy->check_memory = from->session->check_memory;
    *ret = (struct live){.session = copy, .at = from->at};
    return NULL;
}

/** Bytes of a process's memory, of what it shares with others its part. */
static uint64_t proportional_bytes(pid_t pid)
{
    char path[40], line[128];
    unsigned long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "Pss: %lu", &kb) != 1)
        ;
    if (f)
        fclose(f);
    return (uint64_t)kb * 1024;
}

static void measure(struct live *l)
{
    const struct urd_session *s = l->session;
    l->processes = 0;
    l->memory = 0;
    for (uint32_t i = 0; i < s->n_tasks; i++) {
        bool first = s->tasks[i].exists;
        for (uint32_t k = 0; k < i && first; k++)
            first = s->tasks[k].process != s->tasks[i].process;
        if (!first)
            continue;
        l->processes++;
        l->memory += proportional_bytes(s->tasks[i].process->pid);
    }
}

static bool there_is_room(const struct urd_engine *e)
{
    uint64_t memory = 0;
    uint32_t processes = 0;
    for (unsigned i = 0; i < e->n_parked; i++) {
        memory += e->parked[i].memory;
        processes += e->parked[i].processes;
    }
    return e->n_parked < PARKED_FEW ||
           (e->n_parked < PARKED && memory <= PARKED_MEMORY && processes <= PARKED_PROCESSES);
}

/** Take the copy out that is the least way from the one before. */
static void unpark_one(struct urd_engine *e)
{
    unsigned victim = 0;
    for (unsigned i = 1; i < e->n_parked; i++)
        if (e->parked[i].cost_ns < e->parked[victim].cost_ns)
            victim = i;
    if (victim + 1 < e->n_parked)
        e->parked[victim + 1].cost_ns += e->parked[victim].cost_ns;
    live_close(&e->parked[victim]);
    e->n_parked--;
    memmove(e->parked + victim, e->parked + victim + 1, (e->n_parked - victim) * sizeof *e->parked);
}

/** Park a copy of l, which has come cost_ns since it began or parked. */
static urd_err *park(struct urd_engine *e, const struct live *l, uint64_t cost_ns)
{
    unsigned at = 0;
    while (at < e->n_parked && urd_moment_compare(e->parked[at].at, l->at) < 0)
        at++;
    if (at < e->n_parked && urd_moment_compare(e->parked[at].at, l->at) == 0)
        return NULL;
    struct live copy;
    bool possible;
    URD_TRY(copy_live(l, &copy, &possible));
    if (!possible)
        return NULL;
    copy.cost_ns = cost_ns;
    measure(&copy);
    if (at) /* what it shared with this one it has alone by now, where that went on writing */
        measure(&e->parked[at - 1]);
    while (!there_is_room(e))
        unpark_one(e);
    for (at = e->n_parked; at && urd_moment_compare(e->parked[at - 1].at, copy.at) > 0; at--)
        e->parked[at] = e->parked[at - 1];
    e->parked[at] = copy;
    e->n_parked++;
    return NULL;
}

/** On a way: since when, and what the last copy cost. */
struct way {
    uint64_t since_ns, copy_ns;
};

static urd_err *park_on_the_way(struct urd_engine *e, const struct live *l, struct way *w)
{
    uint64_t now = urd_now_ns(), ns = now - w->since_ns;
    if (ns < PARK_NS || ns < PARK_TIMES * w->copy_ns)
        return NULL;
    URD_TRY(park(e, l, ns));
    w->since_ns = urd_now_ns();
    w->copy_ns = w->since_ns - now;
    return NULL;
}

/** A session at the best place at or before m. The engine's live one is used up when it is the best. */
static urd_err *nearest(struct urd_engine *e, struct urd_moment m, struct live *ret)
{
    struct live *best = NULL;
    for (unsigned i = 0; i < e->n_parked && urd_moment_compare(e->parked[i].at, m) <= 0; i++)
        best = &e->parked[i];
    if (e->live.session && urd_moment_compare(e->live.at, m) <= 0 &&
        (!best || urd_moment_compare(e->live.at, best->at) >= 0)) {
        *ret = e->live;
        e->live = (struct live){0};
        return NULL;
    }
    if (best) {
        bool possible;
        URD_TRY(copy_live(best, ret, &possible));
        if (possible)
            return NULL;
    }
    *ret = (struct live){0};
    return urd_session_open(e->trace, true, &ret->session);
}

/** Is a parked copy so much nearer to m than l that it is worth a copy? */
static bool is_nearer(const struct urd_engine *e, const struct live *l, struct urd_moment m)
{
    const struct live *best = NULL;
    for (unsigned i = 0; i < e->n_parked && urd_moment_compare(e->parked[i].at, m) <= 0; i++)
        best = &e->parked[i];
    const struct urd_index_event *events = e->index->events;
    return best && events[best->at.event].clock + (int64_t)best->at.steps >
                       events[l->at.event].clock + (int64_t)l->at.steps + COPY_STEPS;
}

static urd_err *count_steps(struct urd_engine *e, struct live *l, uint64_t steps)
{
    struct urd_runner *r;
    enum urd_run_end end;
    if (!e->kept)
        e->kept = urd_kept_code_create();
    URD_TRY(urd_runner_create(l->session, URD_PROBE_COUNT, NULL, &r));
    urd_runner_keep_code(r, e->kept);
    uint64_t left = steps;
    urd_err *err = urd_runner_run(r, &left, &end);
    urd_runner_destroy(r);
    URD_TRY(err);
    if (left)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "event %llu is followed by only %llu steps",
                                      (unsigned long long)l->at.event,
                                      (unsigned long long)(l->at.steps + steps - left)),
                            "the next moment is %llu:0", (unsigned long long)l->at.event + 1);
    l->at.steps += steps;
    return NULL;
}

static bool may_break(void *data, uint64_t pc)
{
    return !urd_cut_rep_end(((struct urd_task *)data)->process->mem, pc);
}

/** May waypoints lead l, in the interval that it is in, to the clock? */
static bool has_waypoints(const struct urd_engine *e, const struct live *l, int64_t goal)
{
    const struct urd_event *next = l->session->next;
    /* the variable is for tests: all steps are counted */
    return e->index && l->at.event && next && next->number <= e->index->n_events &&
           goal <= e->index->events[next->number].clock && !(next->cut && next->cut->counted) &&
           urd_session_running(l->session) && !getenv("URD_COUNT_STEPS");
}

/**
 * Natively as near as a waypoint leads to the moment of so many steps in the interval that l is in; it may stay where it is. *ret_pc: the
 * instruction at the moment, 0: not known.
 */
static urd_err *approach(struct urd_engine *e, struct live *l, uint64_t steps, struct way *w,
                         uint64_t *ret_pc)
{
    int64_t start = e->index ? e->index->events[l->at.event].clock : 0;
    int64_t goal = start + (int64_t)steps;
    bool found = has_waypoints(e, l, goal);
    *ret_pc = 0;
    while (found) {
        struct waypoint p;
        int64_t at = start + (int64_t)l->at.steps;
        bool last = goal - at <= WAY_STEPS + WAY_STEPS / 2;
        URD_TRY(waypoint_find(e->index, at, last ? goal : at + WAY_STEPS, may_break,
                              urd_session_running(l->session), &found, &p));
        if (!found)
            break;
        urd_log(1, "waypoint %#llx after %lld of %lld steps, hit %llu", (unsigned long long)p.pc,
                (long long)(p.clock - at), (long long)(goal - at), (unsigned long long)p.hits);
        URD_TRY(urd_session_run_to(l->session, p.pc, p.hits));
        l->at.steps = (uint64_t)(p.clock - start);
        if (last) {
            *ret_pc = p.goal_pc;
            break;
        }
        URD_TRY(park_on_the_way(e, l, w));
    }
    return NULL;
}

enum { MOST_AT_ONCE = 10000 }; /* events without a look at the time */

/** Natively. */
static urd_err *run_events(struct urd_engine *e, struct live *l, uint64_t event, struct way *w)
{
    struct urd_session *s = l->session;
    uint64_t pc;
    while (s->event < event) {
        uint64_t most = s->event + MOST_AT_ONCE;
        if (!s->next)
            URD_WRONG("there is no event %llu; the trace ends with event %llu",
                      (unsigned long long)event, (unsigned long long)s->event);
        if (s->next->cut && e->index &&
            s->event < e->index->n_events) /* which only translated code recognises */
            URD_TRY(approach(
                e, l,
                (uint64_t)(e->index->events[s->event + 1].clock - e->index->events[s->event].clock),
                w, &pc));
        URD_TRY(urd_session_next(s, most < event ? most : event));
        l->at = (struct urd_moment){s->event, 0};
        URD_TRY(park_on_the_way(e, l, w));
    }
    urd_session_settle(s);
    return NULL;
}

/** The index has led it there: is it what the index says is there? */
static urd_err *check_arrival(const struct live *l, uint64_t pc)
{
    struct urd_task *t = urd_session_running(l->session);
    return pc && t->regs.rip != pc
               ? urd_session_diverged(l->session, t, "the index has another instruction here")
               : NULL;
}

static urd_err *go(struct urd_engine *e, struct live *l, struct urd_moment m)
{
    struct way w = {.since_ns = urd_now_ns()};
    uint64_t pc;
    if (l->at.event < m.event)
        URD_TRY(run_events(e, l, m.event, &w));
    URD_TRY(approach(e, l, m.steps, &w, &pc));
    while (m.steps > l->at.steps) {
        if (!urd_session_running(l->session))
            return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "nothing runs after event %llu",
                                          (unsigned long long)m.event),
                                "the moment %llu:0 exists", (unsigned long long)m.event);
        uint64_t steps = m.steps - l->at.steps;
        URD_TRY(count_steps(e, l, steps < STEPS_AT_ONCE ? steps : STEPS_AT_ONCE));
        URD_TRY(park_on_the_way(e, l, &w));
    }
    return check_arrival(l, pc);
}

urd_err *engine_seek(struct urd_engine *e, struct urd_moment m, struct urd_session **ret)
{
    struct live l;
    URD_TRY(nearest(e, m, &l));
    urd_err *err = go(e, &l, m);
    if (err) {
        live_close(&l);
        return urd_err_hop(err, __func__, __FILE__, __LINE__);
    }
    live_close(&e->live);
    e->live = l;
    *ret = l.session;
    return NULL;
}

urd_err *engine_session_at(struct urd_engine *e, uint64_t event, struct urd_session **ret)
{
    struct live l;
    URD_TRY(nearest(e, (struct urd_moment){event, 0}, &l));
    struct way w = {.since_ns = urd_now_ns()};
    urd_err *err = run_events(e, &l, event, &w);
    if (err) {
        live_close(&l);
        return err;
    }
    *ret = l.session;
    return NULL;
}

urd_err *engine_go_to_execution(struct urd_engine *e, struct live *l, struct urd_moment m,
                                uint64_t pc)
{
    struct way w = {.since_ns = urd_now_ns()};
    bool at_one = l->session && l->session->in_interval && l->at.event == m.event &&
                  urd_session_running(l->session)->regs.rip == pc;
    if (!l->session || is_nearer(e, l, m)) {
        live_close(l);
        URD_TRY(nearest(e, m, l));
        at_one = false;
    }
    if (l->at.event < m.event) {
        URD_TRY(run_events(e, l, m.event, &w));
        at_one = false;
    }
    URD_TRY(urd_session_run_to(l->session, pc, at_one ? 2 : 1));
    l->at = m;
    return park_on_the_way(e, l, &w);
}

urd_err *engine_default_moment(struct urd_engine *e, struct urd_moment *ret)
{
    uint64_t n = urd_trace_event_count(e->trace);
    struct urd_trace_reader *r;
    URD_TRY(urd_trace_read_from(e->trace, 1, &r));
    const struct urd_event *ev = NULL;
    urd_err *err;
    int32_t first = 0;
    *ret = (struct urd_moment){n, 0};
    while (!(err = urd_trace_next(r, &ev)) && ev) {
        if (ev->number == 1)
            first = ev->tid;
        if (ev->kind != URD_EVENT_EXIT || ev->tid != first)
            continue;
        *ret = (struct urd_moment){ev->number - 1, 0};
        if (ev->flags & URD_EVENT_RAN && e->index)
            ret->steps = (uint64_t)(e->index->events[ev->number].clock -
                                    e->index->events[ev->number - 1].clock);
        break;
    }
    urd_trace_reader_close(r);
    return err;
}

struct urd_task *live_task(struct urd_session *s)
{
    struct urd_task *t = urd_session_running(s);
    if (!t && s->next && s->next->kind != URD_EVENT_START && s->next->kind != URD_EVENT_END)
        t = urd_session_task(s, s->next->tid);
    if (!t && s->recent[0].number)
        t = urd_session_task(s, s->recent[0].tid);
    for (uint32_t i = 0; !t && i < s->n_tasks; i++)
        if (s->tasks[i].exists)
            t = &s->tasks[i];
    return t;
}
