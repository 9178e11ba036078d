/* Calls that hardly ever wait, made to wait for another task of the subject. */
#include "call.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

/* close() waits until the other end has read what is still on its way. */
static void lingering_close(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    static char data[8 << 20];
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    SAY(bind(listener, (struct sockaddr *)&a, size));
    SAY(listen(listener, 1));
    getsockname(listener, (struct sockaddr *)&a, &size);
    fflush(stdout);
    pid_t reader = fork();
    if (reader == 0) {
        int s = socket(AF_INET, SOCK_STREAM, 0);
        connect(s, (struct sockaddr *)&a, size);
        close(listener);
        usleep(100000);
        ssize_t n, total = 0;
        while ((n = read(s, data, sizeof data)) > 0)
            total += n;
        printf("read %zd\n", total);
        exit(0);
    }
    int s = accept(listener, NULL, NULL);
    SAY(setsockopt(s, SOL_SOCKET, SO_LINGER, &(struct linger){1, 1000}, sizeof(struct linger)));
    memset(data, 'x', sizeof data);
    size_t sent = 0;
    fcntl(s, F_SETFL, O_NONBLOCK);
    while (sent < 1000000) {
        ssize_t n = write(s, data, 1000000 - sent);
        sent += n > 0 ? (size_t)n : 0;
    }
    fcntl(s, F_SETFL, 0);
    SAY(close(s));
    SAY(waitpid(reader, NULL, 0) == reader);
}

/* A filter's supervisor answers getppid(). */
static void supervised_call(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    SAY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    int f = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    IS(f >= 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        printf("getppid says %ld\n", syscall(SYS_getppid));
        exit(0);
    }
    struct seccomp_notif n = {0};
    SAY(ioctl(f, SECCOMP_IOCTL_NOTIF_RECV, &n));
    IS(n.pid == (unsigned)child);
    printf("it calls %s\n", n.data.nr == SYS_getppid ? "getppid" : "something");
    SAY(ioctl(f, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
    struct seccomp_notif_resp answer = {.id = n.id, .val = 4321};
    fflush(stdout);
    usleep(50000);
    SAY(ioctl(f, SECCOMP_IOCTL_NOTIF_SEND, &answer)); /* printed after what the child says */
    int status;
    waitpid(child, &status, 0);
    printf("status %d\n", status);
}

int main(void)
{
    lingering_close();
    supervised_call();
}
