/* Root in a namespace of its own. */
#include "call.h"
static void put(const char *path, const char *text)
{
    int f = open(path, O_WRONLY);
    printf("%s: %zd\n", path, f < 0 ? -1 : write(f, text, strlen(text)));
    close(f);
}
int main(void)
{
    char map[64];
    int uid = getuid(), gid = getgid();
    if (unshare(CLONE_NEWUSER) != 0)
        SKIP("user namespaces are not allowed here");
    SAY(getuid() == uid);
    put("/proc/self/setgroups", "deny");
    sprintf(map, "7 %d 1", uid);
    put("/proc/self/uid_map", map);
    sprintf(map, "8 %d 1", gid);
    put("/proc/self/gid_map", map);
    SAY(getuid());
    SAY(getgid());
    SAY(unshare(CLONE_NEWUTS));
    SAY(sethostname("mine", 4));
}
