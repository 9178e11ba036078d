/* poll by threads that wait: what it writes is there when it returns, and not before. */
#include "../behaviour.h"
#include <poll.h>

static struct pollfd polled = {.events = POLLIN};
static int ends[2];

static void *waits(void *arg)
{
    polled.revents = 77;
    CHECK(poll(&polled, 1, -1) == 1);
    printf("in the end %d\n", polled.revents);
    return arg;
}

static void *ends_at_once(void *arg)
{
    return arg;
}

BEHAVIOUR(an_array_is_written_in_the_end)
{
    char byte = 0;
    pthread_t t;
    CHECK(pipe(ends) == 0);
    polled.fd = ends[0];
    pthread_create(&t, NULL, ends_at_once, NULL); /* from now on poll is another way through libc */
    pthread_join(t, NULL);
    for (int i = 0; i < 100; i++)
        CHECK(write(ends[1], &byte, 1) == 1 && poll(&polled, 1, -1) == 1 &&
              read(ends[0], &byte, 1) == 1);
    pthread_create(&t, NULL, waits, NULL);
    while (polled.revents != 77)
        sleep_ms(1);
    for (int i = 0; i < 100; i++)
        sleep_ms(1);
    printf("meanwhile %d\n", polled.revents);
    fflush(stdout);
    CHECK(write(ends[1], &byte, 1) == 1);
    pthread_join(t, NULL);
}
