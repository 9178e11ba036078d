/**
 * Stopping at every execution of some addresses, in order.
 *
 * PURPOSE  For prints and calls: the index says in which intervals the addresses run; only those are replayed
 *          translated with stops, everything between natively. Where the addresses run seldom, all is native, and hits are breakpoints.
 */
#ifndef URD_QUERY_STOPS_H
#define URD_QUERY_STOPS_H
#include "query/capture.h"

/** At a stop, before the instruction at pc. False ends the run. */
typedef bool (*stop_fn)(void *data, struct urd_session *s, struct urd_task *t, struct urd_moment m,
                        uint64_t pc);

/** to_clock: stop looking at this clock. */
urd_err *stops_run(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                   int64_t from_clock, int64_t to_clock, stop_fn fn, void *data) URD_MUST_USE;
/** At every hit of the addresses, without a stop where what is evaluated allows that. only_stops: with one at each all the same. */
urd_err *stops_evaluate(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                        const struct capture_user *user, bool only_stops,
                        struct capture_stats *ret_stats) URD_MUST_USE;
/** The events after which the addresses run, in order, each once. Free *ret. */
urd_err *stops_intervals(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                         int64_t from_clock, int64_t to_clock, uint64_t **ret,
                         uint64_t *ret_n) URD_MUST_USE;
/** Natively over the next event, or several up to `limit`, telling the runner what it changes. */
urd_err *stops_skip(struct urd_session *s, struct urd_runner *r, uint64_t limit) URD_MUST_USE;
#endif
