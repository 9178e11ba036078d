/* Events of a directory. */
#include "call.h"
#include <sys/inotify.h>
int main(void)
{
    mkdir("watched", 0700);
    int f = inotify_init1(IN_NONBLOCK);
    SAY(inotify_add_watch(f, "watched", IN_CREATE | IN_DELETE | IN_MOVE | IN_CLOSE_WRITE));
    close(open("watched/a", O_CREAT | O_WRONLY, 0600));
    rename("watched/a", "watched/b");
    unlink("watched/b");
    char b[4096] __attribute__((aligned(8)));
    int n = 0;
    ioctl(f, FIONREAD, &n);
    printf("%d bytes\n", n);
    ssize_t got = read(f, b, sizeof b);
    for (char *at = b; at < b + got;) {
        struct inotify_event *e = (void *)at;
        printf("%#x %s %s\n", e->mask, e->name, e->cookie ? "cookie" : "");
        at += sizeof *e + e->len;
    }
    SAY(read(f, b, sizeof b));
    SAY(inotify_rm_watch(f, 1));
    SAY(inotify_rm_watch(f, 1));
    SAY(read(f, b, 8));
    rmdir("watched");
}
