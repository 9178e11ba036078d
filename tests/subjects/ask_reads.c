/* Who read this: the last one, all of them, by string instructions, from another mapping, and when nobody did. */
//$ build -O0
//$ build -O1 -fno-inline
//$ index --reads
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

int secret = 5, untouched = 1;
struct { char name[300]; long id; } record = {"a name", 7}, copy;
volatile int total;
int *shown;

static int twice(void)
{
    int a = secret; //! first
    //? readers secret --at first#1 => nothing
    total += a;
    return a + *(volatile int *)&secret; //! second
}

static void duplicate(void)
{
    memcpy(&copy, &record, sizeof copy);
}

int main(void)
{
    total = twice();
    secret = 6;
    total += twice();
    //? readers secret => line third; value 6; size 4
    //? readers secret --all => line[] 51 | 23 | 20 | 23 | 20; value[] 6 | 6 | 6 | 5 | 5
    duplicate();
    //? readers 'record.name[299]' => value /0 .*/
    //? readers untouched => nothing
    //? sql "SELECT count(*) n FROM reads WHERE function = 'twice' AND line = 20 AND size = 4" => n 2
    shown = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *shown = 1;
    if (fork() == 0) {
        *shown += 1; //! child
        _exit(0);
    }
    wait(NULL);
    //! after
    //? readers *shown --at third#1 => line child; value 1; function main
    total += secret; //! third
    printf("%d\n", total + *shown);
    return 0;
}
