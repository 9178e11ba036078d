/**
 * How a recorded tracer is told of its tracees: by wait4, waitid and SIGCHLD.
 *
 * PURPOSE  Answer waits with stops that the recorder holds tasks in, and with ends that the kernel does not tell.
 * NOT      What it tells by itself: the ends of a process's own children.
 */
#ifndef URD_RECORD_WAITS_H
#define URD_RECORD_WAITS_H
#include "record/recorder.h"

/** t has been held: its tracer may be waiting for that. */
urd_err *waits_tell_stop(struct recorder *r, struct task *t) URD_MUST_USE;
/** t, whose tracer hears nothing of it from the kernel, has ended. */
urd_err *waits_tell_end(struct recorder *r, struct task *t, int status) URD_MUST_USE;
/** t is about to make a call: is it a wait that the recorder answers? */
urd_err *waits_entry(struct recorder *r, struct task *t) URD_MUST_USE;
/** t's call, with registers *now, has returned: give it what there is to tell, or let it wait again (t->held_exit). */
urd_err *waits_exit(struct recorder *r, struct task *t, struct user_regs_struct *now) URD_MUST_USE;
/** A signal has come: when it is the recorder's SIGCHLD, let it say what it stands for. */
urd_err *waits_raised(struct recorder *r, struct task *t, siginfo_t *si) URD_MUST_USE;
#endif
