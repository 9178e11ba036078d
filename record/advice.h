/**
 * madvise: what it does to memory, at once and at the next fork.
 *
 * PURPOSE  Pages that are dropped become map operations of the event; those that a child does not get (MADV_DONTFORK) or gets empty
 *          (MADV_WIPEONFORK), operations of its START.
 * NOT      Advice that no program can see, which is most of it.
 */
#ifndef URD_RECORD_ADVICE_H
#define URD_RECORD_ADVICE_H
#include "record/recorder.h"

/** At the entry of madvise: may it be made? What it does later, or to others, no replay could know: those are unknown advice here. */
bool advice_may_be_given(const struct task *t);
/** At its exit, also when it failed: it goes on behind what is not mapped, and says so by ENOMEM. */
urd_err *advice_given(struct recorder *r, struct task *t, int64_t result) URD_MUST_USE;
/** The builder has the START of a child that has its own copy of parent's memory: what is missing there. */
urd_err *advice_at_fork(struct recorder *r, const struct task *parent) URD_MUST_USE;
#endif
