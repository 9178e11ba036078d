/* Two processes that talk through a mapped file. One of them is recorded: it asks, sleeps, and reads the answer. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile unsigned *shared;

static void writes(void)
{
    unsigned last = 0;
    memcpy((void *)shared, "ready\n", 6);
    for (;;) {
        usleep(500);
        unsigned asked = shared[3];
        if (asked == last)
            continue;
        last = asked;
        usleep(5000); /* by now the one that asked sleeps */
        shared[1000] += asked;
        shared[2] = asked * 7;
    }
}

static void reads(void)
{
    for (unsigned i = 1; i <= 20; i++) {
        shared[3] = i;
        for (unsigned tries = 0; shared[2] != i * 7 && tries < 100; tries++)
            usleep(10000);
        unsigned seen = shared[2], other = shared[1000];
        printf("%u %u\n", seen, other);
    }
}

int main(int argc, char **argv)
{
    int f = open(argv[2], O_RDWR | O_CREAT, 0600);
    if (f < 0 || ftruncate(f, 8192))
        return 2;
    shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    if (shared == MAP_FAILED)
        return 3;
    if (strcmp(argv[1], "writes") == 0)
        writes();
    reads();
    return 0;
}
