/* The fast path, seen from the recorder.
 *
 * Every image gets the runtime region (record/runtime/runtime.h) before its first instruction. A call site that is used gets
 * a jump to it (record/patch.c). What the region's code cannot decide alone goes to the traced call.
 *
 * - The ring is drained at every stop of a task that has run, before anything else is written, and by the timer. Its records become
 *   the SYSCALL events that traced calls would have been: a replay may stop at them. So that it need not, events also tell
 *   of the patches (patch_tell).
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
#include "record/outside.h"
#include "record/runtime/runtime.h"
#include "record/signals.h"
#include "record/tsc.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MOSTLY_BYTES = 4096, /* of the ring that are used between two stops, and its head */
    CODE_SYSCALL = 0x050f,
    TRAP_FLAG = 0x100,
};

#define PAGE_UP(x)        (((x) + 4095) & ~4095ull)
#define DATA_FIELD(field) (RUNTIME_DATA + offsetof(struct runtime_data, field))

_Static_assert(RUNTIME_FILES == sizeof((struct recorder){0}.fast_files) / sizeof(struct fast_file),
               "one for each");

void fast_deinit(struct recorder *r)
{
    for (unsigned i = 0; i < r->n_patch_files; i++)
        patch_file_deinit(&r->patch_files[i]);
    free(r->patch_files);
    for (unsigned i = 0; i < r->fast_data->n_files; i++)
        free(r->fast_files[i].name);
    free(r->fast_data);
    urd_buf_deinit(&r->fast_ring);
    patch_news_deinit(&r->told);
}

bool fast_another_runs(const struct recorder *r, const struct task *t)
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
    copy->masks_traced = f->masks_traced;
    copy->drained = f->drained;
    copy->off = f->off;
    copy->plans_seen = f->plans_seen;
    copy->loader = f->loader;
    copy->loader_size = f->loader_size;
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

static struct runtime_file file_of(const struct stat *st)
{
    return (struct runtime_file){
        .dev = st->st_dev,
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .modified = (uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec,
        .changed = (uint64_t)st->st_ctim.tv_sec * 1000000000 + (uint64_t)st->st_ctim.tv_nsec};
}

void fast_know_file(struct recorder *r, struct task *t, const struct stat *st, uint32_t file,
                    const char *name)
{
    struct runtime_data *d = r->fast_data;
    struct runtime_file known = file_of(st);
    unsigned i = 0;
    while (i < d->n_files && memcmp(&d->files[i], &known, sizeof known) != 0)
        i++;
    if (i == RUNTIME_FILES)
        return;
    if (i == d->n_files) {
        d->files[d->n_files++] = known;
        r->fast_files[i] = (struct fast_file){file, strdup(name)};
    }
    uint32_t n = i + 1, has = 0; /* they come in order: an image has all that came before it */
    if (t->mm->fast &&
        urd_tracee_read(t->mem, DATA_FIELD(n_files), &has, sizeof has) == sizeof has && has < n &&
        urd_tracee_write(t->mem, DATA_FIELD(files), d->files, n * sizeof known) == n * sizeof known)
        urd_tracee_write(t->mem, DATA_FIELD(n_files), &n, sizeof n);
}

void fast_forget_file(struct recorder *r, const struct stat *st)
{
    static const struct runtime_file none; /* no descriptor has inode 0 */
    struct runtime_data *d = r->fast_data;
    for (unsigned i = 0; i < d->n_files; i++) {
        if (d->files[i].dev != st->st_dev || d->files[i].ino != st->st_ino)
            continue;
        d->files[i] = none;
        for (struct task *t = r->tasks; t; t = t->next)
            if (t->mm->fast)
                urd_tracee_write(t->mem, DATA_FIELD(files) + i * sizeof none, &none, sizeof none);
    }
}

/** The first call is made by a `syscall` that is put where the image begins, for as long. */
static urd_err *map_region(struct task *t, const struct user_regs_struct *now, int64_t *ret)
{
    static const uint16_t call = CODE_SYSCALL;
    uint16_t code;
    if (urd_tracee_read(t->mem, now->rip, &code, 2) != 2 ||
        urd_tracee_write(t->mem, now->rip, &call, 2) != 2)
        URD_FAIL("cannot write to the code of process %d", t->pid);
    URD_TRY(inject_call(
        t, now, now->rip, SYS_mmap,
        (const uint64_t[]){RUNTIME_CODE, RUNTIME_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE,
                           (uint64_t)-1, 0},
        ret));
    if (urd_tracee_write(t->mem, now->rip, &code, 2) != 2 && *ret != -EINTR)
        URD_FAIL("cannot write to the code of process %d", t->pid);
    return NULL;
}

/** What exec has mapped, which the event in the builder tells, may hold sites that are known. */
static urd_err *patch_image(struct recorder *r, struct task *t, const struct user_regs_struct *now)
{
    struct fast *f = t->mm->fast;
    bool has_loader = layout_has_loader(t, now->rsp);
    for (unsigned i = 0; i < r->builder.n_ops; i++) {
        const struct urd_map_op *op = &r->builder.ops[i];
        if (op->shared || !op->file || op->prot != (PROT_READ | PROT_EXEC))
            continue;
        if (has_loader && now->rip - op->start < op->size) {
            f->loader = op->start;
            f->loader_size = op->size;
        }
        URD_TRY(patch_mapped(
            r, t, now, &(struct patch_code){op->start, op->size, op->offset, op->file, true}));
    }
    return NULL;
}

urd_err *fast_after_exec(struct recorder *r, struct task *t, const struct user_regs_struct *now)
{
    int64_t result;
    if (!r->fast || !t->filtered || t->tracing.tracer)
        return NULL;
    tsc_measure(r);
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
    t->mm->fast->plans_seen = r->n_plans;
    return patch_image(r, t, now);
}

/* ---- running and stopping ---- */

static void set_flag(struct task *t, uint64_t at, bool *known, bool value)
{
    uint32_t word = value;
    if (*known != value && urd_tracee_write(t->mem, at, &word, sizeof word) == sizeof word)
        *known = value;
}

/** Whoever asks for the signal mask, or sets it, is the recorder's matter as long as it is not the task's own. */
static void trace_masks(struct task *t, bool traced)
{
    struct fast *f = t->mm->fast;
    const uint8_t *fast = &f->recorder->fast_data->index[SYS_rt_sigprocmask], none = RUNTIME_TRACED;
    if (f->masks_traced != traced &&
        urd_tracee_write(t->mem, DATA_FIELD(index) + SYS_rt_sigprocmask, traced ? &none : fast,
                         1) == 1)
        f->masks_traced = traced;
}

void fast_resume(struct task *t)
{
    struct fast *f = t->mm->fast;
    if (!f)
        return;
    set_flag(t, DATA_FIELD(enabled), &f->enabled,
             (!t->n_deferred || t->holds) && t->filtered && !t->strict && !f->off);
    trace_masks(t, t->holds);
    set_flag(t, DATA_FIELD(alone), &f->alone, !f->recorder->tasks->next);
}

void fast_stop_at_call(struct task *t)
{
    if (t->mm->fast)
        set_flag(t, DATA_FIELD(enabled), &t->mm->fast->enabled, false);
}

/* The first thing that the region does is to write down the stack pointer. */
void fast_watch_entry(struct task *t)
{
    static const uint64_t nobody = 0;
    if (t->mm->fast)
        urd_tracee_write(t->mem, DATA_FIELD(state.rsp), &nobody, sizeof nobody);
}

bool fast_was_entered(const struct task *t)
{
    uint64_t rsp = 0;
    return t->mm->fast &&
           (urd_tracee_read(t->mem, DATA_FIELD(state.rsp), &rsp, sizeof rsp) != sizeof rsp || rsp);
}

bool fast_is_inside(const struct task *t, uint64_t address)
{
    const struct fast *f = t->mm->fast;
    return f && (address - RUNTIME_CODE < RUNTIME_CODE_BYTES || patch_at(f, address));
}

/** The task stands before its own call, as if it had come there without the region. */
static urd_err *send_to_traced_call(struct task *t, struct user_regs_struct *regs)
{
    struct urd_runtime_state begin;
    if (urd_tracee_read(t->mem, RUNTIME_DATA, &begin, sizeof begin) != sizeof begin)
        URD_FAIL("cannot read the runtime region of process %d", t->pid);
    urd_runtime_restore(&begin, regs);
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
        if (urd_tracee_read(t->mem, DATA_FIELD(state.target), &target, sizeof target) !=
            sizeof target)
            URD_FAIL("cannot read the runtime region of process %d", t->pid);
        regs->rip = target;
        return urd_tracee_set_regs(t->tid, regs);
    }
    const struct patch *p = patch_at(t->mm->fast, regs->rip);
    if (p && (regs->rip == p->hop || regs->rip <= p->trampoline + p->load)) {
        uint64_t at = regs->rip == p->hop ? p->start : p->site;
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

void fast_forget_patches(struct task *t, int64_t result)
{
    const struct user_regs_struct *e = &t->entry;
    int number = t->call->number;
    if (number == SYS_munmap || (number == SYS_madvise && e->rdx == MADV_DONTNEED))
        patch_forget(t, e->rdi, PAGE_UP(e->rsi));
    else if (number == SYS_mmap)
        patch_forget(t, (uint64_t)result, PAGE_UP(e->rsi));
}

/* ---- the ring ---- */

static void frame_of(const struct runtime_record *rec, const struct task *t,
                     const struct runtime_data *d, struct user_regs_struct *ret)
{
    const struct urd_runtime_frame *f = &rec->regs;
    *ret = t->last; /* the segments */
    ret->r15 = f->r15, ret->r14 = f->r14, ret->r13 = f->r13, ret->r12 = f->r12;
    ret->rbp = f->rbp, ret->rbx = f->rbx, ret->r10 = f->r10, ret->r9 = f->r9, ret->r8 = f->r8;
    ret->rdx = f->rdx, ret->rsi = f->rsi, ret->rdi = f->rdi;
    ret->rsp = rec->rsp;
    ret->eflags = f->flags;
    if (d->fsgsbase) {
        ret->fs_base = rec->fs_base;
        ret->gs_base = rec->gs_base;
    }
}

/** At the call's entry. */
static void registers_of(const struct runtime_record *rec, const struct task *t,
                         const struct runtime_data *d, struct user_regs_struct *ret)
{
    frame_of(rec, t, d, ret);
    ret->r11 = rec->regs.flags; /* as the instruction does: SDM vol. 2, SYSCALL */
    ret->rip = ret->rcx = rec->regs.rcx + 2;
    ret->orig_rax = rec->regs.rax;
    ret->rax = (unsigned long long)-ENOSYS; /* as a stop at a call's entry shows */
}

/** Of a file that the trace has. */
static void map_known(struct recorder *r, const struct runtime_record *rec)
{
    const struct fast_file *f = &r->fast_files[rec->file - 1];
    event_add_op(&r->builder, (struct urd_map_op){.kind = URD_MAP_MAP,
                                                  .prot = (uint8_t)(rec->regs.rdx & 7),
                                                  .file = f->file,
                                                  .start = (uint64_t)rec->result,
                                                  .size = PAGE_UP(rec->regs.rsi),
                                                  .offset = rec->regs.r9,
                                                  .name = f->name});
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
    if (kind == RUNTIME_SETS_BASE)
        r->builder.event.after.fs_base = rec->regs.rsi;
    if (rec->file)
        map_known(r, rec);
    else
        URD_TRY(special_exit(r, t, &r->builder.event.after, rec->result));
    fast_forget_patches(t, rec->result);
    return NULL;
}

/** What the trap of an RDTSC would have written down. */
static urd_err *emit_tsc(struct recorder *r, struct task *t, const struct runtime_record *rec,
                         uint64_t now_ns)
{
    struct user_regs_struct at;
    frame_of(rec, t, r->fast_data, &at);
    at.r11 = rec->regs.r11;
    at.rax = rec->regs.rax;
    at.rcx = rec->rcx;
    at.rip = rec->regs.rcx;
    at.orig_rax = (unsigned long long)-1;
    struct urd_event *e = recorder_begin_insn(r, t, &at);
    e->flags |= URD_EVENT_FAST;
    e->after.rax = (uint32_t)rec->result;
    e->after.rdx = (uint64_t)rec->result >> 32;
    if (rec->site == URD_SITE_RDTSCP)
        e->after.rcx = r->fast_data->tsc.aux;
    e->after.rip += urd_site_bytes(rec->site);
    t->last = e->after;
    t->resumed_ns = now_ns;
    return recorder_emit_at(r, now_ns);
}

static urd_err *emit_record(struct recorder *r, struct task *t, const struct runtime_record *rec,
                            uint64_t now_ns)
{
    if (rec->site != URD_SITE_CALL)
        return emit_tsc(r, t, rec, now_ns);
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
        struct runtime_head head;
        uint8_t first[MOSTLY_BYTES - sizeof(struct runtime_head)];
    } begin;
    struct urd_buf *ring = &r->fast_ring;
    ring->size = 0;
    if (urd_tracee_read(t->mem, DATA_FIELD(head), &begin, sizeof begin) != sizeof begin)
        return NULL; /* it is dead */
    urd_check(begin.head.used >= f->drained && begin.head.used <= RUNTIME_RING_BYTES,
              "INV-F3 the ring is whole");
    size_t size = begin.head.used - f->drained;
    urd_buf_reserve(ring, size + 1);
    if (begin.head.used <= sizeof begin.first)
        memcpy(ring->data, begin.first + f->drained, size);
    else if (urd_tracee_read_much(t->tid, t->mem, DATA_FIELD(ring) + f->drained, ring->data,
                                  size) != size)
        URD_FAIL("cannot read the calls of process %d", t->pid);
    ring->size = size;
    f->drained = (uint32_t)begin.head.used;
    f->knows = begin.head.known != 0;
    return NULL;
}

/** Nobody but the trace is told of the record, and it is a call as most are: its items into *ret. */
static bool is_simple(const struct recorder *r, const struct runtime_record *rec,
                      struct urd_trace_call *ret)
{
    if (rec->site != URD_SITE_CALL ||
        r->fast_data->calls[r->fast_data->index[rec->regs.rax]].kind >= RUNTIME_MAPS)
        return false;
    const uint8_t *at = (const uint8_t *)(rec + 1);
    for (uint32_t i = 0; i < rec->n_items; i++) {
        const struct runtime_item *item = (const struct runtime_item *)at;
        const uint8_t *data = (const uint8_t *)(item + 1);
        if (ret->output || (!item->output && ret->n_writes == URD_TRACE_CALL_WRITES))
            return false;
        if (item->output) {
            ret->output = (uint8_t)item->output;
            ret->output_data = data;
            ret->output_size = item->size;
        } else {
            ret->writes[ret->n_writes++] = (struct urd_mem_write){item->address, item->size, data};
        }
        at += sizeof *item + ((item->size + 7) & ~7u);
    }
    return true;
}

/** As emit_record, of a record behind the first of a ring: what else goes with an event has gone with that. */
static urd_err *append_record(struct recorder *r, const struct task *t,
                              const struct runtime_record *rec, uint64_t now_ns, bool *ret_done)
{
    bool bases = r->fast_data->fsgsbase;
    struct urd_trace_call call;
    call.pid = t->pid;
    call.tid = t->tid;
    call.time_ns = now_ns - r->started_ns;
    call.regs = &rec->regs;
    call.rsp = rec->rsp;
    call.fs_base = bases ? &rec->fs_base : NULL;
    call.gs_base = bases ? &rec->gs_base : NULL;
    call.result = rec->result;
    call.n_writes = call.output = 0;
    *ret_done = false;
    return !outside_watches(r) && is_simple(r, rec, &call)
               ? urd_trace_append_call(r->writer, &call, ret_done)
               : NULL;
}

/** The task has come to stand behind this call. */
static void stand_behind(struct recorder *r, struct task *t, const struct runtime_record *rec)
{
    struct user_regs_struct regs;
    registers_of(rec, t, r->fast_data, &regs);
    regs.rax = (unsigned long long)rec->result;
    t->last = regs;
}

urd_err *fast_drain(struct recorder *r, struct task *t, bool stopped)
{
    struct fast *f = t->mm->fast;
    if (!f)
        return NULL;
    URD_TRY(read_ring(r, t));
    t->behind_handler &= !r->fast_ring.size;
    const struct runtime_head empty = {0};
    uint64_t now = urd_now_ns();
    const struct runtime_record *behind = NULL; /* appended, and t does not know yet */
    for (size_t at = 0; at < r->fast_ring.size;) {
        const struct runtime_record *rec = (const struct runtime_record *)(r->fast_ring.data + at);
        urd_check(rec->size >= sizeof *rec && rec->size <= r->fast_ring.size - at,
                  "INV-F3 the ring is whole");
        bool done = false;
        if (at)
            URD_TRY(append_record(r, t, rec, now, &done));
        if (!done && behind)
            stand_behind(r, t, behind);
        if (!done)
            URD_TRY(emit_record(r, t, rec, now));
        behind = done ? rec : NULL;
        at += rec->size;
    }
    if (behind)
        stand_behind(r, t, behind);
    /* while it runs the head is the region's */
    if (stopped && (f->drained || f->knows) &&
        urd_tracee_write(t->mem, DATA_FIELD(head), &empty, sizeof empty) == sizeof empty)
        f->drained = f->knows = 0;
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

void fast_off(struct task *t)
{
    if (!t->mm->fast)
        return;
    t->mm->fast->off = true;
    patch_undo(t, 0, ~0ull);
}

/** A program that single-steps itself has come to a patch: it would see steps that are not its own. */
static urd_err *step_without_patches(struct task *t, struct user_regs_struct *regs)
{
    regs->rip = patch_at(t->mm->fast, regs->rip)->start;
    fast_off(t);
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
    t->state =
        TASK_READY; /* not at_exit: the stop may be that of a breakpoint, where a signal would be delivered unseen */
    return NULL;
}

urd_err *fast_stopped(struct recorder *r, struct task *t, int status, bool *ret_go_on)
{
    *ret_go_on = true;
    if (!t->mm->fast || (t->in_call && !t->held_exit) || fast_another_runs(r, t))
        return NULL;
    struct user_regs_struct regs;
    if (is_signal_stop(status) || status >> 16 == PTRACE_EVENT_STOP) {
        URD_TRY(urd_tracee_get_regs(t->tid, &regs));
        if (fast_is_inside(t, regs.rip))
            return stopped_inside(r, t, status, &regs, ret_go_on);
    }
    return fast_drain(r, t, true);
}
