/* Threads begin and end: many at once, many after each other, detached, with stacks of all sizes. */
#include "../behaviour.h"
#include <sys/resource.h>

static pthread_barrier_t barrier;
static _Atomic long sum;

static void *wait_for_all(void *arg)
{
    pthread_barrier_wait(&barrier);
    sum += (long)arg;
    return arg;
}

BEHAVIOUR(two_hundred_at_once)
{
    pthread_t t[200];
    pthread_barrier_init(&barrier, NULL, 201);
    for (long i = 0; i < 200; i++)
        CHECK(pthread_create(&t[i], NULL, wait_for_all, (void *)i) == 0);
    pthread_barrier_wait(&barrier);
    for (long i = 0; i < 200; i++) {
        void *got;
        CHECK(pthread_join(t[i], &got) == 0 && got == (void *)i);
    }
    printf("%ld\n", sum);
}

static void *add(void *arg)
{
    sum += (long)arg;
    return arg;
}

BEHAVIOUR(two_thousand_one_by_one)
{
    for (long i = 0; i < 2000; i++) {
        pthread_t t;
        CHECK(pthread_create(&t, NULL, add, (void *)i) == 0);
        CHECK(pthread_join(t, NULL) == 0);
    }
    printf("%ld\n", sum);
}

BEHAVIOUR(detached)
{
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    for (long i = 0; i < 50; i++) {
        pthread_t t;
        CHECK(pthread_create(&t, &a, add, (void *)1) == 0);
    }
    while (sum < 50)
        sleep_ms(1);
    printf("%ld\n", sum);
}

static void *use_stack(void *arg)
{
    size_t bytes = (size_t)arg;
    volatile char *p = __builtin_alloca(bytes);
    for (size_t i = 0; i < bytes; i += 512)
        p[i] = (char)i;
    return (void *)(long)p[512];
}

BEHAVIOUR(stacks_of_odd_sizes)
{
    static const size_t sizes[] = {16384, 20480, 69632, 1 << 20, (16 << 20) + 4096};
    for (int i = 0; i < 5; i++) {
        pthread_attr_t a;
        pthread_t t;
        pthread_attr_init(&a);
        CHECK(pthread_attr_setstacksize(&a, sizes[i]) == 0);
        pthread_attr_setguardsize(&a, (size_t)i * 4096);
        CHECK(pthread_create(&t, &a, use_stack, (void *)(sizes[i] / 2)) == 0);
        CHECK(pthread_join(t, NULL) == 0);
    }
    puts("all");
}

BEHAVIOUR(a_stack_of_its_own)
{
    static char stack[262144] __attribute__((aligned(4096)));
    pthread_attr_t a;
    pthread_t t;
    pthread_attr_init(&a);
    CHECK(pthread_attr_setstack(&a, stack, sizeof stack) == 0);
    CHECK(pthread_create(&t, &a, use_stack, (void *)65536) == 0);
    pthread_join(t, NULL);
    long touched = 0;
    for (size_t i = 0; i < sizeof stack; i++)
        touched += stack[i] != 0;
    printf("%d\n", touched > 100);
}

static void *make_another(void *arg)
{
    long depth = (long)arg;
    pthread_t t;
    void *got = NULL;
    if (depth && pthread_create(&t, NULL, make_another, (void *)(depth - 1)) == 0)
        pthread_join(t, &got);
    return (void *)((long)got + depth);
}

BEHAVIOUR(threads_of_threads)
{
    printf("%ld\n", (long)make_another((void *)60));
}

BEHAVIOUR(timed_joins)
{
    pthread_t t;
    struct timespec soon;
    pthread_barrier_init(&barrier, NULL, 2);
    CHECK(pthread_create(&t, NULL, wait_for_all, (void *)7) == 0);
    clock_gettime(CLOCK_REALTIME, &soon);
    CHECK(pthread_tryjoin_np(t, NULL) == EBUSY);
    CHECK(pthread_timedjoin_np(t, NULL, &soon) == ETIMEDOUT);
    pthread_barrier_wait(&barrier);
    CHECK(pthread_join(t, NULL) == 0);
    puts("joined");
}

static void *nothing(void *arg)
{
    return arg;
}

BEHAVIOUR(as_many_as_are_allowed) /* the address space is too small for the last one */
{
    pthread_attr_t a;
    pthread_t t;
    struct rlimit limit = {1ul << 32, 1ul << 32};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    pthread_attr_init(&a);
    CHECK(pthread_attr_setstacksize(&a, 1ul << 33) == 0);
    CHECK(pthread_create(&t, &a, nothing, NULL) == EAGAIN);
    puts("refused");
}
