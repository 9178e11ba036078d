/* Buffers that end where memory ends. */
#include "call.h"
#include <sys/utsname.h>
int main(void)
{
    char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(m + 4096, 4096);
    char *end = m + 4096;
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600), p[2];
    char block[1000];
    memset(block, 'b', sizeof block);
    write(f, block, 1000);
    SAY(pread(f, end - 100, 1000, 0));
    printf("%u\n", sum(end - 200, 200));
    SAY(pread(f, end, 10, 0));
    struct stat *st = (void *)(end - sizeof *st);
    SAY(fstat(f, st));
    printf("%ld\n", (long)st->st_size);
    SAY(fstat(f, (void *)(end - sizeof *st + 1)));
    pipe(p);
    write(p[1], "0123456789", 10);
    SAY(read(p[0], end - 4, 10));
    printf("%.4s\n", end - 4);
    SAY(readlink("/proc/self/fd/0", end - 3, 3));
    printf("%.3s\n", end - 3);
    struct timespec *t = (void *)(end - sizeof *t);
    OK(clock_gettime(CLOCK_MONOTONIC, t));
    struct iovec iov[2] = {{end - 5, 5}, {end, 5}};
    SAY(preadv(f, iov, 2, 0));
    SAY(getcwd(end - 2, 2) != NULL);
    SAY(syscall(SYS_poll, end - 8, 2, 0));
    unlink("data");
}
