/* poll and ppoll: results, times that are left, a signal that interrupts. */
#include "call.h"
static void nothing(int s) { (void)s; }
int main(void)
{
    int p[2], q[2];
    pipe(p);
    pipe(q);
    struct pollfd f[3] = {{p[0], POLLIN, 99}, {p[1], POLLOUT, 99}, {-1, POLLIN, 99}};
    SAY(poll(f, 3, 0));
    printf("%#x %#x %#x\n", f[0].revents, f[1].revents, f[2].revents);
    write(p[1], "x", 1);
    close(q[1]);
    f[2].fd = q[0];
    SAY(poll(f, 3, -1));
    printf("%#x %#x %#x\n", f[0].revents, f[1].revents, f[2].revents);
    struct timespec t = {0, 10000000};
    struct pollfd g = {.fd = p[1], .events = POLLIN, .revents = 99};
    SAY(ppoll(&g, 1, &t, NULL));
    printf("%#x\n", g.revents);
    struct sigaction sa = {.sa_handler = nothing};
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 20000}}, NULL);
    g.revents = 99;
    SAY(poll(&g, 1, 10000));
    printf("%#x\n", g.revents);
    sigset_t mask;
    sigemptyset(&mask);
    SAY(syscall(SYS_ppoll, &g, 1, &(struct timespec){0, 5000}, &mask, 8));
    SAY(poll(NULL, 0, 3));
    SAY(poll(&(struct pollfd){.fd = 77, .events = POLLIN}, 1, -1));
    SAY(poll((void *)8, 1, 0));
}
