/* Thousands of shared mappings of one file at once, each at a place of its own and some of two parts that others have in one. */
#include "call.h"
enum { MANY = 8000, SIZE = 65536 };
int main(void)
{
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    SAY(ftruncate(f, SIZE));
    char *base = mmap(NULL, (size_t)MANY * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int failed = 0;
    for (int i = 0; i < MANY; i++) {
        size_t part = i % 7 ? 0 : SIZE / 2;
        failed += mmap(base + (size_t)i * SIZE, SIZE - part, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, f,
                       (off_t)part) == MAP_FAILED;
        base[(size_t)i * SIZE + (size_t)i % 100] = (char)i;
    }
    printf("%d failed\n", failed);
    printf("%u %u\n", sum(base + SIZE, SIZE), sum(base + (size_t)(MANY - 1) * SIZE, SIZE / 2));
    SAY(pwrite(f, "written", 7, 200));
    printf("%s %s\n", base + SIZE + 200, base + (size_t)(MANY - 2) * SIZE + 200);
    SAY(munmap(base, (size_t)MANY * SIZE));
    unlink("data");
}
