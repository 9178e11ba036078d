#include "record/others.h"
#include "base/tracee.h"
#include "record/shared.h"
#include "record/syscall_numbers.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

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

/** The process or thread whose memory a file is; 0: it is another file. */
static pid_t memory_of(const struct task *t, int fd)
{
    char path[64], target[64] = "", end[8] = "";
    int pid = 0, tid = 0;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, fd);
    if (readlink(path, target, sizeof target - 1) < 0)
        return 0;
    if (sscanf(target, "/proc/%d/task/%d/%7s", &pid, &tid, end) == 3 && strcmp(end, "mem") == 0)
        return tid;
    return sscanf(target, "/proc/%d/%7s", &pid, end) == 2 && strcmp(end, "mem") == 0 ? pid : 0;
}

bool others_is_memory(const struct task *t, int fd)
{
    return memory_of(t, fd) != 0;
}

/** Where a call that wrote to such a file did so. */
static uint64_t written_at(const struct task *t, int64_t result)
{
    char path[64];
    unsigned long long position = 0;
    int number = t->call->number;
    if (number != SYS_write && number != SYS_writev)
        return t->entry.r10;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", t->tid, (int)t->entry.rdi);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "pos: %llu", &position) != 1)
        position = 0;
    if (f)
        fclose(f);
    return position - (uint64_t)result;
}

/** The task whose memory t's call has written; NULL: none that is recorded. */
static struct task *written_by(struct recorder *r, const struct task *t, int64_t result)
{
    switch (t->call->number) {
    case SYS_write:
    case SYS_pwrite64:
    case SYS_writev:
    case SYS_pwritev:
    case SYS_pwritev2:
        return result > 0 ? recorder_find_task(r, memory_of(t, (int)t->entry.rdi)) : NULL;
    case SYS_process_vm_writev:
        return result > 0 ? recorder_find_task(r, (pid_t)t->entry.rdi) : NULL;
    }
    return NULL;
}

static void add_written(struct recorder *r, struct task *t, struct task *o, int64_t result)
{
    if (t->call->number == SYS_process_vm_writev)
        add_remote(&r->builder, t, o->mem, result);
    else
        event_add_memory(&r->builder, o->mem, written_at(t, result), (uint64_t)result);
}

void others_own_memory(struct recorder *r, struct task *t, int64_t result)
{
    struct task *o = written_by(r, t, result);
    if (o && o->mm == t->mm)
        add_written(r, t, o, result);
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
    struct task *o = written_by(r, t, result);
    if (!o || o->mm == t->mm)
        return NULL;
    others_begin(r, o, t);
    add_written(r, t, o, result);
    return recorder_emit(r);
}
