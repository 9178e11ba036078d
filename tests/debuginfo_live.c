#include "tests/debuginfo_live.h"
#include "base/buf.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static bool read_memory(void *data, uint64_t address, void *buf, size_t size)
{
    struct live *l = data;
    if (pread(l->memory, buf, size, (off_t)address) != (ssize_t)size)
        return false;
    for (int i = 0; i < l->n_breaks; i++) /* breakpoints are not the subject's */
        if (l->breaks[i].set && l->breaks[i].address - address < size)
            ((uint8_t *)buf)[l->breaks[i].address - address] = l->breaks[i].byte;
    return true;
}

static bool read_register(void *data, unsigned reg, uint64_t *ret)
{
    struct live *l = data;
    const struct user_regs_struct *r = &l->regs;
    const unsigned long long all[] = {r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi,
                                      r->rbp, r->rsp, r->r8,  r->r9,  r->r10, r->r11,
                                      r->r12, r->r13, r->r14, r->r15, r->rip};
    if (reg < 17)
        *ret = all[reg];
    else if (reg == URD_DW_EFLAGS)
        *ret = r->eflags;
    else if (reg == URD_DW_FS_BASE)
        *ret = r->fs_base;
    else
        return false;
    return true;
}

static bool read_vector(void *data, unsigned reg, void *buf, size_t size)
{
    struct live *l = data;
    if (reg >= 17 && reg < 33 && size <= 16) {
        memcpy(buf, (char *)l->fpregs.xmm_space + 16 * (reg - 17), size);
        return true;
    }
    if (reg >= 33 && reg < 41 && size <= 10) {
        memcpy(buf, (char *)l->fpregs.st_space + 16 * (reg - 33), size);
        return true;
    }
    return false;
}

static void fetch(struct live *l)
{
    ptrace(PTRACE_GETREGS, l->pid, NULL, &l->regs);
    ptrace(PTRACE_GETFPREGS, l->pid, NULL, &l->fpregs);
    l->frame = (struct urd_frame){.image = l->image,
                                  .pc = l->regs.rip,
                                  .data = l,
                                  .read_memory = read_memory,
                                  .read_register = read_register,
                                  .read_vector = read_vector,
                                  .fs_base = l->regs.fs_base};
}

static void map_modules(struct live *l)
{
    char name[64], line[4600], path[4096];
    snprintf(name, sizeof name, "/proc/%d/maps", l->pid);
    FILE *f = fopen(name, "re");
    unsigned long a, b, offset;
    char perms[8];
    while (f && fgets(line, sizeof line, f)) {
        path[0] = 0;
        if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %4095[^\n]", &a, &b, perms, &offset, path) < 4 ||
            perms[2] != 'x' || path[0] != '/')
            continue;
        int i = 0;
        while (i < l->n_modules && strcmp(urd_debuginfo_module_path(l->modules[i]), path))
            i++;
        if (i == l->n_modules) {
            if (i == 32)
                continue;
            urd_err *err = urd_debuginfo_module_open(path, NULL, &l->modules[i]);
            if (err) {
                urd_err_free(err);
                continue;
            }
            l->n_modules++;
        }
        urd_debuginfo_image_add(l->image, l->modules[i], a, b - a, offset, &l->bias[i]);
    }
    if (f)
        fclose(f);
}

bool live_start(struct live *l, const char *path)
{
    memset(l, 0, sizeof *l);
    l->pid = fork();
    if (!l->pid) {
        char *argv[] = {(char *)path, NULL}, *envp[] = {NULL};
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        personality(ADDR_NO_RANDOMIZE);
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        execve(path, argv, envp);
        _exit(127);
    }
    int status;
    if (waitpid(l->pid, &status, 0) != l->pid || !WIFSTOPPED(status))
        return false;
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/mem", l->pid);
    l->memory = open(name, O_RDWR | O_CLOEXEC);
    l->image = urd_debuginfo_image_create();
    map_modules(l);
    if (!l->n_modules)
        return false;
    size_t n;
    const struct urd_function **mains;
    urd_debuginfo_functions_named(l->modules[0], "main", &mains, &n);
    if (n) {
        live_break(l, mains[0]->entry + l->bias[0], -2);
        if (live_continue(l) != -2)
            n = 0;
        live_unbreak(l, -2);
    }
    free(mains);
    map_modules(l);
    fetch(l);
    return n;
}

void live_break(struct live *l, uint64_t address, int tag)
{
    uint8_t int3 = 0xcc, byte;
    if (pread(l->memory, &byte, 1, (off_t)address) != 1)
        return;
    for (int i = 0; i < l->n_breaks; i++)
        if (l->breaks[i].set && l->breaks[i].address == address)
            byte = l->breaks[i].byte;
    if (pwrite(l->memory, &int3, 1, (off_t)address) != 1)
        return;
    l->breaks[l->n_breaks].address = address;
    l->breaks[l->n_breaks].byte = byte;
    l->breaks[l->n_breaks].tag = tag;
    l->breaks[l->n_breaks++].set = true;
}

void live_unbreak(struct live *l, int tag)
{
    for (int i = 0; i < l->n_breaks; i++) {
        bool other = false;
        if (!l->breaks[i].set || l->breaks[i].tag != tag)
            continue;
        l->breaks[i].set = false;
        for (int k = 0; k < l->n_breaks; k++)
            other |= l->breaks[k].set && l->breaks[k].address == l->breaks[i].address;
        if (!other && pwrite(l->memory, &l->breaks[i].byte, 1, (off_t)l->breaks[i].address) != 1)
            perror("pwrite");
    }
}

/** Step over a breakpoint that lies at the pc. */
static bool step_over(struct live *l)
{
    int status;
    uint8_t int3 = 0xcc;
    for (int i = 0; i < l->n_breaks; i++) {
        if (!l->breaks[i].set || l->breaks[i].address != l->regs.rip)
            continue;
        if (pwrite(l->memory, &l->breaks[i].byte, 1, (off_t)l->regs.rip) != 1)
            return false;
        uint64_t at = l->regs.rip;
        ptrace(PTRACE_SINGLESTEP, l->pid, NULL, NULL);
        if (waitpid(l->pid, &status, 0) != l->pid || !WIFSTOPPED(status))
            return false;
        return pwrite(l->memory, &int3, 1, (off_t)at) == 1;
    }
    return true;
}

int live_continue(struct live *l)
{
    int status, signal = 0;
    ptrace(PTRACE_GETREGS, l->pid, NULL, &l->regs);
    if (!step_over(l))
        return -1;
    for (;;) {
        ptrace(PTRACE_CONT, l->pid, NULL, (void *)(long)signal);
        if (waitpid(l->pid, &status, 0) != l->pid || !WIFSTOPPED(status))
            return -1;
        signal = WSTOPSIG(status);
        if (signal != SIGTRAP)
            continue;
        signal = 0;
        ptrace(PTRACE_GETREGS, l->pid, NULL, &l->regs);
        for (int i = 0; i < l->n_breaks; i++)
            if (l->breaks[i].set && l->breaks[i].address == l->regs.rip - 1) {
                l->regs.rip--;
                ptrace(PTRACE_SETREGS, l->pid, NULL, &l->regs);
                fetch(l);
                return l->breaks[i].tag;
            }
    }
}

void live_stop(struct live *l)
{
    if (l->pid > 0) {
        kill(l->pid, SIGKILL);
        waitpid(l->pid, NULL, 0);
    }
    if (l->memory > 0)
        close(l->memory);
    urd_debuginfo_image_destroy(l->image);
    for (int i = 0; i < l->n_modules; i++)
        urd_debuginfo_module_close(l->modules[i]);
}
