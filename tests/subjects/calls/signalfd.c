/* Signals as data. */
#include "call.h"
#include <sys/signalfd.h>
int main(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int f = signalfd(-1, &set, SFD_NONBLOCK);
    struct signalfd_siginfo si[3];
    SAY(read(f, si, sizeof si));
    kill(getpid(), SIGUSR1);
    sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 4711});
    ssize_t n = SAY(read(f, si, sizeof si));
    for (int i = 0; i < (int)(n / (ssize_t)sizeof *si); i++)
        printf("signal %u code %d mine %d value %d\n", si[i].ssi_signo, si[i].ssi_code, si[i].ssi_pid == (unsigned)getpid(), si[i].ssi_int);
    kill(getpid(), SIGUSR1);
    sigset_t pending;
    SAY(sigpending(&pending));
    IS(sigismember(&pending, SIGUSR1));
    siginfo_t info;
    memset(&info, 'i', sizeof info);
    SAY(sigtimedwait(&set, &info, &(struct timespec){0, 1000}));
    IS(info.si_pid == getpid());
    SAY(sigtimedwait(&set, &info, &(struct timespec){0, 1000}));
}
