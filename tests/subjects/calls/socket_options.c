/* getsockopt: sizes asked for and sizes that come back; filters count instructions. */
#include "call.h"
#include <linux/filter.h>
int main(void)
{
    int s[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    static const int options[] = {SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN, SO_LINGER, SO_RCVTIMEO, SO_PASSCRED, SO_PEERGROUPS, SO_PEERNAME, 9999};
    for (unsigned i = 0; i < sizeof options / sizeof *options; i++)
        for (socklen_t size = 0; size < 40; size += 13) {
            unsigned char b[64];
            socklen_t n = size;
            memset(b, 'z', sizeof b);
            errno = 0;
            int r = getsockopt(s[0], SOL_SOCKET, options[i], b, &n);
            printf("option %d size %u: %d %s, %u, %u\n", options[i], size, r, strerrorname_np(errno), n, sum(b, sizeof b));
        }
    struct ucred u;
    socklen_t n = sizeof u;
    SAY(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &n));
    IS(u.pid == getpid());
    struct sock_filter code[] = {{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0}, {BPF_ALU | BPF_ADD | BPF_K, 0, 0, 1}, {BPF_RET | BPF_K, 0, 0, 100}}, back[8];
    struct sock_fprog program = {3, code};
    int d = socket(AF_INET, SOCK_DGRAM, 0);
    SAY(setsockopt(d, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
    n = 8;
    memset(back, 0, sizeof back);
    SAY(getsockopt(d, SOL_SOCKET, SO_GET_FILTER, back, &n));
    printf("%u instructions, the last returns %u\n", n, back[2].k);
    struct timeval tv = {0, 30000};
    SAY(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    char c;
    SAY(recv(s[0], &c, 1, 0));
}
