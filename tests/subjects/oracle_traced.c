/* A tracee that runs into breakpoints and is single-stepped, for the single-step oracle of the index. */
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

char from[] = "0123456789", to[16];
static int hits;

__attribute__((noinline)) static void function(void)
{
    __asm__ volatile("pushf; pop %%rax; mov $3, %%ecx; lea from(%%rip), %%rsi; lea to(%%rip), %%rdi; rep movsb"
                     : : : "rax", "rcx", "rsi", "rdi", "memory");
    hits++;
}

static void tracee(void)
{
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    for (int i = 0; i < 4; i++)
        function();
    _exit(hits);
}

static int resume(int how, pid_t pid)
{
    int status;
    ptrace(how, pid, 0, 0);
    waitpid(pid, &status, 0);
    return status;
}

int main(void)
{
    pid_t pid = fork();
    if (pid == 0)
        tracee();
    int status;
    waitpid(pid, &status, 0);
    long word = ptrace(PTRACE_PEEKTEXT, pid, function, 0);
    for (int hit = 0; hit < 3; hit++) {
        ptrace(PTRACE_POKETEXT, pid, function, (word & ~0xffl) | 0xcc);
        resume(PTRACE_CONT, pid);
        ptrace(PTRACE_POKEUSER, pid, 8 * 16, function);
        ptrace(PTRACE_POKETEXT, pid, function, word);
        ptrace(PTRACE_POKEDATA, pid, to + 8, hit);
        for (int steps = 0; steps < 30; steps++)
            resume(PTRACE_SINGLESTEP, pid);
    }
    return WEXITSTATUS(resume(PTRACE_CONT, pid)) - 4;
}
