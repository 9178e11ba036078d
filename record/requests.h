/**
 * The ptrace calls of recorded tracers.
 *
 * PURPOSE  Answer them: the recorder makes the request on the tracee, which it has stopped, and writes down what changed.
 * NOT      Stops, and how tracees go on (traced.h).
 */
#ifndef URD_RECORD_REQUESTS_H
#define URD_RECORD_REQUESTS_H
#include "record/recorder.h"

/** t's call has returned without having been made. When it is ptrace: do it; the result is t->forced. */
urd_err *requests_answer(struct recorder *r, struct task *t) URD_MUST_USE;
/** The event of t's call is written: now those of the tracee, and it goes on. */
urd_err *requests_made(struct recorder *r, struct task *t) URD_MUST_USE;
#endif
