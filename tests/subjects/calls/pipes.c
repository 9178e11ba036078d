/* Pipes and FIFOs: packets, sizes, blocking, nobody there. */
#include "call.h"
int main(void)
{
    int p[2], q[2];
    SAY(pipe2(p, O_DIRECT));
    write(p[1], "one", 3);
    write(p[1], "two", 3);
    char b[64] = "";
    SAY(read(p[0], b, 64));
    SAY(read(p[0], b, 64));
    SAY(fcntl(p[0], F_SETPIPE_SZ, 8192));
    SAY(fcntl(p[0], F_GETPIPE_SZ));
    pipe(q);
    static char big[200000];
    memset(big, 'p', sizeof big);
    fflush(stdout);
    if (fork() == 0) {
        close(q[0]);
        SAY(write(q[1], big, sizeof big));
        return 0;
    }
    close(q[1]);
    long total = 0, n;
    while ((n = read(q[0], big, 3000)) > 0)
        total += n;
    wait(NULL);
    printf("%ld\n", total);
    signal(SIGPIPE, SIG_IGN);
    close(p[0]);
    SAY(write(p[1], "x", 1));
    SAY(mkfifo("fifo", 0600));
    SAY(open("fifo", O_WRONLY | O_NONBLOCK));
    fflush(stdout);
    if (fork() == 0) {
        int f = open("fifo", O_WRONLY);
        write(f, "through it", 10);
        return 0;
    }
    int f = open("fifo", O_RDONLY);
    memset(b, 0, sizeof b);
    SAY(read(f, b, 64));
    printf("%s\n", b);
    wait(NULL);
    SAY(unlink("fifo"));
    SAY(dup3(1, 1, 0));
    SAY(dup3(1, 33, O_CLOEXEC));
    SAY(fcntl(33, F_GETFD));
    SAY(fcntl(1, F_DUPFD, 40));
    SAY(syscall(SYS_close_range, 33, 40, 4));
    SAY(syscall(SYS_close_range, 33, 40, 0));
    SAY(fcntl(40, F_GETFD));
}
