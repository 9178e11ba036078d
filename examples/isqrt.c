/* The bug of the classic demonstration: a cache of integer square roots that also keeps its neighbours' roots.
 *
 * When the root of n is computed, those of n - 1 and n + 1 are stored too, as they are often asked for next. It is asked
 * for 0 once: then the neighbour "before" is the slot at the other end of the cache, which gets a wrong root. Thousands of
 * calls later somebody asks for that number and the check fails, far from where the mistake was made.
 *
 * urd record ./isqrt; urd index; then three questions:
 *   urd stack                              where did it fail?  check(n=255, ...): cache said 0
 *   urd blame 'cache.root[255]'            who wrote that?     keep() called for slot 255
 *   urd calls isqrt --limit 1 / urd stack --at MOMENT          from which call?    isqrt(0)
 */
#include <assert.h>
#include <stdio.h>

enum { SLOTS = 256 };

static struct {
    int known[SLOTS];
    int root[SLOTS];
} cache;

static int lookups, computed;

static int root_of(int n)
{
    int r = 0;
    while ((r + 1) * (r + 1) <= n)
        r++;
    computed++;
    return r;
}

static void keep(unsigned slot, int root)
{
    cache.known[slot % SLOTS] = 1;
    cache.root[slot % SLOTS] = root;
}

static int isqrt(int n)
{
    lookups++;
    if (!cache.known[n]) {
        int root = root_of(n);
        keep(n, root);
        keep(n + 1, root_of(n + 1));
        keep(n - 1, root * root == n ? root - (root > 0) : root); /* for n = 0 this is slot 255 */
    }
    return cache.root[n];
}

static void check(int n, int root)
{
    if (root * root > n || (root + 1) * (root + 1) <= n)
        printf("isqrt(%d) = %d is wrong, after %d lookups\n", n, root, lookups);
    fflush(stdout);
    assert(root * root <= n && (root + 1) * (root + 1) > n);
}

int main(void)
{
    unsigned random = 12345;
    check(9, isqrt(9));
    check(0, isqrt(0)); /* the one that does the harm */
    for (int i = 0; i < 5000; i++) {
        random = random * 1103515245u + 12345u;
        int n = (int)(random >> 16) % 250 + 1;
        check(n, isqrt(n));
    }
    check(255, isqrt(255));
    printf("all right: %d lookups, %d computed\n", lookups, computed);
    return 0;
}
