/**
 * Diagnostics on stderr, silent unless asked for.
 *
 * PURPOSE  Debug lines for whoever works on urd (URD_LOG=1), and warnings that a user must see.
 * NOT      Answers and errors: those are returned.
 */
#ifndef URD_BASE_LOG_H
#define URD_BASE_LOG_H
#include "base/err.h"

extern int urd_log_level; /* from $URD_LOG: 0 nothing, 1 main steps, 2 every stop */
void urd_log_write(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** A warning for the user: "urd: warning: ...". */
void urd_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define urd_log(level, ...)                                                                        \
    do {                                                                                           \
        if (__builtin_expect(urd_log_level >= (level), 0))                                         \
            urd_log_write(__VA_ARGS__);                                                            \
    } while (0)
uint64_t urd_now_ns(void);     /* CLOCK_MONOTONIC */
uint64_t urd_cpu_now_ns(void); /* CPU time of this thread */
#endif
