#include "tests/oracle_run.h"
#include "base/map.h"
#include "indexer/writes.h"
#include "replay/session.h"
#include <errno.h>
#include <stdio.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define TRAP_FLAG 0x100ull

struct shadow { /* calls that have not returned */
    int32_t tid;
    struct shadow_frame {
        uint64_t sp, site;
    } *frames;
    uint32_t n, capacity;
};

struct stepper {
    struct urd_session *session;
    struct run *run;
    struct urd_map index; /* pc -> place in insns + 1 */
    struct oracle_insn *insns;
    uint32_t n_insns, cap_insns;
    struct shadow *shadows;
    uint32_t n_shadows, cap_shadows;
    uint8_t *scratch;
    struct { uint64_t at; uint8_t before[16384]; } area;
};

/* ---- calls ---- */

static struct shadow *shadow_of(struct stepper *s, int32_t tid)
{
    for (uint32_t i = 0; i < s->n_shadows; i++)
        if (s->shadows[i].tid == tid)
            return &s->shadows[i];
    URD_PUSH(s->shadows, s->n_shadows, s->cap_shadows) = (struct shadow){.tid = tid};
    return &s->shadows[s->n_shadows - 1];
}

static void note_call(struct stepper *s, int32_t tid, const struct oracle_insn *in,
                      const struct user_regs_struct *before, const struct user_regs_struct *after)
{
    if (!in->is_call && !in->is_ret)
        return;
    struct shadow *h = shadow_of(s, tid);
    if (in->is_call) {
        URD_PUSH(h->frames, h->n, h->capacity) = (struct shadow_frame){after->rsp, before->rip};
        return;
    }
    uint32_t n = h->n;
    while (n && h->frames[n - 1].sp < before->rsp)
        n--;
    if (!n || h->frames[n - 1].sp != before->rsp)
        return;
    h->n = n - 1;
    URD_PUSH(s->run->calls, s->run->n_calls, s->run->cap_calls) =
        (struct run_call){h->frames[n - 1].site, s->run->n_steps, tid};
}

/* ---- one instruction ---- */

static const struct oracle_insn *decode_at(struct stepper *s, struct urd_task *t, uint64_t pc)
{
    uint8_t bytes[16];
    unsigned n = (unsigned)urd_tracee_read(t->process->mem, pc, bytes, 15);
    uint64_t *known = urd_map_put(&s->index, pc);
    if (!*known) {
        URD_PUSH(s->insns, s->n_insns, s->cap_insns) = (struct oracle_insn){0};
        *known = s->n_insns;
    }
    struct oracle_insn *in = &s->insns[*known - 1];
    if (in->n_bytes != n || memcmp(in->bytes, bytes, n) != 0) {
        oracle_decode(bytes, n, in);
        *urd_map_put(&s->run->code, pc) = s->run->values.size;
        urd_buf_put(&s->run->values, in->bytes, 16);
    }
    return in;
}

static void note_write(struct stepper *s, struct urd_task *t, const struct oracle_effect *e, uint64_t address,
                       uint64_t size)
{
    s->scratch = urd_xrealloc(s->scratch, size);
    urd_check(urd_tracee_read(t->process->mem, address, s->scratch, size) == size,
              "what was written at %#llx cannot be read", (unsigned long long)address);
    run_add_write(s->run, (struct run_write){.clock = s->run->n_steps, .address = address, .space = t->space,
                                             .size = (uint32_t)size, .rule = e->rule, .x87_image = e->x87_image},
                  s->scratch);
}

/** xsave and the like: the bytes that changed have been written, about the others nothing is said. */
static void note_area(struct stepper *s, struct urd_task *t, const struct oracle_effect *e)
{
    static uint8_t now[sizeof s->area.before];
    uint64_t at = e->ranges[0].address, size = e->ranges[0].size;
    urd_tracee_read(t->process->mem, at, now, size);
    for (uint64_t i = 0; i < size; i++)
        if (now[i] != s->area.before[i])
            note_write(s, t, e, at + i, 1);
    if (size > 512) /* XSTATE_BV: says which parts the processor had in use */
        note_write(s, t, e, at + 512, 8);
    if (size) /* a write of no bytes, so that the clock is known to have such a rule; value: the area's size */
        URD_PUSH(s->run->writes, s->run->n_writes, s->run->cap_writes) =
            (struct run_write){.clock = s->run->n_steps, .address = at, .space = t->space, .rule = e->rule,
                               .x87_image = e->x87_image, .value = size};
}

static void note_effect(struct stepper *s, struct urd_task *t, const struct oracle_effect *e)
{
    if (e->rule == ORACLE_AREA) {
        note_area(s, t, e);
        return;
    }
    for (unsigned i = 0; i < e->n; i++)
        note_write(s, t, e, e->ranges[i].address, e->ranges[i].size);
}

static void note_reads(struct stepper *s, struct urd_task *t, const struct oracle_effect *e)
{
    if (e->rule == ORACLE_AREA)
        URD_PUSH(s->run->reads, s->run->n_reads, s->run->cap_reads) =
            (struct run_write){.clock = s->run->n_steps, .rule = ORACLE_AREA, .space = t->space};
    for (unsigned i = 0; i < e->n; i++)
        URD_PUSH(s->run->reads, s->run->n_reads, s->run->cap_reads) =
            (struct run_write){.clock = s->run->n_steps, .address = e->ranges[i].address, .space = t->space,
                               .size = (uint32_t)e->ranges[i].size};
}

/** pushf under a single step saves the trap flag, which the subject never set. */
static void hide_trap_flag(struct urd_task *t, const struct oracle_insn *in, uint64_t sp)
{
    uint16_t flags;
    if (in->z.mnemonic != ZYDIS_MNEMONIC_PUSHF && in->z.mnemonic != ZYDIS_MNEMONIC_PUSHFQ)
        return;
    urd_tracee_read(t->process->mem, sp, &flags, 2);
    flags &= (uint16_t)~TRAP_FLAG;
    urd_tracee_write(t->process->mem, sp, &flags, 2);
}

static urd_err *resume(pid_t pid, int request, int *ret_status)
{
    do {
        if (ptrace(request, pid, 0, 0) != 0)
            URD_FAIL_ERRNO("cannot resume process %d", pid);
        while (waitpid(pid, ret_status, __WALL) < 0)
            if (errno != EINTR)
                URD_FAIL_ERRNO("cannot wait for process %d", pid);
        if (!WIFSTOPPED(*ret_status))
            URD_FAIL("the replayed process died");
    } while (*ret_status >> 16 || WSTOPSIG(*ret_status) == SIGSTOP);
    return NULL;
}

/**
 * The step stopped where it began: nothing was retired (a page fault can end a step before the instruction has
 * run; REP stops after each repetition), unless it is a jump to itself.
 */
static bool is_unfinished(const struct oracle_insn *in, uint64_t pc, uint64_t now)
{
    if (pc != now || !in->known)
        return false;
    bool to_itself = in->operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && in->operands[0].imm.is_relative &&
                     in->operands[0].imm.value.s == -(int64_t)in->z.length;
    return !to_itself;
}

/**
 * *ret_done: the task is at its next event, t->regs as the session wants them. once: it was single-stepped when it was recorded,
 * so the interval ends behind this instruction. The trap flag shows now and then: once a task has had one of its own, the kernel
 * takes the next step's for that (arch/x86/kernel/step.c, enable_single_step).
 */
static urd_err *step(struct stepper *s, struct urd_task *t, bool once, bool *ret_done)
{
    pid_t pid = t->process->pid;
    uint64_t pc = t->regs.rip;
    const struct oracle_insn *in = decode_at(s, t, pc);
    int status;
    if (in->known && in->is_syscall) {
        URD_PUSH(s->run->pcs, s->run->n_steps, s->run->cap_steps) = pc;
        URD_TRY(resume(pid, PTRACE_SYSEMU, &status));
        if (WSTOPSIG(status) != (SIGTRAP | 0x80))
            URD_FAIL("no system call at %#llx", (unsigned long long)pc);
        *ret_done = true;
        return urd_tracee_get_regs(pid, &t->regs);
    }
    struct oracle_effect e, reads;
    oracle_before(in, pid, &t->regs, &e);
    oracle_reads_before(in, pid, &t->regs, &reads);
    if (e.rule == ORACLE_AREA)
        urd_tracee_read(t->process->mem, e.ranges[0].address, s->area.before, e.ranges[0].size);
    do {
        URD_TRY(resume(pid, PTRACE_SINGLESTEP, &status));
        URD_TRY(urd_tracee_get_regs(pid, &t->regs));
        t->regs.eflags &= ~(uint64_t)TRAP_FLAG;
        if (WSTOPSIG(status) != SIGTRAP || (in->known && in->z.mnemonic == ZYDIS_MNEMONIC_INT3)) {
            *ret_done = true;
            return NULL;
        }
    } while (is_unfinished(in, pc, t->regs.rip) && (!once || t->regs.rcx == e.before.rcx)); /* one repetition of a REP */
    oracle_after(in, &t->regs, &e);
    if (!once)
        hide_trap_flag(t, in, t->regs.rsp);
    note_effect(s, t, &e);
    oracle_reads_after(in, &t->regs, &reads);
    note_reads(s, t, &reads);
    URD_PUSH(s->run->pcs, s->run->n_steps, s->run->cap_steps) = pc;
    note_call(s, t->tid, in, &e.before, &t->regs);
    *ret_done = once;
    return NULL;
}

/* ---- events ---- */

struct kernel_writes {
    struct urd_mem_write *writes;
    uint32_t n, capacity;
    uint64_t first_content_below, first_content_above; /* exec: what is outside is the program's image, no write */
};

static void keep_write(struct kernel_writes *k, struct urd_mem_write w)
{
    uint8_t *copy = urd_xrealloc(NULL, w.size + 1);
    memcpy(copy, w.data, w.size);
    w.data = copy;
    URD_PUSH(k->writes, k->n, k->capacity) = w;
}

/** An event is gone once it is applied: keep what it writes. Exec writes the stack from rsp up. */
static void keep_writes(const struct urd_event *e, struct kernel_writes *k)
{
    struct urd_map_op stack = {0};
    for (uint32_t i = 0; e->kind == URD_EVENT_EXEC && i < e->n_map_ops; i++)
        if (e->map_ops[i].grows_down)
            stack = e->map_ops[i];
    k->first_content_below = stack.start;
    k->first_content_above = e->kind == URD_EVENT_EXEC ? stack.start + stack.size : ~0ull;
    for (uint32_t i = 0; i < e->n_writes; i++) {
        struct urd_mem_write w = e->writes[i];
        uint64_t below = w.address >= stack.start && w.address < stack.start + stack.size && w.address < e->after.rsp
                             ? e->after.rsp - w.address
                             : 0;
        if (below < w.size)
            keep_write(k, (struct urd_mem_write){w.address + below, w.size - below, w.data + below});
    }
}

static void note_kernel_writes(struct stepper *s, const struct kernel_writes *k, int32_t tid)
{
    const struct urd_task *t = urd_session_task(s->session, tid);
    for (uint32_t i = 0; t && i < k->n; i++) {
        uint64_t at = k->writes[i].address;
        bool image = at < k->first_content_below || at >= k->first_content_above;
        run_add_write(s->run, (struct run_write){.clock = s->run->n_steps, .address = at, .space = t->space,
                                                 .event = image ? URD_WRITE_INITIAL : s->session->event,
                                                 .size = (uint32_t)k->writes[i].size},
                      k->writes[i].data);
    }
}

static urd_err *apply(struct stepper *s)
{
    struct kernel_writes k = {0};
    const struct urd_event *e = s->session->next;
    int32_t tid = e->tid;
    keep_writes(e, &k);
    if (e->kind == URD_EVENT_EXEC || e->kind == URD_EVENT_EXIT || e->kind == URD_EVENT_START)
        shadow_of(s, tid)->n = 0;
    urd_err *err = urd_session_apply(s->session);
    if (!err) {
        note_kernel_writes(s, &k, tid);
        URD_PUSH(s->run->event_clocks, s->run->n_events, s->run->cap_events) = s->run->n_steps;
    }
    for (uint32_t i = 0; i < k.n; i++)
        free((void *)k.writes[i].data);
    free(k.writes);
    return err;
}

static urd_err *step_everything(struct stepper *s)
{
    URD_PUSH(s->run->event_clocks, s->run->n_events, s->run->cap_events) = 0;
    while (s->session->next) {
        struct urd_task *t = urd_session_running(s->session);
        bool done = t == NULL, once = t && t->regs.eflags & TRAP_FLAG;
        if (t) {
            run_add_interval(s->run, t->tid, t->space);
            URD_TRY(urd_task_load(t));
        }
        while (!done)
            URD_TRY(step(s, t, once, &done));
        URD_TRY(apply(s));
    }
    return NULL;
}

urd_err *run_by_stepping(struct urd_trace *trace, struct run *ret)
{
    struct stepper *s = urd_xcalloc(1, sizeof *s);
    s->run = ret;
    urd_err *err = urd_session_open(trace, true, &s->session);
    if (!err) {
        s->session->check_memory = false; /* what xsave leaves depends on what was in use: not the same when stepped */
        err = step_everything(s);
    }
    urd_session_close(s->session);
    urd_map_deinit(&s->index);
    free(s->insns);
    for (uint32_t i = 0; i < s->n_shadows; i++)
        free(s->shadows[i].frames);
    free(s->shadows);
    free(s->scratch);
    free(s);
    return err;
}
