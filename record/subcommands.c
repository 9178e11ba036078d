#include "record/subcommands.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/syscall_numbers.h"
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

/* Names of newer headers, and those that libc keeps for itself. */
#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 8
#endif
#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif
#ifndef MSG_STAT_ANY
#define MSG_STAT_ANY 13
#endif
#define ARCH_GET_XCOMP_SUPP       0x1021
#define ARCH_GET_XCOMP_GUEST_PERM 0x1024
#define ARCH_MAP_VDSO_X32         0x2001
#define ARCH_MAP_VDSO_64          0x2003
#define ARCH_GET_UNTAG_MASK       0x4001
#define ARCH_ENABLE_TAGGED_ADDR   0x4002
#define ARCH_GET_MAX_TAG_BITS     0x4003
#define ARCH_SHSTK_ENABLE         0x5001
#define ARCH_SHSTK_STATUS         0x5005

/* The kernel's structures, from include/uapi/{linux,asm-generic}; libc's are the same on x86-64. */
enum {
    SEMID_BYTES = 104,
    SEMINFO_BYTES = 40,
    MSQID_BYTES = 120,
    MSGINFO_BYTES = 32,
    SHMID_BYTES = 112,
    SHMINFO_BYTES = 72,
    SHM_INFO_BYTES = 48,
    MOST_BYTES = 1 << 20, /* no structure of the kernel is so large */
};

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool prctl_refused(const struct user_regs_struct *e, int64_t *ret)
{
    switch ((int)e->rdi) {
    case PR_SET_TSC: /* the trap is the recorder's */
        *ret = 0;
        return true;
    case PR_SET_DUMPABLE: /* an unprivileged recorder would lose sight of the process */
        *ret = 0;
        return e->rsi == 0 && geteuid() != 0;
    case PR_SET_MM:                    /* would move heap and stack in no event */
    case PR_SET_SYSCALL_USER_DISPATCH: /* calls would become signals before they are seen */
    case PR_GET_AUXV:                  /* has the vDSO, which is hidden */
        *ret = -EINVAL;
        return true;
    }
    return false;
}

static bool arch_prctl_refused(const struct user_regs_struct *e, int64_t *ret)
{
    unsigned code = (unsigned)e->rdi;
    *ret = code == ARCH_SET_CPUID ? -ENODEV : -EINVAL;
    return (code >= ARCH_MAP_VDSO_X32 &&
            code <= ARCH_MAP_VDSO_64) || /* time without system calls */
           code == ARCH_SET_CPUID || /* no event has its faults; some processors cannot do it */
           code == ARCH_ENABLE_TAGGED_ADDR ||
           (code >= ARCH_SHSTK_ENABLE && code < ARCH_SHSTK_STATUS); /* a stack in no event */
}

/** A task of that policy needs a core that nobody else may set the limits of: the kernel refuses it to one that is pinned. */
static bool deadline_refused(struct task *t, int64_t *ret_answer)
{
    uint32_t size_and_policy[2] = {0}; /* linux/sched/types.h */
    *ret_answer = -EPERM;
    return urd_tracee_read(t->mem, t->entry.rsi, size_and_policy, 8) == 8 &&
           size_and_policy[1] == SCHED_DEADLINE;
}

/** The task that argument 1 of the sched_ calls names; NULL: none that is recorded. */
static struct task *scheduled(struct recorder *r, struct task *t)
{
    pid_t tid = (pid_t)t->entry.rdi;
    return tid ? recorder_find_task(r, tid) : t;
}

/** All tasks run on the core of the recorder: a set of others is noted, and told when it is asked for. */
static bool affinity_refused(struct recorder *r, struct task *t, int64_t *ret_answer)
{
    const struct user_regs_struct *e = &t->entry;
    cpu_set_t set;
    CPU_ZERO(&set);
    size_t size = e->rsi < sizeof set ? e->rsi : sizeof set;
    bool readable = urd_tracee_read(t->mem, e->rdx, &set, size) == size;
    CPU_AND(&set, &set, &r->cpus);
    *ret_answer = !readable ? -EFAULT : (int)e->rdi < 0 ? -ESRCH : !CPU_COUNT(&set) ? -EINVAL : 0;
    struct task *of = *ret_answer == 0 ? scheduled(r, t) : NULL;
    if (of) {
        of->cpus = set;
        of->has_cpus = true;
    }
    return true;
}

static void exit_getaffinity(struct recorder *r, struct task *t, uint64_t size)
{
    const struct task *of = scheduled(r, t);
    if (of && of->has_cpus)
        urd_tracee_write(t->mem, t->entry.rdx, &of->cpus, min_u64(size, sizeof of->cpus));
    event_add_memory(&r->builder, t->mem, t->entry.rdx, size);
}

bool subcommand_refused(struct recorder *r, struct task *t, int64_t *ret_answer)
{
    const struct user_regs_struct *e = &t->entry;
    switch (t->call->number) {
    case SYS_prctl:
        return prctl_refused(e, ret_answer);
    case SYS_arch_prctl:
        return arch_prctl_refused(e, ret_answer);
    case SYS_sched_setattr:
        return deadline_refused(t, ret_answer);
    case SYS_sched_setaffinity:
        return affinity_refused(r, t, ret_answer);
    case SYS_mmap: /* pages that may vanish at any time */
        *ret_answer = -EINVAL;
        return (e->r10 & MAP_TYPE) == MAP_DROPPABLE;
    }
    return false;
}

static void exit_prctl(struct event_builder *b, struct task *t, int64_t result)
{
    const struct user_regs_struct *e = &t->entry;
    unsigned size = 0;
    switch ((int)e->rdi) {
    case PR_GET_NAME:
        size = 16;
        break;
    case PR_GET_TID_ADDRESS:
        size = 8;
        break;
    case PR_GET_TSC: { /* as it would be without a recorder */
        int enabled = PR_TSC_ENABLE;
        urd_tracee_write(t->mem, e->rsi, &enabled, sizeof enabled);
        size = 4;
        break;
    }
    case PR_GET_PDEATHSIG:
    case PR_GET_CHILD_SUBREAPER:
    case PR_GET_UNALIGN:
    case PR_GET_FPEMU:
    case PR_GET_FPEXC:
    case PR_GET_ENDIAN:
        size = 4;
        break;
    case PR_SCHED_CORE:
        if (e->rsi == PR_SCHED_CORE_GET)
            event_add_memory(b, t->mem, e->r8, 8);
        break;
    }
    event_add_memory(b, t->mem, e->rsi, size);
}

static void exit_arch_prctl(struct event_builder *b, struct task *t)
{
    unsigned code = (unsigned)t->entry.rdi;
    if (code == ARCH_GET_FS || code == ARCH_GET_GS ||
        (code >= ARCH_GET_XCOMP_SUPP && code <= ARCH_GET_XCOMP_GUEST_PERM) ||
        code == ARCH_GET_UNTAG_MASK || code == ARCH_GET_MAX_TAG_BITS || code == ARCH_SHSTK_STATUS)
        event_add_memory(b, t->mem, t->entry.rsi, 8);
}

static void exit_fcntl(struct event_builder *b, struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    switch ((int)e->rsi) {
    case F_GETLK:
    case F_OFD_GETLK:
        event_add_memory(b, t->mem, e->rdx, sizeof(struct flock));
        break;
    case F_GETOWN_EX:
    case F_GETOWNER_UIDS:
    case F_GET_RW_HINT:
    case F_GET_FILE_RW_HINT:
        event_add_memory(b, t->mem, e->rdx, 8);
        break;
    }
}

static void exit_keyctl(struct event_builder *b, struct task *t, int64_t result)
{
    const struct user_regs_struct *e = &t->entry;
    switch ((int)e->rdi) {
    case KEYCTL_DESCRIBE:
    case KEYCTL_READ:
    case KEYCTL_GET_SECURITY:
    case KEYCTL_DH_COMPUTE:
        event_add_memory(b, t->mem, e->rdx, min_u64((uint64_t)result, e->r10));
        break;
    case KEYCTL_PKEY_QUERY:
        event_add_memory(b, t->mem, e->r8, 56); /* struct keyctl_pkey_query */
        break;
    case KEYCTL_PKEY_ENCRYPT:
    case KEYCTL_PKEY_DECRYPT:
    case KEYCTL_PKEY_SIGN:
        event_add_memory(b, t->mem, e->r8, (uint64_t)result);
        break;
    case KEYCTL_CAPABILITIES: /* the rest of the buffer is cleared */
        event_add_memory(b, t->mem, e->rsi, min_u64(e->rdx, MOST_BYTES));
        break;
    }
}

static void exit_semctl(struct event_builder *b, struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    switch ((int)e->rdx & ~0x100) { /* IPC_64 */
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
        event_add_memory(b, t->mem, e->r10, SEMID_BYTES);
        break;
    case IPC_INFO:
    case SEM_INFO:
        event_add_memory(b, t->mem, e->r10, SEMINFO_BYTES);
        break;
    case GETALL: { /* how many there are: 32000 at most, unless somebody raised it */
        struct semid_ds ds;
        bool known = semctl((int)e->rdi, 0, IPC_STAT, &ds) == 0;
        event_add_memory(b, t->mem, e->r10, 2 * (known ? ds.sem_nsems : 32000));
        break;
    }
    }
}

static void exit_msgctl(struct event_builder *b, struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    switch ((int)e->rsi & ~0x100) {
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
        event_add_memory(b, t->mem, e->rdx, MSQID_BYTES);
        break;
    case IPC_INFO:
    case MSG_INFO:
        event_add_memory(b, t->mem, e->rdx, MSGINFO_BYTES);
        break;
    }
}

static void exit_shmctl(struct event_builder *b, struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    switch ((int)e->rsi & ~0x100) {
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
        event_add_memory(b, t->mem, e->rdx, SHMID_BYTES);
        break;
    case IPC_INFO:
        event_add_memory(b, t->mem, e->rdx, SHMINFO_BYTES);
        break;
    case SHM_INFO:
        event_add_memory(b, t->mem, e->rdx, SHM_INFO_BYTES);
        break;
    }
}

/** SO_GET_FILTER counts instructions, of 8 bytes each; the table counts bytes. */
static void exit_getsockopt(struct event_builder *b, struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    uint32_t n = 0;
    if (e->rsi == SOL_SOCKET && e->rdx == SO_GET_FILTER &&
        urd_tracee_read(t->mem, e->r8, &n, sizeof n) == sizeof n)
        event_add_memory(b, t->mem, e->r10, 8ull * min_u64(n, 65536));
}

/** The value's address and size are in struct xattr_args. */
static void exit_getxattrat(struct event_builder *b, struct task *t, int64_t result)
{
    struct {
        uint64_t value;
        uint32_t size, flags;
    } args = {0};
    urd_tracee_read(t->mem, t->entry.r8, &args, sizeof args);
    event_add_memory(b, t->mem, args.value, min_u64((uint64_t)result, args.size));
}

void subcommand_exit(struct recorder *r, struct task *t, int64_t result)
{
    struct event_builder *b = &r->builder;
    switch (t->call->number) {
    case SYS_prctl:
        exit_prctl(b, t, result);
        break;
    case SYS_arch_prctl:
        exit_arch_prctl(b, t);
        break;
    case SYS_fcntl:
        exit_fcntl(b, t);
        break;
    case SYS_keyctl:
        exit_keyctl(b, t, result);
        break;
    case SYS_semctl:
        exit_semctl(b, t);
        break;
    case SYS_msgctl:
        exit_msgctl(b, t);
        break;
    case SYS_shmctl:
        exit_shmctl(b, t);
        break;
    case SYS_getsockopt:
        exit_getsockopt(b, t);
        break;
    case SYS_getxattrat:
        exit_getxattrat(b, t, result);
        break;
    case SYS_seccomp:
        if ((int)t->entry.rdi == SECCOMP_GET_NOTIF_SIZES)
            event_add_memory(b, t->mem, t->entry.rdx, 6);
        break;
    case SYS_sched_getaffinity:
        if (result > 0)
            exit_getaffinity(r, t, (uint64_t)result);
        break;
    case SYS_sched_getattr: /* 32 bits of the size count */
        event_add_memory(b, t->mem, t->entry.rsi, min_u64((uint32_t)t->entry.rdx, MOST_BYTES));
        break;
    }
}
