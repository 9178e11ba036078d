/* Stream sockets with a path: lengths of addresses that come back, also cut ones. */
#include "call.h"
#include <sys/un.h>
int main(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX}, got;
    snprintf(a.sun_path, sizeof a.sun_path, "s.%d", 1);
    unlink(a.sun_path);
    int l = socket(AF_UNIX, SOCK_STREAM, 0);
    SAY(bind(l, (void *)&a, sizeof a));
    SAY(listen(l, 5));
    fflush(stdout);
    if (fork() == 0) {
        int c = socket(AF_UNIX, SOCK_STREAM, 0);
        SAY(connect(c, (void *)&a, sizeof a));
        socklen_t n = sizeof got;
        memset(&got, 'x', sizeof got);
        SAY(getpeername(c, (void *)&got, &n));
        printf("peer %s, %u bytes, %u\n", got.sun_path, n, sum(&got, sizeof got));
        SAY(send(c, "hello", 5, 0));
        SAY(shutdown(c, SHUT_WR));
        char b[16] = "";
        SAY(recv(c, b, sizeof b, MSG_WAITALL));
        printf("%s\n", b);
        return 0;
    }
    memset(&got, 'x', sizeof got);
    socklen_t n = sizeof got;
    int c = accept(l, (void *)&got, &n);
    printf("accepted %d, %u bytes, family %d, %u\n", c, n, got.sun_family, sum(&got, sizeof got));
    n = 4;
    memset(&got, 'y', sizeof got);
    SAY(getsockname(c, (void *)&got, &n));
    printf("own name: %u bytes, %.2s, %u\n", n, got.sun_path, sum(&got, sizeof got));
    char b[16] = "";
    SAY(read(c, b, sizeof b));
    SAY(read(c, b + 8, 8));
    printf("%s\n", b);
    fflush(stdout);
    SAY(write(c, "answer", 6));
    fflush(stdout);
    close(c);
    wait(NULL);
    SAY(accept4(l, NULL, NULL, SOCK_NONBLOCK | 0x40000000));
    fcntl(l, F_SETFL, O_NONBLOCK);
    SAY(accept4(l, NULL, NULL, SOCK_CLOEXEC));
    unlink(a.sun_path);
}
