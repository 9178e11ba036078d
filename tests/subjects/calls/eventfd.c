/* Counters between two processes; semaphores; a counter that would block. */
#include "call.h"
#include <sys/eventfd.h>
int main(void)
{
    int a = eventfd(0, 0), b = eventfd(0, 0), s = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
    uint64_t v;
    fflush(stdout);
    if (fork() == 0) {
        for (uint64_t i = 1; i <= 5; i++) {
            eventfd_write(a, i);
            eventfd_read(b, &v);
        }
        _exit(0);
    }
    for (int i = 0; i < 5; i++) {
        SAY(read(a, &v, 8));
        printf("%llu\n", (unsigned long long)v);
        eventfd_write(b, 1);
    }
    wait(NULL);
    for (int i = 0; i < 4; i++)
        SAY(eventfd_read(s, &v));
    SAY(write(s, &(uint64_t){UINT64_MAX}, 8));
    SAY(read(s, &v, 4));
}
