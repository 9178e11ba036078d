/* A connection over loopback between two processes; options of the connection. */
#include "call.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
int main(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, got;
    socklen_t n = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0);
    SAY(bind(l, (void *)&a, sizeof a));
    SAY(getsockname(l, (void *)&a, &n));
    IS(a.sin_port != 0);
    SAY(listen(l, 1));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int c = socket(AF_INET, SOCK_STREAM, 0);
        char b[5000], *at = b;
        if (connect(c, (void *)&a, sizeof a) != 0)
            _exit(1);
        memset(b, 'q', sizeof b);
        for (int left = sizeof b; left;) {
            ssize_t w = write(c, at, left > 1000 ? 1000 : left);
            at += w, left -= w;
        }
        shutdown(c, SHUT_WR);
        ssize_t r = read(c, b, sizeof b);
        _exit(r == 4 && memcmp(b, "done", 4) == 0 ? 0 : 2);
    }
    n = sizeof got;
    int c = accept(l, (void *)&got, &n);
    printf("%u bytes of address, loopback %d\n", n, got.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    char b[700];
    long total = 0;
    ssize_t r;
    while ((r = read(c, b, sizeof b)) > 0)
        total += r;
    printf("%ld bytes, then %zd\n", total, r);
    struct tcp_info info;
    n = sizeof info;
    OK(getsockopt(c, IPPROTO_TCP, TCP_INFO, &info, &n));
    printf("state %d\n", info.tcpi_state);
    int value = 77;
    n = 2;
    SAY(getsockopt(c, SOL_SOCKET, SO_ERROR, &value, &n));
    printf("%u bytes: %d\n", n, value);
    SAY(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)));
    n = sizeof value;
    SAY(getsockopt(c, IPPROTO_TCP, TCP_NODELAY, &value, &n));
    printf("%d\n", value);
    SAY(send(c, "done", 4, MSG_NOSIGNAL));
    int status;
    IS(waitpid(child, &status, 0) == child);
    printf("status %d\n", status);
    int x = socket(AF_INET, SOCK_STREAM, 0);
    close(l);
    SAY(connect(x, (void *)&a, sizeof a));
}
