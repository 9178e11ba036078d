/* Transactions: none ever commits under urd, and programs take their fallbacks. */
#include "../behaviour.h"
#include <cpuid.h>
#include <stdbool.h>

static bool has_transactions(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b >> 11 & 1;
}

static bool under_urd(void) /* natively a short one commits sooner or later */
{
    for (int i = 0; i < 10000; i++) {
        unsigned status = ~0u;
        __asm__ volatile("xbegin 1f\n xend\n 1:" : "+a"(status) : : "memory");
        if (status == ~0u)
            return false;
    }
    return true;
}

BEHAVIOUR(none_commits) //$ cpu rtm; native differs
{
    volatile int x = 0;
    unsigned long status = 0, sum = 0;
    for (int i = 0; i < 1000; i++) {
        status = ~0ul;
        __asm__ volatile("xbegin 1f\n incl %1\n xend\n 1:" : "+a"(status), "+m"(x) : : "memory");
        sum += status;
    }
    printf("%d %lx\n", x, sum);
}

BEHAVIOUR(fallback_before_it) //$ cpu rtm; native differs
{
    unsigned long status = 7, flags;
    __asm__ volatile("jmp 2f\n"
                     "1: pushf\n pop %1\n jmp 3f\n"
                     "2: stc\n xbegin 1b\n xend\n xor %1, %1\n 3:"
                     : "+a"(status), "=r"(flags)
                     :
                     : "memory", "cc");
    printf("%lu carry %lu\n", status, flags & 1);
}

BEHAVIOUR(a_lock_that_is_elided) //$ cpu rtm; native differs
{
    static volatile int lock, fallbacks;
    pthread_t t[4];
    void *run(void *p)
    {
        for (int i = 0; i < 2000; i++) {
            unsigned status = ~0u;
            __asm__ volatile("xbegin 1f\n 1:" : "+a"(status) : : "memory");
            if (status != ~0u) {
                while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
                    sched_yield();
                fallbacks++;
                __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
            } else {
                __asm__ volatile("xend" : : : "memory");
            }
        }
        return p;
    }
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, run, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    printf("%d\n", fallbacks);
}

BEHAVIOUR(outside_of_one) //$ cpu rtm
{
    unsigned char none;
    int n = 0;
    for (int i = 0; i < 5000; i++) {
        __asm__ volatile("xtest\n setz %0" : "=q"(none) : : "cc");
        n += none;
    }
    __asm__ volatile("xabort $3");
    printf("%d\n", n);
}

BEHAVIOUR(none_commits_after_a_fork) //$ cpu rtm; native differs
{
    if (fork() == 0)
        _exit(under_urd());
    int status;
    wait(&status);
    printf("%d %d\n", under_urd(), WEXITSTATUS(status));
}

static void on_ill(int sig, siginfo_t *si, void *uc)
{
    greg_t *regs = ((ucontext_t *)uc)->uc_mcontext.gregs;
    regs[REG_RAX] = 5;
    regs[REG_RIP] += 6;
}

BEHAVIOUR(a_programs_own_ud2)
{
    struct sigaction a = {.sa_sigaction = on_ill, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &a, NULL);
    long x = 1;
    __asm__ volatile(".byte 0x0f, 0x0b, 0xf8, 0, 0, 0" : "+a"(x));
    printf("%ld\n", x);
}

BEHAVIOUR(where_there_are_none_it_is_illegal) //$ varies
{
    struct sigaction a = {.sa_sigaction = on_ill, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &a, NULL);
    unsigned status = ~0u;
    __asm__ volatile("xbegin 1f\n jmp 2f\n 1: nop\n 2:" : "+a"(status) : : "memory");
    if (!has_transactions())
        CHECK(status == 5);
    printf("%d\n", has_transactions());
}
