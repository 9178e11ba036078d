/* Memory files: seals, sizes, what was written through a mapping and by write. */
#include "call.h"
int main(void)
{
    int f = memfd_create("urd", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    SAY(ftruncate(f, 8192));
    char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    strcpy(m + 4096, "by mapping");
    char b[32] = "";
    SAY(pread(f, b, 32, 4096));
    printf("%s\n", b);
    SAY(pwrite(f, "by write", 9, 100));
    printf("%s\n", m + 100);
    struct iovec iov[2] = {{"by ", 3}, {"writev", 7}};
    SAY(pwritev(f, iov, 2, 4090));
    printf("%s\n", m + 4090);
    char *second = mmap(NULL, 4096, PROT_READ, MAP_SHARED, f, 4096);
    strcpy(m + 4200, "two views");
    printf("%s\n", second + 104);
    SAY(fcntl(f, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    SAY(fcntl(f, F_GET_SEALS));
    SAY(ftruncate(f, 1));
    SAY(lseek(f, 0, SEEK_END));
    SAY(lseek(f, 0, SEEK_DATA));
    struct stat st;
    SAY(fstat(f, &st));
    printf("%ld\n", (long)st.st_size);
}
