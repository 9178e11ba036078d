/*
 * The host CPU is the oracle: every instruction form runs natively and translated from the same state,
 * and all registers, flags, vector registers and memory must agree afterwards, also after a fault. In
 * log mode the log's writes over the memory before must give the memory after.
 *
 *   translate_test [seed] [random forms] [sequences]
 *
 * Two children, one for each side, are identical but for the cache. Both have a code page full of int3 and a
 * window of data, shared with this process.
 */
#include "base/buf.h"
#include "tests/translate_forms.h"
#include "tests/translate_run.h"
#include "translate/internal.h"
#include <cpuid.h>
#include <elf.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CODE 0x10000000ull
#define DATA 0x20000000ull
enum { CODE_BYTES = 0x4000, DATA_BYTES = 0x10000, MIDDLE = 0x8000 };

struct machine {
    struct user_regs_struct regs;
    uint8_t xstate[8192] __attribute__((aligned(64)));
    size_t xstate_bytes;
    int signal;
};

static uint64_t seed;
static uint8_t *code, *data;
static uint8_t initial_data[DATA_BYTES], native_data[DATA_BYTES], logged_data[DATA_BYTES];
static uint32_t component_at[10], component_bytes[10];
static struct machine pristine;
static struct run runner;
static unsigned long n_tested, n_stepped, n_faulted, n_illegal, n_failed, n_writes, n_noncanonical;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1du;
}

/* ---- a child and its state ---- */

static pid_t spawn(int code_fd, int data_fd, int ctx_fd, int cache_fd)
{
    pid_t pid = fork();
    if (pid) {
        int status;
        waitpid(pid, &status, 0);
        ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
        return pid;
    }
    if (mmap((void *)CODE, CODE_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, code_fd, 0) ==
            MAP_FAILED ||
        mmap((void *)DATA, DATA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, data_fd,
             0) == MAP_FAILED)
        _exit(1);
    run_map_here(ctx_fd, cache_fd);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(0);
}

static void get_state(pid_t pid, struct machine *m)
{
    struct iovec v = {m->xstate, sizeof m->xstate};
    ptrace(PTRACE_GETREGS, pid, 0, &m->regs);
    ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &v);
    m->xstate_bytes = v.iov_len;
}

static void set_state(pid_t pid, struct machine *m)
{
    struct iovec v = {m->xstate, m->xstate_bytes};
    m->regs.orig_rax = (unsigned long)-1;
    if (ptrace(PTRACE_SETREGS, pid, 0, &m->regs) ||
        ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &v)) {
        perror("set registers");
        exit(2);
    }
}

static void go(pid_t pid, struct machine *m)
{
    int status;
    ptrace(PTRACE_CONT, pid, 0, 0);
    waitpid(pid, &status, 0);
    if (!WIFSTOPPED(status)) {
        fprintf(stderr, "child gone: %#x\n", status);
        exit(2);
    }
    m->signal = WSTOPSIG(status);
    get_state(pid, m);
}

/* Components in their initial state are zero, and the x87 instruction pointers may differ. */
static void normalise(struct machine *m)
{
    uint64_t bv;
    memcpy(&bv, m->xstate + 512, 8);
    for (int i = 2; i < 10; i++)
        if (!(bv >> i & 1) && component_bytes[i])
            memset(m->xstate + component_at[i], 0, component_bytes[i]);
    if (!(bv >> 1 & 1))
        memset(m->xstate + 160, 0, 256);
    memset(m->xstate + 6, 0, 18);
    memset(m->xstate + 416, 0, 160);
}

static void random_vectors(struct machine *m)
{
    uint8_t *x = m->xstate;
    unsigned style = rnd() % 3;
    uint64_t bv = 7;
    for (int i = 5; i <= 7; i++)
        if (component_bytes[i])
            bv |= 1ull << i;
    memcpy(x + 512, &bv, 8);
    uint32_t mxcsr = 0x1f80;
    memcpy(x + 24, &mxcsr, 4);
    uint16_t fcw = 0x37f, fsw = 0;
    memcpy(x, &fcw, 2);
    memcpy(x + 2, &fsw, 2);
    x[4] = rnd() & 1 ? 0xff : 0x00;
    memset(x + 6, 0, 18);
    for (int i = 0; i < 8; i++) {
        uint64_t mantissa = rnd() | 1ull << 63;
        uint16_t exponent = (uint16_t)(0x3fff + (int)(rnd() % 64) - 20);
        memcpy(x + 32 + i * 16, &mantissa, 8);
        memcpy(x + 40 + i * 16, &exponent, 2);
    }
    for (int c = 1; c < 8; c++) {
        uint32_t at = c == 1 ? 160 : component_at[c], n = c == 1 ? 256 : component_bytes[c];
        if (c == 3 || c == 4)
            continue;
        for (uint32_t i = 0; i + 4 <= n; i += 4) {
            uint32_t v = (uint32_t)rnd();
            if (style == 1 && c != 5)
                v = (uint32_t)(rnd() % 64);
            if (style == 2 && c != 5)
                v = (v & 0x807fffff) | (uint32_t)(120 + rnd() % 16) << 23;
            memcpy(x + at + i, &v, 4);
        }
    }
}

/* ---- preparing an instruction ---- */

static unsigned long long *reg_of(struct user_regs_struct *regs, int r)
{
    unsigned long long *of[16] = {&regs->rax, &regs->rcx, &regs->rdx, &regs->rbx,
                                  &regs->rsp, &regs->rbp, &regs->rsi, &regs->rdi,
                                  &regs->r8,  &regs->r9,  &regs->r10, &regs->r11,
                                  &regs->r12, &regs->r13, &regs->r14, &regs->r15};
    return of[r];
}

/* Let the operand lie at `address`. disp fields are patched where registers do not do it. */
static void aim(struct insn *in, const ZydisDecodedOperand *op, struct machine *m, uint64_t address)
{
    int base = urd_insn_register(op->mem.base), index = urd_insn_register(op->mem.index);
    uint64_t scale = op->mem.scale ? op->mem.scale : 1, disp = (uint64_t)op->mem.disp.value;
    if (op->mem.segment == ZYDIS_REGISTER_FS)
        address -= m->regs.fs_base;
    if (op->mem.base == ZYDIS_REGISTER_RIP || (base < 0 && index < 0)) {
        uint64_t value =
            op->mem.base == ZYDIS_REGISTER_RIP ? address - (in->pc + in->length) : address;
        if (in->z.raw.disp.size == 32)
            memcpy(in->bytes + in->z.raw.disp.offset, &value, 4);
        else if (in->z.raw.disp.size == 64)
            memcpy(in->bytes + in->z.raw.disp.offset, &value, 8);
    } else if (op->mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
        if (base >= 0)
            *reg_of(&m->regs, base) = address - disp;
    } else if (base >= 0 && index >= 0 && base != index) {
        int free_one = base == RSP || rnd() % 4 ? index : base;
        if (op->encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM)
            free_one = -1; /* xlat */
        if (free_one == index)
            *reg_of(&m->regs, index) = rnd() % 16;
        *reg_of(&m->regs, base) =
            free_one < 0 ? address : address - disp - *reg_of(&m->regs, index) * scale;
    } else if (base >= 0 && index >= 0) {
        *reg_of(&m->regs, base) = (address - disp) / (1 + scale);
    } else if (base >= 0) {
        *reg_of(&m->regs, base) = address - disp;
    } else {
        *reg_of(&m->regs, index) = (address - disp) / scale;
    }
}

static void prepare(struct insn *in, struct machine *m)
{
    struct user_regs_struct *r = &m->regs;
    /* A target that is no canonical address faults before the jump natively and after it here. */
    bool aligned = rnd() % 4 || in->kind == INSN_JUMP_INDIRECT || in->kind == INSN_CALL_INDIRECT;
    unsigned n_memory = 0;
    for (unsigned i = 0; i < in->z.operand_count; i++) {
        const ZydisDecodedOperand *op = &in->ops[i];
        if (op->type != ZYDIS_OPERAND_TYPE_MEMORY)
            continue;
        uint64_t address =
            DATA + MIDDLE + 0x400 * n_memory++ + (aligned ? (rnd() % 8) * 64 : rnd() % 512);
        if (op->mem.base == ZYDIS_REGISTER_RSP && op->encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM)
            continue;
        aim(in, op, m, address);
    }
    /* bt family with a register offset: not too far away */
    if (in->mem && in->z.operand_count >= 2 && in->ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
        (in->z.mnemonic == ZYDIS_MNEMONIC_BT || in->z.mnemonic == ZYDIS_MNEMONIC_BTS ||
         in->z.mnemonic == ZYDIS_MNEMONIC_BTR || in->z.mnemonic == ZYDIS_MNEMONIC_BTC)) {
        int reg = urd_insn_register(in->ops[1].reg.value);
        if (reg != urd_insn_register(in->mem->mem.base) &&
            reg != urd_insn_register(in->mem->mem.index))
            *reg_of(r, reg) = (uint64_t)((int64_t)(rnd() % 8192) - 4096);
    }
    if (in->z.meta.category == ZYDIS_CATEGORY_STRINGOP)
        r->rcx = rnd() % 8 ? rnd() % 40 : rnd() % 3000;
    if ((in->z.mnemonic == ZYDIS_MNEMONIC_POPFQ || in->z.mnemonic == ZYDIS_MNEMONIC_POPF) &&
        r->rsp - DATA < DATA_BYTES - 8) {
        uint64_t flags = (rnd() & 0xcd5) | 2;
        memcpy(data + (r->rsp - DATA), &flags, 8);
    }
    uint64_t inside = CODE + 0x3000 + rnd() % 256;
    if (in->kind == INSN_RET && r->rsp - DATA < DATA_BYTES - 8)
        memcpy(data + (r->rsp - DATA), &inside, 8);
    if (in->kind == INSN_JUMP_INDIRECT || in->kind == INSN_CALL_INDIRECT) {
        const ZydisDecodedOperand *op = &in->ops[0];
        if (op->type == ZYDIS_OPERAND_TYPE_REGISTER)
            *reg_of(r, urd_insn_register(op->reg.value)) = inside;
        else
            for (unsigned i = 0; i < 0x200; i++)
                memcpy(data + MIDDLE + i * 8, &inside, 8);
    }
    if (in->kind == INSN_JUMP || in->kind == INSN_BRANCH || in->kind == INSN_CALL) {
        uint64_t rel = CODE + 0x3000 - (in->pc + in->length);
        if (in->z.raw.imm[0].size == 32)
            memcpy(in->bytes + in->z.raw.imm[0].offset, &rel, 4);
        else
            in->bytes[in->z.raw.imm[0].offset] = (uint8_t)(rnd() % 100 + 20);
    }
}

/* ---- running and comparing ---- */

static void on_write(void *unused, uint64_t address, uint64_t mask, const uint8_t *bytes,
                     uint64_t size)
{
    for (uint64_t i = 0; i < size; i++)
        if (i >= 64 || mask >> i & 1) {
            if (address + i - DATA < DATA_BYTES)
                logged_data[address + i - DATA] = bytes[i];
            else
                fprintf(stderr, "write to %#lx\n", (long)(address + i));
        }
    n_writes++;
}

/* The part of the unfinished record that locate says is there. */
static void apply_partial(const uint8_t *record, const struct urd_block *b, unsigned insn)
{
    const uint8_t *at = record + 8;
    uint64_t addresses[URD_BLOCK_INSNS];
    for (unsigned i = 0; i < b->n_slots && b->slots[i].insn < insn; i++) {
        const struct urd_slot *slot = &b->slots[i];
        uint64_t head[2];
        memcpy(head, at, 16);
        unsigned size = slot->size;
        if (slot->kind == URD_SLOT_WRITE) {
            uint64_t address = run_slot_address(slot, &at, addresses, i);
            on_write(NULL, address, UINT64_MAX, slot->known ? (const uint8_t *)&slot->value : at, size);
            at += slot->known ? 0 : (size + 7u) & ~7u;
        } else if (b->slots[i].kind == URD_SLOT_COND) {
            on_write(NULL, head[0], head[1], at + 16, size);
            at += 16 + ((size + 7u) & ~7u);
        } else if (slot->kind == URD_SLOT_SP) {
            run_slot_address(slot, &at, addresses, i);
        }
    }
}

static bool run_translated(pid_t pid, struct machine *m, bool rep_fault, unsigned long *ret_steps)
{
    uint64_t pc = m->regs.rip, cache;
    runner.ctx->log_pos = URD_LOG_BASE;
    runner.ctx->steps_left = 1000000;
    runner.steps_logged = 0;
    for (int turns = 0; turns < 50; turns++) {
        urd_err *err = pc - URD_CACHE_BASE < URD_CACHE_BYTES
                           ? (cache = pc, NULL)
                           : urd_translate_block(runner.t, pc, &runner.reader, &cache);
        if (err)
            return false;
        if (!cache) {
            m->regs.rip = pc;
            m->signal = SIGSEGV;
            return run_drain(&runner);
        }
        m->regs.rip = cache;
        m->regs.gs_base = URD_CONTEXT_BASE;
        set_state(pid, m);
        go(pid, m);
        if (m->signal != SIGTRAP) {
            const struct urd_block *b = NULL;
            unsigned insn = 0;
            uint64_t rip = m->regs.rip;
            if (!urd_translate_locate(runner.t, &m->regs, runner.ctx, &b, &insn)) {
                /* a jump to where there is no code */
                return rip < URD_CACHE_BASE;
            }
            const uint8_t *end = runner.log + (runner.ctx->log_pos - URD_LOG_BASE);
            if (!run_drain(&runner))
                return false;
            if (b && runner.t->probes & URD_PROBE_LOG) {
                uint64_t id;
                memcpy(&id, end, 8);
                if (id != b->id)
                    fprintf(stderr, "the faulting block is %u, the log says %lu\n", b->id,
                            (long)id);
                apply_partial(end, b, insn);
            }
            *ret_steps = runner.steps_logged + insn;
            return true;
        }
        struct urd_context *ctx = runner.ctx;
        pc = ctx->exit_pc;
        if (ctx->exit_reason == URD_EXIT_STEP) {
            m->regs.rip = pc + 1; /* where a native int3 stops */
            return run_drain(&runner);
        }
        if (ctx->exit_reason == URD_EXIT_REP) {
            if (!run_drain(&runner))
                return false;
            pc = ctx->exit_resume;
        } else if (ctx->exit_reason != URD_EXIT_MISS) {
            fprintf(stderr, "exit %lu\n", (long)ctx->exit_reason);
            return false;
        }
    }
    return false;
}

static const char *differs(struct machine *a, struct machine *b, bool compare_log)
{
    static char text[200];
    normalise(a);
    normalise(b);
    if (a->signal != b->signal) {
        snprintf(text, sizeof text, "signal native %d translated %d", a->signal, b->signal);
        return text;
    }
    for (int r = 0; r < 16; r++)
        if (*reg_of(&a->regs, r) != *reg_of(&b->regs, r)) {
            snprintf(text, sizeof text, "register %d native %llx translated %llx", r,
                     *reg_of(&a->regs, r), *reg_of(&b->regs, r));
            return text;
        }
    if (a->regs.rip != b->regs.rip) {
        snprintf(text, sizeof text, "rip native %llx translated %llx", a->regs.rip, b->regs.rip);
        return text;
    }
    if ((a->regs.eflags ^ b->regs.eflags) & 0x244cd5) {
        snprintf(text, sizeof text, "flags native %llx translated %llx", a->regs.eflags,
                 b->regs.eflags);
        return text;
    }
    if (a->regs.fs_base != b->regs.fs_base)
        return "fs_base";
    if (memcmp(a->xstate, b->xstate, a->xstate_bytes)) {
        size_t i = 0;
        while (a->xstate[i] == b->xstate[i])
            i++;
        snprintf(text, sizeof text, "xstate at %zu", i);
        return text;
    }
    if (memcmp(native_data, data, DATA_BYTES)) {
        size_t i = 0;
        while (native_data[i] == data[i])
            i++;
        snprintf(text, sizeof text, "memory at %zx", i);
        return text;
    }
    if (compare_log && memcmp(logged_data, data, DATA_BYTES)) {
        size_t i = 0;
        while (logged_data[i] == data[i])
            i++;
        snprintf(text, sizeof text, "log: memory at %zx is %02x, logged %02x, was %02x", i, data[i],
                 logged_data[i], initial_data[i]);
        return text;
    }
    return NULL;
}

static void complain(const char *what, const struct insn *insns, unsigned n, unsigned probes)
{
    if (n_failed++ > 60)
        return;
    ZydisFormatter formatter;
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    fprintf(stderr, "FAIL probes %u: %s\n", probes, what);
    for (unsigned i = 0; i < n; i++) {
        char text[100];
        struct insn in;
        urd_insn_decode(insns[i].bytes, insns[i].length, insns[i].pc, 0, &in);
        ZydisFormatterFormatInstruction(&formatter, &in.z, in.ops, in.z.operand_count_visible, text,
                                        sizeof text, in.pc, NULL);
        fprintf(stderr, "    %lx  ", (long)in.pc);
        for (unsigned k = 0; k < in.length; k++)
            fprintf(stderr, "%02x ", in.bytes[k]);
        fprintf(stderr, " %s\n", text);
    }
}

/* Its image has the address of an earlier x87 instruction, which differs and is known to. */
static bool only_alone(const struct insn *in)
{
    switch (in->z.mnemonic) {
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFQ: /* might set the trap flag */
        return true;
    default:
        return false;
    }
}

/* n instructions in a row; the registers suit the last of them that has a memory operand best. */
static void test_sequence(const struct form *const *forms, unsigned n, pid_t native_pid, pid_t pid)
{
    static struct insn insns[16];
    struct machine start = pristine, a, b;
    uint64_t pc = CODE + 0x100 + rnd() % 0x1000, at = pc;
    unsigned probes = runner.t->probes;
    for (size_t i = 0; i < DATA_BYTES; i += 8) {
        uint64_t v = rnd();
        memcpy(data + i, &v, 8);
    }
    random_vectors(&start);
    for (int r = 0; r < 16; r++)
        *reg_of(&start.regs, r) =
            n > 1 && rnd() % 2 ? DATA + MIDDLE + rnd() % 0x400 : rnd() >> (rnd() % 64);
    start.regs.rsp = DATA + 0x4000 + rnd() % 64 * 8;
    start.regs.rbp = DATA + 0x5000 + rnd() % 64 * 8;
    start.regs.eflags = (rnd() & 0x8d5) | 0x202 | (rnd() % 8 ? 0 : 0x400);
    start.regs.fs_base = 0x1000 + rnd() % 16 * 64;
    start.regs.gs_base = 0;
    memset(code, 0xcc, CODE_BYTES);
    unsigned used = 0;
    for (unsigned i = 0; i < n; i++) {
        struct insn *in = &insns[used];
        if (!urd_insn_decode(forms[i]->bytes, forms[i]->length, at, probes, in) ||
            in->kind == INSN_STEP || in->kind == INSN_SYSCALL ||
            (i + 1 < n && in->kind != INSN_COPY)) {
            n_stepped += n == 1;
            if (n == 1)
                return;
            continue;
        }
        /* Its push stays done when the end of its frame faults; then it is run again. */
        if (in->z.mnemonic == ZYDIS_MNEMONIC_ENTER && in->ops[0].imm.value.u > 0x1000)
            continue;
        if (n > 1 && only_alone(in))
            continue;
        prepare(in, &start);
        memcpy(code + (at - CODE), in->bytes, in->length);
        at += in->length;
        used++;
    }
    start.regs.rip = pc;
    memcpy(initial_data, data, DATA_BYTES);
    memcpy(logged_data, data, DATA_BYTES);
    a = start;
    set_state(native_pid, &a);
    go(native_pid, &a);
    memcpy(native_data, data, DATA_BYTES);
    memcpy(data, initial_data, DATA_BYTES);
    if (a.signal == SIGILL && n == 1) {
        n_illegal++;
        return;
    }
    urd_translate_invalidate(runner.t, CODE, CODE_BYTES);
    b = start;
    unsigned long steps = 0;
    if (!run_translated(pid, &b, false, &steps)) {
        complain("does not run", insns, used, probes);
        return;
    }
    n_tested++;
    n_faulted += a.signal != SIGTRAP;
    bool rep_fault = a.signal != SIGTRAP && used && insns[used - 1].kind == INSN_REP;
    /* A target that is no canonical address: natively the branch faults, here the fetch does. */
    bool canonical = (int64_t)(b.regs.rip << 16) >> 16 == (int64_t)b.regs.rip;
    if (a.signal == SIGSEGV && !canonical && b.regs.rip != a.regs.rip) {
        n_noncanonical++;
        return;
    }
    const char *what = differs(&a, &b, (probes & URD_PROBE_LOG) && !rep_fault);
    if (what)
        complain(what, insns, used, probes);
}

/* ---- everything ---- */

static void test_all(const struct forms *f, unsigned probes, int trials, int sequences)
{
    int code_fd = memfd_create("code", 0), data_fd = memfd_create("data", 0);
    if (ftruncate(code_fd, CODE_BYTES) || ftruncate(data_fd, DATA_BYTES))
        abort();
    code = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, code_fd, 0);
    data = mmap(NULL, DATA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, data_fd, 0);
    struct urd_translator *t;
    if (urd_translate_create(probes, &t))
        abort();
    memset(&runner, 0, sizeof runner);
    int ctx_fd = run_context_fd(&runner.ctx, &runner.log);
    runner.t = t;
    runner.on_write = on_write;
    pid_t native_pid = spawn(code_fd, data_fd, ctx_fd, urd_translate_fd(t));
    pid_t pid = spawn(code_fd, data_fd, ctx_fd, urd_translate_fd(t));
    run_reader(&runner, pid);
    get_state(native_pid, &pristine);
    n_tested = n_stepped = n_faulted = n_illegal = n_writes = 0;
    for (size_t i = 0; i < f->n; i++)
        for (int k = 0; k < trials; k++) {
            const struct form *one = &f->list[i];
            test_sequence(&one, 1, native_pid, pid);
        }
    for (int i = 0; i < sequences; i++) {
        const struct form *some[12];
        unsigned n = 2 + (unsigned)(rnd() % 10);
        for (unsigned k = 0; k < n; k++)
            some[k] = &f->list[rnd() % f->n];
        test_sequence(some, n, native_pid, pid);
    }
    struct urd_translate_stats stats = urd_translate_get_stats(t);
    printf("probes %u: %lu runs, of them %lu faults; %lu not run (left to the tool), %lu illegal "
           "here; "
           "%lu writes logged; %lu blocks, %lu flushes; %lu failures\n",
           probes, n_tested, n_faulted, n_stepped, n_illegal, n_writes, (long)stats.blocks,
           (long)stats.flushes, n_failed);
    kill(native_pid, SIGKILL);
    kill(pid, SIGKILL);
    waitpid(native_pid, NULL, 0);
    waitpid(pid, NULL, 0);
    urd_translate_destroy(t);
    close(code_fd);
    close(data_fd);
    close(ctx_fd);
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 42;
    seed = seed * 0x9e3779b97f4a7c15u + 1;
    size_t random_forms = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000000;
    int sequences = argc > 3 ? atoi(argv[3]) : 3000;
    int trials = argc > 4 ? atoi(argv[4]) : 3;
    setvbuf(stdout, NULL, _IOLBF, 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one); /* a ptrace stop is six times cheaper on one core */
    for (unsigned i = 2; i < 10; i++) {
        unsigned a, b, c, d;
        if (__get_cpuid_count(0xd, i, &a, &b, &c, &d) && a) {
            component_at[i] = b;
            component_bytes[i] = a;
        }
    }
    static const char *const binaries[] = {"/bin/bash",
                                           "/lib/x86_64-linux-gnu/libc.so.6",
                                           "/usr/bin/python3",
                                           "/bin/busybox",
                                           "/usr/lib/gcc/x86_64-linux-gnu/12/cc1",
                                           "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
                                           "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
                                           "/lib/x86_64-linux-gnu/libm.so.6",
                                           "/usr/bin/gdb",
                                           "/usr/lib/x86_64-linux-gnu/libgcrypt.so.20",
                                           "/usr/bin/perl"};
    struct forms f = {0};
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++)
        forms_harvest(&f, binaries[i], 2);
    printf("%zu forms in binaries\n", f.n);
    forms_random(&f, seed, random_forms, 2);
    printf("%zu forms with random ones\n", f.n);
    test_all(&f, URD_PROBE_LOG, trials, sequences);
    test_all(&f, 0, trials > 1 ? trials / 2 : 1, sequences);
    test_all(&f, URD_PROBE_LOG | URD_PROBE_COUNT, 1, sequences);
    return n_failed != 0;
}
