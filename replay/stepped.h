/**
 * What a single-stepped instruction writes.
 *
 * PURPOSE  The few instructions that the tool runs itself (run_translated.c) must be in the log too.
 * NOT      The translator's own knowledge of writes; scatters, whose addresses lie in vector registers.
 */
#ifndef URD_REPLAY_STEPPED_H
#define URD_REPLAY_STEPPED_H
#include "base/err.h"
#include <sys/user.h>

struct urd_stepped {
    uint64_t address, size; /* size 0: it writes nothing */
    bool rep;               /* [rdi before, rdi after) */
    bool unknown;           /* it writes, but where cannot be told */
};

/** From the instruction's bytes and the registers before it. */
void urd_stepped_before(const uint8_t *code, size_t size, const struct user_regs_struct *regs, struct urd_stepped *ret);
/** Once it ran: complete the range of a REP. */
void urd_stepped_after(struct urd_stepped *s, const struct user_regs_struct *before, const struct user_regs_struct *after);
#endif
