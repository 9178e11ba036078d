/* Mappings of files and of nothing, fixed and not. */
#include "call.h"
#define P 4096
int main(void)
{
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char b[3 * P];
    for (int i = 0; i < 3 * P; i++)
        b[i] = (char)('a' + i / P);
    write(f, b, 2 * P + 100);
    char *m = mmap(NULL, 3 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE, f, 0);
    printf("%c %c %c %d\n", m[0], m[P], m[2 * P], m[2 * P + 200]);
    m[P] = 'X';
    SAY(pread(f, b, 1, P));
    printf("%c\n", b[0]);
    char *off = mmap(NULL, P, PROT_READ, MAP_PRIVATE, f, P);
    printf("%c\n", off[0]);
    char *low = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    IS((uintptr_t)low < 1ull << 31);
    low[5] = 1;
    void *x = mmap(m, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    printf("%s\n", x == MAP_FAILED ? strerrorname_np(errno) : "mapped");
    x = mmap(m + P, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    printf("%d %c\n", m[P], m[2 * P]);
    char *z = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE, open("/dev/zero", O_RDWR), 0);
    z[0] = 'z';
    SAY(mprotect(z, P, PROT_NONE));
    SAY(pread(f, z, 10, 0));
    SAY(mprotect(z, P, PROT_READ));
    printf("%c\n", z[0]);
    SAY(mprotect(m, 3 * P, 0x99));
    SAY(munmap(m + 1, P));
    SAY(munmap(m, 3 * P));
    char *s = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fflush(stdout);
    if (fork() == 0) {
        strcpy(s, "from the child");
        _exit(0);
    }
    wait(NULL);
    printf("%s\n", s);
    x = mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("%s\n", strerrorname_np(errno));
    char *h = sbrk(100000);
    memset(h, 'h', 100000);
    SAY(brk(h + 10) == 0);
    printf("%c\n", h[5]);
    unlink("data");
}
