/* Three threads that lose each other's updates, and a timer's signal that comes in the middle of it: what comes out depends on
 * every place at which one of them was stopped. Functions without a branch are called twice from places that differ in their
 * return address only. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/time.h>

#ifndef ROUNDS
#define ROUNDS   1000
#define EVERY_US 50000
#endif

static volatile unsigned total, signals, at_signal;

__attribute__((noinline)) static void add_one(void)
{
    unsigned v = total;
    total = v + 1;
}

static void on_alarm(int signal)
{
    signals++;
    at_signal = at_signal * 31 + total;
}

static void *work(void *p)
{
    uint64_t x = (uintptr_t)p;
    for (unsigned i = 0; i < ROUNDS; i++) {
        add_one();
        add_one();
        add_one();
        x = x & 1 ? x * 3 + 1 : x >> 1;
    }
    return (void *)x;
}

int main(void)
{
    pthread_t threads[3];
    struct itimerval every = {{0, EVERY_US}, {0, EVERY_US}};
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &every, NULL);
    for (uintptr_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 27));
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    printf("%u %u %u\n", total, signals, at_signal);
    return 0;
}
