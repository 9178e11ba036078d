#include "replay/stepped.h"
#include "trace/event.h"
#include <Zydis/Zydis.h>
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

/** ENTER pushes rbp and, when nested, copies of the enclosing frames' pointers and its own (SDM vol. 2, ENTER). */
static void enter_range(const ZydisDecodedOperand *operands, const struct user_regs_struct *regs, struct urd_stepped *ret)
{
    uint64_t level = operands[1].imm.value.u & 31;
    ret->size = level ? 8 * (level + 1) : 8;
    ret->address = regs->rsp - ret->size;
}

void urd_stepped_before(const uint8_t *code, size_t size, const struct user_regs_struct *regs, struct urd_stepped *ret)
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
    for (unsigned i = 0; i < in.operand_count; i++) {
        const ZydisDecodedOperand *o = &operands[i];
        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY || !(o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
            continue;
        ZydisRegisterContext context;
        fill_context(regs, &context);
        ret->size = o->size / 8;
        if (in.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) {
            ret->rep = true;
        } else if (in.meta.category == ZYDIS_CATEGORY_PUSH || in.meta.category == ZYDIS_CATEGORY_CALL) {
            ret->address = regs->rsp - ret->size;
        } else if (o->mem.type == ZYDIS_MEMOP_TYPE_VSIB || !ret->size ||
                   !ZYAN_SUCCESS(ZydisCalcAbsoluteAddressEx(&in, o, regs->rip, &context, &ret->address))) {
            ret->unknown = true;
            ret->size = 0;
        } else if (o->mem.segment == ZYDIS_REGISTER_FS) {
            ret->address += regs->fs_base;
        } else if (o->mem.segment == ZYDIS_REGISTER_GS) {
            ret->address += regs->gs_base;
        }
        return;
    }
}

void urd_stepped_after(struct urd_stepped *s, const struct user_regs_struct *before, const struct user_regs_struct *after)
{
    if (!s->rep)
        return;
    uint64_t element = s->size, a = before->rdi, b = after->rdi;
    s->size = a < b ? b - a : a - b;
    s->address = a < b ? a : b + element; /* downwards: from the last element stored to the first one's end */
}
