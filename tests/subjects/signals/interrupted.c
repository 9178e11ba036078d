/* A handler runs while a call waits: the call fails with EINTR, or goes on. */
#include "../behaviour.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>

static volatile sig_atomic_t count;

static void note(int sig, siginfo_t *si, void *uc)
{
    count++;
}

static void in_30_ms(int flags)
{
    handle(SIGALRM, note, flags);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 30000}}, NULL);
}

static int p[2];

static void interrupted(long result)
{
    CHECK(result == -1 && errno == EINTR);
    printf("%d\n", count);
}

BEHAVIOUR(read_a_pipe)
{
    char c;
    CHECK(pipe(p) == 0);
    in_30_ms(0);
    interrupted(read(p[0], &c, 1));
}

/* A child writes after 80 ms: the handler at 30 ms must not end the call. */
static void written_in_80_ms(void)
{
    CHECK(pipe(p) == 0);
    fflush(stdout);
    if (fork() == 0) {
        sleep_ms(80);
        if (write(p[1], "x", 1) != 1)
            _exit(1);
        _exit(5);
    }
}

BEHAVIOUR(read_goes_on)
{
    char c = 0;
    written_in_80_ms();
    in_30_ms(SA_RESTART);
    printf("%ld %c %d\n", (long)read(p[0], &c, 1), c, count);
}

BEHAVIOUR(wait4_goes_on)
{
    int status;
    written_in_80_ms();
    in_30_ms(SA_RESTART);
    printf("%d ", wait(&status) > 0);
    printf("%d %d\n", WEXITSTATUS(status), count);
}

BEHAVIOUR(wait4_is_interrupted)
{
    written_in_80_ms();
    in_30_ms(0);
    interrupted(wait(NULL));
}

BEHAVIOUR(sleep_and_rest)
{
    struct timespec t = {10, 0}, rest = {0};
    in_30_ms(SA_RESTART);
    interrupted(nanosleep(&t, &rest));
    CHECK(rest.tv_sec == 9);
    in_30_ms(SA_RESTART);
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &rest) == EINTR && rest.tv_sec == 9);
    printf("%d\n", count);
}

BEHAVIOUR(poll_it)
{
    struct pollfd f = {0, POLLIN, 0};
    CHECK(pipe(p) == 0);
    f.fd = p[0];
    in_30_ms(SA_RESTART);
    interrupted(poll(&f, 1, 10000));
}

BEHAVIOUR(select_it)
{
    fd_set set;
    CHECK(pipe(p) == 0);
    FD_ZERO(&set);
    FD_SET(p[0], &set);
    in_30_ms(0);
    interrupted(select(p[0] + 1, &set, NULL, NULL, &(struct timeval){10, 0}));
}

static void mask_all_but(sigset_t *during, int sig)
{
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, sig);
    sigprocmask(SIG_BLOCK, &block, NULL);
    sigfillset(during);
    sigdelset(during, sig);
}

BEHAVIOUR(pselect_and_ppoll_with_masks)
{
    sigset_t during;
    struct timespec t = {10, 0};
    mask_all_but(&during, SIGALRM);
    in_30_ms(0);
    interrupted(pselect(0, NULL, NULL, NULL, &t, &during));
    in_30_ms(0);
    interrupted(ppoll(NULL, 0, &t, &during));
}

BEHAVIOUR(epoll_wait_it)
{
    struct epoll_event e;
    int ep = epoll_create1(0);
    in_30_ms(SA_RESTART);
    interrupted(epoll_wait(ep, &e, 1, 10000));
    sigset_t during;
    mask_all_but(&during, SIGALRM);
    in_30_ms(0);
    interrupted(epoll_pwait(ep, &e, 1, 10000, &during));
}

BEHAVIOUR(futex_wait)
{
    uint32_t word = 0;
    in_30_ms(0);
    interrupted(syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0));
}

BEHAVIOUR(futex_wait_goes_on_with_its_timeout)
{
    uint32_t word = 0;
    struct timespec t = {0, 80000000};
    in_30_ms(SA_RESTART);
    CHECK(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, NULL, 0) == -1 && (errno == ETIMEDOUT || errno == EINTR));
    printf("%d\n", count);
}

BEHAVIOUR(sigsuspend_and_pause)
{
    sigset_t during;
    mask_all_but(&during, SIGALRM);
    in_30_ms(0);
    interrupted(sigsuspend(&during));
    sigset_t set;
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
    in_30_ms(SA_RESTART);
    interrupted(pause());
}

static int listening(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(a.sun_path + 1, 100, "urd-%d", getpid());
    CHECK(bind(s, (void *)&a, sizeof a) == 0 && listen(s, 5) == 0);
    return s;
}

BEHAVIOUR(accept_it)
{
    int s = listening();
    in_30_ms(0);
    interrupted(accept(s, NULL, NULL));
}

BEHAVIOUR(recv_and_recvmsg)
{
    char c;
    struct iovec v = {&c, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
    in_30_ms(0);
    interrupted(recv(p[0], &c, 1, 0));
    in_30_ms(0);
    interrupted(recvmsg(p[0], &m, 0));
    setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){5, 0}, sizeof(struct timeval));
    in_30_ms(SA_RESTART); /* not restarted: it has a timeout */
    interrupted(recv(p[0], &c, 1, 0));
}

BEHAVIOUR(write_to_a_full_pipe)
{
    static char block[200000];
    CHECK(pipe(p) == 0);
    in_30_ms(0);
    printf("%ld ", (long)write(p[1], block, sizeof block)); /* as much as fits */
    in_30_ms(0);
    interrupted(write(p[1], block, 1));
}

BEHAVIOUR(open_a_fifo_and_lock_a_file)
{
    char name[] = "/tmp/urd-fifo-XXXXXX";
    int f = mkstemp(name);
    struct flock l = {.l_type = F_WRLCK};
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        fcntl(f, F_SETLK, &l);
        pause();
    }
    sleep_ms(20);
    in_30_ms(0);
    interrupted(fcntl(f, F_SETLKW, &l));
    kill(pid, SIGKILL);
    status_of(pid);
    unlink(name);
}

BEHAVIOUR(msgrcv_it)
{
    struct {
        long type;
        char text[8];
    } m;
    int q = msgget(IPC_PRIVATE, 0600);
    CHECK(q >= 0);
    in_30_ms(SA_RESTART);
    interrupted(msgrcv(q, &m, 8, 0, 0));
    msgctl(q, IPC_RMID, NULL);
}

BEHAVIOUR(sleep_over_a_stop) /* restart_syscall */
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec t = {0, 100000000};
        uint64_t start = now_ns();
        CHECK(nanosleep(&t, NULL) == 0);
        CHECK(now_ns() - start >= 100000000);
        struct pollfd none;
        CHECK(poll(&none, 0, 100) == 0);
        _exit(3);
    }
    for (int i = 0; i < 3; i++) {
        sleep_ms(20);
        kill(pid, SIGSTOP);
        sleep_ms(10);
        kill(pid, SIGCONT);
    }
    printf("%d\n", WEXITSTATUS(status_of(pid)));
}

BEHAVIOUR(signalfd_it)
{
    sigset_t set;
    struct signalfd_siginfo si;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, 0);
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 5});
    CHECK(read(fd, &si, sizeof si) == sizeof si);
    printf("%d %d\n", si.ssi_signo == SIGUSR1, si.ssi_int);
    in_30_ms(0);
    CHECK(read(fd, &si, sizeof si) == sizeof si);
    printf("%d %d\n", si.ssi_signo == SIGALRM, count);
}

BEHAVIOUR(timerfd_it)
{
    uint64_t n = 0;
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec t = {{0, 0}, {10, 0}};
    timerfd_settime(fd, 0, &t, NULL);
    in_30_ms(0);
    interrupted(read(fd, &n, 8));
}
