/* The oracle of allocations: a library that is preloaded, notes each call of malloc and its like, and writes the notes to
 * $ALLOCATION_LOG.PID when its process ends. Four words a note: what (m malloc, c calloc, r realloc, a aligned, f free), result,
 * pointer, size. A process that was forked and did not exec writes none. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

enum { MOST = 4000000 };
static struct note {
    uint64_t what, result, pointer, size;
} * notes;
static unsigned n;
static int owner; /* who made the first note */

static void note(char what, void *result, void *pointer, size_t size)
{
    if (!notes) {
        owner = getpid();
        notes = mmap(NULL, MOST * sizeof *notes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    unsigned i = __atomic_fetch_add(&n, 1, __ATOMIC_RELAXED);
    if (i < MOST)
        notes[i] = (struct note){(uint64_t)what, (uint64_t)result, (uint64_t)pointer, size};
}

void *malloc(size_t size)
{
    void *p = __libc_malloc(size);
    note('m', p, NULL, size);
    return p;
}

void *calloc(size_t count, size_t size)
{
    void *p = __libc_calloc(count, size);
    note('c', p, NULL, count * size);
    return p;
}

void *realloc(void *old, size_t size)
{
    void *p = __libc_realloc(old, size);
    note('r', p, old, size);
    return p;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    void *p = __libc_memalign(alignment, size);
    note('a', p, NULL, size);
    return p;
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *p = __libc_memalign(alignment, size);
    note('a', p, NULL, size);
    if (!p)
        return ENOMEM;
    *ret = p;
    return 0;
}

void free(void *p)
{
    note('f', NULL, p, 0);
    __libc_free(p);
}

__attribute__((destructor)) static void save(void)
{
    char path[4096];
    const char *to = getenv("ALLOCATION_LOG");
    unsigned count = n;
    if (owner != getpid())
        return;
    snprintf(path, sizeof path, "%s.%d", to ? to : "/tmp/allocations", (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    for (size_t at = 0, all = count * sizeof *notes; fd >= 0 && at < all;) {
        ssize_t done = write(fd, (char *)notes + at, all - at);
        if (done <= 0)
            break;
        at += (size_t)done;
    }
    close(fd);
}
