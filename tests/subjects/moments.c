/* Two threads that compute side by side without system calls: most of it in intervals that end in cuts. For moments-agree, and for
 * prints-agree: sum_of is called seldom. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { VALUES = 4096, ROUNDS = 90 };

static int by_value(const void *a, const void *b)
{
    const unsigned *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

__attribute__((noinline)) static unsigned sum_of(const unsigned *values, unsigned round)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < VALUES; i++)
        sum = sum * 31 + values[i] % (round + 1);
    return sum;
}

static void *compute(void *seed)
{
    static __thread unsigned values[VALUES];
    unsigned state = *(unsigned *)seed, sum = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < VALUES; i++)
            values[i] = state = state * 1103515245 + 12345;
        qsort(values, VALUES, sizeof *values, by_value);
        sum += sum_of(values, round);
    }
    *(unsigned *)seed = sum;
    return NULL;
}

int main(void)
{
    unsigned seeds[2] = {1, 2};
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, compute, &seeds[i]);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("%u %u\n", seeds[0], seeds[1]);
    return 0;
}
