#include "tests/oracle_writes.h"
#include "base/err.h"
#include <cpuid.h>
#include <elf.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

/* ---- registers ---- */

static uint64_t general(const struct user_regs_struct *r, ZydisRegister which, uint64_t next_pc)
{
    if (which == ZYDIS_REGISTER_NONE)
        return 0;
    if (which == ZYDIS_REGISTER_RIP)
        return next_pc;
    if (which == ZYDIS_REGISTER_EIP)
        return (uint32_t)next_pc;
    uint64_t v = 0;
    switch (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, which)) {
    case ZYDIS_REGISTER_RAX: v = r->rax; break;
    case ZYDIS_REGISTER_RCX: v = r->rcx; break;
    case ZYDIS_REGISTER_RDX: v = r->rdx; break;
    case ZYDIS_REGISTER_RBX: v = r->rbx; break;
    case ZYDIS_REGISTER_RSP: v = r->rsp; break;
    case ZYDIS_REGISTER_RBP: v = r->rbp; break;
    case ZYDIS_REGISTER_RSI: v = r->rsi; break;
    case ZYDIS_REGISTER_RDI: v = r->rdi; break;
    case ZYDIS_REGISTER_R8: v = r->r8; break;
    case ZYDIS_REGISTER_R9: v = r->r9; break;
    case ZYDIS_REGISTER_R10: v = r->r10; break;
    case ZYDIS_REGISTER_R11: v = r->r11; break;
    case ZYDIS_REGISTER_R12: v = r->r12; break;
    case ZYDIS_REGISTER_R13: v = r->r13; break;
    case ZYDIS_REGISTER_R14: v = r->r14; break;
    case ZYDIS_REGISTER_R15: v = r->r15; break;
    default: urd_check(false, "register %s", ZydisRegisterGetString(which));
    }
    switch (ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, which)) {
    case 32: return (uint32_t)v;
    case 16: return (uint16_t)v;
    default: return v;
    }
}

struct xstate {
    uint8_t bytes[16384];
};

static void get_xstate(pid_t pid, struct xstate *x)
{
    struct iovec iov = {x->bytes, sizeof x->bytes};
    memset(x, 0, sizeof *x);
    urd_check(ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &iov) == 0, "cannot read vector registers");
}

/** Where XSAVE's standard format has a component (SDM vol. 1, 13.4.3). */
static const uint8_t *component(const struct xstate *x, unsigned n)
{
    unsigned a, b, c, d;
    __cpuid_count(0xd, n, a, b, c, d);
    return x->bytes + b;
}

/** Bytes of a vector register, 64 of them; those it does not have are 0. */
static void vector(const struct xstate *x, ZydisRegister which, uint8_t ret[64])
{
    memset(ret, 0, 64);
    ZydisRegisterClass class = ZydisRegisterGetClass(which);
    unsigned id = (unsigned)ZydisRegisterGetId(which), width = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, which) / 8;
    if (class == ZYDIS_REGCLASS_MMX) {
        memcpy(ret, x->bytes + 32 + 16 * id, 8);
        return;
    }
    if (id >= 16) {
        memcpy(ret, component(x, 7) + 64 * (id - 16), width);
        return;
    }
    memcpy(ret, x->bytes + 160 + 16 * id, 16);
    if (width >= 32)
        memcpy(ret + 16, component(x, 2) + 16 * id, 16);
    if (width >= 64)
        memcpy(ret + 32, component(x, 6) + 32 * id, 32);
}

static uint64_t opmask(const struct xstate *x, ZydisRegister k)
{
    uint64_t v;
    memcpy(&v, component(x, 5) + 8 * (k - ZYDIS_REGISTER_K0), 8);
    return v;
}

/* ---- decoding ---- */

void oracle_decode(const uint8_t *bytes, unsigned n, struct oracle_insn *ret)
{
    static ZydisDecoder decoder;
    static bool ready;
    if (!ready) {
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        ready = true;
    }
    memset(ret, 0, sizeof *ret);
    memcpy(ret->bytes, bytes, n < 16 ? n : 16);
    ret->n_bytes = n;
    ret->known = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, n, &ret->z, ret->operands));
    if (!ret->known)
        return;
    ret->is_syscall = ret->z.mnemonic == ZYDIS_MNEMONIC_SYSCALL;
    ret->is_repeated = ret->z.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
    ret->is_call = ret->z.mnemonic == ZYDIS_MNEMONIC_CALL;
    ret->is_ret = ret->z.mnemonic == ZYDIS_MNEMONIC_RET;
}

static void add(struct oracle_effect *e, uint64_t address, uint64_t size)
{
    urd_check(e->n < ORACLE_RANGES, "too many writes in one instruction");
    e->ranges[e->n++] = (struct oracle_range){address, size};
}

static uint64_t address_of(const struct oracle_insn *in, const ZydisDecodedOperand *o,
                           const struct user_regs_struct *r)
{
    uint64_t next = r->rip + in->z.length;
    uint64_t a = general(r, o->mem.base, next) + general(r, o->mem.index, next) * o->mem.scale +
                 (o->mem.disp.has_displacement ? (uint64_t)o->mem.disp.value : 0);
    if (in->z.address_width == 32)
        a = (uint32_t)a;
    if (o->mem.segment == ZYDIS_REGISTER_FS)
        a += r->fs_base;
    else if (o->mem.segment == ZYDIS_REGISTER_GS)
        a += r->gs_base;
    return a;
}

/* ---- families ---- */

/** bts, btr, btc with a register: the bit may lie anywhere (SDM vol. 2, BT). */
static uint64_t bit_string_address(const struct oracle_insn *in, uint64_t a, const struct user_regs_struct *r)
{
    const ZydisDecodedOperand *o = &in->operands[1];
    if (o->type != ZYDIS_OPERAND_TYPE_REGISTER)
        return a;
    int64_t bit = (int64_t)general(r, o->reg.value, 0);
    switch (in->z.operand_width) {
    case 16: return a + (uint64_t)(((int16_t)bit >> 4) * 2);
    case 32: return a + (uint64_t)((int64_t)((int32_t)bit >> 5) * 4);
    default: return a + (uint64_t)((bit >> 6) * 8);
    }
}

static void masked(struct oracle_effect *e, uint64_t a, unsigned element, unsigned count, uint64_t mask)
{
    e->rule = ORACLE_BYTES;
    for (unsigned i = 0; i < count; i++)
        if (mask >> i & 1)
            add(e, a + i * element, element);
}

/** The mask is the top bit of each element of a vector register. */
static void masked_by_signs(struct oracle_effect *e, pid_t pid, uint64_t a, ZydisRegister mask, unsigned element,
                            unsigned bytes)
{
    struct xstate x;
    uint8_t v[64];
    uint64_t bits = 0;
    get_xstate(pid, &x);
    vector(&x, mask, v);
    for (unsigned i = 0; i < bytes / element; i++)
        bits |= (uint64_t)(v[(i + 1) * element - 1] >> 7) << i;
    masked(e, a, element, bytes / element, bits);
}

static void scatter(const struct oracle_insn *in, struct oracle_effect *e, const struct xstate *x,
                    const ZydisDecodedOperand *o, const struct user_regs_struct *r, uint64_t mask)
{
    unsigned index_bytes = 4, element = 4;
    switch (in->z.mnemonic) {
    case ZYDIS_MNEMONIC_VPSCATTERDQ: case ZYDIS_MNEMONIC_VSCATTERDPD: element = 8; break;
    case ZYDIS_MNEMONIC_VPSCATTERQD: case ZYDIS_MNEMONIC_VSCATTERQPS: index_bytes = 8; break;
    case ZYDIS_MNEMONIC_VPSCATTERQQ: case ZYDIS_MNEMONIC_VSCATTERQPD: index_bytes = element = 8; break;
    default: break;
    }
    uint8_t v[64];
    vector(x, o->mem.index, v);
    unsigned wider = index_bytes > element ? index_bytes : element;
    unsigned n = in->z.avx.vector_length / 8 / wider;
    uint64_t base = general(r, o->mem.base, 0) + (o->mem.disp.has_displacement ? (uint64_t)o->mem.disp.value : 0);
    e->rule = ORACLE_BYTES;
    for (unsigned i = 0; i < n; i++) {
        int64_t index = 0;
        if (index_bytes == 4) {
            int32_t narrow;
            memcpy(&narrow, v + 4 * i, 4);
            index = narrow;
        } else {
            memcpy(&index, v + 8 * i, 8);
        }
        if (mask >> i & 1)
            add(e, base + (uint64_t)index * o->mem.scale, element);
    }
}

static bool is_compress(ZydisMnemonic m)
{
    return m == ZYDIS_MNEMONIC_VPCOMPRESSB || m == ZYDIS_MNEMONIC_VPCOMPRESSW ||
           m == ZYDIS_MNEMONIC_VPCOMPRESSD || m == ZYDIS_MNEMONIC_VPCOMPRESSQ ||
           m == ZYDIS_MNEMONIC_VCOMPRESSPS || m == ZYDIS_MNEMONIC_VCOMPRESSPD;
}

/** EVEX with an opmask register. */
static void masked_by_k(const struct oracle_insn *in, struct oracle_effect *e, pid_t pid,
                        const ZydisDecodedOperand *o, uint64_t a, const struct user_regs_struct *r)
{
    struct xstate x;
    get_xstate(pid, &x);
    uint64_t mask = opmask(&x, in->z.avx.mask.reg);
    if (o->mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
        scatter(in, e, &x, o, r, mask);
        return;
    }
    unsigned element = o->element_size / 8, count = o->size / o->element_size;
    if (is_compress(in->z.mnemonic)) {
        if (count < 64)
            mask &= (1ull << count) - 1;
        mask = (unsigned)__builtin_popcountll(mask) == 64 ? ~0ull : (1ull << __builtin_popcountll(mask)) - 1;
    }
    masked(e, a, element, count, mask);
}

static bool has_k_mask(const struct oracle_insn *in)
{
    return in->z.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX && in->z.avx.mask.reg != ZYDIS_REGISTER_NONE &&
           in->z.avx.mask.reg != ZYDIS_REGISTER_K0;
}

static void plain_operand(const struct oracle_insn *in, struct oracle_effect *e, pid_t pid,
                          const ZydisDecodedOperand *o, const struct user_regs_struct *r)
{
    struct user_regs_struct at = *r;
    if (in->z.mnemonic == ZYDIS_MNEMONIC_POP && o->mem.base == ZYDIS_REGISTER_RSP)
        at.rsp += in->z.operand_width / 8; /* computed after the pop (SDM vol. 2, POP) */
    if (o->mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
        masked_by_k(in, e, pid, o, 0, &at);
        return;
    }
    uint64_t a = address_of(in, o, &at);
    switch (in->z.mnemonic) {
    case ZYDIS_MNEMONIC_BTS: case ZYDIS_MNEMONIC_BTR: case ZYDIS_MNEMONIC_BTC:
        a = bit_string_address(in, a, r);
        break;
    case ZYDIS_MNEMONIC_CMPXCHG: case ZYDIS_MNEMONIC_CMPXCHG8B: case ZYDIS_MNEMONIC_CMPXCHG16B:
        e->only_if_equal = true;
        break;
    case ZYDIS_MNEMONIC_VMASKMOVPS: case ZYDIS_MNEMONIC_VPMASKMOVD:
        masked_by_signs(e, pid, a, in->operands[1].reg.value, 4, o->size / 8);
        return;
    case ZYDIS_MNEMONIC_VMASKMOVPD: case ZYDIS_MNEMONIC_VPMASKMOVQ:
        masked_by_signs(e, pid, a, in->operands[1].reg.value, 8, o->size / 8);
        return;
    case ZYDIS_MNEMONIC_MASKMOVDQU: case ZYDIS_MNEMONIC_VMASKMOVDQU:
    case ZYDIS_MNEMONIC_MASKMOVQ: {
        unsigned bytes = in->z.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ ? 8 : 16;
        for (unsigned i = 0; i < in->z.operand_count; i++)
            if (in->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER && i == 1)
                masked_by_signs(e, pid, a, in->operands[i].reg.value, 1, bytes);
        return;
    }
    case ZYDIS_MNEMONIC_XSAVE: case ZYDIS_MNEMONIC_XSAVE64: case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64: case ZYDIS_MNEMONIC_XSAVEOPT: case ZYDIS_MNEMONIC_XSAVEOPT64: {
        unsigned eax, ebx, ecx, edx;
        __cpuid_count(0xd, 0, eax, ebx, ecx, edx);
        e->rule = ORACLE_AREA;
        e->x87_image = true;
        add(e, a, ebx);
        return;
    }
    case ZYDIS_MNEMONIC_FXSAVE: case ZYDIS_MNEMONIC_FXSAVE64:
        e->rule = ORACLE_AREA;
        e->x87_image = true;
        add(e, a, 512);
        return;
    case ZYDIS_MNEMONIC_FNSTENV: case ZYDIS_MNEMONIC_FNSAVE:
        e->x87_image = true;
        break;
    default:
        break;
    }
    if (has_k_mask(in)) {
        masked_by_k(in, e, pid, o, a, r);
        return;
    }
    urd_check(o->size >= 8, "%s writes memory of unknown size", ZydisMnemonicGetString(in->z.mnemonic));
    add(e, a, o->size / 8);
}

void oracle_before(const struct oracle_insn *in, pid_t pid, const struct user_regs_struct *regs,
                   struct oracle_effect *e)
{
    e->rule = ORACLE_EXACT;
    e->only_if_equal = e->from_stack = e->x87_image = false;
    e->enter_bytes = 0;
    e->n = 0;
    e->before = *regs;
    if (!in->known || in->z.meta.category == ZYDIS_CATEGORY_PREFETCH)
        return;
    switch (in->z.mnemonic) {
    case ZYDIS_MNEMONIC_PUSH: case ZYDIS_MNEMONIC_PUSHF: case ZYDIS_MNEMONIC_PUSHFQ: case ZYDIS_MNEMONIC_CALL:
        e->from_stack = true;
        return;
    case ZYDIS_MNEMONIC_ENTER:
        e->enter_bytes = 8 * (1 + (unsigned)(in->operands[1].imm.value.u & 31));
        return;
    case ZYDIS_MNEMONIC_STOSB: case ZYDIS_MNEMONIC_STOSW: case ZYDIS_MNEMONIC_STOSD: case ZYDIS_MNEMONIC_STOSQ:
    case ZYDIS_MNEMONIC_MOVSB: case ZYDIS_MNEMONIC_MOVSW: case ZYDIS_MNEMONIC_MOVSQ:
        return; /* oracle_after: the count is known then */
    case ZYDIS_MNEMONIC_MOVSD:
        if (in->z.meta.category == ZYDIS_CATEGORY_STRINGOP)
            return;
        break;
    default:
        break;
    }
    for (unsigned i = 0; i < in->z.operand_count; i++)
        if (in->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            in->operands[i].mem.type != ZYDIS_MEMOP_TYPE_AGEN &&
            in->operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
            plain_operand(in, e, pid, &in->operands[i], regs);
}

static unsigned string_element(const struct oracle_insn *in)
{
    switch (in->z.mnemonic) {
    case ZYDIS_MNEMONIC_STOSB: case ZYDIS_MNEMONIC_MOVSB: return 1;
    case ZYDIS_MNEMONIC_STOSW: case ZYDIS_MNEMONIC_MOVSW: return 2;
    case ZYDIS_MNEMONIC_STOSD: return 4;
    case ZYDIS_MNEMONIC_MOVSD: return in->z.meta.category == ZYDIS_CATEGORY_STRINGOP ? 4 : 0;
    case ZYDIS_MNEMONIC_STOSQ: case ZYDIS_MNEMONIC_MOVSQ: return 8;
    default: return 0;
    }
}

void oracle_after(const struct oracle_insn *in, const struct user_regs_struct *regs, struct oracle_effect *e)
{
    if (!in->known)
        return;
    unsigned element = string_element(in);
    if (element) {
        uint64_t to = e->before.rdi, n = 1;
        if (in->z.address_width == 32)
            to = (uint32_t)to;
        if (in->is_repeated) {
            n = e->before.rcx - regs->rcx; /* 0 at its end, but not behind one repetition that a tracer has stepped */
            n = in->z.address_width == 32 ? (uint32_t)n : n;
            e->rule = ORACLE_BYTES;
        }
        if (n)
            add(e, e->before.eflags & 0x400 ? to - (n - 1) * element : to, n * element);
    } else if (e->from_stack) {
        add(e, regs->rsp, e->before.rsp - regs->rsp);
    } else if (e->enter_bytes) {
        e->rule = ORACLE_BYTES;
        add(e, e->before.rsp - e->enter_bytes, e->enter_bytes);
    } else if (e->only_if_equal && !(regs->eflags & 0x40)) {
        e->n = 0;
    }
}

/* ---- reads ---- */

static bool is_string(const struct oracle_insn *in)
{
    return in->z.meta.category == ZYDIS_CATEGORY_STRINGOP;
}

/** Which registers a string instruction reads at (SDM vol. 2: CMPS, LODS, MOVS, SCAS), and the element's size. */
static unsigned string_reads(const struct oracle_insn *in, bool *rsi, bool *rdi)
{
    switch (in->z.mnemonic) {
    case ZYDIS_MNEMONIC_MOVSB: case ZYDIS_MNEMONIC_LODSB: *rsi = true; return 1;
    case ZYDIS_MNEMONIC_MOVSW: case ZYDIS_MNEMONIC_LODSW: *rsi = true; return 2;
    case ZYDIS_MNEMONIC_MOVSD: case ZYDIS_MNEMONIC_LODSD: *rsi = true; return 4;
    case ZYDIS_MNEMONIC_MOVSQ: case ZYDIS_MNEMONIC_LODSQ: *rsi = true; return 8;
    case ZYDIS_MNEMONIC_SCASB: *rdi = true; return 1;
    case ZYDIS_MNEMONIC_SCASW: *rdi = true; return 2;
    case ZYDIS_MNEMONIC_SCASD: *rdi = true; return 4;
    case ZYDIS_MNEMONIC_SCASQ: *rdi = true; return 8;
    case ZYDIS_MNEMONIC_CMPSB: *rsi = *rdi = true; return 1;
    case ZYDIS_MNEMONIC_CMPSW: *rsi = *rdi = true; return 2;
    case ZYDIS_MNEMONIC_CMPSD: *rsi = *rdi = true; return 4;
    case ZYDIS_MNEMONIC_CMPSQ: *rsi = *rdi = true; return 8;
    default: return 0;
    }
}

static void gather(const struct oracle_insn *in, struct oracle_effect *e, pid_t pid, const ZydisDecodedOperand *o,
                   const struct user_regs_struct *r)
{
    struct xstate x;
    uint8_t index[64], signs[64] = {0};
    unsigned index_bytes = 4, element = 4;
    switch (in->z.mnemonic) {
    case ZYDIS_MNEMONIC_VPGATHERDQ: case ZYDIS_MNEMONIC_VGATHERDPD: element = 8; break;
    case ZYDIS_MNEMONIC_VPGATHERQD: case ZYDIS_MNEMONIC_VGATHERQPS: index_bytes = 8; break;
    case ZYDIS_MNEMONIC_VPGATHERQQ: case ZYDIS_MNEMONIC_VGATHERQPD: index_bytes = element = 8; break;
    default: break;
    }
    get_xstate(pid, &x);
    vector(&x, o->mem.index, index);
    bool by_k = in->z.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    uint64_t mask = by_k ? opmask(&x, in->z.avx.mask.reg) : 0;
    if (!by_k)
        vector(&x, in->operands[2].reg.value, signs);
    unsigned n = in->z.avx.vector_length / 8 / (index_bytes > element ? index_bytes : element);
    uint64_t base = general(r, o->mem.base, 0) + (o->mem.disp.has_displacement ? (uint64_t)o->mem.disp.value : 0);
    for (unsigned i = 0; i < n; i++) {
        int64_t at = 0;
        int32_t narrow;
        memcpy(&narrow, index + 4 * i, 4);
        memcpy(&at, index + 8 * (i & 7), 8);
        at = index_bytes == 4 ? narrow : at;
        if (by_k ? mask >> i & 1 : signs[(i + 1) * element - 1] >> 7)
            add(e, base + (uint64_t)at * o->mem.scale, element);
    }
}

void oracle_reads_before(const struct oracle_insn *in, pid_t pid, const struct user_regs_struct *regs,
                         struct oracle_effect *e)
{
    e->rule = ORACLE_BYTES;
    e->n = 0;
    e->before = *regs;
    if (!in->known || in->z.meta.category == ZYDIS_CATEGORY_PREFETCH || in->z.mnemonic == ZYDIS_MNEMONIC_LEA ||
        in->z.mnemonic == ZYDIS_MNEMONIC_NOP)
        return;
    switch (in->z.mnemonic) {
    case ZYDIS_MNEMONIC_POP:
        add(e, regs->rsp, in->z.operand_width / 8);
        return;
    case ZYDIS_MNEMONIC_POPF: case ZYDIS_MNEMONIC_POPFQ: case ZYDIS_MNEMONIC_RET:
        add(e, regs->rsp, in->z.operand_width / 8);
        return;
    case ZYDIS_MNEMONIC_LEAVE:
        add(e, regs->rbp, 8);
        return;
    case ZYDIS_MNEMONIC_XLAT:
        add(e, regs->rbx + (uint8_t)regs->rax, 1);
        return;
    case ZYDIS_MNEMONIC_XSAVE: case ZYDIS_MNEMONIC_XSAVE64: case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64: case ZYDIS_MNEMONIC_XSAVEOPT: case ZYDIS_MNEMONIC_XSAVEOPT64:
    case ZYDIS_MNEMONIC_XRSTOR: case ZYDIS_MNEMONIC_XRSTOR64: case ZYDIS_MNEMONIC_ENTER:
        e->rule = ORACLE_AREA;
        return;
    default:
        break;
    }
    if (is_string(in))
        return; /* oracle_reads_after: the count is known then */
    for (unsigned i = 0; i < in->z.operand_count; i++) {
        const ZydisDecodedOperand *o = &in->operands[i];
        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || o->mem.type == ZYDIS_MEMOP_TYPE_AGEN ||
            !(o->actions & ZYDIS_OPERAND_ACTION_MASK_READ))
            continue;
        if (o->mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
            gather(in, e, pid, o, regs);
            continue;
        }
        uint64_t a = address_of(in, o, regs);
        if (in->z.mnemonic == ZYDIS_MNEMONIC_BT || in->z.mnemonic == ZYDIS_MNEMONIC_BTS ||
            in->z.mnemonic == ZYDIS_MNEMONIC_BTR || in->z.mnemonic == ZYDIS_MNEMONIC_BTC)
            a = bit_string_address(in, a, regs);
        urd_check(o->size >= 8, "%s reads memory of unknown size", ZydisMnemonicGetString(in->z.mnemonic));
        add(e, a, o->size / 8);
    }
}

void oracle_reads_after(const struct oracle_insn *in, const struct user_regs_struct *regs, struct oracle_effect *e)
{
    bool rsi = false, rdi = false;
    unsigned element = in->known && is_string(in) ? string_reads(in, &rsi, &rdi) : 0;
    if (!element)
        return;
    uint64_t n = in->is_repeated ? e->before.rcx - regs->rcx : 1;
    if (in->z.address_width == 32)
        n = (uint32_t)n;
    bool down = e->before.eflags & 0x400;
    const uint64_t from[2] = {e->before.rsi, e->before.rdi};
    const bool reads[2] = {rsi, rdi};
    for (unsigned i = 0; i < 2; i++)
        if (reads[i] && n)
            add(e, down ? from[i] - (n - 1) * element : from[i], n * element);
}
