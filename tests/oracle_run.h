/**
 * A run as two witnesses tell it: every step and every write.
 *
 * PURPOSE  The one type into which the stepper and the index are both turned, to be compared.
 */
#ifndef URD_TESTS_ORACLE_RUN_H
#define URD_TESTS_ORACLE_RUN_H
#include "base/buf.h"
#include "base/map.h"
#include "tests/oracle_writes.h"
#include "trace/trace.h"

struct run_write {
    uint64_t clock, address, event; /* event 0: the subject's own, clock that of its instruction; else clock(event) */
    uint32_t space, size;
    uint64_t value;                 /* offset in run->values */
    uint32_t order;                 /* as found */
    uint8_t rule;                   /* enum oracle_rule, for all of the clock's writes */
    bool x87_image;
};

struct run_interval {
    uint64_t first; /* clock */
    int32_t tid;
    uint32_t space;
};

struct run_call {
    uint64_t site, end;
    int32_t tid;
};

struct run {
    uint64_t *pcs; /* by clock */
    uint64_t n_steps, cap_steps;
    struct run_interval *intervals;
    uint64_t n_intervals, cap_intervals;
    struct run_write *writes;
    uint64_t n_writes, cap_writes;
    struct run_write *reads; /* no values; rule ORACLE_AREA: at this clock nothing is said */
    uint64_t n_reads, cap_reads;
    bool has_reads;
    struct run_call *calls; /* those that returned */
    uint64_t n_calls, cap_calls;
    uint64_t *event_clocks; /* index 0: 0 */
    uint64_t n_events, cap_events;
    uint64_t n_followed; /* executions of traces of more than one block */
    struct urd_buf values;
    struct urd_map code; /* pc -> offset in values of 16 bytes of code (for messages) */
};

void run_deinit(struct run *r);
/** Writes that cross pages become one a page. */
void run_add_write(struct run *r, struct run_write w, const void *value);
void run_add_interval(struct run *r, int32_t tid, uint32_t space);

/** oracle_step.c: replay the whole trace, one instruction at a time. */
urd_err *run_by_stepping(struct urd_trace *trace, struct run *ret) URD_MUST_USE;
/** oracle_index.c: read all of an index; rows that contradict each other are an error. */
urd_err *run_from_index(const char *path, struct run *ret) URD_MUST_USE;
#endif
