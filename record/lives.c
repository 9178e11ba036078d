/* How tasks begin and end.
 *
 * A thread's end writes to memory that other threads see: the kernel zeroes the word that pthread_join waits for, and marks
 * mutexes whose owner died (man 2 set_tid_address, get_robust_list). That happens after the last stop of the task
 * (PTRACE_EVENT_EXIT) while nobody else runs, so the words are read before and after, and what changed is part of EXIT.
 */
#include "record/recorder.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/advice.h"
#include "record/calls.h"
#include "record/fast.h"
#include "record/priority.h"
#include "record/traced.h"
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool take_early(struct recorder *r, pid_t tid, int *ret_status)
{
    for (unsigned i = 0; i < r->n_early; i++)
        if (r->early[i].tid == tid) {
            *ret_status = r->early[i].status;
            r->early[i] = r->early[--r->n_early];
            return true;
        }
    return false;
}

static struct mm *mm_of_child(struct recorder *r, struct task *parent, bool shares)
{
    if (shares)
        return parent->mm;
    struct urd_stacks stacks;
    recorder_stacks(r, parent, parent->entry.rsp, &stacks);
    struct mm *mm = urd_xcalloc(1, sizeof *mm);
    mm->brk = parent->mm->brk;
    mm->forks_in_part = parent->mm->forks_in_part;
    mm->fast = fast_copy(parent->mm->fast);
    for (size_t i = 0; i < stacks.n; i++)
        urd_stacks_add_former(&mm->former, stacks.sps[i]);
    free(stacks.sps);
    patch_news_copy(&parent->mm->news, &mm->news);
    return mm;
}

static urd_err *emit_start(struct recorder *r, struct task *parent, struct task *child, bool shares)
{
    const struct clone_request *c = &parent->clone;
    event_begin(&r->builder, URD_EVENT_START, child->pid, child->tid);
    struct urd_event *e = &r->builder.event;
    e->other_tid = parent->tid;
    e->flags = shares ? URD_EVENT_SHARES : 0;
    URD_TRY(urd_tracee_get_regs(child->tid, &e->after));
    e->before = child->last = e->after;
    if (!shares)
        URD_TRY(advice_at_fork(r, parent));
    if (c->flags & CLONE_CHILD_SETTID)
        event_add_memory(&r->builder, child->mem, c->child_tid, 4);
    if (shares && c->flags & CLONE_PARENT_SETTID) /* the child sees it too, perhaps first */
        event_add_memory(&r->builder, child->mem, c->parent_tid, 4);
    return recorder_emit(r);
}

urd_err *lives_child(struct recorder *r, struct task *t)
{
    unsigned long message = 0;
    if (ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &message) != 0)
        URD_FAIL_ERRNO("cannot ask for the child of process %d", t->tid);
    int status;
    pid_t tid = (pid_t)message;
    if (!take_early(r, tid, &status))
        while (waitpid(tid, &status, __WALL) < 0 && errno == EINTR)
            ;
    URD_TRY(calls_emit_enter(r, t));
    bool shares = t->clone.flags & CLONE_VM;
    struct task *child = recorder_add_task(r, tid, mm_of_child(r, t, shares));
    if (t->clone.flags & CLONE_THREAD)
        child->pid = t->pid;
    bool sibling = t->clone.flags & (CLONE_THREAD | CLONE_PARENT);
    child->parent = sibling ? t->parent : t->pid;
    child->parent_tid = sibling ? t->parent_tid : t->tid;
    if (t->clone.flags & CLONE_CHILD_CLEARTID)
        child->clear_tid = t->clone.child_tid;
    child->filtered = t->filtered;
    child->strict = t->strict;
    child->has_cpus = t->has_cpus;
    child->cpus = t->cpus;
    if (t->raised)
        priority_note(r, child);
    child->state = TASK_READY;
    URD_TRY(emit_start(r, t, child, shares));
    if (!WIFSTOPPED(status)) /* killed before it ran */
        return lives_gone(r, child, status);
    if (status >> 16 != PTRACE_EVENT_STOP) {
        child->state = TASK_STOPPED; /* a signal was faster than the first stop */
        child->wait_status = status;
    }
    return NULL;
}

/* ---- ends ---- */

enum {
    MAX_ROBUST = 2048 + 2
}; /* what the kernel follows (ROBUST_LIST_LIMIT), the pending one, the thread id */

/** Words that the kernel may write when the task ends. */
struct last_words {
    uint64_t addresses[MAX_ROBUST];
    uint32_t values[MAX_ROBUST];
    unsigned n;
};

static void add_word(struct last_words *w, struct task *t, uint64_t address)
{
    if (address && w->n < MAX_ROBUST && urd_tracee_read(t->mem, address, &w->values[w->n], 4) == 4)
        w->addresses[w->n++] = address;
}

/** struct robust_list_head: next, futex_offset, list_op_pending (linux/futex.h). */
static void find_last_words(struct task *t, struct last_words *w)
{
    uint64_t head = 0, list[3], length = 0;
    w->n = 0;
    add_word(w, t, t->clear_tid);
    if (syscall(SYS_get_robust_list, t->tid, &head, &length) != 0 || !head ||
        urd_tracee_read(t->mem, head, list, sizeof list) != sizeof list)
        return;
    if (list[2])
        add_word(w, t, (list[2] & ~1ull) + list[1]);
    uint64_t at = list[0];
    while ((at & ~1ull) != head && w->n < MAX_ROBUST) {
        add_word(w, t, (at & ~1ull) + list[1]);
        if (urd_tracee_read(t->mem, at & ~1ull, &at, 8) != 8)
            break;
    }
}

/** Let it end. False in *ret_reaped: it is a zombie, or takes too long (a core is being written). */
static bool wait_for_end(pid_t tid, int *ret_status)
{
    for (unsigned tries = 0; tries < 2000; tries++) {
        if (waitpid(tid, ret_status, __WALL | WNOHANG) == tid)
            return true;
        char state = recorder_run_state(tid);
        if (state == 'Z' || state == 'X')
            return false;
        if (tries < 10)
            sched_yield();
        else
            nanosleep(&(struct timespec){0, 50000}, NULL);
    }
    return false;
}

/**
 * The last task of an address space: what the kernel is going to write can only be seen in memory that other processes share,
 * so it is told beforehand. It marks the locks whose owner died (handle_futex_death in kernel/futex/core.c).
 */
static void foretell_last_words(struct recorder *r, struct task *t, const struct last_words *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        uint32_t dead = (w->values[i] & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        if (w->addresses[i] != t->clear_tid && (w->values[i] & FUTEX_TID_MASK) == (uint32_t)t->tid)
            event_add_bytes(&r->builder, w->addresses[i], &dead, sizeof dead);
    }
}

static urd_err *end_and_emit(struct recorder *r, struct task *t)
{
    struct last_words words;
    int status;
    pid_t tid = t->tid;
    find_last_words(t, &words);
    if (t->mm->refs == 1) {
        foretell_last_words(r, t, &words);
        URD_TRY(recorder_emit(r));
        URD_TRY(recorder_resume(t, 0));
        t->state = TASK_BLOCKED; /* until waitpid says that it is gone */
        return NULL;
    }
    URD_TRY(recorder_resume(t, 0));
    t->state = TASK_BLOCKED;
    bool reaped = wait_for_end(tid, &status);
    for (unsigned i = 0; i < words.n; i++) {
        uint32_t now;
        if (urd_tracee_read(t->mem, words.addresses[i], &now, 4) == 4 && now != words.values[i])
            event_add_memory(&r->builder, t->mem, words.addresses[i], 4);
    }
    URD_TRY(recorder_emit(r));
    if (!reaped)
        return NULL;
    URD_TRY(recorder_note_status(r, tid, status));
    return NULL;
}

/** It was killed from outside: how far had it come? */
static urd_err *killed_where(struct recorder *r, struct task *t)
{
    struct user_regs_struct now;
    bool done = false;
    if (t->in_call)
        return NULL;
    URD_TRY(urd_tracee_get_regs(t->tid, &now));
    if (fast_is_inside(t, now.rip))
        return NULL;
    if (!preempt_has_run(t, &now))
        return NULL;
    if ((int64_t)now.orig_rax >=
        0) { /* in the kernel: on its way out of the last call, or into one whose stop never came */
        if (now.rip == t->last.rip && now.rax == t->last.rax)
            return NULL;
        t->entry = now;
        t->in_call = true;
        t->entered = t->has_checksum = false;
        return calls_emit_enter(r, t);
    }
    if (urd_cut_rep_end(t->mem, now.rip))
        urd_warn("task %d was killed in the middle of a repeated string instruction, which no "
                 "replay can stop in: what it "
                 "computed since its last event is not in the recording",
                 t->tid);
    else
        URD_TRY(preempt_take_cut(r, t, &now, &done));
    if (done) {
        t->is_fatal = t->has_fatal_cut = true;
        t->fatal = now;
    }
    return NULL;
}

urd_err *lives_exit(struct recorder *r, struct task *t)
{
    unsigned long message = 0;
    if (ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &message) != 0 && errno != ESRCH)
        URD_FAIL_ERRNO("cannot ask for the status of process %d", t->tid);
    if (!t->is_fatal)
        URD_TRY(killed_where(r, t));
    event_begin(&r->builder, URD_EVENT_EXIT, t->pid, t->tid);
    struct urd_event *e = &r->builder.event;
    e->status = (int32_t)message;
    e->signal = (int32_t)(message & 0x7f);
    e->before = t->last;
    if (t->is_fatal) {
        e->before = t->fatal;
        e->flags = URD_EVENT_RAN;
        e->cut = t->has_fatal_cut ? &t->cut : NULL;
    }
    e->after = e->before;
    t->exit_emitted = true;
    urd_stacks_add_former(&t->mm->former, e->before.rsp);
    return end_and_emit(r, t);
}

urd_err *lives_gone(struct recorder *r, struct task *t, int status)
{
    if (!t->exit_emitted) { /* by SIGKILL, without PTRACE_EVENT_EXIT before */
        event_begin(&r->builder, URD_EVENT_EXIT, t->pid, t->tid);
        struct urd_event *e = &r->builder.event;
        e->status = status;
        e->signal = status & 0x7f;
        e->before = e->after = t->last;
        urd_stacks_add_former(&t->mm->former, e->before.rsp);
        URD_TRY(recorder_emit(r));
    }
    if (t->tid == r->first_pid)
        r->first_status = status;
    URD_TRY(traced_gone(r, t, status));
    recorder_remove_task(r, t);
    return NULL;
}

struct task *lives_exec(struct recorder *r, pid_t tid)
{
    unsigned long former = 0;
    struct task *leader = recorder_find_task(r, tid);
    if (ptrace(PTRACE_GETEVENTMSG, tid, 0, &former) != 0 || (pid_t)former == tid)
        return leader;
    struct task *t = recorder_find_task(r, (pid_t)former);
    if (!t)
        return leader;
    if (leader)
        recorder_remove_task(r, leader);
    t->former_tid = (pid_t)former;
    t->tid = tid;
    return t;
}
