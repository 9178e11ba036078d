/* Debug information without types (gcc -g1): a result is not known to be none, it is what the register holds. */
//$ build -O0 -g1
#include <stdio.h>

__attribute__((noinline)) int twice(int n)
{
    return 2 * n;
    //? calls twice => rows 2; returned[] 0x6 | 0x8
}

int main(void)
{
    printf("%d\n", twice(3) + twice(4));
}
