/*
 * REP stos and REP movs: one instruction, a write of any length.
 *
 * The slot first gets rdi and rcx as they are before, so that when the instruction faults midway the
 * tool can tell from them and from the registers what was stored. Afterwards they become the lowest
 * address and the number of bytes:
 *
 *     bytes = rcx_before * element;  forwards when rdi == rdi_before + bytes, so lowest = rdi_before;
 *     else lowest = rdi + element (the direction flag is set, and must be again in the end)
 *
 * Up to MAX_REP_BYTES the data is copied into the log; for more, bit 63 of bytes is set and the tool
 * reads it from memory at URD_EXIT_REP. A REP is slow to start, so unlike everywhere else the flags
 * are simply saved (lahf, seto) and the code here is ordinary.
 */
#include "translate/internal.h"

/* rdi is the end of the record; direction in temp; all registers become the subject's. */
static void restore(struct gen *g, struct emit *e)
{
    static const int regs[3] = {RSI, RDI, RAX};
    emit_mov(e, g->reg_log, RDI);
    /* std if temp: jrcxz is free for use, rcx is 0 in the end anyway */
    emit_mov(e, RCX, g->reg_temp);
    uint8_t *forward = emit_jump8(e, 0xe3);
    emit_u8(e, 0xfd);
    emit_here(e, forward);
    emit_mov_imm(e, RCX, 0);
    emit_ctx_load(e, RAX, urd_ctx_scratch(SCRATCH_FLAGS));
    emit_u8(e, 0x04); /* add al, 127: overflows when al is 1 */
    emit_u8(e, 0x7f);
    emit_u8(e, 0x9e); /* sahf */
    for (int i = 0; i < 3; i++)
        emit_ctx_load(e, regs[i], urd_ctx_scratch(regs[i]));
    urd_gen_leave(e, g->carries);
}

static void jump_far(struct gen *g, struct emit *e, unsigned condition, const uint8_t *target)
{
    emit_u8(e, 0x0f);
    emit_u8(e, 0x80 | condition);
    emit_u32(e, urd_gen_offset(g, target) - (urd_gen_offset(g, e->at) + 4));
}

/* Too much for the log: in the cold part. resume is where the hot part goes on. */
static void long_one(struct gen *g, const uint8_t *resume, uint64_t next_pc)
{
    struct emit *e = &g->cold;
    emit_op_mem(e, 0, 0x0fba, 8, 5, EMIT_AT(g->reg_log, g->log_at + 8)); /* bts qword, 63 */
    emit_u8(e, 63);
    emit_lea(e, RDI, EMIT_AT(g->reg_log, g->log_at + 16));
    restore(g, e);
    urd_gen_exit(g, e, URD_EXIT_REP, next_pc, true);
    urd_gen_jump(g, e, urd_gen_offset(g, resume));
}

void urd_gen_rep(struct gen *g, const struct insn *in)
{
    struct emit *e = &g->hot;
    if (!g->log) {
        urd_gen_copy(g, in);
        return;
    }
    for (int r = 0; r < 16; r++) /* the tool may see what follows */
        if (!(urd_carried_mask(g->carries) >> r & 1))
            urd_gen_unspill(g, r);
    unsigned element = in->write_bytes;
    struct emit_mem address = EMIT_AT(g->reg_log, g->log_at),
                    bytes = EMIT_AT(g->reg_log, g->log_at + 8);
    emit_store(e, RDI, address);
    emit_store(e, RCX, bytes);
    urd_gen_copy(g, in);
    g->b->done_offsets[in - g->insns] = urd_gen_offset(g, e->at);
    urd_gen_spill(g, RAX);
    urd_gen_spill(g, RSI);
    urd_gen_spill(g, RDI);
    emit_u8(e, 0x9f);                 /* lahf */
    emit_bytes(e, "\x0f\x90\xc0", 3); /* seto al */
    emit_ctx_store(e, RAX, urd_ctx_scratch(SCRATCH_FLAGS));
    emit_load(e, RCX, bytes);
    emit_lea(e, RCX, (struct emit_mem){-1, RCX, (int)element, 0});
    emit_store(e, RCX, bytes);
    emit_load(e, RSI, address);
    emit_mov_imm(e, g->reg_temp, 0);
    emit_lea(e, RAX, (struct emit_mem){RSI, RCX, 1, 0});
    emit_bytes(e, "\x48\x39\xf8", 3); /* cmp rax, rdi */
    uint8_t *forward = emit_jump8(e, 0x74);
    emit_lea(e, RSI, EMIT_AT(RDI, element));
    emit_store(e, RSI, address);
    emit_mov_imm(e, g->reg_temp, 1);
    emit_u8(e, 0xfc); /* cld */
    emit_here(e, forward);
    emit_bytes(e, "\x48\x81\xf9", 3); /* cmp rcx, MAX_REP_BYTES */
    emit_u32(e, MAX_REP_BYTES);
    jump_far(g, e, 7, g->cold.at); /* ja */
    emit_lea(e, RDI, EMIT_AT(g->reg_log, g->log_at + 16));
    emit_bytes(e, "\xf3\xa4", 2); /* rep movsb */
    emit_lea(e, RDI, EMIT_AT(RDI, 7));
    emit_bytes(e, "\x48\x83\xe7\xf8", 4); /* and rdi, -8 */
    restore(g, e);
    long_one(g, e->at, in->pc + in->length);
    g->spilled &= (uint16_t) ~(1 << RAX | 1 << RSI | 1 << RDI | urd_carried_mask(g->carries));
    g->carries = CARRIED_NONE;
    urd_gen_note(g);
}
