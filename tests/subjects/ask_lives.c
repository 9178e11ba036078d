/* One address, one piece of memory after another: what was written to the one is no history of the next. */
//$ build -O0
//$ build -O2 -fno-inline
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
volatile int *volatile p, *volatile q, *volatile h, *volatile f;

static void check(int line)
{
    __asm__ volatile("" ::"r"(line) : "memory");
}

static void *map_at(void *where, int more)
{
    return mmap(where, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | more, -1, 0);
}

int main(void)
{
    char *room = mmap(NULL, 128 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(room, 128 * PAGE); /* nothing is 64 pages above p either */
    p = map_at(room, MAP_FIXED);
    p[1] = 11; //! first_write
    munmap((void *)p, PAGE);
    p = map_at((void *)p, MAP_FIXED);
    check(1); //! fresh
    //? blame p[1] --at fresh#1 => nothing
    //? eval p[1] --at fresh#1 => answer 0
    p[1] = 12; //! second_write
    check(2); //! written_again
    //? blame p[1] --at written_again#1 => line second_write; old 0; new 12
    //? blame p[1] --at written_again#1 --all => rows 1
    p[2] = 13;
    madvise((void *)p, PAGE, MADV_DONTNEED);
    check(3); //! discarded
    //? blame p[2] --at discarded#1 => nothing
    //? eval p[2] --at discarded#1 => answer 0
    p[2] = 14; //! after_discard
    check(4);  //! refilled
    //? blame p[2] --at refilled#1 => line after_discard; old 0; new 14

    mprotect((void *)p, PAGE, PROT_READ);
    mprotect((void *)p, PAGE, PROT_READ | PROT_WRITE);
    check(5); //! protected
    //? blame p[2] --at protected#1 => line after_discard

    q = mremap((void *)p, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (char *)p + 64 * PAGE);
    check(6); //! moved
    //? blame q[2] --at moved#1 => line after_discard; old 0; new 14
    //? blame q[1] --at moved#1 => nothing
    //? blame q[1024] --at moved#1 => nothing
    q[2] = 15; //! after_move
    p = map_at((void *)p, MAP_FIXED);
    check(7); //! remapped
    //? blame q[2] --at remapped#1 => line after_move; old 14; new 15
    //? blame q[2] --at remapped#1 --all => rows 2; new[] 15 | 14
    //? blame p[2] --at remapped#1 => nothing

    volatile int *grows = map_at(NULL, 0);
    grows[2] = 19; //! before_growth
    for (int i = 2; i < 400; i++)
        grows = mremap((void *)grows, (i - 1) * PAGE, i * PAGE, MREMAP_MAYMOVE);
    check(15); //! grown
    //? blame grows[2] --at grown#1 => line before_growth; old 0; new 19

    h = sbrk(PAGE);
    h[3] = 16;
    sbrk(-PAGE);
    h = sbrk(PAGE);
    check(8); //! heap
    //? blame h[3] --at heap#1 => nothing
    h[3] = 17; //! heap_write

    int fd = memfd_create("file", 0);
    int ten = 10;
    if (pwrite(fd, &ten, sizeof ten, 16) != sizeof ten)
        return 1;
    f = mmap((void *)p, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
    check(9); //! file
    //? eval f[4] --at file#1 => answer 10
    //? blame f[2] --at file#1 => nothing
    f[4]++; //! file_write
    check(10); //! file_written
    //? blame f[4] --at file_written#1 => line file_write; old 10; new 11
    madvise((void *)f, PAGE, MADV_DONTNEED);
    check(11); //! file_discarded
    //? eval f[4] --at file_discarded#1 => answer 10
    //? blame f[4] --at file_discarded#1 => nothing

    if (fork() == 0) {
        check(12); //! child
        //? blame h[3] --at child#1 => line heap_write; new 17
        //? blame q[2] --at child#1 => line after_move; new 15
        q[2] = 18; //! child_write
        munmap((void *)h, PAGE);
        map_at((void *)h, MAP_FIXED);
        check(13); //! child_remapped
        //? blame h[3] --at child_remapped#1 => nothing
        //? blame q[2] --at child_remapped#1 => line child_write; old 15
        _exit(0);
    }
    wait(NULL);
    check(14); //! parent
    //? blame h[3] --at parent#1 => line heap_write; old 0; new 17
    //? blame q[2] --at parent#1 => line after_move
    return 0;
}
