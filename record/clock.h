/**
 * Clocks: how the place is described at which a task was stopped in the middle of a computation.
 *
 * PURPOSE  One interface for the two ways there are: by the state itself, on any machine; by a count of retired conditional
 *          branches, where the processor counts them exactly (trace/counter.h).
 * NOT      When to stop a task, and how: preempt.c. How a replay finds the place: replay/session.c.
 *
 * `cut` hashes all writable memory, so its cost grows with the program. `pmu` costs the same for all. Its first description of a
 * task is still one of the other kind: counters are opened for tasks that need them, and most never do. And so is one after calls
 * that did not stop the task (fast.h): how many branches it had retired at the last of them, nobody knows.
 */
#ifndef URD_RECORD_CLOCK_H
#define URD_RECORD_CLOCK_H
#include "record/recorder.h"

struct clock {
    const char *name; /* as `urd record --clock` and doctor have it */
    /** Describe the state of a stopped task, which has these registers, into t->cut. */
    urd_err *(*describe)(struct recorder *r, struct task *t,
                         const struct user_regs_struct *regs) URD_MUST_USE;
};

extern const struct clock clock_cut, clock_pmu;

/** wanted: a clock's name, or NULL for the best that this machine has. An unknown one, or one that is not there, is URD_ERR_QUESTION. */
urd_err *clock_choose(const char *wanted, const struct clock **ret) URD_MUST_USE;

/** t goes on to user code for the first time since its last event. */
urd_err *clock_goes_on(struct task *t) URD_MUST_USE;
/** t is about to be resumed in user code, and not for a single step. */
void clock_runs_freely(struct task *t);
/** t was resumed at this instruction for a single step, with these registers, and has stopped for that reason or another one. */
void clock_stepped(struct task *t, const uint8_t *code, size_t size,
                   const struct user_regs_struct *before);
/** t ends. */
void clock_forget(struct task *t);
/** Instructions by which t must be stepped because that is how its branches are counted; 0: it runs freely. */
uint64_t clock_steps(const struct recorder *r);
#endif
