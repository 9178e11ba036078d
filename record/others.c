#include "record/others.h"
#include "base/tracee.h"
#include "record/shared.h"
#include "record/syscall_numbers.h"
#include <limits.h>
#include <sys/uio.h>

/** The remote side of process_vm_writev is described in the caller's memory (arguments 4 and 5). */
static void add_remote(struct event_builder *b, struct task *t, int mem, int64_t left)
{
    for (uint64_t i = 0; i < t->entry.r8 && i < IOV_MAX && left > 0; i++) {
        struct iovec iov;
        if (urd_tracee_read(t->mem, t->entry.r10 + i * sizeof iov, &iov, sizeof iov) != sizeof iov)
            break;
        int64_t n = (uint64_t)left < iov.iov_len ? left : (int64_t)iov.iov_len;
        event_add_memory(b, mem, (uint64_t)(uintptr_t)iov.iov_base, (uint64_t)n);
        left -= n;
    }
}

void others_own_memory(struct recorder *r, struct task *t, int64_t result)
{
    if (result > 0 && ((pid_t)t->entry.rdi == t->pid || (pid_t)t->entry.rdi == t->tid))
        add_remote(&r->builder, t, t->mem, result);
}

void others_begin(struct recorder *r, struct task *of, struct task *by)
{
    event_begin(&r->builder, URD_EVENT_MEMORY, of->pid, of->tid);
    r->builder.event.other_tid = by->tid;
    r->builder.event.before = r->builder.event.after = of->last;
}

urd_err *others_changed(struct recorder *r, struct task *t, int64_t result)
{
    URD_TRY(shared_opened(r, t, (uint64_t)result));
    URD_TRY(shared_written_others(r, t));
    if (t->call->number != SYS_process_vm_writev || result <= 0)
        return NULL;
    for (struct task *o = r->tasks; o; o = o->next) {
        if (o->tid != (pid_t)t->entry.rdi || o->mm == t->mm)
            continue;
        others_begin(r, o, t);
        add_remote(&r->builder, t, o->mem, result);
        return recorder_emit(r);
    }
    return NULL;
}
