#include "query/stops.h"

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

static urd_err *run_interval(struct urd_session *s, struct urd_runner *r,
                             const struct urd_index_pc *pcs, uint32_t n, stop_fn fn, void *data,
                             bool *ret_more)
{
    const uint64_t all = 1ull << 62;
    uint64_t left = all;
    struct urd_task *t = urd_session_running(s);
    while (t && *ret_more) {
        enum urd_run_end end;
        URD_TRY(urd_runner_run(r, &left, &end));
        if (end != URD_RUN_STOP)
            return urd_runner_apply(r);
        struct urd_moment m = {s->event, all - left};
        if (wanted(pcs, n, t->space, t->regs.rip))
            *ret_more = fn(data, s, t, m, t->regs.rip);
    }
    return t ? NULL : urd_runner_apply(r);
}

static urd_err *run_all(struct urd_session *s, struct urd_runner *r, const struct intervals *v,
                        const struct urd_index_pc *pcs, uint32_t n, stop_fn fn, void *data)
{
    bool more = true;
    for (uint64_t i = 0; i < v->n && more; i++) {
        while (s->event < v->events[i])
            URD_TRY(stops_skip(s, r, v->events[i]));
        URD_TRY(run_interval(s, r, pcs, n, fn, data, &more));
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

urd_err *stops_run(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                   int64_t from_clock, int64_t to_clock, stop_fn fn, void *data)
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
        err = run_all(s, r, &v, pcs, n, fn, data);
        urd_runner_destroy(r);
    }
    free(addresses);
    free(v.events);
    urd_session_close(s);
    return err;
}
