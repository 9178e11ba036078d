/* Mappings of huge pages. */
#include "call.h"
int main(void)
{
    size_t size = 2 << 20;
    FILE *f = fopen("/proc/sys/vm/nr_hugepages", "r+");
    int had = 0;
    if (!f || fscanf(f, "%d", &had) != 1)
        SKIP("no huge pages in this kernel");
    rewind(f);
    if (had < 4)
        fprintf(f, "4\n"), fflush(f);
    char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (m == MAP_FAILED)
        SKIP("huge pages (vm.nr_hugepages)");
    strcpy(m + size - 20, "at the end");
    printf("%s\n", m + size - 20);
    fflush(stdout);
    if (fork() == 0) {
        strcpy(m, "the child's");
        printf("%s, %s\n", m, m + size - 20);
        return 0;
    }
    wait(NULL);
    printf("'%s'\n", m);
    SAY(munmap(m, 4096));
    SAY(munmap(m, size));
    if (had < 4) {
        rewind(f);
        fprintf(f, "%d\n", had);
    }
}
