/* Stops of traced tasks.
 *
 * Each begins with hold() and ends in traced_go_on(), in the task's own turn. Between the two other tasks run, among them the tracer,
 * whose requests are made on the task as it stands there (requests.c).
 *
 * A single step is a run with the trap flag set: a replay, which has the flag in its registers, stops by itself. So
 *
 *     MEMORY, registers: the flag is set    nothing runs
 *     INSN, signal SIGTRAP                  one instruction, after which the flag is gone
 *
 * A step over a system call instruction is the call's event; there is nothing to count.
 */
#include "record/traced.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/calls.h"
#include "record/fast.h"
#include "record/others.h"
#include "record/signals.h"
#include "record/waits.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRAP_FLAG 0x100ull

static bool emulates(const struct task *t)
{
    return t->tracing.mode == PTRACE_SYSEMU || t->tracing.mode == PTRACE_SYSEMU_SINGLESTEP;
}

bool traced_wants_calls(const struct task *t)
{
    return t->tracing.tracer && (t->tracing.mode == PTRACE_SYSCALL || emulates(t));
}

static bool wants(const struct task *t, uint32_t option)
{
    return t->tracing.tracer && t->tracing.options & option;
}

/* ---- stopping ---- */

static urd_err *hold(struct recorder *r, struct task *t, enum traced_place place,
                     struct traced_stop stop)
{
    struct tracing *x = &t->tracing;
    x->place = place;
    x->stop = stop;
    x->told = false;
    x->signal = 0;
    x->interrupt = false; /* any stop is one (kernel/signal.c, ptrace_stop) */
    t->state = TASK_HELD;
    return waits_tell_stop(r, t);
}

/** A stop that ptrace_notify makes (kernel/signal.c): SIGTRAP, with the code as si_code. */
static struct traced_stop notified(const struct task *t, int code, uint64_t message)
{
    struct traced_stop s = {.code = code, .message = message};
    s.si.si_signo = SIGTRAP;
    s.si.si_code = code;
    s.si.si_pid = t->tid;
    return s;
}

static struct traced_stop at_event(const struct task *t, int event, uint64_t message)
{
    return notified(t, SIGTRAP | event << 8, message);
}

/** op: PTRACE_SYSCALL_INFO_ENTRY or _EXIT, which are the messages, too. */
static struct traced_stop at_call(const struct task *t, uint8_t op)
{
    struct traced_stop s = notified(t, SIGTRAP | (wants(t, PTRACE_O_TRACESYSGOOD) ? 0x80 : 0), op);
    s.op = op;
    return s;
}

static struct traced_stop at_signal(const siginfo_t *si)
{
    return (struct traced_stop){.code = si->si_signo, .si = *si};
}

static struct traced_stop at_own_signal(const struct task *t, int signal, int code)
{
    siginfo_t si = {.si_signo = signal, .si_code = code};
    if (code > 0)
        si.si_addr = (void *)(uintptr_t)t->last.rip;
    else
        si.si_pid = t->pid;
    return at_signal(&si);
}

urd_err *traced_entry(struct recorder *r, struct task *t, bool again)
{
    URD_TRY(calls_emit_enter(r, t));
    t->tracing.again = again;
    t->tracing.emulates = emulates(t);
    return hold(r, t, PLACE_ENTRY, at_call(t, PTRACE_SYSCALL_INFO_ENTRY));
}

urd_err *traced_filter(struct recorder *r, struct task *t, unsigned long data)
{
    if (!wants(t, PTRACE_O_TRACESECCOMP))
        return calls_refuse(t, -ENOSYS);
    URD_TRY(calls_emit_enter(r, t));
    t->tracing.again = true;
    t->tracing.emulates = false;
    struct traced_stop stop = at_event(t, PTRACE_EVENT_SECCOMP, data);
    stop.op = PTRACE_SYSCALL_INFO_SECCOMP;
    return hold(r, t, PLACE_ENTRY, stop);
}

/** The first stop behind a call that is still to come, and that the tracer wants. */
static urd_err *stop_if_due(struct recorder *r, struct task *t, enum traced_place place)
{
    struct tracing *x = &t->tracing;
    while (x->due) {
        unsigned due = x->due & -x->due;
        x->due &= ~due;
        switch (due) {
        case DUE_VFORK_DONE:
            if (wants(t, PTRACE_O_TRACEVFORKDONE))
                return hold(r, t, place, at_event(t, PTRACE_EVENT_VFORK_DONE, t->last.rax));
            break;
        case DUE_EXEC:
            if (wants(t, PTRACE_O_TRACEEXEC))
                return hold(r, t, place, at_event(t, PTRACE_EVENT_EXEC, x->execed_by));
            break;
        case DUE_CALL_EXIT:
            if (x->tracer && x->mode == PTRACE_SYSCALL)
                return hold(r, t, place, at_call(t, PTRACE_SYSCALL_INFO_EXIT));
            break;
        case DUE_EXEC_SIGNAL:
            if (x->tracer && !x->seized && !wants(t, PTRACE_O_TRACEEXEC))
                return hold(r, t, place, at_own_signal(t, SIGTRAP, SI_USER));
            break;
        case DUE_STEP:
            if (x->tracer && x->mode == PTRACE_SINGLESTEP)
                return hold(r, t, place, at_own_signal(t, SIGTRAP, TRAP_TRACE));
            break;
        }
    }
    if (x->tracer && x->interrupt)
        return hold(r, t, place, at_event(t, PTRACE_EVENT_STOP, 0));
    return NULL;
}

void traced_execed(struct task *t, pid_t by)
{
    t->tracing.execed_by = (uint64_t)by;
    if (t->tracing.tracer)
        t->tracing.due = DUE_EXEC | DUE_EXEC_SIGNAL;
}

urd_err *traced_returned(struct recorder *r, struct task *t)
{
    if (!t->tracing.tracer)
        return NULL;
    t->tracing.due |= DUE_CALL_EXIT | (t->held_exit ? 0 : DUE_STEP);
    if (t->clone.flags & CLONE_VFORK && !t->held_exit && (int64_t)t->last.rax > 0)
        t->tracing.due |= DUE_VFORK_DONE;
    return stop_if_due(r, t, t->held_exit ? PLACE_HELD_EXIT : PLACE_READY);
}

static uint32_t option_of(int event)
{
    return event == PTRACE_EVENT_FORK    ? PTRACE_O_TRACEFORK
           : event == PTRACE_EVENT_VFORK ? PTRACE_O_TRACEVFORK
                                         : PTRACE_O_TRACECLONE;
}

urd_err *traced_made_child(struct recorder *r, struct task *t, int event)
{
    unsigned long tid = 0;
    bool wanted = wants(t, option_of(event));
    if (!wanted && !(t->tracing.tracer && t->clone.flags & CLONE_PTRACE))
        return NULL;
    if (ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &tid) != 0)
        URD_FAIL_ERRNO("cannot ask for the child of process %d", t->tid);
    struct task *child = recorder_find_task(r, (pid_t)tid);
    if (child) {
        traced_begin(child, t->tracing.tracer, t->tracing.seized, t->tracing.options);
        if (child->state == TASK_READY)
            URD_TRY(hold(r, child, PLACE_READY,
                         t->tracing.seized ? at_event(child, PTRACE_EVENT_STOP, 0)
                                           : at_own_signal(child, SIGSTOP, SI_USER)));
    }
    return wanted ? hold(r, t, PLACE_IN_CALL, at_event(t, event, tid)) : NULL;
}

urd_err *traced_exits(struct recorder *r, struct task *t)
{
    unsigned long message = 0;
    t->state = TASK_READY; /* it may have been held, and was killed */
    t->tracing.place = PLACE_NONE;
    /* killed in the middle of a computation it is at no event, and must end at once */
    if (!wants(t, PTRACE_O_TRACEEXIT) || t->is_fatal ||
        ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &message) != 0 || (message & 0x7f) == SIGKILL)
        return NULL;
    return hold(r, t, PLACE_EXIT, at_event(t, PTRACE_EVENT_EXIT, message));
}

/** It has run, and a cut says how far. False in *ret_done: another stop comes first. */
static urd_err *cut_here(struct recorder *r, struct task *t, bool *ret_done)
{
    struct user_regs_struct now;
    URD_TRY(urd_tracee_get_regs(t->tid, &now));
    URD_TRY(preempt_take_cut(r, t, &now, ret_done));
    return *ret_done ? preempt_emit(r, t) : NULL;
}

urd_err *traced_event_stop(struct recorder *r, struct task *t, int signal)
{
    struct tracing *x = &t->tracing;
    struct user_regs_struct now;
    bool group = signal != SIGTRAP, done = true;
    bool wanted = x->tracer && (group || x->interrupt || (x->seized && !t->interrupted));
    if (!wanted)
        return NULL;
    t->interrupted &= group;
    URD_TRY(urd_tracee_get_regs(t->tid, &now));
    if (preempt_has_run(t, &now))
        URD_TRY(cut_here(r, t, &done));
    if (!done)
        return NULL;
    struct traced_stop stop = {.code = signal | (x->seized ? PTRACE_EVENT_STOP << 8 : 0)};
    if (!group)
        stop = at_event(t, PTRACE_EVENT_STOP, 0);
    return hold(r, t, t->in_call ? PLACE_HELD_EXIT : PLACE_READY, stop);
}

/* ---- signals and steps ---- */

/** Does the replay have the flag for a step? Any event since then has taken it away. */
static bool has_trap_flag(const struct task *t)
{
    return t->tracing.trap_flag && t->last.eflags & TRAP_FLAG;
}

/** An instruction raised it: the interval ends there. */
static urd_err *emit_raised(struct recorder *r, struct task *t, int signal)
{
    event_begin(&r->builder, URD_EVENT_INSN, t->pid, t->tid);
    struct urd_event *e = &r->builder.event;
    e->flags = URD_EVENT_RAN;
    e->signal = signal;
    URD_TRY(urd_tracee_get_regs(t->tid, &e->before));
    e->after = t->last = e->before;
    t->resumed_ns = 0;
    return recorder_emit(r);
}

urd_err *traced_signal(struct recorder *r, struct task *t, const siginfo_t *si, bool by_code,
                       bool ran)
{
    /* a watchpoint hits behind the instruction that wrote, and no replay has it; a step has the trap flag */
    bool watched =
        by_code && si->si_signo == SIGTRAP && si->si_code == TRAP_HWBKPT && !has_trap_flag(t);
    bool done = true;
    if (by_code && !watched) {
        URD_TRY(emit_raised(r, t, si->si_signo));
    } else if (ran || watched) {
        URD_TRY(cut_here(r, t, &done));
        if (!done) { /* another stop came first */
            signals_keep(t, si);
            return NULL;
        }
    }
    return hold(r, t, PLACE_SIGNAL, at_signal(si));
}

urd_err *traced_emulated(struct recorder *r, struct task *t)
{
    t->tracing.due |= DUE_STEP;
    return stop_if_due(r, t, PLACE_READY);
}

urd_err *traced_emit_registers(struct recorder *r, struct task *t, struct task *by,
                               const struct user_regs_struct *before,
                               const struct user_regs_struct *after, bool vectors)
{
    others_begin(r, t, by);
    struct urd_event *e = &r->builder.event;
    e->flags = URD_EVENT_REGISTERS;
    e->before = *before;
    e->after = *after;
    if (vectors) {
        size_t size = sizeof r->builder.xstate;
        URD_TRY(urd_tracee_get_xstate(t->tid, r->builder.xstate, &size));
        e->xstate = r->builder.xstate;
        e->xstate_size = (uint32_t)size;
    }
    t->last = *after;
    return recorder_emit(r);
}

static urd_err *set_trap_flag(struct recorder *r, struct task *t, bool on)
{
    struct user_regs_struct regs = t->last;
    struct task *by = t->tracing.tracer ? t->tracing.tracer : t;
    if (on == has_trap_flag(t))
        return NULL;
    t->tracing.trap_flag = on;
    regs.eflags = on ? regs.eflags | TRAP_FLAG : regs.eflags & ~TRAP_FLAG;
    return traced_emit_registers(r, t, by, &t->last, &regs, false);
}

static bool is_call(struct task *t, uint64_t pc)
{
    uint8_t code[2] = {0};
    urd_tracee_read(t->mem, pc, code, sizeof code);
    return code[0] == 0x0f && (code[1] == 0x05 || code[1] == 0x34);
}

/** One instruction. *ret_run: the next one is a call, and the step ends behind it. */
static urd_err *step(struct recorder *r, struct task *t, bool *ret_run)
{
    int status;
    *ret_run = is_call(t, t->last.rip) || (t->at_exit && t->n_deferred && !t->injecting);
    URD_TRY(set_trap_flag(r, t, !*ret_run));
    if (*ret_run)
        return NULL;
    if (ptrace(PTRACE_SINGLESTEP, t->tid, 0, 0) != 0 && errno != ESRCH)
        URD_FAIL_ERRNO("cannot step process %d", t->tid);
    t->state = TASK_RUNNING;
    t->at_exit = false;
    t->resumed_ns = urd_now_ns();
    while (waitpid(t->tid, &status, __WALL) < 0)
        if (errno != EINTR)
            URD_FAIL_ERRNO("cannot wait for process %d", t->tid);
    return recorder_note_status(r, t->tid, status);
}

/* ---- going on ---- */

void traced_begin(struct task *t, struct task *tracer, bool seized, uint32_t options)
{
    struct tracing *x = &t->tracing;
    x->tracer = tracer;
    x->seized = seized;
    x->options = options;
    x->mode = PTRACE_CONT;
    x->due = 0;
    x->pass = 0;
    x->interrupt = false;
    fast_off(t);
}

void traced_let_go(struct task *t, int mode, int signal)
{
    struct tracing *x = &t->tracing;
    x->mode = mode;
    x->signal = signal;
    t->state = TASK_READY;
}

void traced_end(struct task *t, int signal)
{
    t->tracing.tracer = NULL;
    t->tracing.due = 0;
    t->tracing.interrupt = false;
    if (t->state == TASK_HELD)
        traced_let_go(t, PTRACE_CONT, signal);
}

/** From a stop that is no signal's: one that is to be delivered is raised. What looked like a signal is passed on as one. */
static urd_err *raise_signal(struct task *t)
{
    struct tracing *x = &t->tracing;
    if (!x->signal)
        return NULL;
    if (x->stop.op == PTRACE_SYSCALL_INFO_NONE && !(x->stop.code >> 8))
        x->pass = x->signal;
    if (syscall(SYS_tgkill, t->pid, t->tid, x->signal) != 0 && errno != ESRCH)
        URD_FAIL_ERRNO("cannot send a signal to process %d", t->tid);
    return NULL;
}

/** What is told of a signal that the tracer has put in the place of another one: man 2 ptrace, signal injection. */
static siginfo_t replaced(const struct task *t)
{
    const struct task *tracer = t->tracing.tracer;
    siginfo_t si = t->tracing.stop.si;
    if (si.si_signo == t->tracing.signal)
        return si;
    si = (siginfo_t){.si_signo = t->tracing.signal, .si_code = SI_USER};
    si.si_pid = tracer ? tracer->pid : 0;
    return si;
}

/**
 * The tracer has put back the registers of a call that is to be restarted, as after a function that it has called. The kernel would
 * do so on the way out (arch/x86/kernel/signal.c, arch_do_signal_or_restart); no replay has it in the registers then.
 */
static urd_err *restart_call(struct recorder *r, struct task *t)
{
    enum { ERESTART_RESTARTBLOCK = 516 };
    struct user_regs_struct regs = t->last;
    struct task *by = t->tracing.tracer ? t->tracing.tracer : t;
    if (t->in_call || (int)regs.orig_rax < 0 || !calls_restarts((int64_t)regs.rax))
        return NULL;
    regs.rax = (int64_t)regs.rax == -ERESTART_RESTARTBLOCK ? SYS_restart_syscall : regs.orig_rax;
    regs.rip -= 2;
    regs.orig_rax = (unsigned long long)-1;
    URD_TRY(urd_tracee_set_regs(t->tid, &regs));
    return traced_emit_registers(r, t, by, &t->last, &regs, false);
}

static urd_err *go_on_from_signal(struct recorder *r, struct task *t)
{
    struct tracing *x = &t->tracing;
    siginfo_t si = replaced(t);
    bool entered = false; /* a handler: that is a step */
    if (x->signal)
        URD_TRY(signals_deliver(r, t, &si, &entered));
    if (t->state != TASK_READY)
        return NULL;
    if (t->in_call)
        return recorder_resume_call(t);
    if (!entered)
        URD_TRY(restart_call(r, t));
    x->due |= entered ? DUE_STEP : 0;
    return stop_if_due(r, t, PLACE_READY);
}

static urd_err *go_on_from(struct recorder *r, struct task *t, enum traced_place place)
{
    switch (place) {
    case PLACE_ENTRY:
        URD_TRY(raise_signal(t));
        if (t->tracing.emulates) { /* the tracer has set what it is to return */
            t->tracing.emulates = false;
            URD_TRY(calls_leave_out(t));
            return recorder_let_call_run(r, t);
        }
        URD_TRY(t->tracing.again ? waits_entry(r, t) : calls_prepare(r, t));
        return recorder_let_call_run(r, t);
    case PLACE_HELD_EXIT:
        URD_TRY(raise_signal(t));
        return recorder_resume_call(t);
    case PLACE_IN_CALL:
        URD_TRY(raise_signal(t));
        URD_TRY(recorder_resume(t, 0));
        t->state = TASK_BLOCKED;
        return NULL;
    case PLACE_SIGNAL:
        return go_on_from_signal(r, t);
    default:
        URD_TRY(raise_signal(t));
        return stop_if_due(r, t, PLACE_READY);
    }
}

urd_err *traced_go_on(struct recorder *r, struct task *t, bool *ret_run)
{
    struct tracing *x = &t->tracing;
    enum traced_place place = x->place;
    *ret_run = false;
    x->place = PLACE_NONE;
    if (place == PLACE_EXIT)
        return lives_exit(r, t); /* t is gone */
    URD_TRY(go_on_from(r, t, place));
    x->signal = 0;
    if (t->state != TASK_READY)
        return NULL;
    *ret_run = true;
    if (x->tracer && (x->mode == PTRACE_SINGLESTEP || x->mode == PTRACE_SYSEMU_SINGLESTEP))
        return step(r, t, ret_run);
    return set_trap_flag(r, t, false);
}

/* ---- ends ---- */

urd_err *traced_gone(struct recorder *r, struct task *t, int status)
{
    const struct task *tracer = t->tracing.tracer;
    if (!tracer || (t->tid == t->pid && t->parent == tracer->pid)) /* the kernel tells it */
        return NULL;
    return waits_tell_end(r, t, status);
}

void traced_forget_tracer(struct recorder *r, struct task *t)
{
    for (struct task *k = r->tasks; k; k = k->next) {
        if (k->tracing.tracer != t)
            continue;
        if (k->tracing.options & PTRACE_O_EXITKILL)
            kill(k->pid, SIGKILL);
        traced_end(k, 0);
    }
}
