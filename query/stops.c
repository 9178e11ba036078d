#include "query/stops.h"

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
};

static bool note_interval(void *data, int64_t clock, int32_t tid, uint32_t which)
{
    struct intervals *v = data;
    uint64_t event = urd_index_moment(v->index, clock).event;
    if (!v->n || v->events[v->n - 1] != event)
        URD_PUSH(v->events, v->n, v->capacity) = event;
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

urd_err *stops_intervals(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                         int64_t from_clock, int64_t to_clock, uint64_t **ret, uint64_t *ret_n)
{
    struct intervals v = {.index = e->index};
    *ret_n = 0;
    URD_TRY(urd_index_executions(e->index, pcs, n, from_clock, to_clock, false, note_interval, &v));
    *ret = v.events;
    *ret_n = v.n;
    return NULL;
}

static urd_err *run(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                    int64_t from_clock, int64_t to_clock, const struct doing *d)
{
    struct intervals v = {.index = e->index};
    if (!n)
        return NULL;
    URD_TRY(stops_intervals(e, pcs, n, from_clock, to_clock, &v.events, &v.n));
    if (!v.n) {
        free(v.events);
        return NULL;
    }
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
    free(v.events);
    urd_session_close(s);
    return err;
}

urd_err *stops_run(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                   int64_t from_clock, int64_t to_clock, stop_fn fn, void *data)
{
    return run(e, pcs, n, from_clock, to_clock, &(struct doing){.fn = fn, .data = data});
}

urd_err *stops_evaluate(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                        const struct capture_user *user, bool only_stops,
                        struct capture_stats *ret_stats)
{
    struct capture *c = capture_create(e, user, pcs, n, only_stops);
    urd_err *err = run(e, pcs, n, INT64_MIN, INT64_MAX, &(struct doing){.capture = c});
    *ret_stats = capture_get_stats(c);
    capture_destroy(c);
    return err;
}
