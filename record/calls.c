#include "record/calls.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/cloned.h"
#include "record/fast.h"
#include "record/futexes.h"
#include "record/others.h"
#include "record/outside.h"
#include "record/signals.h"
#include "record/record.h"
#include "record/requests.h"
#include "record/traced.h"
#include "record/waits.h"
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's own codes for "call me again" (include/linux/errno.h); a process never sees them. */
bool calls_restarts(int64_t result)
{
    return result == -512 || result == -513 || result == -514 || result == -516;
}

const char *urd_record_syscall_name(int number)
{
    const struct urd_syscall_entry *s = urd_record_syscall(number);
    return s ? s->name : NULL;
}

int urd_record_syscall_number(const char *name)
{
    for (int i = 0; i < 600; i++) {
        const struct urd_syscall_entry *s = urd_record_syscall(i);
        if (s && strcmp(s->name, name) == 0)
            return i;
    }
    return -1;
}

#define CS_32_BIT 0x23 /* __USER32_CS, arch/x86/include/asm/segment.h */

static const struct urd_syscall_entry unknown_call = {-1, "unknown", "e", "", "not in the table"};

static const struct urd_syscall_entry *look_up(const struct user_regs_struct *regs)
{
    const struct urd_syscall_entry *call = urd_record_syscall((int)regs->orig_rax);
    return call ? call : &unknown_call;
}

static void apply_flags(struct recorder *r, struct task *t, int number)
{
    t->cancelled = false;
    if (t->call == &unknown_call && number >= 0 && number < 600 && !r->warned[number]) {
        r->warned[number] = true;
        urd_warn("system call %d is not in the table and was answered ENOSYS "
                 "(docs/how-to-add-a-system-call.md)",
                 number);
    }
    const char *refuse = t->call->why ? t->call->flags : NULL;
    if (!refuse)
        return;
    if (t->call != &unknown_call && !r->warned[number]) {
        r->warned[number] = true;
        urd_log(1, "%s was not made: %s", t->call->name, t->call->why);
    }
    t->cancelled = true;
    t->forced = *refuse == 'e' ? -ENOSYS : *refuse == 'p' ? -EPERM : 0;
}

urd_err *calls_prepare(struct recorder *r, struct task *t)
{
    const struct user_regs_struct *regs = &t->entry;
    t->clone = (struct clone_request){0};
    t->call = look_up(regs);
    apply_flags(r, t, (int)regs->orig_rax);
    if ((int)regs->orig_rax == -1) /* its tracer leaves the call out, and has set a result */
        t->forced = (int64_t)regs->rax;
    for (unsigned i = 1; i <= 6; i++) {
        t->lengths[i - 1] = 0;
        if (strchr(t->call->outputs, '*'))
            urd_tracee_read(t->mem, urd_syscall_arg(regs, i), &t->lengths[i - 1], 4);
    }
    if (!t->cancelled && r->exec_seen && urd_syscall_has_flag(t->call, '@'))
        URD_TRY(special_entry(r, t));
    fast_before_call(r, t);
    URD_TRY(recorder_checksum(r, t));
    return t->cancelled ? calls_refuse(t, t->forced) : waits_entry(r, t);
}

urd_err *calls_entry(struct recorder *r, struct task *t)
{
    struct user_regs_struct regs;
    URD_TRY(urd_tracee_get_regs(t->tid, &regs));
    bool again = t->held_exit; /* the kernel makes the same call again: it never returned */
    t->held_exit = false;
    t->in_call = true;
    if (!again) {
        t->entry = regs;
        t->call = look_up(&regs);
        outside_stopped(r);
        t->resumed_ns = 0;
        t->entered = t->execed = t->has_checksum = t->cancelled = t->signal_due = false;
    }
    if (traced_wants_calls(t))
        return traced_entry(r, t, again);
    return again ? waits_entry(r, t) : calls_prepare(r, t);
}

bool calls_answer(struct task *t, uint64_t address, const void *data, uint64_t size)
{
    size_t written = urd_tracee_write(t->mem, address, data, size);
    t->answers[t->n_answers++] = (struct answer){address, written};
    return written == size;
}

urd_err *calls_refuse(struct task *t, int64_t result)
{
    struct user_regs_struct none = t->entry;
    t->cancelled = true;
    t->forced = result;
    none.orig_rax = (unsigned long long)-1;
    return urd_tracee_set_regs(t->tid, &none);
}

urd_err *calls_leave_out(struct task *t)
{
    t->call = &unknown_call;
    return calls_refuse(t, (int64_t)t->entry.rax);
}

/** The task ran up to the call only before the first ENTER of it. */
static void begin_enter(struct recorder *r, struct task *t)
{
    bool ran = !t->entered;
    t->entered = true;
    event_begin(&r->builder, URD_EVENT_SYSCALL_ENTER, t->pid, t->tid);
    struct urd_event *e = &r->builder.event;
    e->flags = ran ? URD_EVENT_RAN : 0;
    e->syscall = (int32_t)t->entry.orig_rax;
    e->before = e->after = t->entry;
    e->has_checksum = t->has_checksum && ran;
    e->checksum = t->checksum;
    futexes_add_entered(&r->builder, t);
}

urd_err *calls_emit_enter(struct recorder *r, struct task *t)
{
    if (t->entered || !t->in_call || t->exit_emitted)
        return NULL;
    begin_enter(r, t);
    URD_TRY(recorder_emit(r));
    return NULL;
}

urd_err *calls_emit_held(struct recorder *r, struct task *t)
{
    bool ran = !t->entered;
    begin_enter(r, t);
    urd_record_outputs(t->call, &r->builder, t->mem, &t->entry, -EINTR, t->lengths);
    if (!ran && !r->builder.n_writes)
        return NULL;
    return recorder_emit(r);
}

static urd_err *emit_exit(struct recorder *r, struct task *t, const struct user_regs_struct *now)
{
    event_begin(&r->builder, t->entered ? URD_EVENT_SYSCALL_EXIT : URD_EVENT_SYSCALL, t->pid,
                t->tid);
    struct urd_event *e = &r->builder.event;
    e->flags = t->entered ? 0 : URD_EVENT_RAN;
    e->syscall = (int32_t)t->entry.orig_rax;
    e->before = t->entry;
    e->after = *now;
    e->has_checksum = t->has_checksum && !t->entered;
    e->checksum = t->checksum;
    int64_t result = special_was_made(t, now) ? (int64_t)now->rax : -ENOSYS;
    for (unsigned i = 0; i < t->n_answers; i++)
        event_add_memory(&r->builder, t->mem, t->answers[i].address, t->answers[i].size);
    t->n_answers = 0;
    if (!t->cancelled) {
        if (!cloned_read(r, t, result))
            urd_record_outputs(t->call, &r->builder, t->mem, &t->entry, result, t->lengths);
        if (urd_syscall_has_flag(t->call, '@'))
            URD_TRY(special_exit(r, t, now, result));
    }
    URD_TRY(recorder_emit(r));
    if (!t->cancelled && urd_syscall_has_flag(t->call, '@'))
        URD_TRY(others_changed(r, t, result));
    return requests_made(r, t);
}

/** A 32-bit program has other calls, other signal frames, other registers: it ends here, and the recording goes on. */
static urd_err *refuse_32_bit(struct recorder *r, struct task *t)
{
    urd_warn("process %d started a 32-bit program, which urd cannot record: it was killed", t->pid);
    t->in_call = true; /* exec does not return */
    URD_TRY(calls_emit_enter(r, t));
    kill(t->pid, SIGKILL);
    return NULL;
}

static urd_err *emit_exec(struct recorder *r, struct task *t, struct user_regs_struct *now)
{
    if (now->cs == CS_32_BIT)
        return refuse_32_bit(r, t);
    struct mm *old = t->mm;
    t->mm = urd_xcalloc(1, sizeof *t->mm);
    t->mm->refs = 1;
    recorder_release_mm(old);
    close(t->mem);
    t->mem = urd_tracee_open_mem(t->tid);
    t->clear_tid = 0;
    URD_TRY(layout_hide_vdso(t, now->rsp));
    event_begin(&r->builder, URD_EVENT_EXEC, t->pid, t->tid);
    struct urd_event *e = &r->builder.event;
    e->flags = t->entered ? 0 : URD_EVENT_RAN;
    e->syscall = (int32_t)t->entry.orig_rax;
    e->before = t->entry;
    e->after = *now;
    e->other_tid = t->former_tid;
    t->former_tid = 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/%d/exe", t->pid);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    r->builder.text = strdup(path);
    URD_TRY(layout_after_exec(r, t));
    URD_TRY(recorder_emit(r));
    return fast_after_exec(r, t, now);
}

urd_err *calls_exit(struct recorder *r, struct task *t)
{
    struct user_regs_struct now;
    URD_TRY(urd_tracee_get_regs(t->tid, &now));
    t->in_call = false;
    if (t->execed) {
        pid_t by = t->former_tid ? t->former_tid : t->tid;
        t->execed = false;
        URD_TRY(emit_exec(r, t, &now));
        traced_execed(t, by);
    } else {
        URD_TRY(requests_answer(r, t));
        URD_TRY(waits_exit(r, t, &now));
        if (t->cancelled && !t->held_exit) {
            now.rax = (unsigned long long)t->forced;
            if (t->tracing.tracer) /* which sees what call it was */
                now.orig_rax = t->entry.orig_rax;
            URD_TRY(urd_tracee_set_regs(t->tid, &now));
        }
        URD_TRY(fast_hide_filter(t, &now));
        if (t->held_exit || (!t->cancelled && calls_restarts((int64_t)now.rax))) {
            t->held_exit = true;
            t->in_call = true; /* for all that can be seen from outside */
            t->last = now;
            return NULL;
        }
        URD_TRY(emit_exit(r, t, &now));
        URD_TRY(fast_after_call(r, t, &now));
    }
    t->last = now;
    t->behind_handler = t->call->number == SYS_rt_sigreturn;
    if (t->behind_handler) /* it has no number any more by which preempt_has_run could tell */
        signals_note_due(t);
    r->turn_over |= t->call->number == SYS_sched_yield;
    return NULL;
}

urd_err *calls_emit_held_exit(struct recorder *r, struct task *t)
{
    if (!t->held_exit)
        return NULL;
    t->held_exit = false;
    t->in_call = false;
    struct user_regs_struct now = t->last;
    URD_TRY(emit_exit(r, t, &now));
    return NULL;
}
