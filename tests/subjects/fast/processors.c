/* CPUID: its sites are patched wherever they are found, and nothing is an event. */
#include "../behaviour.h"
#include <sys/time.h>

enum { MANY = 3000 };

struct answer {
    uint64_t a, b, c, d;
};

static volatile sig_atomic_t handled;

/* Upper halves become zero, all else is as it was: flags, r8 to r11, what lies below the stack pointer. */
__attribute__((noinline)) static struct answer ask(uint64_t leaf, uint64_t sub)
{
    struct answer r = {.a = leaf | 0xabcdull << 32, .c = sub | 0xabcdull << 32};
    uint64_t r8, r11, below, carry = leaf & 1;
    __asm__ volatile("mov $0x1234567, %%r8\n"
                     "mov $0x7654321, %%r11\n"
                     "movq $0x5555555, -64(%%rsp)\n"
                     "bt $0, %7\n"
                     "movabs $0xfedcba987654321, %%rbx\n"
                     "cpuid\n"
                     "mov %%r8, %4\n"
                     "mov %%r11, %5\n"
                     "mov -64(%%rsp), %6\n"
                     "setc %b7\n"
                     : "+a"(r.a), "=b"(r.b), "+c"(r.c), "=d"(r.d), "=&r"(r8), "=&r"(r11), "=&r"(below), "+r"(carry)
                     :
                     : "r8", "r11", "cc", "memory");
    CHECK(r.a >> 32 == 0 && r.b >> 32 == 0 && r.c >> 32 == 0 && r.d >> 32 == 0);
    CHECK(r8 == 0x1234567 && r11 == 0x7654321 && below == 0x5555555 && (carry & 1) == (leaf & 1));
    return r;
}

static void say(uint64_t leaf, uint64_t sub)
{
    struct answer r = ask(leaf, sub);
    if (leaf == 1 || leaf == 0xb || leaf == 0x1f) /* where it runs */
        r.b = r.d = 0;
    printf("%llx %llx: %llx %llx %llx %llx\n", (unsigned long long)leaf, (unsigned long long)sub, (unsigned long long)r.a,
           (unsigned long long)r.b, (unsigned long long)r.c, (unsigned long long)r.d);
}

static void say_all(void)
{
    for (uint64_t leaf = 0; leaf < 0x20; leaf++)
        for (uint64_t sub = 0; sub < 4; sub++)
            say(leaf, sub);
    for (uint64_t leaf = 0x80000000; leaf < 0x80000009; leaf++)
        say(leaf, 77);
}

BEHAVIOUR(all_answers_are_the_processors)
{
    say_all();
}

BEHAVIOUR(leaves_that_nobody_has_written_down)
{
    say(0x4567, 0);
    say(0x80001234, 1);
    say(0xd, 50); /* behind all components */
    say(7, 200);
}

static void counts(int sig)
{
    ask(7, 0);
    handled++;
}

BEHAVIOUR(a_timer_into_answers)
{
    handle(SIGALRM, (void *)counts, SA_RESTART);
    struct answer first = ask(7, 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 100}, {0, 100}}, NULL);
    for (int i = 0; i < MANY || handled < 3; i++) {
        struct answer r = ask(7, 0);
        CHECK(memcmp(&r, &first, sizeof r) == 0);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

static void *thread(void *arg)
{
    uint64_t sum = 0;
    for (int i = 0; i < MANY; i++)
        sum += ask(7, 0).b + ask((uintptr_t)arg, 0).a;
    return (void *)sum;
}

BEHAVIOUR(threads_that_ask)
{
    pthread_t t[3];
    for (uintptr_t i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, thread, (void *)(i + 5));
    for (uint64_t i = 0; i < 3; i++) {
        void *sum;
        pthread_join(t[i], &sum);
        CHECK((uint64_t)sum == MANY * (ask(7, 0).b + ask(i + 5, 0).a));
    }
}

BEHAVIOUR(a_child_asks_and_what_it_starts)
{
    struct answer mine = ask(7, 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct answer its = ask(7, 0);
        CHECK(memcmp(&its, &mine, sizeof its) == 0);
        execl(arguments[0], arguments[0], "all_answers_are_the_processors", NULL);
    }
    CHECK(status_of(pid) == 0);
}

BEHAVIOUR(code_that_was_moved_asks)
{
    static const uint8_t code[] = {0x53,                         /* push %rbx */
                                   0x31, 0xc9,                   /* xor %ecx,%ecx */
                                   0xb8, 0x07, 0x00, 0x00, 0x00, /* mov $7,%eax */
                                   0x0f, 0xa2,                   /* cpuid */
                                   0x89, 0xd8,                   /* mov %ebx,%eax */
                                   0x5b, 0xc3};                  /* pop %rbx; ret */
    uint8_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p, code, sizeof code);
    CHECK(((uint32_t(*)(void))(void *)p)() == ask(7, 0).b);
}

BEHAVIOUR(nobody_else_traps_it) //$ native differs
{
    CHECK(syscall(SYS_arch_prctl, 0x1011 /* ARCH_GET_CPUID */) == 1);
    CHECK(syscall(SYS_arch_prctl, 0x1012 /* ARCH_SET_CPUID */, 0) == -1 && errno == ENODEV);
    say(7, 0);
}

