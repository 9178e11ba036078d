/* System V semaphores between processes. */
#include "call.h"
#include <sys/sem.h>
union semun { int val; struct semid_ds *buf; unsigned short *array; struct seminfo *info; };
int main(void)
{
    int id = semget(IPC_PRIVATE, 5, 0600);
    unsigned short v[7] = {1, 2, 3, 4, 5, 77, 77};
    SAY(semctl(id, 0, SETALL, (union semun){.array = v}));
    SAY(semctl(id, 2, SETVAL, (union semun){.val = 0}));
    memset(v, 0xee, sizeof v);
    SAY(semctl(id, 0, GETALL, (union semun){.array = v}));
    for (int i = 0; i < 7; i++)
        printf("%x ", v[i]);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        usleep(2000);
        semop(id, &(struct sembuf){2, 1, 0}, 1);
        _exit(0);
    }
    SAY(semop(id, (struct sembuf[]){{2, -1, 0}, {0, -1, 0}}, 2));
    wait(NULL);
    SAY(semctl(id, 2, GETPID) == child || true);
    struct semid_ds ds;
    memset(&ds, 0, sizeof ds);
    SAY(semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}));
    printf("%lu %o\n", ds.sem_nsems, ds.sem_perm.mode);
    struct seminfo info;
    SAY(semctl(0, 0, IPC_INFO, (union semun){.info = &info}) >= 0);
    IS(info.semmsl > 0);
    SAY(semtimedop(id, &(struct sembuf){2, -1, 0}, 1, &(struct timespec){0, 2000000}));
    SAY(semop(id, &(struct sembuf){2, -1, IPC_NOWAIT}, 1));
    SAY(semctl(id, 0, IPC_RMID));
    SAY(semctl(id, 0, GETVAL));
}
