/* Datagrams: addresses, cut datagrams whose result is longer than what was written. */
#include "call.h"
#include <sys/un.h>
int main(void)
{
    int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un na = {AF_UNIX, "\0urd-dgram-a"}, nb = {AF_UNIX, "\0urd-dgram-b"}, got;
    SAY(bind(a, (void *)&na, 2 + 12));
    SAY(bind(b, (void *)&nb, 2 + 12));
    SAY(sendto(a, "0123456789", 10, 0, (void *)&nb, 14));
    SAY(sendto(a, "abcdefghij", 10, 0, (void *)&nb, 14));
    SAY(sendto(a, "peeked", 6, 0, (void *)&nb, 14));
    char buffer[32];
    memset(buffer, '.', sizeof buffer);
    socklen_t n = sizeof got;
    memset(&got, 0, sizeof got);
    SAY(recvfrom(b, buffer, 4, MSG_TRUNC, (void *)&got, &n));
    printf("%.12s from %u bytes %s\n", buffer, n, got.sun_path + 1);
    SAY(recvfrom(b, buffer, sizeof buffer, 0, NULL, NULL));
    printf("%.12s\n", buffer);
    SAY(recv(b, buffer, sizeof buffer, MSG_PEEK));
    SAY(recv(b, buffer, sizeof buffer, MSG_DONTWAIT));
    SAY(recv(b, buffer, sizeof buffer, MSG_DONTWAIT));
    struct iovec iov[2] = {{buffer, 3}, {buffer + 16, 3}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2, .msg_name = &got, .msg_namelen = 5};
    memset(buffer, '.', sizeof buffer);
    SAY(send(b, "none", 4, 0));
    SAY(connect(b, (void *)&na, 14));
    SAY(connect(a, (void *)&nb, 14));
    SAY(send(a, "scattered", 9, 0));
    SAY(recvmsg(b, &m, 0));
    printf("%.32s flags %#x name %u control %zu\n", buffer, m.msg_flags, m.msg_namelen, m.msg_controllen);
}
