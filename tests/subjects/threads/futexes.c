/* The futex call itself. */
#include "../behaviour.h"
#include <linux/futex.h>

static uint32_t word, other;
static _Atomic int woken;

static long futex(uint32_t *at, int op, uint32_t value, const void *timeout, uint32_t *at2, uint32_t value3)
{
    return syscall(SYS_futex, at, op | FUTEX_PRIVATE_FLAG, value, timeout, at2, value3);
}

static void *waits(void *arg)
{
    uint32_t mask = (uint32_t)(long)arg;
    long got = mask ? futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, mask) : futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0);
    CHECK(got == 0);
    woken++;
    return NULL;
}

static void start(pthread_t *t, int n, const uint32_t *masks)
{
    for (int i = 0; i < n; i++)
        CHECK(pthread_create(&t[i], NULL, waits, (void *)(long)(masks ? masks[i] : 0)) == 0);
    sleep_ms(100);
}

static void join(pthread_t *t, int n)
{
    for (int i = 0; i < n; i++)
        pthread_join(t[i], NULL);
}

BEHAVIOUR(wake_some)
{
    pthread_t t[6];
    start(t, 6, NULL);
    printf("%ld ", futex(&word, FUTEX_WAKE, 2, NULL, NULL, 0));
    printf("%ld\n", futex(&word, FUTEX_WAKE, 100, NULL, NULL, 0));
    join(t, 6);
}

BEHAVIOUR(bitsets)
{
    static const uint32_t masks[] = {1, 2, 3, 4};
    pthread_t t[4];
    start(t, 4, masks);
    printf("%ld ", futex(&word, FUTEX_WAKE_BITSET, 10, NULL, NULL, 2));
    printf("%ld ", futex(&word, FUTEX_WAKE_BITSET, 10, NULL, NULL, 8));
    printf("%ld\n", futex(&word, FUTEX_WAKE_BITSET, 10, NULL, NULL, ~0u));
    join(t, 4);
}

BEHAVIOUR(requeue)
{
    pthread_t t[5];
    start(t, 5, NULL);
    CHECK(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)10, &other, 1) == -1 && errno == EAGAIN);
    printf("%ld ", futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)10, &other, 0));
    printf("%ld ", futex(&word, FUTEX_WAKE, 10, NULL, NULL, 0));
    printf("%ld\n", futex(&other, FUTEX_WAKE, 10, NULL, NULL, 0));
    join(t, 5);
}

BEHAVIOUR(wake_op)
{
    pthread_t t[2];
    start(t, 2, NULL);
    other = 5;
    long got = futex(&word, FUTEX_WAKE_OP, 10, (void *)10, &other, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5));
    printf("%ld %u\n", got, other);
    join(t, 2);
}

BEHAVIOUR(waits_that_fail)
{
    struct timespec t = {0, 5000000};
    CHECK(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0) == -1 && errno == EAGAIN);
    CHECK(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0) == -1 && errno == ETIMEDOUT);
    CHECK(futex((uint32_t *)8, FUTEX_WAIT, 0, &t, NULL, 0) == -1 && errno == EFAULT);
    CHECK(futex(&word, 99, 0, &t, NULL, 0) == -1 && errno == ENOSYS);
    puts("failed");
}

BEHAVIOUR(waitv) //$ native differs; varies
{
    /* answered ENOSYS when recorded, as by an older kernel */
    struct {
        uint64_t value, address;
        uint32_t flags, reserved;
    } v = {1, (uint64_t)&word, 2, 0};
    long got = syscall(449, &v, 1, 0, NULL, 0);
    printf("%ld %d\n", got, errno == ENOSYS || errno == EAGAIN);
}
