/**
 * Calls whose outputs depend on a sub-command: prctl, fcntl, keyctl, System V IPC, socket options.
 */
#ifndef URD_RECORD_SUBCOMMANDS_H
#define URD_RECORD_SUBCOMMANDS_H
#include "record/recorder.h"

/** At the entry: is it one that urd must not let happen? Then *ret_answer is what the caller gets. */
bool subcommand_refused(struct recorder *r, struct task *t, int64_t *ret_answer);
/** After success, or after EFAULT with FAULT_OUTPUT (record/syscalls.h) as the result: add what the call wrote. */
void subcommand_exit(struct recorder *r, struct task *t, int64_t result);
#endif
