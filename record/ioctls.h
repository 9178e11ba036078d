/**
 * ioctls: what they write, by ioctls.def, by their number, or by comparing.
 */
#ifndef URD_RECORD_IOCTLS_H
#define URD_RECORD_IOCTLS_H
#include "record/recorder.h"

/** At the entry: keep what must be compared; may refuse the call. */
void ioctl_entry(struct recorder *r, struct task *t);
/** At the exit, of failed calls too. */
void ioctl_exit(struct recorder *r, struct task *t, int64_t result);
#endif
