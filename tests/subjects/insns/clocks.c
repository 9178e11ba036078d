/* Instructions whose answer is not decided by the program. */
#include "../behaviour.h"
#include <cpuid.h>
#include <x86intrin.h>

BEHAVIOUR(rdtsc_and_rdtscp) //$ varies
{
    unsigned aux;
    unsigned long long last = __rdtsc();
    for (int i = 0; i < 200; i++) {
        unsigned long long now = i % 2 ? __rdtsc() : __rdtscp(&aux);
        CHECK(now > last);
        last = now;
    }
    printf("%llu %u\n", last, aux);
}

BEHAVIOUR(rdtsc_with_a_prefix) //$ varies
{
    uint32_t a, d;
    __asm__ volatile(".byte 0x48, 0x0f, 0x31" : "=a"(a), "=d"(d));
    printf("%u %u\n", a, d);
    __asm__ volatile(".byte 0x66, 0x0f, 0x31" : "=a"(a), "=d"(d));
    printf("%u %u\n", a, d);
}

static void *reads(void *arg)
{
    unsigned long long last = 0;
    for (int i = 0; i < 100; i++)
        last = __rdtsc();
    return (void *)last;
}

BEHAVIOUR(rdtsc_by_threads) //$ varies
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, reads, NULL);
    for (int i = 0; i < 3; i++) {
        void *got;
        pthread_join(t[i], &got);
        printf("%p\n", got);
    }
}

BEHAVIOUR(rdtsc_in_a_child_and_after_exec) //$ varies
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        printf("%llu\n", __rdtsc());
        fflush(stdout);
        execl(arguments[0], arguments[0], "rdtsc_and_rdtscp", NULL);
    }
    CHECK(status_of(pid) == 0);
}

BEHAVIOUR(cpuid_everywhere) //$ varies
{
    unsigned a, b, c, d;
    for (unsigned leaf = 0; leaf <= 0x1f; leaf++)
        for (unsigned sub = 0; sub < 3; sub++) {
            __cpuid_count(leaf, sub, a, b, c, d);
            printf("%x %x: %x %x %x %x\n", leaf, sub, a, b, c, d);
        }
    for (unsigned leaf = 0x80000000; leaf <= 0x80000008; leaf++) {
        __cpuid(leaf, a, b, c, d);
        printf("%x: %x %x %x %x\n", leaf, a, b, c, d);
    }
}

BEHAVIOUR(xgetbv)
{
    uint32_t a, d;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    printf("%x %x\n", a, d);
}

BEHAVIOUR(xgetbv_of_what_is_in_use) //$ cpu xgetbv1; varies
{
    uint32_t a, d;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(1));
    printf("%d\n", (a & 3) == (a & 3) && d == 0);
}

BEHAVIOUR(rdrand) //$ cpu rdrand; varies
{
    unsigned long r;
    unsigned char ok;
    __asm__ volatile("rdrand %0; setc %1" : "=r"(r), "=q"(ok));
    printf("%lx\n", ok ? r : 0);
}

BEHAVIOUR(rdseed) //$ cpu rdseed; varies
{
    unsigned long r;
    unsigned char ok = 0;
    for (int i = 0; i < 1000 && !ok; i++)
        __asm__ volatile("rdseed %0; setc %1" : "=r"(r), "=q"(ok));
    printf("%lx\n", ok ? r : 0);
}

BEHAVIOUR(rdpid) //$ cpu rdpid; varies
{
    unsigned long r;
    __asm__ volatile("rdpid %0" : "=r"(r));
    printf("%d\n", r < 4096);
}

BEHAVIOUR(transactions) //$ cpu rtm; varies
{
    unsigned status;
    __asm__ volatile("mov $-1, %%eax; xbegin 1f; xend; 1:" : "=a"(status) : : "memory");
    printf("%d\n", status != 0x12345);
}
