/* Network devices by ioctl: with sizes in the number and without, with pointers inside the structure. */
#include "call.h"
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
int main(void)
{
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq list[32], r;
    memset(list, 'l', sizeof list);
    struct ifconf conf = {.ifc_len = sizeof list, .ifc_req = list};
    SAY(ioctl(s, SIOCGIFCONF, &conf));
    bool lo = false;
    for (unsigned i = 0; i < conf.ifc_len / sizeof *list; i++)
        lo |= strcmp(list[i].ifr_name, "lo") == 0;
    IS(lo);
    static const unsigned long requests[] = {SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFNETMASK, SIOCGIFMTU, SIOCGIFHWADDR, SIOCGIFINDEX, SIOCGIFTXQLEN, SIOCGIFMETRIC, SIOCGIFMAP, 0x89f7};
    for (unsigned i = 0; i < sizeof requests / sizeof *requests; i++) {
        memset(&r, 0, sizeof r);
        strcpy(r.ifr_name, "lo");
        errno = 0;
        int result = ioctl(s, requests[i], &r);
        printf("%#lx: %d %s %u\n", requests[i], result, strerrorname_np(errno), sum(&r, sizeof r));
    }
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
    struct ethtool_value value = {.cmd = ETHTOOL_GLINK};
    memset(&r, 0, sizeof r);
    strcpy(r.ifr_name, "lo");
    r.ifr_data = (void *)&info;
    SAY(ioctl(s, SIOCETHTOOL, &r));
    printf("driver '%s'\n", info.driver);
    r.ifr_data = (void *)&value;
    SAY(ioctl(s, SIOCETHTOOL, &r));
    printf("link %u\n", value.data);
    int p[2], n = -1;
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    write(p[0], "12345", 5);
    SAY(ioctl(p[1], FIONREAD, &n));
    printf("%d\n", n);
    SAY(ioctl(p[0], SIOCOUTQ, &n));
    IS(n > 0);
    SAY(ioctl(p[0], SIOCATMARK, &n));
}
