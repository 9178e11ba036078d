/* Reading and writing the memory of another process, and of oneself. */
#include "call.h"
static char there[8192] = "in the parent", here[100];
int main(void)
{
    int p[2], q[2];
    char c;
    pipe(p);
    pipe(q);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        strcpy(there, "in the child");
        strcpy(there + 5000, "far");
        write(p[1], "x", 1);
        read(q[0], &c, 1);
        printf("child has '%s' and '%s'\n", there, there + 5000);
        fflush(stdout);
        _exit(there[0] == 'I' ? 9 : 8);
    }
    read(p[0], &c, 1);
    struct iovec l[2] = {{here, 6}, {here + 50, 40}}, r[2] = {{there, 13}, {there + 5000, 4}};
    SAY(process_vm_readv(child, l, 2, r, 2, 0));
    printf("%s|%s|%s\n", here, here + 50, there);
    struct iovec w = {"IN THE CHILD, from outside", 27}, to[2] = {{there, 10}, {there + 5000, 17}};
    SAY(process_vm_writev(child, &w, 1, to, 2, 0));
    SAY(process_vm_writev(child, &w, 1, &(struct iovec){(void *)16, 10}, 1, 0));
    fflush(stdout);
    write(q[1], "x", 1);
    int status;
    wait(&status);
    printf("status %d\n", status);
    SAY(process_vm_writev(getpid(), &w, 1, &(struct iovec){here + 10, 20}, 1, 0));
    printf("%.20s\n", here + 10);
    SAY(process_vm_readv(child, l, 1, r, 1, 0));
}
