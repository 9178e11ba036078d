/**
 * Rewriting the memory operand of an instruction, byte by byte.
 *
 * PURPOSE  The same instruction with [base + disp32] in place of whatever its ModRM said.
 * NOT      VSIB operands, moffs, 3DNow!.
 */
#ifndef URD_TRANSLATE_REWRITE_H
#define URD_TRANSLATE_REWRITE_H
#include "translate/internal.h"

/**
 * keep_prefixes: segment and address-size prefixes stay. Returns the length, at most 24 bytes.
 * The caller sees to it that a high byte register (ah) never meets a base that needs REX.
 */
unsigned urd_rewrite_memory(const struct insn *in, int base, int32_t disp, bool keep_prefixes,
                            uint8_t *ret);
#endif
