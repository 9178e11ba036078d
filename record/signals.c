/* A signal that the task raised itself by an instruction (SIGSEGV, SIGFPE...) comes where it comes on every
 * replay. One from outside may come anywhere; it is delivered at once when the task has run no user
 * code since its last event, and otherwise waits for the task's next system call: that place replays. When none comes
 * soon the task is stopped (preempt.c) and the event says by a cut where that was. */
#include "record/signals.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/calls.h"
#include "record/inject.h"
#include "record/replaced_insns.h"
#include "record/traced.h"
#include "record/tsc.h"
#include "record/waits.h"
#include <errno.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* asm-generic/siginfo.h */
#endif

static bool is_raised_by_code(const siginfo_t *si)
{
    switch (si->si_signo) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
        return si->si_code > 0;
    }
    return false;
}

enum disposition { CAUGHT, IGNORED, FATAL, STOPS };

static enum disposition disposition_of(struct task *t, int signal)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", t->tid);
    FILE *f = fopen(path, "re");
    unsigned long long ignored = 0, caught = 0;
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "SigIgn:", 7) == 0)
            ignored = strtoull(line + 7, NULL, 16);
        else if (strncmp(line, "SigCgt:", 7) == 0)
            caught = strtoull(line + 7, NULL, 16);
    }
    if (f)
        fclose(f);
    if (caught >> (signal - 1) & 1)
        return CAUGHT;
    if (ignored >> (signal - 1) & 1)
        return IGNORED;
    switch (signal) {
    case SIGCHLD:
    case SIGURG:
    case SIGWINCH:
    case SIGCONT:
        return IGNORED;
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return STOPS;
    }
    return FATAL;
}

/** The frame: from the new stack pointer to the end of the saved vector state (SA_SIGINFO layout). */
static void add_frame(struct event_builder *b, struct task *t, uint64_t sp)
{
    uint64_t uc_at = sp + 8, fpstate = 0;
    urd_tracee_read(t->mem, uc_at + offsetof(ucontext_t, uc_mcontext.fpregs), &fpstate, 8);
    uint64_t end = sp + 8 + 304 + 128; /* struct rt_sigframe without vector state */
    if (fpstate > sp && fpstate < sp + 65536) {
        uint32_t sw[2] = {0}; /* struct _fpx_sw_bytes: magic1, extended_size */
        urd_tracee_read(t->mem, fpstate + 464, sw, sizeof sw);
        end = fpstate + (sw[0] == 0x46505853u && sw[1] < 32768 ? sw[1] : 512);
    }
    event_add_memory(b, t->mem, sp, end - sp);
}

void signals_note_due(struct task *t)
{
    uint64_t mask;
    t->signal_due = false;
    if (ptrace(PTRACE_GETSIGMASK, t->tid, sizeof mask, &mask) != 0)
        return; /* it was killed */
    for (unsigned flags = 0; flags <= PTRACE_PEEKSIGINFO_SHARED; flags++) {
        siginfo_t pending[64];
        struct __ptrace_peeksiginfo_args all = {.flags = flags, .nr = 64};
        long n = ptrace(PTRACE_PEEKSIGINFO, t->tid, &all, pending);
        for (long i = 0; i < n; i++)
            t->signal_due |= !(mask >> (pending[i].si_signo - 1) & 1);
    }
}

/** cut: the handler interrupts a computation there. */
static urd_err *deliver_to_handler(struct recorder *r, struct task *t, int signal, bool ran,
                                   const struct user_regs_struct *before, const struct urd_cut *cut)
{
    URD_TRY(calls_emit_held_exit(r, t));
    if (ptrace(PTRACE_SINGLESTEP, t->tid, 0, (void *)(long)signal) != 0)
        URD_FAIL_ERRNO("cannot deliver signal %d to process %d", signal, t->tid);
    int status;
    while (waitpid(t->tid, &status, __WALL) < 0 && errno == EINTR)
        ;
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) {
        /* the handler's frame could not be built (no stack), or it died: let the main loop see it */
        if (cut) {
            t->fatal = *before;
            t->is_fatal = t->has_fatal_cut = true;
        } else if (!ran) {
            t->resumed_ns = 0;
        }
        t->state = TASK_STOPPED;
        t->wait_status = status;
        return NULL;
    }
    event_begin(&r->builder, URD_EVENT_SIGNAL, t->pid, t->tid);
    struct urd_event *e = &r->builder.event;
    e->flags = ran ? URD_EVENT_RAN : 0;
    e->signal = signal;
    e->before = *before;
    e->cut = cut;
    URD_TRY(urd_tracee_get_regs(t->tid, &e->after));
    e->after.eflags &= ~0x100ull; /* the trap flag is the recorder's */
    add_frame(&r->builder, t, e->after.rsp);
    size_t size = sizeof r->builder.xstate;
    URD_TRY(urd_tracee_get_xstate(t->tid, r->builder.xstate, &size));
    e->xstate = r->builder.xstate;
    e->xstate_size = (uint32_t)size;
    urd_stacks_add_handlers(&t->mm->former, before->rsp, e->after.rsp);
    t->last = e->after;
    t->in_call = t->behind_handler = false;
    t->resumed_ns = 0;
    signals_note_due(t);
    URD_TRY(recorder_emit(r));
    return NULL;
}

/** It waits for the next system call, or until preempt.c stops the task for it. */
static void defer(struct task *t, const siginfo_t *si)
{
    if (t->n_deferred == 0)
        t->deferred_ns = urd_now_ns();
    t->deferred[t->n_deferred++] = *si;
}

void signals_keep(struct task *t, const siginfo_t *si)
{
    if (t->injecting && t->n_deferred && t->deferred[0].si_signo == si->si_signo)
        t->injecting = false; /* it is the first of those that wait, and stays that */
    else if (t->n_deferred < 32)
        defer(t, si);
    else
        urd_warn("signal %d of process %d is lost: too many wait", si->si_signo, t->pid);
}

urd_err *signals_put_off(struct task *t, int signal)
{
    siginfo_t si;
    if (ptrace(PTRACE_GETSIGINFO, t->tid, 0, &si) != 0)
        URD_FAIL_ERRNO("cannot ask about signal %d of process %d", signal, t->tid);
    signals_keep(t, &si);
    return NULL;
}

/** From outside, in the middle of a computation, and nothing to wait for: *ret_pass as for signals_stop. */
static urd_err *interrupt_computation(struct recorder *r, struct task *t, const siginfo_t *si,
                                      enum disposition what, struct user_regs_struct *now,
                                      int *ret_pass)
{
    bool done;
    URD_TRY(preempt_take_cut(r, t, now, &done));
    if (!done) { /* another stop came first */
        if (t->n_deferred < 32)
            defer(t, si);
        return NULL;
    }
    /* running out of a REP has left the stop of this signal for that of a breakpoint */
    if (ptrace(PTRACE_SETSIGINFO, t->tid, 0, si) != 0)
        URD_FAIL_ERRNO("cannot pass on signal %d to process %d", si->si_signo, t->tid);
    if (what == CAUGHT)
        return deliver_to_handler(r, t, si->si_signo, true, now, &t->cut);
    if (what == STOPS)
        URD_TRY(preempt_emit(r, t));
    if (what == FATAL) {
        t->fatal = *now;
        t->is_fatal = t->has_fatal_cut = true;
    }
    *ret_pass = si->si_signo;
    return NULL;
}

urd_err *signals_deliver(struct recorder *r, struct task *t, const siginfo_t *si, bool *ret_entered)
{
    struct user_regs_struct now;
    enum disposition what = disposition_of(t, si->si_signo);
    *ret_entered = false;
    if (what == IGNORED)
        return NULL;
    if (ptrace(PTRACE_SETSIGINFO, t->tid, 0, si) != 0)
        URD_FAIL_ERRNO("cannot pass on signal %d to process %d", si->si_signo, t->tid);
    if (what != CAUGHT)
        return recorder_resume(t, si->si_signo);
    URD_TRY(urd_tracee_get_regs(t->tid, &now));
    URD_TRY(deliver_to_handler(r, t, si->si_signo, false, &now, NULL));
    *ret_entered = t->state == TASK_READY;
    return NULL;
}

/**
 * A timer's signal right behind a handler's return: the program comes to its next call first, or to a cut. A timer that is faster than
 * a recorded handler, which has four stops, would else keep it from ever going on; natively it goes on.
 */
static bool would_starve(const struct task *t, const siginfo_t *si)
{
    bool timers =
        si->si_code == SI_TIMER ||
        (si->si_code == SI_KERNEL &&
         (si->si_signo == SIGALRM || si->si_signo == SIGPROF || si->si_signo == SIGVTALRM));
    return timers && !t->tracing.tracer && t->behind_handler;
}

/**
 * It waits, and no more of its kind come up to the task's next stop: a traced call, or the first one after a tick, so that calls that do not
 * stop have their time.
 */
static urd_err *hold(struct task *t, const siginfo_t *si)
{
    defer(t, si);
    if (ptrace(PTRACE_GETSIGMASK, t->tid, sizeof t->held_mask, &t->held_mask) != 0)
        URD_FAIL_ERRNO("cannot ask about the signal mask of process %d", t->tid);
    t->holds = true;
    return inject_let_signals(t, t->held_mask | 1ull << (si->si_signo - 1));
}

urd_err *signals_release(struct task *t)
{
    if (!t->holds)
        return NULL;
    t->holds = false;
    return inject_let_signals(t, t->held_mask);
}

/** Does the task's tracer see the signal first? Not when it has seen it and passed it on. */
static bool is_told(struct task *t, int signal)
{
    bool passed = t->tracing.pass == signal;
    if (passed)
        t->tracing.pass = 0;
    return t->tracing.tracer && !passed;
}

urd_err *signals_stop(struct recorder *r, struct task *t, int signal, int *ret_signal)
{
    *ret_signal = 0;
    siginfo_t si = {0};
    struct user_regs_struct now;
    if (ptrace(PTRACE_GETSIGINFO, t->tid, 0, &si) != 0)
        URD_FAIL_ERRNO("cannot ask about signal %d of process %d", signal, t->tid);
    URD_TRY(urd_tracee_get_regs(t->tid, &now));
    /* the kernel's own SIGSEGV, for a handler that has no stack, comes where no code has run */
    bool by_code =
        is_raised_by_code(&si) && !(signal == SIGSEGV && si.si_code == SI_KERNEL && !t->resumed_ns);
    if (by_code && (signal == SIGSEGV || signal == SIGILL)) {
        bool done;
        URD_TRY(signal == SIGSEGV ? tsc_try(r, t, &now, &done)
                                  : replaced_insns_try(r, t, &now, &done));
        if (done)
            return t->tracing.tracer ? traced_emulated(r, t) : NULL;
    }
    URD_TRY(waits_raised(r, t, &si));
    bool waited = t->injecting && t->n_deferred && t->deferred[0].si_signo == signal;
    if (waited) {
        si = t->deferred[0];
        if (ptrace(PTRACE_SETSIGINFO, t->tid, 0, &si) != 0)
            urd_log(1, "cannot restore siginfo");
        memmove(t->deferred, t->deferred + 1, --t->n_deferred * sizeof *t->deferred);
        t->injecting = false;
        t->deferred_ns = urd_now_ns();
    }
    /* a filter's SIGSYS comes at the exit of the call that it forbids, however long the recorder was kept from looking */
    bool ran = !(signal == SIGSYS && si.si_code == SYS_SECCOMP) && preempt_has_run(t, &now);
    t->signal_due = false;
    enum disposition what = disposition_of(t, signal);
    bool told = is_told(t, signal);
    if (!by_code && ran && (told || what == CAUGHT) && !waited && t->n_deferred < 32) {
        defer(t, &si);
        return NULL;
    }
    if (!by_code && what == CAUGHT && !waited && t->n_deferred < 32 && would_starve(t, &si))
        return hold(t, &si);
    if (told)
        return traced_signal(r, t, &si, by_code, ran);
    if (!by_code && ran && what != IGNORED)
        return interrupt_computation(r, t, &si, what, &now, ret_signal);
    if (what == CAUGHT)
        return deliver_to_handler(r, t, signal, by_code, &now, NULL);
    if (what == FATAL && by_code) {
        t->fatal = now;
        t->is_fatal = true;
    }
    *ret_signal = signal;
    return NULL;
}

urd_err *signals_pass_on(struct task *t)
{
    t->injecting = true;
    if (syscall(SYS_tgkill, t->pid, t->tid, t->deferred[0].si_signo) != 0)
        URD_FAIL_ERRNO("cannot pass on a signal of process %d", t->tid);
    return NULL;
}

int signals_take_deferred(struct task *t)
{
    if (!t->n_deferred || t->injecting)
        return 0;
    t->injecting = true;
    return t->deferred[0].si_signo;
}
