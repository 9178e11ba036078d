/* Stops at system calls, and what a tracer makes of them. */
#include "tracer.h"
#include <linux/filter.h>
#include <linux/seccomp.h>

static char text[] = "hello from the tracee\n";

static void writes(void)
{
    syscall(SYS_getppid);
    _exit(syscall(SYS_write, 1, text, sizeof text - 1) == sizeof text - 1 ? 5 : 6);
}

BEHAVIOUR(entries_and_exits)
{
    pid_t pid = traced(writes);
    options(pid, PTRACE_O_TRACESYSGOOD);
    for (int i = 0; i < 5; i++) {
        int stop = resume(PTRACE_SYSCALL, pid, 0);
        struct user_regs_struct r = regs_of(pid);
        printf("%x: call %lld, result %s\n", stop, r.orig_rax,
               r.orig_rax == SYS_getppid && (long)r.rax > 0 ? "a pid" : (long)r.rax == -ENOSYS ? "none" : "some");
        fflush(stdout);
    }
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

/* Without PTRACE_O_TRACESYSGOOD they look like SIGTRAP. */
BEHAVIOUR(entries_that_look_like_signals)
{
    pid_t pid = traced(writes);
    siginfo_t si;
    printf("%x\n", resume(PTRACE_SYSCALL, pid, 0));
    CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == 0);
    printf("%d %d\n", si.si_signo, si.si_code);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

BEHAVIOUR(a_call_is_left_out)
{
    pid_t pid = traced(writes);
    resume(PTRACE_SYSCALL, pid, 0), resume(PTRACE_SYSCALL, pid, 0);
    resume(PTRACE_SYSCALL, pid, 0);
    struct user_regs_struct r = regs_of(pid);
    CHECK(r.orig_rax == SYS_write);
    r.orig_rax = -1;
    set_regs(pid, &r);
    resume(PTRACE_SYSCALL, pid, 0);
    r = regs_of(pid);
    printf("result %lld\n", r.rax);
    r.rax = sizeof text - 1;
    set_regs(pid, &r);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

BEHAVIOUR(a_call_is_left_out_and_has_a_result_at_its_entry)
{
    pid_t pid = traced(writes);
    resume(PTRACE_SYSCALL, pid, 0), resume(PTRACE_SYSCALL, pid, 0);
    resume(PTRACE_SYSCALL, pid, 0);
    struct user_regs_struct r = regs_of(pid);
    r.orig_rax = -1;
    r.rax = sizeof text - 1;
    set_regs(pid, &r);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

BEHAVIOUR(a_call_becomes_another_one)
{
    pid_t pid = traced(writes);
    resume(PTRACE_SYSCALL, pid, 0), resume(PTRACE_SYSCALL, pid, 0);
    resume(PTRACE_SYSCALL, pid, 0);
    struct user_regs_struct r = regs_of(pid);
    CHECK(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.orig_rax), SYS_getpid) == 0);
    resume(PTRACE_SYSCALL, pid, 0);
    r = regs_of(pid);
    printf("it is its pid: %d\n", (pid_t)r.rax == pid);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

/* Fewer bytes, and others. */
BEHAVIOUR(arguments_and_memory_are_changed)
{
    pid_t pid = traced(writes);
    resume(PTRACE_SYSCALL, pid, 0), resume(PTRACE_SYSCALL, pid, 0);
    resume(PTRACE_SYSCALL, pid, 0);
    struct user_regs_struct r = regs_of(pid);
    long word;
    memcpy(&word, "HELLO FR", 8);
    CHECK(ptrace(PTRACE_POKEDATA, pid, r.rsi, word) == 0);
    r.rdx = 12;
    set_regs(pid, &r);
    resume(PTRACE_SYSCALL, pid, 0);
    r = regs_of(pid);
    printf("result %lld\n", r.rax);
    r.rax = sizeof text - 1;
    r.rdx = sizeof text - 1;
    set_regs(pid, &r);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

static void reads(void)
{
    char c = 0;
    int p[2];
    CHECK(pipe(p) == 0);
    CHECK(write(p[1], "x", 1) == 1);
    syscall(SYS_read, p[0], &c, 1);
    _exit(c);
}

BEHAVIOUR(what_a_call_has_read_is_changed)
{
    pid_t pid = traced(reads);
    struct user_regs_struct r;
    do {
        resume(PTRACE_SYSCALL, pid, 0);
        r = regs_of(pid);
    } while (r.orig_rax != SYS_read);
    resume(PTRACE_SYSCALL, pid, 0);
    errno = 0;
    long word = ptrace(PTRACE_PEEKDATA, pid, r.rsi, 0);
    printf("%c, errno %d\n", (char)word, errno);
    CHECK(ptrace(PTRACE_POKEDATA, pid, r.rsi, (word & ~0xffl) | 77) == 0);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

BEHAVIOUR(information_about_calls)
{
    pid_t pid = traced(writes);
    options(pid, PTRACE_O_TRACESYSGOOD);
    for (int i = 0; i < 4; i++) {
        struct __ptrace_syscall_info info;
        memset(&info, 7, sizeof info);
        long size = ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
        struct user_regs_struct r = regs_of(pid);
        printf("%ld bytes, op %d, arch %x, at %d %d\n", size, info.op, info.arch,
               info.instruction_pointer == r.rip, info.stack_pointer == r.rsp);
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
            printf("entry %d %d\n", (int)info.entry.nr, i == 1 || info.entry.args[0] == 1);
        if (info.op == PTRACE_SYSCALL_INFO_EXIT)
            printf("exit %d %d\n", info.exit.rval > 0, info.exit.is_error);
        unsigned long message = 9;
        CHECK(ptrace(PTRACE_GETEVENTMSG, pid, 0, &message) == 0);
        printf("message %lu\n", message);
        resume(PTRACE_SYSCALL, pid, 0);
    }
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

static void opens_nothing(void)
{
    long fd = syscall(SYS_openat, AT_FDCWD, "/no/such/file", 0);
    _exit(fd == -1 && errno == ENOENT);
}

/* A call that urd answers itself looks like any other. */
static void asks_for_rseq(void)
{
    syscall(SYS_userfaultfd, ~0);
    syscall(SYS_sched_setaffinity, 0, 0, NULL);
    syscall(SYS_getppid);
}

BEHAVIOUR(calls_that_are_not_made_are_seen)
{
    pid_t pid = traced(asks_for_rseq);
    for (int i = 0; i < 6; i++) {
        resume(PTRACE_SYSCALL, pid, 0);
        printf("%lld\n", regs_of(pid).orig_rax);
    }
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

BEHAVIOUR(failed_calls)
{
    pid_t pid = traced(opens_nothing);
    resume(PTRACE_SYSCALL, pid, 0);
    resume(PTRACE_SYSCALL, pid, 0);
    printf("%lld\n", regs_of(pid).rax);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

static void handler(int signal, siginfo_t *si, void *context)
{
}

static void sleeps(void)
{
    struct timespec t = {100, 0};
    handle(SIGUSR1, handler, 0);
    _exit(nanosleep(&t, NULL) == -1 && errno == EINTR ? 4 : 5);
}

/* The exit of an interrupted call is seen with the kernel's own code, before the signal. */
BEHAVIOUR(an_interrupted_call)
{
    pid_t pid = traced(sleeps);
    struct user_regs_struct r;
    do {
        resume(PTRACE_SYSCALL, pid, 0);
        r = regs_of(pid);
    } while (r.orig_rax != SYS_clock_nanosleep && r.orig_rax != SYS_nanosleep);
    CHECK(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
    sleep_ms(100);
    int status;
    CHECK(waitpid(pid, &status, WNOHANG) == 0);
    kill(pid, SIGUSR1);
    int stop = stop_of(pid);
    printf("%x result %lld\n", stop, regs_of(pid).rax);
    printf("%x\n", resume(PTRACE_SYSCALL, pid, 0));
    stop = resume(PTRACE_SYSCALL, pid, SIGUSR1);
    printf("%x at %lld\n", stop, regs_of(pid).orig_rax);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

static void restarts(void)
{
    char c;
    int p[2];
    CHECK(pipe(p) == 0);
    if (fork() == 0) {
        sleep_ms(400);
        _exit(write(p[1], "y", 1) != 1);
    }
    handle(SIGUSR1, handler, SA_RESTART);
    _exit(read(p[0], &c, 1) == 1 ? c : 0);
}

/* Suppressed, the signal lets the call begin anew: another entry. */
BEHAVIOUR(a_restarted_call)
{
    pid_t pid = traced(restarts);
    struct user_regs_struct r;
    int stop;
    do {
        stop = resume(PTRACE_SYSCALL, pid, 0);
        r = regs_of(pid);
    } while (r.orig_rax != SYS_read);
    CHECK(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
    sleep_ms(100);
    kill(pid, SIGUSR1);
    stop = stop_of(pid);
    printf("%x %lld\n", stop, regs_of(pid).rax);
    stop = resume(PTRACE_SYSCALL, pid, 0);
    printf("%x\n", stop);
    stop = resume(PTRACE_SYSCALL, pid, 0);
    r = regs_of(pid);
    printf("%x %lld %lld\n", stop, r.orig_rax, r.rax);
    while ((stop = resume(PTRACE_SYSCALL, pid, stop == SIGCHLD ? SIGCHLD : 0)) == SIGCHLD || regs_of(pid).orig_rax == SYS_read)
        ;
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

/* None of its calls is made. */
BEHAVIOUR(emulated_calls)
{
    pid_t pid = traced(writes);
    for (int i = 0; i < 2; i++) {
        printf("%x", resume(PTRACE_SYSEMU, pid, 0));
        struct user_regs_struct r = regs_of(pid);
        printf(" %lld\n", r.orig_rax);
        r.rax = i ? sizeof text - 1 : 1;
        set_regs(pid, &r);
    }
    printf("%x", resume(PTRACE_SYSCALL, pid, 0));
    printf(" %lld\n", regs_of(pid).orig_rax);
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}

static struct sock_filter allows[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};

static void filters(void)
{
    struct sock_fprog program = {2, allows};
    raise(SIGTRAP);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    raise(SIGTRAP);
    _exit(3);
}

static long filter_of(pid_t pid, long number, struct sock_filter *ret)
{
    long n = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, number, ret);
    return n < 0 ? -errno : n;
}

/* Only those of the program; and restartable sequences are not there. Asked by root, where the kernel was built for it. */
BEHAVIOUR(filters_and_sequences)
{
    pid_t pid = traced(filters);
    struct sock_filter code[16] = {0};
    struct __ptrace_rseq_configuration rseq;
    printf("%x", resume(PTRACE_CONT, pid, 0));
    long before = filter_of(pid, 0, code);
    printf(" %d", before == -EINVAL || before == -EACCES);
    printf(" %x", resume(PTRACE_CONT, pid, 0));
    long n = filter_of(pid, 0, code);
    printf(" %d", n == -EACCES || (n == 2 && memcmp(code, allows, sizeof allows) == 0 && filter_of(pid, 0, NULL) == 2));
    n = filter_of(pid, 1, code);
    printf(" %d\n", n == -EACCES || n == -ENOENT);
    printf("%ld\n", ptrace(PTRACE_GET_RSEQ_CONFIGURATION, pid, sizeof rseq, &rseq));
    printf("end %d\n", end_of(pid, PTRACE_CONT));
}
