/* Another root, and programs that start inside it. */
#include "call.h"
int main(void)
{
    if (geteuid() != 0)
        SKIP("chroot needs root");
    mkdir("root", 0755);
    system("cp /proc/$PPID/exe root/self 2>/dev/null; cp --parents $(ldd /bin/true | grep -o '/[^ ]*' | sort -u) root/ && cp /bin/true root/true");
    fflush(stdout);
    if (fork() == 0) {
        SAY(chroot("root"));
        SAY(chdir("/"));
        SAY(access("/etc/passwd", F_OK));
        SAY(access("/true", X_OK));
        char cwd[100];
        getcwd(cwd, sizeof cwd);
        printf("%s\n", cwd);
        fflush(stdout);
        execl("/true", "true", NULL);
        _exit(9);
    }
    int status;
    wait(&status);
    printf("%d\n", status);
    system("rm -rf root");
}
