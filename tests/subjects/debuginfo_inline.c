/* Inlining: one line, several places. */
#include <stdio.h>
volatile int sink;

static inline __attribute__((always_inline)) int square(int n)
{
    int result = n * n;
    sink = result; // stop: n; result
    return result;
}

static inline __attribute__((always_inline)) int sum_of_squares(int a, int b)
{
    return square(a) + square(b);
}

__attribute__((noinline)) int compute(int x, int y)
{
    int total = sum_of_squares(x, y);
    for (int i = 0; i < 3; i++)
        total += square(i + x);
    sink = total; // stop: total
    return total;
}

int main(int argc, char **argv)
{
    int r = compute(argc + 2, argc + 3);
    printf("%d\n", r); // stop: r
    return 0;
}
