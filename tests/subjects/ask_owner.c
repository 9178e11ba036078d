/* Whose memory an address is: blocks of the allocator's, freed ones, mappings. */
//$ build -O0
//$ build -O1 -fno-inline
//$ build -O0 -static
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct node {
    int value;
    struct node *next;
} *volatile first, *volatile second;
char *volatile text, *volatile grown, *volatile old_grown, *volatile aligned, *volatile page;
char *volatile region, *volatile moved, *volatile top;
char *volatile none, *volatile theirs, *volatile childs;

static void check(int line)
{
    __asm__ volatile("" ::"r"(line) : "memory");
}

static struct node *make(int value)
{
    struct node *n = malloc(sizeof *n); //! made
    n->value = value;
    return n;
}

static void drop(struct node *n)
{
    free(n); //! dropped
}

static void *thread(void *data)
{
    theirs = calloc(3, 11); //! by_thread
    return NULL;
}

int main(void)
{
    first = make(1);
    second = make(2);
    first->next = second;
    check(1); //! both
    //? owner first --at both#1 => row 1 kind block; row 1 state live; row 1 line made; row 1 size 16; row 1 caller make; row 1 function malloc
    //? owner '(char *)second + 9' --at both#1 => row 1 offset 9; row 1 size 16; row 1 freed_line dropped
    //? owner *second --at both#1 => row 1 offset 0; row 1 size 16
    drop(second);
    check(2); //! one
    //? owner first->next --at one#1 => row 1 state freed; row 1 freed_line dropped; row 1 freed_by free; row 1 freed_caller drop
    //? owner first->next --at both#1 => row 1 state live
    text = strdup("hello");
    check(3); //! copied
    //? owner text --at copied#1 => row 1 state live; row 1 size 6; row 1 function malloc
    grown = malloc(100);
    old_grown = grown;
    grown = realloc(grown, 200000); //! grew
    check(4); //! large
    //? owner grown+5 --at large#1 => row 1 size 200000; row 1 function realloc; row 1 line grew; row 1 offset 5
    none = malloc((size_t)1 << 62);
    none = realloc(grown, (size_t)1 << 62);
    check(5); //! failed
    //? owner grown --at failed#1 => row 1 state live; row 1 size 200000; row 1 line grew
    //? owner none --at failed#1 => nothing
    grown = realloc(grown, 50); //! shrank
    free(NULL);
    check(6); //! small
    //? owner grown --at small#1 => row 1 size 50; row 1 line shrank
    void *p;
    if (posix_memalign(&p, 64, 1000) != 0) //! aligned_here
        return 1;
    aligned = p;
    check(7); //! aligned_now
    //? owner aligned+999 --at aligned_now#1 => row 1 size 1000; row 1 line aligned_here; row 1 function posix_memalign
    page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); //! page_made
    check(8); //! mapped
    //? owner page+7 --at mapped#1 => kind mapping; state mapped; function mmap; caller main; line page_made; freed_line page_gone
    munmap(page, 8192); //! page_gone
    check(9); //! unmapped
    //? owner page+7 --at unmapped#1 => kind mapping; state unmapped; size 8192; function mmap; freed_by munmap; freed_caller main; freed_line page_gone
    //? owner page+7 --at start => nothing
    region = mmap(NULL, 0x31000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); //! region_made
    mprotect(region + 0x20000, 0x1000, PROT_READ);
    munmap(region + 0x10000, 0x1000); //! hole
    check(20); //! with_hole
    //? owner region+0x10005 --at with_hole#1 => state unmapped; size 4096; line region_made; freed_line hole
    //? owner region+5 --at with_hole#1 => state mapped; line region_made; freed_line moved_here; freed_by mremap
    //? owner region+0x11000 --at with_hole#1 => state mapped; line region_made; freed null
    moved = mremap(region, 0x10000, 0x45000, MREMAP_MAYMOVE); //! moved_here
    check(21); //! moved_now
    //? owner moved+0x44fff --at moved_now#1 => state mapped; function mremap; caller main; line moved_here; freed null
    //? owner region+5 --at moved_now#1 => state unmapped; freed_by mremap; freed_line moved_here
    top = sbrk(0x5000); //! top_made
    check(22); //! top_now
    //? owner top+0x4fff --at top_now#1 => function brk; freed null
    //? sql "SELECT size, freed_by FROM allocations WHERE kind = 'mapping' AND caller = 'main' AND function = 'mmap' AND size <> 8192 ORDER BY size" => rows 3; size[] 4096 | 65536 | 131072; freed_by[] munmap | mremap | null
    //? sql "SELECT size, function FROM allocations WHERE kind = 'mapping' AND function = 'mremap' AND caller = 'main' AND freed_clock IS NULL" => rows 1; size 282624; function mremap
    pthread_t t;
    if (pthread_create(&t, NULL, thread, NULL) != 0 || pthread_join(t, NULL) != 0)
        return 1;
    free(theirs); //! freed_theirs
    check(10); //! joined
    //? owner theirs --at joined#1 => row 1 line by_thread; row 1 size 33; row 1 function calloc; row 1 freed_line freed_theirs

    if (fork() == 0) {
        free(text); //! freed_in_child
        munmap(moved, 0x1000); //! unmapped_in_child
        childs = malloc(5000); //! only_child
        check(11); //! child
        //? owner text --at child#1 => row 1 state freed; row 1 freed_line freed_in_child
        //? owner first --at child#1 => row 1 state live; row 1 line made
        //? owner moved+5 --at child#1 => state unmapped; line moved_here; freed_line unmapped_in_child
        //? owner moved+0x2000 --at child#1 => state mapped; line moved_here; freed null
        //? owner childs --at child#1 => row 1 state live; row 1 line only_child
        _exit(0);
    }
    wait(NULL);
    check(12); //! parent
    //? owner text --at parent#1 => row 1 state live; row 1 freed null
    //? owner moved+5 --at parent#1 => state mapped; freed null
    free(first); //! freed_first
    //? owner first --at child#1 => row 1 state live; row 1 freed null
    //? sql "SELECT size, freed_line FROM allocations WHERE caller = 'make' AND inherited = 0" => rows 2; size[] 16 | 16
    //? sql "SELECT count(*) AS n FROM allocations WHERE caller = 'main' AND size = 200000" => n 1
    //? owner nonsense => wrong nonsense
    return 0;
}
