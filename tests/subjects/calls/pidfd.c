/* Processes as descriptors. */
#include "call.h"
#include <linux/wait.h>
#include <sys/pidfd.h>
int main(void)
{
    int p[2], q[2];
    pipe(p);
    pipe(q);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char c;
        write(q[1], "inherited", 9);
        read(p[0], &c, 1);
        pause();
        _exit(0);
    }
    int f = pidfd_open(child, 0);
    printf("pidfd %d\n", f);
    SAY(poll(&(struct pollfd){.fd = f, .events = POLLIN}, 1, 0));
    int copy = (int)syscall(SYS_pidfd_getfd, f, q[0], 0);
    char b[16] = "";
    SAY(read(copy, b, sizeof b));
    printf("%s\n", b);
    write(p[1], "x", 1);
    SAY(pidfd_send_signal(f, SIGTERM, NULL, 0));
    SAY(poll(&(struct pollfd){.fd = f, .events = POLLIN}, 1, -1));
    siginfo_t si;
    memset(&si, 0, sizeof si);
    SAY(waitid(P_PIDFD, f, &si, WEXITED));
    printf("code %d status %d\n", si.si_code, si.si_status);
    IS(si.si_pid == child);
    SAY(pidfd_send_signal(f, 0, NULL, 0));
    /* who is told of an end by a pidfd can wait for it at once */
    for (int i = 0; i < 20; i++) {
        fflush(stdout);
        if ((child = fork()) == 0) {
            usleep(i % 3 * 300);
            _exit(7);
        }
        f = pidfd_open(child, 0);
        poll(&(struct pollfd){.fd = f, .events = POLLIN}, 1, -1);
        memset(&si, 0, sizeof si);
        waitid(P_PIDFD, f, &si, WEXITED | WNOHANG);
        printf("%d %d\n", si.si_pid == child, si.si_status);
        close(f);
    }
}
