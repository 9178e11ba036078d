/* Calls with arguments and results, recursion, function pointers, stacks, longjmp. */
//$ build -O0
//$ build -O2 -fno-inline -fno-ipa-cp -fno-ipa-sra -fno-optimize-sibling-calls -fno-ipa-ra -fno-ipa-icf
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

static jmp_buf back;

__attribute__((noinline)) int add(int a, int b)
{
    return a + b; //! adds
    //? calls add => args.a[] 1 | 3 | 10; returned[] 3 | 6 | 15; caller[] main | main | apply
    //? print add 'add({a}, {b})' => text[] add(1, 2) | add(3, 3) | add(10, 5)
    //? print 'add$return' '{$return}' => text[] 3 | 6 | 15
    //? print add '{a}' --if 'b == 3' => text[] 3
    //? print add '{a:x} {nosuch}' => wrong nosuch
    //? calls nosuch => wrong nosuch
}

__attribute__((noinline)) int factorial(int n)
{
    if (n < 2)
        return 1;
    return n * factorial(n - 1); //! recurses
    //? calls factorial => rows 5; args.n[] 5 | 4 | 3 | 2 | 1; returned[] 120 | 24 | 6 | 2 | 1
    //? print factorial 'n is {n}' => text[] n is 5 | n is 4 | n is 3 | n is 2 | n is 1
}

int known_as(int n) __attribute__((alias("factorial"))); /* no name that DWARF has */
    //? calls known_as => rows 5; args.n[] 5 | 4 | 3 | 2 | 1
    //? print known_as '{n}' => text[] 5 | 4 | 3 | 2 | 1

__attribute__((noinline)) int apply(int (*f)(int, int), int a)
{
    return f(a, 5); //! applies
}

__attribute__((noinline)) void deep(int n)
{
    if (!n)
        longjmp(back, 1); //! jumps
    deep(n - 1);
    printf("never\n"); //! never
    //? lines {never} => nothing
    //? calls deep => rows 4
    //? stack --at jumps#1 => row 1 function deep; row 4 function deep; row 5 function main
}

__attribute__((noinline)) void after(void)
{
    puts("after"); //! prints_after
    //? stack --at prints_after#1 => row 1 function after; row 2 function main
}

/* the dynamic linker asks once which function is meant */
static int two_more(int n)
{
    return n + 2;
}

static int (*resolve(void))(int)
{
    return two_more;
}

int chosen(int n) __attribute__((ifunc("resolve")));

int main(void)
{
    int sum = add(1, 2);
    sum = add(sum, 3);
    sum += apply(add, 10);
    sum += factorial(5);
    if (!setjmp(back))
        deep(3);
    after();
    for (int i = 0; i < 3; i++)
        sum += chosen(i);
    //? calls chosen => rows 3; args.n 2
    //? sql "SELECT count(*) AS n, max(function) AS name FROM calls WHERE function = 'chosen'" => n 3; name chosen
    printf("%d\n", sum); //! prints
    //? sql "SELECT function, count(*) AS n FROM calls WHERE function IN ('add', 'deep', 'after') GROUP BY 1 ORDER BY 1" => function[] add | after | deep; n[] 3 | 1 | 4
    //? sql "SELECT function, count(*) AS n FROM calls WHERE function LIKE 'fact%' OR function LIKE 'ap%' GROUP BY function ORDER BY function DESC" => function[] factorial | apply; n[] 5 | 1
    //? sql "SELECT function, count(*) AS n, sum(1) AS one_by_one FROM calls GROUP BY 1 HAVING n <> one_by_one" => rows 0
    //? sql "SELECT (SELECT count(*) FROM calls) - (SELECT sum(1) FROM calls) AS difference" => difference 0
    //? sql "SELECT count(*) AS n FROM calls a, calls b WHERE a.function = 'add' AND b.function = 'deep'" => n 12
    //? sql "SELECT count(DISTINCT function) AS n FROM calls WHERE function IN ('add', 'deep')" => n 2
    //? sql "SELECT count(*) = (SELECT sum(1) FROM calls) AS same FROM calls" => same 1
    //? lines {prints} => rows 1; function main
    //? lines {recurses} => function factorial
    return 0;
}
