/**
 * The recorder.
 *
 * PURPOSE  Run a program and its whole process tree, and write down everything that comes in from outside.
 * NOT      Replaying.
 * CONTEXT  Traces the subject with ptrace; one task runs at a time, pinned with the recorder to one core.
 */
#ifndef URD_RECORD_RECORD_H
#define URD_RECORD_RECORD_H
#include "base/err.h"

struct urd_record_summary {
    int status; /* of the first process, as wait4 gives it */
    uint64_t events, bytes, wall_ns;
};

struct urd_record_options {
    bool
        chaos; /* random priorities, short slices, starvation: rare interleavings become frequent */
    uint64_t seed; /* of chaos */
    bool no_fast;  /* every call stops the program */
    const char *clock; /* cut or pmu (record/clock.h); NULL: the better one of those that there are */
};

/**
 * Record argv into `directory`. The subject keeps stdin, stdout, stderr, terminal and signals.
 * A program that cannot be started is URD_ERR_QUESTION; then the directory holds no trace.
 */
urd_err *urd_record_run(const char *directory, char **argv, const struct urd_record_options *o,
                        struct urd_record_summary *ret) URD_MUST_USE;

/** Name of a system call, or NULL. */
const char *urd_record_syscall_name(int number);
/** Number of a system call by name, or -1. */
int urd_record_syscall_number(const char *name);
#endif
