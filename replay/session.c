#include "replay/session.h"
#include "base/buf.h"
#include "base/log.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "trace/checksum.h"

#define FLAGS_CHECKED 0xcd5ull /* the arithmetic flags and DF: TF and RF belong to whoever debugs */

static urd_err *read_next(struct urd_session *s)
{
    return urd_trace_next(s->reader, &s->next);
}

static void session_cleanup(struct urd_session **s)
{
    urd_session_close(*s);
}

urd_err *urd_session_open(struct urd_trace *trace, bool native, struct urd_session **ret)
{
    URD_CLEANUP(session_cleanup) struct urd_session *s = urd_xcalloc(1, sizeof *s);
    s->trace = trace;
    s->check_memory = native;
    if (native) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(urd_trace_get_info(trace)->core, &set);
        if (sched_setaffinity(0, sizeof set, &set) != 0)
            urd_log(1, "core %d of the recording is not here: CPUID may differ",
                    urd_trace_get_info(trace)->core);
    }
    URD_TRY(urd_trace_read_from(trace, 1, &s->reader));
    URD_TRY(read_next(s));
    *ret = s;
    s = NULL;
    return NULL;
}

static void end_task(struct urd_session *s, struct urd_task *t)
{
    if (!t->exists)
        return;
    if (s->task_gone)
        s->task_gone(s->task_gone_data, t);
    t->user = NULL;
    urd_process_kill(&t->process);
    t->exists = false;
}

void urd_session_close(struct urd_session *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n_tasks; i++)
        end_task(s, &s->tasks[i]);
    free(s->tasks);
    urd_objects_deinit(&s->objects);
    urd_trace_reader_close(s->reader);
    free(s);
}

struct urd_task *urd_session_task(struct urd_session *s, int32_t tid)
{
    for (uint32_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i].exists && s->tasks[i].tid == tid)
            return &s->tasks[i];
    return NULL;
}

struct urd_task *urd_session_running(struct urd_session *s)
{
    if (!s->next || !(s->next->flags & URD_EVENT_RAN))
        return NULL;
    return urd_session_task(s, s->next->tid);
}

static struct urd_task *new_task(struct urd_session *s, int32_t pid, int32_t tid)
{
    struct urd_task *t = NULL;
    for (uint32_t i = 0; i < s->n_tasks && !t; i++)
        if (!s->tasks[i].exists)
            t = &s->tasks[i];
    if (!t) {
        URD_PUSH(s->tasks, s->n_tasks, s->cap_tasks) = (struct urd_task){0};
        t = &s->tasks[s->n_tasks - 1];
    }
    *t = (struct urd_task){.pid = pid, .tid = tid, .exists = true, .process = {.mem = -1}};
    return t;
}

urd_err *urd_task_load(struct urd_task *t)
{
    struct user_regs_struct r = t->regs;
    r.orig_rax = (unsigned long long)-1;
    return urd_tracee_set_regs(t->process.pid, &r);
}

urd_err *urd_session_run_native(struct urd_session *s, const volatile int *interrupt,
                                enum urd_stop *ret_stop)
{
    struct urd_task *t = urd_session_running(s);
    urd_check(t, "nothing runs before event %llu", (unsigned long long)s->event + 1);
    pid_t pid = t->process.pid;
    URD_TRY(urd_task_load(t));
    int status;
    bool asked = false;
    for (;;) {
        if (ptrace(PTRACE_SYSEMU, pid, 0, 0) != 0)
            URD_FAIL_ERRNO("cannot resume process %d", pid);
        while (waitpid(pid, &status, __WALL) < 0) {
            if (errno != EINTR)
                URD_FAIL_ERRNO("cannot wait for process %d", pid);
            if (interrupt && *interrupt && !asked) {
                asked = true;
                kill(pid, SIGSTOP); /* works for traced and for seized processes alike */
            }
        }
        if (!WIFSTOPPED(status))
            return urd_session_diverged(s, t, "the replayed process died");
        if (WSTOPSIG(status) == SIGSTOP || status >> 16) {
            if (!asked)
                continue;
            asked = false;
            break;
        }
        break;
    }
    URD_TRY(urd_tracee_get_regs(pid, &t->regs));
    if (asked) { /* it stopped by itself at the same time: take the SIGSTOP that is under way */
        int ignored;
        struct user_regs_struct keep = t->regs;
        if (ptrace(PTRACE_SYSEMU, pid, 0, 0) != 0 || waitpid(pid, &ignored, __WALL) < 0)
            URD_FAIL_ERRNO("cannot take a stop of process %d", pid);
        t->regs = keep;
    }
    if (WSTOPSIG(status) == (SIGTRAP | 0x80))
        *ret_stop = URD_STOP_SYSCALL;
    else if (WSTOPSIG(status) == SIGSTOP || status >> 16)
        *ret_stop = URD_STOP_INTERRUPTED;
    else
        *ret_stop = URD_STOP_SIGNAL;
    s->in_interval = *ret_stop == URD_STOP_INTERRUPTED;
    return NULL;
}

static bool same_registers(const struct user_regs_struct *expected,
                           const struct user_regs_struct *actual, bool at_call)
{
    for (unsigned i = 0; i < 16; i++) {
        if (at_call && (i == 0 || i == 1 || i == 11)) /* rax, rcx, r11 belong to the call */
            continue;
        if (*urd_reg_slot((struct user_regs_struct *)expected, i) !=
            *urd_reg_slot((struct user_regs_struct *)actual, i))
            return false;
    }
    return expected->rip == actual->rip && expected->fs_base == actual->fs_base &&
           (expected->eflags & FLAGS_CHECKED) == (actual->eflags & FLAGS_CHECKED);
}

static bool is_call(const struct urd_event *e)
{
    return e->syscall >= 0;
}

static urd_err *check_before(struct urd_session *s, struct urd_task *t)
{
    const struct urd_event *e = s->next;
    if (is_call(e) && (uint64_t)e->syscall != t->regs.orig_rax)
        return urd_session_diverged(s, t, "it made another system call");
    if (!same_registers(&e->before, &t->regs, is_call(e)))
        return urd_session_diverged(s, t, "its registers differ");
    if (e->has_checksum && s->check_memory) {
        uint64_t sum, bytes;
        URD_TRY(urd_checksum_memory(t->process.pid, t->process.mem, &sum, &bytes));
        if (sum != e->checksum)
            return urd_session_diverged(s, t, "its memory differs");
        s->checksums_compared++;
    }
    return NULL;
}

static urd_err *write_memory(struct urd_session *s, struct urd_task *t, const struct urd_event *e)
{
    for (uint32_t i = 0; i < e->n_writes; i++) {
        const struct urd_mem_write *w = &e->writes[i];
        if (urd_tracee_write(t->process.mem, w->address, w->data, w->size) != w->size &&
            !urd_objects_write(&s->objects, &t->process, w))
            URD_FAIL("event %llu writes %llu bytes at %#llx, where the replay has no memory",
                     (unsigned long long)e->number, (unsigned long long)w->size,
                     (unsigned long long)w->address);
    }
    return NULL;
}

static urd_err *apply_memory(struct urd_session *s, struct urd_task *t, const struct urd_event *e)
{
    for (uint32_t i = 0; i < e->n_map_ops; i++) {
        const struct urd_map_op *op = &e->map_ops[i];
        if (urd_objects_concern(op)) {
            URD_TRY(urd_objects_map(&s->objects, &t->process, s->trace, op));
            continue;
        }
        URD_TRY(urd_process_map(&t->process, s->trace, op));
        s->has_shared |= op->kind == URD_MAP_MAP && op->shared && !op->file;
    }
    URD_TRY(write_memory(s, t, e));
    if (e->xstate)
        URD_TRY(urd_tracee_set_xstate(t->process.pid, e->xstate, e->xstate_size));
    return NULL;
}

static urd_err *apply_exec(struct urd_session *s, const struct urd_event *e)
{
    struct urd_task *t = urd_session_task(s, e->tid);
    if (t)
        end_task(s, t);
    t = new_task(s, e->pid, e->tid);
    URD_TRY(urd_process_spawn(&t->process));
    t->space = ++s->n_spaces;
    URD_TRY(apply_memory(s, t, e));
    t->regs = e->after;
    return NULL;
}

static urd_err *apply_start(struct urd_session *s, const struct urd_event *e)
{
    struct urd_task *parent = urd_session_task(s, e->other_tid);
    if (!parent)
        URD_FAIL("event %llu starts a child of task %d, which is not there",
                 (unsigned long long)e->number, e->other_tid);
    struct urd_process copy;
    bool shares = e->flags & URD_EVENT_VFORK;
    URD_TRY(urd_process_fork(&parent->process, shares, &copy));
    uint32_t space = parent->space;
    int32_t shares_with = shares ? parent->tid : 0;
    struct urd_task *t = new_task(s, e->pid, e->tid); /* may move the parent */
    t->process = copy;
    t->space = shares ? space : ++s->n_spaces;
    t->shares_with = shares_with;
    URD_TRY(write_memory(s, t, e));
    t->regs = e->after;
    return NULL;
}

static void note_recent(struct urd_session *s, const struct urd_event *e)
{
    memmove(s->recent + 1, s->recent, sizeof s->recent - sizeof *s->recent);
    s->recent[0].number = e->number;
    s->recent[0].kind = e->kind;
    s->recent[0].tid = e->tid;
    s->recent[0].syscall = e->syscall;
}

urd_err *urd_session_apply(struct urd_session *s)
{
    const struct urd_event *e = s->next;
    struct urd_task *t = urd_session_task(s, e->tid);
    if (!t && e->kind != URD_EVENT_EXEC && e->kind != URD_EVENT_START && e->kind != URD_EVENT_END)
        URD_FAIL("event %llu is of task %d, which is not there", (unsigned long long)e->number,
                 e->tid);
    if (e->flags & URD_EVENT_RAN)
        URD_TRY(check_before(s, t));
    switch (e->kind) {
    case URD_EVENT_EXEC:
        URD_TRY(apply_exec(s, e));
        break;
    case URD_EVENT_START:
        URD_TRY(apply_start(s, e));
        break;
    case URD_EVENT_EXIT:
        end_task(s, t);
        break;
    case URD_EVENT_END:
        break;
    case URD_EVENT_MEMORY:
        URD_TRY(write_memory(s, t, e));
        break;
    default:
        URD_TRY(apply_memory(s, t, e));
        t->regs = e->after;
    }
    if (e->output && s->output)
        s->output(s->output_data, e->output, e->output_data, e->output_size);
    note_recent(s, e);
    s->event = e->number;
    s->in_interval = false;
    return read_next(s);
}

static bool stop_fits(const struct urd_event *e, enum urd_stop stop)
{
    bool by_code =
        e->kind == URD_EVENT_SIGNAL || e->kind == URD_EVENT_INSN || e->kind == URD_EVENT_EXIT;
    return stop == (by_code ? URD_STOP_SIGNAL : URD_STOP_SYSCALL);
}

urd_err *urd_session_next(struct urd_session *s)
{
    struct urd_task *t = urd_session_running(s);
    if (t) {
        enum urd_stop stop;
        URD_TRY(urd_session_run_native(s, NULL, &stop));
        if (!stop_fits(s->next, stop))
            return urd_session_diverged(s, t,
                                        stop == URD_STOP_SIGNAL ? "it raised a signal instead"
                                                                : "it made a system call instead");
    }
    return urd_session_apply(s);
}

urd_err *urd_session_to_event(struct urd_session *s, uint64_t event)
{
    while (s->event < event && s->next)
        URD_TRY(urd_session_next(s));
    if (s->event < event)
        URD_WRONG("there is no event %llu; the trace ends with event %llu",
                  (unsigned long long)event, (unsigned long long)s->event);
    return NULL;
}
