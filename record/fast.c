/* The fast path, seen from the recorder.
 *
 * Every image gets the runtime region (record/runtime/runtime.h) before its first instruction. A call site that is used gets
 * a jump to it (record/patch.c). What the region's code cannot decide alone goes to the traced call.
 *
 * - The ring is drained at every stop of a task that has run, before anything else is written, and by the timer. Its records become
 *   the SYSCALL events that traced calls would have been: a replay knows nothing of the fast path.
 * - No task is ever left in the region. When a signal or a switch finds one there, it runs on to one of two places, where breakpoints
 *   are: the last instruction, behind a finished call, which is an event, so that the signal is delivered
 *   there; or the system call instruction, before the call is made. There, or when the call was interrupted and would be
 *   restarted, it is sent back to its own call instruction with the registers that it had, and makes the traced call,
 *   which knows all about signals and waiting.
 * - So a call that blocks in the region by mistake costs time and nothing else: the timer that ends turns
 *   stops the task, and it makes the traced call.
 * - When a task must stop soon, its next call is traced: `enabled` is cleared while it runs.
 */
#include "record/fast.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/calls.h"
#include "record/inject.h"
#include "record/runtime/runtime.h"
#include "record/shared.h"
#include "record/signals.h"
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE 2
#endif

enum {
    MOSTLY_BYTES = 4096, /* of the ring that are used between two stops, and its head */
    CODE_SYSCALL = 0x050f,
    TRAP_FLAG = 0x100,
};

#define PAGE_UP(x) (((x) + 4095) & ~4095ull)
#define DATA_FIELD(field) (RUNTIME_DATA + offsetof(struct runtime_data, field))

/* ---- which calls ---- */

static enum runtime_kind kind_of(int number, unsigned *ret_arg)
{
    *ret_arg = 0;
    switch (number) {
    case SYS_read:
    case SYS_pread64:
    case SYS_getdents64:
        return RUNTIME_READS;
    case SYS_write:
    case SYS_pwrite64:
        return RUNTIME_WRITES;
    case SYS_open:
        *ret_arg = 2;
        return RUNTIME_OPENS;
    case SYS_openat:
        *ret_arg = 3;
        return RUNTIME_OPENS;
    case SYS_close:
        return RUNTIME_CLOSES;
    case SYS_fcntl:
        return RUNTIME_FCNTL;
    case SYS_poll:
        *ret_arg = 3;
        return RUNTIME_WAITS;
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
        *ret_arg = 4;
        return RUNTIME_WAITS;
    case SYS_recvfrom:
        return RUNTIME_RECEIVES;
    case SYS_sendto:
        return RUNTIME_WRITES;
    case SYS_futex:
        return RUNTIME_WAKES;
    case SYS_mmap:
        return RUNTIME_MAPS;
    case SYS_munmap:
        return RUNTIME_UNMAPS;
    case SYS_brk:
    case SYS_set_tid_address:
        return RUNTIME_TOLD;
    case SYS_ioctl:
        return RUNTIME_TERMINAL;
    case SYS_mprotect:
        return RUNTIME_PROTECTS;
    case SYS_madvise:
        return RUNTIME_ADVISES;
    }
    return RUNTIME_PLAIN;
}

/** `*N` behind a SIZE. */
static uint16_t read_factor(const char **at)
{
    if (**at != '*')
        return 1;
    ++*at;
    return (uint16_t)strtoul(*at, (char **)at, 10);
}

/** One of the outputs that the region's code can copy: N, aM[*N], r[*N]<aM[*N]. */
static bool read_output(const char **at, struct runtime_output *ret)
{
    struct runtime_output o = {.always = **at == '!'};
    *at += o.always;
    o.arg = (uint8_t)(*(*at)++ - '0');
    if (*(*at)++ != ':')
        return false;
    o.result = **at == 'r';
    if (**at == 'r') {
        ++*at;
        o.factor = read_factor(at);
        if (*(*at)++ != '<')
            return false;
    }
    if (**at == 'a') {
        o.of = (uint8_t)((*at)[1] - '0');
        *at += 2;
        uint16_t factor = read_factor(at);
        if (o.result && o.factor != factor)
            return false;
        o.factor = factor;
    } else if (!o.result && **at >= '0' && **at <= '9') {
        o.factor = (uint16_t)strtoul(*at, (char **)at, 10);
    } else {
        return false;
    }
    *ret = o;
    return **at == 0 || **at == ' ';
}

static bool read_call(const struct urd_syscall_entry *s, struct runtime_call *ret)
{
    unsigned flags_arg;
    struct runtime_call c = {.kind = (uint8_t)kind_of(s->number, &flags_arg)};
    c.flags_arg = (uint8_t)flags_arg;
    const char *at = s->outputs;
    if (c.kind == RUNTIME_RECEIVES) /* no address is wanted: the first output is all */
        at = "2:r<a3";
    if (c.kind == RUNTIME_TERMINAL)
        at = "3:36"; /* struct termios of the kernel, not libc's */
    while (*at) {
        if (c.n_outputs == RUNTIME_OUTPUTS || !read_output(&at, &c.outputs[c.n_outputs++]))
            return false;
        at += *at == ' ';
    }
    *ret = c;
    return true;
}

void fast_init(struct recorder *r)
{
    struct runtime_data *d = urd_xcalloc(1, sizeof *d);
    enum { REFUSED_CALL = 1 }; /* all that get ENOSYS */
    unsigned n = REFUSED_CALL + 1;
    d->calls[REFUSED_CALL] = (struct runtime_call){.kind = RUNTIME_ANSWERS, .answer = -ENOSYS};
    for (int i = 0; i < RUNTIME_NUMBERS; i++) {
        const struct urd_syscall_entry *s = urd_record_syscall(i);
        if (s && s->why && s->flags[0] == 'e')
            d->index[i] = REFUSED_CALL;
        if (!s || s->why || !urd_syscall_has_flag(s, 'f'))
            continue;
        urd_check(n < RUNTIME_CALLS && read_call(s, &d->calls[n]),
                  "INV-F1 the region can do %s", s->name);
        d->index[i] = (uint8_t)n++;
    }
    d->enabled = 1;
    d->fsgsbase = (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) != 0;
    r->fast_data = d;
}

void fast_deinit(struct recorder *r)
{
    for (unsigned i = 0; i < r->n_patch_files; i++)
        patch_file_deinit(&r->patch_files[i]);
    free(r->patch_files);
    free(r->fast_data);
    urd_buf_deinit(&r->fast_ring);
}

/** Does another task run user code in t's memory? Stops of tasks whose calls have returned are dealt with meanwhile. */
static bool another_runs(const struct recorder *r, const struct task *t)
{
    const struct task *c = r->current;
    return c && c != t && c->mm == t->mm && c->state == TASK_RUNNING && !c->in_call;
}

/* ---- a process's region ---- */

struct fast *fast_copy(const struct fast *f)
{
    if (!f)
        return NULL;
    struct fast *copy = urd_xcalloc(1, sizeof *copy);
    copy->recorder = f->recorder;
    copy->enabled = f->enabled;
    copy->alone = f->alone;
    copy->drained = f->drained;
    copy->off = f->off;
    memcpy(copy->patched, f->patched, sizeof f->patched);
    for (unsigned i = 0; i < f->n_patches; i++)
        URD_PUSH(copy->patches, copy->n_patches, copy->cap_patches) = f->patches[i];
    for (unsigned i = 0; i < f->n_code; i++)
        URD_PUSH(copy->code, copy->n_code, copy->cap_code) = f->code[i];
    for (unsigned i = 0; i < f->n_pages; i++)
        URD_PUSH(copy->pages, copy->n_pages, copy->cap_pages) = f->pages[i];
    return copy;
}

void fast_destroy(struct fast *f)
{
    if (!f)
        return;
    free(f->patches);
    free(f->pages);
    free(f->code);
    urd_map_deinit(&f->refused);
    free(f);
}

/** The first call is made by a `syscall` that is put where the image begins, for as long. */
static urd_err *map_region(struct task *t, const struct user_regs_struct *now, int64_t *ret)
{
    static const uint16_t call = CODE_SYSCALL;
    uint16_t code;
    if (urd_tracee_read(t->mem, now->rip, &code, 2) != 2 ||
        urd_tracee_write(t->mem, now->rip, &call, 2) != 2)
        URD_FAIL("cannot write to the code of process %d", t->pid);
    URD_TRY(inject_call(t, now, now->rip, SYS_mmap,
                        (const uint64_t[]){RUNTIME_CODE, RUNTIME_BYTES,
                                           PROT_READ | PROT_WRITE | PROT_EXEC,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE |
                                               MAP_NORESERVE,
                                           (uint64_t)-1, 0},
                        ret));
    if (urd_tracee_write(t->mem, now->rip, &code, 2) != 2 && *ret != -EINTR)
        URD_FAIL("cannot write to the code of process %d", t->pid);
    return NULL;
}

/** What exec has mapped, which the event in the builder tells, may hold sites that are known. */
static urd_err *patch_image(struct recorder *r, struct task *t, const struct user_regs_struct *now)
{
    for (unsigned i = 0; i < r->builder.n_ops; i++) {
        const struct urd_map_op *op = &r->builder.ops[i];
        if (!op->shared && op->file && op->prot == (PROT_READ | PROT_EXEC))
            URD_TRY(patch_mapped(r, t, now,
                                 &(struct patch_code){op->start, op->size, op->offset, op->file}));
    }
    return NULL;
}

urd_err *fast_after_exec(struct recorder *r, struct task *t, const struct user_regs_struct *now)
{
    int64_t result;
    if (!r->fast || !t->filtered)
        return NULL;
    URD_TRY(map_region(t, now, &result));
    if (result != (int64_t)RUNTIME_CODE) {
        urd_log(1, "process %d has no runtime region: %lld", t->pid, (long long)result);
        return NULL;
    }
    size_t code = (size_t)(runtime_end - runtime_begin), data = offsetof(struct runtime_data, head);
    urd_check(code <= RUNTIME_CODE_BYTES, "INV-F2 the region's code has room");
    if (urd_tracee_write(t->mem, RUNTIME_CODE, runtime_begin, code) != code ||
        urd_tracee_write(t->mem, RUNTIME_DATA, r->fast_data, data) != data)
        URD_FAIL("cannot fill the runtime region of process %d", t->pid);
    t->mm->fast = urd_xcalloc(1, sizeof *t->mm->fast);
    t->mm->fast->recorder = r;
    t->mm->fast->enabled = true;
    return patch_image(r, t, now);
}

/* ---- running and stopping ---- */

static void set_flag(struct task *t, uint64_t at, bool *known, bool value)
{
    uint32_t word = value;
    if (*known != value && urd_tracee_write(t->mem, at, &word, sizeof word) == sizeof word)
        *known = value;
}

void fast_resume(struct task *t)
{
    struct fast *f = t->mm->fast;
    if (!f)
        return;
    set_flag(t, DATA_FIELD(enabled), &f->enabled, !t->n_deferred && t->filtered && !f->off);
    set_flag(t, DATA_FIELD(alone), &f->alone, !f->recorder->tasks->next);
}

void fast_stop_at_call(struct task *t)
{
    if (t->mm->fast)
        set_flag(t, DATA_FIELD(enabled), &t->mm->fast->enabled, false);
}

bool fast_is_inside(const struct task *t, uint64_t address)
{
    const struct fast *f = t->mm->fast;
    return f && (address - RUNTIME_CODE < RUNTIME_CODE_BYTES || patch_at(f, address));
}

/** The task stands before its own call, as if it had come there without the region. */
static urd_err *send_to_traced_call(struct task *t, struct user_regs_struct *regs)
{
    struct runtime_frame f;
    struct {
        uint64_t rsp, target, rcx;
    } begin;
    if (urd_tracee_read(t->mem, DATA_FIELD(frame), &f, sizeof f) != sizeof f ||
        urd_tracee_read(t->mem, RUNTIME_DATA, &begin, sizeof begin) != sizeof begin)
        URD_FAIL("cannot read the runtime region of process %d", t->pid);
    regs->r15 = f.r15, regs->r14 = f.r14, regs->r13 = f.r13, regs->r12 = f.r12;
    regs->rbp = f.rbp, regs->rbx = f.rbx, regs->r11 = f.r11, regs->r10 = f.r10;
    regs->r9 = f.r9, regs->r8 = f.r8, regs->rax = f.rax, regs->rcx = begin.rcx;
    regs->rdx = f.rdx, regs->rsi = f.rsi, regs->rdi = f.rdi;
    regs->eflags = f.flags;
    regs->rsp = begin.rsp;
    regs->rip = f.rcx;
    regs->orig_rax = (unsigned long long)-1; /* nothing is to be restarted */
    return urd_tracee_set_regs(t->tid, regs);
}

static bool would_restart(const struct user_regs_struct *regs)
{
    int64_t result = (int64_t)regs->rax;
    return (int64_t)regs->orig_rax >= 0 && result <= -512 && result >= -516;
}

/** False in *ret_out: it has to run on to be at a place that can be told. */
static urd_err *leave_at_once(struct task *t, struct user_regs_struct *regs, bool *ret_out)
{
    uint64_t call = runtime_address(runtime_syscall), leave = runtime_address(runtime_leave);
    *ret_out = true;
    if (regs->rip == call || (regs->rip == call + 2 && would_restart(regs)))
        return send_to_traced_call(t, regs);
    if (regs->rip == leave) {
        uint64_t target;
        if (urd_tracee_read(t->mem, DATA_FIELD(target), &target, sizeof target) != sizeof target)
            URD_FAIL("cannot read the runtime region of process %d", t->pid);
        regs->rip = target;
        return urd_tracee_set_regs(t->tid, regs);
    }
    const struct patch *p = patch_at(t->mm->fast, regs->rip);
    if (p && regs->rip <= p->trampoline + p->load) {
        uint64_t at = p->site;
        for (unsigned i = 0; i < p->n_insns; i++)
            if (regs->rip == p->trampoline + p->insns[i].offset)
                at = p->insns[i].original;
        regs->rip = at;
        return urd_tracee_set_regs(t->tid, regs);
    }
    *ret_out = false;
    return NULL;
}

static urd_err *set_breakpoint(struct task *t, unsigned n, uint64_t value)
{
    size_t at = offsetof(struct user, u_debugreg) + n * sizeof(long);
    if (ptrace(PTRACE_POKEUSER, t->tid, at, value) != 0)
        URD_FAIL_ERRNO("cannot set a breakpoint of process %d", t->tid);
    return NULL;
}

/** To the system call instruction or the last one. */
static urd_err *run_on(struct task *t, int *ret_status)
{
    URD_TRY(set_breakpoint(t, 0, runtime_address(runtime_syscall)));
    URD_TRY(set_breakpoint(t, 1, runtime_address(runtime_leave)));
    URD_TRY(set_breakpoint(t, 7, 5)); /* SDM vol. 3, 18.2.4: L0, L1, execution */
    uint64_t mask;
    URD_TRY(inject_hold_signals(t, &mask)); /* they keep their order in the kernel */
    if (ptrace(PTRACE_CONT, t->tid, 0, 0) != 0)
        URD_FAIL_ERRNO("cannot resume process %d", t->tid);
    while (waitpid(t->tid, ret_status, __WALL) < 0)
        if (errno != EINTR)
            URD_FAIL_ERRNO("cannot wait for process %d", t->tid);
    if (!WIFSTOPPED(*ret_status) || *ret_status >> 16 == PTRACE_EVENT_EXIT)
        return NULL;
    URD_TRY(inject_let_signals(t, mask));
    return set_breakpoint(t, 7, 0);
}

static bool is_signal_stop(int status)
{
    return WIFSTOPPED(status) && !(status >> 16) && WSTOPSIG(status) != (SIGTRAP | 0x80);
}

static bool is_at_breakpoint(int status, const struct user_regs_struct *regs)
{
    return WSTOPSIG(status) == SIGTRAP && (regs->rip == runtime_address(runtime_syscall) ||
                                           regs->rip == runtime_address(runtime_leave));
}

/**
 * From a stop in the region, *status, to one of the places outside. *status becomes that of the last stop. False in *ret_out: the
 * task is dying. Signals that come on the way wait.
 */
static urd_err *leave(struct task *t, struct user_regs_struct *regs, int *status, bool *ret_out)
{
    for (;;) {
        URD_TRY(leave_at_once(t, regs, ret_out));
        if (*ret_out)
            return NULL;
        URD_TRY(run_on(t, status));
        if (!WIFSTOPPED(*status) || *status >> 16 == PTRACE_EVENT_EXIT) {
            t->state = TASK_STOPPED;
            t->wait_status = *status;
            return NULL;
        }
        URD_TRY(urd_tracee_get_regs(t->tid, regs));
        if (*status >> 16 == PTRACE_EVENT_STOP)
            t->interrupted = false;
        else if (is_signal_stop(*status) && !is_at_breakpoint(*status, regs))
            URD_TRY(signals_put_off(t, WSTOPSIG(*status)));
    }
}

/** Code that is not there any more, or is its file's again. */
static void forget_patches(struct task *t, int64_t result)
{
    const struct user_regs_struct *e = &t->entry;
    int number = t->call->number;
    if (number == SYS_munmap || (number == SYS_madvise && e->rdx == MADV_DONTNEED))
        patch_forget(t, e->rdi, PAGE_UP(e->rsi));
    else if (number == SYS_mmap)
        patch_forget(t, (uint64_t)result, PAGE_UP(e->rsi));
}

/* ---- the ring ---- */

static void registers_of(const struct runtime_record *rec, const struct task *t,
                         const struct runtime_data *d, struct user_regs_struct *ret)
{
    const struct runtime_frame *f = &rec->regs;
    uint64_t next = f->rcx + 2;
    *ret = t->last; /* the segments */
    ret->r15 = f->r15, ret->r14 = f->r14, ret->r13 = f->r13, ret->r12 = f->r12;
    ret->rbp = f->rbp, ret->rbx = f->rbx, ret->r10 = f->r10, ret->r9 = f->r9, ret->r8 = f->r8;
    ret->rdx = f->rdx, ret->rsi = f->rsi, ret->rdi = f->rdi;
    ret->eflags = ret->r11 = f->flags; /* as the instruction does: SDM vol. 2, SYSCALL */
    ret->rip = ret->rcx = next;
    ret->rsp = rec->rsp;
    ret->orig_rax = f->rax;
    ret->rax = (unsigned long long)-ENOSYS; /* as a stop at a call's entry shows */
    if (d->fsgsbase) {
        ret->fs_base = rec->fs_base;
        ret->gs_base = rec->gs_base;
    }
}

/** What a traced call would have told the recorder. */
static urd_err *note_record(struct recorder *r, struct task *t, const struct runtime_record *rec)
{
    const struct user_regs_struct *e = &r->builder.event.before;
    enum runtime_kind kind = r->fast_data->calls[r->fast_data->index[rec->regs.rax]].kind;
    if (kind < RUNTIME_MAPS || (rec->result < 0 && rec->result >= -4095))
        return NULL;
    t->entry = *e;
    t->call = urd_record_syscall((int)rec->regs.rax);
    t->scratch.value = 0;
    URD_TRY(special_exit(r, t, &r->builder.event.after, rec->result));
    forget_patches(t, rec->result);
    return NULL;
}

static urd_err *emit_record(struct recorder *r, struct task *t, const struct runtime_record *rec,
                            uint64_t now_ns)
{
    event_begin(&r->builder, URD_EVENT_SYSCALL, t->pid, t->tid);
    struct urd_event *e = &r->builder.event;
    e->flags = URD_EVENT_RAN | URD_EVENT_FAST;
    e->syscall = (int32_t)rec->regs.rax;
    registers_of(rec, t, r->fast_data, &e->before);
    e->after = e->before;
    e->after.rax = (unsigned long long)rec->result;
    URD_TRY(note_record(r, t, rec));
    const uint8_t *at = (const uint8_t *)(rec + 1);
    for (uint32_t i = 0; i < rec->n_items; i++) {
        const struct runtime_item *item = (const struct runtime_item *)at;
        if (item->output)
            event_add_output_bytes(&r->builder, (int)item->output, item + 1, item->size);
        else
            event_add_bytes(&r->builder, item->address, item + 1, item->size);
        at += sizeof *item + ((item->size + 7) & ~7u);
    }
    t->last = e->after;
    t->resumed_ns = now_ns;
    return recorder_emit_at(r, now_ns);
}

/** The ring's bytes that are no events yet into r->fast_ring. */
static urd_err *read_ring(struct recorder *r, struct task *t)
{
    struct fast *f = t->mm->fast;
    struct {
        uint64_t head;
        uint8_t first[MOSTLY_BYTES - 8];
    } begin;
    struct urd_buf *ring = &r->fast_ring;
    ring->size = 0;
    if (urd_tracee_read(t->mem, DATA_FIELD(head), &begin, sizeof begin) != sizeof begin)
        return NULL; /* it is dead */
    urd_check(begin.head >= f->drained && begin.head <= RUNTIME_RING_BYTES,
              "INV-F3 the ring is whole");
    size_t size = begin.head - f->drained;
    urd_buf_reserve(ring, size + 1);
    if (begin.head <= sizeof begin.first)
        memcpy(ring->data, begin.first + f->drained, size);
    else if (urd_tracee_read(t->mem, DATA_FIELD(ring) + f->drained, ring->data, size) != size)
        URD_FAIL("cannot read the calls of process %d", t->pid);
    ring->size = size;
    f->drained = (uint32_t)begin.head;
    return NULL;
}

urd_err *fast_drain(struct recorder *r, struct task *t, bool stopped)
{
    struct fast *f = t->mm->fast;
    if (!f)
        return NULL;
    URD_TRY(read_ring(r, t));
    uint64_t now = urd_now_ns(), empty = 0;
    for (size_t at = 0; at < r->fast_ring.size;) {
        const struct runtime_record *rec =
            (const struct runtime_record *)(r->fast_ring.data + at);
        urd_check(rec->size >= sizeof *rec && rec->size <= r->fast_ring.size - at,
                  "INV-F3 the ring is whole");
        URD_TRY(emit_record(r, t, rec, now));
        at += rec->size;
    }
    /* while it runs the head is the region's */
    if (stopped && f->drained &&
        urd_tracee_write(t->mem, DATA_FIELD(head), &empty, sizeof empty) == sizeof empty)
        f->drained = 0;
    return NULL;
}

/* ---- stops ---- */

/** It stands right behind the last call that was written down. */
static bool is_at_event(const struct task *t, const struct user_regs_struct *regs)
{
    return regs->rip == t->last.rip && regs->rsp == t->last.rsp && regs->rax == t->last.rax &&
           regs->rcx == regs->rip;
}

/**
 * It stopped for a signal in the region, and stands outside now. Behind a finished call that is where the signal is delivered: the stop
 * that it is in is made one of that signal. Otherwise the signal waits for the call that it is about to make.
 */
static urd_err *deliver_outside(struct task *t, siginfo_t *si, int now, bool at_event,
                                bool *ret_deliver)
{
    *ret_deliver = at_event && is_signal_stop(now) && ptrace(PTRACE_SETSIGINFO, t->tid, 0, si) == 0;
    if (*ret_deliver)
        return NULL;
    signals_keep(t, si);
    if (at_event && !t->injecting)
        URD_TRY(signals_pass_on(t));
    return recorder_resume(t, 0);
}

/** A program that single-steps itself has come to a patch: it would see steps that are not its own. */
static urd_err *step_without_patches(struct task *t, struct user_regs_struct *regs)
{
    t->mm->fast->off = true;
    regs->rip = patch_at(t->mm->fast, regs->rip)->start;
    patch_undo(t, 0, ~0ull);
    URD_TRY(urd_tracee_set_regs(t->tid, regs));
    return recorder_resume(t, 0);
}

static urd_err *stopped_inside(struct recorder *r, struct task *t, int status,
                               struct user_regs_struct *regs, bool *ret_go_on)
{
    siginfo_t si = {0};
    bool out, signal = is_signal_stop(status);
    const struct patch *p = patch_at(t->mm->fast, regs->rip);
    *ret_go_on = false;
    if (p && signal && WSTOPSIG(status) == SIGTRAP && regs->eflags & TRAP_FLAG)
        return step_without_patches(t, regs);
    if (signal && ptrace(PTRACE_GETSIGINFO, t->tid, 0, &si) != 0)
        URD_FAIL_ERRNO("cannot ask about a signal of process %d", t->tid);
    int now = status;
    URD_TRY(leave(t, regs, &now, &out));
    URD_TRY(fast_drain(r, t, true));
    if (!out)
        return NULL;
    bool at_event = is_at_event(t, regs);
    if (at_event)
        t->resumed_ns = 0;
    if (signal)
        return deliver_outside(t, &si, now, at_event, ret_go_on);
    t->interrupted = false;
    r->turn_over = true;
    if (!at_event)
        return recorder_resume(t, 0);
    t->state = TASK_READY; /* not at_exit: the stop may be that of a breakpoint, where a signal would be delivered unseen */
    return NULL;
}

urd_err *fast_stopped(struct recorder *r, struct task *t, int status, bool *ret_go_on)
{
    *ret_go_on = true;
    if (!t->mm->fast || (t->in_call && !t->held_exit) || another_runs(r, t))
        return NULL;
    struct user_regs_struct regs;
    if (is_signal_stop(status) || status >> 16 == PTRACE_EVENT_STOP) {
        URD_TRY(urd_tracee_get_regs(t->tid, &regs));
        if (fast_is_inside(t, regs.rip))
            return stopped_inside(r, t, status, &regs, ret_go_on);
    }
    return fast_drain(r, t, true);
}

/* ---- traced calls ---- */

static void clear_fds(struct task *t)
{
    static const uint8_t none[RUNTIME_FDS];
    if (t->mm->fast)
        urd_tracee_write(t->mem, DATA_FIELD(fds), none, sizeof none);
}

void fast_forget_files(struct recorder *r)
{
    for (struct task *t = r->tasks; t; t = t->next)
        clear_fds(t);
}

/** A thread's files, or memory that is shared with a process of other files: the table of descriptors would not be true. */
static bool splits_files(const struct task *t)
{
    uint64_t flags = t->clone.flags;
    switch (t->call->number) {
    case SYS_clone:
    case SYS_clone3:
        return !(flags & CLONE_VM) != !(flags & CLONE_FILES) && !(flags & CLONE_VFORK);
    case SYS_unshare:
        return t->entry.rdi & CLONE_FILES;
    }
    return false;
}

static bool changes_files(int number)
{
    switch (number) {
    case SYS_close:
    case SYS_dup2:
    case SYS_dup3:
    case SYS_close_range:
    case SYS_vfork: /* the child had the table, and files of its own */
    case SYS_clone:
    case SYS_clone3:
        return true;
    }
    return false;
}

/** Strict mode cannot be entered by who has a filter: it is kept up here. */
static void keep_strict(struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    int number = t->call->number;
    if (t->strict && number != SYS_read && number != SYS_write && number != SYS_exit &&
        number != SYS_rt_sigreturn)
        kill(t->pid, SIGKILL);
    if (t->filtered &&
        ((number == SYS_prctl && e->rdi == PR_SET_SECCOMP && e->rsi == SECCOMP_MODE_STRICT) ||
         (number == SYS_seccomp && e->rdi == SECCOMP_SET_MODE_STRICT && !e->rsi && !e->rdx))) {
        t->strict = t->cancelled = true;
        t->forced = 0;
    }
}

/** Does the call unmap the region or trampolines, or change them? Nobody has to spare what is not theirs. */
static bool takes_region(const struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    const struct fast *f = t->mm->fast;
    int number = t->call->number;
    if (number != SYS_munmap && number != SYS_mremap && number != SYS_mprotect &&
        number != SYS_pkey_mprotect && (number != SYS_mmap || !(e->r10 & MAP_FIXED)))
        return false;
    uint64_t start = e->rdi, end = start + PAGE_UP(e->rsi);
    bool takes = start < RUNTIME_CODE + RUNTIME_BYTES && end > RUNTIME_CODE;
    for (unsigned i = 0; i < f->n_pages; i++)
        takes |= start < f->pages[i].start + PATCH_PAGES_BYTES && end > f->pages[i].start;
    return takes;
}

void fast_before_call(struct recorder *r, struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    if (r->fast)
        keep_strict(t);
    r->new_code.file = 0;
    if (!t->mm->fast)
        return;
    if (takes_region(t)) {
        patch_undo(t, 0, ~0ull);
        fast_destroy(t->mm->fast);
        t->mm->fast = NULL;
        return;
    }
    switch (t->call->number) {
    case SYS_mprotect:
    case SYS_pkey_mprotect: /* then the memory counts in checksums, and the program may look at it */
        if (e->rdx & PROT_WRITE)
            patch_undo(t, e->rdi, PAGE_UP(e->rsi));
        break;
    case SYS_mremap:
        patch_undo(t, e->rdi, PAGE_UP(e->rsi));
        break;
    }
    if (splits_files(t))
        t->mm->fast->off = true;
}

/** A file that was written to by a traced call: may the next one be untraced? */
static void look_at_written(struct recorder *r, struct task *t, int64_t result)
{
    uint32_t fd = (uint32_t)t->entry.rdi;
    char link[64];
    struct stat st;
    snprintf(link, sizeof link, "/proc/%d/fd/%u", t->tid, fd);
    if (result <= 0 || fd >= RUNTIME_FDS || stat(link, &st) != 0 || shared_find(r, &st))
        return;
    uint8_t class = RUNTIME_FD_WRITE;
    class |= (uint8_t)special_output_class(r, t, (int)fd);
    if (S_ISREG(st.st_mode))
        class |= RUNTIME_FD_FILE;
    urd_tracee_write(t->mem, DATA_FIELD(fds) + fd, &class, 1);
}

/** The recorder's own filter has come into force; or one of the program's, which decides before the recorder's does. */
static void note_filter(struct recorder *r, struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    bool own = t->call->number == SYS_seccomp
                   ? e->rdi == SECCOMP_SET_MODE_FILTER
                   : e->rdi == PR_SET_SECCOMP && e->rsi == SECCOMP_MODE_FILTER;
    if (!r->exec_seen && t->call->number == SYS_seccomp)
        t->filtered = true;
    else if (own)
        for (struct task *k = r->tasks; k; k = k->next)
            if (k->pid == t->pid)
                k->filtered = false;
}

urd_err *fast_after_call(struct recorder *r, struct task *t, const struct user_regs_struct *now)
{
    int64_t result = (int64_t)now->rax;
    int number = t->call->number;
    bool failed = result < 0 && result >= -4095;
    if (r->fast && !failed && !t->cancelled && (number == SYS_seccomp || number == SYS_prctl))
        note_filter(r, t);
    if (!t->mm->fast)
        return NULL;
    if (changes_files(number))
        clear_fds(t);
    if (!failed)
        forget_patches(t, result);
    if (another_runs(r, t)) /* it must not see half a patch */
        return NULL;
    if (r->new_code.file && r->new_code.prot == (PROT_READ | PROT_EXEC))
        return patch_mapped(r, t, now,
                            &(struct patch_code){r->new_code.start, r->new_code.size,
                                                 r->new_code.offset, r->new_code.file});
    URD_TRY(patch_new(r, t, now));
    if (number == SYS_write || number == SYS_pwrite64 || number == SYS_sendto)
        look_at_written(r, t, result);
    return number >= 0 && number < RUNTIME_NUMBERS && r->fast_data->index[number]
               ? patch_traced(r, t, now, t->entry.rip - 2)
               : NULL;
}

urd_err *fast_hide_filter(const struct task *t, struct user_regs_struct *now)
{
    if (!t->filtered || t->call->number != SYS_prctl || t->entry.rdi != PR_GET_SECCOMP)
        return NULL;
    now->rax = SECCOMP_MODE_DISABLED;
    return urd_tracee_set_regs(t->tid, now);
}
