/* Code that is made, changed, or seen twice. */
#include "../behaviour.h"

typedef int function(void);

/* mov $n, %eax; ret */
static void put(unsigned char *at, int n)
{
    at[0] = 0xb8;
    memcpy(at + 1, &n, 4);
    at[5] = 0xc3;
}

static unsigned char *pages(size_t size, int prot)
{
    unsigned char *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

BEHAVIOUR(made_in_writable_pages)
{
    unsigned char *p = pages(8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    long sum = 0;
    for (int i = 0; i < 300; i++) {
        put(p + i % 7 * 16 + 4090, i);
        sum += ((function *)(p + i % 7 * 16 + 4090))();
    }
    printf("%ld\n", sum);
}

BEHAVIOUR(made_and_then_protected)
{
    unsigned char *p = pages(4096, PROT_READ | PROT_WRITE);
    long sum = 0;
    for (int i = 0; i < 50; i++) {
        CHECK(mprotect(p, 4096, PROT_READ | PROT_WRITE) == 0);
        put(p, i);
        CHECK(mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0);
        sum += ((function *)p)();
    }
    printf("%ld\n", sum);
}

BEHAVIOUR(mapped_again_at_the_same_address)
{
    long sum = 0;
    for (int i = 0; i < 50; i++) {
        unsigned char *p = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        CHECK(p != MAP_FAILED);
        put(p, i);
        sum += ((function *)p)();
        if (i % 2)
            munmap(p, 4096);
    }
    printf("%ld\n", sum);
}

BEHAVIOUR(seen_in_two_views)
{
    int fd = memfd_create("code", 0);
    CHECK(ftruncate(fd, 4096) == 0);
    unsigned char *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char *x = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    long sum = 0;
    for (int i = 0; i < 50; i++) {
        put(w, i);
        sum += ((function *)x)();
    }
    printf("%ld\n", sum);
}

BEHAVIOUR(changes_the_next_instruction)
{
    unsigned char *p = pages(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    /* movb $N, 8(%rip) -> the immediate of mov $0, %eax; ret */
    static const unsigned char code[] = {0x40, 0x88, 0x3d, 1, 0, 0, 0, 0xb8, 0, 0, 0, 0, 0xc3};
    long sum = 0;
    memcpy(p, code, sizeof code);
    for (int i = 0; i < 100; i++)
        sum += ((int (*)(int))p)(i);
    printf("%ld\n", sum);
}

BEHAVIOUR(two_processes_see_code_change) /* written in one, run in the other; the view for writing comes later */
{
    int fd = memfd_create("code", 0), up[2], down[2];
    CHECK(ftruncate(fd, 4096) == 0 && pipe(up) == 0 && pipe(down) == 0);
    unsigned char *x = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0), code[6], c = 0;
    put(code, 1000);
    CHECK(pwrite(fd, code, 6, 0) == 6);
    long sum = ((function *)x)();
    pid_t pid = fork();
    for (int i = 0; i < 40; i++) {
        if (pid == 0) {
            CHECK(read(down[0], &c, 1) == 1);
            put(code, i);
            unsigned char *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (i % 3 == 0)
                memcpy(w, code, 6);
            else if (i % 3 == 1)
                CHECK(pwrite(up[1], code, 6, 0) == -1 && pwrite(fd, code, 6, 0) == 6);
            else
                CHECK(write(down[1], code, 6) == 6 && read(down[0], w, 6) == 6);
            CHECK(i % 2 == 0 || munmap(w, 4096) == 0);
            CHECK(write(up[1], &c, 1) == 1);
        } else {
            CHECK(write(down[1], &c, 1) == 1 && read(up[0], &c, 1) == 1);
            sum += ((function *)x)();
        }
    }
    if (pid == 0)
        _exit(0);
    CHECK(status_of(pid) == 0);
    printf("%ld\n", sum);
}

BEHAVIOUR(changes_code_that_it_jumps_to) /* in another page, found before the first jump there */
{
    unsigned char *p = pages(8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    /* mov %edi, 4096+1(p) by rip: 89 3d rel32; jmp rel32 to p + 4096: mov $0, %eax; ret */
    static const unsigned char code[] = {0x89, 0x3d, 0xfb, 0x0f, 0, 0, 0xe9, 0xf5, 0x0f, 0, 0};
    long sum = 0;
    memcpy(p, code, sizeof code);
    put(p + 4096, 0);
    for (int i = 0; i < 100; i++)
        sum += ((int (*)(int))p)(i);
    printf("%ld\n", sum);
}

BEHAVIOUR(repeats_over_its_own_page)
{
    unsigned char *p = pages(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    static const unsigned char code[] = {0xf3, 0xa4, 0xb8, 0, 0, 0, 0, 0xc3}; /* rep movsb; mov $0, %eax; ret */
    unsigned char from[1024];
    long sum = 0;
    memcpy(p, code, sizeof code);
    for (int i = 0; i < 100; i++) {
        memset(from, 0x90, sizeof from);
        put(from, i);
        void *to = p + 2, *source = from;
        long n = 6 + i * 10, result;
        __asm__ volatile("call *%[p]" : "=a"(result), "+D"(to), "+S"(source), "+c"(n) : [p] "r"(p) : "memory", "cc");
        sum += result;
    }
    printf("%ld\n", sum);
}

BEHAVIOUR(read_from_a_file)
{
    int fd[2];
    unsigned char code[6], *p = pages(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    long sum = 0;
    CHECK(pipe(fd) == 0);
    for (int i = 0; i < 50; i++) {
        put(code, i);
        CHECK(write(fd[1], code, 6) == 6 && read(fd[0], p, 6) == 6);
        sum += ((function *)p)();
    }
    printf("%ld\n", sum);
}

static unsigned char *shared_code;
static _Atomic int version, seen;

static void *runs_code(void *arg)
{
    long sum = 0;
    for (int i = 1; i <= 50; i++) {
        while (version < i)
            sched_yield();
        sum += ((function *)shared_code)();
        seen = i;
    }
    printf("%ld\n", sum);
    return arg;
}

BEHAVIOUR(changed_by_another_thread)
{
    pthread_t t;
    shared_code = pages(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    pthread_create(&t, NULL, runs_code, NULL);
    for (int i = 1; i <= 50; i++) {
        put(shared_code, i);
        version = i;
        while (seen < i)
            sched_yield();
    }
    pthread_join(t, NULL);
}

BEHAVIOUR(changed_in_a_child)
{
    unsigned char *p = pages(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    put(p, 5);
    int before = ((function *)p)();
    fflush(stdout);
    pid_t pid = fork();
    put(p, pid ? 6 : 7);
    int now = ((function *)p)();
    if (pid == 0)
        _exit(now);
    printf("%d %d %d\n", before, now, WEXITSTATUS(status_of(pid)));
}

BEHAVIOUR(differs_between_parent_and_child)
{
    unsigned char *p = pages(8192, PROT_READ | PROT_WRITE | PROT_EXEC), c = 0;
    int up[2], down[2];
    long sum = 0;
    CHECK(pipe(up) == 0 && pipe(down) == 0);
    put(p, 5);
    put(p + 4096, 6);
    sum += ((function *)p)(); /* the second page has never run when they part */
    pid_t pid = fork();
    put(p, pid ? 1 : 100);
    put(p + 4096, pid ? 2 : 200);
    for (int i = 0; i < 10; i++) {
        CHECK(pid || read(down[0], &c, 1) == 1);
        sum += ((function *)p)() + ((function *)(p + 4096))();
        if (i == 5)
            put(p, pid ? 3 : 300);
        CHECK(pid ? write(down[1], &c, 1) == 1 && read(up[0], &c, 1) == 1 : write(up[1], &c, 1) == 1);
    }
    CHECK(pid == 0 || status_of(pid) == 0);
    printf("%ld\n", sum);
}

BEHAVIOUR(jumps_into_the_middle)
{
    /* b8 b0 05 c3 90: mov $0x90c305b0, %eax; one byte later: mov $5, %al; ret */
    static const unsigned char code[] = {0xb8, 0xb0, 0x05, 0xc3, 0x90, 0xc3};
    unsigned char *p = pages(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    memcpy(p, code, sizeof code);
    printf("%x ", ((function *)p)());
    printf("%x\n", ((function *)(p + 1))() & 0xff);
}

BEHAVIOUR(ends_at_the_end_of_a_page) /* fetching behind it must not fault */
{
    unsigned char *p = pages(8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    munmap(p + 4096, 4096);
    put(p + 4090, 9);
    printf("%d\n", ((function *)(p + 4090))());
}

static volatile int caught;

static void on_segv(int sig, siginfo_t *si, void *c)
{
    ucontext_t *uc = c;
    caught++;
    uc->uc_mcontext.gregs[REG_RIP] = *(long *)uc->uc_mcontext.gregs[REG_RSP]; /* return */
    uc->uc_mcontext.gregs[REG_RSP] += 8;
}

BEHAVIOUR(not_executable)
{
    unsigned char *p = pages(4096, PROT_READ | PROT_WRITE);
    put(p, 9);
    handle(SIGSEGV, on_segv, 0);
    for (int i = 0; i < 3; i++) {
        ((function *)p)();
        mprotect(p, 4096, i == 1 ? PROT_READ | PROT_EXEC : PROT_READ);
    }
    printf("%d\n", caught);
}


static int padded_sum;

__attribute__((noinline, used)) void padded_target(int n)
{
    padded_sum += n;
}

void padded_call(int n);
/* as compilers call __tls_get_addr */
__asm__(".text\npadded_call: sub $8, %rsp\n.byte 0x66, 0x66, 0x48\ncall padded_target\nadd $8, %rsp\n"
        ".byte 0x66, 0x48\nret\n");

BEHAVIOUR(padded_calls) //$ ask calls padded_target
{
    for (int i = 0; i < 10; i++)
        padded_call(i);
    printf("%d\n", padded_sum);
}
