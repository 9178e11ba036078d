/*
 * Decoding: from bytes to what the block builder needs to know.
 *
 * Zydis says which operands are read and written, hidden ones included. On top of that this file
 * decides two things for every instruction: its kind (copied, a control transfer, or left to the
 * tool), and how its memory write gets into the log. Whatever is not known for certain becomes
 * INSN_STEP: the tool then runs the instruction itself, and nothing is guessed.
 *
 * Example: `add [rax+8], ecx`  kind COPY, written = [rax+8], write READBACK, used = {rax, rcx}.
 *          `mov [rax+8], ecx`  kind COPY, write REPEAT: the same `mov` into the log gives the value,
 *                              for it reads nothing that it changes.
 *          `rdtsc`             kind STEP.
 */
#include "translate/internal.h"
#include <cpuid.h>
#include <sys/auxv.h>

static void detect(struct features *f)
{
    unsigned a, b, c, d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        f->bmi2 = b >> 8 & 1;
        f->xtest = (b >> 4 & 1) || (b >> 11 & 1);            /* HLE, RTM */
        f->fsgsbase = (b & 1) && (getauxval(AT_HWCAP2) & 2); /* the kernel lets us */
    }
    /* AMD before Zen 3 has pext in microcode. */
    f->fast_pext = f->bmi2;
    if (f->bmi2 && __get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx &&
        __get_cpuid(1, &a, &b, &c, &d) && (a >> 8 & 15) + (a >> 20 & 255) < 0x19)
        f->fast_pext = false;
    f->xsave_bytes = 576;
    uint64_t enabled = 3;
    if (__get_cpuid(1, &a, &b, &c, &d) && (c >> 27 & 1)) {
        unsigned lo, hi;
        __asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
        enabled = (uint64_t)hi << 32 | lo;
    }
    /* AMX tiles (17, 18) are left out: programs must ask for them, and no one saves them by hand.
     */
    for (unsigned i = 2; i < 63; i++)
        if ((enabled >> i & 1) && i != 17 && i != 18 && __get_cpuid_count(0xd, i, &a, &b, &c, &d) &&
            a + b > f->xsave_bytes)
            f->xsave_bytes = a + b;
    f->xsave_bytes = (f->xsave_bytes + 7) & ~7u;
}

const struct features *urd_translate_features(void)
{
    static struct features features;
    static bool known;
    if (!known) {
        detect(&features);
        known = true;
    }
    return &features;
}

int urd_insn_register(ZydisRegister reg)
{
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        reg = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
        return ZydisRegisterGetId(reg);
    default:
        return -1;
    }
}

uint64_t urd_insn_rip_target(const struct insn *in)
{
    return in->pc + in->length + (uint64_t)in->mem->mem.disp.value;
}

static bool is_memory(const ZydisDecodedOperand *op)
{
    return op->type == ZYDIS_OPERAND_TYPE_MEMORY &&
           (op->mem.type == ZYDIS_MEMOP_TYPE_MEM || op->mem.type == ZYDIS_MEMOP_TYPE_VSIB);
}

/* Registers, memory operands, and the reasons to step that operands give. */
static void look_at_operands(struct insn *in)
{
    for (unsigned i = 0; i < in->z.operand_count; i++) {
        const ZydisDecodedOperand *op = &in->ops[i];
        bool writes = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
        if (op->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            ZydisRegister reg = op->reg.value;
            int r = urd_insn_register(reg);
            if (r >= 0)
                in->used |= (uint16_t)(1 << r);
            if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
                in->high_byte = true;
            if (ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_SEGMENT &&
                (writes || reg == ZYDIS_REGISTER_GS || reg == ZYDIS_REGISTER_FS))
                in->kind = INSN_STEP;
            if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
                continue;
        } else if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
            int base = urd_insn_register(op->mem.base), index = urd_insn_register(op->mem.index);
            if (base >= 0)
                in->used |= (uint16_t)(1 << base);
            if (index >= 0)
                in->used |= (uint16_t)(1 << index);
            if (op->mem.segment == ZYDIS_REGISTER_GS)
                in->kind = INSN_STEP;
            if (op->mem.base == ZYDIS_REGISTER_EIP)
                in->kind = INSN_STEP;
            if (op->mem.base == ZYDIS_REGISTER_RIP)
                in->rip_relative = true;
            if (op->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM ||
                op->encoding == ZYDIS_OPERAND_ENCODING_DISP16_32_64)
                in->mem = op;
            if (writes && is_memory(op) && !in->written) {
                in->written = op;
                in->write_bytes = op->size / 8;
            }
        }
    }
}

/* Does it change any register, flags included, but memory? */
static bool changes_registers(const struct insn *in)
{
    for (unsigned i = 0; i < in->z.operand_count; i++)
        if (in->ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            (in->ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
            return true;
    return in->z.cpu_flags && (in->z.cpu_flags->modified | in->z.cpu_flags->set_0 |
                               in->z.cpu_flags->set_1 | in->z.cpu_flags->undefined);
}

static bool string_repeated(const struct insn *in)
{
    for (unsigned i = 0; i < in->z.raw.prefix_count; i++)
        if (in->z.raw.prefixes[i].value == 0xf3 || in->z.raw.prefixes[i].value == 0xf2)
            return true;
    return false;
}

/* clang-format off */
/* Instructions whose kind or write goes by their name. */
static void by_name(struct insn *in)
{
    /* compilers pad calls of __tls_get_addr with 66 66 48: REX.W makes the others void */
    bool plain_size = !(in->z.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) || in->z.raw.rex.W;
    switch (in->z.mnemonic) {
    case ZYDIS_MNEMONIC_SYSCALL: in->kind = INSN_SYSCALL; break;
    case ZYDIS_MNEMONIC_RET:
        in->kind = in->z.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR && plain_size ? INSN_RET
                                                                                 : INSN_STEP;
        break;
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_JMP: {
        bool call = in->z.mnemonic == ZYDIS_MNEMONIC_CALL;
        if (in->z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || !plain_size)
            in->kind = INSN_STEP;
        else if (in->ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
            in->kind = call ? INSN_CALL : INSN_JUMP;
        else if (in->kind != INSN_STEP)
            in->kind = call ? INSN_CALL_INDIRECT : INSN_JUMP_INDIRECT;
        in->written = NULL;
        break;
    }
    case ZYDIS_MNEMONIC_XTEST: /* glibc's string functions have it; no transaction is ever under way */
        if (!urd_translate_features()->xtest)
            in->kind = INSN_STEP;
        break;
    case ZYDIS_MNEMONIC_PUSH:
    case ZYDIS_MNEMONIC_PUSHFQ:
    case ZYDIS_MNEMONIC_PUSHF: in->write = WRITE_PUSH; break;
    case ZYDIS_MNEMONIC_ENTER:
        if (in->ops[1].imm.value.u || !plain_size)
            in->kind = INSN_STEP;
        in->write = WRITE_ENTER;
        in->write_bytes = 8;
        break;
    case ZYDIS_MNEMONIC_CMPXCHG:
    case ZYDIS_MNEMONIC_CMPXCHG8B:
    case ZYDIS_MNEMONIC_CMPXCHG16B:
        if (in->written)
            in->write = WRITE_CMPXCHG;
        break;
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
        if (in->written && in->ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
            in->write = WRITE_BIT;
            if (!urd_translate_features()->bmi2)
                in->kind = INSN_STEP;
        }
        break;
    case ZYDIS_MNEMONIC_STOSB: case ZYDIS_MNEMONIC_STOSW: case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ: case ZYDIS_MNEMONIC_MOVSB: case ZYDIS_MNEMONIC_MOVSW:
    case ZYDIS_MNEMONIC_MOVSQ:
        in->write = WRITE_READBACK;
        if (string_repeated(in)) {
            in->kind = in->kind == INSN_STEP || in->z.address_width != 64 ? INSN_STEP : INSN_REP;
            in->used |= 1 << RCX | 1 << RSI | 1 << RDI | 1 << RAX;
        }
        break;
    case ZYDIS_MNEMONIC_MOVSD:
        if (in->z.meta.category == ZYDIS_CATEGORY_STRINGOP) {
            in->write = WRITE_READBACK;
            if (string_repeated(in)) {
                in->kind = in->kind == INSN_STEP || in->z.address_width != 64 ? INSN_STEP : INSN_REP;
                in->used |= 1 << RCX | 1 << RSI | 1 << RDI | 1 << RAX;
            }
        }
        break;
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU: in->write = WRITE_MASK_BYTES; break;
    case ZYDIS_MNEMONIC_VMASKMOVPS: case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVD: case ZYDIS_MNEMONIC_VPMASKMOVQ:
        if (in->written)
            in->write = WRITE_MASK_VECTOR;
        break;
    case ZYDIS_MNEMONIC_VPCOMPRESSB: case ZYDIS_MNEMONIC_VPCOMPRESSW:
    case ZYDIS_MNEMONIC_VPCOMPRESSD: case ZYDIS_MNEMONIC_VPCOMPRESSQ:
    case ZYDIS_MNEMONIC_VCOMPRESSPS: case ZYDIS_MNEMONIC_VCOMPRESSPD:
        if (in->written && in->z.avx.mask.reg != ZYDIS_REGISTER_NONE &&
            in->z.avx.mask.reg != ZYDIS_REGISTER_K0)
            in->write = WRITE_COMPRESS;
        break;
    case ZYDIS_MNEMONIC_XSAVE: case ZYDIS_MNEMONIC_XSAVE64: case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64: case ZYDIS_MNEMONIC_XSAVEOPT: case ZYDIS_MNEMONIC_XSAVEOPT64:
        in->write = WRITE_READBACK;
        in->write_bytes = (uint16_t)urd_translate_features()->xsave_bytes;
        in->written = in->mem;
        if (in->write_bytes > 4096)
            in->kind = INSN_STEP;
        break;
    case ZYDIS_MNEMONIC_FXSAVE: case ZYDIS_MNEMONIC_FXSAVE64:
        in->write = WRITE_READBACK;
        in->write_bytes = 512;
        in->written = in->mem;
        break;
    case ZYDIS_MNEMONIC_CPUID: case ZYDIS_MNEMONIC_RDTSC: case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_RDRAND: case ZYDIS_MNEMONIC_RDSEED: case ZYDIS_MNEMONIC_RDPMC:
    case ZYDIS_MNEMONIC_RDPRU: case ZYDIS_MNEMONIC_RDPID: case ZYDIS_MNEMONIC_SYSENTER:
    case ZYDIS_MNEMONIC_SYSEXIT: case ZYDIS_MNEMONIC_SYSRET: case ZYDIS_MNEMONIC_INT:
    case ZYDIS_MNEMONIC_INT1: case ZYDIS_MNEMONIC_INT3: case ZYDIS_MNEMONIC_INTO:
    case ZYDIS_MNEMONIC_IRET: case ZYDIS_MNEMONIC_IRETD: case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_HLT: case ZYDIS_MNEMONIC_UD0: case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2: case ZYDIS_MNEMONIC_XBEGIN: case ZYDIS_MNEMONIC_XEND:
    case ZYDIS_MNEMONIC_XABORT: case ZYDIS_MNEMONIC_IN:
    case ZYDIS_MNEMONIC_OUT: case ZYDIS_MNEMONIC_INSB: case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_INSD: case ZYDIS_MNEMONIC_OUTSB: case ZYDIS_MNEMONIC_OUTSW:
    case ZYDIS_MNEMONIC_OUTSD: case ZYDIS_MNEMONIC_SGDT: case ZYDIS_MNEMONIC_SIDT:
    case ZYDIS_MNEMONIC_SLDT: case ZYDIS_MNEMONIC_STR: case ZYDIS_MNEMONIC_SMSW:
    case ZYDIS_MNEMONIC_LSL: case ZYDIS_MNEMONIC_LFS: case ZYDIS_MNEMONIC_LGS:
    case ZYDIS_MNEMONIC_LSS: case ZYDIS_MNEMONIC_WRGSBASE: case ZYDIS_MNEMONIC_RDGSBASE:
    case ZYDIS_MNEMONIC_SWAPGS: case ZYDIS_MNEMONIC_MOVDIR64B: case ZYDIS_MNEMONIC_ENQCMD:
    case ZYDIS_MNEMONIC_ENQCMDS: case ZYDIS_MNEMONIC_CLZERO: case ZYDIS_MNEMONIC_UIRET:
    case ZYDIS_MNEMONIC_SENDUIPI: case ZYDIS_MNEMONIC_CLUI: case ZYDIS_MNEMONIC_STUI:
    case ZYDIS_MNEMONIC_TILESTORED: case ZYDIS_MNEMONIC_STTILECFG: case ZYDIS_MNEMONIC_XSAVES:
    case ZYDIS_MNEMONIC_XSAVES64: case ZYDIS_MNEMONIC_MONITOR: case ZYDIS_MNEMONIC_MWAIT:
    case ZYDIS_MNEMONIC_UMONITOR: case ZYDIS_MNEMONIC_UMWAIT: case ZYDIS_MNEMONIC_TPAUSE:
    case ZYDIS_MNEMONIC_MONITORX: case ZYDIS_MNEMONIC_MWAITX:
    case ZYDIS_MNEMONIC_POPF: case ZYDIS_MNEMONIC_POPFQ: /* may set the trap flag */
    case ZYDIS_MNEMONIC_SKINIT: case ZYDIS_MNEMONIC_VMCALL: case ZYDIS_MNEMONIC_VMMCALL:
        in->kind = INSN_STEP;
        break;
    default: break;
    }
    if (in->z.meta.category == ZYDIS_CATEGORY_COND_BR && in->kind == INSN_COPY)
        in->kind = plain_size && in->z.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY
                       ? INSN_BRANCH
                       : INSN_STEP; /* AMD and Intel differ on the prefix */
    else if ((in->z.meta.branch_type == ZYDIS_BRANCH_TYPE_SHORT ||
              in->z.meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR ||
              in->z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) &&
             in->kind == INSN_COPY)
        in->kind = INSN_STEP;
}

/* clang-format on */

/* How a write is logged when the name did not say. */
static void default_write(struct insn *in)
{
    const ZydisDecodedOperand *op = in->written;
    if (!op || in->write != WRITE_NONE)
        return;
    if (op->mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
        in->write = WRITE_SCATTER;
        in->kind = INSN_STEP;
    } else if (in->z.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX &&
               in->z.avx.mask.reg != ZYDIS_REGISTER_NONE &&
               in->z.avx.mask.reg != ZYDIS_REGISTER_K0) {
        in->write = WRITE_MASK_K;
    } else if (in->z.meta.isa_ext == ZYDIS_ISA_EXT_X87 || in->mem != op || op != &in->ops[0] ||
               (op->actions & ZYDIS_OPERAND_ACTION_MASK_READ) || changes_registers(in) ||
               op->encoding != ZYDIS_OPERAND_ENCODING_MODRM_RM || in->high_byte) {
        in->write = WRITE_READBACK;
    } else {
        in->write = WRITE_REPEAT;
    }
}

static void check_write(struct insn *in)
{
    bool fs = in->written && in->written->mem.segment == ZYDIS_REGISTER_FS;
    if (in->write != WRITE_NONE && fs && !urd_translate_features()->fsgsbase)
        in->kind = INSN_STEP;
    if ((in->write == WRITE_MASK_K || in->write == WRITE_MASK_VECTOR ||
         in->write == WRITE_COMPRESS) &&
        !urd_translate_features()->bmi2)
        in->kind = INSN_STEP;
    if (in->write == WRITE_MASK_BYTES && in->z.address_width != 64)
        in->kind = INSN_STEP;
    if (in->write != WRITE_NONE && in->kind == INSN_COPY && !in->write_bytes)
        in->kind = INSN_STEP;
    if (in->write == WRITE_BIT && in->z.address_width != 64)
        in->kind = INSN_STEP;
    /* MPX: nops on processors without it, and nobody has it any more. */
    if (in->written && in->z.meta.isa_ext == ZYDIS_ISA_EXT_MPX)
        in->kind = INSN_STEP;
    if (in->z.encoding == ZYDIS_INSTRUCTION_ENCODING_3DNOW ||
        in->z.encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX)
        in->kind = INSN_STEP;
}

bool urd_insn_decode(const uint8_t *bytes, size_t n, uint64_t pc, unsigned probes, struct insn *in)
{
    static ZydisDecoder decoder;
    static bool ready;
    if (!ready) {
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        ready = true;
    }
    ZydisDecoderContext context;
    if (!n || !ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, bytes, n, &in->z)))
        return false;
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeOperands(&decoder, &context, &in->z, in->ops, in->z.operand_count)))
        return false;
    in->length = in->z.length;
    memcpy(in->bytes, bytes, in->length);
    in->pc = pc;
    in->kind = INSN_COPY;
    in->write = WRITE_NONE;
    in->mem = in->written = NULL;
    in->write_bytes = in->used = 0;
    in->rip_relative = in->high_byte = false;
    in->target = 0;
    look_at_operands(in);
    by_name(in);
    default_write(in);
    check_write(in);
    if ((probes & URD_PROBE_READS) && !urd_insn_reads_are_simple(in))
        in->kind = INSN_STEP;
    if (in->kind == INSN_JUMP || in->kind == INSN_BRANCH || in->kind == INSN_CALL)
        in->target = pc + in->length + (uint64_t)in->z.raw.imm[0].value.s;
    return true;
}

bool urd_insn_slot(const struct insn *in, struct urd_slot *ret)
{
    struct urd_slot slot = {.kind = URD_SLOT_WRITE, .size = in->write_bytes};
    slot.by_sp =
        in->write == WRITE_PUSH || (in->written && in->written->mem.base == ZYDIS_REGISTER_RSP);
    switch (in->kind) {
    case INSN_CALL:
    case INSN_CALL_INDIRECT:
        slot.size = 8;
        slot.by_sp = true;
        break;
    case INSN_RET:
    case INSN_JUMP_INDIRECT:
        slot.kind = URD_SLOT_SP;
        slot.size = 8;
        break;
    case INSN_REP:
        slot.kind = URD_SLOT_REP;
        break;
    default:
        switch (in->write) {
        case WRITE_NONE:
        case WRITE_SCATTER:
            return false;
        case WRITE_CMPXCHG:
        case WRITE_MASK_K:
        case WRITE_MASK_VECTOR:
        case WRITE_MASK_BYTES:
        case WRITE_COMPRESS:
            slot.kind = URD_SLOT_COND;
            break;
        default:
            break;
        }
    }
    *ret = slot;
    return true;
}

unsigned urd_insn_slots(const struct insn *in, unsigned probes, struct urd_slot ret[URD_READ_SLOTS])
{
    return probes & URD_PROBE_READS ? urd_insn_read_slots(in, ret) : urd_insn_slot(in, ret);
}

unsigned urd_slot_bytes(const struct urd_slot *slot)
{
    unsigned data = (slot->size + 7u) & ~7u;
    switch (slot->kind) {
    case URD_SLOT_WRITE:
        return (slot->derived ? 0 : 8) + (slot->known ? 0 : data);
    case URD_SLOT_SP:
        return slot->derived ? 0 : 8;
    case URD_SLOT_COND:
        return 16 + data;
    case URD_SLOT_REP:
    case URD_SLOT_READ_REP:
        return 16;
    default:
        return 8;
    }
}
