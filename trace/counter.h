/**
 * Counting the conditional branches that a task retires.
 *
 * PURPOSE  The one event of x86 processors that is counted exactly, so that a count and the registers name a place in the middle
 *          of a computation (trace/cut.h). Find the counter, test it, read it, and run a task until shortly before a count.
 * NOT      Deciding which places need a name: record/clock.h. Counting in translated code: URD_PROBE_BRANCHES.
 * CONTEXT  The tool, pinned to a core: the processors of one machine may differ. Tasks are stopped under ptrace.
 *
 * What counts: every conditional branch, taken or not; among them LOOP and JRCXZ. No jump, call, return or REP. Events by model:
 * Intel SDM vol. 3, 20 (BR_INST_RETIRED.CONDITIONAL, umask 01, 11 since Ice Lake, 7e on small cores: on the wrong ones 01 is
 * there, too, and counts taken branches only); AMD PPR, PMCx0D1. So no table of models says which it is, but a test: an
 * event is used that counts known loops exactly, whatever the processor is called.
 *
 * Skid: from the counter's overflow to the stop of the task more branches retire. So a task is stopped `skid` branches before its
 * place at the least, and somebody else takes it there exactly.
 *
 * The variable URD_COUNTER is for tests: "simulated,skid=N,late=N,start=N" counts by single-stepping; `late` is how many
 * branches late an overflow stops the task, `start` the counter's first value (near 2^64 it wraps).
 */
#ifndef URD_TRACE_COUNTER_H
#define URD_TRACE_COUNTER_H
#include "base/err.h"
#include <sys/types.h>

struct urd_counter_kind {
    const char *name;
    uint64_t config; /* raw event, as perf_event_open has it */
    uint32_t skid;   /* branches that may retire between overflow and stop */
    bool simulated;
};

/** This core's counter, tested the first time. NULL: there is none that can be used, and *ret_why says why (ret_why may be NULL). */
const struct urd_counter_kind *urd_counter_kind(const char **ret_why);
/** Does a counter of the kind that *this* processor has count these loops exactly? NULL, or what it got wrong. */
const char *urd_counter_test(const struct urd_counter_kind *k);

/** A task's counter. */
struct urd_counter {
    int fd;
    uint64_t simulated; /* its value */
    bool lost;          /* simulated: the task has run without being stepped */
};

urd_err *urd_counter_open(pid_t tid, struct urd_counter *ret) URD_MUST_USE;
void urd_counter_close(struct urd_counter *c);
/** Differences are what counts, modulo 2^64. */
urd_err *urd_counter_read(const struct urd_counter *c, uint64_t *ret) URD_MUST_USE;

/**
 * Resume a stopped task by the ptrace request (PTRACE_CONT, PTRACE_SYSEMU) until it has retired at most `branches` more and
 * at least `branches` - 2 skids or so. *ret_count: how many it has. *ret_status is 0 then; when it stopped for a reason of its own,
 * what waitpid says. An overflow that comes later than the skid is an error: the place has been passed.
 */
urd_err *urd_counter_run(pid_t tid, int request, uint64_t branches, uint64_t *ret_count,
                         int *ret_status) URD_MUST_USE;

/** Is the instruction one that counts? */
bool urd_counter_counts(const uint8_t *code, size_t size);
/** Simulated: the task at pc is about to be single-stepped, and has been if stepped. */
void urd_counter_stepped(struct urd_counter *c, const uint8_t *code, size_t size);
#endif
