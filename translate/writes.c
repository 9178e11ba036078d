/*
 * Memory writes: the instruction, and its slot in the log record.
 *
 * While a block runs, reg_log holds the address of its record and g->log_at is where the next slot
 * begins. An instruction that may fault comes before the stores of its slot or leaves at least the
 * slots before it untouched, so a record is right up to the instruction that faulted.
 *
 * Example: `add [rax+8], ecx` with reg_log = r11, reg_temp = r10, log_at = 0x18:
 *          lea r10, [rax+8]        the address; rax might be changed by other instructions
 *          add [rax+8], ecx        as it was
 *          mov [r11+0x18], r10
 *          mov r10d, [r10]         value, back from memory
 *          mov [r11+0x20], r10
 *      and `vmovdqu [rax], ymm3`:
 *          vmovdqu [rax], ymm3
 *          mov [r11+0x18], rax     no displacement: the base is the address
 *          vmovdqu [r11+0x20], ymm3
 * Of a slot whose address or bytes are told otherwise (places.c) those are left out.
 *
 * Bytes between the value and the next multiple of 8 are whatever was there.
 */
#include "translate/rewrite.h"

static struct emit_mem slot_at(const struct gen *g, unsigned offset)
{
    return EMIT_AT(g->reg_log, g->log_at + offset);
}

/* Where the slot's bytes are, behind its address. */
static unsigned bytes_at(const struct gen *g)
{
    return g->slot->derived ? 0 : 8;
}

void urd_gen_log_sp(struct gen *g)
{
    if (!g->slot->derived)
        emit_store(&g->hot, RSP, slot_at(g, 0));
    g->log_at += urd_slot_bytes(g->slot);
}

/* The register that holds the address of a written operand which the instruction does not change:
 * its base, when that is all there is to it, else reg_temp. */
static int address_register(struct gen *g, const struct insn *in)
{
    struct mem_parts p = urd_gen_parts(g, in, in->written);
    if (p.base >= 0 && p.index < 0 && !p.disp && !p.segment && !p.address32)
        return p.base;
    urd_gen_address(g, in, in->written, g->reg_temp);
    return g->reg_temp;
}

/* Copy `bytes` from [reg_temp], whose value is also in the slot, to `offset` within the slot. */
static void read_back(struct gen *g, unsigned bytes, unsigned offset)
{
    struct emit *e = &g->hot;
    int t = g->reg_temp;
    if (bytes > 128) {
        /* rcx = n; do { temp2 = t[n-1]; slot[n-1] = temp2; } while (--n), without flags */
        urd_check(bytes % 8 == 0, "read back %u bytes", bytes);
        urd_gen_spill(g, RCX);
        emit_mov_imm(e, RCX, bytes / 8);
        uint8_t *top = e->at;
        emit_load(e, g->reg_temp2, (struct emit_mem){t, RCX, 8, -8});
        emit_store(e, g->reg_temp2,
                   (struct emit_mem){g->reg_log, RCX, 8, (int32_t)(g->log_at + offset - 8)});
        emit_lea(e, RCX, EMIT_AT(RCX, -1));
        uint8_t *done = emit_jump8(e, 0xe3);
        emit_u8(e, 0xeb);
        emit_u8(e, (uint8_t)(top - (e->at + 1)));
        emit_here(e, done);
        urd_gen_unspill(g, RCX);
        return;
    }
    for (unsigned at = 0; at < bytes;) {
        unsigned left = bytes - at, size = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        if (at)
            emit_load(e, t, slot_at(g, 0));
        emit_load_size(e, t, EMIT_AT(t, at), size);
        if (size == 8 || at % 8 == 0)
            emit_store(e, t, slot_at(g, offset + at));
        else /* the rest of a value like fstp's 10 bytes always starts at a multiple of 8 */
            emit_op_mem(e, size == 2 ? 0x66 : 0, size == 1 ? 0x88 : 0x89, size == 1 ? 1 : 4, t,
                        slot_at(g, offset + at));
        at += size;
    }
}

static void readback(struct gen *g, const struct insn *in)
{
    urd_gen_address(g, in, in->written, g->reg_temp);
    urd_gen_copy(g, in);
    g->b->done_offsets[in - g->insns] = urd_gen_offset(g, g->hot.at);
    if (!g->slot->derived)
        emit_store(&g->hot, g->reg_temp, slot_at(g, 0));
    read_back(g, in->write_bytes, bytes_at(g));
}

/* Stores of vector registers that demand alignment or bypass the cache: an ordinary store instead. */
static bool plain_vector_opcode(const struct insn *in, uint8_t *ret_opcode, uint8_t *ret_pp)
{
    switch (in->z.mnemonic) {
    case ZYDIS_MNEMONIC_MOVAPS:
    case ZYDIS_MNEMONIC_MOVAPD:
    case ZYDIS_MNEMONIC_MOVDQA:
    case ZYDIS_MNEMONIC_MOVNTPS:
    case ZYDIS_MNEMONIC_MOVNTPD:
    case ZYDIS_MNEMONIC_MOVNTDQ:
    case ZYDIS_MNEMONIC_VMOVAPS:
    case ZYDIS_MNEMONIC_VMOVAPD:
    case ZYDIS_MNEMONIC_VMOVDQA:
    case ZYDIS_MNEMONIC_VMOVNTPS:
    case ZYDIS_MNEMONIC_VMOVNTPD:
    case ZYDIS_MNEMONIC_VMOVNTDQ:
    case ZYDIS_MNEMONIC_VMOVDQA32:
    case ZYDIS_MNEMONIC_VMOVDQA64:
        *ret_opcode = 0x11; /* movups, vmovups */
        *ret_pp = 0;
        return true;
    default:
        return false;
    }
}

/* The store of in's register operand to [reg_log + disp]. */
static unsigned vector_store(const struct insn *in, int base, int32_t disp, uint8_t opcode,
                             uint8_t pp, uint8_t *out)
{
    struct insn changed = *in;
    unsigned at = in->z.raw.modrm.offset;
    changed.mem = NULL;
    changed.bytes[at - 1] = opcode;
    bool evex = in->z.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    bool quad_elements =
        in->z.mnemonic == ZYDIS_MNEMONIC_VMOVAPD || in->z.mnemonic == ZYDIS_MNEMONIC_VMOVDQA64;
    if (evex) {
        uint8_t *p = &changed.bytes[in->z.raw.evex.offset];
        bool masked = p[3] & 7;
        if (!masked || !quad_elements)
            p[2] = (uint8_t)((p[2] & ~0x83) | pp); /* W0: vmovups, masks by 4 bytes */
        else
            p[2] = (uint8_t)((p[2] & ~0x03) | 0x81); /* W1.66: vmovupd, masks by 8 bytes */
    } else if (in->z.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
        uint8_t *p = &changed.bytes[in->z.raw.vex.offset];
        uint8_t *last = p[0] == 0xc5 ? p + 1 : p + 2;
        *last = (uint8_t)((*last & ~3) | pp);
    }
    unsigned n = urd_rewrite_memory(&changed, base, disp, false, out);
    if (in->z.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
        /* movups has no 66: take it out. */
        unsigned to = 0;
        bool prefix = true;
        for (unsigned i = 0; i < n; i++) {
            if (prefix && out[i] == 0x66)
                continue;
            prefix = prefix && (out[i] == 0xf0 || out[i] == 0xf2 || out[i] == 0xf3);
            out[to++] = out[i];
        }
        n = to;
    }
    return n;
}

static void repeat_into(struct gen *g, const struct insn *in, unsigned offset)
{
    uint8_t bytes[24], opcode, pp;
    int32_t disp = (int32_t)(g->log_at + offset);
    unsigned n;
    if (plain_vector_opcode(in, &opcode, &pp))
        n = vector_store(in, g->reg_log, disp, opcode, pp, bytes);
    else
        n = urd_rewrite_memory(in, g->reg_log, disp, false, bytes);
    emit_bytes(&g->hot, bytes, n);
}

static void repeat(struct gen *g, const struct insn *in)
{
    urd_gen_copy(g, in);
    g->b->done_offsets[in - g->insns] = urd_gen_offset(g, g->hot.at);
    if (!g->slot->derived)
        emit_store(&g->hot, address_register(g, in), slot_at(g, 0));
    if (!g->slot->known)
        repeat_into(g, in, bytes_at(g));
}

static void push(struct gen *g, const struct insn *in)
{
    struct emit *e = &g->hot;
    urd_gen_copy(g, in);
    g->b->done_offsets[in - g->insns] = urd_gen_offset(g, e->at);
    if (!g->slot->derived)
        emit_store(e, RSP, slot_at(g, 0));
    unsigned bytes = bytes_at(g);
    const ZydisDecodedOperand *op = &in->ops[0];
    int reg = op->type == ZYDIS_OPERAND_TYPE_REGISTER ? urd_insn_register(op->reg.value) : -1;
    if (in->write_bytes == 8 && reg >= 0 && reg != RSP &&
        op->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN) {
        emit_store(e, reg, slot_at(g, bytes));
    } else if (in->write_bytes == 8 && op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        emit_store_imm(e, (int32_t)op->imm.value.s, slot_at(g, bytes));
    } else {
        emit_load_size(e, g->reg_temp, EMIT_AT(RSP, 0), in->write_bytes);
        emit_store(e, g->reg_temp, slot_at(g, bytes));
    }
}

static void enter(struct gen *g, const struct insn *in)
{
    urd_gen_copy(g, in);
    g->b->done_offsets[in - g->insns] = urd_gen_offset(g, g->hot.at);
    emit_store(&g->hot, RBP, slot_at(g, 0));
    emit_load(&g->hot, g->reg_temp, EMIT_AT(RBP, 0));
    emit_store(&g->hot, g->reg_temp, slot_at(g, 8));
}

static void cmpxchg(struct gen *g, const struct insn *in)
{
    struct emit *e = &g->hot;
    int t = g->reg_temp;
    urd_gen_address(g, in, in->written, t);
    urd_gen_copy(g, in);
    g->b->done_offsets[in - g->insns] = urd_gen_offset(g, e->at);
    emit_store(e, t, slot_at(g, 0));
    read_back(g, in->write_bytes, 16);
    emit_mov_imm(e, t, 0);
    uint8_t cmovz[3] = {(uint8_t)(0x48 | (t >= 8 ? 4 : 0)), 0x0f, 0x44};
    urd_gen_load_constant_op(g, e, cmovz, 3, t, (1ull << in->write_bytes) - 1);
    emit_store(e, t, slot_at(g, 8));
}

/* VEX instruction with three bytes of prefix, register operands: reg, vvvv, rm. */
static void vex_rr(struct emit *e, unsigned map, unsigned pp, unsigned w, unsigned l,
                   unsigned opcode, unsigned reg, unsigned vvvv, unsigned rm)
{
    emit_u8(e, 0xc4);
    emit_u8(e, (reg >= 8 ? 0 : 0x80) | 0x40 | (rm >= 8 ? 0 : 0x20) | map);
    emit_u8(e, w << 7 | (~vvvv & 15) << 3 | l << 2 | pp);
    emit_u8(e, opcode);
    emit_u8(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

enum { BMI_PDEP = 3, BMI_PEXT = 2 }; /* pp of VEX.0F38.W1 F5 */

/* pdep/pext reg, reg, [constant] */
static void bmi_constant(struct gen *g, unsigned pp, int reg, uint64_t constant)
{
    uint8_t op[4] = {0xc4, (uint8_t)((reg >= 8 ? 0 : 0x80) | 0x60 | 2),
                     (uint8_t)(0x80 | (~(unsigned)reg & 15) << 3 | pp), 0xf5};
    urd_gen_load_constant_op(g, &g->hot, op, 4, reg, constant);
}

/* temp has a bit for each of n elements: make that a bit for each byte. */
static void spread_mask(struct gen *g, unsigned element, unsigned n)
{
    struct emit *e = &g->hot;
    int t = g->reg_temp, t2 = g->reg_temp2;
    uint64_t pattern = 0;
    for (unsigned i = 0; i < n; i++)
        pattern |= 1ull << (i * element);
    bmi_constant(g, BMI_PDEP, t, pattern); /* takes the low n bits only */
    if (element >= 2)
        emit_lea(e, t, (struct emit_mem){t, t, 2, 0}); /* times 3 */
    if (element >= 4)
        emit_lea(e, t, (struct emit_mem){t, t, 4, 0}); /* times 15 */
    if (element == 8) {
        emit_lea(e, t2, (struct emit_mem){-1, t, 8, 0});
        emit_lea(e, t, (struct emit_mem){t, t2, 2, 0}); /* times 255 */
    }
}

/* temp = the bits of the instruction's AVX-512 mask register. */
static void read_k(struct gen *g, const struct insn *in, unsigned n, int reg)
{
    unsigned k = (unsigned)ZydisRegisterGetId(in->z.avx.mask.reg);
    /* kmovw r32, k: VEX.L0.0F.W0 93; kmovd: F2.W0; kmovq: F2.W1 */
    vex_rr(&g->hot, 1, n <= 16 ? 0 : 3, n > 32, 0, 0x93, (unsigned)reg, 0, k);
}

static void masked(struct gen *g, const struct insn *in)
{
    struct emit *e = &g->hot;
    int t = g->reg_temp;
    unsigned element = in->written->element_size / 8u;
    urd_gen_copy(g, in);
    g->b->done_offsets[in - g->insns] = urd_gen_offset(g, e->at);
    emit_store(e, address_register(g, in), slot_at(g, 0));
    if (in->write == WRITE_MASK_BYTES) {
        /* pmovmskb t, mask register (mmx: no prefix, xmm: 66) */
        unsigned reg = (unsigned)ZydisRegisterGetId(in->ops[1].reg.value);
        if (in->z.mnemonic == ZYDIS_MNEMONIC_VMASKMOVDQU) {
            vex_rr(e, 1, 1, 0, 0, 0xd7, (unsigned)t, 0, reg);
        } else {
            if (in->z.mnemonic == ZYDIS_MNEMONIC_MASKMOVDQU)
                emit_u8(e, 0x66);
            emit_u8(e, 0x40 | (t >= 8 ? 4 : 0) | (reg >= 8 ? 1 : 0));
            emit_u8(e, 0x0f);
            emit_u8(e, 0xd7);
            emit_u8(e, 0xc0 | (unsigned)(t & 7) << 3 | (reg & 7));
        }
        emit_store(e, t, slot_at(g, 8));
        /* the data register, whole: movq mm (0f 7f), movups xmm */
        reg = (unsigned)ZydisRegisterGetId(in->ops[0].reg.value);
        if (in->z.mnemonic == ZYDIS_MNEMONIC_VMASKMOVDQU) {
            struct emit_mem m = slot_at(g, 16);
            emit_u8(e, 0xc4);
            emit_u8(e, (reg >= 8 ? 0 : 0x80) | 0x40 | (m.base >= 8 ? 0 : 0x20) | 1);
            emit_u8(e, 0x78);
            emit_u8(e, 0x11);
            emit_u8(e, 0x80 | (reg & 7) << 3 | (unsigned)(m.base & 7));
            if ((m.base & 7) == 4)
                emit_u8(e, 0x24);
            emit_u32(e, (uint32_t)m.disp);
        } else {
            emit_op_mem(e, 0, in->z.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ ? 0x0f7f : 0x0f11, 4,
                        (int)reg, slot_at(g, 16));
        }
        return;
    }
    unsigned n = in->write_bytes / element;
    if (in->write == WRITE_MASK_VECTOR) {
        /* vmovmskps/pd t, mask register */
        unsigned reg = (unsigned)ZydisRegisterGetId(in->ops[1].reg.value);
        vex_rr(e, 1, element == 8, 0, in->write_bytes == 32, 0x50, (unsigned)t, 0, reg);
    } else {
        read_k(g, in, n, t);
    }
    if (in->write == WRITE_COMPRESS) {
        /* the mask's population, as that many low ones: pext t, all ones, mask */
        int t2 = g->reg_temp2;
        bmi_constant(g, BMI_PEXT, t, n < 64 ? (1ull << n) - 1 : UINT64_MAX);
        emit_mov(e, t2, t);
        emit_mov_imm(e, t, UINT64_MAX);
        vex_rr(e, 2, BMI_PEXT, 1, 0, 0xf5, (unsigned)t, (unsigned)t, (unsigned)t2);
    }
    spread_mask(g, element, n);
    emit_store(e, t, slot_at(g, 8));
    repeat_into(g, in, 16);
}

/* bts [mem], reg: the bit's own operand-sized word, at mem + (reg >> log2(bits)) * bytes. */
static void bit_string(struct gen *g, const struct insn *in)
{
    struct emit *e = &g->hot;
    int t = g->reg_temp, t2 = g->reg_temp2;
    unsigned bytes = in->write_bytes, r = (unsigned)urd_insn_register(in->ops[1].reg.value);
    urd_gen_address(g, in, in->written, t2);
    if (bytes == 2) { /* movsx t, r16 */
        emit_u8(e, 0x48 | (t >= 8 ? 4 : 0) | (r >= 8 ? 1 : 0));
        emit_u8(e, 0x0f);
        emit_u8(e, 0xbf);
        emit_u8(e, 0xc0 | (unsigned)(t & 7) << 3 | (r & 7));
    } else if (bytes == 4) { /* movsxd t, r32 */
        emit_u8(e, 0x48 | (t >= 8 ? 4 : 0) | (r >= 8 ? 1 : 0));
        emit_u8(e, 0x63);
        emit_u8(e, 0xc0 | (unsigned)(t & 7) << 3 | (r & 7));
    } else {
        emit_mov(e, t, (int)r);
    }
    /* sarx t, t, count, with the count in memory's place: a third register is not to be had. */
    emit_store(e, t2, slot_at(g, 0));
    emit_mov_imm(e, t2, bytes == 2 ? 4 : bytes == 4 ? 5 : 6);
    vex_rr(e, 2, 2, 1, 0, 0xf7, (unsigned)t, (unsigned)t2, (unsigned)t); /* sarx t, t, t2 */
    emit_load(e, t2, slot_at(g, 0));
    emit_lea(e, t, (struct emit_mem){t2, t, (int)bytes, 0});
    urd_gen_copy(g, in);
    g->b->done_offsets[in - g->insns] = urd_gen_offset(g, e->at);
    emit_store(e, t, slot_at(g, 0));
    read_back(g, bytes, 8);
}

void urd_gen_logged(struct gen *g, const struct insn *in)
{
    switch (in->write) {
    case WRITE_REPEAT:
        repeat(g, in);
        break;
    case WRITE_READBACK:
        readback(g, in);
        break;
    case WRITE_PUSH:
        push(g, in);
        break;
    case WRITE_ENTER:
        enter(g, in);
        break;
    case WRITE_CMPXCHG:
        cmpxchg(g, in);
        break;
    case WRITE_BIT:
        bit_string(g, in);
        break;
    case WRITE_MASK_K:
    case WRITE_MASK_VECTOR:
    case WRITE_MASK_BYTES:
    case WRITE_COMPRESS:
        masked(g, in);
        break;
    case WRITE_NONE:
    case WRITE_SCATTER:
        urd_check(false, "nothing to log at %#lx", (unsigned long)in->pc);
    }
}
