/* Locks with priority inheritance, and waiting for several words: futexes whose word the kernel writes, too. */
#include "../behaviour.h"
#include <linux/futex.h>
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_futex_wake
#define SYS_futex_wake 454
#define SYS_futex_wait 455
#define SYS_futex_requeue 456
#endif
#define FUTEX2_U32 2
#define FUTEX2_OWN 128

static pthread_mutex_t mutex;
static long count;
static _Atomic int stage;

static long futex(void *word, int op, long value, void *timeout, void *word2, long value3)
{
    long r = syscall(SYS_futex, word, op, value, timeout, word2, value3);
    return r < 0 ? -errno : r;
}

static void make(int robust, int shared)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
    if (robust)
        pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&a, shared);
    CHECK(pthread_mutex_init(&mutex, &a) == 0);
}

static void *adds(void *arg)
{
    for (int i = 0; i < 300; i++) {
        pthread_mutex_lock(&mutex);
        long was = count;
        if (i % 30 == 0)
            sched_yield();
        if (i % 100 == 0)
            sleep_ms(1);
        count = was + 1;
        pthread_mutex_unlock(&mutex);
    }
    return arg;
}

BEHAVIOUR(contended)
{
    pthread_t t[5];
    make(0, 0);
    for (int i = 0; i < 5; i++)
        pthread_create(&t[i], NULL, adds, NULL);
    for (int i = 0; i < 5; i++)
        pthread_join(t[i], NULL);
    printf("%ld\n", count);
}

static void *dies_with_it(void *arg)
{
    CHECK(pthread_mutex_lock(&mutex) == 0);
    stage = 1;
    while (stage < 2)
        sched_yield();
    sleep_ms(20); /* somebody waits by now */
    return arg;
}

static void *waits(void *arg)
{
    while (stage < 1)
        sched_yield();
    stage = 2;
    int r = pthread_mutex_lock(&mutex);
    printf("owner died: %d\n", r == EOWNERDEAD);
    CHECK(pthread_mutex_consistent(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);
    return arg;
}

BEHAVIOUR(owner_dies_while_others_wait)
{
    pthread_t a, b;
    make(1, 0);
    pthread_create(&a, NULL, dies_with_it, NULL);
    pthread_create(&b, NULL, waits, NULL);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    printf("%d\n", pthread_mutex_trylock(&mutex));
}

static void *keeps_it(void *arg)
{
    CHECK(pthread_mutex_lock(&mutex) == 0);
    return arg;
}

BEHAVIOUR(owner_dies_unwaited)
{
    pthread_t a;
    make(1, 0);
    pthread_create(&a, NULL, keeps_it, NULL);
    pthread_join(a, NULL);
    printf("%d\n", pthread_mutex_lock(&mutex) == EOWNERDEAD);
    printf("%d\n", pthread_mutex_consistent(&mutex) + pthread_mutex_unlock(&mutex));
}

static void *tries(void *arg)
{
    struct timespec t;
    printf("busy: %d\n", pthread_mutex_trylock(&mutex) == EBUSY);
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 20000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    printf("timed out: %d\n", pthread_mutex_timedlock(&mutex, &t) == ETIMEDOUT);
    return arg;
}

BEHAVIOUR(tried_and_timed_out)
{
    pthread_t a;
    make(0, 0);
    pthread_mutex_lock(&mutex);
    pthread_create(&a, NULL, tries, NULL);
    pthread_join(a, NULL);
    CHECK(pthread_mutex_unlock(&mutex) == 0 && pthread_mutex_trylock(&mutex) == 0);
    puts("free");
}

static int signals;

static void counts(int sig, siginfo_t *si, void *uc)
{
    signals++;
}

static void *locks_once(void *arg)
{
    stage = 1;
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    return arg;
}

BEHAVIOUR(interrupted_by_signals)
{
    pthread_t a;
    make(0, 0);
    handle(SIGUSR1, counts, 0);
    pthread_mutex_lock(&mutex);
    pthread_create(&a, NULL, locks_once, NULL);
    while (stage < 1)
        sched_yield();
    for (int i = 0; i < 5; i++) {
        sleep_ms(10);
        pthread_kill(a, SIGUSR1);
        while (signals <= i) /* two that are pending are one */
            sleep_ms(1);
    }
    pthread_mutex_unlock(&mutex);
    pthread_join(a, NULL);
    printf("%d\n", signals);
}

BEHAVIOUR(across_processes)
{
    unsigned *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    long sum = 0;
    pid_t pid = fork();
    for (int i = 0; i < 50; i++) {
        CHECK(futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0);
        CHECK((*word & FUTEX_TID_MASK) == (unsigned)getpid());
        word[1]++;
        if (i % 10 == 0)
            sleep_ms(1);
        CHECK(futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0);
        sum += word[2] == 0;
    }
    if (pid == 0)
        _exit(0);
    status_of(pid);
    printf("%u %ld\n", word[1], sum);
}

static unsigned from, lock_word;

static void *waits_for_requeue(void *arg)
{
    stage++;
    CHECK(futex(&from, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &lock_word, 0) == 0);
    CHECK((lock_word & FUTEX_TID_MASK) == (unsigned)gettid());
    count++;
    CHECK(futex(&lock_word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0);
    return arg;
}

BEHAVIOUR(requeued)
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, waits_for_requeue, NULL);
    while (stage < 3)
        sched_yield();
    sleep_ms(30);
    printf("%ld\n", futex(&from, FUTEX_CMP_REQUEUE_PI, 1, (void *)10, &lock_word, 0));
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    printf("%ld %u\n", count, lock_word & FUTEX_TID_MASK);
}

struct waiter {
    uint64_t value, word;
    uint32_t flags, reserved;
};

static unsigned words[3];

static void *wakes(void *arg)
{
    while (!stage)
        sched_yield();
    sleep_ms(20);
    words[1] = 1;
    long n = syscall(SYS_futex_wake, &words[1], 0xffffffffL, 1, FUTEX2_U32 | FUTEX2_OWN);
    return (void *)n; /* said by who waited: it may run before this returns */
}

BEHAVIOUR(several_words_at_once)
{
    pthread_t a;
    struct waiter w[3];
    for (int i = 0; i < 3; i++)
        w[i] = (struct waiter){0, (uintptr_t)&words[i], FUTEX2_U32 | FUTEX2_OWN, 0};
    pthread_create(&a, NULL, wakes, NULL);
    stage = 1;
    printf("index %ld\n", syscall(SYS_futex_waitv, w, 3, 0, NULL, 0));
    void *n;
    pthread_join(a, &n);
    printf("woken %ld\n", (long)n);
    printf("%ld\n", syscall(SYS_futex_waitv, w, 3, 0, NULL, 0));
}

static void *waits_anew(void *arg)
{
    stage++;
    long r = syscall(SYS_futex_wait, &words[0], 0L, 0xffffffffL, FUTEX2_U32 | FUTEX2_OWN, NULL, 0);
    CHECK(r == 0);
    return arg;
}

BEHAVIOUR(new_calls)
{
    pthread_t t[2];
    struct waiter w[2] = {{0, (uintptr_t)&words[0], FUTEX2_U32 | FUTEX2_OWN, 0}, {0, (uintptr_t)&words[2], FUTEX2_U32 | FUTEX2_OWN, 0}};
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, waits_anew, NULL);
    while (stage < 2)
        sched_yield();
    sleep_ms(30);
    printf("requeued %ld\n", syscall(SYS_futex_requeue, w, 0, 1, 1));
    printf("woken %ld\n", syscall(SYS_futex_wake, &words[2], 0xffffffffL, 10, FUTEX2_U32 | FUTEX2_OWN));
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
}
