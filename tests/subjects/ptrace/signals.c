/* Signals that a tracer sees first. */
#include "tracer.h"

static volatile int got;

static void note(int signal, siginfo_t *si, void *context)
{
    got = got * 100 + signal;
}

static void raises(void)
{
    handle(SIGUSR1, note, 0);
    handle(SIGUSR2, note, 0);
    raise(SIGUSR1);
    _exit(got);
}

BEHAVIOUR(passed_on)
{
    pid_t pid = traced(raises);
    siginfo_t si;
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == 0);
    printf("%d %d, from itself: %d\n", si.si_signo, si.si_code, si.si_pid == pid);
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGUSR1) == 0);
    printf("status %x\n", status_of(pid));
}

BEHAVIOUR(suppressed)
{
    pid_t pid = traced(raises);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

BEHAVIOUR(replaced)
{
    pid_t pid = traced(raises);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGUSR2) == 0);
    printf("status %x\n", status_of(pid));
}

BEHAVIOUR(made_fatal)
{
    pid_t pid = traced(raises);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGTERM) == 0);
    printf("status %x\n", status_of(pid));
}

/* From a stop that is no signal's it is raised, and seen again. */
BEHAVIOUR(injected_at_a_call)
{
    pid_t pid = traced(raises);
    printf("%x\n", resume(PTRACE_SYSCALL, pid, 0));
    resume(PTRACE_SYSCALL, pid, 0);
    int stop = resume(PTRACE_CONT, pid, SIGUSR2);
    printf("%x\n", stop);
    stop = resume(PTRACE_CONT, pid, 0);
    printf("%x\n", stop);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

static void faults(void)
{
    *(volatile int *)16 = 1;
}

BEHAVIOUR(faults_end_it)
{
    pid_t pid = traced(faults);
    siginfo_t si;
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == 0);
    printf("%d at %p\n", si.si_code, si.si_addr);
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGSEGV) == 0);
    printf("status %x\n", status_of(pid) & 0x7f);
}

static void survives(void)
{
    volatile int *p = (int *)16;
    __asm__ volatile("movl $1, (%0)" : : "a"(p) : "memory");
    _exit(got + 3);
}

BEHAVIOUR(a_fault_is_repaired)
{
    pid_t pid = traced(survives);
    resume(PTRACE_CONT, pid, 0);
    struct user_regs_struct r = regs_of(pid);
    CHECK(r.rax == 16);
    r.rax = (unsigned long)&got;
    set_regs(pid, &r);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

/* A step that enters a handler stops at its first instruction. */
BEHAVIOUR(a_step_into_a_handler)
{
    pid_t pid = traced(raises);
    resume(PTRACE_CONT, pid, 0);
    int stop = resume(PTRACE_SINGLESTEP, pid, SIGUSR1);
    printf("%x in the handler: %d\n", stop, regs_of(pid).rip == (unsigned long)note);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

static void computes(void)
{
    handle(SIGUSR1, note, 0);
    raise(SIGUSR2);
    while (!got)
        compute(1000);
    _exit(got);
}

/* From outside, in the middle of a computation. */
BEHAVIOUR(in_a_computation)
{
    pid_t pid = traced(computes);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    sleep_ms(30);
    kill(pid, SIGUSR1);
    printf("%x\n", stop_of(pid));
    CHECK(regs_of(pid).rip);
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGUSR1) == 0);
    printf("status %x\n", status_of(pid));
}

BEHAVIOUR(suppressed_in_a_computation)
{
    pid_t pid = traced(computes);
    resume(PTRACE_CONT, pid, 0);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    sleep_ms(10);
    kill(pid, SIGUSR1);
    printf("%x\n", stop_of(pid));
    CHECK(ptrace(PTRACE_POKEDATA, pid, &got, 44) == 0);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

/* An ignored signal is seen, too. */
static void ignores(void)
{
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    _exit(8);
}

BEHAVIOUR(ignored_ones)
{
    pid_t pid = traced(ignores);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGUSR1) == 0);
    printf("status %x\n", status_of(pid));
}

BEHAVIOUR(siginfo_is_changed)
{
    pid_t pid = traced(raises);
    siginfo_t si;
    resume(PTRACE_CONT, pid, 0);
    CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == 0);
    si.si_value.sival_int = 5;
    CHECK(ptrace(PTRACE_SETSIGINFO, pid, 0, &si) == 0);
    uint64_t mask = 0;
    CHECK(ptrace(PTRACE_GETSIGMASK, pid, 8, &mask) == 0);
    printf("%lx\n", mask);
    mask = 1 << (SIGUSR2 - 1);
    CHECK(ptrace(PTRACE_SETSIGMASK, pid, 8, &mask) == 0);
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGUSR1) == 0);
    printf("status %x\n", status_of(pid));
}

static volatile int told, told_code, told_status;
static volatile pid_t told_pid;

static void on_child(int signal, siginfo_t *si, void *context)
{
    told++;
    told_code = si->si_code;
    told_status = si->si_status;
    told_pid = si->si_pid;
}

/* The tracer is told by SIGCHLD. */
BEHAVIOUR(sigchld)
{
    sigset_t set, old;
    pid_t pid = traced(raises);
    handle(SIGCHLD, on_child, SA_RESTART);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &old);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    while (!told)
        sigsuspend(&old);
    printf("code %d status %d, its pid: %d\n", told_code, told_status, told_pid == pid);
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("%x\n", stop_of(pid));
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    printf("status %x\n", status_of(pid));
}

/* Job control: SIGSTOP that is passed on stops it, and its tracer is told of that, too. */
static void stops(void)
{
    raise(SIGSTOP);
    _exit(6);
}

BEHAVIOUR(group_stop)
{
    pid_t pid = traced(stops);
    siginfo_t si;
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    printf("%x\n", resume(PTRACE_CONT, pid, SIGSTOP));
    errno = 0;
    printf("no signal: %d\n", ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == -1 && errno == EINVAL);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

/* The kernel would tell it once more. */
BEHAVIOUR(group_stop_and_WUNTRACED)
{
    pid_t pid = traced(stops);
    int status;
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGSTOP) == 0);
    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    printf("%x\n", status);
    CHECK(waitpid(pid, &status, WUNTRACED | WNOHANG) == 0);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    printf("%x\n", status);
}

static void blocks_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int i = 0; i < 3; i++)
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 40 + i});
    syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
    __asm__ volatile("int3");
    _exit(9);
}

/* Signals that are to come, of the process and of the thread. */
BEHAVIOUR(signals_to_come)
{
    pid_t pid = traced(blocks_signals);
    printf("%x\n", resume(PTRACE_CONT, pid, 0));
    siginfo_t si[8];
    struct __ptrace_peeksiginfo_args of_thread = {0, 0, 8}, of_process = {1, PTRACE_PEEKSIGINFO_SHARED, 8}, wrong = {0, 8, 8};
    long n = ptrace(PTRACE_PEEKSIGINFO, pid, &of_thread, si);
    printf("%ld:", n);
    for (long i = 0; i < n; i++)
        printf(" %d", si[i].si_signo);
    n = ptrace(PTRACE_PEEKSIGINFO, pid, &of_process, si);
    printf("\n%ld:", n);
    for (long i = 0; i < n; i++)
        printf(" %d %d", si[i].si_signo, si[i].si_value.sival_int);
    CHECK(ptrace(PTRACE_PEEKSIGINFO, pid, &wrong, si) == -1 && errno == EINVAL);
    kill(pid, SIGKILL);
    printf("\nend %d\n", status_of(pid));
}
