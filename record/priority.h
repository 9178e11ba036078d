/**
 * What the kernel's scheduler knows of recorder and tasks: real-time priorities, and slices.
 *
 * PURPOSE  A task with a real-time policy (SCHED_FIFO, SCHED_RR) would keep the core from the recorder, which runs one task at a
 *          time anyway. So the kernel has it as an ordinary one while it runs its own code, and as what it asked to be while it is in
 *          a call: what it is told is what it set, those that wait are woken by priority, and children inherit.
 *          Recorder and subject give way to each other at every stop. Another program on their core would have a slice of its own
 *          each time (3 ms), so theirs are as short as the kernel has them, which makes who wakes up go first (EEVDF, Linux 6.12).
 *          Of the core's time they get what they would get.
 * NOT      Who runs next: schedule.c.
 */
#ifndef URD_RECORD_PRIORITY_H
#define URD_RECORD_PRIORITY_H
#include "record/recorder.h"

/** A call of t is about to be made. */
void priority_raise(struct task *t);
/** t is about to run its own code. */
void priority_lower(struct task *t);
/** Whatever the kernel says that t is by now, is what it is. */
void priority_note(struct recorder *r, struct task *t);
/** Is this a call that sets or tells policies? */
bool priority_is_call(int number);
/** Such a call is about to be made: it may be about any task. */
void priority_ask(struct recorder *r);
/** It was made. */
void priority_asked(struct recorder *r);

/** This process and its children to come get short slices, where the kernel has them. */
void priority_short_slices(struct recorder *r);
void priority_usual_slices(const struct recorder *r);
/** After sched_getattr: the slice that the task would have without that, into its memory. */
void priority_hide_slice(const struct recorder *r, const struct task *t);
#endif
