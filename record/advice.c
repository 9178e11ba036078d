#include "record/advice.h"
#include "base/tracee.h"
#include "record/shared.h"
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#define PAGE_UP(x) (((x) + 4095) & ~4095ull)

enum { DONTNEED_LOCKED = 24, LAST_KNOWN = 25 }; /* asm-generic/mman-common.h; 25: MADV_COLLAPSE */

static bool drops(uint64_t advice)
{
    return advice == MADV_DONTNEED || advice == DONTNEED_LOCKED;
}

/* MADV_FREE: the kernel frees such pages when it likes. MADV_REMOVE: makes a hole in a file. MADV_HWPOISON and its kind: break memory.
 * Those of newer kernels (guard pages): not known. */
bool advice_may_be_given(const struct task *t)
{
    uint64_t advice = t->entry.rdx;
    return advice <= LAST_KNOWN && advice != MADV_FREE && advice != MADV_REMOVE;
}

static void add(struct recorder *r, enum urd_map_op_kind kind, uint64_t start, uint64_t end)
{
    event_add_op(&r->builder,
                 (struct urd_map_op){
                     .kind = (uint8_t)kind, .start = start, .size = end - start, .name = ""});
}

urd_err *advice_given(struct recorder *r, struct task *t, int64_t result)
{
    uint64_t start = t->entry.rdi, end = start + PAGE_UP(t->entry.rsi), advice = t->entry.rdx;
    if (result == 0 && (advice == MADV_DONTFORK || advice == MADV_WIPEONFORK))
        t->mm->forks_in_part = true;
    if (!drops(advice) || (result != 0 && result != -ENOMEM))
        return NULL;
    if (result == 0) {
        add(r, URD_MAP_DISCARD, start, end);
        shared_dropped(r, t, start, end);
        return NULL;
    }
    FILE *maps = urd_tracee_open_maps(t->tid);
    if (!maps)
        URD_FAIL_ERRNO("cannot read the mappings of process %d", t->pid);
    struct urd_map_line m;
    while (urd_tracee_next_map(maps, &m))
        if (m.start < end && m.end > start)
            add(r, URD_MAP_DISCARD, m.start > start ? m.start : start, m.end < end ? m.end : end);
    fclose(maps);
    shared_dropped(r, t, start, end);
    return NULL;
}

urd_err *advice_at_fork(struct recorder *r, const struct task *parent)
{
    char path[64], line[512], flags[512];
    if (!parent->mm->forks_in_part)
        return NULL;
    snprintf(path, sizeof path, "/proc/%d/smaps", parent->tid);
    FILE *f = fopen(path, "re");
    if (!f)
        URD_FAIL_ERRNO("cannot read %s", path);
    unsigned long start = 0, end = 0, from, to;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            start = from;
            end = to;
        } else if (sscanf(line, "VmFlags: %511[^\n]", flags) == 1) { /* man 5 proc */
            if (strstr(flags, "dc"))
                add(r, URD_MAP_UNMAP, start, end);
            else if (strstr(flags, "wf"))
                add(r, URD_MAP_DISCARD, start, end);
        }
    }
    fclose(f);
    return NULL;
}
