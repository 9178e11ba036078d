/* Clocks and sleeping. */
#include "call.h"
#include <sys/timex.h>
static void nothing(int s) {}
int main(void)
{
    static const int ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI, 99};
    for (unsigned i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct timespec a = {-1, -1}, b = {-1, -1}, r;
        int x = clock_gettime(ids[i], &a), y = clock_gettime(ids[i], &b), z = clock_getres(ids[i], &r);
        printf("clock %d: %d %d %d, %s\n", ids[i], x, y, z, a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec) ? "forward" : "backward");
    }
    struct timeval tv;
    struct timezone tz = {99, 99};
    SAY(gettimeofday(&tv, &tz));
    SAY(syscall(SYS_gettimeofday, &tv, &tz));
    time_t t;
    IS(syscall(SYS_time, &t) == t);
    IS(t >= tv.tv_sec - 1 && t <= tv.tv_sec + 5);
    struct timespec s = {0, 1000000}, left = {7, 7};
    SAY(nanosleep(&s, &left));
    printf("%ld\n", left.tv_sec);
    clock_gettime(CLOCK_MONOTONIC, &s);
    s.tv_nsec += s.tv_nsec < 990000000 ? 2000000 : 0;
    SAY(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &s, NULL));
    struct sigaction a = {.sa_handler = nothing};
    sigaction(SIGALRM, &a, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 10000}}, NULL);
    SAY(nanosleep(&(struct timespec){100, 0}, &left));
    IS(left.tv_sec == 99);
    struct timex x = {.modes = 0};
    IS(adjtimex(&x) >= 0);
    IS(x.tick > 0);
    SAY(clock_settime(CLOCK_MONOTONIC, &s));
    IS(clock() >= 0);
}
