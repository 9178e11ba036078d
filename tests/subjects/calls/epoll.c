/* epoll: level, edge, one shot; the three ways to wait. */
#include "call.h"
#include <sys/epoll.h>
int main(void)
{
    int e = epoll_create1(EPOLL_CLOEXEC), p[2], q[2];
    pipe(p);
    pipe(q);
    struct epoll_event ev = {EPOLLIN | EPOLLET, {.u64 = 0x1122334455667788}}, got[4];
    SAY(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev));
    ev = (struct epoll_event){EPOLLOUT | EPOLLONESHOT, {.u64 = 2}};
    SAY(epoll_ctl(e, EPOLL_CTL_ADD, q[1], &ev));
    SAY(epoll_ctl(e, EPOLL_CTL_ADD, q[1], &ev));
    memset(got, 0, sizeof got);
    SAY(epoll_wait(e, got, 4, 0));
    printf("%#x %llx\n", got[0].events, (unsigned long long)got[0].data.u64);
    fflush(stdout);
    if (fork() == 0) {
        write(p[1], "x", 1);
        _exit(0);
    }
    SAY(epoll_wait(e, got, 4, -1));
    printf("%#x %llx\n", got[0].events, (unsigned long long)got[0].data.u64);
    wait(NULL);
    SAY(epoll_pwait(e, got, 4, 1, NULL));
    struct timespec t = {0, 1000000};
    SAY(syscall(SYS_epoll_pwait2, e, got, 4, &t, NULL, 8));
    SAY(epoll_ctl(e, EPOLL_CTL_DEL, p[0], NULL));
    SAY(epoll_ctl(e, EPOLL_CTL_MOD, p[0], &ev));
    SAY(epoll_wait(e, got, 0, 0));
}
