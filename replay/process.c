#include "replay/process.h"
#include "base/buf.h"
#include "base/log.h"
#include "replay/fast.h"
#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_DOWN(x)    ((x) & ~4095ull)
#define STUB_CALL       0x100 /* offsets in the stub page */
#define STUB_CHECKPOINT 0x110
#define STUB_TEXT       0x200 /* room for a path */
#define STACK_BYTES     (8u << 20)

static const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                            PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;

static const uint8_t call_code[] = {0x0f, 0x05, 0xcc}; /* syscall; int3 */
static const uint8_t checkpoint_code[] = {
    0x0f, 0x05,          /* syscall (clone) */
    0x85, 0xc0,          /* test %eax,%eax */
    0x74, 0x01,          /* jz 1f */
    0xcc,                /* int3 */
    0xb8, 157,  0, 0, 0, /* 1: mov $prctl,%eax */
    0xbf, 1,    0, 0, 0, /* mov $PR_SET_PDEATHSIG,%edi */
    0xbe, 9,    0, 0, 0, /* mov $SIGKILL,%esi */
    0x0f, 0x05,          /* syscall */
    0xb8, 34,   0, 0, 0, /* 2: mov $pause,%eax */
    0x0f, 0x05,          /* syscall */
    0xeb, 0xf7,          /* jmp 2b */
};

static int make_image(void)
{
    uint8_t image[4096] = {0};
    Elf64_Ehdr *h = (Elf64_Ehdr *)image;
    memcpy(h->e_ident, ELFMAG "\x02\x01\x01", 7);
    h->e_type = ET_EXEC;
    h->e_machine = EM_X86_64;
    h->e_version = 1;
    h->e_entry = URD_STUB_BASE + STUB_CALL;
    h->e_phoff = sizeof *h;
    h->e_ehsize = sizeof *h;
    h->e_phentsize = sizeof(Elf64_Phdr);
    h->e_phnum = 1;
    Elf64_Phdr *p = (Elf64_Phdr *)(h + 1);
    *p = (Elf64_Phdr){.p_type = PT_LOAD,
                      .p_flags = PF_R | PF_X,
                      .p_vaddr = URD_STUB_BASE,
                      .p_paddr = URD_STUB_BASE,
                      .p_filesz = 4096,
                      .p_memsz = 4096,
                      .p_align = 4096};
    memcpy(image + STUB_CALL, call_code, sizeof call_code);
    memcpy(image + STUB_CHECKPOINT, checkpoint_code, sizeof checkpoint_code);
    int fd = memfd_create("urd-stub", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, image, sizeof image) != sizeof image) {
        close(fd);
        return -1;
    }
    return fd;
}

urd_err *urd_process_wait(struct urd_process *p, int *ret_status)
{
    int status;
    while (waitpid(p->pid, &status, __WALL) < 0)
        if (errno != EINTR)
            URD_FAIL_ERRNO("cannot wait for process %d", p->pid);
    if (!WIFSTOPPED(status))
        URD_FAIL("a replayed process died (status %#x)", status);
    *ret_status = status;
    return NULL;
}

/** Remove everything that exec put there but the stub page. */
static urd_err *empty(struct urd_process *p)
{
    struct urd_map_line lines[32];
    unsigned n = 0;
    FILE *maps = urd_tracee_open_maps(p->pid);
    if (!maps)
        URD_FAIL_ERRNO("cannot read the mappings of a new process");
    while (n < 32 && urd_tracee_next_map(maps, &lines[n]))
        n++;
    fclose(maps);
    for (unsigned i = 0; i < n; i++) {
        int64_t result;
        if (lines[i].start == URD_STUB_BASE || lines[i].start > 1ull << 47)
            continue;
        URD_TRY(urd_process_call(p, &result, SYS_munmap, lines[i].start,
                                 lines[i].end - lines[i].start, 0, 0, 0, 0));
        if (result < 0)
            URD_FAIL("cannot unmap %s of a new process", lines[i].name);
    }
    return NULL;
}

urd_err *urd_process_spawn(struct urd_process *ret)
{
    struct urd_process p = {.mem = -1};
    URD_AUTO_CLOSE int image = make_image();
    if (image < 0)
        URD_FAIL_ERRNO("cannot make the stub image");
    char *const none[] = {NULL};
    p.pid = vfork();
    if (p.pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) == 0) {
            sigset_t all;
            sigemptyset(&all);
            sigprocmask(SIG_SETMASK, &all, NULL);
            fexecve(image, none, none);
        }
        _exit(127);
    }
    if (p.pid < 0)
        URD_FAIL_ERRNO("cannot fork");
    int status;
    URD_TRY(urd_process_wait(&p, &status));
    if (ptrace(PTRACE_SETOPTIONS, p.pid, 0, options) != 0)
        URD_FAIL_ERRNO("cannot trace a new process");
    p.mem = urd_tracee_open_mem(p.pid);
    if (p.mem < 0)
        URD_FAIL_ERRNO("cannot open the memory of a new process");
    URD_TRY(empty(&p));
    int64_t result;
    URD_TRY(urd_process_call(&p, &result, SYS_prctl, PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0, 0));
    *ret = p;
    return NULL;
}

urd_err *urd_process_trap_cpuid(struct urd_process *p)
{
    int64_t result;
    URD_TRY(urd_process_call(p, &result, SYS_arch_prctl, ARCH_SET_CPUID, 0, 0, 0, 0, 0));
    if (result < 0)
        urd_warn(
            "this processor answers CPUID otherwise than the recorded one, and cannot be kept from "
            "it: "
            "a native replay may diverge; a translated one does not (urd replay --translated)");
    return NULL;
}

static urd_err *run_stub(struct urd_process *p, uint64_t at, int number, const uint64_t args[6])
{
    struct user_regs_struct r;
    URD_TRY(urd_tracee_get_regs(p->pid, &r));
    urd_tracee_prepare_call(&r, at, number, args);
    URD_TRY(urd_tracee_set_regs(p->pid, &r));
    if (ptrace(PTRACE_CONT, p->pid, 0, 0) != 0)
        URD_FAIL_ERRNO("cannot resume process %d", p->pid);
    return NULL;
}

static urd_err *wait_stub(struct urd_process *p, int64_t *ret)
{
    int status;
    URD_TRY(urd_process_wait(p, &status));
    struct user_regs_struct r;
    URD_TRY(urd_tracee_get_regs(p->pid, &r));
    if (WSTOPSIG(status) != SIGTRAP || status >> 16 || PAGE_DOWN(r.rip) != URD_STUB_BASE)
        URD_FAIL("an injected system call was interrupted (status %#x at %#llx)", status, r.rip);
    *ret = (int64_t)r.rax;
    return NULL;
}

urd_err *urd_process_call(struct urd_process *p, int64_t *ret, int number, uint64_t a, uint64_t b,
                          uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    URD_TRY(run_stub(p, URD_STUB_BASE + STUB_CALL, number, (const uint64_t[]){a, b, c, d, e, f}));
    return wait_stub(p, ret);
}

static void copy_fds(const struct urd_process *from, struct urd_process *to)
{
    for (size_t i = 0; i < from->fds.capacity; i++)
        if (from->fds.slots[i].used == 1)
            *urd_map_put(&to->fds, from->fds.slots[i].key) = from->fds.slots[i].value;
}

urd_err *urd_process_fork(struct urd_process *p, struct urd_process *ret)
{
    uint64_t flags = CLONE_PARENT | SIGCHLD;
    URD_TRY(run_stub(p, URD_STUB_BASE + STUB_CALL, SYS_clone,
                     (const uint64_t[]){flags, 0, 0, 0, 0, 0}));
    int status;
    URD_TRY(urd_process_wait(p, &status));
    unsigned long message = 0;
    if (status >> 16 == 0 || ptrace(PTRACE_GETEVENTMSG, p->pid, 0, &message) != 0)
        URD_FAIL("cannot fork a replayed process (status %#x)", status);
    struct urd_process child = {.pid = (pid_t)message};
    if (ptrace(PTRACE_CONT, p->pid, 0, 0) != 0)
        URD_FAIL_ERRNO("cannot resume process %d", p->pid);
    int64_t result;
    URD_TRY(wait_stub(p, &result));
    URD_TRY(urd_process_wait(&child, &status)); /* its first stop: SIGSTOP */
    child.mem = urd_tracee_open_mem(child.pid);
    copy_fds(p, &child);
    child.fast = urd_fast_copy(p->fast);
    *ret = child;
    return NULL;
}

urd_err *urd_process_checkpoint(struct urd_process *p, struct urd_process *ret)
{
    uint64_t flags = CLONE_PARENT | CLONE_UNTRACED | SIGCHLD;
    URD_TRY(run_stub(p, URD_STUB_BASE + STUB_CHECKPOINT, SYS_clone,
                     (const uint64_t[]){flags, 0, 0, 0, 0, 0}));
    int64_t result;
    URD_TRY(wait_stub(p, &result));
    if (result <= 0)
        URD_FAIL("cannot make a checkpoint: clone gave %lld", (long long)result);
    struct urd_process child = {.pid = (pid_t)result, .mem = urd_tracee_open_mem((pid_t)result)};
    copy_fds(p, &child);
    child.fast = urd_fast_copy(p->fast);
    *ret = child;
    return NULL;
}

urd_err *urd_process_adopt(struct urd_process *p)
{
    if (ptrace(PTRACE_SEIZE, p->pid, 0, options) != 0)
        URD_FAIL_ERRNO("cannot adopt checkpoint %d", p->pid);
    if (ptrace(PTRACE_INTERRUPT, p->pid, 0, 0) != 0)
        URD_FAIL_ERRNO("cannot stop checkpoint %d", p->pid);
    int status;
    return urd_process_wait(p, &status);
}

void urd_process_kill(struct urd_process *p)
{
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        int status;
        while (waitpid(p->pid, &status, __WALL) >= 0 || errno == EINTR)
            if (WIFEXITED(status) || WIFSIGNALED(status))
                break;
    }
    if (p->mem >= 0)
        close(p->mem);
    urd_map_deinit(&p->fds);
    free(p->former.sps);
    urd_fast_destroy(p->fast);
    *p = (struct urd_process){.mem = -1};
}

static urd_err *open_in(struct urd_process *p, const char *path, int flags, int64_t *ret)
{
    size_t size = strlen(path) + 1;
    if (size > 4096 - STUB_TEXT ||
        urd_tracee_write(p->mem, URD_STUB_BASE + STUB_TEXT, path, size) != size)
        URD_FAIL("cannot pass the path %s", path);
    URD_TRY(urd_process_call(p, ret, SYS_openat, (uint64_t)AT_FDCWD, URD_STUB_BASE + STUB_TEXT,
                             (unsigned)flags, 0, 0, 0));
    if (*ret < 0) {
        errno = (int)-*ret;
        return urd_err_hint(
            urd_err_make(URD_ERR_FAILED, errno, __func__, __FILE__, __LINE__,
                         "cannot open the stored file %s", path),
            "it is part of the trace and must be there; restore it from a copy of the trace");
    }
    return NULL;
}

static urd_err *stored_fd(struct urd_process *p, const struct urd_trace *trace, uint32_t file,
                          int64_t *ret)
{
    uint64_t *known = urd_map_get(&p->fds, file);
    if (known) {
        *ret = (int64_t)*known - 1;
        return NULL;
    }
    URD_AUTO_FREE char *path = urd_trace_file_path(trace, file - 1);
    URD_AUTO_FREE char *full = path ? realpath(path, NULL) : NULL;
    URD_TRY(open_in(p, full ? full : path, O_RDONLY, ret));
    *urd_map_put(&p->fds, file) = (uint64_t)*ret + 1;
    return NULL;
}

static urd_err *check_call(int64_t result, const char *what, const struct urd_map_op *op)
{
    if (result < 0 && result >= -4095) {
        errno = (int)-result;
        URD_FAIL_ERRNO("cannot %s %#llx-%#llx %s in the replay", what,
                       (unsigned long long)op->start, (unsigned long long)(op->start + op->size),
                       op->name);
    }
    return NULL;
}

static urd_err *map_new(struct urd_process *p, const struct urd_trace *trace,
                        const struct urd_map_op *op)
{
    int64_t fd = -1, result;
    uint64_t flags = MAP_FIXED | MAP_NORESERVE, start = op->start, size = op->size;
    if (op->file) {
        URD_TRY(stored_fd(p, trace, op->file, &fd));
        flags |= MAP_PRIVATE;
    } else {
        flags |= MAP_ANONYMOUS | (op->shared ? MAP_SHARED : MAP_PRIVATE);
    }
    if (op->grows_down && strcmp(op->name, "[stack]") != 0)
        flags |= MAP_GROWSDOWN;
    else if (op->grows_down && size < STACK_BYTES) {
        start = op->start + size - STACK_BYTES; /* it may grow; nothing else is so near */
        size = STACK_BYTES;
    }
    URD_TRY(urd_process_call(p, &result, SYS_mmap, start, size, op->prot, flags, (uint64_t)fd,
                             op->file ? op->offset : 0));
    return check_call(result, "map", op);
}

urd_err *urd_process_check_range(const struct urd_map_op *op)
{
    if (op->start < URD_STUB_BASE + 4096 && op->start + op->size > 0x5e0000000000u)
        URD_FAIL("the program uses memory at %#llx, which the replay needs for itself",
                 (unsigned long long)op->start);
    return NULL;
}

/** A program may unmap all there is; what the replay needs for itself stays. */
static urd_err *unmap(struct urd_process *p, const struct urd_map_op *op)
{
    uint64_t end = op->start + op->size;
    const uint64_t parts[2][2] = {{op->start, end < URD_OWN_START ? end : URD_OWN_START},
                                  {op->start > URD_OWN_END ? op->start : URD_OWN_END, end}};
    for (unsigned i = 0; i < 2; i++) {
        int64_t result = 0;
        uint64_t size = parts[i][1] - parts[i][0];
        if (parts[i][0] < parts[i][1])
            URD_TRY(urd_process_call(p, &result, SYS_munmap, parts[i][0], size, 0, 0, 0, 0));
        URD_TRY(check_call(result, "unmap", op));
    }
    return NULL;
}

urd_err *urd_process_map(struct urd_process *p, const struct urd_trace *trace,
                         const struct urd_map_op *op)
{
    int64_t result = 0;
    if (op->kind == URD_MAP_UNMAP)
        return unmap(p, op);
    URD_TRY(urd_process_check_range(op));
    switch (op->kind) {
    case URD_MAP_MAP:
        return map_new(p, trace, op);
    case URD_MAP_PROTECT:
        URD_TRY(urd_process_call(p, &result, SYS_mprotect, op->start, op->size, op->prot, 0, 0, 0));
        return check_call(result, "protect", op);
    case URD_MAP_MOVE:
        URD_TRY(urd_process_call(p, &result, SYS_mremap, op->offset, op->old_size, op->size,
                                 MREMAP_MAYMOVE | (op->start != op->offset ? MREMAP_FIXED : 0),
                                 op->start, 0));
        return check_call(result, "move", op);
    case URD_MAP_DISCARD:
        URD_TRY(
            urd_process_call(p, &result, SYS_madvise, op->start, op->size, MADV_DONTNEED, 0, 0, 0));
        return check_call(result, "discard", op);
    }
    URD_FAIL("unknown mapping change %u in the trace", op->kind);
}

urd_err *urd_process_map_fd(struct urd_process *p, int tool_fd, uint64_t address, uint64_t size,
                            int prot, uint64_t offset)
{
    URD_AUTO_FREE char *path = urd_xprintf("/proc/%d/fd/%d", getpid(), tool_fd);
    int64_t fd, result;
    URD_TRY(open_in(p, path, O_RDWR, &fd));
    URD_TRY(urd_process_call(p, &result, SYS_mmap, address, size, (uint64_t)prot,
                             MAP_SHARED | MAP_FIXED, (uint64_t)fd, offset));
    if (result < 0 && result >= -4095) {
        errno = (int)-result;
        URD_FAIL_ERRNO("cannot map the tool's memory into a replayed process");
    }
    return urd_process_call(p, &result, SYS_close, (uint64_t)fd, 0, 0, 0, 0, 0);
}
