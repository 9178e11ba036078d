/* Files that are mapped privately and then written to, cut and made longer; mapped again when only a mapping has changed them; and one
 * that is nearly all hole. */
#include "call.h"
#include <setjmp.h>
#include <signal.h>
#define P 4096
static sigjmp_buf back;
static void on_bus(int signal)
{
    siglongjmp(back, signal);
}
static const char *at(const char *p)
{
    static char text[64];
    int signal = sigsetjmp(back, 1);
    if (signal)
        snprintf(text, sizeof text, "signal %d", signal);
    else
        snprintf(text, sizeof text, "'%.20s'", p);
    return text;
}
static void show(const char *what, const char *m)
{
    printf("%s:", what);
    for (int i = 0; i < 4; i++)
        printf(" %s", at(m + i * P));
    printf("\n");
}
static char *map(int f, int prot, int flags)
{
    return mmap(NULL, 4 * P, prot, flags, f, 0);
}
int main(void)
{
    signal(SIGBUS, on_bus);
    int f = memfd_create("urd", 0);
    ftruncate(f, 4 * P);
    for (int i = 0; i < 4; i++)
        pwrite(f, "file", 4, i * P);
    char *m = map(f, PROT_READ | PROT_WRITE, MAP_PRIVATE), *r = map(f, PROT_READ, MAP_PRIVATE);
    strcpy(m + P, "mine");
    strcpy(m + 3 * P, "mine");
    pwrite(f, "written", 7, 0);
    pwrite(f, "written", 7, P);
    show("written", m);
    show("seen", r);
    SAY(ftruncate(f, 2 * P + 2));
    show("cut", m);
    show("seen", r);
    fflush(stdout);
    if (fork() == 0) {
        strcpy(m + 2 * P, "the child's");
        SAY(ftruncate(f, 0));
        show("child", m);
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    show("parent", m);
    SAY(ftruncate(f, 4 * P));
    show("longer", m);
    strcpy(m + 3 * P, "mine again");
    pwrite(f, "written", 7, 3 * P);
    pwrite(f, "written", 7, 2 * P);
    show("again", m);
    show("seen", r);
    SAY(madvise(m + 2 * P, P, MADV_DONTNEED));
    show("dropped", m);
    SAY(fallocate(f, 3, 2 * P, 2 * P));
    show("hole", m);
    show("seen", r);

    /* a mapping changes the file, and no time of it says so */
    int g = memfd_create("urd", 0);
    ftruncate(g, 4 * P);
    char *s = map(g, PROT_READ | PROT_WRITE, MAP_SHARED);
    strcpy(s, "first");
    char *a = map(g, PROT_READ, MAP_PRIVATE);
    printf("%s\n", a);
    munmap(a, 4 * P);
    strcpy(s, "second");
    a = map(g, PROT_READ, MAP_PRIVATE);
    printf("%s\n", a);
    munmap(s, 4 * P);
    munmap(a, 4 * P);
    s = map(g, PROT_READ | PROT_WRITE, MAP_SHARED);
    strcpy(s, "third");
    munmap(s, 4 * P);
    s = map(g, PROT_READ, MAP_SHARED);
    printf("%s\n", s);

    int h = open("holes", O_RDWR | O_CREAT | O_TRUNC, 0600);
    pwrite(h, "begin", 5, 0);
    pwrite(h, "end", 3, 100ll << 30);
    char *begin = mmap(NULL, P, PROT_READ, MAP_PRIVATE, h, 0), *end = mmap(NULL, P, PROT_READ, MAP_SHARED, h, 100ll << 30);
    printf("%s %s\n", begin, end);
    unlink("holes");
}
