/* For tests/scopes and tests/growing: phases of work with a system call between them; the third one is long enough for cuts in its middle. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef MIDDLE
#define MIDDLE 40000000
#endif

volatile long early, middle, late, both;
volatile uint32_t table[1024];
volatile char text[8];

__attribute__((noinline)) static void work(long *what, uint32_t rounds)
{
    uint32_t x = 1;
    for (uint32_t i = 0; i < rounds; i++) {
        x = x * 1103515245 + 12345;
        table[x >> 22] += i;
    }
    *what += x;
}

int main(void)
{
    early = 1;
    both = 1;
    work((long *)&early, 3000000);
    if (write(1, "1\n", 2) != 2)
        return 1;
    work((long *)&middle, MIDDLE);
    both = 2;
    if (write(1, "2\n", 2) != 2)
        return 1;
    text[1] = 'x';
    work((long *)&late, 2000000);
    printf("%ld %ld %ld %u\n", early, middle, late, table[7]);
    return 0;
}
