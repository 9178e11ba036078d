/* Threads that are stopped in a function whose states all come again, while their callers count in their own frames. */
//$ build -O1
#include "../behaviour.h"

static volatile long *volatile rounds_done;

/* The same whoever calls it, and its caller's frame is out of sight behind its own. */
__attribute__((noipa)) static void same_again(void)
{
    volatile unsigned char bytes[6000];
    unsigned sum = 0;
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7);
    for (unsigned k = 0; k < 30; k++)
        for (unsigned i = 0; i < sizeof bytes; i++)
            sum = sum * 31 + bytes[i];
    bytes[0] = (unsigned char)sum;
}

__attribute__((noipa)) static void same_again_from_afar(void)
{
    volatile unsigned char bytes[100000];
    bytes[0] = bytes[50000] = bytes[99999] = 0;
    same_again();
}

static void *counts(void *f)
{
    volatile long i = 0;
    rounds_done = &i;
    for (; i < 1000; i++)
        ((void (*)(void))f)();
    return NULL;
}

/* What the other thread has counted is seen in the registers of a call, where a replay that took one round for another diverges. */
static void look(void (*f)(void))
{
    pthread_t t;
    pthread_create(&t, NULL, counts, (void *)f);
    while (!rounds_done)
        f();
    for (int i = 0; i < 10; i++) {
        for (int k = 0; k < 50; k++)
            f();
        lseek(-1, *rounds_done, SEEK_SET);
    }
    pthread_join(t, NULL);
    puts("counted");
}

BEHAVIOUR(in_the_callers_frame)
{
    look(same_again);
}

BEHAVIOUR(in_a_frame_far_up)
{
    look(same_again_from_afar);
}
