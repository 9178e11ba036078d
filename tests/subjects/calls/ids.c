/* Users, groups, capabilities, sessions. */
#include "call.h"
#include <grp.h>
#include <linux/capability.h>
static void become_nobody(void)
{
    SAY(setgroups(2, (gid_t[]){100, 200}));
    gid_t g[8] = {9, 9, 9, 9, 9, 9, 9, 9};
    SAY(getgroups(0, g));
    SAY(getgroups(1, g));
    SAY(getgroups(8, g));
    printf("%d %d %d\n", g[0], g[1], g[2]);
    SAY(setresgid(1, 2, 3));
    SAY(setresuid(65534, 65534, 65534));
    uid_t r, e, s;
    SAY(getresuid(&r, &e, &s));
    printf("%d %d %d\n", r, e, s);
    SAY(getresgid(&r, &e, &s));
    printf("%d %d %d\n", r, e, s);
    SAY(setuid(0));
    SAY(setfsuid(0));
    SAY(open("/etc/shadow", O_RDONLY));
}
int main(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    memset(d, 'd', sizeof d);
    SAY(syscall(SYS_capget, &h, d));
    IS(d[1].effective != 0x64646464);
    h.version = 1;
    SAY(syscall(SYS_capget, &h, NULL));
    SAY(syscall(SYS_capget, &h, d));
    printf("%#x\n", h.version);
    if (geteuid() == 0)
        printf("status %d\n", in_child(become_nobody));
    SAY(getuid() == geteuid());
    fflush(stdout);
    if (fork() == 0) {
        IS(setsid() == getpid());
        IS(getsid(0) == getpid());
        IS(getpgrp() == getpid());
        SAY(setpgid(0, 0));
        IS(getpgid(getppid()) != getpid());
        return 0;
    }
    wait(NULL);
    SAY(setregid(-1, -1));
    SAY(setreuid(-1, -1));
    SAY(setfsgid(-1) == (int)getegid());
    SAY(syscall(SYS_kcmp, getpid(), getpid(), 0, 1, 1));
    SAY(getsid(999999));
}
