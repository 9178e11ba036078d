/**
 * Who runs next, and for how long.
 *
 * PURPOSE  One task at a time over the whole tree: turns, slices, and chaos.
 * NOT      Stopping a task (preempt.c), or following one (record.c).
 */
#ifndef URD_RECORD_SCHEDULE_H
#define URD_RECORD_SCHEDULE_H
#include "record/recorder.h"

enum {
    SCHEDULE_FLUSH_NS = 200000000
}; /* at most this much of a run is lost when the recorder is killed */

/** The task that runs, or that shall run next; NULL when all wait in the kernel. */
struct task *schedule_pick(struct recorder *r);
bool schedule_others_can_run(const struct recorder *r, const struct task *except);
/** Does another one that can run have a higher real-time priority than t? */
bool schedule_outranked(const struct recorder *r, const struct task *t);
/** The call of t has returned, while another task has its turn. */
void schedule_woken(struct recorder *r, const struct task *t);
/** A task goes on: a new turn begins when the last one is over. */
void schedule_turn(struct recorder *r);
/** In chaos: stop the task, which is about to go on, after so many instructions; 0: let it run. */
uint64_t schedule_steps(struct recorder *r, const struct task *t);
/** How often to wake up while a task runs: soon when a signal waits, sometimes when a task does, else only to flush. */
void schedule_set_tick(struct recorder *r);
#endif
