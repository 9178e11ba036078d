#include "query/stops.h"

/* In translated code a hit costs little and a step more than natively, where a hit is a breakpoint and a frame to evaluate in. So hits
 * that are far apart are gone to natively: where there are more steps to each of them, in the intervals that have any, than this. */
enum { FAR_STEPS = 200000, MOST_FAR = 1 << 20 };

/** What is done at hits: a function at each stop, or a capture. */
struct doing {
    stop_fn fn;
    void *data;
    struct capture *capture;
};

struct intervals {
    struct urd_index *index;
    uint64_t *events; /* hits lie in the intervals after these */
    uint64_t n, capacity;
    struct hit {
        int64_t clock;
        uint32_t which; /* index of its address */
    } * hits;           /* the first MOST_FAR of them */
    uint64_t n_hits, cap_hits, all_hits;
};

static bool note_interval(void *data, int64_t clock, int32_t tid, uint32_t which)
{
    struct intervals *v = data;
    uint64_t event = urd_index_moment(v->index, clock).event;
    if (!v->n || v->events[v->n - 1] != event)
        URD_PUSH(v->events, v->n, v->capacity) = event;
    if (v->all_hits++ < MOST_FAR)
        URD_PUSH(v->hits, v->n_hits, v->cap_hits) = (struct hit){clock, which};
    return true;
}

static bool wanted(const struct urd_index_pc *pcs, uint32_t n, uint32_t space, uint64_t pc)
{
    for (uint32_t i = 0; i < n; i++)
        if (pcs[i].space == space && pcs[i].pc == pc)
            return true;
    return false;
}

urd_err *stops_skip(struct urd_session *s, struct urd_runner *r, uint64_t limit)
{
    if (urd_session_running(s)) {
        enum urd_stop stop;
        URD_TRY(urd_session_run_native(s, limit, NULL, &stop));
    }
    return urd_runner_apply(r);
}

static urd_err *at_stop(const struct doing *d, struct urd_session *s, struct urd_task *t,
                        struct urd_moment m, bool *ret_more)
{
    if (d->capture)
        return capture_stopped(d->capture, s, t, m, ret_more);
    *ret_more = d->fn(d->data, s, t, m, t->regs.rip);
    return NULL;
}

static urd_err *run_interval(struct urd_session *s, struct urd_runner *r,
                             const struct urd_index_pc *pcs, uint32_t n, const struct doing *d,
                             bool *ret_more)
{
    const uint64_t all = 1ull << 62;
    uint64_t left = all;
    struct urd_task *t = urd_session_running(s);
    while (t && *ret_more) {
        enum urd_run_end end;
        if (d->capture)
            capture_prepare(d->capture, r);
        URD_TRY(urd_runner_run(r, &left, &end));
        if (d->capture)
            URD_TRY(capture_noted(d->capture, s, t, all, ret_more));
        if (end != URD_RUN_STOP)
            return urd_runner_apply(r);
        struct urd_moment m = {s->event, all - left};
        if (*ret_more && wanted(pcs, n, t->space, t->regs.rip))
            URD_TRY(at_stop(d, s, t, m, ret_more));
    }
    return t ? NULL : urd_runner_apply(r);
}

static urd_err *run_all(struct urd_session *s, struct urd_runner *r, const struct intervals *v,
                        const struct urd_index_pc *pcs, uint32_t n, const struct doing *d)
{
    bool more = true;
    for (uint64_t i = 0; i < v->n && more; i++) {
        while (s->event < v->events[i])
            URD_TRY(stops_skip(s, r, v->events[i]));
        URD_TRY(run_interval(s, r, pcs, n, d, &more));
    }
    return NULL;
}

/** Are the hits worth going natively to each? */
static bool are_far(const struct urd_engine *e, const struct intervals *v)
{
    uint64_t steps = 0;
    for (uint64_t i = 0; i < v->n; i++) {
        uint64_t event = v->events[i];
        int64_t end =
            event < e->index->n_events ? e->index->events[event + 1].clock : e->index->end;
        steps += (uint64_t)(end - e->index->events[event].clock);
    }
    return v->all_hits == v->n_hits && steps / FAR_STEPS > v->n_hits &&
           !urd_trace_get_info(e->trace)->counted; /* nobody would count branches */
}

static urd_err *go_to_all(struct urd_engine *e, const struct intervals *v,
                          const struct urd_index_pc *pcs, const struct doing *d)
{
    struct live l = {0};
    urd_err *err = NULL;
    bool more = true;
    for (uint64_t i = 0; i < v->n_hits && more && !err; i++) {
        struct urd_moment m = urd_index_moment(e->index, v->hits[i].clock);
        err = engine_go_to_execution(e, &l, m, pcs[v->hits[i].which].pc);
        if (!err)
            err = at_stop(d, l.session, urd_session_running(l.session), m, &more);
    }
    urd_session_close(l.session);
    return err;
}

static urd_err *find_hits(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                          int64_t from_clock, int64_t to_clock, struct intervals *ret)
{
    *ret = (struct intervals){.index = e->index};
    return urd_index_executions(e->index, pcs, n, from_clock, to_clock, false, note_interval, ret);
}

static void intervals_deinit(struct intervals *v)
{
    free(v->events);
    free(v->hits);
}

urd_err *stops_intervals(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                         int64_t from_clock, int64_t to_clock, uint64_t **ret, uint64_t *ret_n)
{
    URD_CLEANUP(intervals_deinit) struct intervals v;
    *ret_n = 0;
    URD_TRY(find_hits(e, pcs, n, from_clock, to_clock, &v));
    *ret = v.events;
    *ret_n = v.n;
    v.events = NULL;
    return NULL;
}

/** only_near: not natively. */
static urd_err *run(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                    int64_t from_clock, int64_t to_clock, const struct doing *d, bool only_near)
{
    URD_CLEANUP(intervals_deinit) struct intervals v = {0};
    if (!n)
        return NULL;
    URD_TRY(find_hits(e, pcs, n, from_clock, to_clock, &v));
    if (!v.n)
        return NULL;
    if (!only_near && are_far(e, &v))
        return go_to_all(e, &v, pcs, d);
    struct urd_session *s = NULL;
    struct urd_runner *r = NULL;
    urd_err *err = engine_session_at(e, v.events[0], &s);
    uint64_t *addresses = urd_xcalloc(n, sizeof *addresses);
    for (uint32_t i = 0; i < n; i++)
        addresses[i] = pcs[i].pc;
    if (!err)
        err = urd_runner_create(s, URD_PROBE_COUNT, NULL, &r);
    if (!err) {
        urd_runner_set_stops(r, addresses, n);
        err = run_all(s, r, &v, pcs, n, d);
        urd_runner_destroy(r);
    }
    free(addresses);
    urd_session_close(s);
    return err;
}

urd_err *stops_run(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                   int64_t from_clock, int64_t to_clock, stop_fn fn, void *data)
{
    return run(e, pcs, n, from_clock, to_clock, &(struct doing){.fn = fn, .data = data}, false);
}

urd_err *stops_evaluate(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                        const struct capture_user *user, bool only_stops,
                        struct capture_stats *ret_stats)
{
    struct capture *c = capture_create(e, user, pcs, n, only_stops);
    urd_err *err = run(e, pcs, n, INT64_MIN, INT64_MAX, &(struct doing){.capture = c}, only_stops);
    *ret_stats = capture_get_stats(c);
    capture_destroy(c);
    return err;
}
