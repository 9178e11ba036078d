/* fork, exec, vfork, pipes, signals with handlers, longjmp: a subject of the single-step oracle. */
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static sigjmp_buf back;
static volatile int caught;
static int shared_value = 3;

static void on_signal(int signal, siginfo_t *info, void *context)
{
    char text[64];
    caught += signal;
    memset(text, signal, sizeof text);
    if (signal == SIGSEGV)
        siglongjmp(back, 1);
}

static void signals(void)
{
    struct sigaction act = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &act, NULL);
    sigaction(SIGSEGV, &act, NULL);
    sigaction(SIGFPE, &act, NULL);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR1);
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(pages + 4096, 4096, PROT_NONE);
    for (int i = 0; i < 3; i++)
        if (sigsetjmp(back, 1) == 0)
            *(volatile char *)(pages + 4096 + i) = 1;
    if (sigsetjmp(back, 1) == 0)
        *(volatile uint64_t *)(pages + 4092) = ~0ull; /* half of it would be writable */
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("pushq %0; popq (%1)" : : "r"(7ull), "r"(pages + 4096) : "memory");
}

static void jumps(int depth)
{
    jmp_buf here;
    volatile int count = 0;
    int again = setjmp(here);
    count++;
    if (again < 3)
        longjmp(here, again + 1);
    if (depth)
        jumps(depth - 1);
    printf("jumped %d times\n", count);
}

static void children(char *self)
{
    int ends[2];
    char text[32] = "";
    if (pipe(ends) != 0)
        exit(1);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        shared_value = 99;
        for (int i = 0; i < 100; i++)
            text[i % 32] += (char)i;
        if (write(ends[1], "from the child", 15) != 15)
            _exit(1);
        _exit(shared_value & 7);
    }
    int status;
    if (read(ends[0], text, sizeof text) < 0)
        exit(1);
    waitpid(pid, &status, 0);
    printf("%s, status %d, value %d\n", text, WEXITSTATUS(status), shared_value);
    fflush(stdout);
    char *arguments[] = {self, "leaf", NULL};
    if (posix_spawn(&pid, self, NULL, NULL, arguments, environ) != 0)
        exit(1);
    waitpid(pid, &status, 0);
    fflush(stdout);
    pid = vfork();
    if (pid == 0) {
        shared_value++;
        execv(self, arguments);
        _exit(1);
    }
    waitpid(pid, &status, 0);
    printf("value %d\n", shared_value);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        printf("leaf\n");
        return 0;
    }
    signals();
    jumps(2);
    children(argv[0]);
    printf("caught %d\n", caught);
    return 0;
}
