/* Calls of newer kernels. Where one is missing, native and recorded agree on that, too. */
#include "call.h"
#define CALL(name, ...) ({ errno = 0; long r_ = syscall(__VA_ARGS__); printf("%s: %s\n", name, r_ < 0 ? strerrorname_np(errno) : "ok"); r_; })
int main(void)
{
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    static char block[40960];
    write(f, block, sizeof block);
    uint64_t cs[6], range[2] = {0, 0};
    memset(cs, 0xff, sizeof cs);
    if (CALL("cachestat", 451, f, range, cs, 0) == 0)
        printf("%llu %llx\n", (unsigned long long)cs[0], (unsigned long long)cs[5]);
    CALL("fchmodat2", 452, AT_FDCWD, "data", 0640, AT_SYMLINK_NOFOLLOW);
    struct statx sx;
    statx(AT_FDCWD, "/", 0, 0x4000, &sx);
    struct { unsigned size, spare; uint64_t id, param, ns; } q = {24, 0, *(uint64_t *)((char *)&sx + 0x90), 1 | 2 | 8};
    static char sm[2048];
    if (CALL("statmount", 457, &q, sm, sizeof sm, 0) == 0)
        IS(*(unsigned *)sm > 0);
    uint64_t ids[64] = {0};
    q.id = ~0ull;
    q.param = 0;
    long n = CALL("listmount", 458, &q, ids, 64, 0);
    if (n > 0)
        IS(ids[0] != 0 && ids[n - 1] != 0);
    uint64_t lsm[32];
    unsigned size = sizeof lsm;
    n = CALL("lsm_list_modules", 461, lsm, &size, 0);
    if (n > 0)
        IS(size == 8 * n);
    size = 0;
    CALL("lsm_list_modules, no room", 461, lsm, &size, 0);
    IS(size > 0 || n <= 0);
    size = sizeof sm;
    OK(syscall(459, 100, sm, &size, 0) >= 0 || errno != 0);
    char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (CALL("mseal", 462, m, 4096, 0) == 0) {
        SAY(munmap(m, 4096));
        SAY(mprotect(m, 4096, PROT_READ));
        m[0] = 1;
    }
    struct { uint64_t value; uint32_t size, flags; } args = {(uintptr_t)"value", 5, 0};
    if (CALL("setxattrat", 463, AT_FDCWD, "data", 0, "user.at", &args, sizeof args) == 0) {
        char b[32] = "";
        args = (typeof(args)){(uintptr_t)b, 32, 0};
        SAY(syscall(464, AT_FDCWD, "data", 0, "user.at", &args, sizeof args));
        printf("%s\n", b);
        SAY(syscall(465, AT_FDCWD, "data", 0, b, 32));
        SAY(syscall(466, AT_FDCWD, "data", 0, "user.at"));
    }
    unsigned attr[8] = {0};
    CALL("file_getattr", 468, AT_FDCWD, "data", attr, 24, 0);
    SAY(syscall(SYS_close_range, 20, 40, 0));
    unlink("data");
}
