/* Ends as its first argument says. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_interrupt(int signal)
{
    if (write(1, "interrupted\n", 12) != 12)
        _exit(1);
    _exit(42);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    printf("going to end by %s\n", how);
    fflush(stdout);
    if (!strcmp(how, "segv"))
        *(volatile int *)argc = 1;
    if (!strcmp(how, "fpe")) {
        volatile int zero = argc - 2;
        printf("%d\n", argc / zero);
    }
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "term"))
        kill(getpid(), SIGTERM);
    if (!strcmp(how, "kill"))
        kill(getpid(), SIGKILL);
    if (!strcmp(how, "ill"))
        __builtin_trap();
    if (!strcmp(how, "handler"))
        signal(SIGINT, on_interrupt);
    if (!strcmp(how, "handler") || !strcmp(how, "wait"))
        for (;;)
            pause();
    if (!strcmp(how, "repetition")) /* is ended from outside, nearly always in the middle of an instruction */
        for (char *area = malloc(64 << 20);;) {
            char *to = area;
            size_t n = 64 << 20;
            __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(1) : "memory");
        }
    if (!strcmp(how, "orphan") && fork() == 0) { /* goes on after its parent is gone */
        usleep(100000);
        printf("the child ends\n");
        return 9;
    }
    return how[0] >= '0' && how[0] <= '9' ? atoi(how) : 3;
}
