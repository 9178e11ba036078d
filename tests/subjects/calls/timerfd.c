/* Timers as descriptors: once, again and again, what is left. */
#include "call.h"
#include <sys/timerfd.h>
int main(void)
{
    int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    uint64_t n = 0;
    SAY(read(t, &n, 8));
    struct itimerspec set = {{0, 5000000}, {0, 5000000}}, old = {{9, 9}, {9, 9}};
    SAY(timerfd_settime(t, 0, &set, &old));
    printf("%ld %ld\n", old.it_value.tv_sec, old.it_interval.tv_nsec);
    SAY(poll(&(struct pollfd){.fd = t, .events = POLLIN}, 1, 1000));
    SAY(read(t, &n, 8));
    IS(n >= 1);
    SAY(timerfd_gettime(t, &old));
    printf("every %ld\n", old.it_interval.tv_nsec);
    IS(old.it_value.tv_nsec <= 5000000);
    SAY(timerfd_settime(t, 0, &(struct itimerspec){0}, &old));
    int r = timerfd_create(CLOCK_REALTIME, 0);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    set = (struct itimerspec){{0, 0}, {now.tv_sec, now.tv_nsec}};
    SAY(timerfd_settime(r, TFD_TIMER_ABSTIME, &set, NULL));
    SAY(read(r, &n, 8));
}
