/**
 * Large reads that the trace keeps by reflink.
 *
 * PURPOSE  What read and pread64 got from a file is cloned where the file system can (btrfs, xfs), not compressed and written once more.
 * NOT      Mapped files, which the trace keeps as a whole: layout.c.
 */
#ifndef URD_RECORD_CLONED_H
#define URD_RECORD_CLONED_H
#include "record/recorder.h"

/** t is at the exit of a call with this result: if it can be, its output is in the event as a clone. False: it is not. */
bool cloned_read(struct recorder *r, struct task *t, int64_t result);
#endif
