/* The rest of a file's last page is seen by every mapping, written or not; more mappings, one after another, than files may be open. */
#include "call.h"
#define P 4096
#define END 100 /* of the file, in its second page */
static int f;
static char *map(int prot, int flags)
{
    return mmap(NULL, 2 * P, prot, flags, f, 0);
}
static void behind_the_end(void)
{
    f = memfd_create("tail", 0);
    ftruncate(f, P + END);
    char *m = map(PROT_READ | PROT_WRITE, MAP_SHARED);
    strcpy(m + P, "inside");
    strcpy(m + P + 2000, "behind the end");
    munmap(m, 2 * P);
    char *again = map(PROT_READ, MAP_SHARED);
    printf("%s, %s\n", again + P, again + P + 2000);
    char *copy = map(PROT_READ | PROT_WRITE, MAP_PRIVATE);
    printf("%s\n", copy + P + 2000);
    munmap(again, 2 * P);
    munmap(copy, 2 * P);
    copy = map(PROT_READ, MAP_PRIVATE);
    printf("%s\n", copy + P + 2000);
    SAY(lseek(f, 0, SEEK_END));
    SAY(ftruncate(f, P + END - 1));
    again = map(PROT_READ, MAP_SHARED);
    IS(again[P + 2000] == 0);
}
static void again_and_again(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < 3000; i++) {
        unsigned *m = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
        sum = sum * 31 + ++*m;
        munmap(m, P);
        if (i % 3 == 0)
            m = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    }
    printf("%u\n", sum);
}
int main(void)
{
    behind_the_end();
    again_and_again();
    return 0;
}
