/* Few instructions that take long, without a system call: segments have to begin in the middle of it. */
#include <stdint.h>
#include <stdio.h>

static uint64_t table[1000];

static uint64_t slow(uint64_t n)
{
    __asm__ volatile(".rept 30; pause; .endr");
    return table[n % 1000] += n * 7;
}

int main(void)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 20000; i++)
        sum += slow(i) ^ i;
    printf("%llu\n", (unsigned long long)sum);
    return 0;
}
