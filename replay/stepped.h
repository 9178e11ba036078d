/**
 * What a single-stepped instruction writes.
 *
 * PURPOSE  The few instructions that the tool runs itself (run_translated.c) must be in the log too.
 * NOT      The translator's own knowledge of writes.
 */
#ifndef URD_REPLAY_STEPPED_H
#define URD_REPLAY_STEPPED_H
#include "base/err.h"
#include <sys/types.h>
#include <sys/user.h>

struct urd_stepped {
    struct {
        uint64_t address, size;
    } ranges[16]; /* a scatter has one for each element */
    unsigned n;
    bool rep;     /* [rdi before, rdi after) */
    bool unknown; /* it writes, but where cannot be told */
};

/** From the instruction's bytes and the registers before it; those of vectors are asked of the stopped task tid. */
void urd_stepped_before(pid_t tid, const uint8_t *code, size_t size,
                        const struct user_regs_struct *regs, struct urd_stepped *ret);
/** Once it ran: complete the range of a REP. */
void urd_stepped_after(struct urd_stepped *s, const struct user_regs_struct *before,
                       const struct user_regs_struct *after);
/** The same for what it reads (translate/reads.c says what a read is). */
void urd_stepped_reads_before(pid_t tid, const uint8_t *code, size_t size,
                              const struct user_regs_struct *regs, struct urd_stepped *ret);
void urd_stepped_reads_after(struct urd_stepped *s, const struct user_regs_struct *before,
                             const struct user_regs_struct *after);

#endif
