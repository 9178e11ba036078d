/**
 * A run that never was: the isqrt example, made up line by line, for tests of server and UI.
 *
 * PURPOSE  Every moment, frame, value, write, output and event of a small run, so that the mock
 * engine's answers agree with each other as the real engine's do. NOT      A replay. Six to nine
 * instructions a line are claimed; nobody executes them.
 */
#ifndef URD_TESTS_SERVER_MOCK_H
#define URD_TESTS_SERVER_MOCK_H
#include <stdbool.h>
#include <stdint.h>

enum { MOCK_DEPTH = 4, MOCK_LOCALS = 3, MOCK_CACHE = 67, MOCK_LINE_STEPS = 7 };
enum mock_function {
    MOCK_MAIN,
    MOCK_FILL,
    MOCK_ISQRT,
    MOCK_STORE,
    MOCK_CHECK,
    MOCK_LOOKUP,
    MOCK_FUNCTIONS
};

struct mock_frame {
    enum mock_function function;
    int line, call; /* call: index of the moment at which it was called */
    int locals[MOCK_LOCALS];
};

/** One execution of a line. */
struct mock_moment {
    uint64_t event, steps, clock;
    int depth; /* frames; the last is the innermost */
    struct mock_frame frames[MOCK_DEPTH];
    int cache[MOCK_CACHE]; /* value[64], hits, misses */
};

struct mock_write {
    int moment; /* index */
    uint64_t address;
    int old, new_;
    const char *syscall; /* or NULL */
};

struct mock_event {
    uint64_t number, clock;
    int moment; /* index of the first moment after it */
    const char *kind, *syscall, *text;
    int64_t result;
    char output[96]; /* of write(2), or "" */
    int fd;
};

struct mock_call {
    int from, to, returned; /* indices of moments; to is -1 when it did not return */
    bool has_result;
};

struct mock_run {
    struct mock_moment *moments;
    int n_moments, c_moments;
    struct mock_write *writes;
    int n_writes, c_writes;
    struct mock_event *events;
    int n_events, c_events;
    struct mock_call *calls;
    int n_calls, c_calls;
};

extern const char *const mock_function_names[MOCK_FUNCTIONS];
extern const char *const mock_local_names[MOCK_FUNCTIONS][MOCK_LOCALS];
extern const int mock_arguments[MOCK_FUNCTIONS]; /* how many of the locals are arguments */
extern const char *const mock_source[];          /* lines of isqrt.c, NULL at the end */
extern const uint64_t mock_cache_address;

uint64_t mock_local_address(int depth, int slot);
void mock_run_init(struct mock_run *r);
void mock_run_deinit(struct mock_run *r);
#endif
