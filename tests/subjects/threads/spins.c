/* Threads that wait without calls: each must get its turn. */
#include "../behaviour.h"

static _Atomic int flag, arrived;
static _Atomic long turns;

static void *sets_flag(void *arg)
{
    compute(2000000);
    flag = 1;
    return arg;
}

BEHAVIOUR(until_a_flag_is_set)
{
    pthread_t t;
    pthread_create(&t, NULL, sets_flag, NULL);
    while (!flag)
        ;
    pthread_join(t, NULL);
    puts("set");
}

BEHAVIOUR(until_a_flag_is_set_with_pause)
{
    pthread_t t;
    pthread_create(&t, NULL, sets_flag, NULL);
    while (!flag)
        __builtin_ia32_pause();
    pthread_join(t, NULL);
    puts("set");
}

BEHAVIOUR(with_sched_yield)
{
    pthread_t t;
    pthread_create(&t, NULL, sets_flag, NULL);
    while (!flag)
        sched_yield();
    pthread_join(t, NULL);
    puts("set");
}

static void *ping_pong(void *arg)
{
    long me = (long)arg;
    while (turns < 40) {
        while (turns % 2 != me && turns < 40)
            ;
        turns++;
    }
    return NULL;
}

BEHAVIOUR(two_by_turns)
{
    pthread_t a, b;
    pthread_create(&a, NULL, ping_pong, (void *)0);
    pthread_create(&b, NULL, ping_pong, (void *)1);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    printf("%d\n", turns >= 40);
}

static void *spinning_barrier(void *arg)
{
    for (int round = 1; round <= 5; round++) {
        arrived++;
        while (arrived < 4 * round)
            ;
    }
    return arg;
}

BEHAVIOUR(a_barrier_of_four)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, spinning_barrier, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    printf("%d\n", arrived);
}

static void *reads_clock_until_set(void *arg)
{
    while (!flag) /* calls, but none that blocks */
        now_ns();
    return arg;
}

BEHAVIOUR(with_calls_that_do_not_block)
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, reads_clock_until_set, NULL);
    sets_flag(NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    puts("set");
}

static void *spins_for_ever(void *arg)
{
    for (;;)
        ;
    return arg;
}

BEHAVIOUR(the_program_ends_while_they_spin) //$ status 5
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, spins_for_ever, NULL);
    sleep_ms(20);
    exit(5);
}

BEHAVIOUR(lost_updates) //$ varies; ask blame shared
{
    extern void race(void);
    race();
}

static volatile long shared;

static void *adds(void *arg)
{
    for (int i = 0; i < 3000000; i++)
        shared = shared + 1;
    return arg;
}

void race(void)
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, adds, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    printf("%ld\n", shared);
}
