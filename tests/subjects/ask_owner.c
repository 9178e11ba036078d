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
    page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(8); //! mapped
    //? owner page+7 --at mapped#1 => kind mapping; function mmap
    munmap(page, 8192);
    check(9); //! unmapped
    //? owner page+7 --at unmapped#1 => nothing
    pthread_t t;
    if (pthread_create(&t, NULL, thread, NULL) != 0 || pthread_join(t, NULL) != 0)
        return 1;
    free(theirs); //! freed_theirs
    check(10); //! joined
    //? owner theirs --at joined#1 => row 1 line by_thread; row 1 size 33; row 1 function calloc; row 1 freed_line freed_theirs

    if (fork() == 0) {
        free(text); //! freed_in_child
        childs = malloc(5000); //! only_child
        check(11); //! child
        //? owner text --at child#1 => row 1 state freed; row 1 freed_line freed_in_child
        //? owner first --at child#1 => row 1 state live; row 1 line made
        //? owner childs --at child#1 => row 1 state live; row 1 line only_child
        _exit(0);
    }
    wait(NULL);
    check(12); //! parent
    //? owner text --at parent#1 => row 1 state live; row 1 freed null
    free(first); //! freed_first
    //? owner first --at child#1 => row 1 state live; row 1 freed null
    //? sql "SELECT size, freed_line FROM allocations WHERE caller = 'make' AND inherited = 0" => rows 2; size[] 16 | 16
    //? sql "SELECT count(*) AS n FROM allocations WHERE caller = 'main' AND size = 200000" => n 1
    //? owner nonsense => wrong nonsense
    return 0;
}
