/* select and pselect6: sets, times that are left. */
#include "call.h"
#include <sys/select.h>
int main(void)
{
    int p[2];
    pipe(p);
    dup2(p[0], 70);
    fd_set r, w;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(p[0], &r);
    FD_SET(70, &r);
    FD_SET(p[1], &w);
    struct timeval tv = {5, 0};
    SAY(select(71, &r, &w, NULL, &tv));
    IS(tv.tv_sec >= 4);
    printf("%d %d %d\n", FD_ISSET(p[0], &r), FD_ISSET(70, &r), FD_ISSET(p[1], &w));
    write(p[1], "x", 1);
    FD_SET(p[0], &r);
    FD_SET(70, &r);
    SAY(select(71, &r, NULL, NULL, NULL));
    printf("%d %d\n", FD_ISSET(p[0], &r), FD_ISSET(70, &r));
    FD_ZERO(&w);
    FD_SET(p[0], &w);
    tv = (struct timeval){0, 10000};
    SAY(select(p[0] + 1, NULL, &w, NULL, &tv));
    printf("left %ld.%06ld\n", tv.tv_sec, tv.tv_usec);
    struct timespec ts = {0, 2000000};
    SAY(pselect(0, NULL, NULL, NULL, &ts, NULL));
    long six[2] = {0, 8};
    ts = (struct timespec){0, 2000000};
    SAY(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, six));
    printf("left %ld.%09ld\n", ts.tv_sec, ts.tv_nsec);
    FD_ZERO(&r);
    FD_SET(50, &r);
    SAY(select(51, &r, NULL, NULL, &tv));
}
