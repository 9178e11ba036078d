/* Growing, shrinking, moving; what stays behind. */
#include "call.h"
#define P 4096
int main(void)
{
    char *m = mmap(NULL, 8 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 8; i++)
        sprintf(m + i * P, "page %d", i);
    char *n = mremap(m, 8 * P, 4 * P, 0);
    IS(n == m);
    n = mremap(m, 4 * P, 64 * P, MREMAP_MAYMOVE);
    IS(n != MAP_FAILED);
    printf("%s, %s, '%s'\n", n, n + 3 * P, n + 40 * P);
    char *fixed = mmap(NULL, 16 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *k = mremap(n, 4 * P, 8 * P, MREMAP_MAYMOVE | MREMAP_FIXED, fixed + 2 * P);
    IS(k == fixed + 2 * P);
    printf("%s, '%s'\n", k + 2 * P, k + 7 * P);
    strcpy(k + 7 * P, "written after");
    char *d = (void *)syscall(SYS_mremap, k, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    IS(d != MAP_FAILED && d != k);
    printf("%s, left '%s', %s\n", d + P, k + P, k + 7 * P);
    strcpy(k, "again");
    printf("%s %s\n", d, k);
    SAY(mremap(n + 60 * P, 0, P, MREMAP_MAYMOVE) == MAP_FAILED);
    char *s = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    strcpy(s + P, "shared");
    char *twin = mremap(s, 0, 2 * P, MREMAP_MAYMOVE);
    IS(twin != MAP_FAILED);
    strcpy(twin + P + 10, "twice");
    printf("%s %s\n", twin + P, s + P + 10);
    SAY(mremap((void *)P, P, 2 * P, 0) == MAP_FAILED);
}
