/*
 * Pieces that every block is made of: spilled registers, exits, branches, operands.
 *
 * Instrumentation uses general registers that no instruction of the block mentions; while it does,
 * the subject's value lies in the register's home in ctx->scratch. Each spill and unspill is noted with
 * its place, so that from the place of a fault urd_translate_locate knows which registers are where.
 * No instrumentation instruction changes a flag (mov, lea, movzx, bswap, not, jrcxz, setcc, cmov,
 * BMI2), so that flags need no thought at all, at any exit and at any fault.
 */
#include "translate/rewrite.h"

unsigned urd_ctx_scratch(int i)
{
    return (unsigned)offsetof(struct urd_context, scratch) + 8u * (unsigned)i;
}

uint32_t urd_gen_offset(const struct gen *g, const uint8_t *at)
{
    return (uint32_t)(at - g->t->map);
}

void urd_gen_note(struct gen *g)
{
    uint32_t offset = urd_gen_offset(g, g->hot.at);
    if (g->cold_only)
        return;
    if (g->n_events && g->events[g->n_events - 1].offset == offset)
        g->n_events--;
    urd_check(g->n_events < MAX_EVENTS, "too many spills in a block");
    g->events[g->n_events++] =
        (struct spill_event){offset, g->spilled, (int8_t)(g->log ? g->carries.log : -1)};
}

void urd_gen_spill(struct gen *g, int reg)
{
    if (g->spilled >> reg & 1)
        return;
    emit_ctx_store(&g->hot, reg, urd_ctx_scratch(reg));
    g->spilled |= (uint16_t)(1 << reg);
    urd_gen_note(g);
}

void urd_gen_unspill(struct gen *g, int reg)
{
    if (!(g->spilled >> reg & 1))
        return;
    emit_ctx_load(&g->hot, reg, urd_ctx_scratch(reg));
    g->spilled &= (uint16_t) ~(1 << reg);
    urd_gen_note(g);
}

uint32_t urd_gen_constant(struct gen *g, uint64_t value)
{
    uint64_t *at = urd_map_put(&g->t->constants, value);
    if (!*at) {
        while ((uintptr_t)g->cold.at & 7)
            emit_u8(&g->cold, 0xcc);
        *at = urd_gen_offset(g, g->cold.at);
        emit_u64(&g->cold, value);
    }
    return (uint32_t)*at;
}

/* op bytes, then ModRM [rip + distance to the constant]. op includes any REX. */
void urd_gen_load_constant_op(struct gen *g, struct emit *e, const uint8_t *op, unsigned n, int reg,
                              uint64_t value)
{
    uint32_t at = urd_gen_constant(g, value);
    emit_bytes(e, op, n);
    emit_u8(e, 5 | (unsigned)(reg & 7) << 3);
    uint32_t next = urd_gen_offset(g, e->at) + 4;
    emit_u32(e, at - next);
}

uint32_t urd_gen_branch(struct gen *g, struct emit *e, int condition)
{
    /* The rel32 lies within 8 aligned bytes: it is patched while other processes may run here. */
    if (condition < 0) {
        emit_align_patch(e, 1, 4);
        emit_u8(e, 0xe9);
    } else {
        emit_align_patch(e, 2, 4);
        emit_u8(e, 0x0f);
        emit_u8(e, 0x80 | (unsigned)condition);
    }
    emit_u32(e, 0);
    return urd_gen_offset(g, e->at) - 4;
}

void urd_gen_branch_to(struct urd_translator *t, uint32_t branch, uint32_t target)
{
    uint32_t rel = target - (branch + 4);
    __atomic_store_n((uint32_t *)(void *)(t->map + branch), rel, __ATOMIC_RELEASE);
}

/* way_out: bytes of what ends the exit; the subject resumes behind them. */
static void put_exit(struct gen *g, struct emit *e, enum urd_exit reason, uint64_t pc,
                     unsigned way_out)
{
    emit_ctx_imm(e, offsetof(struct urd_context, exit_reason), reason);
    emit_ctx_imm(e, offsetof(struct urd_context, exit_pc), pc);
    emit_ctx_imm(e, offsetof(struct urd_context, exit_link), 0);
    if (way_out) {
        /* two halves of 12 bytes each, then the way out */
        uint64_t next = URD_CACHE_BASE + urd_gen_offset(g, e->at) + 2 * 12 + way_out;
        emit_ctx_imm32(e, offsetof(struct urd_context, exit_resume), (uint32_t)next);
        emit_ctx_imm32(e, offsetof(struct urd_context, exit_resume) + 4, (uint32_t)(next >> 32));
    }
}

void urd_gen_exit(struct gen *g, struct emit *e, enum urd_exit reason, uint64_t pc, bool resume)
{
    put_exit(g, e, reason, pc, resume);
    emit_u8(e, 0xcc);
}

enum { JUMP_BYTES = 5 };

void urd_gen_exit_call(struct gen *g, struct emit *e, uint64_t pc)
{
    put_exit(g, e, URD_EXIT_SYSCALL, pc, JUMP_BYTES);
    urd_gen_jump(g, e, COLD_END);
}

void urd_gen_exit_stop(struct gen *g, struct emit *e, uint64_t pc)
{
    put_exit(g, e, URD_EXIT_STOP, pc, JUMP_BYTES);
    urd_gen_jump(g, e, STOPS_AT);
}

uint16_t urd_carried_mask(struct carried c)
{
    return (uint16_t)((c.log >= 0 ? 1 << c.log : 0) | (c.count >= 0 ? 1 << c.count : 0) |
                      (c.temp >= 0 ? 1 << c.temp : 0));
}

void urd_gen_enter(struct emit *e, struct carried c)
{
    uint16_t mask = urd_carried_mask(c);
    for (int r = 0; r < 16; r++)
        if (mask >> r & 1)
            emit_ctx_store(e, r, urd_ctx_scratch(r));
    if (c.log >= 0)
        emit_ctx_load(e, c.log, offsetof(struct urd_context, log_pos));
    if (c.count >= 0)
        emit_ctx_load(e, c.count, offsetof(struct urd_context, steps_left));
}

void urd_gen_leave(struct emit *e, struct carried c)
{
    uint16_t mask = urd_carried_mask(c);
    if (c.log >= 0)
        emit_ctx_store(e, c.log, offsetof(struct urd_context, log_pos));
    if (c.count >= 0)
        emit_ctx_store(e, c.count, offsetof(struct urd_context, steps_left));
    for (int r = 0; r < 16; r++)
        if (mask >> r & 1)
            emit_ctx_load(e, r, urd_ctx_scratch(r));
}

void urd_gen_jump(struct gen *g, struct emit *e, uint32_t target)
{
    emit_u8(e, 0xe9);
    emit_u32(e, target - (urd_gen_offset(g, e->at) + 4));
}

static void load_anchor(struct gen *g, const struct insn *in)
{
    if (g->anchor_loaded)
        return;
    urd_gen_spill(g, g->reg_anchor);
    g->anchor = in->pc;
    emit_mov_imm(&g->hot, g->reg_anchor, g->anchor);
    g->anchor_loaded = true;
}

struct mem_parts urd_gen_parts(struct gen *g, const struct insn *in, const ZydisDecodedOperand *op)
{
    struct mem_parts p = {
        .base = urd_insn_register(op->mem.base),
        .index = urd_insn_register(op->mem.index),
        .scale = op->mem.scale ? op->mem.scale : 1,
        .disp = op->mem.disp.value,
        .segment = op->mem.segment == ZYDIS_REGISTER_FS ? 0x64 : 0,
        .address32 = in->z.address_width == 32,
    };
    if (op->mem.base == ZYDIS_REGISTER_RIP) {
        load_anchor(g, in);
        p.base = g->reg_anchor;
        p.disp = (int64_t)(urd_insn_rip_target(in) - g->anchor);
    }
    /* `pop [rsp+8]`: the address is formed after the increment. */
    if (in->z.mnemonic == ZYDIS_MNEMONIC_POP && op->mem.base == ZYDIS_REGISTER_RSP)
        p.disp += in->z.operand_width / 8;
    return p;
}

static void lea(struct gen *g, int reg, struct mem_parts p)
{
    struct emit *e = &g->hot;
    if (p.disp != (int32_t)p.disp) { /* moffs, and nothing else */
        emit_mov_imm(e, reg, (uint64_t)p.disp);
        if (p.base >= 0)
            emit_lea(e, reg, (struct emit_mem){reg, p.base, 1, 0});
        return;
    }
    struct emit_mem m = {p.base, p.index, p.scale, (int32_t)p.disp};
    if (p.base < 0 && p.index < 0)
        emit_mov_imm(e, reg, p.address32 ? (uint32_t)p.disp : (uint64_t)p.disp);
    else if (p.address32)
        emit_op_mem(e, 0x67, 0x8d, 4, reg, m);
    else
        emit_lea(e, reg, m);
}

void urd_gen_address(struct gen *g, const struct insn *in, const ZydisDecodedOperand *op, int reg)
{
    struct mem_parts p = urd_gen_parts(g, in, op);
    struct emit *e = &g->hot;
    if (!p.segment) {
        lea(g, reg, p);
        return;
    }
    /* rdfsbase reg; then add base and index to it. With a 32-bit address they must wrap first. */
    if (p.address32 || p.disp != (int32_t)p.disp) {
        lea(g, g->reg_temp2, p);
        p = (struct mem_parts){.base = g->reg_temp2, .index = -1, .scale = 1};
    }
    emit_u8(e, 0xf3);
    emit_u8(e, 0x48 | (reg >= 8));
    emit_u8(e, 0x0f);
    emit_u8(e, 0xae);
    emit_u8(e, 0xc0 | (unsigned)(reg & 7));
    if (p.base >= 0)
        emit_lea(e, reg, (struct emit_mem){p.base, reg, 1, (int32_t)p.disp}); /* base may be rsp */
    else if (p.disp)
        emit_lea(e, reg, EMIT_AT(reg, p.disp));
    if (p.index >= 0)
        emit_lea(e, reg, (struct emit_mem){reg, p.index, p.scale, 0});
}

void urd_gen_copy(struct gen *g, const struct insn *in)
{
    struct emit *e = &g->hot;
    if (!in->rip_relative) {
        emit_bytes(e, in->bytes, in->length);
        return;
    }
    uint64_t target = urd_insn_rip_target(in);
    if (in->z.mnemonic == ZYDIS_MNEMONIC_LEA && in->z.operand_width == 64) {
        emit_mov_imm(e, urd_insn_register(in->ops[0].reg.value), target);
        return;
    }
    load_anchor(g, in);
    int64_t disp = (int64_t)(target - g->anchor);
    uint8_t bytes[24];
    if (disp == (int32_t)disp) {
        unsigned n = urd_rewrite_memory(in, g->reg_anchor, (int32_t)disp, true, bytes);
        emit_bytes(e, bytes, n);
        return;
    }
    /* A displacement near 2 GB: move the anchor for a moment. */
    emit_mov_imm(e, g->reg_anchor, target);
    emit_bytes(e, bytes, urd_rewrite_memory(in, g->reg_anchor, 0, true, bytes));
    emit_mov_imm(e, g->reg_anchor, g->anchor);
}
