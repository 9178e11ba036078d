/** Signals while recording. */
#ifndef URD_RECORD_SIGNALS_H
#define URD_RECORD_SIGNALS_H
#include "record/recorder.h"
/** A signal-delivery stop. *ret_signal: what to resume the task with (0: nothing). */
urd_err *signals_stop(struct recorder *r, struct task *t, int signal, int *ret_signal) URD_MUST_USE;
/** At a call's exit: is a signal waiting that should be raised now? Gives its number or 0. */
int signals_take_deferred(struct task *t);
#endif
