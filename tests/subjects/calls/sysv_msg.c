/* System V messages between processes. */
#include "call.h"
#include <sys/msg.h>
struct message { long type; char text[64]; };
int main(void)
{
    int id = msgget(IPC_PRIVATE, 0600);
    struct message m = {3, "a message"};
    SAY(msgsnd(id, &m, 10, 0));
    fflush(stdout);
    if (fork() == 0) {
        m = (struct message){5, "from the child"};
        msgsnd(id, &m, 15, 0);
        _exit(0);
    }
    memset(&m, '.', sizeof m);
    SAY(msgrcv(id, &m, 64, 5, 0));
    printf("%ld %s %u\n", m.type, m.text, sum(&m, sizeof m));
    wait(NULL);
    SAY(msgrcv(id, &m, 4, 0, 0));
    memset(&m, '.', sizeof m);
    SAY(msgrcv(id, &m, 4, 0, MSG_NOERROR));
    printf("%ld %.10s\n", m.type, m.text);
    SAY(msgrcv(id, &m, 4, 0, IPC_NOWAIT));
    struct msqid_ds ds;
    memset(&ds, 0, sizeof ds);
    SAY(msgctl(id, IPC_STAT, &ds));
    printf("%lu messages, %o\n", (unsigned long)ds.msg_qnum, ds.msg_perm.mode);
    struct msginfo info;
    SAY(msgctl(0, IPC_INFO, (void *)&info) >= 0);
    IS(info.msgmax > 0);
    SAY(msgctl(id, IPC_RMID, NULL));
}
