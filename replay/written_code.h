/**
 * Code that is written to, and code that may not be run.
 *
 * PURPOSE  See that every translation is of what is in memory now: pages from which code was translated lose their write
 *          right, in every mapping that shows them. A write there faults and makes the translations void.
 * NOT      Running what wrote: the dispatcher steps that instruction, as its own page may be the one that was written.
 * CONTEXT  Functions take processes of the runner's session, stopped.
 *
 * Processes that share a code space have the same code. So a page that the subject can write is translated in a space of the
 * process's own, unless it was guarded before a fork: then both are guarded, and the first to write gets its own space.
 */
#ifndef URD_REPLAY_WRITTEN_CODE_H
#define URD_REPLAY_WRITTEN_CODE_H
#include "replay/runner.h"

/** For struct urd_code_reader; data is the struct urd_process. It ends where pages are not executable, and remembers those read. */
void urd_written_read(void *data, uint64_t address, void *buffer, size_t size, size_t *ret_got);
/** Guard the pages that were read. True in *ret_again: not in this code space; the process has its own now, translate again. */
urd_err *urd_written_guard(struct urd_runner *r, struct urd_process *p,
                           bool *ret_again) URD_MUST_USE;
/** Guard, in a process that joins or that has mapped something, what code was translated from in others. */
urd_err *urd_written_guard_known(struct urd_runner *r, struct urd_process *p) URD_MUST_USE;
/** A write faulted at the address. True in *ret_mine: because of a guard. It is gone, and so are the page's translations. */
urd_err *urd_written_fault(struct urd_runner *r, struct urd_process *p, uint64_t address,
                           bool *ret_mine) URD_MUST_USE;
/** The subject's own rights for a while, or the guards again. */
urd_err *urd_written_set_guards(struct urd_process *p, bool on) URD_MUST_USE;
/** The next event changes mappings: translations of what it touches are void. */
urd_err *urd_written_before_event(struct urd_runner *r) URD_MUST_USE;
/** An event wrote into the process's memory. */
urd_err *urd_written_by_event(struct urd_runner *r, struct urd_process *p, uint64_t address,
                              uint64_t size) URD_MUST_USE;
/** No guards any more, and no translations from pages that had one. */
urd_err *urd_written_park(struct urd_runner *r) URD_MUST_USE;
#endif
