/* Signals that come into a computation, where no system call is near. */
#include "../behaviour.h"
#include <setjmp.h>
#include <sys/time.h>

static volatile sig_atomic_t count;

static void note(int sig, siginfo_t *si, void *uc)
{
    count++;
}

static void timer(int which, int sig)
{
    handle(sig, note, 0);
    setitimer(which, &(struct itimerval){{0, 1000}, {0, 1000}}, NULL);
    while (count < 20)
        ;
    setitimer(which, &(struct itimerval){0}, NULL);
    puts("twenty");
}

BEHAVIOUR(real_timer_at_1_khz) //$ ask calls note
{
    timer(ITIMER_REAL, SIGALRM);
}

BEHAVIOUR(virtual_timer_at_1_khz)
{
    timer(ITIMER_VIRTUAL, SIGVTALRM);
}

BEHAVIOUR(profiling_timer_at_1_khz)
{
    timer(ITIMER_PROF, SIGPROF);
}

BEHAVIOUR(a_timer_faster_than_its_recorded_handler)
{
    handle(SIGALRM, note, SA_RESTART);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 20}, {0, 20}}, NULL);
    for (int i = 0; i < 200; i++)
        CHECK(getppid() > 0);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    puts("it went on");
}

static void value(int sig, siginfo_t *si, void *uc)
{
    CHECK(si->si_value.sival_int == 42 && si->si_code == SI_TIMER);
    count++;
}

BEHAVIOUR(posix_timer)
{
    timer_t t;
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 42};
    handle(SIGRTMIN, value, 0);
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
    struct itimerspec when = {{0, 2000000}, {0, 2000000}};
    timer_settime(t, 0, &when, NULL);
    while (count < 10)
        ;
    timer_delete(t);
    puts("ten");
}

static void in_a_thread(union sigval v)
{
    __atomic_add_fetch((int *)v.sival_ptr, 1, __ATOMIC_SEQ_CST);
}

BEHAVIOUR(posix_timer_that_starts_threads)
{
    static volatile int n;
    timer_t t;
    struct sigevent e = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = in_a_thread, .sigev_value.sival_ptr = (void *)&n};
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
    struct itimerspec when = {{0, 5000000}, {0, 5000000}};
    timer_settime(t, 0, &when, NULL);
    while (n < 5)
        ;
    timer_delete(t);
    puts("five");
}

static unsigned long rounds;

static __attribute__((noinline)) int look(volatile int *at)
{
    int all = 0;
    for (int i = 0; i < 8; i++)
        all |= *at;
    return all;
}

/* What tells one state from another is a variable of which the function that is interrupted knows nothing. */
BEHAVIOUR(a_loop_that_counts_behind_its_calls) //$ build -O0
{
    int zero = 0, result;
    handle(SIGALRM, note, 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 20000}, {0, 20000}}, NULL);
    while (count < 20) {
        result = look(&zero);
        if (result == 4) {
            fprintf(stderr, "in %s: %s, line %d\n", __func__, strerror(result), __LINE__);
            exit(1);
        }
        if (result != 0) {
            fprintf(stderr, "in %s: %s, line %d\n", __func__, strerror(result), __LINE__);
            exit(1);
        }
        rounds++;
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    puts(rounds > 20 ? "many" : "few");
}

BEHAVIOUR(an_alarm_is_seen_soon) //$ varies
{
    handle(SIGALRM, note, 0);
    uint64_t start = now_ns();
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 100000}}, NULL);
    while (!count)
        ;
    uint64_t ms = (now_ns() - start) / 1000000;
    CHECK(ms < 2000); /* about 100, but other programs run here as well */
    printf("%lu ms\n", (unsigned long)ms);
}

static volatile int work_done;

static void child_computes(void)
{
    for (;;)
        work_done++;
}

static void kill_computing_child(int sig)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        child_computes();
    sleep_ms(30);
    kill(pid, sig);
    int status = status_of(pid);
    printf("%d %d\n", WIFSIGNALED(status), WTERMSIG(status));
}

BEHAVIOUR(a_computing_child_is_terminated)
{
    kill_computing_child(SIGTERM);
}

BEHAVIOUR(a_computing_child_is_killed)
{
    kill_computing_child(SIGKILL);
}

BEHAVIOUR(a_computing_child_is_killed_by_a_real_time_signal)
{
    kill_computing_child(SIGRTMAX);
}

BEHAVIOUR(the_default_action_of_an_alarm) //$ status 142
{
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 30000}}, NULL);
    child_computes();
}

static void *computes(void *arg)
{
    child_computes();
    return arg;
}

BEHAVIOUR(a_process_with_computing_threads_is_killed)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t t;
        for (int i = 0; i < 3; i++)
            pthread_create(&t, NULL, computes, NULL);
        child_computes();
    }
    sleep_ms(60);
    kill(pid, SIGKILL);
    printf("%d\n", WTERMSIG(status_of(pid)));
}

BEHAVIOUR(a_computing_child_stops_and_goes_on)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        child_computes();
    for (int i = 0; i < 3; i++) {
        sleep_ms(10);
        kill(pid, SIGSTOP);
        CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
        kill(pid, SIGCONT);
        CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
    }
    kill(pid, SIGTERM);
    printf("%d\n", WTERMSIG(status_of(pid)));
}

BEHAVIOUR(a_sleeping_child_stops_by_sigtstp)
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        raise(SIGSTOP);
        _exit(4);
    }
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    kill(pid, SIGCONT);
    printf("%d\n", WEXITSTATUS(status_of(pid)));
}

static sigjmp_buf out;

static void jumps_out(int sig, siginfo_t *si, void *uc)
{
    siglongjmp(out, 1);
}

BEHAVIOUR(a_loop_is_left_by_longjmp)
{
    handle(SIGALRM, jumps_out, 0);
    for (volatile int i = 0; i < 3; i++) {
        setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 5000}}, NULL);
        if (sigsetjmp(out, 1) == 0)
            child_computes();
    }
    puts("left three times");
}

static void changes_loop(int sig, siginfo_t *si, void *c)
{
    ucontext_t *uc = c;
    uc->uc_mcontext.gregs[REG_RBX] = 1; /* ends it */
}

BEHAVIOUR(a_handler_changes_a_register_of_a_loop)
{
    handle(SIGALRM, changes_loop, 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 10000}}, NULL);
    long n = 0;
    __asm__ volatile("xor %%ebx, %%ebx\n1: inc %0\ntest %%rbx, %%rbx\njz 1b" : "+r"(n) : : "rbx", "cc");
    printf("%d\n", n > 0);
}

BEHAVIOUR(into_long_repetitions)
{
    static char a[8 << 20], b[8 << 20];
    handle(SIGALRM, note, 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 3000}, {0, 3000}}, NULL);
    for (int i = 0; i < 30 || count < 3; i++) {
        memset(a, i, 1);
        void *d = b, *s = a;
        size_t n = sizeof a;
        __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    printf("%d\n", count >= 3);
}

BEHAVIOUR(two_timers_and_a_child_storm) //$ varies
{
    handle(SIGALRM, note, SA_RESTART);
    handle(SIGVTALRM, note, SA_RESTART);
    handle(SIGCHLD, note, SA_RESTART);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 2000}, {0, 2000}}, NULL);
    setitimer(ITIMER_VIRTUAL, &(struct itimerval){{0, 3000}, {0, 3000}}, NULL);
    for (int i = 0; i < 20; i++) {
        if (fork() == 0)
            _exit(0);
        compute(1000000);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    while (wait(NULL) > 0)
        ;
    printf("%d\n", count);
}
