/* System V shared memory, attached by two processes on their own. */
#include "call.h"
#include <sys/shm.h>
int main(void)
{
    int id = shmget(IPC_PRIVATE, 10000, 0600), p[2], q[2];
    char c;
    pipe(p);
    pipe(q);
    fflush(stdout);
    if (fork() == 0) {
        char *m = shmat(id, NULL, 0);
        read(p[0], &c, 1);
        printf("child: %s\n", m + 8000);
        strcpy(m + 100, "from the child");
        fflush(stdout);
        write(q[1], "x", 1);
        return 0;
    }
    char *m = shmat(id, NULL, 0);
    strcpy(m + 8000, "from the parent");
    write(p[1], "x", 1);
    read(q[0], &c, 1);
    wait(NULL);
    printf("parent: %s\n", m + 100);
    char *ro = shmat(id, NULL, SHM_RDONLY);
    strcpy(m + 200, "two views");
    printf("%s\n", ro + 200);
    struct shmid_ds ds;
    SAY(shmctl(id, IPC_STAT, &ds));
    printf("%zu bytes, %lu attached\n", ds.shm_segsz, (unsigned long)ds.shm_nattch);
    SAY(shmdt(ro));
    SAY(shmdt(m));
    SAY(shmdt(m));
    m = shmat(id, NULL, 0);
    printf("again: %s, %s\n", m + 100, m + 8000);
    struct shm_info info;
    SAY(shmctl(0, SHM_INFO, (void *)&info) >= 0);
    IS(info.used_ids > 0);
    SAY(shmctl(id, IPC_RMID, NULL));
    fflush(stdout);
    if (fork() == 0) {
        strcpy(m, "inherited");
        return 0;
    }
    wait(NULL);
    printf("%s\n", m);
}
