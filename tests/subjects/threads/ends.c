/* How a process with threads ends or becomes another one. */
#include "../behaviour.h"
#include <spawn.h>

extern char **environ;
static _Atomic int ready;

static void *goes_on(void *arg)
{
    sleep_ms(20);
    printf("the last thread\n");
    return arg;
}

BEHAVIOUR(the_first_thread_ends_before_others)
{
    pthread_t t;
    pthread_create(&t, NULL, goes_on, NULL);
    pthread_exit(NULL);
}

static void *sleeps(void *arg)
{
    ready++;
    sleep_ms(100000);
    return arg;
}

static void *computes(void *arg)
{
    ready++;
    for (;;)
        compute(1000);
    return arg;
}

static void start(int n, void *(*function)(void *))
{
    pthread_t t;
    for (int i = 0; i < n; i++)
        CHECK(pthread_create(&t, NULL, function, NULL) == 0);
    while (ready < n)
        sched_yield();
}

BEHAVIOUR(exit_while_others_sleep) //$ status 3
{
    start(10, sleeps);
    exit(3);
}

static void *exits(void *arg)
{
    exit(4);
    return arg;
}

BEHAVIOUR(exit_by_another_thread) //$ status 4
{
    start(3, sleeps);
    pthread_t t;
    pthread_create(&t, NULL, exits, NULL);
    pthread_join(t, NULL);
    puts("never");
}

BEHAVIOUR(return_from_main_while_others_compute)
{
    start(3, computes);
    puts("main returns");
}

static void *crashes(void *arg)
{
    *(volatile int *)arg = 1;
    return arg;
}

BEHAVIOUR(a_thread_crashes) //$ status 139
{
    start(3, sleeps);
    pthread_t t;
    pthread_create(&t, NULL, crashes, NULL);
    pthread_join(t, NULL);
}

BEHAVIOUR(a_thread_crashes_while_others_compute) //$ status 139
{
    start(3, computes);
    pthread_t t;
    pthread_create(&t, NULL, crashes, NULL);
    pthread_join(t, NULL);
}

static void *aborts(void *arg)
{
    abort();
    return arg;
}

BEHAVIOUR(a_thread_aborts) //$ status 134
{
    start(2, sleeps);
    aborts(NULL);
}

static void *execs(void *arg)
{
    execl("/bin/echo", "echo", "a new program", NULL);
    return arg;
}

BEHAVIOUR(exec_by_another_thread)
{
    start(5, sleeps);
    pthread_t t;
    pthread_create(&t, NULL, execs, NULL);
    pthread_join(t, NULL);
    puts("never");
}

BEHAVIOUR(exec_by_the_first_thread)
{
    start(5, sleeps);
    execs(NULL);
}

BEHAVIOUR(exec_while_others_compute)
{
    start(3, computes);
    pthread_t t;
    pthread_create(&t, NULL, execs, NULL);
    pthread_join(t, NULL);
}

BEHAVIOUR(exec_that_fails)
{
    start(2, sleeps);
    CHECK(execl("/is/not/there", "x", NULL) == -1 && errno == ENOENT);
    puts("still here");
}

static void *forks(void *arg)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(6);
    CHECK(WEXITSTATUS(status_of(pid)) == 6);
    return arg;
}

BEHAVIOUR(fork_by_threads)
{
    pthread_t t[8];
    start(2, sleeps);
    for (int i = 0; i < 8; i++)
        pthread_create(&t[i], NULL, forks, NULL);
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    puts("forked");
}

static void *forks_and_threads(void *arg)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) { /* threads in the child of a thread */
        pthread_t t;
        pthread_create(&t, NULL, goes_on, NULL);
        pthread_join(t, NULL);
        exit(0);
    }
    CHECK(status_of(pid) == 0);
    return arg;
}

BEHAVIOUR(threads_in_the_child_of_a_thread)
{
    pthread_t t;
    pthread_create(&t, NULL, forks_and_threads, NULL);
    pthread_join(t, NULL);
}

static void *spawns(void *arg)
{
    char *argv[] = {"true", NULL};
    pid_t pid;
    CHECK(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) == 0);
    CHECK(status_of(pid) == 0);
    argv[0] = "false";
    CHECK(posix_spawnp(&pid, "false", NULL, NULL, argv, environ) == 0);
    CHECK(WEXITSTATUS(status_of(pid)) == 1);
    return arg;
}

BEHAVIOUR(posix_spawn_by_threads)
{
    pthread_t t[4];
    start(2, sleeps);
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, spawns, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    puts("spawned");
}

static void *vforks(void *arg)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execl("/bin/true", "true", NULL);
        _exit(9);
    }
    CHECK(status_of(pid) == 0);
    pid = vfork();
    if (pid == 0)
        _exit(7);
    CHECK(WEXITSTATUS(status_of(pid)) == 7);
    return arg;
}

BEHAVIOUR(vfork_by_threads_while_others_compute)
{
    pthread_t t[3];
    start(1, computes);
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, vforks, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    puts("vforked");
}
