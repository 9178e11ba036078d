/* Locks between processes: asked for, refused, waited for. */
#include "call.h"
#include <sys/file.h>
int main(void)
{
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600), p[2];
    char c;
    pipe(p);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20};
    SAY(fcntl(f, F_SETLK, &l));
    SAY(flock(f, LOCK_EX));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int g = open("data", O_RDWR);
        struct flock q = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 100};
        SAY(fcntl(g, F_GETLK, &q));
        printf("%d from %ld, %ld bytes\n", q.l_type, q.l_start, q.l_len);
        IS(q.l_pid == getppid());
        q = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1};
        SAY(fcntl(g, F_SETLK, &q));
        SAY(flock(g, LOCK_EX | LOCK_NB));
        fflush(stdout);
        write(p[1], "x", 1);
        SAY(fcntl(g, F_SETLKW, &q));
        SAY(flock(g, LOCK_SH));
        q = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1};
        SAY(fcntl(g, F_OFD_GETLK, &q));
        printf("%d %d\n", q.l_type, q.l_pid != 0);
        fflush(stdout);
        _exit(0);
    }
    read(p[0], &c, 1);
    usleep(3000);
    l.l_type = F_UNLCK;
    SAY(fcntl(f, F_SETLK, &l));
    SAY(flock(f, LOCK_UN));
    int status;
    wait(&status);
    printf("%d\n", status);
    SAY(lockf(f, F_TLOCK, 5));
    struct f_owner_ex o = {F_OWNER_PID, getpid()}, back = {0};
    SAY(fcntl(f, F_SETOWN_EX, &o));
    SAY(fcntl(f, F_GETOWN_EX, &back));
    IS(back.pid == getpid());
    uint64_t hint = 9;
    SAY(fcntl(f, F_GET_RW_HINT, &hint));
    printf("%llu\n", (unsigned long long)hint);
    SAY(fcntl(f, F_SETLEASE, F_RDLCK));
    unlink("data");
}
