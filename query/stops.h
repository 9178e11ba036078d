/**
 * Stopping at every execution of some addresses, in order.
 *
 * PURPOSE  For prints and calls: the index says in which intervals the addresses run; only those are replayed
 *          translated with stops, everything between natively.
 */
#ifndef URD_QUERY_STOPS_H
#define URD_QUERY_STOPS_H
#include "query/engine.h"

/** At a stop, before the instruction at pc. False ends the run. */
typedef bool (*stop_fn)(void *data, struct urd_session *s, struct urd_task *t, struct urd_moment m,
                        uint64_t pc);

/** to_clock: stop looking at this clock. */
urd_err *stops_run(struct urd_engine *e, const struct urd_index_pc *pcs, uint32_t n,
                   int64_t from_clock, int64_t to_clock, stop_fn fn, void *data) URD_MUST_USE;
#endif
