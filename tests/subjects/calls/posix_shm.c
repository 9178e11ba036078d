/* Two processes that open the same memory by its name, each mapping it where it likes, and wait for each other in it. */
#include "call.h"
struct both { volatile int turn; char text[5000]; };
static struct both *open_it(void)
{
    int f = shm_open("/urd-calls", O_RDWR | O_CREAT, 0600);
    ftruncate(f, sizeof(struct both));
    return mmap(NULL, sizeof(struct both), PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
}
int main(void)
{
    shm_unlink("/urd-calls");
    fflush(stdout);
    if (fork() == 0) {
        mmap(NULL, 123456, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* at another address */
        struct both *b = open_it();
        while (b->turn != 1)
            usleep(300);
        printf("child reads %s\n", b->text);
        strcpy(b->text + 4500, "and the child answers");
        fflush(stdout);
        b->turn = 2;
        return 0;
    }
    struct both *b = open_it();
    strcpy(b->text, "what the parent wrote");
    b->turn = 1;
    while (b->turn != 2)
        usleep(300);
    wait(NULL);
    printf("parent reads %s\n", b->text + 4500);
    int f = shm_open("/urd-calls", O_RDWR, 0);
    SAY(pwrite(f, "by a call", 9, 4));
    printf("%.21s\n", b->text);
    SAY(ftruncate(f, 20000));
    char *more = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    strcpy(more + 15000, "far away");
    printf("%s, %.9s\n", more + 15000, more + 4);
    munmap(b, sizeof *b);
    munmap(more, 20000);
    b = open_it();
    printf("again %.9s\n", b->text);
    SAY(shm_unlink("/urd-calls"));
    SAY(shm_open("/urd-calls", O_RDWR, 0));
}
