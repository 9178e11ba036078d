/**
 * Finding what the kernel wrote by comparing memory before and after a call.
 *
 * PURPOSE  For calls of which nobody can say what they write: ioctls of drivers.
 * NOT      For calls of syscalls.def, where the table knows.
 * OWNS     Nothing: the copies lie in the task's scratch.
 */
#ifndef URD_RECORD_COMPARE_H
#define URD_RECORD_COMPARE_H
#include "record/recorder.h"

/** At the entry: forget earlier copies. */
void compare_begin(struct task *t);
/** Keep a copy of up to `size` bytes at `address`; of nothing when there is no memory. */
void compare_keep(struct task *t, uint64_t address, size_t size);
/** At the exit: add to the event what is not as it was, at most one run of bytes a page. */
void compare_add(struct event_builder *b, struct task *t);
#endif
