/* Advice that changes content, and advice that does not. */
#include "call.h"
#define P 4096
int main(void)
{
    char *m = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(m, 'm', 4 * P);
    SAY(madvise(m + P, P, MADV_DONTNEED));
    printf("%d %d %d\n", m[0], m[P], m[2 * P]);
    static const int kinds[] = {MADV_NORMAL, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTFORK, MADV_DOFORK, MADV_MERGEABLE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE, 12345};
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        printf("%d: %d\n", kinds[i], madvise(m, 4 * P, kinds[i]) == 0);
    printf("%d %d\n", m[0], m[P]);
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    write(f, "content of the file", 20);
    char *p = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE, f, 0);
    memcpy(p, "CONTENT", 7);
    printf("%s\n", p);
    SAY(madvise(p, P, MADV_DONTNEED));
    printf("%s\n", p);
    SAY(madvise(m + 1, P, MADV_DONTNEED));
    SAY(posix_madvise(m, P, POSIX_MADV_DONTNEED));
    SAY(posix_fadvise(f, 0, 0, POSIX_FADV_DONTNEED));
    unlink("data");
}
