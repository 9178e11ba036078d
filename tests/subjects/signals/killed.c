/* SIGKILL in the middle of anything, and a process that takes all its memory away. */
#include "../behaviour.h"

static void *sleeps_and_computes(void *arg)
{
    for (;;) {
        compute(100);
        sleep_ms(0);
    }
    return arg;
}

static void makes_threads(void)
{
    for (;;) {
        pthread_t t;
        if (pthread_create(&t, NULL, sleeps_and_computes, NULL) != 0)
            pause();
        pthread_setname_np(t, "short");
        sched_yield();
    }
}

static void makes_children(void)
{
    for (;;) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        waitpid(pid, NULL, 0);
    }
}

static void writes_to_itself(void)
{
    int p[2];
    char c[4096] = "";
    CHECK(pipe(p) == 0);
    for (;;) {
        CHECK(write(p[1], c, sizeof c) == sizeof c);
        CHECK(read(p[0], c, sizeof c) == sizeof c);
    }
}

static void maps_and_faults(void)
{
    for (;;) {
        char *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(m, 1, 1 << 20);
        munmap(m, 1 << 20);
    }
}

static void handles(int signal)
{
}

static void signals_itself(void)
{
    signal(SIGUSR1, handles);
    for (;;)
        raise(SIGUSR1);
}

static void computes(void)
{
    for (;;)
        compute(1000);
}

static void sleeps(void)
{
    for (;;)
        usleep(1);
}

/** After 0, 0.1, 0.2 and so on milliseconds. */
static void kill_many(void (*what)(void))
{
    int killed = 0;
    for (int i = 0; i < 30; i++) {
        pid_t pid = fork();
        if (pid == 0)
            what();
        usleep((useconds_t)i * 100);
        kill(pid, SIGKILL);
        killed += WTERMSIG(status_of(pid)) == SIGKILL;
    }
    printf("%d\n", killed);
}

BEHAVIOUR(while_it_makes_threads)
{
    kill_many(makes_threads);
}

BEHAVIOUR(while_it_makes_children)
{
    kill_many(makes_children);
}

BEHAVIOUR(while_it_writes_to_a_pipe)
{
    kill_many(writes_to_itself);
}

BEHAVIOUR(while_it_maps_memory)
{
    kill_many(maps_and_faults);
}

BEHAVIOUR(while_it_signals_itself)
{
    kill_many(signals_itself);
}

BEHAVIOUR(while_it_computes)
{
    kill_many(computes);
}

BEHAVIOUR(while_it_sleeps)
{
    kill_many(sleeps);
}

BEHAVIOUR(by_nobody_all_memory_is_gone)
{
    pid_t pid = fork();
    if (pid == 0)
        syscall(SYS_munmap, 0, 0x7ffffffff000);
    printf("%d\n", WTERMSIG(status_of(pid)));
}
