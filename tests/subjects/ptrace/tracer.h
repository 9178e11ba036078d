/* What the subjects of this folder share: a child that is traced, and stops that are waited for. */
#include "../behaviour.h"
#include <elf.h>
#include <linux/audit.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/user.h>

#define SYSCALL_STOP (SIGTRAP | 0x80)
#define EVENT(e)     (SIGTRAP | PTRACE_EVENT_##e << 8)

/* A child that asks to be traced, stops, and then runs function(). Here it has been waited for. */
static inline pid_t traced(void (*function)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        raise(SIGSTOP);
        function();
        _exit(0);
    }
    CHECK(status_of(pid) == (SIGSTOP << 8 | 0x7f));
    return pid;
}

/* A child that is not traced, and stays in function(). */
static inline pid_t child(void (*function)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        function();
        _exit(0);
    }
    return pid;
}

/* The signal and event that it stopped with. */
static inline int stop_of(pid_t pid)
{
    int status;
    pid_t got;
    while ((got = waitpid(pid, &status, __WALL)) < 0)
        CHECK(errno == EINTR);
    CHECK(got == pid || pid == -1);
    if (!WIFSTOPPED(status))
        printf("stop_of: status %x\n", status);
    CHECK(WIFSTOPPED(status));
    return status >> 8;
}

static inline int resume(int how, pid_t pid, long signal)
{
    CHECK(ptrace(how, pid, 0, signal) == 0);
    return stop_of(pid);
}

static inline void options(pid_t pid, long what)
{
    CHECK(ptrace(PTRACE_SETOPTIONS, pid, 0, what) == 0);
}

static inline struct user_regs_struct regs_of(pid_t pid)
{
    struct user_regs_struct r;
    CHECK(ptrace(PTRACE_GETREGS, pid, 0, &r) == 0);
    return r;
}

static inline void set_regs(pid_t pid, const struct user_regs_struct *r)
{
    CHECK(ptrace(PTRACE_SETREGS, pid, 0, r) == 0);
}

/* The end of it: exit code, or minus the signal. */
static inline int end_of(pid_t pid, int how)
{
    CHECK(ptrace(how, pid, 0, 0) == 0);
    int status;
    while (waitpid(pid, &status, __WALL) < 0)
        CHECK(errno == EINTR);
    CHECK(!WIFSTOPPED(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
