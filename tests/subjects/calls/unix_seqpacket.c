/* Records are kept apart; MSG_EOR; MSG_PEEK with MSG_TRUNC tells a length. */
#include "call.h"
int main(void)
{
    int s[2];
    SAY(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
    SAY(send(s[0], "first record", 12, MSG_EOR));
    SAY(send(s[0], "second", 6, 0));
    char b[64] = "";
    SAY(recv(s[1], NULL, 0, MSG_PEEK | MSG_TRUNC));
    struct iovec iov = {b, sizeof b};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    SAY(recvmsg(s[1], &m, 0));
    printf("%s flags %#x\n", b, m.msg_flags);
    SAY(recvmsg(s[1], &m, 0));
    printf("%s\n", b);
    close(s[0]);
    SAY(recvmsg(s[1], &m, 0));
    SAY(send(s[1], "x", 1, MSG_NOSIGNAL));
    int none[2] = {-7, -8};
    SAY(socketpair(AF_INET, SOCK_STREAM, 0, none));
    printf("%d %d\n", none[0], none[1]);
    SAY(socketpair(AF_UNIX, 77, 0, none));
}
