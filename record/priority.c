#include "record/priority.h"
#include "base/log.h"
#include "base/tracee.h"
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SCHED_RESET_ON_FORK
#define SCHED_RESET_ON_FORK 0x40000000 /* linux/sched.h */
#endif

static void set(struct task *t, int policy, int priority)
{
    policy |= t->policy & SCHED_RESET_ON_FORK;
    if (sched_setscheduler(t->tid, policy, &(struct sched_param){priority}) != 0 && errno != ESRCH)
        urd_log(1, "task %d does not get scheduling policy %d: %m", t->tid, policy);
}

void priority_raise(struct task *t)
{
    if (!t->priority || t->raised)
        return;
    set(t, t->policy, t->priority);
    t->raised = true;
}

void priority_lower(struct task *t)
{
    if (!t->raised)
        return;
    set(t, SCHED_OTHER, 0);
    t->raised = false;
}

void priority_note(struct recorder *r, struct task *t)
{
    struct sched_param p;
    int policy = sched_getscheduler(t->tid), kind = policy & ~SCHED_RESET_ON_FORK;
    bool known = policy >= 0 && sched_getparam(t->tid, &p) == 0;
    t->raised = known && (kind == SCHED_FIFO || kind == SCHED_RR);
    r->has_priorities |= t->raised;
    t->policy = t->raised ? policy : 0;
    t->priority = t->raised ? p.sched_priority : 0;
}

bool priority_is_call(int number)
{
    switch (number) {
    case SYS_sched_setparam:
    case SYS_sched_getparam:
    case SYS_sched_setscheduler:
    case SYS_sched_getscheduler:
    case SYS_sched_rr_get_interval:
    case SYS_sched_setattr:
    case SYS_sched_getattr:
        return true;
    }
    return false;
}

void priority_ask(struct recorder *r)
{
    for (struct task *t = r->tasks; t; t = t->next)
        priority_raise(t);
}

void priority_asked(struct recorder *r)
{
    for (struct task *t = r->tasks; t; t = t->next)
        priority_note(r, t);
}

enum { SHORT_SLICE_NS = 100000 }; /* the shortest: __setparam_fair in kernel/sched/fair.c */

/** struct sched_attr of linux/sched/types.h, its first version. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

static bool read_own(struct attributes *ret)
{
    return syscall(SYS_sched_getattr, 0, ret, sizeof *ret, 0) == 0 &&
           (ret->policy == SCHED_OTHER || ret->policy == SCHED_BATCH);
}

static void set_own(struct attributes a, uint64_t slice_ns)
{
    a.runtime_ns = slice_ns;
    if (syscall(SYS_sched_setattr, 0, &a, 0) != 0)
        urd_log(1, "slices stay as they are: %m");
}

void priority_short_slices(struct recorder *r)
{
    struct attributes a = {0};
    if (!read_own(&a) || !a.runtime_ns)
        return;
    r->usual_slice_ns = a.runtime_ns;
    set_own(a, SHORT_SLICE_NS);
}

void priority_usual_slices(const struct recorder *r)
{
    struct attributes a = {0};
    if (r->usual_slice_ns && read_own(&a))
        set_own(a, r->usual_slice_ns);
}

void priority_hide_slice(const struct recorder *r, const struct task *t)
{
    struct attributes a;
    uint64_t at = t->entry.rsi;
    if (urd_tracee_read(t->mem, at, &a, sizeof a) == sizeof a && a.runtime_ns == SHORT_SLICE_NS &&
        (a.policy == SCHED_OTHER || a.policy == SCHED_BATCH) && r->usual_slice_ns)
        urd_tracee_write(t->mem, at + offsetof(struct attributes, runtime_ns), &r->usual_slice_ns,
                         sizeof r->usual_slice_ns);
}
