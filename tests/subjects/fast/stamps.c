/* RDTSC and RDTSCP at places that are used so often that they do not stop the program. */
#include "../behaviour.h"
#include <sys/time.h>
#include <time.h>

enum { MANY = 20000 };

static volatile sig_atomic_t handled;
static uint64_t flags_kept, last;

/* Everything but its results is as it was: each of them has an instruction of five bytes before it. */
__attribute__((noinline)) static uint64_t stamp(uint64_t flag)
{
    uint64_t a, d, c = 0x1234567, r11 = 0x7654321, flags;
    __asm__ volatile("mov %5, %%r11\n"
                     "cmp $1, %6\n" /* carry when 0 */
                     "mov $0x1234567, %%ecx\n"
                     "rdtsc\n"
                     "pushfq\n"
                     "pop %3\n"
                     "mov %%r11, %4\n"
                     : "=a"(a), "=d"(d), "+c"(c), "=&r"(flags), "=&r"(r11)
                     : "r"(r11), "r"(flag)
                     : "r11", "cc");
    CHECK(c == 0x1234567 && r11 == 0x7654321 && a >> 32 == 0 && d >> 32 == 0);
    CHECK((flags & 1) == !flag);
    flags_kept += flags & 1;
    return d << 32 | a;
}

__attribute__((noinline)) static uint64_t stamp_and_core(uint32_t *core)
{
    uint64_t a, d, c;
    __asm__ volatile("mov $0x1234567, %%ecx\nrdtscp\n" : "=a"(a), "=d"(d), "=c"(c));
    *core = (uint32_t)c;
    return d << 32 | a;
}

static void many(void)
{
    uint32_t core, first;
    stamp_and_core(&first);
    for (int i = 0; i < MANY; i++) {
        uint64_t a = stamp((uint64_t)i & 1), b = stamp_and_core(&core), c = stamp(1);
        CHECK(a > last && b > a && c > b && core == first);
        last = c;
    }
}

BEHAVIOUR(stamps_in_order) //$ varies
{
    many();
    CHECK(flags_kept == MANY / 2);
    printf("%llu\n", (unsigned long long)last);
}

static void counts(int sig, siginfo_t *si, void *uc)
{
    CHECK(stamp(1) > 0);
    handled++;
}

BEHAVIOUR(stamps_and_a_timer) //$ varies
{
    handle(SIGALRM, counts, SA_RESTART);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 300}, {0, 300}}, NULL);
    many();
    while (handled < 3)
        last = stamp(0);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    printf("%llu\n", (unsigned long long)last);
}

BEHAVIOUR(stamps_between_calls) //$ varies
{
    for (int i = 0; i < MANY; i++) {
        uint64_t now = stamp(i & 1);
        CHECK(now > last && getppid() > 0);
        last = now;
    }
    printf("%llu\n", (unsigned long long)last);
}

static void *thread(void *arg)
{
    uint64_t mine = 0;
    for (int i = 0; i < MANY; i++) {
        uint64_t now = stamp((uint64_t)i & 1);
        CHECK(now > mine);
        mine = now;
        if (i % 1000 == 0)
            sched_yield();
    }
    return (void *)mine;
}

BEHAVIOUR(stamps_of_threads) //$ varies
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, thread, NULL);
    for (int i = 0; i < 3; i++) {
        void *got;
        pthread_join(t[i], &got);
        printf("%p\n", got);
    }
}

BEHAVIOUR(stamps_of_a_child) //$ varies
{
    many();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        many();
        printf("%llu\n", (unsigned long long)last);
        fflush(stdout);
        _exit(0);
    }
    CHECK(status_of(pid) == 0);
    CHECK(stamp(0) > last);
}

/* It runs as fast as a clock says, whatever the recorder makes of it. */
BEHAVIOUR(stamps_and_the_clock)
{
    struct timespec a, b;
    uint64_t from[2], to[2];
    double rate[2];
    many();
    for (int i = 0; i < 2; i++) {
        clock_gettime(CLOCK_MONOTONIC_RAW, &a);
        from[i] = stamp(0);
        do
            clock_gettime(CLOCK_MONOTONIC_RAW, &b);
        while ((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec < 30000000);
        to[i] = stamp(0);
        rate[i] = (double)(to[i] - from[i]) / (double)((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec);
    }
    CHECK(rate[0] / rate[1] > 0.5 && rate[0] / rate[1] < 2);
    puts("it runs");
}
