/**
 * Words that the kernel writes for futexes.
 *
 * PURPOSE  A lock with priority inheritance is a word that the kernel changes, too (man 2 futex): it notes that there are waiters before one
 *          of them sleeps, and makes the next one its owner when the lock is given back.
 * NOT      What the end of a thread writes; see lives.c.
 */
#ifndef URD_RECORD_FUTEXES_H
#define URD_RECORD_FUTEXES_H
#include "record/recorder.h"
/** May the call under way wait for another task? Where it may not, nobody runs until it has returned: its word is its own to change. */
bool futexes_may_wait(const struct task *t);
/** The call sleeps, and others will run: the word as it is now, into the event. Its owner must see that somebody waits. */
void futexes_add_entered(struct event_builder *b, struct task *t);
/** The call returned. A word that others may have changed meanwhile is theirs, unless the caller owns the lock now. */
void futexes_add_returned(struct event_builder *b, struct task *t, int64_t result);
#endif
