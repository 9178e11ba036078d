/* splice, tee, vmsplice, sendfile, copy_file_range: offsets that come back. */
#include "call.h"
#include <sys/sendfile.h>
int main(void)
{
    int p[2], q[2];
    pipe(p);
    pipe(q);
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600), g = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600);
    write(f, "0123456789abcdefghij", 20);
    loff_t at = 5, to = 3;
    SAY(splice(f, &at, p[1], NULL, 8, 0));
    printf("offset %ld\n", (long)at);
    SAY(tee(p[0], q[1], 4, 0));
    SAY(splice(p[0], NULL, g, &to, 8, 0));
    printf("offset %ld\n", (long)to);
    char b[32] = "";
    SAY(read(q[0], b, 32));
    printf("%s\n", b);
    struct iovec iov[2] = {{"from ", 5}, {"memory", 6}};
    SAY(vmsplice(p[1], iov, 2, 0));
    memset(b, 0, sizeof b);
    struct iovec in[2] = {{b, 4}, {b + 10, 20}};
    SAY(vmsplice(p[0], in, 2, 0));
    printf("%s|%s\n", b, b + 10);
    off_t from = 2;
    SAY(sendfile(g, f, &from, 5));
    printf("offset %ld\n", (long)from);
    SAY(sendfile(g, f, NULL, 5));
    at = 10, to = 30;
    SAY(copy_file_range(f, &at, g, &to, 100, 0));
    printf("offsets %ld %ld\n", (long)at, (long)to);
    memset(b, 0, sizeof b);
    SAY(pread(g, b, 31, 0));
    printf("%u\n", sum(b, 32));
    SAY(splice(f, NULL, g, NULL, 1, 0));
    SAY(lseek(f, 0, SEEK_SET));
    fflush(stdout);
    SAY(sendfile(1, f, NULL, 10));
    fflush(stdout);
    struct iovec out = {"\nspliced out\n", 13};
    vmsplice(1, &out, 1, 0);
    unlink("data");
    unlink("copy");
}
