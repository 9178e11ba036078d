/* A small static program for the translator's tests: many kinds of code, few steps, no inputs. */
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static int fib(int n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static int add(int a, int b)
{
    return a + b;
}
static int sub(int a, int b)
{
    return a - b;
}
static int mul(int a, int b)
{
    return a * b;
}
static int (*const operations[])(int, int) = {add, sub, mul};

static const char *name(int v)
{
    switch (v) {
    case 0:
        return "zero";
    case 1:
        return "one";
    case 2:
        return "two";
    case 3:
        return "three";
    case 4:
        return "four";
    case 5:
        return "five";
    default:
        return "many";
    }
}

int main(void)
{
    int numbers[60];
    uint32_t seed = 1;
    for (int i = 0; i < 60; i++)
        numbers[i] = (int)((seed = seed * 1664525 + 1013904223) >> 20);
    qsort(numbers, 60, sizeof *numbers, compare);
    for (int i = 0; i < 60; i += 10)
        printf("%d ", numbers[i]);
    printf("fib %d\n", fib(12));

    /* function pointers, a switch, atomics */
    int v = 3;
    for (int i = 0; i < 30; i++)
        v = operations[i % 3](v, i) % 1000;
    printf("%d %s\n", v, name(v % 7));
    long atomic = 5, expected = 4;
    __atomic_fetch_add(&atomic, 3, __ATOMIC_SEQ_CST);
    int swapped =
        __atomic_compare_exchange_n(&atomic, &expected, 9, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    printf("%ld %ld %d\n", atomic, expected, swapped);

    /* memory: vector copies, and REP both ways, short and long */
    char *heap = malloc(40000), *other = malloc(40000);
    memset(heap, 'x', 40000);
    memcpy(other, heap, 39999);
    memmove(heap + 3, heap, 1000);
    void *to = other + 5;
    const void *from = "rep movsb";
    size_t n = 9;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    to = other + 100;
    n = 9000;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"('y') : "memory");
    to = heap + 800;
    from = heap + 808;
    n = 100;
    __asm__ volatile("std; rep movsq; cld" : "+D"(to), "+S"(from), "+c"(n) : : "memory", "cc");
    unsigned long sum = 0;
    for (int i = 0; i < 39999; i += 101)
        sum = sum * 31 + (unsigned char)heap[i] + (unsigned char)other[i];
    printf("%lu %.20s\n", sum, other);
    free(heap);
    free(other);

    /* floating point, SSE and x87; longjmp */
    double x = 1;
    long double y = 1;
    for (int i = 1; i < 20; i++) {
        x = sqrt(x + i) + sin(x);
        y = y * 1.5L + 1 / (long double)i;
    }
    printf("%.15g %.18Lg\n", x, y);
    jmp_buf jump;
    volatile int turns = 0;
    if (setjmp(jump) < 3) {
        turns++;
        longjmp(jump, turns);
    }
    printf("turns %d\n", turns);
    return 7;
}
