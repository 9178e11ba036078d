/*
 * Which addresses that a block writes to lie a constant away from one that its record has already, and which values are known
 * before it runs. Such words are not logged.
 *
 * A register's value is a *symbol*, something that was not known when it was made, and a constant: a block begins with a symbol
 * for each register; additions of constants, LEA and copies keep the symbol, everything else makes a new one. An address is a
 * symbol for its base, one for its scaled index, and a constant. Two addresses with the same symbols differ by constants alone.
 *
 * Example: `push rbp; push rbx; sub rsp, 24; mov [rdi+8], eax; mov [rdi], edx; mov qword [rsp], 0; call f`
 * logs an address for the first push and one for [rdi+8]; [rdi] is 8 below the latter, and the other three are
 * 8, 32 and 40 below the former. Neither 0 nor the return address is logged.
 */
#include "translate/internal.h"

enum {
    ABSOLUTE = 16, /* the symbol of what is known: 0 */
    FIRST_NEW,
};

struct value {
    uint16_t symbol;
    uint64_t offset;
};

struct place {
    uint16_t base, index; /* symbols; index: ABSOLUTE when there is none */
    uint8_t scale;        /* 0: no index */
    uint64_t offset;
};

struct places {
    struct value regs[16];
    uint16_t n_symbols;
    struct place roots[MAX_INSNS]; /* addresses that are in the record */
    uint8_t slot_of[MAX_INSNS];
    unsigned n_roots;
};

static void forget(struct places *p, int reg)
{
    p->regs[reg] = (struct value){p->n_symbols++, 0};
}

static bool is_gpr64(const ZydisDecodedOperand *op)
{
    return op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(op->reg.value) == ZYDIS_REGCLASS_GPR64;
}

static bool is_signed_immediate(const ZydisDecodedOperand *op)
{
    return op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && op->imm.is_signed;
}

/* False: its address is formed in a way that is not followed. */
static bool place_in(const struct places *p, const struct insn *in, const ZydisDecodedOperand *op,
                     struct place *ret)
{
    int base = urd_insn_register(op->mem.base), index = urd_insn_register(op->mem.index);
    if ((op->mem.type != ZYDIS_MEMOP_TYPE_MEM && op->mem.type != ZYDIS_MEMOP_TYPE_AGEN) ||
        in->z.address_width != 64 || op->mem.segment == ZYDIS_REGISTER_FS ||
        op->mem.segment == ZYDIS_REGISTER_GS)
        return false;
    *ret = (struct place){.base = ABSOLUTE, .index = ABSOLUTE};
    if (op->mem.base == ZYDIS_REGISTER_RIP) {
        ret->offset = urd_insn_rip_target(in);
        return true;
    }
    ret->offset = op->mem.disp.has_displacement ? (uint64_t)op->mem.disp.value : 0;
    if (base >= 0) {
        ret->base = p->regs[base].symbol;
        ret->offset += p->regs[base].offset;
    }
    if (index >= 0 && p->regs[index].symbol != ABSOLUTE) {
        ret->index = p->regs[index].symbol;
        ret->scale = op->mem.scale;
    }
    if (index >= 0)
        ret->offset += p->regs[index].offset * op->mem.scale;
    return true;
}

/* Where the instruction's slot says it writes, or what the stack pointer is. */
static bool place_of(const struct places *p, const struct insn *in, struct place *ret)
{
    uint64_t below = in->kind == INSN_CALL || in->kind == INSN_CALL_INDIRECT ? 8 : 0;
    *ret = (struct place){p->regs[RSP].symbol, ABSOLUTE, 0, p->regs[RSP].offset - below};
    if (below || in->kind == INSN_RET || in->kind == INSN_JUMP_INDIRECT)
        return true;
    switch (in->write) {
    case WRITE_PUSH:
        ret->offset -= in->write_bytes;
        return true;
    case WRITE_REPEAT:
        return in->written && place_in(p, in, in->written, ret);
    case WRITE_READBACK: /* what is longer takes its address from the log; POP's is formed in its middle */
        return in->written && in->write_bytes <= 8 && in->z.mnemonic != ZYDIS_MNEMONIC_POP &&
               place_in(p, in, in->written, ret);
    default:
        return false;
    }
}

static bool value_of(const struct insn *in, uint64_t *ret)
{
    if (in->kind == INSN_CALL || in->kind == INSN_CALL_INDIRECT) {
        *ret = in->pc + in->length;
        return true;
    }
    bool moves = in->z.mnemonic == ZYDIS_MNEMONIC_MOV && in->write == WRITE_REPEAT &&
                 in->ops[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && in->write_bytes <= 8;
    if (!moves)
        return false;
    *ret = in->ops[1].imm.value.u & (~0ull >> (64 - 8 * in->write_bytes));
    return true;
}

/* ---- what an instruction does to the registers ---- */

static void follow_lea(struct places *p, const struct insn *in)
{
    int to = urd_insn_register(in->ops[0].reg.value);
    struct place place;
    if (is_gpr64(&in->ops[0]) && place_in(p, in, &in->ops[1], &place) && !place.scale)
        p->regs[to] = (struct value){place.base, place.offset};
    else
        forget(p, to);
}

/* Those that keep a symbol. False: it is none of them. */
static bool follow_sum(struct places *p, const struct insn *in)
{
    const ZydisDecodedOperand *to = &in->ops[0], *from = &in->ops[1];
    if (in->z.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || !is_gpr64(to))
        return false;
    struct value *v = &p->regs[urd_insn_register(to->reg.value)];
    switch (in->z.mnemonic) {
    case ZYDIS_MNEMONIC_ADD:
        if (is_signed_immediate(from))
            v->offset += from->imm.value.u;
        return is_signed_immediate(from);
    case ZYDIS_MNEMONIC_SUB:
        if (is_signed_immediate(from))
            v->offset -= from->imm.value.u;
        return is_signed_immediate(from);
    case ZYDIS_MNEMONIC_INC:
        v->offset++;
        return true;
    case ZYDIS_MNEMONIC_DEC:
        v->offset--;
        return true;
    case ZYDIS_MNEMONIC_MOV:
        if (is_gpr64(from))
            *v = p->regs[urd_insn_register(from->reg.value)];
        return is_gpr64(from);
    default:
        return false;
    }
}

/* Those that move the stack pointer, and change nothing else. False: it is none of them. */
static bool follow_stack(struct places *p, const struct insn *in)
{
    uint64_t *sp = &p->regs[RSP].offset;
    const ZydisDecodedOperand *op = &in->ops[0];
    if (in->kind == INSN_CALL || in->kind == INSN_CALL_INDIRECT)
        *sp -= 8;
    else if (in->write == WRITE_PUSH)
        *sp -= in->write_bytes;
    else if (in->kind == INSN_RET)
        *sp += 8 + (op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? op->imm.value.u : 0);
    else
        return false;
    return true;
}

static void follow(struct places *p, const struct insn *in)
{
    const ZydisDecodedOperand *op = &in->ops[0];
    if (follow_stack(p, in))
        return;
    if (in->z.mnemonic == ZYDIS_MNEMONIC_POP && is_gpr64(op)) {
        p->regs[RSP].offset += 8;
        forget(p, urd_insn_register(op->reg.value));
        return;
    }
    if (in->z.mnemonic == ZYDIS_MNEMONIC_LEAVE && in->z.operand_width == 64) {
        p->regs[RSP] = (struct value){p->regs[RBP].symbol, p->regs[RBP].offset + 8};
        forget(p, RBP);
        return;
    }
    if (in->z.mnemonic == ZYDIS_MNEMONIC_LEA) {
        follow_lea(p, in);
        return;
    }
    if (follow_sum(p, in))
        return;
    for (unsigned i = 0; i < in->z.operand_count; i++) {
        op = &in->ops[i];
        int r = op->type == ZYDIS_OPERAND_TYPE_REGISTER ? urd_insn_register(op->reg.value) : -1;
        if (r >= 0 && (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
            forget(p, r);
    }
    if (in->z.meta.category == ZYDIS_CATEGORY_STRINGOP || in->kind == INSN_REP) {
        forget(p, RSI);
        forget(p, RDI);
        forget(p, RCX);
    }
    if (in->z.meta.category == ZYDIS_CATEGORY_PUSH || in->z.meta.category == ZYDIS_CATEGORY_POP ||
        in->write == WRITE_ENTER || in->z.mnemonic == ZYDIS_MNEMONIC_LEAVE) {
        forget(p, RSP);
        forget(p, RBP);
    }
}

/* ---- slots ---- */

static void place_slot(struct places *p, const struct insn *in, struct urd_slot *slots, unsigned n)
{
    struct urd_slot *slot = &slots[n];
    struct place place;
    if (slot->kind != URD_SLOT_SP && !urd_slot_is_store(slot))
        return;
    slot->known = slot->kind == URD_SLOT_WRITE && value_of(in, &slot->value);
    if (!place_of(p, in, &place))
        return;
    for (unsigned i = 0; i < p->n_roots; i++) {
        const struct place *root = &p->roots[i];
        int64_t delta = (int64_t)(place.offset - root->offset);
        if (root->base != place.base || root->index != place.index || root->scale != place.scale ||
            delta != (int32_t)delta)
            continue;
        slot->derived = true;
        slot->root = p->slot_of[i];
        slot->delta = (int32_t)delta;
        slot->by_sp = slots[slot->root].by_sp;
        return;
    }
    slot->by_sp = !place.scale && place.base == p->regs[RSP].symbol;
    p->roots[p->n_roots] = place;
    p->slot_of[p->n_roots++] = (uint8_t)n;
}

void urd_places_find(const struct insn *insns, unsigned n, struct urd_slot *slots, unsigned n_slots)
{
    struct places p;
    p.n_roots = 0;
    p.n_symbols = FIRST_NEW;
    for (unsigned r = 0; r < 16; r++)
        p.regs[r] = (struct value){(uint16_t)r, 0};
    for (unsigned i = 0, s = 0; i < n && s < n_slots; i++) {
        if (slots[s].insn == i)
            place_slot(&p, &insns[i], slots, s++);
        follow(&p, &insns[i]);
    }
}
