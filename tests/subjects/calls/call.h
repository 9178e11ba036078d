/* What the subjects of this folder share. Each prints the same lines on every run; tests/run-calls compares a native
 * run, a recording and two replays. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The call and its result, or the name of its error. */
#define SAY(call) ({ long result_ = (long)(call); say(#call, result_, errno); })
/* The call, and whether it worked: for results that differ from run to run. */
#define OK(call) ({ long result_ = (long)(call); ok(#call, result_, errno); })
/* Is it so? */
#define IS(condition) printf("%s: %s\n", #condition, (condition) ? "yes" : "no")
#define SKIP(...) (printf(__VA_ARGS__), putchar('\n'), exit(77))

static inline long say(const char *text, long result, int error)
{
    if (result == -1)
        printf("%s: %s\n", text, strerrorname_np(error));
    else
        printf("%s: %ld\n", text, result);
    return result;
}

static inline long ok(const char *text, long result, int error)
{
    printf("%s: %s\n", text, result == -1 ? strerrorname_np(error) : "ok");
    return result;
}

/* A child that runs function(); its status. */
static inline int in_child(void (*function)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        function();
        fflush(stdout);
        _exit(0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

/* All bytes of a buffer, so that one that was not recorded is seen. */
static inline unsigned sum(const void *data, size_t size)
{
    unsigned s = 1;
    for (size_t i = 0; i < size; i++)
        s = s * 31 + ((const unsigned char *)data)[i];
    return s;
}
