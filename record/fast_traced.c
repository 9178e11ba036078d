/* What traced calls mean for the fast path: descriptors that are replaced, code that comes and goes, filters of the program's own,
 * and which places in the code make calls. */
#include "base/tracee.h"
#include "record/fast.h"
#include "record/others.h"
#include "record/runtime/runtime.h"
#include "record/shared.h"
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE_UP(x)        (((x) + 4095) & ~4095ull)
#define DATA_FIELD(field) (RUNTIME_DATA + offsetof(struct runtime_data, field))

static void clear_fds(struct task *t)
{
    static const uint8_t none[RUNTIME_FDS];
    if (t->mm->fast)
        urd_tracee_write(t->mem, DATA_FIELD(fds), none, sizeof none);
}

void fast_forget_files(struct recorder *r)
{
    for (struct task *t = r->tasks; t; t = t->next)
        clear_fds(t);
}

/** A thread's files, or memory that is shared with a process of other files: the table of descriptors would not be true. */
static bool splits_files(const struct task *t)
{
    uint64_t flags = t->clone.flags;
    switch (t->call->number) {
    case SYS_clone:
    case SYS_clone3:
        return !(flags & CLONE_VM) != !(flags & CLONE_FILES) && !(flags & CLONE_VFORK);
    case SYS_unshare:
        return t->entry.rdi & CLONE_FILES;
    }
    return false;
}

static bool changes_files(int number)
{
    switch (number) {
    case SYS_close:
    case SYS_dup2:
    case SYS_dup3:
    case SYS_close_range:
    case SYS_vfork: /* the child had the table, and files of its own */
    case SYS_clone:
    case SYS_clone3:
        return true;
    }
    return false;
}

/** Strict mode cannot be entered by who has a filter: it is kept up here. */
static void keep_strict(struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    int number = t->call->number;
    if (t->strict && number != SYS_read && number != SYS_write && number != SYS_exit &&
        number != SYS_rt_sigreturn)
        kill(t->pid, SIGKILL);
    if (t->filtered &&
        ((number == SYS_prctl && (int)e->rdi == PR_SET_SECCOMP && e->rsi == SECCOMP_MODE_STRICT) ||
         (number == SYS_seccomp && (int)e->rdi == SECCOMP_SET_MODE_STRICT && !(int)e->rsi &&
          !e->rdx))) {
        t->strict = t->cancelled = true;
        t->forced = 0;
    }
}

/** Does the call unmap the region or trampolines, or change them? Nobody has to spare what is not theirs. */
static bool takes_region(const struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    const struct fast *f = t->mm->fast;
    int number = t->call->number;
    if (number != SYS_munmap && number != SYS_mremap && number != SYS_mprotect &&
        number != SYS_pkey_mprotect && (number != SYS_mmap || !(e->r10 & MAP_FIXED)))
        return false;
    uint64_t start = e->rdi, end = start + PAGE_UP(e->rsi);
    bool takes = start < RUNTIME_CODE + RUNTIME_BYTES && end > RUNTIME_CODE;
    for (unsigned i = 0; i < f->n_pages; i++)
        takes |= start < f->pages[i].start + URD_PATCH_PAGES_BYTES && end > f->pages[i].start;
    return takes;
}

void fast_before_call(struct recorder *r, struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    if (r->fast)
        keep_strict(t);
    r->new_code.file = 0;
    if (!t->mm->fast)
        return;
    if (takes_region(t)) {
        patch_undo(t, 0, ~0ull);
        fast_destroy(t->mm->fast);
        t->mm->fast = NULL;
        return;
    }
    switch (t->call->number) {
    case SYS_mprotect:
    case SYS_pkey_mprotect: /* then the memory counts in checksums, and the program may look at it */
        if (e->rdx & PROT_WRITE)
            patch_undo(t, e->rdi, PAGE_UP(e->rsi));
        break;
    case SYS_mremap:
        patch_undo(t, e->rdi, PAGE_UP(e->rsi));
        break;
    }
    if (splits_files(t))
        t->mm->fast->off = true;
}

/** A file that was written to by a traced call: may the next one be untraced? */
static void look_at_written(struct recorder *r, struct task *t, int64_t result)
{
    uint32_t fd = (uint32_t)t->entry.rdi;
    char link[64];
    struct stat st;
    snprintf(link, sizeof link, "/proc/%d/fd/%u", t->tid, fd);
    if (result <= 0 || fd >= RUNTIME_FDS || stat(link, &st) != 0 || shared_find(r, &st) ||
        others_is_memory(t, (int)fd))
        return;
    uint8_t class = RUNTIME_FD_WRITE;
    class |= (uint8_t)special_output_class(r, t, (int)fd);
    if (S_ISREG(st.st_mode))
        class |= RUNTIME_FD_FILE;
    urd_tracee_write(t->mem, DATA_FIELD(fds) + fd, &class, 1);
}

/** The recorder's own filter has come into force; or one of the program's, which decides before the recorder's does. */
static void note_filter(struct recorder *r, struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    bool own = t->call->number == SYS_seccomp
                   ? (int)e->rdi == SECCOMP_SET_MODE_FILTER
                   : (int)e->rdi == PR_SET_SECCOMP && e->rsi == SECCOMP_MODE_FILTER;
    if (!r->exec_seen && t->call->number == SYS_seccomp)
        t->filtered = true;
    else if (own)
        for (struct task *k = r->tasks; k; k = k->next)
            if (k->pid == t->pid)
                k->filtered = false;
}

urd_err *fast_after_call(struct recorder *r, struct task *t, const struct user_regs_struct *now)
{
    int64_t result = (int64_t)now->rax;
    int number = t->call->number;
    bool failed = result < 0 && result >= -4095;
    if (r->fast && !failed && !t->cancelled && (number == SYS_seccomp || number == SYS_prctl))
        note_filter(r, t);
    if (!t->mm->fast)
        return NULL;
    if (changes_files(number))
        clear_fds(t);
    if (!failed)
        fast_forget_patches(t, result);
    if (fast_another_runs(r, t)) /* it must not see half a patch */
        return NULL;
    if (r->new_code.file && r->new_code.prot == (PROT_READ | PROT_EXEC))
        return patch_mapped(
            r, t, now,
            &(struct patch_code){r->new_code.start, r->new_code.size, r->new_code.offset,
                                 r->new_code.file,
                                 t->entry.rip - t->mm->fast->loader < t->mm->fast->loader_size});
    URD_TRY(patch_new(r, t, now));
    if (number == SYS_write || number == SYS_pwrite64 || number == SYS_sendto ||
        number == SYS_writev || number == SYS_sendmsg)
        look_at_written(r, t, result);
    return number >= 0 && number < RUNTIME_NUMBERS && r->fast_data->index[number]
               ? patch_traced(r, t, now, t->entry.rip - 2)
               : NULL;
}

urd_err *fast_hide_filter(const struct task *t, struct user_regs_struct *now)
{
    if (!t->filtered || t->call->number != SYS_prctl || (int)t->entry.rdi != PR_GET_SECCOMP)
        return NULL;
    now->rax = SECCOMP_MODE_DISABLED;
    return urd_tracee_set_regs(t->tid, now);
}
