/**
 * Writing x86-64 machine code.
 *
 * PURPOSE  The few instructions that instrumentation consists of, none of which touches the flags.
 * NOT      An assembler: operands are numbers (rax rcx rdx rbx rsp rbp rsi rdi r8..r15).
 * FORMAT   Intel SDM vol. 2, chapter 2.
 */
#ifndef URD_TRANSLATE_EMIT_H
#define URD_TRANSLATE_EMIT_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

struct emit {
    uint8_t *at;
};

static inline void emit_u8(struct emit *e, unsigned v)
{
    *e->at++ = (uint8_t)v;
}

static inline void emit_u32(struct emit *e, uint32_t v)
{
    memcpy(e->at, &v, 4);
    e->at += 4;
}

static inline void emit_u64(struct emit *e, uint64_t v)
{
    memcpy(e->at, &v, 8);
    e->at += 8;
}

static inline void emit_bytes(struct emit *e, const void *bytes, unsigned n)
{
    memcpy(e->at, bytes, n);
    e->at += n;
}

/** `n` bytes of nothing. */
void emit_nop(struct emit *e, unsigned n);
/** Pad so that the `size` bytes that start `before` bytes from here lie within 8 aligned bytes. */
void emit_align_patch(struct emit *e, unsigned before, unsigned size);

/** A memory operand; base and index are -1 for none; scale is 1, 2, 4 or 8. */
struct emit_mem {
    int base, index, scale;
    int32_t disp;
};
#define EMIT_AT(base_, disp_) ((struct emit_mem){(base_), -1, 1, (int32_t)(disp_)})

/**
 * An instruction with a memory operand: prefixes (may be 0: none), REX, opcode, ModRM and so on.
 * size 8 sets REX.W, size 2 the 66 prefix, size 1 makes sure that the low byte register is meant.
 * opcode: one byte, or 0x0fxx, or 0x0f38xx.
 */
void emit_op_mem(struct emit *e, unsigned prefix, unsigned opcode, unsigned size, int reg,
                 struct emit_mem m);
void emit_lea(struct emit *e, int reg, struct emit_mem m);
void emit_load(struct emit *e, int reg, struct emit_mem m);                 /* 8 bytes */
void emit_load_size(struct emit *e, int reg, struct emit_mem m, unsigned size); /* zero-extends */
void emit_store(struct emit *e, int reg, struct emit_mem m);                /* 8 bytes */
void emit_store_imm(struct emit *e, int32_t imm, struct emit_mem m);        /* 8 bytes */
void emit_mov(struct emit *e, int to, int from);
void emit_mov_imm(struct emit *e, int reg, uint64_t imm);

/** Context fields: offset within struct urd_context. */
void emit_ctx_load(struct emit *e, int reg, unsigned offset);
void emit_ctx_store(struct emit *e, int reg, unsigned offset);
void emit_ctx_imm(struct emit *e, unsigned offset, uint64_t imm);  /* both halves */
void emit_ctx_imm32(struct emit *e, unsigned offset, uint32_t imm); /* 4 bytes */

/** jmp/jcc rel8 whose distance is filled in by emit_here. */
uint8_t *emit_jump8(struct emit *e, unsigned opcode);
void emit_here(struct emit *e, uint8_t *rel8);
#endif
