/** Signals while recording. */
#ifndef URD_RECORD_SIGNALS_H
#define URD_RECORD_SIGNALS_H
#include "record/recorder.h"
/** A signal-delivery stop. *ret_signal: what to resume the task with (0: nothing). */
urd_err *signals_stop(struct recorder *r, struct task *t, int signal, int *ret_signal) URD_MUST_USE;
/** At a call's exit: is a signal waiting that should be raised now? Gives its number or 0. */
int signals_take_deferred(struct task *t);
/** Raise the first of those that wait again: it comes back as a stop of its own. */
urd_err *signals_pass_on(struct task *t) URD_MUST_USE;
/** The task stands before user code: t->signal_due, when a signal comes that is neither from the future nor blocked. */
void signals_note_due(struct task *t);
/** At each stop: what was kept from the task up to it may come again. */
urd_err *signals_release(struct task *t) URD_MUST_USE;
/** The task stopped for this signal at a place where it cannot be delivered: it waits with the others. */
void signals_keep(struct task *t, const siginfo_t *si);
urd_err *signals_put_off(struct task *t, int signal) URD_MUST_USE;
/**
 * The task stands at an event, in the stop of some signal: deliver this one. True in *ret_entered: to its handler. TASK_READY
 * and not: it was ignored. Otherwise it has been resumed.
 */
urd_err *signals_deliver(struct recorder *r, struct task *t, const siginfo_t *si,
                         bool *ret_entered) URD_MUST_USE;
#endif
