/*
 * Integer square roots from a cache: the classic demonstration of a bug that strikes long after it was made.
 *
 * isqrt(n) keeps the roots that it has worked out, and because callers tend to ask for neighbours next, those of n - 1
 * and n + 1 as well. One lookup, early on, leaves a wrong root in a slot that nobody looks at until ten thousand
 * lookups later, when an assertion fails. The stack then shows who noticed, not who did it:
 *
 *     urd record ./isqrt && urd index
 *     urd stack
 *     urd blame 'cache[65535].root'
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>

#define SLOTS 65536

struct slot {
    uint16_t root;
    uint16_t known;
};

static struct slot cache[SLOTS];
static unsigned long lookups, misses;

/* Newton's method. */
static uint16_t compute(uint32_t n)
{
    uint32_t guess = n;
    while (guess && guess > n / guess)
        guess = (guess + n / guess) / 2;
    return (uint16_t)guess;
}

static void store(uint16_t n, uint16_t root)
{
    if (cache[n].known)
        return;
    cache[n].root = root;
    cache[n].known = 1;
}

/* The root of n - 1, when that of n is known: the same, or one less below a square. */
static uint16_t root_below(uint16_t n, uint16_t root)
{
    return root * root == n ? root - 1 : root;
}

static uint16_t isqrt(uint16_t n)
{
    lookups++;
    if (cache[n].known)
        return cache[n].root;
    misses++;
    uint16_t root = compute(n);
    uint16_t below = n - 1, above = n + 1;
    store(n, root);
    store(below, root_below(n, root));
    store(above, compute((uint32_t)n + 1));
    return root;
}

/* Numbers that jump about, the same in every run. */
static uint16_t next(void)
{
    static uint32_t state = 251;
    state = state * 1103515245u + 12345u;
    return (uint16_t)(state >> 16);
}

static void check(uint32_t n, uint32_t root)
{
    assert(root * root <= n && (root + 1) * (root + 1) > n);
}

int main(void)
{
    for (int i = 1; i <= 20000; i++) {
        uint16_t n = next();
        check(n, isqrt(n));
        if (i % 2000 == 0) {
            printf("%lu lookups, %lu of them computed\n", lookups, misses);
            fflush(stdout);
        }
    }
    printf("all is well\n");
    return 0;
}
