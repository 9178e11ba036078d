/* Extended attributes: sizes of 0, buffers that are too small. */
#include "call.h"
#include <sys/xattr.h>
int main(void)
{
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fsetxattr(f, "user.urd", "a value", 7, 0) != 0)
        SKIP("extended attributes in this file system");
    char b[64];
    memset(b, '.', sizeof b);
    SAY(setxattr("data", "user.other", "x", 1, XATTR_CREATE));
    SAY(setxattr("data", "user.other", "x", 1, XATTR_CREATE));
    SAY(getxattr("data", "user.urd", b, 0));
    SAY(getxattr("data", "user.urd", b, 64));
    printf("%u\n", sum(b, 64));
    SAY(lgetxattr("data", "user.urd", b + 20, 3));
    SAY(fgetxattr(f, "user.none", b, 64));
    SAY(flistxattr(f, NULL, 0));
    SAY(listxattr("data", b, 64));
    printf("%u %s\n", sum(b, 64), b);
    SAY(llistxattr("data", b, 3));
    SAY(removexattr("data", "user.urd"));
    SAY(fremovexattr(f, "user.urd"));
    struct { uint64_t value; uint32_t size, flags; } args = {(uintptr_t)b, 64, 0};
    memset(b, '-', sizeof b);
    long r = syscall(464, AT_FDCWD, "data", 0, "user.other", &args, sizeof args);
    printf("%s %u\n", r < 0 ? errno == ENOSYS ? "ENOSYS" : "error" : "ok", r < 0 ? 0 : sum(b, 64));
    unlink("data");
}
