/* A file that is mapped by some and written by others. */
#include "call.h"
#include <sys/sendfile.h>
#define P 4096
static int p[2], q[2];
static char c;
static void writer(void)
{
    int f = open("data", O_RDWR), g = open("other", O_RDONLY);
    read(p[0], &c, 1);
    SAY(pwrite(f, "pwrite", 6, 10));
    lseek(f, 100, SEEK_SET);
    SAY(write(f, "write", 5));
    SAY(sendfile(f, g, NULL, 5));
    loff_t in = 0, out = 300;
    SAY(copy_file_range(g, &in, f, &out, 5, 0));
    int a = open("data", O_WRONLY | O_APPEND);
    SAY(ftruncate(f, P + 10));
    SAY(write(a, "appended", 8));
    fflush(stdout);
    write(q[1], "x", 1);
    read(p[0], &c, 1);
    char *m = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    printf("%s|%s\n", m + 200, m + P + 10);
    strcpy(m + 400, "by the other's mapping");
    fflush(stdout);
    write(q[1], "x", 1);
    read(p[0], &c, 1);
}
int main(void)
{
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600), g = open("other", O_RDWR | O_CREAT | O_TRUNC, 0600);
    write(f, "content", 7);
    ftruncate(f, P);
    write(g, "OTHER", 5);
    pipe(p);
    pipe(q);
    fflush(stdout);
    if (fork() == 0) {
        writer();
        return 0;
    }
    char *m = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    char *ro = mmap(NULL, P, PROT_READ, MAP_SHARED, open("data", O_RDONLY), 0);
    char *other = mmap(NULL, P, PROT_READ, MAP_SHARED, open("other", O_RDONLY), 0);
    write(p[1], "x", 1);
    read(q[0], &c, 1);
    printf("%s|%s|%.10s|%.5s|%s\n", m, m + 10, m + 100, ro + 300, m + P + 10);
    strcpy(m + 200, "by mapping");
    write(p[1], "x", 1);
    read(q[0], &c, 1);
    printf("%s\n", ro + 400);
    printf("%s\n", other);
    SAY(pwrite(g, "THERE", 5, 0));
    printf("%s\n", other);
    char b[32] = "";
    SAY(pread(f, b, 31, 400));
    printf("%s\n", b);
    SAY(msync(m, P, MS_SYNC));
    SAY(fallocate(f, 3, 0, P));
    printf("'%s' '%s'\n", m, m + 200);
    SAY(truncate("data", 3 * P));
    char *late = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, f, 2 * P);
    strcpy(late, "late");
    printf("%s\n", late);
    munmap(late, P);
    SAY(pwrite(f, "unseen", 6, 2 * P));
    late = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, f, 2 * P);
    printf("%s\n", late);
    write(p[1], "x", 1);
    wait(NULL);
    close(open("data", O_TRUNC | O_RDWR));
    ftruncate(f, P);
    printf("'%s'\n", m + P / 2);
    unlink("data");
    unlink("other");
}
