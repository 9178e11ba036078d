/* A stack made by hand, and the one that is there, grow by being used. */
#include "call.h"
#define P 4096
static int deep(int n)
{
    volatile char page[P];
    page[0] = (char)n;
    return n ? deep(n - 1) + page[0] : 0;
}
int main(void)
{
    char *hole = mmap(NULL, 1024 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(hole, 1024 * P);
    char *m = mmap(hole + 900 * P, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
    IS(m != MAP_FAILED);
    for (int i = 1; i < 100; i++)
        m[-i * P] = (char)i;
    printf("%d %d %d\n", m[-1 * P], m[-50 * P], m[-99 * P]);
    SAY(mprotect(m, P, PROT_READ | PROT_GROWSDOWN));
    printf("%d\n", m[-99 * P]);
    SAY(mprotect(m - 99 * P, 99 * P, PROT_READ | PROT_WRITE));
    m[-99 * P]++;
    printf("%d\n", m[-99 * P]);
    printf("%d\n", deep(400));
}
