/* sendmmsg, recvmmsg with a timeout, IP_PKTINFO, IP_RECVTTL, time stamps. */
#include "call.h"
#include <netinet/in.h>
static void show(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo *p = (void *)CMSG_DATA(c);
            printf("pktinfo: interface %d, to %#x\n", p->ipi_ifindex, ntohl(p->ipi_addr.s_addr));
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) {
            printf("ttl %d\n", *(int *)CMSG_DATA(c));
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMP) {
            struct timeval *tv = (void *)CMSG_DATA(c);
            printf("stamp %s\n", tv->tv_sec > 1000000 ? "there" : "wrong");
        } else {
            printf("other %d %d\n", c->cmsg_level, c->cmsg_type);
        }
    }
}
int main(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int r = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    bind(r, (void *)&a, sizeof a);
    getsockname(r, (void *)&a, &n);
    SAY(setsockopt(r, IPPROTO_IP, IP_PKTINFO, &on, sizeof on));
    SAY(setsockopt(r, IPPROTO_IP, IP_RECVTTL, &on, sizeof on));
    SAY(setsockopt(r, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on));
    SAY(connect(s, (void *)&a, sizeof a));
    struct iovec iov[3] = {{"one", 3}, {"three", 5}, {"seven..", 7}};
    struct mmsghdr out[3] = {0};
    for (int i = 0; i < 3; i++)
        out[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1}, out[i].msg_len = 99;
    SAY(sendmmsg(s, out, 3, 0));
    printf("%u %u %u\n", out[0].msg_len, out[1].msg_len, out[2].msg_len);
    char text[5][8] = {{0}}, control[5][128];
    struct sockaddr_in from[5];
    struct iovec in_iov[5];
    struct mmsghdr in[5] = {0};
    for (int i = 0; i < 5; i++) {
        in_iov[i] = (struct iovec){text[i], 7};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_iov[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = 128, .msg_name = &from[i], .msg_namelen = sizeof from[i]};
    }
    struct timespec wait = {0, 20000000};
    SAY(recvmmsg(r, in, 5, MSG_WAITFORONE, &wait));
    for (int i = 0; i < 3; i++) {
        printf("%s: %u bytes, from %#x, name %u\n", text[i], in[i].msg_len, ntohl(from[i].sin_addr.s_addr), in[i].msg_hdr.msg_namelen);
        show(&in[i].msg_hdr);
    }
    IS(wait.tv_nsec <= 20000000);
    SAY(recvmmsg(r, in, 5, MSG_DONTWAIT, NULL));
}
