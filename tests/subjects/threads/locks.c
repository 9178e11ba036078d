/* Everything that threads wait for each other with. */
#include "../behaviour.h"
#include <semaphore.h>
#include <threads.h>

enum { THREADS = 8, ROUNDS = 2000 };
static long count;
static void *lock;

static void run_threads(void *(*function)(void *))
{
    pthread_t t[THREADS];
    for (long i = 0; i < THREADS; i++)
        CHECK(pthread_create(&t[i], NULL, function, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    printf("%ld\n", count);
}

static void *under_mutex(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(pthread_mutex_lock(lock) == 0);
        count++;
        if (i % 100 == 0)
            sched_yield(); /* with the lock: others must wait in the kernel */
        CHECK(pthread_mutex_unlock(lock) == 0);
    }
    return arg;
}

BEHAVIOUR(mutex)
{
    static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    lock = &m;
    run_threads(under_mutex);
}

static void mutex_of(int type, int protocol)
{
    static pthread_mutex_t m;
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, type);
    pthread_mutexattr_setprotocol(&a, protocol);
    CHECK(pthread_mutex_init(&m, &a) == 0);
    lock = &m;
    run_threads(under_mutex);
}

BEHAVIOUR(recursive_mutex)
{
    mutex_of(PTHREAD_MUTEX_RECURSIVE, PTHREAD_PRIO_NONE);
}

BEHAVIOUR(checking_mutex)
{
    mutex_of(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_PRIO_NONE);
    CHECK(pthread_mutex_unlock(lock) == EPERM);
}

BEHAVIOUR(adaptive_mutex)
{
    mutex_of(PTHREAD_MUTEX_ADAPTIVE_NP, PTHREAD_PRIO_NONE);
}

BEHAVIOUR(inheriting_mutex)
{
    mutex_of(PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT);
}

static void *under_spinlock(void *arg)
{
    for (int i = 0; i < ROUNDS * 20; i++) {
        pthread_spin_lock(lock);
        count++;
        pthread_spin_unlock(lock);
    }
    return arg;
}

BEHAVIOUR(spinlock)
{
    static pthread_spinlock_t s;
    pthread_spin_init(&s, 0);
    lock = (void *)&s;
    run_threads(under_spinlock);
}

static void *under_rwlock(void *arg)
{
    for (int i = 0; i < ROUNDS / 4; i++) {
        CHECK(pthread_rwlock_rdlock(lock) == 0);
        long seen = count;
        if (i % 50 == 0)
            sched_yield();
        CHECK(seen == count);
        pthread_rwlock_unlock(lock);
        CHECK(pthread_rwlock_wrlock(lock) == 0);
        count++;
        pthread_rwlock_unlock(lock);
    }
    return arg;
}

BEHAVIOUR(rwlock)
{
    static pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
    lock = &l;
    run_threads(under_rwlock);
}

static void *under_semaphore(void *arg)
{
    for (int i = 0; i < ROUNDS / 4; i++) {
        CHECK(sem_wait(lock) == 0);
        count++;
        if (i % 50 == 0)
            sched_yield();
        sem_post(lock);
    }
    return arg;
}

BEHAVIOUR(semaphore)
{
    static sem_t s;
    sem_init(&s, 0, 1);
    lock = &s;
    run_threads(under_semaphore);
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_sec -= 1;
    sem_wait(&s);
    CHECK(sem_timedwait(&s, &soon) == -1 && errno == ETIMEDOUT);
}

static void *at_barrier(void *arg)
{
    static long serial;
    for (int i = 0; i < 100; i++) {
        __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
        if (pthread_barrier_wait(lock) == PTHREAD_BARRIER_SERIAL_THREAD)
            serial++;
        CHECK(count == (i + 1) * THREADS);
        pthread_barrier_wait(lock);
    }
    CHECK(serial <= 100);
    return arg;
}

BEHAVIOUR(barrier)
{
    static pthread_barrier_t b;
    pthread_barrier_init(&b, NULL, THREADS);
    lock = &b;
    run_threads(at_barrier);
}

static pthread_mutex_t turn_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;

static void *in_turn(void *arg)
{
    for (int i = 0; i < 100; i++) {
        pthread_mutex_lock(&turn_mutex);
        while (count % THREADS != (long)arg)
            pthread_cond_wait(&turn_changed, &turn_mutex);
        count++;
        pthread_cond_broadcast(&turn_changed);
        pthread_mutex_unlock(&turn_mutex);
    }
    return arg;
}

BEHAVIOUR(condition)
{
    run_threads(in_turn);
}

BEHAVIOUR(condition_that_nobody_signals)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 10000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_mutex_lock(&turn_mutex);
    CHECK(pthread_cond_timedwait(&turn_changed, &turn_mutex, &t) == ETIMEDOUT);
    CHECK(pthread_mutex_trylock(&turn_mutex) == EBUSY);
    pthread_mutex_unlock(&turn_mutex);
    CHECK(pthread_mutex_timedlock(&turn_mutex, &t) == 0);
    puts("timed out");
}

static once_flag once = ONCE_FLAG_INIT;
static mtx_t c11_mutex;
static tss_t c11_key;

static void only_once(void)
{
    mtx_init(&c11_mutex, mtx_plain);
    count += 1000;
}

static int c11_thread(void *arg)
{
    call_once(&once, only_once);
    tss_set(c11_key, arg);
    for (int i = 0; i < 100; i++) {
        mtx_lock(&c11_mutex);
        count++;
        mtx_unlock(&c11_mutex);
        thrd_yield();
    }
    return tss_get(c11_key) == arg ? (int)(long)arg : -1;
}

BEHAVIOUR(c11_threads)
{
    thrd_t t[4];
    tss_create(&c11_key, NULL);
    for (long i = 0; i < 4; i++)
        CHECK(thrd_create(&t[i], c11_thread, (void *)i) == thrd_success);
    for (int i = 0; i < 4; i++) {
        int got;
        CHECK(thrd_join(t[i], &got) == thrd_success && got == i);
    }
    printf("%ld\n", count);
}

static void *dies_with_it(void *m)
{
    pthread_mutex_lock(m);
    return NULL;
}

enum { MANY = 1000 };

static pthread_mutex_t *robust(int n)
{
    static pthread_mutex_t m[MANY];
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    CHECK(pthread_mutex_init(&m[n], &a) == 0);
    return &m[n];
}

BEHAVIOUR(robust_mutex_of_a_dead_thread)
{
    pthread_t t;
    pthread_mutex_t *m = robust(0);
    pthread_create(&t, NULL, dies_with_it, m);
    pthread_join(t, NULL);
    CHECK(pthread_mutex_lock(m) == EOWNERDEAD);
    CHECK(pthread_mutex_consistent(m) == 0 && pthread_mutex_unlock(m) == 0);
    pthread_create(&t, NULL, dies_with_it, m);
    pthread_join(t, NULL);
    CHECK(pthread_mutex_lock(m) == EOWNERDEAD && pthread_mutex_unlock(m) == 0);
    CHECK(pthread_mutex_lock(m) == ENOTRECOVERABLE);
    puts("recovered once");
}

static void *dies_late_with_many(void *arg)
{
    pthread_mutex_t *m = arg;
    for (int i = 0; i < 8; i++)
        pthread_mutex_lock(m + i);
    sleep_ms(30);
    syscall(SYS_exit, 0); /* not even pthread_exit */
    return NULL;
}

BEHAVIOUR(robust_mutexes_that_are_waited_for)
{
    pthread_t t;
    pthread_mutex_t *m = robust(0);
    for (int i = 1; i < 8; i++)
        robust(i);
    pthread_create(&t, NULL, dies_late_with_many, m);
    sleep_ms(10);
    for (int i = 0; i < 8; i++)
        printf("%d\n", pthread_mutex_lock(m + i) == EOWNERDEAD);
}

static void *dies_with_very_many(void *m)
{
    for (int i = 0; i < MANY; i++)
        pthread_mutex_lock((pthread_mutex_t *)m + i);
    return NULL;
}

BEHAVIOUR(robust_mutexes_by_the_thousand)
{
    pthread_t t;
    int dead = 0;
    for (int i = 0; i < MANY; i++)
        robust(i);
    pthread_create(&t, NULL, dies_with_very_many, robust(0));
    pthread_join(t, NULL);
    for (int i = 0; i < MANY; i++)
        dead += pthread_mutex_lock(robust(0) + i) == EOWNERDEAD;
    printf("%d\n", dead);
}

static void dies_with_a_shared_one(pthread_mutex_t *m, int how)
{
    pid_t pid = fork();
    if (pid == 0) {
        pthread_mutex_lock(m);
        if (how)
            raise(SIGKILL);
        _exit(3);
    }
    printf("%x ", status_of(pid));
    printf("%d\n", pthread_mutex_lock(m) == EOWNERDEAD);
    CHECK(pthread_mutex_consistent(m) == 0 && pthread_mutex_unlock(m) == 0);
}

BEHAVIOUR(robust_mutex_of_a_dead_process)
{
    pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    CHECK(pthread_mutex_init(m, &a) == 0);
    dies_with_a_shared_one(m, 0);
    dies_with_a_shared_one(m, 1);
}
