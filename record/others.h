/**
 * Calls that change the memory of another recorded process.
 *
 * PURPOSE  Write down, as events of that process, what a call of this one did to it.
 * NOT      What processes do to each other through shared mappings: that happens again on replay.
 */
#ifndef URD_RECORD_OTHERS_H
#define URD_RECORD_OTHERS_H
#include "record/recorder.h"

/** Is the task's file /proc/PID/mem of some process? */
bool others_is_memory(const struct task *t, int fd);
/** process_vm_writev, or a write to /proc/PID/mem, into the caller's own memory: part of its own event. */
void others_own_memory(struct recorder *r, struct task *t, int64_t result);
/** Begin such an event: of task `of`, changed by a call of `by`. */
void others_begin(struct recorder *r, struct task *of, struct task *by);
/** After the event of a call was written: events of the others whose memory it changed. */
urd_err *others_changed(struct recorder *r, struct task *t, int64_t result) URD_MUST_USE;
#endif
