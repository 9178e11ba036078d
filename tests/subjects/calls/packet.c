/* A packet socket sees what is sent over loopback. */
#include "call.h"
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
int main(void)
{
    int p = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
    if (p < 0)
        SKIP("packet sockets need CAP_NET_RAW");
    struct sockaddr_ll here = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = (int)if_nametoindex("lo")}, from;
    SAY(bind(p, (void *)&here, sizeof here));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(47113), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int u = socket(AF_INET, SOCK_DGRAM, 0);
    SAY(sendto(u, "look at this", 12, 0, (void *)&a, sizeof a));
    unsigned char b[200];
    for (;;) {
        socklen_t n = sizeof from;
        ssize_t got = recvfrom(p, b, sizeof b, 0, (void *)&from, &n);
        if (got != 40 || memcmp(b + 28, "look at this", 12) != 0)
            continue;
        printf("%zd bytes, protocol %d, type %d, name %u\n", got, b[9], from.sll_hatype, n);
        break;
    }
}
