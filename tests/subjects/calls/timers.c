/* Interval timers and POSIX timers. */
#include "call.h"
static volatile int alarms, value;
static void on_alarm(int s) { alarms++; }
static void on_timer(int s, siginfo_t *si, void *u) { value = si->si_value.sival_int; }
int main(void)
{
    struct sigaction a = {.sa_handler = on_alarm}, b = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
    sigaction(SIGALRM, &a, NULL);
    sigaction(SIGRTMIN, &b, NULL);
    struct itimerval t = {{0, 0}, {0, 10000}}, old;
    memset(&old, 1, sizeof old);
    SAY(setitimer(ITIMER_REAL, &t, &old));
    printf("%ld %ld\n", old.it_value.tv_sec, old.it_value.tv_usec);
    SAY(pause());
    printf("%d alarms\n", alarms);
    SAY(getitimer(ITIMER_REAL, &old));
    printf("%ld %ld\n", old.it_value.tv_sec, old.it_value.tv_usec);
    SAY(setitimer(ITIMER_PROF, &(struct itimerval){{0, 0}, {1000, 0}}, NULL));
    SAY(getitimer(ITIMER_PROF, &old));
    IS(old.it_value.tv_sec >= 999);
    SAY(alarm(100));
    SAY(alarm(0));
    timer_t id, plain;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77};
    SAY(timer_create(CLOCK_MONOTONIC, &ev, &id));
    SAY(timer_create(CLOCK_REALTIME, NULL, &plain));
    struct itimerspec s = {{0, 0}, {0, 5000000}}, got;
    SAY(timer_settime(id, 0, &s, &got));
    printf("%ld\n", got.it_value.tv_nsec);
    while (!value)
        usleep(500);
    printf("%d\n", value);
    SAY(timer_getoverrun(id));
    SAY(timer_settime(plain, 0, &(struct itimerspec){{5, 0}, {500, 0}}, NULL));
    SAY(timer_gettime(plain, &got));
    printf("%ld %s\n", got.it_interval.tv_sec, got.it_value.tv_sec >= 499 ? "runs" : "does not run");
    SAY(timer_delete(plain));
    SAY(timer_delete(id));
    int kid;
    SAY(syscall(SYS_timer_delete, 12345));
}
