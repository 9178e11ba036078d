/* Handlers: when they run, what they are told, how they are left. */
#include "../behaviour.h"
#include <setjmp.h>
#include <sys/time.h>

static volatile sig_atomic_t count, depth, deepest;
static volatile int values[64], n_values;

static void note(int sig, siginfo_t *si, void *uc)
{
    count++;
    if (n_values < 64)
        values[n_values++] = si->si_value.sival_int;
}

BEHAVIOUR(raised)
{
    handle(SIGUSR1, note, 0);
    for (int i = 0; i < 100; i++)
        raise(SIGUSR1);
    printf("%d\n", count);
}

static void told(int sig, siginfo_t *si, void *uc)
{
    printf("%d %d %d\n", sig, si->si_code, si->si_pid == getpid());
    count++;
}

BEHAVIOUR(siginfo_of_kill_and_tgkill)
{
    handle(SIGUSR1, told, 0);
    kill(getpid(), SIGUSR1);
    syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
    raise(SIGUSR1);
}

BEHAVIOUR(queued_with_values_in_order)
{
    sigset_t set;
    sigfillset(&set);
    handle(SIGRTMIN, note, 0);
    handle(SIGRTMIN + 1, note, 0);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 20; i++)
        CHECK(sigqueue(getpid(), SIGRTMIN + (i + 1) % 2, (union sigval){.sival_int = i}) == 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    for (int i = 0; i < n_values; i++)
        printf("%d ", values[i]);
    printf("\n");
}

static void nests(int sig, siginfo_t *si, void *uc)
{
    if (++depth > deepest)
        deepest = depth;
    if (deepest < 10)
        raise(SIGUSR1);
    count++;
    depth--;
}

BEHAVIOUR(nested)
{
    handle(SIGUSR1, nests, SA_NODEFER);
    raise(SIGUSR1);
    printf("%d %d\n", deepest, count);
}

static void raises_another(int sig, siginfo_t *si, void *uc)
{
    raise(SIGUSR2); /* in the mask: after this handler */
    values[n_values++] = sig;
}

static void notes_number(int sig, siginfo_t *si, void *uc)
{
    values[n_values++] = sig;
}

BEHAVIOUR(masked_by_a_handler)
{
    struct sigaction a = {.sa_sigaction = raises_another, .sa_flags = SA_SIGINFO};
    sigemptyset(&a.sa_mask);
    sigaddset(&a.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &a, NULL);
    handle(SIGUSR2, notes_number, 0);
    raise(SIGUSR1);
    printf("%d\n", values[0] == SIGUSR1 && values[1] == SIGUSR2);
}

BEHAVIOUR(only_once) //$ status 138
{
    handle(SIGUSR1, note, SA_RESETHAND);
    raise(SIGUSR1);
    raise(SIGUSR1);
}

static char *alternate;

static void looks_at_stack(int sig, siginfo_t *si, void *uc)
{
    char here;
    CHECK(&here > alternate && &here < alternate + 65536);
    count++;
}

BEHAVIOUR(alternate_stack)
{
    alternate = malloc(65536);
    stack_t s = {.ss_sp = alternate, .ss_size = 65536};
    CHECK(sigaltstack(&s, NULL) == 0);
    handle(SIGUSR1, looks_at_stack, SA_ONSTACK);
    raise(SIGUSR1);
    printf("%d\n", count);
}

static sigjmp_buf back;

static void overflows(int sig, siginfo_t *si, void *uc)
{
    count++;
    siglongjmp(back, 1);
}

static int deep(int n)
{
    volatile char space[4096];
    space[0] = (char)n;
    return n ? deep(n + 1) + space[0] : 0;
}

BEHAVIOUR(stack_overflow)
{
    stack_t s = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&s, NULL);
    handle(SIGSEGV, overflows, SA_ONSTACK);
    for (int i = 0; i < 3; i++)
        if (sigsetjmp(back, 1) == 0)
            printf("%d\n", deep(1));
    printf("%d\n", count);
}

BEHAVIOUR(stack_overflow_without_a_stack) //$ status 139
{
    handle(SIGSEGV, overflows, 0);
    printf("%d\n", deep(1));
}

static void jumps(int sig, siginfo_t *si, void *uc)
{
    count++;
    siglongjmp(back, sig);
}

BEHAVIOUR(left_by_longjmp)
{
    handle(SIGUSR1, jumps, 0);
    handle(SIGSEGV, jumps, 0);
    handle(SIGFPE, jumps, 0);
    for (volatile int i = 0; i < 30; i++)
        if (sigsetjmp(back, 1) == 0) {
            if (i % 3 == 0)
                raise(SIGUSR1);
            else if (i % 3 == 1)
                *(volatile int *)8 = 1;
            else
                printf("%d\n", 1 / (volatile int){0});
        }
    printf("%d\n", count);
}

static void clobbers_vectors(int sig, siginfo_t *si, void *uc)
{
    volatile double x = 1;
    __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; fninit; fldpi" : : : "xmm0", "xmm7");
    for (int i = 0; i < 10; i++)
        x *= 3;
    count++;
}

BEHAVIOUR(vector_registers_survive)
{
    handle(SIGUSR1, clobbers_vectors, 0);
    double a = 1.5, b = 2.5;
    long double c = 3.25L;
    for (int i = 0; i < 100; i++) {
        __asm__ volatile("syscall" : : "a"(SYS_kill), "D"(getpid()), "S"(SIGUSR1) : "rcx", "r11", "memory");
        a += b;
        c += 0.5L;
    }
    printf("%.2f %.2Lf %d\n", a, c, count);
}

static volatile double compare;

BEHAVIOUR(vector_registers_survive_in_a_computation) //$ build -O2
{
    handle(SIGALRM, clobbers_vectors, 0);
    struct itimerval t = {{0, 3000}, {0, 3000}};
    double x = 0.5;
    setitimer(ITIMER_REAL, &t, NULL);
    for (long i = 0; i < 20000000; i++)
        x = 3.7 * x * (1 - x);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    printf("%.17g %d\n", x, count > 0);
}

BEHAVIOUR(ignored_and_default)
{
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    raise(SIGCHLD);
    raise(SIGURG);
    raise(SIGWINCH);
    raise(SIGCONT);
    puts("still here");
}

BEHAVIOUR(pending)
{
    sigset_t set, is;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    sigpending(&is);
    printf("%d", sigismember(&is, SIGUSR1));
    signal(SIGUSR1, SIG_IGN); /* which throws it away */
    sigpending(&is);
    printf("%d\n", sigismember(&is, SIGUSR1));
}

BEHAVIOUR(blocked_and_pending_over_exec)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    execl(arguments[0], arguments[0], "pending_after_exec", NULL);
}

BEHAVIOUR(pending_after_exec) //$ native differs
{
    /* the second half of the one above; by itself nothing is pending */
    sigset_t is;
    sigpending(&is);
    printf("%d\n", sigismember(&is, SIGUSR1));
}

BEHAVIOUR(from_a_fork_bomb_of_children)
{
    handle(SIGCHLD, note, SA_RESTART);
    fflush(stdout);
    for (int i = 0; i < 40; i++)
        if (fork() == 0)
            _exit(i);
    int done = 0, sum = 0, status;
    while (done < 40)
        if (waitpid(-1, &status, 0) > 0) {
            done++;
            sum += WEXITSTATUS(status);
        }
    printf("%d %d\n", sum, count > 0);
}

BEHAVIOUR(sigwaitinfo_and_sigtimedwait)
{
    sigset_t set;
    siginfo_t si;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 77});
    printf("%d\n", sigwaitinfo(&set, &si) == SIGRTMIN + 3 && si.si_value.sival_int == 77);
    CHECK(sigtimedwait(&set, &si, &(struct timespec){0, 1000000}) == -1 && errno == EAGAIN);
    pid_t pid = fork();
    if (pid == 0) {
        sleep_ms(20);
        kill(getppid(), SIGUSR2);
        _exit(0);
    }
    int got = sigwaitinfo(&set, &si);
    printf("%d %d\n", got == SIGUSR2, si.si_pid == pid);
}
