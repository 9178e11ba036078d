/* Own host name, own mounts, own process numbers, own network. */
#include "call.h"
#include <sys/mount.h>
#include <sys/utsname.h>
static void first_process(void)
{
    printf("pid %d, parent %d\n", getpid(), getppid());
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        printf("pid %d, parent %d\n", getpid(), getppid());
        fflush(stdout);
        _exit(5);
    }
    int status;
    SAY(wait(&status) == pid);
    printf("child %d status %d\n", pid, status);
}
int main(void)
{
    struct utsname u;
    int before = open("/proc/self/ns/uts", O_RDONLY);
    if (unshare(CLONE_NEWUTS) != 0)
        SKIP("namespaces need CAP_SYS_ADMIN");
    SAY(sethostname("inside", 6));
    uname(&u);
    printf("%s\n", u.nodename);
    SAY(setns(before, CLONE_NEWUTS));
    uname(&u);
    IS(strcmp(u.nodename, "inside") != 0);
    SAY(unshare(CLONE_NEWNS));
    SAY(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    mkdir("mnt", 0700);
    SAY(mount("none", "mnt", "tmpfs", 0, "size=1m"));
    int f = open("mnt/file", O_CREAT | O_RDWR, 0600);
    SAY(write(f, "in a mount of mine", 18));
    SAY(pwrite(f, "x", 1, 2 << 20));
    close(f);
    SAY(umount2("mnt", 0));
    SAY(access("mnt/file", F_OK));
    rmdir("mnt");
    SAY(unshare(CLONE_NEWPID));
    printf("status %d\n", in_child(first_process));
    SAY(unshare(CLONE_NEWNET));
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    char list[400];
    struct { int n; void *at; } conf = {sizeof list, list};
    SAY(ioctl(s, 0x8912, &conf));
    printf("%d bytes of addresses\n", conf.n);
    SAY(unshare(CLONE_FILES | CLONE_FS | CLONE_SYSVSEM));
    SAY(unshare(0x7));
}
