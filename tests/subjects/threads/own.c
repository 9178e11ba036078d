/* What each thread has for itself: variables, destructors, signal mask, alternate stack, ids, vector registers, working directory. */
#include "../behaviour.h"
#include <sys/prctl.h>
#include <sys/stat.h>

static __thread long mine = 5;
static __thread char big[20000];
static pthread_key_t key;
static _Atomic long destroyed;

static void *counts(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        mine += (long)arg;
        big[i]++;
        if (i % 100 == 0)
            sched_yield();
    }
    return (void *)mine;
}

static void run4(void *(*function)(void *), void **ret)
{
    pthread_t t[4];
    for (long i = 0; i < 4; i++)
        CHECK(pthread_create(&t[i], NULL, function, (void *)i) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], &ret[i]);
}

BEHAVIOUR(variables)
{
    void *got[4];
    run4(counts, got);
    for (int i = 0; i < 4; i++)
        printf("%ld ", (long)got[i]);
    printf("%ld\n", mine);
}

static void destructor(void *p)
{
    destroyed += (long)p;
    if ((long)p == 1) /* again, at most PTHREAD_DESTRUCTOR_ITERATIONS times */
        pthread_setspecific(key, (void *)100);
}

static void *sets_key(void *arg)
{
    pthread_setspecific(key, (void *)((long)arg + 1));
    if ((long)arg % 2)
        pthread_exit(arg);
    return arg;
}

BEHAVIOUR(destructors)
{
    void *got[4];
    pthread_key_create(&key, destructor);
    run4(sets_key, got);
    printf("%ld\n", destroyed);
}

static void clean(void *arg)
{
    printf("cleaned %s\n", (char *)arg);
}

static void *is_cancelled_in_a_call(void *arg)
{
    pthread_cleanup_push(clean, arg);
    pause();
    pthread_cleanup_pop(0);
    return arg;
}

static void *is_cancelled_anywhere(void *arg)
{
    pthread_cleanup_push(clean, arg);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    for (;;)
        compute(1000);
    pthread_cleanup_pop(0);
    return arg;
}

static void *is_cancelled_later(void *arg)
{
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    sleep_ms(200);
    printf("not yet\n");
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_testcancel();
    return arg;
}

static void cancel(void *(*function)(void *))
{
    pthread_t t;
    void *got;
    pthread_create(&t, NULL, function, "it");
    sleep_ms(10);
    CHECK(pthread_cancel(t) == 0);
    CHECK(pthread_join(t, &got) == 0);
    printf("%d\n", got == PTHREAD_CANCELED);
}

BEHAVIOUR(cancelled_in_a_call)
{
    cancel(is_cancelled_in_a_call);
}

BEHAVIOUR(cancelled_while_computing)
{
    cancel(is_cancelled_anywhere);
}

BEHAVIOUR(cancelled_later)
{
    cancel(is_cancelled_later);
}

static _Atomic long handled_by[4];
static __thread long number;

static void on_usr1(int sig, siginfo_t *si, void *uc)
{
    char on_stack;
    stack_t s;
    sigaltstack(NULL, &s);
    if (s.ss_flags & SS_ONSTACK)
        CHECK(&on_stack > (char *)s.ss_sp && &on_stack < (char *)s.ss_sp + s.ss_size);
    handled_by[number] += s.ss_flags & SS_ONSTACK ? 100 : 1;
}

static void *takes_signals(void *arg)
{
    number = (long)arg;
    stack_t s = {.ss_sp = malloc(65536), .ss_size = 65536};
    if (number % 2)
        sigaltstack(&s, NULL);
    for (int i = 0; i < 5; i++)
        CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
    return arg;
}

BEHAVIOUR(alternate_stacks)
{
    void *got[4];
    handle(SIGUSR1, on_usr1, SA_ONSTACK);
    run4(takes_signals, got);
    for (int i = 0; i < 4; i++)
        printf("%ld\n", handled_by[i]);
}

static _Atomic int go;

static int n_waiting;

static void *waits_for_signal(void *arg)
{
    number = (long)arg;
    __atomic_add_fetch(&n_waiting, 1, __ATOMIC_SEQ_CST);
    while (!handled_by[number])
        (long)arg % 2 ? (void)compute(1000) : (void)usleep(1000);
    return arg;
}

BEHAVIOUR(signals_to_one_of_them)
{
    pthread_t t[4];
    handle(SIGUSR1, on_usr1, 0);
    for (long i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, waits_for_signal, (void *)i);
    while (__atomic_load_n(&n_waiting, __ATOMIC_SEQ_CST) < 4)
        sleep_ms(1);
    sleep_ms(5);
    for (int i = 3; i >= 0; i--) {
        pthread_kill(t[i], SIGUSR1);
        pthread_join(t[i], NULL);
    }
    for (int i = 0; i < 4; i++)
        printf("%ld\n", handled_by[i]);
    CHECK(syscall(SYS_tgkill, getpid(), 999999, SIGUSR1) == -1 && errno == ESRCH);
}

static void *is_not_blocked(void *arg)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    number = 3;
    go = 1;
    while (!handled_by[3])
        sched_yield();
    return arg;
}

BEHAVIOUR(signals_to_the_process_go_where_they_are_not_blocked)
{
    sigset_t set;
    pthread_t t;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    handle(SIGUSR1, on_usr1, 0);
    pthread_create(&t, NULL, is_not_blocked, NULL);
    while (!go)
        sched_yield();
    kill(getpid(), SIGUSR1);
    pthread_join(t, NULL);
    printf("%ld %ld\n", handled_by[0], handled_by[3]);
}

static void *computes_with_vectors(void *arg)
{
    double x[4] = {1, 2, 3, (double)(long)arg};
    long double y = (long)arg;
    for (int i = 0; i < 3000000; i++) {
        for (int j = 0; j < 4; j++)
            x[j] = x[j] * 1.0000001 + 0.5;
        y = y * 0.999L + 1;
    }
    printf("%.6f %.6f %.6Lf\n", x[0], x[3], y);
    return arg;
}

BEHAVIOUR(floating_point_registers) //$ build -O2; varies
{
    void *got[4];
    run4(computes_with_vectors, got);
}

static void *has_names(void *arg)
{
    char name[16], text[16];
    snprintf(name, sizeof name, "thread %ld", (long)arg);
    prctl(PR_SET_NAME, name);
    sched_yield();
    prctl(PR_GET_NAME, text);
    CHECK(strcmp(name, text) == 0);
    CHECK(gettid() != getpid() && gettid() == syscall(SYS_gettid));
    CHECK(unshare(CLONE_FS) == 0 && chdir((long)arg % 2 ? "/usr" : "/") == 0);
    sched_yield();
    char cwd[64];
    CHECK(strcmp(getcwd(cwd, sizeof cwd), (long)arg % 2 ? "/usr" : "/") == 0);
    return arg;
}

BEHAVIOUR(names_and_working_directories)
{
    void *got[4];
    run4(has_names, got);
    puts("apart");
}
