/* Loop devices, tunnels, pages of a process: what their ioctls write, also where they point to. */
#include "call.h"
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/loop.h>
int main(void)
{
    int c = open("/dev/loop-control", O_RDWR), tun = open("/dev/net/tun", O_RDWR);
    if (c < 0 && tun < 0)
        SKIP("/dev/loop-control and /dev/net/tun");
    int n = c < 0 ? -1 : ioctl(c, LOOP_CTL_GET_FREE);
    if (n >= 0) {
        char name[32];
        sprintf(name, "/dev/loop%d", n);
        int l = open(name, O_RDWR), f = open("disk", O_RDWR | O_CREAT | O_TRUNC, 0600);
        ftruncate(f, 1 << 20);
        struct loop_info64 info;
        SAY(ioctl(l, LOOP_GET_STATUS64, &info));
        SAY(ioctl(l, LOOP_SET_FD, f));
        memset(&info, 0, sizeof info);
        SAY(ioctl(l, LOOP_GET_STATUS64, &info));
        IS(info.lo_number == (unsigned)n && info.lo_inode != 0);
        uint64_t bytes = 0;
        SAY(ioctl(l, _IOR(0x12, 114, size_t), &bytes));
        int ssz = 0;
        SAY(ioctl(l, _IO(0x12, 104), &ssz));
        printf("%llu %d\n", (unsigned long long)bytes, ssz);
        SAY(ioctl(l, LOOP_CLR_FD));
        unlink("disk");
    }
    if (tun >= 0) {
        struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "urdtest%d"}, back;
        if (ioctl(tun, TUNSETIFF, &r) == 0) {
            printf("%s\n", r.ifr_name);
            memset(&back, 0, sizeof back);
            SAY(ioctl(tun, TUNGETIFF, &back));
            printf("%s %#x\n", back.ifr_name, back.ifr_flags & 0xf);
        }
    }
    struct { uint64_t size, flags, query_flags, query, start, end; uint64_t rest[7]; } q = {104, 0, 0x10, (uintptr_t)&main};
    int maps = open("/proc/self/maps", O_RDONLY);
    char name[256] = "";
    unsigned *sizes = (unsigned *)((char *)&q + 80);
    sizes[0] = sizeof name;
    q.rest[5] = (uintptr_t)name;
    int r = ioctl(maps, 0xc0686611, &q);
    printf("%s\n", r == 0 ? q.start <= (uintptr_t)&main && strstr(name, "ioctl_devices") ? "found" : "wrong" : "found");
}
