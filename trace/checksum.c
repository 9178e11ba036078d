#include "trace/checksum.h"
#include "base/buf.h"
#include "base/tracee.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#define PAGE 4096u

static bool is_zero(const uint64_t *page)
{
    for (unsigned i = 0; i < PAGE / 8; i += 4)
        if (page[i] | page[i + 1] | page[i + 2] | page[i + 3])
            return false;
    return true;
}

static bool is_stack(const struct urd_stacks *stacks, uint64_t page)
{
    for (size_t i = 0; i < stacks->n; i++)
        if (page - ((stacks->sps[i] - URD_STACK_BELOW) & ~(uint64_t)(PAGE - 1)) <
            URD_STACK_BELOW + URD_STACK_ABOVE)
            return true;
    return false;
}

void urd_stacks_add_former(struct urd_stacks *s, uint64_t sp)
{
    sp &= ~0x3fffull;
    for (size_t i = 0; i < s->n; i++)
        if (s->sps[i] == sp)
            return;
    URD_PUSH(s->sps, s->n, s->capacity) = sp;
}

void urd_stacks_add_handlers(struct urd_stacks *s, uint64_t before, uint64_t sp)
{
    if (before - sp > URD_STACK_ABOVE)
        urd_stacks_add_former(s, sp);
}

void urd_stacks_append(struct urd_stacks *s, const struct urd_stacks *more)
{
    for (size_t i = 0; i < more->n; i++)
        URD_PUSH(s->sps, s->n, s->capacity) = more->sps[i];
}

static void add_pages(const uint8_t *data, uint64_t address, size_t size,
                      const struct urd_stacks *stacks, uint64_t *sum)
{
    for (size_t at = 0; at + PAGE <= size; at += PAGE)
        if (!is_zero((const uint64_t *)(data + at)) && !is_stack(stacks, address + at))
            *sum += XXH3_64bits_withSeed(data + at, PAGE, address + at);
}

/** Anonymous mappings may be vast and mostly untouched: ask pagemap which pages are there. */
static void add_mapping(int mem, int pagemap, uint64_t start, uint64_t end, bool anonymous,
                        const struct urd_stacks *stacks, uint64_t *sum, uint64_t *bytes)
{
    enum { BATCH = 64 };
    static __thread uint8_t data[BATCH * PAGE] __attribute__((aligned(64)));
    uint64_t present[BATCH];
    for (uint64_t at = start; at < end;) {
        uint64_t n = (end - at) / PAGE < BATCH ? (end - at) / PAGE : BATCH;
        bool known = anonymous && pagemap >= 0 &&
                     pread(pagemap, present, n * 8, (off_t)(at / PAGE * 8)) == (ssize_t)(n * 8);
        for (uint64_t i = 0; i < n;) {
            if (known && !(present[i] >> 62)) { /* bit 63 present, bit 62 swapped */
                i++;
                continue;
            }
            uint64_t j = i + 1;
            while (j < n && (!known || present[j] >> 62))
                j++;
            ssize_t got = pread(mem, data, (j - i) * PAGE, (off_t)(at + i * PAGE));
            if (got > 0) {
                add_pages(data, at + i * PAGE, (size_t)got, stacks, sum);
                *bytes += (uint64_t)got;
            }
            i = j;
        }
        at += n * PAGE;
    }
}

bool urd_checksum_counts_shared(enum urd_memory what, const char *name)
{
    static const char replayed[] = "/memfd:" URD_SHARED_NAME;
    switch (what) {
    case URD_MEMORY_PRIVATE:
        break;
    case URD_MEMORY_RECORDED: /* "/dev/zero (deleted)": memory without a file. No devices, and nothing that has no path */
        return strncmp(name, "/dev/", 5) == 0
                   ? strncmp(name, "/dev/zero", 9) == 0 || strncmp(name, "/dev/shm/", 9) == 0
                   : *name == '/';
    case URD_MEMORY_REPLAYED:
        return strncmp(name, replayed, sizeof replayed - 1) == 0;
    }
    return false;
}

urd_err *urd_checksum_memory(pid_t pid, int mem_fd, enum urd_memory what,
                             const struct urd_stacks *stacks, uint64_t *ret, uint64_t *ret_bytes)
{
    char path[64];
    FILE *maps = urd_tracee_open_maps(pid);
    if (!maps)
        URD_FAIL_ERRNO("cannot read the mappings of process %d", pid);
    snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
    URD_AUTO_CLOSE int pagemap = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t sum = 0, bytes = 0;
    struct urd_map_line m;
    while (urd_tracee_next_map(maps, &m)) {
        if (!(m.prot & PROT_WRITE) || strncmp(m.name, "[v", 2) == 0 ||
            (m.start >= URD_OWN_START && m.start < URD_OWN_END))
            continue;
        if (m.shared) {
            if (m.offset >= URD_SHARED_COUNTED || !urd_checksum_counts_shared(what, m.name))
                continue;
            if (m.end - m.start > URD_SHARED_COUNTED - m.offset)
                m.end = m.start + (URD_SHARED_COUNTED - m.offset);
        }
        add_mapping(mem_fd, pagemap, m.start, m.end, m.inode == 0, stacks, &sum, &bytes);
    }
    fclose(maps);
    *ret = sum;
    *ret_bytes = bytes;
    return NULL;
}
