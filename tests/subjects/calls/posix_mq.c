/* POSIX message queues.
 * link: -lrt */
#include "call.h"
#include <mqueue.h>
int main(void)
{
    struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 32}, got, old;
    mq_unlink("/urd-calls");
    mqd_t q = mq_open("/urd-calls", O_CREAT | O_RDWR | O_EXCL, 0600, &a);
    if (q < 0)
        SKIP("POSIX message queues: %s", strerrorname_np(errno));
    SAY(mq_send(q, "low", 4, 1));
    SAY(mq_send(q, "high", 5, 9));
    SAY(mq_getattr(q, &got));
    printf("%ld %ld %ld\n", got.mq_maxmsg, got.mq_msgsize, got.mq_curmsgs);
    char b[32];
    unsigned priority = 0;
    SAY(mq_receive(q, b, 32, &priority));
    printf("%s %u\n", b, priority);
    SAY(mq_receive(q, b, 31, &priority));
    SAY(mq_receive(q, b, 32, NULL));
    printf("%s\n", b);
    fflush(stdout);
    if (fork() == 0)
        _exit(mq_send(q, "child", 6, 3));
    SAY(mq_receive(q, b, 32, &priority));
    printf("%s\n", b);
    wait(NULL);
    struct timespec past = {1, 0};
    SAY(mq_timedreceive(q, b, 32, NULL, &past));
    got.mq_flags = O_NONBLOCK;
    SAY(mq_setattr(q, &got, &old));
    printf("%ld\n", old.mq_flags);
    SAY(mq_receive(q, b, 32, NULL));
    SAY(mq_unlink("/urd-calls"));
}
