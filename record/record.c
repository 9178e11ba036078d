/* The recorder's main loop.
 *
 * One task runs at a time. When it makes a call that may block it is given a moment to return; if it does not,
 * SYSCALL_ENTER is written and another task runs. A blocked task that returns stops by itself at its
 * call's exit and waits there for its turn, so user code never runs in two tasks at once, and the order of events
 * is the order in which they are written.
 */
#include "record/record.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/calls.h"
#include "record/clock.h"
#include "record/fast.h"
#include "record/futexes.h"
#include "record/launch.h"
#include "record/outside.h"
#include "record/priority.h"
#include "record/schedule.h"
#include "record/signals.h"
#include "record/traced.h"
#include "record/tsc.h"
#include "trace/checksum.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <sys/wait.h>
#include <unistd.h>

void recorder_stacks(const struct recorder *r, const struct task *t, uint64_t sp,
                     struct urd_stacks *ret)
{
    *ret = (struct urd_stacks){0};
    URD_PUSH(ret->sps, ret->n, ret->capacity) = sp;
    for (const struct task *k = r->tasks; k; k = k->next)
        if (k != t && k->mm == t->mm &&
            !k->exit_emitted) /* a call that has not returned is at its entry */
            URD_PUSH(ret->sps, ret->n, ret->capacity) = k->in_call ? k->entry.rsp : k->last.rsp;
    urd_stacks_append(ret, &t->mm->former);
}

urd_err *recorder_checksum(struct recorder *r, struct task *t)
{
    /* at every exit, and otherwise so that they cost about 1 % of the time */
    uint64_t now = urd_now_ns();
    t->has_checksum = false;
    if (!r->exec_seen || (t->entry.orig_rax != SYS_exit_group &&
                          now - r->last_checksum_ns < 100 * r->checksum_cost_ns + 10000000))
        return NULL;
    uint64_t bytes;
    URD_TRY(recorder_settle_memory(r, t->mm));
    struct urd_stacks stacks;
    recorder_stacks(r, t, t->entry.rsp, &stacks);
    urd_err *err =
        urd_checksum_memory(t->tid, t->mem, URD_MEMORY_PRIVATE, &stacks, &t->checksum, &bytes);
    free(stacks.sps);
    URD_TRY(err);
    t->has_checksum = true;
    r->last_checksum_ns = urd_now_ns();
    r->checksum_cost_ns = r->last_checksum_ns - now;
    return NULL;
}

urd_err *recorder_emit(struct recorder *r)
{
    return recorder_emit_at(r, urd_now_ns());
}

urd_err *recorder_emit_at(struct recorder *r, uint64_t now)
{
    struct urd_event *e = &r->builder.event;
    if (!r->exec_seen) { /* what the recorder's own child does until it execs is nobody's business */
        if (e->kind != URD_EVENT_EXEC)
            return NULL;
        r->exec_seen = true;
        r->last_flush_ns = 0; /* a recording that is killed early has a beginning */
        e->flags = 0;
        e->before = e->after;
    }
    e->time_ns = now - r->started_ns;
    if (e->flags & URD_EVENT_RAN && e->syscall < 0)
        outside_stopped(r);
    event_finish(&r->builder);
    patch_tell(r);
    outside_emitted(r, e);
    URD_TRY(urd_trace_append(r->writer, e));
    if (now - r->last_flush_ns > SCHEDULE_FLUSH_NS) {
        r->last_flush_ns = now;
        URD_TRY(urd_trace_flush(r->writer));
    }
    return NULL;
}

struct urd_event *recorder_begin_insn(struct recorder *r, struct task *t,
                                      const struct user_regs_struct *at)
{
    event_begin(&r->builder, URD_EVENT_INSN, t->pid, t->tid);
    struct urd_event *e = &r->builder.event;
    e->flags = URD_EVENT_RAN;
    e->before = e->after = *at;
    return e;
}

urd_err *recorder_emit_insn(struct recorder *r, struct task *t)
{
    const struct urd_event *e = &r->builder.event;
    URD_TRY(urd_tracee_set_regs(t->tid, &e->after));
    t->last = e->after;
    t->resumed_ns = 0;
    t->behind_handler = false;
    return recorder_emit(r);
}

struct task *recorder_find_task(struct recorder *r, pid_t tid)
{
    struct task *t = r->tasks;
    while (t && t->tid != tid)
        t = t->next;
    return t;
}

struct task *recorder_add_task(struct recorder *r, pid_t tid, struct mm *mm)
{
    struct task *t = urd_xcalloc(1, sizeof *t);
    t->tid = t->pid = tid;
    t->mem = urd_tracee_open_mem(tid);
    t->mm = mm;
    mm->refs++;
    struct task **at = &r->tasks; /* at the end: the older tasks run first */
    while (*at)
        at = &(*at)->next;
    *at = t;
    return t;
}

void recorder_release_mm(struct mm *mm)
{
    if (--mm->refs)
        return;
    fast_destroy(mm->fast);
    free(mm->former.sps);
    patch_news_deinit(&mm->news);
    free(mm);
}

void recorder_remove_task(struct recorder *r, struct task *t)
{
    for (struct task **at = &r->tasks; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            break;
        }
    if (r->current == t)
        r->current = NULL;
    traced_forget_tracer(r, t);
    free(t->tracing.ends);
    recorder_release_mm(t->mm);
    clock_forget(t);
    if (t->mem >= 0)
        close(t->mem);
    call_scratch_deinit(&t->scratch);
    free(t);
}

urd_err *recorder_resume(struct task *t, int signal)
{
    bool in_call = t->in_call && !t->held_exit;
    if (in_call) {
        priority_raise(t);
    } else {
        priority_lower(t);
        fast_resume(t);
        if (!t->in_call && !t->resumed_ns)
            URD_TRY(clock_goes_on(t));
        clock_runs_freely(t);
    }
    bool killed = ptrace(in_call || !t->filtered ? PTRACE_SYSCALL : PTRACE_CONT, t->tid, 0,
                         (void *)(long)signal) != 0;
    if (killed && errno != ESRCH)
        URD_FAIL_ERRNO("cannot resume process %d", t->tid);
    t->state = TASK_RUNNING;
    t->at_exit = false;
    if (!killed && !t->in_call && !t->resumed_ns)
        t->resumed_ns = urd_now_ns();
    return NULL;
}

static bool may_block(const struct task *t)
{
    return !t->cancelled && urd_syscall_has_flag(t->call, 'b') &&
           (t->call->number != SYS_futex || futexes_may_wait(t));
}

/** A child's memory is its parent's at that moment: nobody runs meanwhile. (A parent that waits for its vfork child has told.) */
static bool makes_child(const struct task *t)
{
    int n = t->call ? t->call->number : -1;
    return n == SYS_fork || n == SYS_vfork || n == SYS_clone || n == SYS_clone3;
}

urd_err *recorder_resume_call(struct task *t)
{
    URD_TRY(recorder_resume(t, 0));
    if (!makes_child(t))
        t->state = TASK_BLOCKED;
    return NULL;
}

/** At a call's entry: emit what must be written before it runs, and let it run. */
urd_err *recorder_let_call_run(struct recorder *r, struct task *t)
{
    int number = t->call->number;
    bool exits = number == SYS_exit_group || number == SYS_exit;
    bool execs = (number == SYS_execve || number == SYS_execveat) && t->mm->refs > 1;
    if (exits || execs) /* exec waits for the other threads to end, and their ends are events */
        URD_TRY(calls_emit_enter(r, t));
    if (may_block(t) && t->n_deferred && !t->injecting)
        URD_TRY(
            signals_pass_on(t)); /* the call must not wait for what the handler is going to do */
    URD_TRY(recorder_resume(t, 0));
    if (!exits && (may_block(t) || (t->entered && !makes_child(t))))
        t->state = TASK_BLOCKED;
    return NULL;
}

/** The recorder's filter stops a task at a call's entry; one that has filters of its own has stopped there already. */
static urd_err *handle_filter_stop(struct recorder *r, struct task *t)
{
    unsigned long which = LAUNCH_FILTER_DATA;
    if (!t->filtered && ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &which) != 0)
        URD_FAIL_ERRNO("cannot ask about a filter of process %d", t->tid);
    bool at_entry = t->in_call && !t->held_exit;
    if (at_entry && which != LAUNCH_FILTER_DATA) /* a program's own filter asks its tracer */
        URD_TRY(traced_filter(r, t, which));
    if (!at_entry)
        URD_TRY(calls_entry(r, t));
    return t->state == TASK_HELD ? NULL : recorder_let_call_run(r, t);
}

static urd_err *handle_event_stop(struct recorder *r, struct task *t, int event, int signal)
{
    switch (event) {
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
        URD_TRY(lives_child(r, t));
        URD_TRY(traced_made_child(r, t, event));
        if (t->state == TASK_HELD)
            return NULL;
        URD_TRY(recorder_resume(t, 0));
        /* the parent goes on first, as the kernel's scheduler does it mostly: there are programs that count on it */
        t->state = event == PTRACE_EVENT_VFORK || r->chaos ? TASK_BLOCKED : TASK_RUNNING;
        return NULL;
    case PTRACE_EVENT_EXEC:
        t->execed = true;
        return recorder_resume(t, 0);
    case PTRACE_EVENT_EXIT:
        URD_TRY(traced_exits(r, t));
        return t->state == TASK_HELD ? NULL : lives_exit(r, t);
    case PTRACE_EVENT_SECCOMP:
        return handle_filter_stop(r, t);
    case PTRACE_EVENT_STOP:
        URD_TRY(traced_event_stop(r, t, signal));
        if (t->state == TASK_HELD || t->state == TASK_STOPPED)
            return NULL;
        if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) {
            if (ptrace(PTRACE_LISTEN, t->tid, 0, 0) != 0)
                URD_FAIL_ERRNO("cannot leave process %d stopped", t->tid);
            t->state = TASK_LISTENING;
            return NULL;
        }
        bool was_in_call = t->in_call, interrupted = t->interrupted;
        t->interrupted = false;
        if (interrupted && !was_in_call)
            return preempt_stopped(r, t);
        return was_in_call ? recorder_resume_call(t) : recorder_resume(t, 0);
    }
    return recorder_resume(t, 0);
}

/** What ends a task that was stopped is there, or it is a zombie that waits for its threads. */
static bool is_killed(pid_t tid)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        siginfo_t si = {0};
        if (waitid(P_PID, (id_t)tid, &si, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0 &&
            si.si_pid == tid)
            return true;
        char state = recorder_run_state(tid);
        if (state == 'Z' || state == 'X')
            return true;
        nanosleep(&(struct timespec){0, 20000}, NULL);
    }
    return false;
}

/** SIGKILL takes a task out of any stop, whatever is being done with it there: then that is over, and its end comes next. */
static urd_err *unless_killed(struct recorder *r, pid_t tid, urd_err *err)
{
    struct task *t = err && err->sys_errno == ESRCH ? recorder_find_task(r, tid) : NULL;
    if (!t || !is_killed(tid))
        return err;
    urd_log(1, "task %d was killed where it was stopped", tid);
    urd_err_free(err);
    t->state = TASK_BLOCKED;
    return NULL;
}

static urd_err *deal_with_stop(struct recorder *r, struct task *t, int status)
{
    int signal = WSTOPSIG(status), event = status >> 16;
    bool go_on;
    if (event != PTRACE_EVENT_EXIT)
        URD_TRY(signals_release(t));
    URD_TRY(fast_stopped(r, t, status, &go_on));
    if (!go_on)
        return NULL;
    if (event)
        return handle_event_stop(r, t, event, signal);
    if (signal == (SIGTRAP | 0x80)) {
        if (!t->in_call || t->held_exit) {
            URD_TRY(calls_entry(r, t));
            return t->state == TASK_HELD ? NULL : recorder_let_call_run(r, t);
        }
        URD_TRY(calls_exit(r, t));
        if (t->state == TASK_STOPPED) /* by something else, while the recorder made a call in it */
            return NULL;
        t->state = TASK_READY;
        t->at_exit = !t->held_exit;
        if (t->held_exit)
            URD_TRY(calls_emit_held(r, t));
        URD_TRY(traced_returned(r, t));
        /* restarts or is interrupted: see which, others run meanwhile */
        return t->held_exit && t->state != TASK_HELD ? recorder_resume_call(t) : NULL;
    }
    int pass;
    t->state = TASK_READY;
    bool in_call = t->in_call;
    URD_TRY(signals_stop(r, t, signal, &pass));
    if (t->state == TASK_STOPPED || t->state == TASK_HELD)
        return NULL;
    if (pass || (in_call && t->in_call)) {
        URD_TRY(recorder_resume(t, pass));
        if (in_call && !makes_child(t))
            t->state = TASK_BLOCKED;
    }
    return NULL;
}

static urd_err *handle_stop(struct recorder *r, struct task *t, int status)
{
    pid_t tid = t->tid;
    return unless_killed(r, tid, deal_with_stop(r, t, status));
}

/** Deal with one stop of a task; those of blocked tasks only when it is their turn. */
static urd_err *handle_status(struct recorder *r, struct task *t, int status)
{
    urd_log(2, "task %d status %x state %d", t->tid, status, t->state);
    if (WIFEXITED(status) || WIFSIGNALED(status))
        return lives_gone(r, t, status);
    return handle_stop(r, t, status);
}

static volatile sig_atomic_t tick;

static void on_tick(int signal)
{
    tick = 1;
}

/** Calls of the task that runs come before what is written about another one. */
static urd_err *drain_running(struct recorder *r, const struct task *other)
{
    struct task *t = r->current;
    return t && t != other && t->state == TASK_RUNNING && !t->in_call ? fast_drain(r, t, false)
                                                                      : NULL;
}

/** A process's first thread that is dead is not reported before the other threads are: nobody must wait for it. */
static void leave_dead_leader(struct recorder *r)
{
    for (struct task *t = r->tasks; t; t = t->next)
        if (t->state == TASK_RUNNING && t->tid == t->pid && recorder_run_state(t->tid) == 'Z')
            t->state = TASK_BLOCKED;
}

/**
 * Any call may turn out to wait, whatever the table says of it: close() lingers until the other end has read, a filter's supervisor
 * answers when it likes, a file system may be a program. The tick that ends turns finds the task asleep, and it becomes one
 * that is blocked; no tick is that soon unless somebody else can run.
 */
static void leave_waiting_call(struct recorder *r)
{
    struct task *c = r->current;
    if (!c || c->state != TASK_RUNNING || !c->in_call || makes_child(c) ||
        !schedule_others_can_run(r, c))
        return;
    char state = recorder_run_state(c->tid);
    if (state == 'S' || state == 'D')
        c->state = TASK_BLOCKED;
}

static urd_err *on_interrupt(struct recorder *r)
{
    if (!tick)
        return NULL;
    tick = 0;
    leave_dead_leader(r);
    URD_TRY(drain_running(r, NULL));
    leave_waiting_call(r);
    if (urd_now_ns() - r->last_flush_ns > SCHEDULE_FLUSH_NS) {
        r->last_flush_ns = urd_now_ns();
        URD_TRY(urd_trace_flush(r->writer));
    }
    return preempt_tick(r);
}

urd_err *recorder_note_status(struct recorder *r, pid_t tid, int status)
{
    struct task *t = WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_EXEC
                         ? lives_exec(r, tid)
                         : recorder_find_task(r, tid);
    if (!t) { /* a child that is faster than its parent's event: lives_child asks for it */
        URD_PUSH(r->early, r->n_early, r->cap_early) = (struct early_stop){tid, status};
        return NULL;
    }
    URD_TRY(drain_running(r, t));
    bool call_returned =
        WIFSTOPPED(status) && t->in_call &&
        (WSTOPSIG(status) == (SIGTRAP | 0x80) || status >> 16 == PTRACE_EVENT_SECCOMP);
    bool ends =
        WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_EXIT; /* an exec may wait for it */
    if (ends || (t->state == TASK_BLOCKED && call_returned)) {   /* no user code runs for that */
        if (r->current &&
            r->current != t) /* what it ran before its call came before what this one writes */
            URD_TRY(calls_emit_enter(r, r->current));
        if (call_returned)
            schedule_woken(r, t);
        return handle_stop(r, t, status);
    }
    if (t->state == TASK_BLOCKED || t->state == TASK_LISTENING) {
        if (WIFEXITED(status) || WIFSIGNALED(status))
            return lives_gone(r, t, status);
        t->state = TASK_STOPPED;
        t->wait_status = status;
        return NULL;
    }
    return handle_status(r, t, status);
}

static urd_err *wait_any(struct recorder *r, int flags, bool *ret_got)
{
    int status;
    schedule_set_tick(r);
    pid_t tid = waitpid(-1, &status, __WALL | flags);
    *ret_got = tid > 0;
    if (tid > 0)
        return recorder_note_status(r, tid, status);
    if (tid < 0 && errno == EINTR)
        return on_interrupt(r);
    if (tid < 0 && errno == ECHILD)
        while (r->tasks)
            recorder_remove_task(r, r->tasks);
    return NULL;
}

char recorder_run_state(pid_t tid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", tid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 'X';
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    char *close_paren = strrchr(text, ')');
    return close_paren && close_paren[1] ? close_paren[2] : 'X';
}

urd_err *recorder_settle_memory(struct recorder *r, const struct mm *mm)
{
    for (unsigned tries = 0; mm->refs > 1 && tries < 200; tries++) {
        int status;
        pid_t tid;
        bool busy = false;
        while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
            URD_TRY(recorder_note_status(r, tid, status));
        for (struct task *t = r->tasks; t && !busy; t = t->next)
            if (t->mm == mm && t->state == TASK_BLOCKED) {
                char state = recorder_run_state(t->tid);
                busy = state == 'R' || state == 'D';
            }
        if (!busy)
            return NULL;
        sched_yield();
    }
    return NULL;
}

/** The current task is in a call that may block. Give it the time it needs, unless it sleeps. */
static urd_err *settle_blocked(struct recorder *r, struct task *t)
{
    pid_t tid = t->tid;
    sched_yield(); /* it has the recorder's core */
    for (unsigned tries = 0;; tries++) {
        int status;
        pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
        if (got == tid)
            return recorder_note_status(r, tid, status);
        char state = recorder_run_state(tid);
        if (state == 'S' || state == 'X' || state == 'Z' || (state == 'D' && tries > 20))
            return NULL;
        if (tries < 4)
            sched_yield();
        else
            nanosleep(&(struct timespec){0, 20000}, NULL);
    }
}

/** A task that is ready goes on from where it is. */
static urd_err *go_on(struct recorder *r, struct task *t)
{
    bool run = true;
    URD_TRY(outside_compare(r));
    if (t->tracing.tracer || t->tracing.place || t->tracing.trap_flag)
        URD_TRY(traced_go_on(r, t, &run));
    if (!run)
        return NULL;
    uint64_t steps = schedule_steps(r, t);
    if (steps)
        return preempt_after_steps(r, t, steps);
    return recorder_resume(t, t->at_exit ? signals_take_deferred(t) : 0);
}

/** Let task t go on from where it is, and follow it until it needs nobody's attention. */
static urd_err *run_task(struct recorder *r, struct task *t)
{
    if (r->current != t) {
        if (r->current) /* it has run up to its call, even when that has returned meanwhile */
            URD_TRY(calls_emit_enter(r, r->current));
        r->current = t;
    }
    schedule_turn(r);
    pid_t tid = t->tid;
    int status; /* killed where it was stopped: it must not be resumed out of PTRACE_EVENT_EXIT */
    bool killed = waitpid(tid, &status, __WALL | WNOHANG) == tid,
         stopped = t->state == TASK_STOPPED;
    if (killed || stopped) {
        status = killed ? status : t->wait_status;
        t->state = TASK_RUNNING;
        return killed ? recorder_note_status(r, tid, status) : handle_status(r, t, status);
    }
    return t->state == TASK_READY ? unless_killed(r, tid, go_on(r, t)) : NULL;
}

static urd_err *run_next(struct recorder *r)
{
    struct task *t = schedule_pick(r);
    if (t && t->state != TASK_RUNNING)
        URD_TRY(run_task(r, t));
    return NULL;
}

static urd_err *main_loop(struct recorder *r)
{
    while (r->tasks) {
        struct task *t = schedule_pick(r);
        bool got;
        struct task *c = r->current;
        if (c && c->state == TASK_BLOCKED && !c->entered && c->in_call &&
            schedule_others_can_run(r, c)) {
            URD_TRY(settle_blocked(r, c));
            if (r->current == c && c->state == TASK_BLOCKED) {
                URD_TRY(calls_emit_enter(r, c));
                URD_TRY(run_next(r));
            }
            continue;
        }
        if (t && t->state != TASK_RUNNING) {
            URD_TRY(run_task(r, t));
            continue;
        }
        URD_TRY(wait_any(r, 0, &got));
    }
    return NULL;
}

static void ignore_terminal_signals(void)
{
    static const int signals[] = {SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGHUP, SIGPIPE};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_IGN);
}

static void note_outputs(struct recorder *r)
{
    for (int i = 1; i <= 2; i++) {
        struct stat st;
        if (fstat(i, &st) == 0) {
            r->out_dev[i] = st.st_dev;
            r->out_ino[i] = st.st_ino;
        }
    }
}

static urd_err *finish(struct recorder *r)
{
    event_begin(&r->builder, URD_EVENT_END, r->first_pid, r->first_pid);
    r->builder.event.status = r->first_status;
    return recorder_emit(r);
}

static void stop_everything(struct recorder *r)
{
    while (r->tasks) {
        kill(r->tasks->tid, SIGKILL);
        recorder_remove_task(r, r->tasks);
    }
}

urd_err *urd_record_run(const char *directory, char **argv, const struct urd_record_options *o,
                        struct urd_record_summary *ret)
{
    URD_AUTO_FREE char *program = NULL;
    URD_TRY(launch_find_program(argv[0], &program));
    cpu_set_t cpus;
    int core = launch_pin(&cpus);
    const struct clock *clock;
    URD_TRY(clock_choose(o->clock, &clock));
    struct recorder *r = urd_xcalloc(1, sizeof *r);
    r->clock = clock;
    r->cpus = cpus;
    priority_short_slices(r);
    r->chaos = o->chaos;
    r->fast = !o->no_fast && !o->chaos;
    fast_init(r);
    tsc_begin(r);
    r->random = o->seed;
    struct urd_trace_info info;
    URD_TRY(launch_describe(argv, core, &info));
    fast_know_cpuid(r, &info);
    info.counted = clock == &clock_pmu;
    info.former_stacks = info.handlers_stacks = true;
    urd_err *err = urd_trace_create(directory, &info, &r->writer);
    urd_trace_info_deinit(&info);
    if (err) {
        fast_deinit(r);
        free(r);
        return urd_err_hop(err, __func__, __FILE__, __LINE__);
    }
    note_outputs(r);
    r->started_ns = r->last_flush_ns = urd_now_ns();
    pid_t pid;
    err = launch_subject(program, argv, r->fast, &pid);
    if (!err) {
        struct mm *mm = urd_xcalloc(1, sizeof *mm);
        r->first_pid = pid;
        struct task *t = recorder_add_task(r, pid, mm);
        err = urd_tracee_get_regs(pid, &t->last);
        priority_note(r, t);
        ignore_terminal_signals();
        struct sigaction on_alarm = {.sa_handler = on_tick};
        sigaction(SIGALRM, &on_alarm, NULL);
        prctl(PR_SET_TIMERSLACK, 1);
    }
    if (!err)
        err = main_loop(r);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    priority_usual_slices(r);
    stop_everything(r);
    if (!err && !r->exec_seen)
        err = urd_err_hint(
            URD_ERROR(URD_ERR_QUESTION, "the kernel cannot run '%s'", program),
            "it is no program for this machine; a script needs a first line like #!/bin/sh");
    if (!err)
        err = finish(r);
    if (!err)
        err = urd_trace_sync(r->writer);
    *ret = (struct urd_record_summary){r->first_status, urd_trace_written_events(r->writer),
                                       urd_trace_written_bytes(r->writer),
                                       urd_now_ns() - r->started_ns};
    urd_err *close_err = urd_trace_finish(r->writer);
    event_builder_deinit(&r->builder);
    free(r->early);
    free(r->shared);
    outside_deinit(r);
    replaced_insns_deinit(r);
    fast_deinit(r);
    free(r);
    if (!err)
        return close_err;
    urd_err_free(close_err);
    return err;
}
