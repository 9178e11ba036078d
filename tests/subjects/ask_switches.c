/* Coroutines made by hand, on small stacks side by side: switches that end with a ret, and with a jump to the return address as Go's. */
//$ build -O0 -fcf-protection=none
//$ build -O2 -fno-optimize-sibling-calls -fno-ipa-icf
#include <setjmp.h>
#include <stdio.h>

/** Stack pointers of who waits. */
void switch_by_ret(void **save, void *to);
void switch_by_jump(void **save, void *to);
#define SAVE "push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15; mov %rsp, (%rdi); mov %rsi, %rsp;"
#define LOAD "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp;"
asm(".globl switch_by_ret; .type switch_by_ret, @function; switch_by_ret:" SAVE LOAD
    "ret; .size switch_by_ret, .-switch_by_ret;"
    ".globl switch_by_jump; .type switch_by_jump, @function; switch_by_jump:" SAVE LOAD
    "pop %rcx; jmp *%rcx; .size switch_by_jump, .-switch_by_jump");

enum { N = 4, TURNS = 5, DEPTH = 3 };
static void *of_main, *waits[N];
static void *stacks[N][1024] __attribute__((aligned(16)));
static int at, n_yields, sum;
static void (*switch_to)(void **save, void *to);
static jmp_buf back;

__attribute__((noinline)) void yield(int value)
{
    sum += value; //! yields
    n_yields++;
    switch_to(&waits[at], of_main);
    //? sql "SELECT count(*) AS n, sum(returned) AS r, min(depth) = max(depth) AS same FROM calls WHERE function = 'yield'" => n 40; r 32; same 1
    //? stack --at yields#7 => row 1 function yield; row 2 function descend; row 3 function descend; row 4 function descend; row 5 function descend; row 6 function body; rows 6
    //? stack --at yields#31 => row 1 function yield; row 6 function body; rows 6
    //? sql "SELECT count(*) AS n, sum(returned) AS r FROM calls WHERE function LIKE 'switch_by_%'" => n 80; r 72
}

__attribute__((noinline)) void ascend(void)
{
    sum++; //! ascends
    //? stack --at ascends#4 => row 1 function ascend; row 2 function descend; row 3 function body; rows 3
}

__attribute__((noinline)) int descend(int depth, int value)
{
    if (!depth)
        yield(value);
    else
        value += descend(depth - 1, value);
    ascend();
    return value;
    //? sql "SELECT count(*) AS n, sum(returned) AS r, max(depth) - min(depth) AS levels FROM calls WHERE function = 'descend'" => n 160; r 128; levels 3
}

__attribute__((noinline)) void throws(void)
{
    longjmp(back, 1);
}

__attribute__((noinline)) void body(void)
{
    for (int i = 0;; i++) {
        descend(DEPTH, at + i);
        if (!setjmp(back))
            throws();
        sum++; //! caught
        //? stack --at caught#3 => row 1 function body; rows 1
        //? sql "SELECT count(*) AS n, sum(returned) AS r FROM calls WHERE function = 'throws'" => n 32; r 0
    }
}

__attribute__((noinline)) void resume(int i)
{
    at = i;
    switch_to(&of_main, waits[i]);
    sum++; //! resumed
    //? sql "SELECT count(*) AS n, sum(returned) AS r, min(depth) = max(depth) AS same FROM calls WHERE function = 'resume'" => n 40; r 40; same 1
    //? sql "SELECT count(DISTINCT caller) AS callers FROM calls WHERE function IN ('resume', 'yield')" => callers 2
    //? stack --at resumed#1 => row 1 function resume; row 2 function turns; row 3 function main
    //? stack --at resumed#-1 => row 1 function resume; row 2 function turns; row 3 function main
}

__attribute__((noinline)) void turns(void (*by)(void **, void *))
{
    switch_to = by;
    for (int i = 0; i < N; i++) {
        void **sp = stacks[i] + 1024 - 2;
        *--sp = (void *)body;
        waits[i] = sp - 6;
    }
    for (int i = 0; i < N * TURNS; i++)
        resume(i % N);
    //? sql "SELECT count(*) AS n, sum(returned) AS r FROM calls WHERE function = 'turns'" => n 2; r 2
    //? sql "SELECT count(*) AS n, sum(returned) AS r, max(depth) AS deepest FROM calls WHERE function = 'body'" => n 8; r 0; deepest 0
}

int main(void)
{
    turns(switch_by_ret);
    turns(switch_by_jump);
    printf("%d %d\n", sum, n_yields);
    return 0;
    //? calls main => rows 1; returned 0
}
