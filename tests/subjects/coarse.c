/* For tests/coarse: memory and functions that only one phase of the run uses, and memory that comes, goes and moves. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((aligned(4096))) volatile long first[512], second[512], third[512], always[512], never[512], forked[512];

__attribute__((noinline)) static void work(volatile long *where, uint32_t rounds)
{
    uint32_t x = 1;
    for (uint32_t i = 0; i < rounds; i++) {
        x = x * 1103515245 + 12345;
        where[x >> 23] += i;
        always[0] = i;
    }
}

__attribute__((noinline)) static void only_first(void)
{
    work(first, 3000000);
}

__attribute__((noinline)) static void only_second(void)
{
    work(second, 3000000);
}

__attribute__((noinline)) static long only_third(void)
{
    work(third, 3000000);
    return third[7];
}

__attribute__((noinline)) static void outer(void)
{
    forked[1] = 7;
    only_second();
}

/* Its pages are written, then moved, discarded, unmapped, all between two events that nobody may cut at. */
static void come_and_go(void)
{
    char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 256; i++)
        p[i * 4096] = (char)i;
    p = mremap(p, 1 << 20, 2 << 20, MREMAP_MAYMOVE);
    p[1 << 20] = 3;
    madvise(p, 1 << 19, MADV_DONTNEED);
    p[5] = 4;
    work((volatile long *)(p + (1 << 19)), 2000000);
    munmap(p, 1 << 18);
    work((volatile long *)(p + (1 << 19)), 1000000);
}

static int phase(int n)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%d\n", n);
    return (int)write(1, text, (size_t)size);
}

int main(void)
{
    phase(1);
    only_first();
    phase(2);
    outer();
    phase(3);
    come_and_go();
    phase(4);
    pid_t child = fork();
    if (!child) {
        forked[0] = 1;
        work(forked, 1000000);
        forked[2] = only_third();
        _exit(0);
    }
    forked[0] = 2;
    waitpid(child, NULL, 0);
    phase(5);
    work(never, 0);
    printf("%ld\n", only_third());
    return 0;
}
