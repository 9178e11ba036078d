/* Stopping a task in the middle of a computation.
 *
 * Signals and switches wait for a system call, where every replay finds the task by itself. When none comes, the task is
 * stopped by PTRACE_INTERRUPT wherever it is, and its state becomes evidence that a replay can recognise (trace/cut.h).
 * How long to wait follows from what a cut costs: mostly the sum over all writable memory, unless the clock counts (clock.h).
 */
#include "record/recorder.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/clock.h"
#include "record/fast.h"
#include "record/schedule.h"
#include "record/signals.h"
#include <errno.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SIGNAL_WAITS_NS = 1000000, /* for a system call, before the task is stopped for it */
    SLICE_CUTS = 20,           /* a slice is at least so many times the cost of a cut: 5 % */
    REGISTERS_TELL_NS = 1000000,
};

bool preempt_has_run(const struct task *t, const struct user_regs_struct *now)
{
    if (t->held_exit || t->in_call || !t->resumed_ns)
        return false;
    for (unsigned i = 0; i < 16; i++)
        if (*urd_reg_slot((struct user_regs_struct *)now, i) !=
            *urd_reg_slot((struct user_regs_struct *)&t->last, i))
            return true;
    if (now->rip != t->last.rip)
        return true;
    if (t->signal_due)
        return false;
    /* the number of the last call is there until something else brings the task into the kernel: it is on its way out, however
     * long others have kept it from that */
    if ((int64_t)now->orig_rax >= 0)
        return false;
    /* a loop may have come back to the same registers */
    return urd_now_ns() - t->resumed_ns > REGISTERS_TELL_NS;
}

/** To an address, by a debug register; a task's tracer may have set them, too. */
static urd_err *run_to(struct task *t, uint64_t address, int *ret_status)
{
    const size_t first = offsetof(struct user, u_debugreg), last = first + 7 * sizeof(long);
    long kept[2];
    if (!t->tracing.tracer)
        return urd_tracee_run_to(t->tid, address, ret_status);
    kept[0] = ptrace(PTRACE_PEEKUSER, t->tid, first, 0);
    kept[1] = ptrace(PTRACE_PEEKUSER, t->tid, last, 0);
    URD_TRY(urd_tracee_run_to(t->tid, address, ret_status));
    if (WIFSTOPPED(*ret_status) && (ptrace(PTRACE_POKEUSER, t->tid, first, kept[0]) != 0 ||
                                    ptrace(PTRACE_POKEUSER, t->tid, last, kept[1]) != 0))
        URD_FAIL_ERRNO("cannot restore a breakpoint of process %d", t->tid);
    return NULL;
}

/** Of the recorder: not what others on its core had meanwhile. */
static uint64_t own_time_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

urd_err *preempt_take_cut(struct recorder *r, struct task *t, struct user_regs_struct *regs,
                          bool *ret_done)
{
    *ret_done = false;
    uint64_t started = own_time_ns(), end = urd_cut_rep_end(t->mem, regs->rip);
    if (end) {
        int status;
        /* translated code runs a REP instruction as one step, so the task must not be stopped inside */
        URD_TRY(run_to(t, end, &status));
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP || status >> 16) {
            t->state = TASK_STOPPED;
            t->wait_status = status;
            return NULL;
        }
        URD_TRY(urd_tracee_get_regs(t->tid, regs));
    }
    URD_TRY(recorder_settle_memory(r, t->mm));
    patch_show(t, false); /* registers may point to patched code */
    urd_err *err = r->clock->describe(r, t, regs);
    patch_show(t, true);
    URD_TRY(err);
    r->cut_cost_ns = own_time_ns() - started;
    *ret_done = true;
    return NULL;
}

urd_err *preempt_emit(struct recorder *r, struct task *t)
{
    event_begin(&r->builder, URD_EVENT_PREEMPT, t->pid, t->tid);
    struct urd_event *e = &r->builder.event;
    e->flags = URD_EVENT_RAN;
    e->before = e->after = t->last = t->cut.regs;
    e->cut = &t->cut;
    t->resumed_ns = 0;
    URD_TRY(recorder_emit(r));
    return NULL;
}

/** What must not be single-stepped: system calls; pushf and popf, which see the trap flag; int and its kind, which raise SIGTRAP. */
static bool must_run_freely(const uint8_t *code)
{
    return (code[0] == 0x0f && (code[1] == 0x05 || code[1] == 0x34)) || code[0] == 0x9c ||
           code[0] == 0x9d || code[0] == 0xcc || code[0] == 0xcd || code[0] == 0xf1;
}

urd_err *preempt_after_steps(struct recorder *r, struct task *t, uint64_t steps)
{
    struct user_regs_struct regs;
    bool done;
    URD_TRY(urd_tracee_get_regs(
        t->tid, &regs)); /* not those of its last event: a signal may wait, and it goes on */
    for (uint64_t i = 0; i < steps || fast_is_inside(t, regs.rip); i++) {
        int status;
        uint8_t code[15] = {0};
        size_t n = urd_tracee_read(t->mem, regs.rip, code, sizeof code);
        if (must_run_freely(code))
            return recorder_resume(t, 0);
        if (!t->resumed_ns)
            URD_TRY(clock_goes_on(t));
        if (ptrace(PTRACE_SINGLESTEP, t->tid, 0, 0) != 0)
            URD_FAIL_ERRNO("cannot step process %d", t->tid);
        t->state = TASK_RUNNING;
        t->at_exit = false;
        t->resumed_ns = t->resumed_ns ? t->resumed_ns : urd_now_ns();
        while (waitpid(t->tid, &status, __WALL) < 0 && errno == EINTR)
            ;
        siginfo_t si = {0};
        bool stepped = WIFSTOPPED(status) && status >> 8 == SIGTRAP &&
                       ptrace(PTRACE_GETSIGINFO, t->tid, 0, &si) == 0 && si.si_code > 0;
        clock_stepped(t, code, n, &regs);
        if (!stepped)
            return recorder_note_status(r, t->tid, status);
        URD_TRY(urd_tracee_get_regs(t->tid, &regs));
    }
    t->state = TASK_READY;
    r->turn_over = true;
    regs.eflags &= ~0x100ull;
    if (!preempt_has_run(t, &regs))
        return NULL;
    URD_TRY(preempt_take_cut(r, t, &regs, &done));
    if (done)
        URD_TRY(preempt_emit(r, t));
    return NULL;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

urd_err *preempt_tick(struct recorder *r)
{
    struct task *t = r->current;
    if (!t || t->state != TASK_RUNNING || t->in_call || t->interrupted)
        return NULL;
    uint64_t now = urd_now_ns();
    if (t->holds) /* long enough: its signal may come at the next call */
        fast_stop_at_call(t);
    bool wanted = schedule_others_can_run(r, t);
    if (wanted && now - r->turn_started_ns > r->turn_ns)
        fast_stop_at_call(t);
    bool asleep =
        wanted && t->mm->fast && recorder_run_state(t->tid) == 'S'; /* in the runtime region */
    uint64_t cost = r->cut_cost_ns * (r->chaos ? 1 : SLICE_CUTS);
    bool signal = t->n_deferred && now - t->deferred_ns > max_u64(SIGNAL_WAITS_NS, cost);
    uint64_t slice = schedule_outranked(r, t) ? 0 : r->slice_ns;
    bool others = wanted && now - r->turn_started_ns > max_u64(slice, cost);
    if (!signal && !others && !asleep)
        return NULL;
    if (ptrace(PTRACE_INTERRUPT, t->tid, 0, 0) != 0 && errno != ESRCH)
        URD_FAIL_ERRNO("cannot stop process %d", t->tid);
    t->interrupted = true;
    return NULL;
}

urd_err *preempt_stopped(struct recorder *r, struct task *t)
{
    struct user_regs_struct now;
    URD_TRY(urd_tracee_get_regs(t->tid, &now));
    t->state = TASK_READY;
    r->turn_over = true;
    if (!preempt_has_run(t, &now))
        return NULL;
    if (t->n_deferred && !t->injecting) {
        /* it comes back as a stop of its own, where it is delivered (signals.c) */
        r->turn_over = false;
        URD_TRY(signals_pass_on(t));
        URD_TRY(recorder_resume(t, 0));
        return NULL;
    }
    bool done;
    URD_TRY(preempt_take_cut(r, t, &now, &done));
    if (done)
        URD_TRY(preempt_emit(r, t));
    return NULL;
}
