/* For the subjects that tests/run-replays runs: BEHAVIOUR(name) { ... } is run by itself when `name` is the argument. */
#ifndef BEHAVIOUR_H
#define BEHAVIOUR_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static struct behaviour {
    const char *name;
    void (*run)(void);
} behaviours[64];
static int n_behaviours;
static char **arguments;

#define BEHAVIOUR(b)                                                                                         \
    static void b(void);                                                                                     \
    __attribute__((constructor)) static void register_##b(void)                                              \
    {                                                                                                        \
        behaviours[n_behaviours++] = (struct behaviour){#b, b};                                              \
    }                                                                                                        \
    static void b(void)

/* What must hold natively, and so when recorded. */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            dprintf(1, "line %d: not (%s), errno %d\n", __LINE__, #condition, errno);                        \
            _exit(99);                                                                                       \
        }                                                                                                    \
    } while (0)

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

/* A computation without calls, of about n nanoseconds natively. */
static inline uint64_t compute(uint64_t n)
{
    uint64_t x = 88172645463325252u;
    for (uint64_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    __asm__ volatile("" : : "r"(x));
    return x;
}

static inline void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&a.sa_mask);
    CHECK(sigaction(signal, &a, NULL) == 0);
}

static inline int status_of(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        CHECK(errno == EINTR);
    return status;
}

int main(int argc, char **argv)
{
    arguments = argv;
    for (int i = 0; i < n_behaviours; i++)
        if (argc > 1 && strcmp(behaviours[i].name, argv[1]) == 0) {
            behaviours[i].run();
            return 0;
        }
    return 98;
}
#endif
