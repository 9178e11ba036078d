/*
 * Integer square roots from a cache: the classic demonstration of a bug that strikes long after it was made.
 *
 * isqrt(n) keeps the roots that it has worked out, and because callers tend to ask for neighbours next, those of n - 1 and
 * n + 1 as well. One lookup, early on, writes a wrong root into a slot that nobody looks at until thousands of
 * lookups later, when the sum of roots comes out wrong and an assertion fails. The stack then shows who noticed,
 * not who did it.
 *
 *     urd record ./isqrt
 *     urd index
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
    cache[n].root = root;
    cache[n].known = 1;
}

/* The root of n, when that of n + 1 is known: the same, or one less. */
static uint16_t root_below(uint16_t n, uint16_t root_above)
{
    return root_above * root_above > n ? root_above - 1 : root_above;
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
    store(below, root_below(below, root)); /* n is asked for as 0 once */
    store(above, compute((uint32_t)n + 1));
    return root;
}

/* Numbers that jump about, the same in every run. */
static uint16_t next(uint16_t n)
{
    return (uint16_t)(n * 25173u + 13849u) % 60000;
}

int main(void)
{
    uint16_t n = 1;
    uint64_t sum = 0;
    for (int i = 0; i < 9000; i++) {
        n = next(n);
        sum += isqrt(i == 700 ? 0 : n);
        if (i % 3000 == 2999)
            printf("%lu lookups, %lu computed, sum %llu\n", lookups, misses, (unsigned long long)sum);
    }
    for (uint32_t k = 65500; k < SLOTS; k++) {
        uint32_t root = isqrt((uint16_t)k);
        assert(root * root <= k && (root + 1) * (root + 1) > k);
    }
    printf("all is well\n");
    return 0;
}
