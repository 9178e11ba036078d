/* The newer way to mount. */
#include "call.h"
#include <linux/mount.h>
int main(void)
{
    if (unshare(CLONE_NEWNS) != 0)
        SKIP("mounting needs CAP_SYS_ADMIN");
    int f = (int)syscall(SYS_fsopen, "tmpfs", 1);
    printf("fd %d\n", f);
    SAY(syscall(SYS_fsconfig, f, 1, "size", "1m", 0));
    SAY(syscall(SYS_fsconfig, f, 1, "nonsense", "1m", 0));
    char b[256];
    long n = read(f, b, sizeof b);
    IS(n > 0);
    SAY(syscall(SYS_fsconfig, f, 6, NULL, NULL, 0));
    int m = (int)syscall(SYS_fsmount, f, 1, 0);
    printf("fd %d\n", m);
    SAY(mkdirat(m, "inside", 0700));
    mkdir("mnt", 0700);
    SAY(syscall(SYS_move_mount, m, "", AT_FDCWD, "mnt", 4));
    SAY(access("mnt/inside", F_OK));
    int t = (int)syscall(SYS_open_tree, AT_FDCWD, "mnt", 1);
    IS(t >= 0);
    uint64_t attr[4] = {1, 0, 0, 0};
    SAY(syscall(SYS_mount_setattr, AT_FDCWD, "mnt", 0, attr, sizeof attr));
    SAY(mkdir("mnt/more", 0700));
    SAY(umount2("mnt", 2));
    rmdir("mnt");
}
