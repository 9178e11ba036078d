#include "tests/server_mock.h"
#include "base/buf.h"
#include <stdio.h>

const char *const mock_function_names[] = {"main", "fill", "isqrt", "store", "check", "lookup"};
const char *const mock_local_names[][MOCK_LOCALS] = {{0},        {"upto", "n"},        {"n", "r"},
                                                     {"n", "r"}, {"upto", "n", "got"}, {"n"}};
const int mock_arguments[] = {0, 1, 1, 2, 1, 1};
const uint64_t mock_cache_address = 0x404060;

const char *const mock_source[] = {
    /* 1 */ "/* A cache of integer square roots that also stores a neighbour's root. */",
    "#include <assert.h>",
    "#include <stdio.h>",
    "",
    "struct cache {",
    "    int value[64];",
    "    int hits, misses;",
    "    const char *name;",
    "};",
    /* 10 */ "",
    "static struct cache cache = {.name = \"roots\"};",
    "",
    "static int isqrt(int n)",
    "{",
    "    int r = 0;",
    "    while ((r + 1) * (r + 1) <= n)",
    "        r++;",
    "    return r;",
    "}",
    /* 20 */ "",
    "static int store(int n, int r)",
    "{",
    "    if (n < 0)",
    "        return -1;",
    "    cache.value[n] = r;",
    "    if (n % 31 == 30)",
    "        cache.value[n - 1] = r - 1; /* wrong: 29 is not below 25 */",
    "    return 0;",
    "}",
    /* 30 */ "",
    "static void fill(int upto)",
    "{",
    "    for (int n = 0; n <= upto; n++) {",
    "        store(n, isqrt(n));",
    "        cache.misses++;",
    "    }",
    "    printf(\"filled up to %d\\n\", upto);",
    "}",
    "",
    /* 40 */ "static int lookup(int n)",
    "{",
    "    cache.hits++;",
    "    return cache.value[n];",
    "}",
    "",
    "static void check(int upto)",
    "{",
    "    for (int n = 0; n <= upto; n++) {",
    "        int got = lookup(n);",
    /* 50 */ "        printf(\"isqrt(%d) = %d\\n\", n, got);",
    "        assert(got * got <= n && (got + 1) * (got + 1) > n);",
    "    }",
    "}",
    "",
    "int main(void)",
    "{",
    "    puts(\"start\");",
    "    fill(40);",
    "    check(40);",
    /* 60 */ "    return 0;",
    "}",
    NULL};

struct machine {
    struct mock_run *r;
    struct mock_moment now;
    struct mock_frame *top;
};

uint64_t mock_local_address(int depth, int slot)
{
    return 0x7ffe4000 - (uint64_t)depth * 64 + (uint64_t)slot * 4;
}

/** The innermost frame arrives at a line. */
static void line(struct machine *m, int number)
{
    m->top->line = number;
    URD_PUSH(m->r->moments, m->r->n_moments, m->r->c_moments) = m->now;
    m->now.steps += MOCK_LINE_STEPS;
    m->now.clock += MOCK_LINE_STEPS;
}

static void wrote(struct machine *m, uint64_t address, int old, int new_, const char *syscall)
{
    struct mock_write w = {m->r->n_moments - 1, address, old, new_, syscall};
    URD_PUSH(m->r->writes, m->r->n_writes, m->r->c_writes) = w;
}

static void set(struct machine *m, int slot, int value)
{
    wrote(m, mock_local_address(m->now.depth - 1, slot), m->top->locals[slot], value, NULL);
    m->top->locals[slot] = value;
}

static void set_cache(struct machine *m, int i, int value)
{
    wrote(m, mock_cache_address + 4 * (uint64_t)i, m->now.cache[i], value, NULL);
    m->now.cache[i] = value;
}

static void enter(struct machine *m, enum mock_function f, int a, int b)
{
    struct mock_frame frame = {.function = f, .call = m->r->n_moments - 1, .locals = {a, b}};
    m->now.frames[m->now.depth++] = frame;
    m->top = &m->now.frames[m->now.depth - 1];
    URD_PUSH(m->r->calls, m->r->n_calls, m->r->c_calls) =
        (struct mock_call){m->r->n_moments, -1, 0, false};
}

static void leave(struct machine *m, bool has_result, int result)
{
    for (int i = m->r->n_calls - 1; i >= 0; i--)
        if (m->r->calls[i].to < 0) {
            m->r->calls[i] =
                (struct mock_call){m->r->calls[i].from, m->r->n_moments - 1, result, has_result};
            break;
        }
    m->now.depth--;
    m->top = &m->now.frames[m->now.depth - 1];
}

static struct mock_event *event(struct machine *m, const char *kind, const char *call,
                                int64_t result, const char *text)
{
    m->now.event++;
    m->now.steps = 0;
    m->now.clock += 1;
    struct mock_event e = {
        m->now.event, m->now.clock, m->r->n_moments, kind, call, text, result, "", 0};
    URD_PUSH(m->r->events, m->r->n_events, m->r->c_events) = e;
    return &m->r->events[m->r->n_events - 1];
}

static void print(struct machine *m, int fd, const char *text)
{
    struct mock_event *e = event(m, "syscall", "write", (int64_t)strlen(text), "write");
    snprintf(e->output, sizeof e->output, "%s", text);
    e->fd = fd;
}

static int isqrt(struct machine *m, int n)
{
    enter(m, MOCK_ISQRT, n, -1);
    line(m, 15);
    set(m, 1, 0);
    line(m, 16);
    while ((m->top->locals[1] + 1) * (m->top->locals[1] + 1) <= n) {
        line(m, 17);
        set(m, 1, m->top->locals[1] + 1);
        line(m, 16);
    }
    line(m, 18);
    int r = m->top->locals[1];
    leave(m, true, r);
    return r;
}

static void store(struct machine *m, int n, int r)
{
    enter(m, MOCK_STORE, n, r);
    line(m, 23);
    line(m, 25);
    set_cache(m, n, r);
    line(m, 26);
    if (n % 31 == 30) {
        line(m, 27);
        set_cache(m, n - 1, r - 1);
    }
    line(m, 28);
    leave(m, true, 0);
}

static void fill(struct machine *m, int upto)
{
    enter(m, MOCK_FILL, upto, 0);
    line(m, 33);
    for (int n = 0; n <= upto; n++) {
        set(m, 1, n);
        line(m, 34);
        store(m, n, isqrt(m, n));
        line(m, 35);
        set_cache(m, 65, m->now.cache[65] + 1);
        line(m, 33);
    }
    line(m, 37);
    print(m, 1, "filled up to 40\n");
    leave(m, false, 0);
}

static bool check(struct machine *m, int upto)
{
    enter(m, MOCK_CHECK, upto, 0);
    line(m, 48);
    for (int n = 0; n <= upto; n++) {
        set(m, 1, n);
        line(m, 49);
        enter(m, MOCK_LOOKUP, n, 0);
        line(m, 42);
        set_cache(m, 64, m->now.cache[64] + 1);
        line(m, 43);
        int got = m->now.cache[n];
        leave(m, true, got);
        set(m, 2, got);
        line(m, 50);
        char text[64];
        snprintf(text, sizeof text, "isqrt(%d) = %d\n", n, got);
        print(m, 1, text);
        line(m, 51);
        if (got * got > n || (got + 1) * (got + 1) <= n)
            return false;
        line(m, 48);
    }
    leave(m, false, 0);
    return true;
}

void mock_run_init(struct mock_run *r)
{
    *r = (struct mock_run){0};
    struct machine m = {.r = r};
    static const char *const calls[] = {"execve", "brk",  "mmap",  "openat",
                                        "read",   "mmap", "close", "arch_prctl"};
    for (int i = 0; i < 8; i++) {
        event(&m, i ? "syscall" : "exec", calls[i], i == 3 ? 3 : 0, calls[i]);
        m.now.clock += 400;
    }
    event(&m, "syscall", "fstat", 0, "fstat");
    enter(&m, MOCK_MAIN, 0, 0);
    line(&m, 57);
    wrote(&m, mock_cache_address + 264, 0, 0x402010, "execve");
    print(&m, 1, "start\n");
    line(&m, 58);
    fill(&m, 40);
    line(&m, 59);
    if (!check(&m, 40)) {
        print(&m, 2,
              "isqrt: isqrt.c:51: check: Assertion `got * got <= n && (got + 1) * (got + 1) > n' "
              "failed.\n");
        event(&m, "signal", NULL, 6, "SIGABRT");
    }
    line(&m, 51);
}

void mock_run_deinit(struct mock_run *r)
{
    free(r->moments);
    free(r->writes);
    free(r->events);
    free(r->calls);
}
