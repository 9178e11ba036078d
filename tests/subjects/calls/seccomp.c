/* Filters inside the subject: errors, traps, death; the recorder is not confused by calls that were not made. */
#include "call.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#define ON(n, what) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, n, 0, 1), BPF_STMT(BPF_RET | BPF_K, what)
static volatile int trapped;
static void handler(int s, siginfo_t *si, void *u)
{
    trapped = si->si_syscall;
    ((ucontext_t *)u)->uc_mcontext.gregs[REG_RAX] = -4444;
}
static void strict(void)
{
    fflush(stdout);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    write(1, "still writing\n", 14);
    syscall(SYS_getpid);
}
static void killed(void)
{
    fflush(stdout);
    syscall(SYS_getppid);
}
int main(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ON(SYS_mkdir, SECCOMP_RET_ERRNO | EXDEV),
        ON(SYS_getuid, SECCOMP_RET_ERRNO | 0),
        ON(SYS_mmap, SECCOMP_RET_TRAP),
        ON(SYS_read, SECCOMP_RET_TRAP),
        ON(SYS_uname, SECCOMP_RET_TRACE),
        ON(SYS_getppid, SECCOMP_RET_KILL_PROCESS),
        ON(SYS_getgid, SECCOMP_RET_LOG),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    printf("status %d\n", in_child(strict));
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &sa, NULL);
    unsigned action = SECCOMP_RET_TRAP;
    SAY(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
    unsigned short sizes[3] = {0};
    SAY(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, sizes));
    printf("%u\n", sizes[0] > 0);
    char *buffer = malloc(100);
    SAY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SAY(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
    SAY(mkdir("never", 0700));
    SAY(getuid());
    void *m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("mmap: %d, errno %d, trapped %d\n", m == (void *)-1, errno, trapped);
    long r = syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("%ld %d\n", r, trapped);
    strcpy(buffer, "before");
    r = syscall(SYS_read, 0, buffer, 100);
    printf("%ld %d %s\n", r, trapped, buffer);
    char u[400];
    SAY(syscall(SYS_uname, u));
    IS(getgid() == getegid());
    printf("status %d\n", in_child(killed));
}
