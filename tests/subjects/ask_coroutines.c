/* Coroutines: stacks that take turns neither grow nor end what runs on another one. */
//$ build -O0
//$ build -O2
#include <stdio.h>
#include <ucontext.h>

#ifndef TURNS
#define TURNS 20000
#endif
static ucontext_t mine, first, second;
static volatile int sum;

__attribute__((noinline)) static void add(int n)
{
    sum += n; //! adds
    //? calls add => rows 40000
    //? sql 'SELECT max(depth) < 40 AS shallow FROM calls' => shallow 1
    //? stack --at adds#-1 => row 1 function add; row 2 function turns; row 3 function run_second; rows 3
    //? stack --at adds#1001 => row 1 function add; row 2 function turns; row 3 function run_first; rows 3
}

__attribute__((noinline)) static void turns(ucontext_t *own, ucontext_t *other)
{
    for (int i = 0; i < TURNS; i++) {
        add(i);
        swapcontext(own, other);
        //? sql "SELECT count(*) AS n, sum(returned) AS r FROM calls WHERE function = 'swapcontext'" => n 40001; r 40000
    }
    //? sql "SELECT count(*) AS n, sum(returned) AS r FROM calls WHERE function = 'turns'" => n 2; r 1
    //? calls run_first => rows 1; caller null
}

static void run_first(void)
{
    turns(&first, &second);
}

static void run_second(void)
{
    turns(&second, &first);
}

static char stacks[2][1 << 16];

static void begin(ucontext_t *c, char *stack, void (*f)(void))
{
    getcontext(c);
    c->uc_stack.ss_sp = stack;
    c->uc_stack.ss_size = sizeof stacks[0];
    c->uc_link = &mine;
    makecontext(c, f, 0);
}

int main(void)
{
    begin(&first, stacks[0], run_first);
    begin(&second, stacks[1], run_second);
    swapcontext(&mine, &first);
    printf("%d\n", sum);
    //? calls main => rows 1; returned 0
    return 0;
}
