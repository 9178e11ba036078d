/**
 * RDTSC and RDTSCP, which are trapped, or answered in the runtime region.
 *
 * PURPOSE  One time stamp for both ways: a line through the kernel's raw monotonic clock, as code in the region cannot run RDTSC either.
 * NOT      The region's code (record/runtime/runtime.c), patching sites (record/patch.h).
 */
#ifndef URD_RECORD_TSC_H
#define URD_RECORD_TSC_H
#include "record/recorder.h"

/** At the start of a recording, on the core that it is pinned to. */
void tsc_begin(struct recorder *r);
/** Some milliseconds later, before anybody asks: how fast the counter runs is known. */
void tsc_measure(struct recorder *r);
/**
 * t stopped with a SIGSEGV of its own at registers *at. Was it one of these? Then *ret_done, the event is written, t stands behind the
 * instruction, and the site is patched when it is used more than once and that is possible.
 */
urd_err *tsc_try(struct recorder *r, struct task *t, const struct user_regs_struct *at,
                 bool *ret_done) URD_MUST_USE;
#endif
