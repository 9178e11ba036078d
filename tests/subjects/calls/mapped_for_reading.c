/* A file that is mapped for reading only at first, by two processes, and then written through a mapping of one of them. */
#include "call.h"
#define P 4096
static int p[2], q[2];
static char c;
static void turn(int in, int out)
{
    fflush(stdout);
    write(out, "x", 1);
    read(in, &c, 1);
}
int main(void)
{
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600), r = open("data", O_RDONLY);
    for (int i = 0; i < 3; i++)
        pwrite(f, "from the file", 13, i * P);
    ftruncate(f, 3 * P);
    pipe(p);
    pipe(q);
    char *a = mmap(NULL, P, PROT_READ, MAP_SHARED, r, 0), *b = mmap(NULL, 2 * P, PROT_READ, MAP_SHARED, r, P);
    fflush(stdout);
    if (fork() == 0) {
        char *own = mmap(NULL, 3 * P, PROT_READ, MAP_SHARED, r, 0);
        mmap(NULL, 10 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        printf("child %s|%s|%s\n", a, b, own + 2 * P);
        turn(p[0], q[1]);
        printf("child %s|%s|%s|%s\n", a, b, b + P, own + 2 * P);
        SAY(pwrite(f, "pwrite", 6, 2 * P));
        printf("child %s|%s\n", b + P, own + 2 * P);
        char *w = mmap(NULL, 3 * P, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
        strcpy(w + P, "by the child");
        turn(p[0], q[1]);
        printf("child %s\n", own + 2 * P);
        turn(p[0], q[1]);
        return 0;
    }
    read(q[0], &c, 1);
    char *w = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, f, P);
    strcpy(w, "by the parent");
    printf("%s|%s|%s\n", a, b, b + P);
    turn(q[0], p[1]);
    printf("%s|%s|%s|%s\n", a, b, w, b + P);
    char *v = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, f, 2 * P);
    strcpy(v, "last page");
    turn(q[0], p[1]);
    printf("%s|%s\n", b + P, v);
    write(p[1], "x", 1);
    wait(NULL);
}
