/* Directories, links, times, and the calls that end in "at". */
#include "call.h"
#include <dirent.h>
#include <linux/openat2.h>
static int compare(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }
int main(void)
{
    SAY(mkdir("d", 0700));
    int d = open("d", O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 50; i++) {
        char n[16];
        sprintf(n, "file-%02d", i);
        close(openat(d, n, O_CREAT | O_WRONLY, 0600));
    }
    SAY(symlinkat("file-07", d, "link"));
    SAY(linkat(d, "file-08", d, "hard", 0));
    SAY(mknodat(d, "fifo", S_IFIFO | 0600, 0));
    SAY(mkdirat(d, "sub", 0755));
    char b[700], *names[100];
    int n = 0;
    long got;
    while ((got = syscall(SYS_getdents64, d, b, sizeof b)) > 0)
        for (char *at = b; at < b + got; at += *(unsigned short *)(at + 16))
            names[n++] = strdup(at + 19);
    qsort(names, n, sizeof *names, compare);
    printf("%d names, %s %s %s\n", n, names[0], names[2], names[n - 1]);
    char target[16];
    memset(target, '.', sizeof target);
    SAY(readlinkat(d, "link", target, 4));
    printf("%.8s\n", target);
    struct stat st;
    SAY(fstatat(d, "hard", &st, 0));
    printf("%lu links, %o\n", (unsigned long)st.st_nlink, st.st_mode);
    SAY(fchmodat(d, "hard", 0640, 0));
    SAY(faccessat(d, "hard", R_OK, AT_EACCESS));
    struct timespec ts[2] = {{1000, 1}, {2000, 2}};
    SAY(utimensat(d, "hard", ts, 0));
    struct statx sx;
    memset(&sx, 's', sizeof sx);
    SAY(statx(d, "hard", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &sx));
    printf("%lld %u %o\n", (long long)sx.stx_mtime.tv_sec, sx.stx_mtime.tv_nsec, sx.stx_mode);
    SAY(renameat2(d, "hard", d, "link", RENAME_EXCHANGE));
    SAY(renameat2(d, "hard", d, "link", RENAME_NOREPLACE));
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_BENEATH};
    SAY(syscall(SYS_openat2, d, "../d/sub", &how, sizeof how));
    int s = (int)syscall(SYS_openat2, d, "sub", &how, sizeof how);
    printf("fd %d\n", s);
    SAY(unlinkat(d, "sub", 0));
    SAY(unlinkat(d, "sub", AT_REMOVEDIR));
    SAY(fchdir(d));
    char cwd[4096];
    IS(getcwd(cwd, sizeof cwd) != NULL);
    printf("%s\n", cwd + strlen(cwd) - 2);
    DIR *dir = opendir(".");
    long place = 0;
    for (int i = 0; i < 10; i++) {
        readdir(dir);
        if (i == 4)
            place = telldir(dir);
    }
    seekdir(dir, place);
    IS(readdir(dir) != NULL);
    closedir(dir);
    for (int i = 0; i < n; i++)
        if (names[i][0] != '.')
            unlink(names[i]);
    SAY(chdir(".."));
    SAY(rmdir("d"));
    SAY(umask(077));
    SAY(access("/", W_OK | X_OK) == 0 || errno == EACCES);
    SAY(truncate("none", 1));
}
