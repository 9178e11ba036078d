/**
 * Processes outside of the recording that write to memory which recorded ones have mapped.
 *
 * PURPOSE  Find such processes, say so, and write down what they changed, as far as that can be seen.
 * NOT      Recording them. What they write while a recorded task runs user code cannot be told from what that writes.
 *
 * Who maps a file or segment is looked up in /proc a few times a second. From then on a copy of the object's content is made when a
 * task enters a call, and compared before a task goes on to user code: what differs and no call wrote came from outside, and is an
 * event of its own. The first comparison gives the whole content, as nobody saw what came before.
 */
#ifndef URD_RECORD_OUTSIDE_H
#define URD_RECORD_OUTSIDE_H
#include "record/recorder.h"

/** A task stopped that has run user code, or no task has since: how things are. */
void outside_stopped(struct recorder *r);
/** An event was written: its writes are no surprise, and mappings may have changed. */
void outside_emitted(struct recorder *r, const struct urd_event *e);
/** Is there such a process? */
bool outside_watches(const struct recorder *r);
/** A task is about to run user code. */
urd_err *outside_compare(struct recorder *r) URD_MUST_USE;
/** Is there anybody who may write to shared memory at any time? */
bool outside_any(const struct recorder *r);
void outside_deinit(struct recorder *r);
#endif
