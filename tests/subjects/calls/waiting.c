/* Ways to wait for children, and what they write when there is nothing to tell. */
#include "call.h"
int main(void)
{
    int p[2], status = 77;
    char c;
    pipe(p);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        read(p[0], &c, 1);
        _exit(42);
    }
    struct rusage u;
    memset(&u, 0xee, sizeof u);
    SAY(wait4(child, &status, WNOHANG, &u));
    printf("%d\n", status);
    siginfo_t si;
    memset(&si, 's', sizeof si);
    SAY(waitid(P_PID, child, &si, WEXITED | WNOHANG));
    printf("%d %d %u\n", si.si_pid, si.si_signo, sum(&si, sizeof si));
    memset(&si, 's', sizeof si);
    SAY(waitid(P_PID, 1, &si, WEXITED));
    printf("%d\n", si.si_signo);
    write(p[1], "x", 1);
    SAY(waitid(P_ALL, 0, &si, WEXITED | WNOWAIT));
    IS(si.si_pid == child);
    printf("%d %d\n", si.si_code, si.si_status);
    memset(&u, 0, sizeof u);
    IS(wait4(-1, &status, 0, &u) == child);
    printf("%d\n", WEXITSTATUS(status));
    IS(u.ru_maxrss > 0);
    SAY(wait4(-1, &status, 0, NULL));
    SAY(waitid(P_PGID, 0, NULL, WEXITED));
}
