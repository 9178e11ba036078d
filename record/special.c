/* Calls that the outputs column of syscalls.def does not say everything about: those that change the address
 * space, those that urd must not let happen, those whose outputs depend on a sub-command, and writes to
 * the recording's own standard output. */
#include "record/recorder.h"
#include "base/log.h"
#include "record/advice.h"
#include "base/tracee.h"
#include "record/futexes.h"
#include "record/ioctls.h"
#include "record/others.h"
#include "record/priority.h"
#include "record/replaced_insns.h"
#include "record/shared.h"
#include "record/subcommands.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_UP(x) (((x) + 4095) & ~4095ull)

static void cancel(struct task *t, int64_t result)
{
    t->cancelled = true;
    t->forced = result;
}

/** The child's memory is its parent's with all that calls of other threads have filled by now: write them down first. */
static urd_err *settle_before_copy(struct recorder *r, struct task *t)
{
    return t->clone.flags & CLONE_VM ? NULL : recorder_settle_memory(r, t->mm);
}

/** What clone or clone3 was asked for; struct clone_args in linux/sched.h. CLONE_UNTRACED would hide the child. */
static urd_err *note_clone(struct recorder *r, struct task *t)
{
    struct user_regs_struct regs = t->entry;
    uint64_t args[4];
    if (t->call->number == SYS_clone) {
        t->clone = (struct clone_request){regs.rdi, regs.r10, regs.rdx, regs.rdx};
        regs.rdi &= ~(uint64_t)CLONE_UNTRACED;
        return regs.rdi == t->entry.rdi ? NULL : urd_tracee_set_regs(t->tid, &regs);
    }
    if (urd_tracee_read(t->mem, regs.rdi, args, sizeof args) != sizeof args)
        return NULL; /* the kernel will say EFAULT */
    t->clone = (struct clone_request){args[0], args[2], args[3], args[1]};
    if (args[0] & CLONE_UNTRACED)
        cancel(t, -EINVAL);
    return NULL;
}

static uint64_t mapping_start(struct task *t, uint64_t address)
{
    struct urd_map_line m;
    return urd_tracee_find_map(t->tid, address, &m) ? m.start : 0;
}

/** How much shmdt will unmap: a segment is one mapping, unless it was cut by mprotect. */
static uint64_t attached_bytes(struct task *t, uint64_t address)
{
    struct urd_map_line m;
    uint64_t end = address, inode = 0;
    FILE *maps = urd_tracee_open_maps(t->tid);
    while (maps && urd_tracee_next_map(maps, &m)) {
        if (m.start != end || m.offset != end - address || (inode && m.inode != inode))
            continue; /* another segment, or this one once more, may begin right behind it */
        inode = m.inode;
        end = m.end;
    }
    if (maps)
        fclose(maps);
    return end - address;
}

int special_output_class(struct recorder *r, struct task *t, int fd)
{
    char link[64];
    struct stat st;
    snprintf(link, sizeof link, "/proc/%d/fd/%d", t->tid, fd);
    if (stat(link, &st) != 0)
        return 0;
    bool is[3] = {0};
    for (int i = 1; i <= 2; i++)
        is[i] = st.st_dev == r->out_dev[i] && st.st_ino == r->out_ino[i];
    if (is[1] && is[2])
        return fd == 2 ? 2 : 1;
    return is[1] ? 1 : is[2] ? 2 : 0;
}

urd_err *special_entry(struct recorder *r, struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    switch (t->call->number) {
    case SYS_clone:
    case SYS_clone3:
        URD_TRY(note_clone(r, t));
        URD_TRY(settle_before_copy(r, t));
        break;
    case SYS_fork:
        URD_TRY(settle_before_copy(r, t));
        break;
    case SYS_vfork:
        t->clone.flags = CLONE_VFORK | CLONE_VM;
        break;
    case SYS_madvise:
        if (!advice_may_be_given(t))
            cancel(t, -EINVAL);
        break;
    case SYS_ptrace: /* the recorder answers it: requests.c */
        cancel(t, 0);
        break;
    case SYS_ioctl:
        ioctl_entry(r, t);
        break;
    case SYS_mprotect: /* from here down, or up, to the end of the mapping */
        t->scratch.value = e->rdx & (PROT_GROWSDOWN | PROT_GROWSUP) ? mapping_start(t, e->rdi) : 0;
        break;
    case SYS_shmdt:
        t->scratch.value = attached_bytes(t, e->rdi);
        break;
    case SYS_splice: /* what passes through a pipe cannot be seen; programs write then */
    case SYS_tee:
        if (special_output_class(r, t, (int)(t->call->number == SYS_tee ? e->rsi : e->rdx)))
            cancel(t, -EINVAL);
        break;
    default: {
        int64_t answer;
        if (subcommand_refused(r, t, &answer))
            cancel(t, answer);
        else if (priority_is_call(t->call->number))
            priority_ask(r);
    }
    }
    return NULL;
}

static void op_map(struct recorder *r, struct urd_map_op op)
{
    event_add_op(&r->builder, op);
}

static urd_err *exit_shmat(struct recorder *r, struct task *t, uint64_t result)
{
    struct urd_map_op op = {.kind = URD_MAP_MAP,
                            .shared = 1,
                            .prot = PROT_READ | PROT_WRITE,
                            .start = result,
                            .size = attached_bytes(t, result),
                            .name = "[shm]"};
    if (t->entry.rdx & SHM_RDONLY)
        op.prot = PROT_READ;
    if (t->entry.rdx & SHM_EXEC)
        op.prot |= PROT_EXEC;
    return shared_mapped(r, t, &op, NULL, true);
}

static urd_err *exit_mmap(struct recorder *r, struct task *t, uint64_t result)
{
    const struct user_regs_struct *e = &t->entry;
    struct urd_map_op op = {.kind = URD_MAP_MAP,
                            .shared = (e->r10 & MAP_TYPE) != MAP_PRIVATE,
                            .prot = (uint8_t)(e->rdx & 7),
                            .start = result,
                            .size = PAGE_UP(e->rsi),
                            .grows_down = (e->r10 & MAP_GROWSDOWN) != 0,
                            .name = ""};
    if (e->r10 & MAP_HUGETLB) { /* whole huge pages; the replay has small ones there */
        unsigned shift = e->r10 >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;
        uint64_t page = 1ull << (shift ? shift : 21);
        op.size = (op.size + page - 1) & ~(page - 1);
    }
    char target[512] = "", link[64] = "";
    if (!(e->r10 & MAP_ANONYMOUS)) {
        snprintf(link, sizeof link, "/proc/%d/fd/%d", t->tid, (int)e->r8);
        if (readlink(link, target, sizeof target - 1) < 0)
            target[0] = 0;
        op.offset = e->r9;
        op.name = target;
        URD_TRY(layout_store(r, t, link, target, &op.file));
        if (!op.file && strcmp(target, "/dev/zero") != 0) {
            urd_warn(
                "process %d mapped %s, which is no regular file: its content is recorded as it is "
                "now, later changes from outside are not",
                t->pid, target);
            op_map(r, op);
            event_add_memory(&r->builder, t->mem, op.start, op.size);
            return NULL;
        }
    }
    if (op.shared)
        return shared_mapped(r, t, &op, op.file ? link : NULL, false);
    op_map(r, op);
    if (op.file)
        shared_copied(r, t, &op, link);
    r->new_code = op;
    r->new_code.name = "";
    if (op.file && op.prot & PROT_EXEC) {
        URD_AUTO_CLOSE int fd = open(link, O_RDONLY | O_CLOEXEC);
        replaced_insns_mapped(r, t, &op, fd);
    }
    return NULL;
}

static void exit_brk(struct recorder *r, struct task *t, uint64_t result)
{
    uint64_t end = PAGE_UP(result);
    if (t->mm->brk && end > t->mm->brk)
        op_map(r, (struct urd_map_op){.kind = URD_MAP_MAP,
                                      .prot = PROT_READ | PROT_WRITE,
                                      .start = t->mm->brk,
                                      .size = end - t->mm->brk,
                                      .name = "[heap]"});
    else if (t->mm->brk && end < t->mm->brk)
        op_map(r, (struct urd_map_op){
                      .kind = URD_MAP_UNMAP, .start = end, .size = t->mm->brk - end, .name = ""});
    else if (!t->mm->brk && t->entry.rdi && result == t->entry.rdi)
        urd_warn("process %d moved its heap before it asked where it is", t->pid);
    t->mm->brk = end;
}

/** MREMAP_DONTUNMAP leaves the old mapping there, empty; an old size of 0 leaves a shared one there, as it is. */
static void exit_mremap(struct recorder *r, struct task *t, uint64_t result)
{
    const struct user_regs_struct *e = &t->entry;
    struct urd_map_line m = {.start = 0};
    bool stays = e->r10 & MREMAP_DONTUNMAP || !e->rsi,
         known = stays && urd_tracee_find_map(t->tid, e->rdi, &m);
    struct urd_map_op op = {.kind = URD_MAP_MOVE,
                            .start = result,
                            .size = PAGE_UP(e->rdx),
                            .offset = e->rdi,
                            .old_size = PAGE_UP(e->rsi),
                            .name = ""};
    op_map(r, op);
    if (known && e->rsi)
        op_map(r, (struct urd_map_op){.kind = URD_MAP_MAP,
                                      .prot = m.prot,
                                      .start = e->rdi,
                                      .size = PAGE_UP(e->rsi),
                                      .name = ""});
}

static void output_iovec(struct recorder *r, struct task *t, int which, uint64_t array,
                         uint64_t count, uint64_t left)
{
    for (uint64_t i = 0; i < count && left; i++) {
        struct iovec iov;
        if (urd_tracee_read(t->mem, array + i * sizeof iov, &iov, sizeof iov) != sizeof iov)
            break;
        uint64_t n = iov.iov_len < left ? iov.iov_len : left;
        event_add_output(&r->builder, which, t->mem, (uint64_t)(uintptr_t)iov.iov_base, n);
        left -= n;
    }
}

/** sendfile and copy_file_range to stdout: the bytes are in the source file, before its position. */
static void output_from_file(struct recorder *r, struct task *t, int which, int in_fd,
                             uint64_t offset_pointer, uint64_t bytes)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", t->tid, in_fd);
    uint64_t end = 0;
    if (offset_pointer) {
        urd_tracee_read(t->mem, offset_pointer, &end, 8);
    } else {
        FILE *f = fopen(path, "re");
        long pos = 0;
        if (!f || fscanf(f, "pos: %ld", &pos) != 1)
            pos = 0;
        if (f)
            fclose(f);
        end = (uint64_t)pos;
    }
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, in_fd);
    URD_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || end < bytes)
        return;
    struct event_builder *b = &r->builder;
    b->event.output = (uint8_t)which;
    urd_buf_reserve(&b->output, bytes + 1);
    ssize_t n = pread(fd, b->output.data + b->output.size, bytes, (off_t)(end - bytes));
    b->output.size += n > 0 ? (size_t)n : 0;
}

static void exit_output(struct recorder *r, struct task *t, int64_t result)
{
    const struct user_regs_struct *e = &t->entry;
    if (result <= 0)
        return;
    int fd = (int)(t->call->number == SYS_copy_file_range ? e->rdx : e->rdi);
    int which = special_output_class(r, t, fd);
    if (!which)
        return;
    switch (t->call->number) {
    case SYS_writev:
    case SYS_vmsplice:
    case SYS_pwritev:
    case SYS_pwritev2:
        output_iovec(r, t, which, e->rsi, e->rdx, (uint64_t)result);
        break;
    case SYS_sendmsg: {
        struct msghdr m = {0};
        urd_tracee_read(t->mem, e->rsi, &m, sizeof m);
        output_iovec(r, t, which, (uint64_t)(uintptr_t)m.msg_iov, m.msg_iovlen, (uint64_t)result);
        break;
    }
    case SYS_sendfile:
        output_from_file(r, t, which, (int)e->rsi, e->rdx, (uint64_t)result);
        break;
    case SYS_copy_file_range:
        output_from_file(r, t, which, (int)e->rdi, e->rsi, (uint64_t)result);
        break;
    default:
        event_add_output(&r->builder, which, t->mem, e->rsi, (uint64_t)result);
    }
}

static urd_err *exit_success(struct recorder *r, struct task *t, int64_t result)
{
    const struct user_regs_struct *e = &t->entry;
    struct event_builder *b = &r->builder;
    switch (t->call->number) {
    case SYS_mmap:
        return exit_mmap(r, t, (uint64_t)result);
    case SYS_munmap:
        op_map(r, (struct urd_map_op){
                      .kind = URD_MAP_UNMAP, .start = e->rdi, .size = PAGE_UP(e->rsi), .name = ""});
        break;
    case SYS_mprotect:
    case SYS_pkey_mprotect: {
        uint64_t start = e->rdi;
        if (t->call->number == SYS_mprotect && t->scratch.value && t->scratch.value < start)
            start = t->scratch.value;
        op_map(r, (struct urd_map_op){.kind = URD_MAP_PROTECT,
                                      .prot = (uint8_t)(e->rdx & 7),
                                      .start = start,
                                      .size = e->rdi + PAGE_UP(e->rsi) - start,
                                      .name = ""});
        break;
    }
    case SYS_brk:
        exit_brk(r, t, (uint64_t)result);
        break;
    case SYS_mremap:
        exit_mremap(r, t, (uint64_t)result);
        break;
    case SYS_clone:
    case SYS_clone3:
        if (t->clone.flags & CLONE_PARENT_SETTID)
            event_add_memory(b, t->mem, t->clone.parent_tid, 4);
        if (t->clone.flags & CLONE_PIDFD)
            event_add_memory(b, t->mem, t->clone.pidfd, 4);
        break;
    case SYS_set_tid_address:
        t->clear_tid = e->rdi;
        break;
    case SYS_shmat:
        return exit_shmat(r, t, (uint64_t)result);
    case SYS_shmdt:
        op_map(r,
               (struct urd_map_op){
                   .kind = URD_MAP_UNMAP, .start = e->rdi, .size = t->scratch.value, .name = ""});
        break;
    default:
        subcommand_exit(r, t, result);
    }
    return NULL;
}

bool special_was_made(const struct task *t, const struct user_regs_struct *now)
{
    if (now->rax !=
        t->entry.orig_rax) /* the kernel puts the call's number back (seccomp_filter(2)) */
        return true;
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/%d/status", t->tid);
    FILE *f = fopen(path, "re");
    unsigned long long pending = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "SigPnd: %llx", &pending) == 1)
            break;
    if (f)
        fclose(f);
    return !(pending >> (SIGSYS - 1) & 1);
}

urd_err *special_exit(struct recorder *r, struct task *t, const struct user_regs_struct *now,
                      int64_t result)
{
    switch (t->call->number) {
    case SYS_write:
    case SYS_pwrite64:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendfile:
    case SYS_writev:
    case SYS_vmsplice:
    case SYS_pwritev:
    case SYS_pwritev2:
    case SYS_copy_file_range:
        exit_output(r, t, result);
        others_own_memory(r, t, result);
        break;
    case SYS_ioctl:
        ioctl_exit(r, t, result);
        break;
    case SYS_madvise:
        return advice_given(r, t, result);
    case SYS_futex:
        futexes_add_returned(&r->builder, t, result);
        break;
    case SYS_process_vm_writev:
        others_own_memory(r, t, result);
        break;
    case SYS_sched_setattr: /* tells the size that it knows */
        if (result == -E2BIG)
            event_add_memory(&r->builder, t->mem, t->entry.rsi, 4);
        break;
    case SYS_rt_sigreturn: {
        size_t size = sizeof r->builder.xstate;
        URD_TRY(urd_tracee_get_xstate(t->tid, r->builder.xstate, &size));
        r->builder.event.xstate = r->builder.xstate;
        r->builder.event.xstate_size = (uint32_t)size;
        return NULL;
    }
    }
    if (priority_is_call(t->call->number))
        priority_asked(r);
    if (t->call->number == SYS_sched_getattr && result == 0)
        priority_hide_slice(r, t);
    if (result == -EFAULT) /* some of it may be there */
        subcommand_exit(r, t, FAULT_OUTPUT);
    if (result < 0 && result >= -4095)
        return NULL;
    URD_TRY(shared_written(r, t, result));
    URD_TRY(exit_success(r, t, result));
    return NULL;
}
