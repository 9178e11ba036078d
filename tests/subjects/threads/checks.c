/* Loops that count in one place, far behind calls whose results they check: what tells the rounds apart is a long way off. */
//$ build -O0
#include "../behaviour.h"

static volatile int goes_on = 1;
static unsigned long rounds;

#define RIGHT(call)                                                                                          \
    do {                                                                                                     \
        int error = (call);                                                                                  \
        if (error == EINTR) {                                                                                \
            fprintf(stderr, "%s, line %d: interrupted: %s\n", __FILE__, __LINE__, #call);                    \
            exit(1);                                                                                         \
        }                                                                                                    \
        if (error != 0) {                                                                                    \
            fprintf(stderr, "%s, line %d: error %d: %s\n", __FILE__, __LINE__, error, #call);                \
            exit(2);                                                                                         \
        }                                                                                                    \
    } while (0)

static void *counts(void *arg)
{
    pthread_mutex_t locks[5];
    pthread_cond_t c;
    for (int i = 0; i < 5; i++)
        RIGHT(pthread_mutex_init(&locks[i], NULL));
    while (goes_on) {
        for (int i = 0; i < 5; i++) {
            RIGHT(pthread_cond_init(&c, NULL));
            RIGHT(pthread_mutex_trylock(&locks[i]));
            RIGHT(pthread_mutex_unlock(&locks[i]));
            RIGHT(pthread_cond_destroy(&c));
            RIGHT(pthread_mutex_lock(&locks[0]));
            rounds++;
            RIGHT(pthread_mutex_unlock(&locks[0]));
        }
    }
    return NULL;
}

BEHAVIOUR(of_results_before_a_count)
{
    pthread_t t;
    pthread_create(&t, NULL, counts, NULL);
    for (int i = 0; i < 10; i++) {
        compute(100000);
        lseek(-1, (long)rounds, SEEK_SET);
        sleep_ms(20);
    }
    goes_on = 0;
    pthread_join(t, NULL);
    puts("counted");
}
