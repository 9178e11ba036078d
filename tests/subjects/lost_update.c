/* Two threads read a balance, think, and write it back: correct unless one is stopped in the twenty instructions between. The mutex
 * makes each access atomic and the bug no less. Natively it never fails; chaos finds it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int balance = 100;

static int get(void)
{
    pthread_mutex_lock(&lock);
    int value = balance;
    pthread_mutex_unlock(&lock);
    return value;
}

static void set(int value)
{
    pthread_mutex_lock(&lock);
    balance = value;
    pthread_mutex_unlock(&lock);
}

static void *deposit(void *unused)
{
    for (int i = 0; i < 20; i++) {
        int value = get();
        for (volatile int k = 0; k < 100; k++)
            ;
        set(value + 1);
    }
    return unused;
}

int main(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, deposit, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("balance %d\n", balance);
    fflush(stdout);
    if (balance != 140)
        abort();
    return 0;
}
