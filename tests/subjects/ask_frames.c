/* Frames: of a recursion each with its own values, of functions that were inlined, of those that were left by a tail call. */
//$ build -O1
//$ build -O2
#include <stdio.h>

static volatile int sink;

__attribute__((noinline)) void leaf(int at)
{
    sink = at; //! leaf
    //? stack --at leaf#1 => row 1 function leaf; row 1 inlined false; row 2 function inner; row 2 inlined true; row 3 function outer; row 3 inlined true
    //? stack --at leaf#1 => row 2 line calls_leaf; row 3 line calls_inner; row 4 line recurses_last; row 4 function recurse; row 4 inlined false
    //? stack --at leaf#1 => row 5 function recurse; row 5 args n=1; row 6 args n=2; row 7 args n=3; row 8 function main
    //? values --at leaf#1 --frame 1 => name[] a | twice; value[] 7 | 14
    //? values --at leaf#1 --frame 2 => name[] a | b; value[] 6 | 7
    //? values --at leaf#1 --frame 3 => name[] n; value[] 0
    //? values --at leaf#1 --frame 5 => name[] n; value[] 2
    //? eval a --at leaf#1 --frame 1 => answer 7
    //? eval a --at leaf#1 --frame 2 => answer 6
    //? eval b --at leaf#1 --frame 1 => answer 7
    //? eval twice --at leaf#1 --frame 2 => wrong twice
    //? eval n --at leaf#1 --frame 5 => answer 2
    //? eval n --at leaf#1 --frame 99 => wrong there is no frame 99
}

static inline __attribute__((always_inline)) void inner(int a)
{
    int twice = a * 2;
    leaf(a); //! calls_leaf
    sink = twice;
    sink = a;
}

static inline __attribute__((always_inline)) void outer(int a)
{
    int b = a + 1;
    inner(b); //! calls_inner
    sink = b;
    sink = a;
}

__attribute__((noinline, noclone)) void recurse(int n)
{
    if (n == 0)
        outer(6); //! recurses_last
    else
        recurse(n - 1);
    sink = n;
}

static inline __attribute__((always_inline)) int twist(int n)
{
    for (int i = 0; i < sink % 3; i++)
        n += sink;
    return n;
}

__attribute__((noinline, noclone)) int twisted(int n)
{
    //? sql 'SELECT count(*) AS n FROM calls WHERE function = "twisted"' => n 1
    //? sql 'SELECT count(*) AS n FROM calls WHERE function LIKE "twist%"' => n 1
    return twist(twist(n + 1) + 1);
    //? print twisted '{n}' => text[] 5
    //? print twist '{n}' => rows 2
}

static inline __attribute__((always_inline)) int both(int n)
{
    sink = n;
    return n + 1;
    //? calls both => rows 1; returned 10
    //? print both '{n}' => text[] 8 | 9
    //? print 'both$return' '{$retval}' => text[] 10
}

__attribute__((noinline, noclone)) void left(int a)
{
    sink = a; //! left
}

__attribute__((noinline, noclone)) void leaves(int a)
{
    sink = 1;
    left(a + 1);
}

int main(void)
{
    recurse(3);
    leaves(twisted(5));
    int (*volatile pointer)(int) = both;
    pointer(both(8));
    printf("%d\n", sink);
    return 0;
}
//? stack --at left#1 => row 1 function left; row 2 function leaves; row 3 function main
