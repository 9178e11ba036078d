/* Read the file in large pieces, from byte argv[2] on, and say what was in it; then a part of it once more. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIECE = 1000001 };
static uint8_t piece[PIECE];
static uint64_t sum;

static void add(ssize_t n)
{
    for (ssize_t i = 0; i < n; i++)
        sum = sum * 31 + piece[i];
}

int main(int argc, char **argv)
{
    int fd = open(argv[1], O_RDONLY);
    ssize_t n;
    lseek(fd, atol(argv[2]), SEEK_SET);
    while ((n = read(fd, piece, PIECE)) > 0)
        add(n);
    add(pread(fd, piece, PIECE, 123457));
    printf("%llx\n", (unsigned long long)sum);
    return 0;
}
