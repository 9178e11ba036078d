#include "replay/stepped.h"
#include "trace/event.h"
#include "base/tracee.h"
#include <Zydis/Zydis.h>
#include <cpuid.h>
#include <string.h>

static void fill_context(const struct user_regs_struct *regs, ZydisRegisterContext *c)
{
    memset(c, 0, sizeof *c);
    struct user_regs_struct copy = *regs;
    for (unsigned i = 0; i < 16; i++) {
        c->values[ZYDIS_REGISTER_RAX + i] = *urd_reg_slot(&copy, i);
        c->values[ZYDIS_REGISTER_EAX + i] = (uint32_t)*urd_reg_slot(&copy, i);
    }
    c->values[ZYDIS_REGISTER_RIP] = regs->rip;
}

static void add_range(struct urd_stepped *s, uint64_t address, uint64_t size)
{
    if (s->n < 16 && size) {
        s->ranges[s->n].address = address;
        s->ranges[s->n++].size = size;
    }
}

/** ENTER pushes rbp and, when nested, copies of the enclosing frames' pointers and its own (SDM vol. 2, ENTER). */
static void enter_range(const ZydisDecodedOperand *operands, const struct user_regs_struct *regs,
                        struct urd_stepped *ret)
{
    uint64_t level = operands[1].imm.value.u & 31, size = level ? 8 * (level + 1) : 8;
    add_range(ret, regs->rsp - size, size);
}

/** Where a state component lies in the standard XSAVE layout (SDM vol. 1, 13.4.3). */
static uint32_t component(unsigned n)
{
    uint32_t eax, ebx, ecx, edx;
    __cpuid_count(0xd, n, eax, ebx, ecx, edx);
    return ebx;
}

/** The 64 bytes of vector register n: its parts lie in the legacy area and in components 2, 6 and 7. */
static void vector_register(const uint8_t *xstate, unsigned n, uint8_t ret[64])
{
    if (n >= 16) {
        memcpy(ret, xstate + component(7) + (n - 16) * 64, 64);
        return;
    }
    memcpy(ret, xstate + 160 + n * 16, 16);
    memcpy(ret + 16, xstate + component(2) + n * 16, 16);
    memcpy(ret + 32, xstate + component(6) + n * 32, 32);
}

static unsigned vector_number(ZydisRegister r)
{
    return r >= ZYDIS_REGISTER_ZMM0   ? (unsigned)(r - ZYDIS_REGISTER_ZMM0)
           : r >= ZYDIS_REGISTER_YMM0 ? (unsigned)(r - ZYDIS_REGISTER_YMM0)
                                      : (unsigned)(r - ZYDIS_REGISTER_XMM0);
}

/** Where a gather's or scatter's mask says so: of AVX2 the sign of each element of a vector register. */
static bool element_is_wanted(const uint8_t *xstate, ZydisRegister mask, unsigned i, unsigned bytes)
{
    if (mask >= ZYDIS_REGISTER_K0 && mask <= ZYDIS_REGISTER_K7) {
        uint64_t bits;
        memcpy(&bits, xstate + component(5) + (mask - ZYDIS_REGISTER_K0) * 8, 8);
        return bits >> i & 1;
    }
    uint8_t vector[64];
    vector_register(xstate, vector_number(mask), vector);
    return vector[(i + 1) * bytes - 1] >> 7;
}

/** A scatter or gather: each element whose mask bit is set lies at base + index * scale + displacement. */
static bool element_ranges(pid_t tid, const ZydisDecodedInstruction *in,
                           const ZydisDecodedOperand *o, const ZydisRegisterContext *context,
                           struct urd_stepped *ret)
{
    uint8_t xstate[16384] = {0}, index[64];
    size_t size = sizeof xstate;
    urd_err *err = urd_tracee_get_xstate(tid, xstate, &size);
    /* v[p]scatter or v[p]gather, INDEX, DATA, each d/q or s/d */
    const char *name = ZydisMnemonicGetString(in->mnemonic), *kinds = strstr(name, "scatter");
    kinds = kinds ? kinds + 7 : strstr(name, "gather") ? strstr(name, "gather") + 6 : NULL;
    bool vector_mask = in->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX; /* the third operand */
    ZydisRegister mask = vector_mask ? o[1].reg.value : in->avx.mask.reg;
    if (err || mask == ZYDIS_REGISTER_NONE || !kinds || strlen(kinds) < 2) {
        urd_err_free(err);
        return false;
    }
    unsigned index_bytes = kinds[0] == 'd' ? 4 : 8;
    unsigned data_bytes = name[1] == 'p' ? (kinds[1] == 'd' ? 4 : 8) : (kinds[2] == 's' ? 4 : 8);
    unsigned count =
        in->avx.vector_length / 8u / (index_bytes > data_bytes ? index_bytes : data_bytes);
    uint64_t base = o->mem.base == ZYDIS_REGISTER_NONE ? 0 : context->values[o->mem.base];
    vector_register(xstate, vector_number(o->mem.index), index);
    for (unsigned i = 0; i < count && i < 16; i++) {
        int64_t at = 0;
        int32_t narrow;
        memcpy(&narrow, index + i * index_bytes, 4);
        memcpy(&at, index + i * index_bytes, index_bytes);
        if (index_bytes == 4)
            at = narrow;
        if (element_is_wanted(xstate, mask, i, data_bytes))
            add_range(ret, base + (uint64_t)(at * o->mem.scale) + (uint64_t)o->mem.disp.value,
                      data_bytes);
    }
    return true;
}

void urd_stepped_before(pid_t tid, const uint8_t *code, size_t size,
                        const struct user_regs_struct *regs, struct urd_stepped *ret)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    *ret = (struct urd_stepped){0};
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, size, &in, operands)))
        return;
    if (in.mnemonic == ZYDIS_MNEMONIC_ENTER) {
        enter_range(operands, regs, ret);
        return;
    }
    ZydisRegisterContext context;
    fill_context(regs, &context);
    for (unsigned i = 0; i < in.operand_count; i++) {
        const ZydisDecodedOperand *o = &operands[i];
        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || !(o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
            continue;
        uint64_t address = 0, bytes = o->size / 8;
        if (in.attributes &
            (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) {
            ret->rep = true;
            add_range(ret, 0, bytes);
        } else if (in.meta.category == ZYDIS_CATEGORY_PUSH ||
                   in.meta.category == ZYDIS_CATEGORY_CALL) {
            add_range(ret, regs->rsp - bytes, bytes);
        } else if (o->mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
            ret->unknown = !element_ranges(tid, &in, o, &context, ret);
        } else if (!bytes || !ZYAN_SUCCESS(ZydisCalcAbsoluteAddressEx(&in, o, regs->rip, &context,
                                                                      &address))) {
            ret->unknown = true;
        } else {
            add_range(ret,
                      address + (o->mem.segment == ZYDIS_REGISTER_FS   ? regs->fs_base
                                 : o->mem.segment == ZYDIS_REGISTER_GS ? regs->gs_base
                                                                       : 0),
                      bytes);
        }
        return;
    }
}

void urd_stepped_after(struct urd_stepped *s, const struct user_regs_struct *before,
                       const struct user_regs_struct *after)
{
    if (!s->rep || !s->n)
        return;
    uint64_t element = s->ranges[0].size, a = before->rdi, b = after->rdi;
    s->ranges[0].size = a < b ? b - a : a - b;
    s->ranges[0].address =
        a < b ? a
              : b + element; /* downwards: from the last element stored to the first one's end */
    s->n = s->ranges[0].size != 0;
}

/* ---- reads ---- */

/** bt [mem], reg reads the operand-sized word that has the bit. */
static uint64_t bit_offset(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o,
                           const struct user_regs_struct *regs, uint64_t bytes)
{
    struct user_regs_struct copy = *regs;
    if ((in->mnemonic != ZYDIS_MNEMONIC_BT && in->mnemonic != ZYDIS_MNEMONIC_BTS &&
         in->mnemonic != ZYDIS_MNEMONIC_BTR && in->mnemonic != ZYDIS_MNEMONIC_BTC) ||
        o[1].type != ZYDIS_OPERAND_TYPE_REGISTER)
        return 0;
    ZydisRegister r = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o[1].reg.value);
    int64_t bit = (int64_t)*urd_reg_slot(&copy, (unsigned)ZydisRegisterGetId(r));
    bit = bytes == 2 ? (int16_t)bit : bytes == 4 ? (int32_t)bit : bit;
    int64_t bits = (int64_t)bytes * 8;
    return (uint64_t)((bit >= 0 ? bit / bits : (bit - bits + 1) / bits) * (int64_t)bytes);
}

static uint64_t string_address(ZydisRegister base, const struct user_regs_struct *regs)
{
    switch (base) {
    case ZYDIS_REGISTER_RSI:
        return regs->rsi;
    case ZYDIS_REGISTER_ESI:
        return (uint32_t)regs->rsi;
    case ZYDIS_REGISTER_EDI:
        return (uint32_t)regs->rdi;
    default:
        return regs->rdi;
    }
}

void urd_stepped_reads_before(pid_t tid, const uint8_t *code, size_t size,
                              const struct user_regs_struct *regs, struct urd_stepped *ret)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
    *ret = (struct urd_stepped){0};
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, size, &in, o)))
        return;
    ZydisRegisterContext context;
    fill_context(regs, &context);
    ret->rep =
        in.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
    for (unsigned i = 0; i < in.operand_count; i++) {
        uint64_t address, bytes = o[i].size / 8;
        if (o[i].type != ZYDIS_OPERAND_TYPE_MEMORY || o[i].mem.type == ZYDIS_MEMOP_TYPE_AGEN ||
            !(o[i].actions & ZYDIS_OPERAND_ACTION_MASK_READ))
            continue;
        if (in.mnemonic == ZYDIS_MNEMONIC_XLAT)
            add_range(ret, regs->rbx + (uint8_t)regs->rax, 1);
        else if (o[i].mem.type == ZYDIS_MEMOP_TYPE_VSIB)
            ret->unknown |= !element_ranges(tid, &in, &o[i], &context, ret);
        else if (ret->rep)
            add_range(ret, string_address(o[i].mem.base, regs), bytes);
        else if (!bytes || !ZYAN_SUCCESS(ZydisCalcAbsoluteAddressEx(&in, &o[i], regs->rip, &context,
                                                                    &address)))
            ret->unknown = true;
        else
            add_range(ret,
                      address + (i == 0 ? bit_offset(&in, o, regs, bytes) : 0) +
                          (o[i].mem.segment == ZYDIS_REGISTER_FS   ? regs->fs_base
                           : o[i].mem.segment == ZYDIS_REGISTER_GS ? regs->gs_base
                                                                   : 0),
                      bytes);
    }
}

void urd_stepped_reads_after(struct urd_stepped *s, const struct user_regs_struct *before,
                             const struct user_regs_struct *after)
{
    for (unsigned i = 0; s->rep && i < s->n; i++) {
        uint64_t element = s->ranges[i].size, a = s->ranges[i].address;
        bool source =
            a == before->rsi || a == (uint32_t)before->rsi; /* rdi is equal: it goes the same way */
        uint64_t b = source ? after->rsi : after->rdi;
        if (a != (source ? before->rsi : before->rdi)) /* 32-bit addresses */
            b = (uint32_t)b;
        s->ranges[i].address = a < b ? a : b + element;
        s->ranges[i].size = a < b ? b - a : a - b;
    }
}
