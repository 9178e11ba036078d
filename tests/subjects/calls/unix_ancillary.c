/* A descriptor and credentials go from a child to its parent. */
#include "call.h"
#include <sys/un.h>
int main(void)
{
    int s[2], on = 1;
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    SAY(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    pid_t child = fork();
    if (child == 0) {
        int p[2];
        pipe(p);
        write(p[1], "through the pipe", 16);
        union { char b[CMSG_SPACE(sizeof(int))]; struct cmsghdr h; } u = {0};
        struct iovec iov = {"fd", 2};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.b, .msg_controllen = sizeof u.b};
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &p[0], sizeof(int));
        _exit(sendmsg(s[0], &m, 0) == 2 ? 0 : 1);
    }
    char data[8] = "", control[256];
    memset(control, 'c', sizeof control);
    struct iovec iov = {data, sizeof data};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    SAY(recvmsg(s[1], &m, MSG_CMSG_CLOEXEC));
    printf("data %s, control %zu, flags %#x\n", data, m.msg_controllen, m.msg_flags);
    int fd = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred u;
            memcpy(&u, CMSG_DATA(c), sizeof u);
            IS(u.pid == child);
            IS(u.uid == getuid());
        } else if (c->cmsg_type == SCM_RIGHTS) {
            memcpy(&fd, CMSG_DATA(c), sizeof fd);
            printf("fd %d\n", fd);
        }
    }
    char text[32] = "";
    SAY(read(fd, text, sizeof text));
    printf("%s\n", text);
    int status;
    SAY(wait(&status) == child);
    printf("status %d\n", status);
    m.msg_controllen = 8; /* no room */
    send(s[0], "x", 1, 0);
    SAY(recvmsg(s[1], &m, 0));
    printf("flags %#x\n", m.msg_flags & MSG_CTRUNC);
}
