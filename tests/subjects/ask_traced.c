/* A tracer and its tracee: what one does to the other. */
//$ build -O0
#include <stdio.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static int poked = 1, by_hand, sum;

__attribute__((noinline)) static int add(int n)
{
    sum += n;       //! adds
    return sum;
}

static void tracee(void)
{
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    by_hand = poked;    //! copies
    for (int i = 1; i <= 4; i++)
        add(i);
    _exit(sum);     //! ends
    //? blame poked --at copies#1 => syscall ptrace; old 1; new 42; function ptrace
    //? blame by_hand --at ends#1 => line copies; new 42
    //? blame sum --at ends#1 => line adds; old 106; new 110
    //? print add '{n} {sum}' => text[] 1 0 | 2 1 | 100 3 | 3 103 | 4 106
    //? calls add => returned[] 1 | 3 | 103 | 106 | 110
    //? lines {adds} => rows 5
    //? eval poked --at copies#1 => answer 42
    //? sql "SELECT count(*) AS n FROM events WHERE kind = 'memory'" => n /[1-9][0-9]*/

}

static void resume(int how, pid_t pid)
{
    int status;
    ptrace(how, pid, 0, 0);
    waitpid(pid, &status, 0);
}

/* As a debugger calls a function: registers, a return address with a breakpoint. */
static void call(pid_t pid, long function, long argument, long trap)
{
    struct user_regs_struct saved, regs;
    ptrace(PTRACE_GETREGS, pid, 0, &saved);
    regs = saved;
    regs.rsp = ((regs.rsp - 512) & ~15ul) - 8;
    regs.rip = function;
    regs.rdi = argument;
    regs.orig_rax = -1;
    long word = ptrace(PTRACE_PEEKTEXT, pid, trap, 0);
    ptrace(PTRACE_POKETEXT, pid, trap, (word & ~0xffl) | 0xcc);
    ptrace(PTRACE_POKEDATA, pid, regs.rsp, trap);
    ptrace(PTRACE_SETREGS, pid, 0, &regs);
    resume(PTRACE_CONT, pid);
    ptrace(PTRACE_POKETEXT, pid, trap, word);
    ptrace(PTRACE_SETREGS, pid, 0, &saved);
}

int main(void)
{
    pid_t pid = fork();
    if (pid == 0)
        tracee();
    int status;
    waitpid(pid, &status, 0);
    ptrace(PTRACE_POKEDATA, pid, &poked, 42);
    long word = ptrace(PTRACE_PEEKTEXT, pid, add, 0);
    for (int hit = 1; hit <= 3; hit++) {
        ptrace(PTRACE_POKETEXT, pid, add, (word & ~0xffl) | 0xcc);
        resume(PTRACE_CONT, pid);
        ptrace(PTRACE_POKEUSER, pid, 8 * 16, add);
        ptrace(PTRACE_POKETEXT, pid, add, word);
        if (hit == 3)
            call(pid, (long)add, 100, (long)tracee);
        for (int steps = 0; steps < 4; steps++)
            resume(PTRACE_SINGLESTEP, pid);
    }
    ptrace(PTRACE_CONT, pid, 0, 0);
    waitpid(pid, &status, 0);
    printf("%d\n", WEXITSTATUS(status));
    return 0;
}
