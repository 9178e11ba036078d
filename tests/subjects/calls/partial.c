/* What a call leaves behind where it failed in the middle, or wrote more than its result says; arguments of 32 bits with rubbish above. */
#include "call.h"
#include <linux/keyctl.h>
#include <sys/prctl.h>
#define HIGH 0xdeadbeef00000000ul
static unsigned char *tail; /* behind it is nothing */
static void show(const char *what, size_t size)
{
    printf("%s:", what);
    for (size_t i = 0; i < size; i++)
        printf(" %02x", tail[(long)i - (long)size]);
    putchar('\n');
    memset(tail - 64, 0xaa, 64);
}
int main(void)
{
    char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(m + 4096, 4096);
    tail = (unsigned char *)m + 4096;
    memset(tail - 64, 0xaa, 64);
    int fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    SAY(syscall(SYS_fcntl, fd, F_GETOWN_EX, tail - 7));
    show("F_GETOWN_EX", 7);
    SAY(syscall(SYS_fcntl, fd | HIGH, F_GETOWN_EX | HIGH, tail - 8));
    show("F_GETOWN_EX", 8);
    if (syscall(SYS_keyctl, KEYCTL_CAPABILITIES, tail - 16, 16) > 0)
        IS(tail[-1] == 0);
    show("the rest of KEYCTL_CAPABILITIES", 8);
    SAY(syscall(SYS_prctl, PR_GET_CHILD_SUBREAPER | HIGH, tail - 4));
    show("PR_GET_CHILD_SUBREAPER", 4);
    SAY(syscall(SYS_prctl, PR_SET_TSC | HIGH, PR_TSC_SIGSEGV));
    OK(syscall(SYS_seccomp, 3 | HIGH, HIGH, tail - 6)); /* SECCOMP_GET_NOTIF_SIZES */
    show("SECCOMP_GET_NOTIF_SIZES", 6);
    SAY(syscall(SYS_sched_getattr, HIGH, tail - 48, 48 | HIGH, HIGH));
    show("sched_getattr", 8);
    memset(tail - 128, 0xff, 128);
    *(unsigned *)(tail - 128) = 128;
    SAY(syscall(SYS_sched_setattr, 0, tail - 128, 0));
    printf("it knows %s\n", *(unsigned *)(tail - 128) < 128 ? "less" : "all");
    write(fd, "short", 5);
    int direct = open("data", O_RDONLY | O_DIRECT);
    if (direct < 0)
        SKIP("no O_DIRECT on this file system");
    for (int i = 0; i < 3; i++) { /* the later ones without a stop */
        memset(m, 0xaa, 4096);
        SAY(pread(direct, m, 4096, 0));
        printf("%02x\n", m[5] & 255);
        memset(m, 0xaa, 4096);
        lseek(direct, 0, SEEK_SET);
        SAY(read(direct, m, 4096));
        printf("%02x\n", m[5] & 255);
    }
    return 0;
}
