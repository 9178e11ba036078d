/* Who wrote this: globals, fields, arrays, pointers, through memcpy and the kernel. */
//$ build -O0
//$ build -O1 -fno-inline
//$ build -O0 -static
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct point {
    int x, y;
    struct { uint8_t tag; double weight; } inner;
};

int counter;
struct point points[4];
struct point *picked;
char text[64];
uint64_t table[100];
volatile int never = 5;
volatile int twice;

static void count(int by)
{
    counter += by; //! counts
    //? blame counter => line counts; function count; old 6; new 10
    //? blame counter --at counts#1 => nothing
    //? blame counter --at counts#3 => line counts; old 1; new 3
    //? blame counter --all --order asc => new[] 1 | 3 | 6 | 10; old[] 0 | 1 | 3 | 6
    //? blame '*&counter' => line counts; new 10
    //? blame 'count::by' --all => wrong by
    //? eval '$rip == 0' --at 2:3 => answer 0
    //? eval '(long)$rsp > 0x1000' --at 2:3 => answer 1
    //? eval 'count::by + (long)$rsp' --at 2:3 => wrong by
}

static void move(struct point *p, int by)
{
    p->x += by; //! moves_x
    p->y = p->x * 2; //! moves_y
    p->inner.tag = (uint8_t)by; //! tags
    p->inner.weight = by / 2.0; //! weighs
}

static void copy_all(void)
{
    memcpy(&points[3], &points[1], sizeof points[0]);
}

int main(void)
{
    for (int i = 1; i <= 4; i++)
        count(i); //! calls_count
    move(&points[1], 7);
    move(&points[2], 9);
    move(&points[1], 3);
    copy_all(); //! copies
    picked = &points[2]; //! picks
    //? blame 'points[1].x' => line moves_x; old 7; new 10; function move
    //? blame 'points[1].x' --at copies#1 => line moves_x; new 10
    //? blame 'points[1].x' --all --order asc => new[] 7 | 10
    //? blame 'points[1].x' --all => new[] 10 | 7
    //? blame 'points[2].inner.tag' => line tags
    //? blame 'points[2].inner.weight' => line weighs; new 4.5; old 0
    //? blame 'points[3].y' => new 20
    //? blame 'picked->y' => line moves_y; new 18
    //? blame picked => line picks
    //? blame never => nothing
    //? blame 'points[0]' => nothing
    //? blame 'points[9].z' => wrong z
    //? blame nosuch => wrong nosuch
    //? blame 'points[' => wrong
    int fd = open("/proc/self/comm", O_RDONLY);
    if (read(fd, text, sizeof text) < 3)
        return 1;
    close(fd);
    text[0] = 'Q'; //! changes_text
    //? blame 'text[0]' => line changes_text; syscall null
    //? blame 'text[1]' => syscall read
    //? blame 'text[0]' --at changes_text#1 => syscall read; old /0.*/; new 97 'a'; function /.*read/
    for (unsigned i = 0; i < 100; i++)
        table[i] = i * i; //! fills
    //? blame 'table[50]' => line fills; new 2500
    //? blame 'table[50]' --at fills#51 => nothing
    //? blame 'table[50]' --at fills#52 => new 2500
    twice = 1;
    twice = 1; //! again
    //? blame twice => line again; old 1; new 1
    //? blame twice --all => rows 2
    printf("%d %d %s %d\n", counter, picked->y, text, twice);
    return 0;
}
