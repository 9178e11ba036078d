/* Races on purpose: four threads lose updates of a counter and print in which order they get a lock. What comes out is decided by
 * when each of them is stopped. */
#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, ROUNDS = 12, WORK = 1500000 };
static volatile long counter;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char order[THREADS * ROUNDS + 1];
static int n;

static void *races(void *name)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < WORK; i++)
            counter = counter + 1;
        pthread_mutex_lock(&mutex);
        order[n++] = *(char *)name;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

int main(void)
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, races, &"abcd"[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    printf("%s\n%ld lost\n", order, (long)THREADS * ROUNDS * WORK - counter);
    return 0;
}
