#include "base/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int urd_log_level;

__attribute__((constructor)) static void read_level(void)
{
    const char *level = getenv("URD_LOG");
    urd_log_level = level ? atoi(level) : 0;
}

void urd_log_write(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    flockfile(stderr);
    fputs("urd: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(ap);
}

void urd_warn(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    flockfile(stderr);
    fputs("urd: warning: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(ap);
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t urd_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t urd_cpu_now_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}
