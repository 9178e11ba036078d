/* ioctls of files: flags, block sizes, extents, sharing extents, a bad one. */
#include "call.h"
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/random.h>
int main(void)
{
    int f = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600), g = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600), n = -1;
    static char block[65536];
    memset(block, 'b', sizeof block);
    write(f, block, sizeof block);
    write(g, block, sizeof block);
    fsync(f);
    SAY(ioctl(f, FIGETBSZ, &n));
    IS(n > 0);
    SAY(lseek(f, 65000, SEEK_SET));
    SAY(ioctl(f, FIONREAD, &n));
    printf("%d\n", n);
    unsigned flags[2] = {0x55555555, 0x55555555};
    OK(ioctl(f, FS_IOC_GETFLAGS, flags));
    IS(flags[1] == 0x55555555);
    int64_t size = 0;
    SAY(ioctl(f, FIOQSIZE, &size));
    printf("%lld\n", (long long)size);
    struct { struct fiemap m; struct fiemap_extent e[8]; } map;
    memset(&map, 0, sizeof map);
    map.m = (struct fiemap){.fm_length = ~0ull, .fm_extent_count = 8, .fm_flags = FIEMAP_FLAG_SYNC};
    int r = ioctl(f, FS_IOC_FIEMAP, &map);
    printf("%s\n", r == 0 ? map.m.fm_mapped_extents > 0 && map.e[0].fe_length > 0 ? "extents" : "none" : "not here");
    OK(ioctl(g, FICLONE, f) == 0 || errno == EOPNOTSUPP || errno == EINVAL || errno == EXDEV);
    struct { struct file_dedupe_range r; struct file_dedupe_range_info i[2]; } d = {{0, 4096, 2, 0, 0}, {{g, 0, 0, 9, 0}, {999, 0, 0, 9, 0}}};
    r = ioctl(f, FIDEDUPERANGE, &d);
    printf("%d %d\n", r, r == 0 ? d.i[1].status : -EBADF);
    struct { unsigned xflags, a, b, c, d; unsigned char pad[8]; } x;
    OK(ioctl(f, _IOR('X', 31, struct fsxattr), &x) == 0 || errno == ENOTTY || errno == EOPNOTSUPP);
    int rnd = open("/dev/urandom", O_RDONLY);
    n = -1;
    SAY(ioctl(rnd, RNDGETENTCNT, &n));
    IS(n >= 0);
    SAY(ioctl(f, 0x12345678, block));
    SAY(ioctl(f, FIONBIO, &n));
    SAY(ioctl(f, FIOCLEX));
    SAY(fcntl(f, F_GETFD));
    SAY(ioctl(-1, FIONREAD, &n));
    unlink("data");
    unlink("copy");
}
