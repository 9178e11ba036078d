/**
 * Instructions as text, AT&T's syntax.
 *
 * PURPOSE  What a user sees of machine code. libcapstone writes it, and is loaded at the first call.
 * NOT      Decoding for the translator or the recorder: that is Zydis.
 */
#ifndef URD_REPLAY_DISASSEMBLE_H
#define URD_REPLAY_DISASSEMBLE_H
#include "base/err.h"
#include <capstone/capstone.h>

/** Of code that lies at address, as many instructions as can be decoded, at most `most`; 0: all. Theirs: urd_disassembly_free. */
urd_err *urd_disassemble(const uint8_t *code, size_t size, uint64_t address, size_t most,
                         cs_insn **ret, size_t *ret_n) URD_MUST_USE;
void urd_disassembly_free(cs_insn *insns, size_t n);
#endif
