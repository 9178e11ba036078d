/**
 * Instructions whose results no replay would get again, and that nothing traps: RDRAND, RDSEED, XBEGIN.
 *
 * PURPOSE  Replace them by instructions that raise SIGILL where a file is mapped as code, and do their work when that comes.
 * NOT      RDTSC, which the kernel traps; code that a program makes at run time.
 *
 * A site is only replaced when decoding the function that holds it arrives there: functions begin where the file's table of
 * unwinding information (.eh_frame_hdr) says, which even stripped programs have. Of RDRAND the bytes 0f c7 become 0f 0b (ud2);
 * prefixes and ModRM stay and say what the instruction was. Of XBEGIN c7 f8 become 0f 0b; the distance to its fallback stays.
 * The replaced bytes are part of the event, so a replay has them too.
 *
 * XBEGIN: whether a transaction commits depends on caches and interrupts. Here each one aborts at once, with status 0, as one may
 * on any processor at any time, and the program takes its fallback. So none is ever under way, and XTEST, XEND and XABORT do without
 * help what they do outside of one. On a processor without transactions XBEGIN is left alone: it raises the program's own SIGILL.
 */
#ifndef URD_RECORD_REPLACED_INSNS_H
#define URD_RECORD_REPLACED_INSNS_H
#include "record/recorder.h"

/** A file was mapped with rights to execute: replace what it holds. fd: the file. op->file must be set. */
void replaced_insns_mapped(struct recorder *r, struct task *t, const struct urd_map_op *op, int fd);
/** The task got SIGILL at these registers: was it a replaced instruction? Then it is done, and an event. */
urd_err *replaced_insns_try(struct recorder *r, struct task *t, const struct user_regs_struct *at,
                            bool *ret_done) URD_MUST_USE;
#endif
