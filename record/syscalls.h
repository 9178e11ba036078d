/**
 * The table of system calls.
 *
 * PURPOSE  What each call is, and what it wrote into its caller's memory.
 * NOT      Making them; anything irregular is in special.c.
 */
#ifndef URD_RECORD_SYSCALLS_H
#define URD_RECORD_SYSCALLS_H
#include "record/event_builder.h"

struct urd_syscall_entry {
    int number;
    const char *name;
    const char *flags; /* see syscalls.def */
    const char *outputs;
    const char *why; /* a refused call: the reason; otherwise NULL */
};

/** After EFAULT some of what a call writes may be there; how much is not told: then the result is taken to be this. */
#define FAULT_OUTPUT 65536

/** NULL when the table does not know the number. */
const struct urd_syscall_entry *urd_record_syscall(int number);
static inline bool urd_syscall_has_flag(const struct urd_syscall_entry *s, char flag)
{
    for (const char *f = s->flags; *f; f++)
        if (*f == flag)
            return true;
    return false;
}

/**
 * Add to the event what the call wrote, as its outputs column says.
 * before: registers at entry; result: what it returned; lengths_before: the u32 that each argument pointed
 * to at entry (0 where unreadable).
 */
void urd_record_outputs(const struct urd_syscall_entry *s, struct event_builder *b, int mem,
                        const struct user_regs_struct *before, int64_t result,
                        const uint32_t lengths_before[6]);
uint64_t urd_syscall_arg(const struct user_regs_struct *r, unsigned n /* 1..6 */);
#endif
