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

/** A scatter: each element whose mask bit is set goes to base + index * scale + displacement. */
static bool scatter_ranges(pid_t tid, const ZydisDecodedInstruction *in,
                           const ZydisDecodedOperand *o, const ZydisRegisterContext *context,
                           struct urd_stepped *ret)
{
    uint8_t xstate[16384] = {0}, index[64];
    size_t size = sizeof xstate;
    urd_err *err = urd_tracee_get_xstate(tid, xstate, &size);
    if (err || in->avx.mask.reg == ZYDIS_REGISTER_NONE) {
        urd_err_free(err);
        return false;
    }
    const char *name =
        ZydisMnemonicGetString(in->mnemonic); /* v[p]scatter INDEX DATA, each d/q or s/d */
    const char *kinds = strstr(name, "scatter");
    if (!kinds || strlen(kinds) < 9)
        return false;
    unsigned index_bytes = kinds[7] == 'd' ? 4 : 8;
    unsigned data_bytes = name[1] == 'p' ? (kinds[8] == 'd' ? 4 : 8) : (kinds[9] == 's' ? 4 : 8);
    unsigned count =
        in->avx.vector_length / 8u / (index_bytes > data_bytes ? index_bytes : data_bytes);
    uint64_t mask, base = o->mem.base == ZYDIS_REGISTER_NONE ? 0 : context->values[o->mem.base];
    memcpy(&mask, xstate + component(5) + (in->avx.mask.reg - ZYDIS_REGISTER_K0) * 8, 8);
    vector_register(xstate, vector_number(o->mem.index), index);
    for (unsigned i = 0; i < count && i < 16; i++) {
        int64_t at = 0;
        int32_t narrow;
        memcpy(&narrow, index + i * index_bytes, 4);
        memcpy(&at, index + i * index_bytes, index_bytes);
        if (index_bytes == 4)
            at = narrow;
        if (mask >> i & 1)
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
            ret->unknown = !scatter_ranges(tid, &in, o, &context, ret);
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
