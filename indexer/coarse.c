#include "indexer/coarse.h"
#include "base/tracee.h"
#include "indexer/flow.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { TIDY_FROM = 4096 };

void urd_coarse_add(struct urd_coarse *c, uint32_t space, uint64_t start, uint64_t end)
{
    struct urd_coarse_range *last = c->n ? &c->ranges[c->n - 1] : NULL;
    if (last && last->space == space && last->start <= start && start <= last->end) {
        last->end = end > last->end ? end : last->end;
        return;
    }
    URD_PUSH(c->ranges, c->n, c->capacity) = (struct urd_coarse_range){space, start, end};
    if (c->n >= TIDY_FROM && c->n >= 2 * c->n_tidy)
        urd_coarse_tidy(c);
}

static int by_start(const void *a, const void *b)
{
    const struct urd_coarse_range *x = a, *y = b;
    if (x->space != y->space)
        return x->space < y->space ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

void urd_coarse_tidy(struct urd_coarse *c)
{
    uint32_t n = 0;
    if (c->n)
        qsort(c->ranges, c->n, sizeof *c->ranges, by_start);
    for (uint32_t i = 0; i < c->n; i++) {
        struct urd_coarse_range r = c->ranges[i], *last = n ? &c->ranges[n - 1] : NULL;
        if (last && last->space == r.space && r.start <= last->end)
            last->end = r.end > last->end ? r.end : last->end;
        else
            c->ranges[n++] = r;
    }
    c->n = c->n_tidy = n;
}

bool urd_coarse_touches(const struct urd_coarse *c, uint32_t space, uint64_t start, uint64_t end)
{
    uint32_t low = 0, high = c->n;
    while (low < high) { /* the first that ends behind start */
        uint32_t middle = (low + high) / 2;
        const struct urd_coarse_range *r = &c->ranges[middle];
        if (r->space < space || (r->space == space && r->end <= start))
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->n && c->ranges[low].space == space && c->ranges[low].start < end;
}

void urd_coarse_pack(const struct urd_coarse *c, struct urd_buf *out)
{
    struct urd_buf raw = {0};
    uint32_t space = 0;
    uint64_t end = 0;
    urd_buf_varint(&raw, c->n);
    for (uint32_t i = 0; i < c->n; i++) {
        const struct urd_coarse_range *r = &c->ranges[i];
        end = r->space == space ? end : 0;
        urd_buf_varint(&raw, r->space - space);
        urd_buf_varint(&raw, r->start - end);
        urd_buf_varint(&raw, r->end - r->start);
        space = r->space;
        end = r->end;
    }
    urd_blob_pack(raw.data, raw.size, out);
    urd_buf_deinit(&raw);
}

urd_err *urd_coarse_unpack(const void *data, size_t size, struct urd_coarse *ret)
{
    uint8_t *raw;
    size_t raw_size;
    URD_TRY(urd_blob_unpack(data, size, &raw, &raw_size));
    struct urd_cursor in = urd_cursor(raw, raw_size);
    struct urd_coarse c = {0};
    uint32_t space = 0;
    uint64_t end = 0;
    for (uint64_t left = urd_cursor_varint(&in); left && in.ok; left--) {
        uint32_t more = (uint32_t)urd_cursor_varint(&in);
        uint64_t start = (more ? 0 : end) + urd_cursor_varint(&in);
        space += more;
        end = start + urd_cursor_varint(&in);
        URD_PUSH(c.ranges, c.n, c.capacity) = (struct urd_coarse_range){space, start, end};
    }
    free(raw);
    if (!in.ok) {
        urd_coarse_deinit(&c);
        URD_FAIL("the coarse level of a segment in the index is damaged");
    }
    *ret = c;
    return NULL;
}

void urd_coarse_deinit(struct urd_coarse *c)
{
    free(c->ranges);
    *c = (struct urd_coarse){0};
}

/* Documentation/admin-guide/mm/pagemap.rst */
#define PAGE_PRESENT   (1ull << 63)
#define PAGE_SWAPPED   (1ull << 62)
#define PAGE_OF_FILE   (1ull << 61) /* or of shared memory */
#define PAGE_EXCLUSIVE (1ull << 56)

static bool is_own(uint64_t entry)
{
    return entry & PAGE_SWAPPED ||
           ((entry & (PAGE_PRESENT | PAGE_EXCLUSIVE)) == (PAGE_PRESENT | PAGE_EXCLUSIVE) &&
            !(entry & PAGE_OF_FILE));
}

/* PAGEMAP_SCAN, Linux 6.7: as linux/fs.h has it, which the headers may be too old for. */
struct scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct scanned {
    uint64_t start, end, categories;
};
#define SCAN         _IOWR('f', 16, struct scan)
#define SCAN_PRESENT (1u << 3)
#define SCAN_SWAPPED (1u << 4)

/** Own pages of [start, end), looked at one by one. */
static bool add_own(int fd, uint32_t space, uint64_t start, uint64_t end, struct urd_coarse *ret)
{
    enum { AT_ONCE = 512 };
    uint64_t entries[AT_ONCE];
    for (uint64_t at = start; at < end;) {
        uint64_t n = (end - at) / 4096 < AT_ONCE ? (end - at) / 4096 : AT_ONCE;
        ssize_t got = pread(fd, entries, n * 8, (off_t)(at / 4096 * 8));
        if (got < 8)
            return false;
        for (ssize_t i = 0; i < got / 8; i++, at += 4096)
            if (is_own(entries[i]))
                urd_coarse_add(ret, space, at, at + 4096);
    }
    return true;
}

/** The same where there may be terabytes with hardly anything in them. */
static bool add_own_sparse(int fd, uint32_t space, uint64_t start, uint64_t end,
                           struct urd_coarse *ret)
{
    struct scanned found[256];
    while (start < end) {
        struct scan s = {.size = sizeof s,
                         .start = start,
                         .end = end,
                         .vec = (uint64_t)(uintptr_t)found,
                         .vec_len = sizeof found / sizeof *found,
                         .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
                         .return_mask = SCAN_PRESENT | SCAN_SWAPPED};
        int n = ioctl(fd, SCAN, &s);
        if (n < 0) /* an older kernel */
            return add_own(fd, space, start, end, ret);
        for (int i = 0; i < n; i++)
            if (!add_own(fd, space, found[i].start, found[i].end, ret))
                return false;
        start = s.walk_end;
    }
    return true;
}

urd_err *urd_coarse_own_pages(int pid, uint32_t space, struct urd_coarse *ret)
{
    const uint64_t user_end = 1ull << 47, large = 256 << 20;
    URD_AUTO_FREE char *path = urd_xprintf("/proc/%d/pagemap", pid);
    URD_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    FILE *maps = fd < 0 ? NULL : urd_tracee_open_maps(pid);
    struct urd_map_line m;
    bool ok = maps;
    while (ok && urd_tracee_next_map(maps, &m))
        if (!m.shared && m.end <= user_end)
            ok = (m.end - m.start > large ? add_own_sparse : add_own)(fd, space, m.start, m.end,
                                                                      ret);
    if (maps)
        fclose(maps);
    if (!ok)
        URD_FAIL_ERRNO("cannot read the page map of process %d", pid);
    return NULL;
}
