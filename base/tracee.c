#include "base/tracee.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

urd_err *urd_tracee_get_regs(pid_t tid, struct user_regs_struct *ret)
{
    if (ptrace(PTRACE_GETREGS, tid, 0, ret) != 0)
        URD_FAIL_ERRNO("cannot read the registers of process %d", tid);
    return NULL;
}

urd_err *urd_tracee_set_regs(pid_t tid, const struct user_regs_struct *regs)
{
    if (ptrace(PTRACE_SETREGS, tid, 0, regs) != 0)
        URD_FAIL_ERRNO("cannot set the registers of process %d", tid);
    return NULL;
}

urd_err *urd_tracee_get_xstate(pid_t tid, void *data, size_t *size)
{
    struct iovec iov = {data, *size};
    if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &iov) != 0)
        URD_FAIL_ERRNO("cannot read the vector registers of process %d", tid);
    *size = iov.iov_len;
    return NULL;
}

urd_err *urd_tracee_set_xstate(pid_t tid, const void *data, size_t size)
{
    struct iovec iov = {(void *)data, size};
    if (ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, &iov) != 0)
        URD_FAIL_ERRNO("cannot set the vector registers of process %d", tid);
    return NULL;
}

static long debug_register(unsigned n)
{
    return (long)(offsetof(struct user, u_debugreg) + n * sizeof(long));
}

static urd_err *break_at(pid_t tid, uint64_t address)
{
    if (ptrace(PTRACE_POKEUSER, tid, debug_register(0), address) != 0 ||
        ptrace(PTRACE_POKEUSER, tid, debug_register(7), 1) != 0)
        URD_FAIL_ERRNO("cannot set a breakpoint of process %d at %#llx", tid,
                       (unsigned long long)address);
    return NULL;
}

static urd_err *break_nowhere(pid_t tid)
{
    if (ptrace(PTRACE_POKEUSER, tid, debug_register(7), 0) != 0)
        URD_FAIL_ERRNO("cannot remove a breakpoint of process %d", tid);
    return NULL;
}

static urd_err *resume(pid_t tid, int request, int *ret_status)
{
    if (ptrace(request, tid, 0, 0) != 0)
        URD_FAIL_ERRNO("cannot resume process %d", tid);
    while (waitpid(tid, ret_status, __WALL) < 0)
        if (errno != EINTR)
            URD_FAIL_ERRNO("cannot wait for process %d", tid);
    return NULL;
}

urd_err *urd_tracee_run_to(pid_t tid, uint64_t address, int *ret_status)
{
    URD_TRY(break_at(tid, address));
    URD_TRY(resume(tid, PTRACE_CONT, ret_status));
    return WIFSTOPPED(*ret_status) ? break_nowhere(tid) : NULL;
}

urd_err *urd_tracee_run_to_hit(pid_t tid, uint64_t address, uint64_t *hits, int *ret_status)
{
    URD_TRY(break_at(tid, address));
    do {
        siginfo_t si = {0};
        URD_TRY(resume(tid, PTRACE_SYSEMU, ret_status));
        if (!WIFSTOPPED(*ret_status))
            return NULL;
        if (*ret_status >> 8 != SIGTRAP || ptrace(PTRACE_GETSIGINFO, tid, 0, &si) != 0 ||
            si.si_code != TRAP_HWBKPT)
            break;
        --*hits;
    } while (*hits);
    return break_nowhere(tid);
}

void urd_tracee_prepare_call(struct user_regs_struct *regs, uint64_t at, int number,
                             const uint64_t args[6])
{
    regs->eflags &= ~0x100ull; /* a program may be single-stepping itself */
    regs->rip = at;
    regs->rax = (unsigned)number;
    regs->orig_rax = (unsigned long long)-1;
    regs->rdi = args[0];
    regs->rsi = args[1];
    regs->rdx = args[2];
    regs->r10 = args[3];
    regs->r8 = args[4];
    regs->r9 = args[5];
}

int urd_tracee_open_mem(pid_t tid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", tid);
    return open(path, O_RDWR | O_CLOEXEC);
}

size_t urd_tracee_read(int mem_fd, uint64_t address, void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(mem_fd, (char *)data + done, size - done, (off_t)(address + done));
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

size_t urd_tracee_write(int mem_fd, uint64_t address, const void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pwrite(mem_fd, (const char *)data + done, size - done, (off_t)(address + done));
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

size_t urd_tracee_read_much(pid_t tid, int mem_fd, uint64_t address, void *data, size_t size)
{
    struct iovec to = {data, size}, from = {(void *)address, size};
    ssize_t n = process_vm_readv(tid, &to, 1, &from, 1, 0);
    return n == (ssize_t)size ? size : urd_tracee_read(mem_fd, address, data, size);
}

FILE *urd_tracee_open_maps(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    return fopen(path, "re");
}

bool urd_tracee_next_map(FILE *maps, struct urd_map_line *ret)
{
    char line[1024];
    while (fgets(line, sizeof line,
                 maps)) { /* not sscanf: it took a tenth of a short process's recording */
        char *at = line;
        ret->start = strtoull(at, &at, 16);
        if (*at != '-')
            continue;
        ret->end = strtoull(at + 1, &at, 16);
        const char *prot = at + (*at == ' ');
        if (strlen(prot) < 6)
            continue;
        ret->offset = strtoull(prot + 5, &at, 16);
        ret->dev_major = (unsigned)strtoul(at, &at, 16);
        ret->dev_minor = (unsigned)strtoul(at + (*at == ':'), &at, 16);
        ret->inode = strtoull(at, &at, 10);
        at += strspn(at, " ");
        at[strcspn(at, "\n")] = 0;
        ret->prot = (uint8_t)((prot[0] == 'r' ? PROT_READ : 0) | (prot[1] == 'w' ? PROT_WRITE : 0) |
                              (prot[2] == 'x' ? PROT_EXEC : 0));
        ret->shared = prot[3] == 's';
        snprintf(ret->name, sizeof ret->name, "%s", at);
        return true;
    }
    return false;
}

/** PROCMAP_QUERY of linux/fs.h, since Linux 6.11: one mapping without the text of all before it. */
struct map_query {
    uint64_t size, flags, address;
    uint64_t start, end, is, page_bytes, offset, inode;
    uint32_t dev_major, dev_minor, name_size, build_id_size;
    uint64_t name, build_id;
};

#define MAP_QUERY _IOWR('f', 17, struct map_query)
_Static_assert(sizeof(struct map_query) == 104, "as the kernel has it");
enum {
    IS_READABLE = 1,
    IS_WRITABLE = 2,
    IS_EXECUTABLE = 4,
    IS_SHARED = 8,
    OR_THE_NEXT = 0x10,
    HAS_FILE = 0x20,
};

static int open_maps(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/** The mapping of a query, or false in *ret_found. False: the kernel cannot be asked, or not about this process. */
static bool ask_for_map(pid_t pid, uint64_t address, uint64_t flags, struct urd_map_line *ret,
                        bool *ret_found)
{
    struct map_query q = {.size = sizeof q,
                          .flags = flags,
                          .address = address,
                          .name = (uintptr_t)ret->name,
                          .name_size = sizeof ret->name};
    URD_AUTO_CLOSE int fd = open_maps(pid);
    ret->name[0] = 0;
    *ret_found = fd >= 0 && ioctl(fd, MAP_QUERY, &q) == 0;
    if (!*ret_found)
        return fd >= 0 && (errno == ENOENT || errno == ESRCH);
    ret->start = q.start;
    ret->end = q.end;
    ret->offset = q.offset;
    ret->inode = q.inode;
    ret->dev_major = q.dev_major;
    ret->dev_minor = q.dev_minor;
    ret->prot =
        (uint8_t)((q.is & IS_READABLE ? PROT_READ : 0) | (q.is & IS_WRITABLE ? PROT_WRITE : 0) |
                  (q.is & IS_EXECUTABLE ? PROT_EXEC : 0));
    ret->shared = (q.is & IS_SHARED) != 0;
    return true;
}

bool urd_tracee_find_shared(pid_t pid, uint64_t from, struct urd_map_line *ret, bool *ret_asked)
{
    bool found;
    *ret_asked =
        ask_for_map(pid, from, IS_WRITABLE | IS_SHARED | HAS_FILE | OR_THE_NEXT, ret, &found);
    return found;
}

bool urd_tracee_find_map(pid_t pid, uint64_t address, struct urd_map_line *ret)
{
    bool found = false;
    if (ask_for_map(pid, address, 0, ret, &found))
        return found;
    FILE *maps = urd_tracee_open_maps(pid);
    while (maps && !found && urd_tracee_next_map(maps, ret))
        found = address >= ret->start && address < ret->end;
    if (maps)
        fclose(maps);
    return found;
}
