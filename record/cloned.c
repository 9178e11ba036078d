/* The clone must be what the program got. So the file is compared with the program's memory before it is cloned, and has the same times
 * after that as before: times that are old enough for any change to have given it others. */
#include "record/cloned.h"
#include "base/tracee.h"
#include "record/outside.h"
#include "record/shared.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LARGE_BYTES = 256 << 10, /* compressing and writing takes a millisecond or so */
    PART_BYTES = 64 << 10,
};

/** Where in the file the call has read from. False: that is not known, or the descriptor reads around the page cache. */
static bool find_offset(const struct task *t, int64_t result, uint64_t *ret)
{
    char path[64], line[128];
    unsigned long long position = 0, flags = O_DIRECT;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%u", t->tid, (unsigned)t->entry.rdi);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        sscanf(line, "pos: %llu", &position);
        sscanf(line, "flags: %llo", &flags);
    }
    if (f)
        fclose(f);
    *ret = t->call->number == SYS_pread64 ? t->entry.r10 : position - (uint64_t)result;
    return !(flags & O_DIRECT) && (t->call->number == SYS_pread64 || position >= (uint64_t)result);
}

static bool same_bytes(const struct task *t, int fd, uint64_t offset, uint64_t size)
{
    uint8_t file[PART_BYTES], memory[PART_BYTES];
    for (uint64_t at = 0; at < size; at += PART_BYTES) {
        size_t n = size - at < PART_BYTES ? size - at : PART_BYTES;
        if (pread(fd, file, n, (off_t)(offset + at)) != (ssize_t)n ||
            urd_tracee_read(t->mem, t->entry.rsi + at, memory, n) != n ||
            memcmp(file, memory, n) != 0)
            return false;
    }
    return true;
}

static bool same_times(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool cloned_read(struct recorder *r, struct task *t, int64_t result)
{
    int number = t->call->number;
    if ((number != SYS_read && number != SYS_pread64) || result < LARGE_BYTES || !r->exec_seen ||
        outside_watches(r))
        return false;
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/fd/%u", t->tid, (unsigned)t->entry.rdi);
    struct stat before, after;
    if (stat(link, &before) != 0 || !S_ISREG(before.st_mode) || !urd_trace_is_settled(&before) ||
        shared_find(r, &before) || !urd_trace_may_clone(r->writer, &before))
        return false;
    URD_AUTO_CLOSE int fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    uint64_t offset, at;
    if (fd < 0 || !find_offset(t, result, &offset) ||
        !same_bytes(t, fd, offset, (uint64_t)result) ||
        !urd_trace_clone(r->writer, fd, offset, (uint64_t)result, &at) || fstat(fd, &after) != 0 ||
        !same_times(&before, &after))
        return false;
    event_add_clone(&r->builder, t->entry.rsi, (uint64_t)result, at);
    return true;
}
