/* A terminal of one's own: modes, sizes, a line typed, job control. */
#include "call.h"
#include <termios.h>
int main(void)
{
    int m = posix_openpt(O_RDWR | O_NOCTTY);
    if (m < 0)
        SKIP("no pseudo terminals");
    SAY(grantpt(m));
    SAY(unlockpt(m));
    int n = -1, locked = -1;
    SAY(ioctl(m, TIOCGPTN, &n));
    SAY(ioctl(m, TIOCGPTLCK, &locked));
    printf("locked %d\n", locked);
    char name[64];
    sprintf(name, "/dev/pts/%d", n);
    IS(strcmp(name, ptsname(m)) == 0);
    int s = open(name, O_RDWR | O_NOCTTY);
    struct termios t;
    memset(&t, 't', sizeof t);
    SAY(tcgetattr(s, &t));
    printf("%#x %#x %u\n", t.c_lflag, t.c_iflag, sum(t.c_cc, sizeof t.c_cc));
    t.c_lflag &= ~(tcflag_t)ECHO;
    SAY(tcsetattr(s, TCSANOW, &t));
    struct winsize w = {31, 97, 1, 2}, got;
    SAY(ioctl(m, TIOCSWINSZ, &w));
    SAY(ioctl(s, TIOCGWINSZ, &got));
    printf("%u x %u\n", got.ws_row, got.ws_col);
    SAY(write(m, "typed\nmore", 10));
    char b[32] = "";
    SAY(read(s, b, sizeof b));
    printf("%s", b);
    SAY(ioctl(s, FIONREAD, &n));
    printf("%d\n", n);
    SAY(write(s, "printed\n", 8));
    memset(b, 0, sizeof b);
    SAY(read(m, b, sizeof b));
    printf("%s", b);
    SAY(ioctl(s, TIOCOUTQ, &n));
    SAY(isatty(s));
    SAY(ioctl(s, TIOCGPGRP, &n));
    char buf[64];
    SAY(ttyname_r(s, buf, sizeof buf));
    fflush(stdout);
    if (fork() == 0) {
        setsid();
        SAY(ioctl(s, TIOCSCTTY, 0));
        pid_t group = 0, session = 0;
        SAY(ioctl(s, TIOCGPGRP, &group));
        SAY(ioctl(s, TIOCGSID, &session));
        IS(group == getpid() && session == getpid());
        SAY(tcsetpgrp(s, group));
        struct { unsigned f[4]; unsigned char line, cc[19]; unsigned speeds[2]; } t2;
        SAY(ioctl(s, 0x802c542a, &t2));
        printf("%u\n", t2.speeds[0]);
        fflush(stdout);
        int tty = open("/dev/tty", O_RDWR);
        IS(tty >= 0);
        return 0;
    }
    wait(NULL);
    SAY(tcflush(s, TCIFLUSH));
    SAY(ioctl(m, TIOCPKT, &(int){1}));
    tcflush(s, TCOFLUSH);
    SAY(read(m, b, 1));
    printf("packet %d\n", b[0]);
    int peer = ioctl(m, 0x5441, O_RDWR | O_NOCTTY);
    IS(peer >= 0);
}
