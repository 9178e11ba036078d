/* A sandbox that the subject makes for itself. */
#include "call.h"
#include <linux/landlock.h>
#include <sys/prctl.h>
int main(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 0)
        SKIP("landlock");
    struct landlock_ruleset_attr a = {.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE};
    int r = (int)syscall(SYS_landlock_create_ruleset, &a, 8, 0);
    printf("fd %d\n", r);
    struct landlock_path_beneath_attr p = {LANDLOCK_ACCESS_FS_WRITE_FILE, open("/dev", O_PATH)};
    SAY(syscall(SYS_landlock_add_rule, r, LANDLOCK_RULE_PATH_BENEATH, &p, 0));
    SAY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SAY(syscall(SYS_landlock_restrict_self, r, 0));
    SAY(open("/dev/null", O_WRONLY) >= 0);
    SAY(open("data", O_WRONLY | O_CREAT, 0600) >= 0 || errno == EACCES);
    printf("%s\n", strerrorname_np(errno));
    unlink("data");
}
