/* The kernel's list of network devices. */
#include "call.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
int main(void)
{
    int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    struct sockaddr_nl a = {.nl_family = AF_NETLINK}, from;
    SAY(bind(s, (void *)&a, sizeof a));
    socklen_t n = sizeof a;
    SAY(getsockname(s, (void *)&a, &n));
    IS(a.nl_pid == (unsigned)getpid());
    struct { struct nlmsghdr h; struct rtgenmsg g; } q = {{sizeof q, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 7, 0}, {AF_PACKET}};
    SAY(sendto(s, &q, sizeof q, 0, NULL, 0));
    bool done = false, lo = false;
    while (!done) {
        static char b[65536];
        n = sizeof from;
        ssize_t got = recvfrom(s, b, sizeof b, MSG_TRUNC, (void *)&from, &n);
        if (got < 0 || from.nl_pid != 0)
            return 1;
        for (struct nlmsghdr *h = (void *)b; NLMSG_OK(h, got); h = NLMSG_NEXT(h, got)) {
            done |= h->nlmsg_type == NLMSG_DONE;
            if (h->nlmsg_type != RTM_NEWLINK)
                continue;
            struct ifinfomsg *i = NLMSG_DATA(h);
            lo |= i->ifi_index == 1;
        }
    }
    IS(lo);
}
