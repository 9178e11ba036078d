/* Scattered reads: short ones, with offsets, with flags. */
#include "call.h"
int main(void)
{
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    struct iovec w[3] = {{"one", 3}, {"", 0}, {"twotwo", 6}};
    SAY(writev(f, w, 3));
    char a[4], b[4], c[8];
    struct iovec r[3] = {{a, 4}, {b, 4}, {c, 8}};
    memset(c, '-', sizeof c);
    SAY(preadv(f, r, 3, 0));
    printf("%.4s %.4s %.8s\n", a, b, c);
    SAY(preadv2(f, r, 2, -1, 0));
    SAY(lseek(f, 1, SEEK_SET));
    SAY(preadv2(f, r, 2, -1, RWF_HIPRI));
    SAY(readv(f, r, 2));
    SAY(pwritev2(f, w, 3, 100, RWF_DSYNC));
    SAY(preadv2(f, r, 3, 98, RWF_NOWAIT));
    SAY(lseek(f, 0, SEEK_CUR));
    printf("%u %u %u\n", sum(a, 4), sum(b, 4), sum(c, 8));
    SAY(pread(f, c, 8, 1000));
    SAY(preadv(f, r, 2000, 0));
    unlink("data");
}
