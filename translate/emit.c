#include "translate/emit.h"
#include "base/err.h"

void emit_nop(struct emit *e, unsigned n)
{
    static const uint8_t nops[9][9] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };
    while (n) {
        unsigned now = n < 9 ? n : 9;
        emit_bytes(e, nops[now - 1], now);
        n -= now;
    }
}

void emit_align_patch(struct emit *e, unsigned before, unsigned size)
{
    unsigned at = (unsigned)((uintptr_t)e->at + before) & 7;
    if (at + size > 8)
        emit_nop(e, 8 - at);
}

/* ModRM, SIB and displacement. */
static void operand(struct emit *e, int reg, struct emit_mem m)
{
    unsigned r = (unsigned)(reg & 7) << 3;
    if (m.base < 0) { /* absolute or index only: SIB without base, disp32 */
        unsigned scale = m.scale == 8 ? 3 : m.scale == 4 ? 2 : m.scale == 2 ? 1 : 0;
        emit_u8(e, 0x04 | r);
        emit_u8(e, m.index < 0 ? 0x25 : scale << 6 | (unsigned)(m.index & 7) << 3 | 5);
        emit_u32(e, (uint32_t)m.disp);
        return;
    }
    unsigned b = (unsigned)m.base & 7;
    unsigned mod = m.disp == 0 && b != 5 ? 0 : m.disp >= -128 && m.disp <= 127 ? 1 : 2;
    if (m.index >= 0) {
        unsigned scale = m.scale == 8 ? 3 : m.scale == 4 ? 2 : m.scale == 2 ? 1 : 0;
        emit_u8(e, mod << 6 | r | 4);
        emit_u8(e, scale << 6 | (unsigned)(m.index & 7) << 3 | b);
    } else if (b == 4) {
        emit_u8(e, mod << 6 | r | 4);
        emit_u8(e, 0x24);
    } else {
        emit_u8(e, mod << 6 | r | b);
    }
    if (mod == 1)
        emit_u8(e, (uint8_t)m.disp);
    else if (mod == 2)
        emit_u32(e, (uint32_t)m.disp);
}

void emit_op_mem(struct emit *e, unsigned prefix, unsigned opcode, unsigned size, int reg,
                 struct emit_mem m)
{
    if (prefix >> 8)
        emit_u8(e, prefix >> 8);
    if (prefix & 0xff)
        emit_u8(e, prefix & 0xff);
    if (size == 2)
        emit_u8(e, 0x66);
    unsigned rex =
        (size == 8 ? 8 : 0) | (reg >= 8 ? 4 : 0) | (m.index >= 8 ? 2 : 0) | (m.base >= 8 ? 1 : 0);
    if (rex || (size == 1 && reg >= 4))
        emit_u8(e, 0x40 | rex);
    if (opcode > 0xffff)
        emit_u8(e, opcode >> 16);
    if (opcode > 0xff)
        emit_u8(e, opcode >> 8);
    emit_u8(e, opcode);
    operand(e, reg, m);
}

void emit_lea(struct emit *e, int reg, struct emit_mem m)
{
    if (m.base >= 0 && m.index < 0 && m.disp == 0) {
        if (m.base != reg)
            emit_mov(e, reg, m.base);
        return;
    }
    emit_op_mem(e, 0, 0x8d, 8, reg, m);
}

void emit_load(struct emit *e, int reg, struct emit_mem m)
{
    emit_op_mem(e, 0, 0x8b, 8, reg, m);
}

void emit_load_size(struct emit *e, int reg, struct emit_mem m, unsigned size)
{
    switch (size) {
    case 1:
        emit_op_mem(e, 0, 0x0fb6, 4, reg, m);
        break;
    case 2:
        emit_op_mem(e, 0, 0x0fb7, 4, reg, m);
        break;
    case 4:
        emit_op_mem(e, 0, 0x8b, 4, reg, m);
        break;
    case 8:
        emit_op_mem(e, 0, 0x8b, 8, reg, m);
        break;
    default:
        urd_check(false, "load of %u bytes", size);
    }
}

void emit_store(struct emit *e, int reg, struct emit_mem m)
{
    emit_op_mem(e, 0, 0x89, 8, reg, m);
}

void emit_store_imm(struct emit *e, int32_t imm, struct emit_mem m)
{
    emit_op_mem(e, 0, 0xc7, 8, 0, m);
    emit_u32(e, (uint32_t)imm);
}

void emit_mov(struct emit *e, int to, int from)
{
    emit_u8(e, 0x48 | (from >= 8 ? 4 : 0) | (to >= 8 ? 1 : 0));
    emit_u8(e, 0x89);
    emit_u8(e, 0xc0 | (unsigned)(from & 7) << 3 | (unsigned)(to & 7));
}

void emit_mov_imm(struct emit *e, int reg, uint64_t imm)
{
    if (imm <= UINT32_MAX) {
        if (reg >= 8)
            emit_u8(e, 0x41);
        emit_u8(e, 0xb8 | (unsigned)(reg & 7));
        emit_u32(e, (uint32_t)imm);
    } else if ((int64_t)imm == (int32_t)imm) {
        emit_u8(e, 0x48 | (reg >= 8));
        emit_u8(e, 0xc7);
        emit_u8(e, 0xc0 | (unsigned)(reg & 7));
        emit_u32(e, (uint32_t)imm);
    } else {
        emit_u8(e, 0x48 | (reg >= 8));
        emit_u8(e, 0xb8 | (unsigned)(reg & 7));
        emit_u64(e, imm);
    }
}

void emit_ctx_load(struct emit *e, int reg, unsigned offset)
{
    emit_op_mem(e, 0x65, 0x8b, 8, reg, EMIT_AT(-1, offset));
}

void emit_ctx_store(struct emit *e, int reg, unsigned offset)
{
    emit_op_mem(e, 0x65, 0x89, 8, reg, EMIT_AT(-1, offset));
}

void emit_ctx_imm32(struct emit *e, unsigned offset, uint32_t imm)
{
    emit_op_mem(e, 0x65, 0xc7, 4, 0, EMIT_AT(-1, offset));
    emit_u32(e, imm);
}

void emit_ctx_imm(struct emit *e, unsigned offset, uint64_t imm)
{
    if ((int64_t)imm == (int32_t)imm) {
        emit_op_mem(e, 0x65, 0xc7, 8, 0, EMIT_AT(-1, offset));
        emit_u32(e, (uint32_t)imm);
        return;
    }
    emit_ctx_imm32(e, offset, (uint32_t)imm);
    emit_ctx_imm32(e, offset + 4, (uint32_t)(imm >> 32));
}

uint8_t *emit_jump8(struct emit *e, unsigned opcode)
{
    emit_u8(e, opcode);
    emit_u8(e, 0);
    return e->at - 1;
}

void emit_here(struct emit *e, uint8_t *rel8)
{
    int64_t distance = e->at - (rel8 + 1);
    urd_check(distance >= -128 && distance <= 127, "jump8 of %ld", (long)distance);
    *rel8 = (uint8_t)distance;
}
