/**
 * System calls that the recorder makes inside a stopped task.
 *
 * PURPOSE  Map what the fast path needs.
 * NOT      Anything that an event should tell: the subject does not see these calls.
 */
#ifndef URD_RECORD_INJECT_H
#define URD_RECORD_INJECT_H
#include "record/recorder.h"

/**
 * t stands at a call's exit with registers `keep`, which it has again afterwards. `at` is the address of a `syscall`
 * instruction. *ret: the call's result; -EINTR when the task was stopped by something else on the way, which is
 * then kept as t->wait_status.
 */
urd_err *inject_call(struct task *t, const struct user_regs_struct *keep, uint64_t at, int number,
                     const uint64_t args[6], int64_t *ret) URD_MUST_USE;
/** No signal comes to a stopped task until they are let through again, but for SIGSTOP, SIGKILL and the recorder's own SIGTRAP. */
urd_err *inject_hold_signals(struct task *t, uint64_t *ret_mask) URD_MUST_USE;
urd_err *inject_let_signals(struct task *t, uint64_t mask) URD_MUST_USE;
#endif
