/* What prctl tells. */
#include "call.h"
#include <linux/prctl.h>
#include <sys/prctl.h>
int main(void)
{
    char name[32];
    memset(name, '.', sizeof name);
    SAY(prctl(PR_SET_NAME, "a name that is too long for it"));
    SAY(prctl(PR_GET_NAME, name));
    printf("%s %u\n", name, sum(name, sizeof name));
    int v[2] = {-1, -1};
    SAY(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    SAY(prctl(PR_GET_PDEATHSIG, v));
    printf("%d %d\n", v[0], v[1]);
    SAY(prctl(PR_SET_CHILD_SUBREAPER, 1));
    SAY(prctl(PR_GET_CHILD_SUBREAPER, v));
    printf("%d\n", v[0]);
    SAY(prctl(PR_GET_TSC, v));
    printf("%d\n", v[0]);
    SAY(prctl(PR_SET_DUMPABLE, 0));
    SAY(prctl(PR_SET_DUMPABLE, 1));
    SAY(prctl(PR_GET_DUMPABLE));
    SAY(prctl(PR_SET_KEEPCAPS, 1));
    SAY(prctl(PR_GET_KEEPCAPS));
    SAY(prctl(PR_GET_SECCOMP));
    SAY(prctl(PR_CAPBSET_READ, 0));
    SAY(prctl(PR_SET_TIMERSLACK, 70000));
    SAY(prctl(PR_GET_TIMERSLACK));
    SAY(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    SAY(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    SAY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SAY(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    int *tid_address = NULL;
    int r = prctl(PR_GET_TID_ADDRESS, &tid_address);
    printf("%s\n", r == 0 ? tid_address ? "an address" : "none" : strerrorname_np(errno));
    char *m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SAY(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, m, 4096, "named") == 0 || errno == EINVAL);
    SAY(prctl(123456));
    unsigned long base = 0;
    SAY(syscall(SYS_arch_prctl, 0x1003, &base));
    IS(base != 0);
    SAY(syscall(SYS_arch_prctl, 0x1004, &base));
    SAY(syscall(SYS_arch_prctl, 0x77777, &base));
    if (fork() == 0)
        _exit(sched_yield());
    wait(v);
    printf("%d\n", v[0]);
}
