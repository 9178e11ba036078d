/**
 * Real-time priorities: which task has one, and when the kernel knows.
 *
 * PURPOSE  A task with a real-time policy (SCHED_FIFO, SCHED_RR) would keep the core from the recorder, which runs one task at a
 *          time anyway. So the kernel has it as an ordinary one while it runs its own code, and as what it asked to be while it is in
 *          a call: what it is told is what it set, those that wait are woken by priority, and children inherit.
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
#endif
