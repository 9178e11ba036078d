/** Entry and exit of system calls while recording. */
#ifndef URD_RECORD_CALLS_H
#define URD_RECORD_CALLS_H
#include "record/recorder.h"
/** The task stopped at a call's entry: decide what becomes of it. It may be TASK_HELD then, for its tracer to see. */
urd_err *calls_entry(struct recorder *r, struct task *t) URD_MUST_USE;
/** The second half, once the tracer has seen it: t->entry are the registers. */
urd_err *calls_prepare(struct recorder *r, struct task *t) URD_MUST_USE;
/** For a call that the recorder answers: put bytes into the task's memory, as outputs of the call. False: it has none there. */
bool calls_answer(struct task *t, uint64_t address, const void *data, uint64_t size);
/** The task stopped at a call's exit. */
urd_err *calls_exit(struct recorder *r, struct task *t) URD_MUST_USE;
/** At a call's entry: it is not made, and returns this. */
urd_err *calls_refuse(struct task *t, int64_t result) URD_MUST_USE;
/** ... whatever call it is: nobody makes it, nor answers it. It returns what rax has. */
urd_err *calls_leave_out(struct task *t) URD_MUST_USE;
/** Is it one of the kernel's own codes for "call me again"? */
bool calls_restarts(int64_t result);
/** Write SYSCALL_ENTER for a call that will return later, unless that was done. */
urd_err *calls_emit_enter(struct recorder *r, struct task *t) URD_MUST_USE;
/**
 * A call returned with a restart code, and what becomes of it is not known yet: SYSCALL_ENTER, once more when it was written already
 * and the kernel has filled memory (the rest of a sleep): other tasks and children see that before the call returns.
 */
urd_err *calls_emit_held(struct recorder *r, struct task *t) URD_MUST_USE;
/** A call returned with a restart code and a handler runs now: it did return, then. */
urd_err *calls_emit_held_exit(struct recorder *r, struct task *t) URD_MUST_USE;
#endif
