/* Prints what differs from run to run: addresses, times, process ids, random bytes, the host's state. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

static int global;

static void print_random(void)
{
    unsigned char a[16], b[16] = {0};
    if (getrandom(a, sizeof a, 0) != sizeof a)
        exit(1);
    int fd = open("/dev/urandom", O_RDONLY);
    if (fd < 0 || read(fd, b, sizeof b) != sizeof b)
        exit(1);
    close(fd);
    for (int i = 0; i < 16; i++)
        printf("%02x%02x ", a[i], b[i]);
    const unsigned char *seed = (const unsigned char *)getauxval(AT_RANDOM);
    printf("%02x%02x\n", seed[0], seed[15]);
}

static void print_times(void)
{
    struct timespec t;
    struct timeval v;
    struct tms tms;
    struct rusage u;
    unsigned id;
    for (int clock = 0; clock < 8; clock++)
        if (clock_gettime(clock, &t) == 0)
            printf("%ld.%09ld ", (long)t.tv_sec, t.tv_nsec);
    gettimeofday(&v, NULL);
    getrusage(RUSAGE_SELF, &u);
    printf("%ld %ld.%06ld %ld %ld %llu %llu\n", (long)time(NULL), (long)v.tv_sec, (long)v.tv_usec, (long)times(&tms),
           (long)u.ru_minflt, (unsigned long long)__rdtsc(), (unsigned long long)__rdtscp(&id));
}

int main(int argc, char **argv)
{
    int local;
    void *heap = malloc(100), *map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("%p %p %p %p %p %p %p\n", (void *)&global, (void *)&local, heap, map, (void *)printf, (void *)main, (void *)argv);
    printf("%d %d %d %d\n", getpid(), getppid(), getpgrp(), getsid(0));
    print_random();
    print_times();
    struct stat st;
    if (stat("/proc/self", &st) == 0)
        printf("%ld %ld\n", (long)st.st_ino, (long)st.st_atime);
    char line[200];
    FILE *f = fopen("/proc/self/stat", "r");
    if (f && fgets(line, sizeof line, f))
        fputs(line, stdout);
    for (int i = 0; i < 3; i++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            printf("child %d of %d\n", getpid(), getppid());
            print_random();
            print_times();
            exit(i);
        }
        int status;
        pid_t done = wait(&status);
        printf("%d ended with %d\n", done, WEXITSTATUS(status));
    }
    uint64_t sum = 0;
    for (int i = 0; i < 20000; i++)
        sum = sum * 31 + (uint64_t)rand() + (uintptr_t)heap;
    printf("%llx\n", (unsigned long long)sum);
    fprintf(stderr, "to stderr %p\n", heap);
    return 7;
}
