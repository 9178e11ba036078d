/* What a child gets of its parent's memory, and advice that is only partly taken. */
#include "call.h"
#define P 4096

static void child(char *m)
{
    unsigned char there;
    pid_t pid = fork();
    if (pid == 0) {
        printf("wiped %d kept %d", m[P], m[2 * P]);
        printf(" copied %d\n", mincore(m + 3 * P, P, &there) == 0);
        m[P] = 'c';
        fflush(stdout);
        if (m[2 * P] == 'm' && fork() == 0) {
            printf("wiped again %d kept %d\n", m[P], m[2 * P]);
            exit(0);
        }
        wait(NULL);
        exit(0);
    }
    waitpid(pid, NULL, 0);
}

int main(void)
{
    char *m = mmap(NULL, 8 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(m, 'm', 8 * P);
    SAY(madvise(m + P, P, MADV_WIPEONFORK));
    SAY(madvise(m + 3 * P, P, MADV_DONTFORK));
    fflush(stdout);
    child(m);
    SAY(madvise(m + P, P, MADV_KEEPONFORK));
    SAY(madvise(m + 3 * P, P, MADV_DOFORK));
    fflush(stdout);
    child(m);
    munmap(m + 5 * P, P);
    printf("over a hole: %d\n", madvise(m + 4 * P, 3 * P, MADV_DONTNEED) == -1 && errno == ENOMEM);
    printf("%d %d %d\n", m[4 * P], m[6 * P], m[7 * P]);
    for (int i = 0; i < 4; i++) { /* from one place: the later ones do not stop the program */
        memset(m + 4 * P, 'm', P);
        memset(m + 6 * P, 'm', P);
        int result = madvise(m + 4 * P, 3 * P, MADV_DONTNEED);
        printf("again %d: %d %d\n", result, m[4 * P], m[6 * P]);
    }
    unsigned char there[4] = "....";
    m[4 * P] = 'x';
    printf("failed: %d, but told: %d %d\n", mincore(m + 4 * P, 2 * P, there) == -1 && errno == ENOMEM, there[0] & 1, there[1]);
    SAY(mlock(m + 7 * P, P));
    printf("locked: %d\n", madvise(m + 7 * P, P, 24 /* MADV_DONTNEED_LOCKED */) == 0);
    printf("%d\n", m[7 * P]);
    printf("poison: %d\n", madvise(m, P, 12346));
    return 0;
}
