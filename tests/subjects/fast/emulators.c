/* Code that a program maps to read it, as valgrind and qemu do with that of the programs that they run: it is the file's. */
#include "../behaviour.h"

BEHAVIOUR(code_that_is_only_read_is_the_files)
{
    static char line[600], path[600], prot[5], file[1 << 22];
    unsigned long start, end, offset;
    FILE *f = fopen("/proc/self/maps", "r");
    do
        CHECK(fgets(line, sizeof line, f));
    while (!strstr(line, "/libc.so") ||
           sscanf(line, "%lx-%lx %4s %lx %*s %*u %599s", &start, &end, prot, &offset, path) != 5 ||
           prot[2] != 'x');
    fclose(f);
    int fd = open(path, O_RDONLY);
    size_t size = end - start;
    CHECK(fd >= 0 && size <= sizeof file);
    for (int i = 0; i < 10; i++)
        CHECK(pread(fd, file, size, (off_t)offset) == (ssize_t)size && access(path, R_OK) == 0 &&
              getppid() > 0);
    char *copy = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, (off_t)offset);
    CHECK(copy != MAP_FAILED);
    for (int i = 0; i < 10; i++)
        CHECK(lseek(fd, i, SEEK_SET) == i && dup2(fd, 50) == 50 && getpgrp() > 0 &&
              umask(022) >= 0);
    size_t n = 0;
    for (size_t i = 0; i < size;
         i++) /* but for what the recorder must know of: 0f 0b instead of RDRAND and XBEGIN */
        n += copy[i] != file[i] && copy[i] != 0x0f && copy[i] != 0x0b;
    printf("%zu bytes differ\n", n);
}
