#include "replay/session.h"
#include "replay/fast.h"
#include "replay/run_translated.h"
#include "base/buf.h"
#include "base/log.h"
#include <cpuid.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "trace/checksum.h"
#include "trace/counter.h"

#define RESUME_FLAG 0x10000ull /* of eflags: set where a breakpoint stopped it */

static urd_err *read_next(struct urd_session *s)
{
    return urd_trace_next(s->reader, &s->next);
}

static void session_cleanup(struct urd_session **s)
{
    urd_session_close(*s);
}

void urd_session_cpuid(const struct urd_session *s, struct user_regs_struct *regs)
{
    struct urd_cpuid c;
    if (!urd_trace_info_cpuid(urd_trace_get_info(s->trace), (uint32_t)regs->rax,
                              (uint32_t)regs->rcx, &c))
        c = (struct urd_cpuid){0};
    regs->rax = c.eax;
    regs->rbx = c.ebx;
    regs->rcx = c.ecx;
    regs->rdx = c.edx;
    regs->rip += 2;
}

/** Does the core that this thread is pinned to answer as the recorded one did? */
static bool same_cpuid(const struct urd_trace_info *info)
{
    for (uint32_t i = 0; i < info->n_cpuid; i++) {
        const struct urd_cpuid *c = &info->cpuid[i];
        uint32_t a, b, x, d;
        __cpuid_count(c->leaf, c->subleaf == ~0u ? 0 : c->subleaf, a, b, x, d);
        if (a != c->eax || b != c->ebx || x != c->ecx || d != c->edx)
            return false;
    }
    return true;
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
            urd_log(1, "core %d of the recording is not here", urd_trace_get_info(trace)->core);
    }
    /* the variable is for tests: here there is but one processor */
    s->emulates_cpuid = getenv("URD_EMULATE_CPUID") || !same_cpuid(urd_trace_get_info(trace));
    URD_TRY(urd_trace_read_from(trace, 1, &s->reader));
    URD_TRY(read_next(s));
    *ret = s;
    s = NULL;
    return NULL;
}

static void release_process(struct urd_session *s, struct urd_process *p)
{
    if (!p || --p->refs)
        return;
    if (s->process_gone && p->user)
        s->process_gone(s->process_gone_data, p);
    urd_process_kill(p);
    free(p);
}

static void end_task(struct urd_session *s, struct urd_task *t)
{
    if (!t->exists)
        return;
    if (t->vectors && t->process->loaded == t->vectors)
        t->process->loaded = NULL;
    free(t->vectors);
    release_process(s, t->process);
    *t = (struct urd_task){0};
}

void urd_session_close(struct urd_session *s)
{
    if (!s)
        return;
    urd_runner_destroy(s->cutter);
    for (uint32_t i = 0; i < s->n_tasks; i++)
        end_task(s, &s->tasks[i]);
    free(s->tasks);
    urd_objects_deinit(&s->objects);
    urd_ahead_deinit(&s->ahead);
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
    *t = (struct urd_task){.pid = pid, .tid = tid, .exists = true};
    return t;
}

void urd_session_stacks(const struct urd_session *s, const struct urd_task *t, uint64_t sp,
                        struct urd_stacks *ret)
{
    *ret = (struct urd_stacks){0};
    URD_PUSH(ret->sps, ret->n, ret->capacity) = sp;
    for (uint32_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i].exists && &s->tasks[i] != t && s->tasks[i].process == t->process)
            URD_PUSH(ret->sps, ret->n, ret->capacity) = s->tasks[i].regs.rsp;
    urd_stacks_append(ret, &t->process->former);
}

static urd_err *save_vectors(struct urd_process *p, struct urd_vectors *v)
{
    size_t size = sizeof v->area;
    URD_TRY(urd_tracee_get_xstate(p->pid, v->area, &size));
    v->size = (uint32_t)size;
    return NULL;
}

urd_err *urd_task_load_vectors(struct urd_task *t)
{
    struct urd_process *p = t->process;
    if (p->loaded == t->vectors)
        return NULL;
    if (p->loaded)
        URD_TRY(save_vectors(p, p->loaded));
    p->loaded = NULL;
    if (t->vectors->size)
        URD_TRY(urd_tracee_set_xstate(p->pid, t->vectors->area, t->vectors->size));
    p->loaded = t->vectors;
    return NULL;
}

urd_err *urd_task_load(struct urd_task *t)
{
    URD_TRY(urd_task_load_vectors(t));
    struct user_regs_struct r = t->regs;
    r.orig_rax = (unsigned long long)-1;
    return urd_tracee_set_regs(t->process->pid, &r);
}

enum urd_stop urd_session_stop_wanted(const struct urd_event *e)
{
    if (e->cut)
        return URD_STOP_CUT;
    return e->kind == URD_EVENT_SIGNAL || e->kind == URD_EVENT_INSN || e->kind == URD_EVENT_EXIT
               ? URD_STOP_SIGNAL
               : URD_STOP_SYSCALL;
}

/** It stopped: at a CPUID that is not to be answered by this processor? Then it can go on. */
static urd_err *answer_cpuid(const struct urd_session *s, struct urd_task *t, int status,
                             bool *ret_answered)
{
    struct user_regs_struct regs;
    uint8_t code[2] = {0};
    *ret_answered = false;
    if (!s->emulates_cpuid || WSTOPSIG(status) != SIGSEGV)
        return NULL;
    URD_TRY(urd_tracee_get_regs(t->process->pid, &regs));
    urd_tracee_read(t->process->mem, regs.rip, code, sizeof code);
    *ret_answered = code[0] == 0x0f && code[1] == 0xa2;
    if (!*ret_answered)
        return NULL;
    urd_session_cpuid(s, &regs);
    return urd_tracee_set_regs(t->process->pid, &regs);
}

/**
 * Where this processor counts, too, the better part of the way to a counted cut is run natively. *ret_stop is CUT, or why it stopped before.
 */
static urd_err *approach_cut(struct urd_session *s, struct urd_task *t, enum urd_stop *ret_stop)
{
    *ret_stop = URD_STOP_CUT;
    if (!s->next->cut->counted || !urd_counter_kind(NULL))
        return NULL;
    pid_t pid = t->process->pid;
    uint64_t count;
    int status;
    bool answered = true;
    urd_fast_hide(t->process);
    URD_TRY(urd_task_load(t));
    while (answered) {
        answered = false;
        URD_TRY(urd_counter_run(pid, PTRACE_SYSEMU, s->next->cut->branches - s->branches, &count,
                                &status));
        s->branches += count;
        s->in_interval = true;
        if (status && !WIFSTOPPED(status))
            return urd_session_diverged(s, t, "the replayed process died");
        if (status)
            URD_TRY(answer_cpuid(s, t, status, &answered));
    }
    URD_TRY(urd_tracee_get_regs(pid, &t->regs));
    if (status)
        *ret_stop = WSTOPSIG(status) == (SIGTRAP | 0x80) ? URD_STOP_SYSCALL : URD_STOP_SIGNAL;
    return NULL;
}

/** Translated code finds the state; what it leaves behind in the processes is gone before they run natively again. */
static urd_err *run_to_cut(struct urd_session *s, enum urd_stop *ret_stop)
{
    enum urd_run_end end;
    URD_TRY(approach_cut(s, urd_session_running(s), ret_stop));
    if (*ret_stop != URD_STOP_CUT)
        return NULL;
    if (!s->cutter)
        URD_TRY(urd_runner_create_cutter(s, &s->cutter));
    URD_TRY(urd_runner_run(s->cutter, NULL, &end));
    URD_TRY(urd_runner_park(s->cutter));
    *ret_stop = end == URD_RUN_EVENT     ? URD_STOP_CUT
                : end == URD_RUN_SYSCALL ? URD_STOP_SYSCALL
                                         : URD_STOP_SIGNAL;
    return NULL;
}

void urd_session_settle(struct urd_session *s)
{
    for (uint32_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i].exists)
            urd_fast_hide(s->tasks[i].process);
}

static void note_recent(struct urd_session *s, const struct urd_event *e)
{
    memmove(s->recent + 1, s->recent, sizeof s->recent - sizeof *s->recent);
    s->recent[0].number = e->number;
    s->recent[0].kind = e->kind;
    s->recent[0].tid = e->tid;
    s->recent[0].syscall = e->syscall;
}

urd_err *urd_session_go_past(struct urd_session *s)
{
    const struct urd_event *e = s->next;
    if (e->output && s->output)
        s->output(s->output_data, e->output, e->output_data, e->output_size);
    note_recent(s, e);
    s->event = e->number;
    s->in_interval = false;
    s->branches = 0;
    return read_next(s);
}

/** The task has stopped: past the events that it played back by itself. */
static urd_err *past_played(struct urd_session *s, struct urd_task *t)
{
    uint64_t n;
    URD_TRY(urd_fast_done(s, t, &n));
    for (; n; n--)
        URD_TRY(urd_session_go_past(s));
    return NULL;
}

/** A signal in the region is a fault there; the task goes on to the call that it was about to play back. */
static urd_err *leave_region(struct urd_task *t, int status, bool *ret_left)
{
    struct user_regs_struct regs;
    *ret_left = false;
    if (!t->process->fast || WSTOPSIG(status) == (SIGTRAP | 0x80))
        return NULL;
    URD_TRY(urd_tracee_get_regs(t->process->pid, &regs));
    uint64_t at = regs.rip;
    URD_TRY(urd_fast_leave(t->process, &regs));
    *ret_left = regs.rip != at;
    return NULL;
}

urd_err *urd_session_run_native(struct urd_session *s, uint64_t limit,
                                const volatile int *interrupt, enum urd_stop *ret_stop)
{
    struct urd_task *t = urd_session_running(s);
    urd_check(t, "nothing runs before event %llu", (unsigned long long)s->event + 1);
    if (s->next->cut)
        return run_to_cut(s, ret_stop);
    pid_t pid = t->process->pid;
    URD_TRY(urd_fast_fill(s, t, limit));
    URD_TRY(urd_task_load(t));
    int status;
    bool asked = false, goes_on = false;
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
        URD_TRY(answer_cpuid(s, t, status, &goes_on));
        if (!goes_on)
            URD_TRY(leave_region(t, status, &goes_on));
        if (!goes_on)
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
    if (*ret_stop == URD_STOP_INTERRUPTED) /* perhaps in the middle of playing one back */
        URD_TRY(urd_fast_leave(t->process, &t->regs));
    URD_TRY(past_played(s, t));
    s->in_interval = *ret_stop == URD_STOP_INTERRUPTED;
    if (s->in_interval)
        urd_fast_hide(t->process);
    return NULL;
}

urd_err *urd_session_run_to(struct urd_session *s, uint64_t pc, uint64_t hits)
{
    struct urd_task *t = urd_session_running(s);
    urd_check(t && !(s->next->cut && s->next->cut->counted), "nobody counts branches here");
    urd_fast_hide(t->process);
    URD_TRY(urd_task_load(t));
    s->in_interval = true;
    pid_t pid = t->process->pid;
    int status;
    bool goes_on = true;
    while (hits && goes_on) {
        URD_TRY(urd_tracee_run_to_hit(pid, pc, &hits, &status));
        if (!WIFSTOPPED(status))
            return urd_session_diverged(s, t, "the replayed process died");
        if (hits)
            URD_TRY(answer_cpuid(s, t, status, &goes_on));
    }
    URD_TRY(urd_tracee_get_regs(pid, &t->regs));
    t->regs.eflags &= ~RESUME_FLAG;
    if (hits)
        return urd_session_diverged(s, t, "it stopped before it came to where the index has it");
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
           (expected->eflags & URD_FLAGS_CHECKED) == (actual->eflags & URD_FLAGS_CHECKED);
}

static bool is_call(const struct urd_event *e)
{
    return e->syscall >= 0;
}

static urd_err *check_before(struct urd_session *s, struct urd_task *t)
{
    const struct urd_event *e = s->next;
    if (is_call(e) && e->syscall != (int32_t)t->regs.orig_rax)
        return urd_session_diverged(s, t, "it made another system call");
    if (!same_registers(&e->before, &t->regs, is_call(e)))
        return urd_session_diverged(s, t, "its registers differ");
    if (e->has_checksum && s->check_memory) {
        uint64_t sum, bytes;
        struct urd_stacks stacks;
        urd_session_stacks(s, t, t->regs.rsp, &stacks);
        urd_err *err = urd_checksum_memory(t->process->pid, t->process->mem, URD_MEMORY_PRIVATE,
                                           &stacks, &sum, &bytes);
        free(stacks.sps);
        URD_TRY(err);
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
        if (urd_tracee_write(t->process->mem, w->address, w->data, w->size) != w->size &&
            !urd_objects_write(&s->objects, t->process, w))
            URD_FAIL("event %llu writes %llu bytes at %#llx, where the replay has no memory",
                     (unsigned long long)e->number, (unsigned long long)w->size,
                     (unsigned long long)w->address);
    }
    return NULL;
}

struct urd_process **urd_session_processes(const struct urd_session *s, uint32_t *ret_n)
{
    struct urd_process **processes = urd_xcalloc(s->n_tasks + 1, sizeof *processes);
    *ret_n = 0;
    for (uint32_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i].exists)
            processes[(*ret_n)++] = s->tasks[i].process;
    return processes;
}

static urd_err *drop_unused_objects(struct urd_session *s)
{
    uint32_t n;
    URD_AUTO_FREE struct urd_process **processes = urd_session_processes(s, &n);
    URD_TRY(urd_objects_drop_unused(&s->objects, processes, n));
    return NULL;
}

static urd_err *apply_memory(struct urd_session *s, struct urd_task *t, const struct urd_event *e)
{
    for (uint32_t i = 0; i < e->n_map_ops; i++) {
        const struct urd_map_op *op = &e->map_ops[i];
        if (urd_objects_concern(op)) {
            if (urd_objects_are_many(&s->objects))
                URD_TRY(drop_unused_objects(s));
            URD_TRY(urd_objects_map(&s->objects, t->process, s->trace, op));
            continue;
        }
        URD_TRY(urd_process_map(t->process, s->trace, op));
        s->has_shared |= op->kind == URD_MAP_MAP && op->shared && !op->file;
    }
    URD_TRY(write_memory(s, t, e));
    if (e->xstate) {
        URD_TRY(urd_task_load_vectors(t));
        URD_TRY(urd_tracee_set_xstate(t->process->pid, e->xstate, e->xstate_size));
    }
    return NULL;
}

static urd_err *apply_exec(struct urd_session *s, const struct urd_event *e)
{
    for (unsigned i = 0; i < 2; i++) { /* a thread that execs becomes the process's first one */
        struct urd_task *old = urd_session_task(s, i ? e->other_tid : e->tid);
        if (old)
            end_task(s, old);
    }
    struct urd_process *p = urd_xcalloc(1, sizeof *p);
    urd_err *err = urd_process_spawn(p);
    if (!err && s->emulates_cpuid)
        err = urd_process_trap_cpuid(p);
    if (err) {
        free(p);
        return urd_err_hop(err, __func__, __FILE__, __LINE__);
    }
    struct urd_task *t = new_task(s, e->pid, e->tid);
    t->process = p;
    p->refs = 1;
    t->space = ++s->n_spaces;
    URD_TRY(apply_memory(s, t, e));
    t->regs = e->after;
    return NULL;
}

/** A thread or vfork child: the same process; now the vector registers of both must be kept apart. */
static urd_err *share_process(struct urd_task *parent, struct urd_task *t)
{
    struct urd_process *p = parent->process;
    if (!parent->vectors)
        p->loaded = parent->vectors = urd_xcalloc(1, sizeof *parent->vectors);
    t->vectors = urd_xcalloc(1, sizeof *t->vectors);
    t->process = p;
    p->refs++;
    return save_vectors(p, t->vectors);
}

static urd_err *apply_start(struct urd_session *s, const struct urd_event *e)
{
    struct urd_task *parent = urd_session_task(s, e->other_tid);
    if (!parent)
        URD_FAIL("event %llu starts a child of task %d, which is not there",
                 (unsigned long long)e->number, e->other_tid);
    URD_TRY(urd_task_load_vectors(parent));
    struct urd_process *copy = NULL;
    if (!(e->flags & URD_EVENT_SHARES)) {
        copy = urd_xcalloc(1, sizeof *copy);
        urd_err *err = urd_process_fork(parent->process, copy);
        if (err) {
            free(copy);
            return urd_err_hop(err, __func__, __FILE__, __LINE__);
        }
    }
    if (copy && urd_trace_get_info(s->trace)->former_stacks) {
        struct urd_stacks stacks;
        urd_session_stacks(s, parent, parent->regs.rsp, &stacks);
        for (size_t i = 0; i < stacks.n; i++)
            urd_stacks_add_former(&copy->former, stacks.sps[i]);
        free(stacks.sps);
    }
    struct urd_task *t = new_task(s, e->pid, e->tid); /* may move the parent */
    parent = urd_session_task(s, e->other_tid);
    t->regs = e->after;
    if (copy) {
        copy->refs = 1;
        t->process = copy;
        t->space = ++s->n_spaces;
    } else {
        t->space = parent->space;
        URD_TRY(share_process(parent, t));
    }
    return apply_memory(s, t, e); /* what the kernel has not copied is map operations */
}

static urd_err *apply_exit(struct urd_session *s, struct urd_task *t, const struct urd_event *e)
{
    URD_TRY(write_memory(s, t, e)); /* others may share it */
    if (urd_trace_get_info(s->trace)->former_stacks)
        urd_stacks_add_former(&t->process->former, e->before.rsp);
    end_task(s, t);
    return NULL;
}

urd_err *urd_session_apply(struct urd_session *s)
{
    return s->cutter ? urd_runner_apply(s->cutter) : urd_session_apply_event(s);
}

urd_err *urd_session_apply_event(struct urd_session *s)
{
    const struct urd_event *e = s->next;
    struct urd_task *t = urd_session_task(s, e->tid);
    if (t && e->kind != URD_EVENT_EXEC)
        urd_fast_before(t->process, e);
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
        URD_TRY(apply_exit(s, t, e));
        break;
    case URD_EVENT_END:
        break;
    case URD_EVENT_MEMORY:
        URD_TRY(apply_memory(s, t, e));
        if (e->flags & URD_EVENT_REGISTERS)
            t->regs = e->after;
        break;
    case URD_EVENT_SIGNAL:
        if (urd_trace_get_info(s->trace)->handlers_stacks)
            urd_stacks_add_handlers(&t->process->former, e->before.rsp, e->after.rsp);
        /* fall through */
    default:
        URD_TRY(apply_memory(s, t, e));
        t->regs = e->after;
    }
    if (e->n_patches && (t = urd_session_task(s, e->tid)))
        urd_fast_note(t->process, e);
    return urd_session_go_past(s);
}

urd_err *urd_session_next(struct urd_session *s, uint64_t limit)
{
    struct urd_task *t = urd_session_running(s);
    if (t) {
        enum urd_stop stop;
        URD_TRY(urd_session_run_native(s, limit, NULL, &stop));
        if (stop != urd_session_stop_wanted(s->next))
            return urd_session_diverged(s, t,
                                        stop == URD_STOP_SIGNAL ? "it raised a signal instead"
                                                                : "it made a system call instead");
    }
    return urd_session_apply(s);
}

urd_err *urd_session_to_event(struct urd_session *s, uint64_t event)
{
    while (s->event < event && s->next)
        URD_TRY(urd_session_next(s, event));
    urd_session_settle(s);
    if (s->event < event)
        URD_WRONG("there is no event %llu; the trace ends with event %llu",
                  (unsigned long long)event, (unsigned long long)s->event);
    return NULL;
}
