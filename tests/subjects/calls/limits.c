/* Resource limits, of oneself and of a child. */
#include "call.h"
int main(void)
{
    struct rlimit r, old;
    SAY(setrlimit(RLIMIT_NOFILE, &(struct rlimit){20, 40}));
    SAY(getrlimit(RLIMIT_NOFILE, &r));
    printf("%lu %lu\n", r.rlim_cur, r.rlim_max);
    SAY(dup2(1, 30));
    SAY(syscall(SYS_getrlimit, RLIMIT_CORE, &r));
    SAY(prlimit(0, RLIMIT_CORE, &(struct rlimit){0, 0}, &old));
    SAY(setrlimit(RLIMIT_FSIZE, &(struct rlimit){100, 100}));
    signal(SIGXFSZ, SIG_IGN);
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char b[200] = "";
    SAY(write(f, b, 200));
    SAY(write(f, b, 200));
    unlink("data");
    int p[2];
    char c;
    pipe(p);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        read(p[0], &c, 1);
        getrlimit(RLIMIT_NOFILE, &r);
        _exit((int)r.rlim_cur);
    }
    SAY(prlimit(child, RLIMIT_NOFILE, &(struct rlimit){9, 9}, &old));
    printf("%lu\n", old.rlim_cur);
    write(p[1], "x", 1);
    int status;
    wait(&status);
    printf("%d\n", WEXITSTATUS(status));
    SAY(setrlimit(RLIMIT_AS, &(struct rlimit){100 << 20, 100 << 20}));
    void *m = mmap(NULL, 200 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("%s\n", m == MAP_FAILED ? strerrorname_np(errno) : "mapped");
    SAY(prlimit(0, 999, NULL, &old));
    errno = 0;
    SAY(getpriority(PRIO_PROCESS, 0));
    SAY(setpriority(PRIO_PROCESS, 0, 3));
    SAY(getpriority(PRIO_PROCESS, 0));
    SAY(nice(2));
}
