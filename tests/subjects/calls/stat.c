/* Statistics of files and file systems. */
#include "call.h"
#include <sys/statfs.h>
#include <sys/statvfs.h>
int main(void)
{
    struct stat a, b;
    SAY(stat("/dev/null", &a));
    SAY(lstat("/dev/null", &b));
    IS(memcmp(&a, &b, sizeof a) == 0);
    printf("%o %lx\n", a.st_mode, (long)a.st_rdev);
    SAY(syscall(SYS_stat, "/proc/self", &a));
    SAY(syscall(SYS_lstat, "/proc/self", &a));
    printf("%o\n", a.st_mode);
    struct statfs f;
    SAY(statfs("/proc", &f));
    printf("%lx %ld\n", (long)f.f_type, f.f_namelen);
    SAY(fstatfs(open("/", O_RDONLY), &f));
    struct statvfs v;
    SAY(statvfs("/proc", &v));
    long u[4];
    SAY(syscall(SYS_ustat, 0xfffe, u));
    SAY(stat("/none", &a));
    SAY(syscall(SYS_stat, "/dev/null", NULL));
    struct statx x;
    SAY(statx(AT_FDCWD, "/none", 0, 0, &x));
    SAY(statx(0, "", AT_EMPTY_PATH, STATX_TYPE, &x));
}
