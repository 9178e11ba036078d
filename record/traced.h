/**
 * Tasks that are traced by another recorded task: their stops, and how they go on.
 *
 * PURPOSE  Hold a task where Linux would stop it for its tracer, tell the tracer, and let it go on as the tracer says.
 * NOT      What a tracer asks for (requests.h); how it is told (waits.h).
 *
 * The design is docs/ptrace.md. A held task stands in a stop of the recorder's own ptrace, at an event (INV-E1).
 */
#ifndef URD_RECORD_TRACED_H
#define URD_RECORD_TRACED_H
#include "record/recorder.h"

/** Where a held task stands, and so what is to be done when it goes on. */
enum traced_place {
    PLACE_NONE,
    PLACE_READY,     /* in user code, or behind a call */
    PLACE_ENTRY,     /* before a call */
    PLACE_HELD_EXIT, /* behind a call that is restarted, or is interrupted by a signal to come */
    PLACE_IN_CALL,   /* in a call: it has made a child */
    PLACE_EXIT,      /* PTRACE_EVENT_EXIT */
    PLACE_SIGNAL,    /* a signal is to be delivered */
};

/** Stops behind a call's exit, in the order in which they come. */
enum traced_due {
    DUE_VFORK_DONE = 1,
    DUE_EXEC = 2,
    DUE_CALL_EXIT = 4,
    DUE_EXEC_SIGNAL = 8, /* SIGTRAP, for a tracer that has not asked for PTRACE_O_TRACEEXEC */
    DUE_STEP = 16,
};

/* ---- what the recorder reports; each may leave the task TASK_HELD ---- */

bool traced_wants_calls(const struct task *t);
/** At a call's entry. again: the kernel restarts it. */
urd_err *traced_entry(struct recorder *r, struct task *t, bool again) URD_MUST_USE;
/** A new image is there, and `by` was the thread's id; the stop comes with traced_returned. */
void traced_execed(struct task *t, pid_t by);
/** A call has returned and is written down. */
urd_err *traced_returned(struct recorder *r, struct task *t) URD_MUST_USE;
/** t has made a child, which is in the list: PTRACE_EVENT_FORK, _VFORK or _CLONE. */
urd_err *traced_made_child(struct recorder *r, struct task *t, int event) URD_MUST_USE;
/** The subject's own filter asks its tracer (PTRACE_EVENT_SECCOMP). */
urd_err *traced_filter(struct recorder *r, struct task *t, unsigned long data) URD_MUST_USE;
/** PTRACE_EVENT_EXIT. */
urd_err *traced_exits(struct recorder *r, struct task *t) URD_MUST_USE;
/** PTRACE_EVENT_STOP with this signal, for job control or for PTRACE_INTERRUPT. */
urd_err *traced_event_stop(struct recorder *r, struct task *t, int signal) URD_MUST_USE;
/** A signal. ran: code has run since the last event; by_code: and an instruction of it has raised it. */
urd_err *traced_signal(struct recorder *r, struct task *t, const siginfo_t *si, bool by_code,
                       bool ran) URD_MUST_USE;
/** An instruction was emulated: for a tracer that steps, that was one. */
urd_err *traced_emulated(struct recorder *r, struct task *t) URD_MUST_USE;
/** t is gone. */
urd_err *traced_gone(struct recorder *r, struct task *t, int status) URD_MUST_USE;
/** t is about to be forgotten: it traces nobody any more. */
void traced_forget_tracer(struct recorder *r, struct task *t);

/* ---- what its tracer does ---- */

/** From now on t is traced. */
void traced_begin(struct task *t, struct task *tracer, bool seized, uint32_t options);
/** It has no tracer any more, and goes on when it is held. */
void traced_end(struct task *t, int signal);
/** A held task may go on when its turn comes. */
void traced_let_go(struct task *t, int mode, int signal);
/** An event: t, which has not run, has the registers `after`. */
urd_err *traced_emit_registers(struct recorder *r, struct task *t, struct task *by,
                               const struct user_regs_struct *before,
                               const struct user_regs_struct *after, bool vectors) URD_MUST_USE;

/** It is t's turn, and t is ready. False in *ret_run: it is dealt with, and need not be resumed. */
urd_err *traced_go_on(struct recorder *r, struct task *t, bool *ret_run) URD_MUST_USE;
#endif
