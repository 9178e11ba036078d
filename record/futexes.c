#include "record/futexes.h"
#include "base/tracee.h"
#include <linux/futex.h>
#include <sys/syscall.h>

static int operation(const struct task *t)
{
    return (int)t->entry.rsi & FUTEX_CMD_MASK;
}

bool futexes_may_wait(const struct task *t)
{
    switch (operation(t)) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
        return true;
    }
    return false;
}

/** The word that the call may write, or 0. */
static uint64_t written_word(const struct task *t)
{
    if (t->entry.orig_rax != SYS_futex)
        return 0;
    switch (operation(t)) {
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_TRYLOCK_PI:
    case FUTEX_UNLOCK_PI:
        return t->entry.rdi;
    case FUTEX_WAIT_REQUEUE_PI: /* the second word is the lock */
    case FUTEX_CMP_REQUEUE_PI:
    case FUTEX_WAKE_OP:
        return t->entry.r8;
    }
    return 0;
}

void futexes_add_entered(struct event_builder *b, struct task *t)
{
    uint64_t word = written_word(t);
    uint32_t value;
    if (word && urd_tracee_read(t->mem, word, &value, sizeof value) == sizeof value)
        event_add_memory(b, t->mem, word, sizeof value);
}

void futexes_add_returned(struct event_builder *b, struct task *t, int64_t result)
{
    if (!t->entered || !futexes_may_wait(t) || result == 0)
        futexes_add_entered(b, t);
}
