/* Does the counter count exactly what it must? Each loop is run twice, for one number of rounds and another, and the difference
 * of the counts compared with what is known: what the calls that read the counter count for themselves is in both. */
#include "trace/counter_internal.h"
#include <errno.h>
#include <unistd.h>

enum { ROUNDS = 500, TRIES = 5, LOCKS = 100000 };

#define SPECULATIVE_LOCKS 0x510825 /* AMD PMCx025, retired lock instructions: SpecLockMapCommit */

static void jumps(uint64_t n) /* one that is never taken, one that nearly always is */
{
    __asm__ volatile("1: test %0, %0\n jz 2f\n dec %0\n jnz 1b\n 2:" : "+r"(n) : : "cc");
}

static void loops(uint64_t n) /* those of rcx */
{
    __asm__ volatile("1: jrcxz 2f\n loop 1b\n 2:" : "+c"(n));
}

static void no_branches(uint64_t n) /* what must not count: jumps, calls, returns, repetitions; one that must */
{
    char bytes[64];
    __asm__ volatile("lea -128(%%rsp), %%rsp\n"
                     "1: call 2f\n jmp 3f\n 2: ret\n"
                     "3: mov %1, %%rdi\n mov $64, %%ecx\n rep stosb\n dec %0\n jnz 1b\n"
                     "lea 128(%%rsp), %%rsp"
                     : "+r"(n)
                     : "r"(bytes), "a"(0)
                     : "rdi", "rcx", "cc", "memory");
}

static void locks(uint64_t n)
{
    uint64_t word = 0;
    __asm__ volatile("1: lock addq $1, %1\n dec %0\n jnz 1b" : "+r"(n), "+m"(word) : : "cc");
}

static const struct {
    void (*run)(uint64_t n);
    uint64_t rounds;
    unsigned each; /* branches in a round */
    const char *wrong;
} tests[] = {
    {jumps, ROUNDS, 2, "it does not count conditional branches exactly"},
    {loops, ROUNDS, 2, "it does not count LOOP and JRCXZ"},
    {no_branches, ROUNDS, 1, "it counts what is no conditional branch"},
    {locks, LOCKS, 1, "it does not count exactly around locked instructions"},
};

static bool count(int fd, unsigned test, uint64_t rounds, uint64_t *ret)
{
    uint64_t before, after;
    bool ok = read(fd, &before, sizeof before) == sizeof before;
    tests[test].run(rounds);
    ok &= read(fd, &after, sizeof after) == sizeof after;
    *ret = after - before;
    return ok;
}

/** With SpecLockMap, which an MSR switches off, a Zen counts some branches twice now and then, too seldom to rely on the loops alone. */
static bool locks_are_speculated(void)
{
    URD_AUTO_CLOSE int fd = counter_perf_open(0, SPECULATIVE_LOCKS, 0);
    uint64_t before = 0, after = 0;
    if (fd < 0 || read(fd, &before, sizeof before) != sizeof before)
        return false;
    locks(LOCKS);
    return read(fd, &after, sizeof after) != sizeof after || after != before;
}

const char *urd_counter_test(const struct urd_counter_kind *k)
{
    URD_AUTO_CLOSE int fd = counter_perf_open(0, k->config, 0);
    if (fd < 0)
        return "it cannot be opened";
    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        for (unsigned n = 0; n < TRIES; n++) {
            uint64_t once, twice;
            if (!count(fd, i, tests[i].rounds, &once) || !count(fd, i, 2 * tests[i].rounds, &twice))
                return "it cannot be read";
            if (twice - once != tests[i].rounds * tests[i].each)
                return tests[i].wrong;
        }
    if (k->config == 0x5100d1 && locks_are_speculated())
        return "SpecLockMap is on: bit 54 of MSR c0011020 switches it off";
    return NULL;
}
