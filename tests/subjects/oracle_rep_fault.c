/* REP that faults in the middle: the bytes before the fault were written, the instruction never retired. */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

static sigjmp_buf back;
static char *pages;

static void on_signal(int signal, siginfo_t *info, void *context)
{
    if (pages[4000] == 5) /* the second time */
        siglongjmp(back, 1);
    pages[4000] = 5;
    mprotect(pages + 4096, 4096, PROT_READ | PROT_WRITE);
}

int main(void)
{
    struct sigaction act = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &act, NULL);
    pages = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages + 4096, 12288, PROT_NONE);
    void *to = pages + 4090;
    uint64_t n = 100;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(7) : "memory"); /* goes on after the handler */
    to = pages + 8192 - 6;
    n = 100;
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(9) : "memory"); /* never does */
    printf("%d %d\n", pages[4096 + 50], pages[8191]);
    return 0;
}
