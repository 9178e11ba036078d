/* Frames that end without returning: longjmp, exceptions. And stacks that take turns. */
//$ build -O0
//$ build -O1 -fno-inline
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <ucontext.h>

static jmp_buf back;
volatile int x;

static void deep(int n)
{
    if (n == 0)
        longjmp(back, 7);
    deep(n - 1);
    x++;
}

static void throwing(int n)
{
    if (n == 0)
        throw std::runtime_error("no");
    throwing(n - 1);
    x++;
}

static void jumps()
{
    if (!setjmp(back))
        deep(5);
    x = 1; //! jumped
    x = 2; //! jumped_too
    //? stack --at jumped#1 => row 1 function jumps; row 2 function main
    //? stack --at jumped_too#1 => row 1 function jumps; row 2 function main
}

static void catches()
{
    try {
        throwing(4);
    } catch (const std::exception &e) {
        x = 3; //! caught
    }
    x = 4; //! after
    //? stack --at caught#1 => row 1 function catches; row 2 function main
    //? stack --at after#1 => row 1 function catches; row 2 function main
    //? stack --at after#2 => row 1 function catches; row 2 function main
}

static ucontext_t main_context, other_context;

static void other()
{
    for (;;) {
        x = 5; //! in_other
        swapcontext(&other_context, &main_context);
    }
}

int main()
{
    jumps();
    catches();
    catches();
    getcontext(&other_context);
    other_context.uc_stack.ss_sp = malloc(65536);
    other_context.uc_stack.ss_size = 65536;
    makecontext(&other_context, other, 0);
    for (int i = 0; i < 3; i++) {
        swapcontext(&main_context, &other_context);
        x = 6; //! in_main
    }
    //? stack --at in_other#1 => row 1 function other
    //? stack --at in_other#-1 => row 1 function other
    //? stack --at in_main#1 => row 1 function main
    //? stack --at in_main#-1 => row 1 function main
    printf("%d\n", x); //! end
    //? stack --at end#1 => row 1 function main
    //? calls deep => rows 6
    //? calls throwing => rows 10
    //? calls jumps => returned /.*/; rows 1
    //? calls catches => rows 2
    return 0;
}
