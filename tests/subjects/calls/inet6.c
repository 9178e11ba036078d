/* IPv6 over loopback with the packet's information. */
#include "call.h"
#include <netinet/in.h>
int main(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}, from;
    socklen_t n = sizeof a;
    int r = socket(AF_INET6, SOCK_DGRAM, 0), on = 1;
    if (r < 0 || bind(r, (void *)&a, sizeof a) != 0)
        SKIP("no IPv6 on the loopback device");
    SAY(getsockname(r, (void *)&a, &n));
    printf("%u bytes\n", n);
    SAY(setsockopt(r, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on));
    SAY(sendto(r, "to myself", 9, 0, (void *)&a, n));
    char text[32] = "", control[128];
    struct iovec iov = {text, sizeof text};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = 128, .msg_name = &from, .msg_namelen = sizeof from};
    SAY(recvmsg(r, &m, 0));
    IS(memcmp(&from.sin6_addr, &in6addr_loopback, 16) == 0);
    IS(from.sin6_port == a.sin6_port);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    printf("%s, level %d type %d length %zu\n", text, c->cmsg_level, c->cmsg_type, c->cmsg_len);
}
