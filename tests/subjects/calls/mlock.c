/* Locked memory; which pages are there. */
#include "call.h"
#define P 4096
int main(void)
{
    char *m = mmap(NULL, 6 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char v[8];
    memset(v, 7, sizeof v);
    m[2 * P] = 1;
    SAY(mincore(m, 6 * P, v));
    for (int i = 0; i < 8; i++)
        printf("%d ", v[i]);
    SAY(mlock(m, P));
    SAY(mlock2(m + 4 * P, 2 * P, MLOCK_ONFAULT));
    SAY(mincore(m, 5 * P + 1, v));
    for (int i = 0; i < 8; i++)
        printf("%d ", v[i]);
    SAY(munlock(m, P));
    SAY(mlockall(MCL_CURRENT));
    SAY(munlockall());
    SAY(mincore(m + 1, P, v));
    SAY(msync(m, P, MS_ASYNC));
}
