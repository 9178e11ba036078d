/* Signals that an instruction raises: told rightly, repaired, survived, or fatal. */
#include "../behaviour.h"
#include <setjmp.h>
#include <sys/prctl.h>

static char *page;
static volatile int count;
static sigjmp_buf back;

static void repairs(int sig, siginfo_t *si, void *uc)
{
    CHECK(si->si_code == SEGV_ACCERR && (char *)si->si_addr >= page && (char *)si->si_addr < page + 16 * 4096);
    CHECK(mprotect((void *)((uintptr_t)si->si_addr & ~4095ul), 4096, PROT_READ | PROT_WRITE) == 0);
    count++;
}

BEHAVIOUR(repaired_by_mprotect)
{
    handle(SIGSEGV, repairs, 0);
    page = mmap(NULL, 16 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 16 * 4096; i += 512)
            page[i]++;
        mprotect(page, 16 * 4096, PROT_READ);
    }
    printf("%d %d\n", count, page[512]);
}

static void maps(int sig, siginfo_t *si, void *uc)
{
    CHECK(si->si_code == SEGV_MAPERR);
    mmap((void *)((uintptr_t)si->si_addr & ~4095ul), 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    count++;
}

BEHAVIOUR(repaired_by_mmap_in_a_repetition)
{
    handle(SIGSEGV, maps, 0);
    char *p = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, 1 << 20);
    void *d = p + 100;
    size_t n = 10 * 4096;
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(7) : "memory");
    printf("%d %d\n", count, p[5000]);
}

static void skips(int sig, siginfo_t *si, void *c)
{
    ucontext_t *uc = c;
    uc->uc_mcontext.gregs[REG_RIP] += 2;
    uc->uc_mcontext.gregs[REG_RAX] = 1234;
    count++;
}

BEHAVIOUR(skipped_by_changing_rip)
{
    long rax;
    handle(SIGSEGV, skips, 0);
    handle(SIGILL, skips, 0);
    __asm__ volatile("xor %%ecx, %%ecx\nmov (%%rcx), %%eax\nnop" : "=a"(rax) : : "rcx");
    printf("%ld ", rax);
    __asm__ volatile("ud2" : "=a"(rax));
    printf("%ld %d\n", rax, count);
}

static void tells(int sig, siginfo_t *si, void *c)
{
    ucontext_t *uc = c;
    printf("%d %d %d %lld\n", sig, si->si_code, si->si_addr == NULL, (long long)uc->uc_mcontext.gregs[REG_TRAPNO]);
    siglongjmp(back, 1);
}

#define TRY(statement)                                                                                       \
    if (sigsetjmp(back, 1) == 0) {                                                                           \
        statement;                                                                                           \
        puts("no fault");                                                                                    \
    }

static void handle_all(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (int i = 0; i < 5; i++)
        handle(signals[i], tells, 0);
}

BEHAVIOUR(what_handlers_are_told)
{
    handle_all();
    TRY(*(volatile int *)0 = 1);
    TRY(*(volatile int *)0x8000000000001 = 1); /* not canonical */
    TRY(__asm__ volatile("xor %%ecx, %%ecx\nidiv %%ecx" : : : "rax", "rcx", "rdx"));
    TRY(__asm__ volatile("mov $-0x80000000, %%eax; cltd; mov $-1, %%ecx; idiv %%ecx" : : : "rax", "rcx", "rdx"));
    TRY(__asm__ volatile("ud2"));
    TRY(__asm__ volatile("hlt"));
    TRY(__asm__ volatile("movaps 1(%%rsp), %%xmm0" : : : "xmm0"));
    TRY(__asm__ volatile("in $0x80, %%al" : : : "rax"));
}

BEHAVIOUR(a_breakpoint_of_its_own)
{
    handle_all();
    TRY(__asm__ volatile("int3"));
}

BEHAVIOUR(int1)
{
    handle_all();
    TRY(__asm__ volatile("int1" : : : "cc"));
}

BEHAVIOUR(int_n)
{
    handle_all();
    TRY(__asm__ volatile("int $0x42"));
}

BEHAVIOUR(a_jump_to_nowhere)
{
    handle_all();
    TRY(((void (*)(void))16)());
}

BEHAVIOUR(behind_the_end_of_a_file)
{
    char name[] = "/tmp/urd-bus-XXXXXX";
    int f = mkstemp(name);
    unlink(name);
    CHECK(ftruncate(f, 100) == 0);
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, f, 0);
    handle(SIGBUS, tells, 0);
    p[50] = 1;
    TRY(p[5000] = 1);
    printf("%d\n", p[50]);
}

static void steps(int sig, siginfo_t *si, void *c)
{
    count++;
}

BEHAVIOUR(single_steps_itself)
{
    handle(SIGTRAP, steps, 0);
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop; nop; pushfq; andl $~0x100, (%%rsp); popfq" : : : "cc", "memory");
    printf("%d\n", count);
}

BEHAVIOUR(single_steps_a_system_call) //$ ask blame count
{
    static long last;
    handle(SIGTRAP, steps, 0);
    for (int i = 0; i < 3; i++)
        __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; mov $39, %%eax; syscall; mov %%rcx, %0; pushfq; andl $~0x100, (%%rsp); popfq; pushfq; pop %%rcx; and $0x100, %%ecx; add %%rcx, %0"
                         : "=m"(last) : : "cc", "memory", "rax", "rcx", "r11");
    printf("%d %ld\n", count, last & 0x100);
}

BEHAVIOUR(floating_point_exceptions)
{
    unsigned mxcsr = 0x1f80 & ~(1u << 9); /* division by zero is not masked */
    handle(SIGFPE, tells, 0);
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    volatile double a = 1, b = 0;
    TRY(a = a / b);
    unsigned short cw = 0x37b;
    __asm__ volatile("fninit; fldcw %0" : : "m"(cw));
    TRY(__asm__ volatile("fldz; fld1; fdivp; fwait"));
    puts("done");
}

static void faults(int sig, siginfo_t *si, void *uc)
{
    *(volatile int *)0 = 1;
}

BEHAVIOUR(a_fault_in_a_handler) //$ status 139
{
    handle(SIGSEGV, faults, 0);
    handle(SIGUSR1, faults, 0);
    raise(SIGUSR1);
}

BEHAVIOUR(a_blocked_fault) //$ status 139
{
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    handle(SIGSEGV, tells, 0);
    *(volatile int *)0 = 1;
}

BEHAVIOUR(no_stack_for_the_handler) //$ status 139
{
    handle(SIGUSR1, steps, 0);
    __asm__ volatile("mov $8, %%rsp; syscall" : : "a"(SYS_kill), "D"(getpid()), "S"(SIGUSR1) : "rcx", "r11", "memory");
}

BEHAVIOUR(fatal_sigsegv) //$ status 139
{
    *(volatile int *)0 = 1;
}

BEHAVIOUR(fatal_sigfpe) //$ status 136
{
    __asm__ volatile("xor %%ecx, %%ecx\nidiv %%ecx" : : : "rax", "rcx", "rdx");
}

BEHAVIOUR(fatal_sigill) //$ status 132
{
    __asm__ volatile("ud2");
}

BEHAVIOUR(fatal_sigtrap) //$ status 133
{
    __asm__ volatile("int3");
}

BEHAVIOUR(fatal_sigbus) //$ status 135
{
    raise(SIGBUS);
}

BEHAVIOUR(fatal_sigsys) //$ status 159
{
    raise(SIGSYS);
}

BEHAVIOUR(fatal_sigpipe) //$ status 141
{
    int p[2];
    CHECK(pipe(p) == 0);
    close(p[0]);
    if (write(p[1], "x", 1) == 1)
        puts("?");
}

BEHAVIOUR(fatal_sigxcpu_of_a_child)
{
    for (int sig = 1; sig < 32; sig++) {
        if (sig == SIGCHLD || sig == SIGCONT || sig == SIGURG || sig == SIGWINCH || (sig >= SIGSTOP && sig <= SIGTTOU))
            continue;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            raise(sig);
            _exit(1);
        }
        int status = status_of(pid);
        printf("%d ", WTERMSIG(status));
    }
    puts("");
}
