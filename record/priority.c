#include "record/priority.h"
#include "base/log.h"
#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>

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
