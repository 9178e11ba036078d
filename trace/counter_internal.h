/**
 * What the files of the counter share.
 *
 * PURPOSE  perf_event_open as it is used here, and the counter of tests.
 * NOT      For others: they include counter.h.
 */
#ifndef URD_TRACE_COUNTER_INTERNAL_H
#define URD_TRACE_COUNTER_INTERNAL_H
#include "trace/counter.h"

/** A file descriptor, or -1 and errno. period 0: it counts; else it overflows after each so many. */
int counter_perf_open(pid_t tid, uint64_t config, uint64_t period);

/** URD_COUNTER asks for a simulated one: its kind. NULL: it does not. */
const struct urd_counter_kind *counter_simulated(void);
uint64_t counter_simulated_start(void);
/** As urd_counter_run, without its arithmetic: stop `late` branches after `after` more have retired. */
urd_err *counter_simulated_run(const struct urd_counter_kind *k, pid_t tid, int request,
                               uint64_t after, uint64_t *ret_count, int *ret_status) URD_MUST_USE;
#endif
