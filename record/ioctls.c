#include "record/ioctls.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/compare.h"
#include <asm/ioctls.h>
#include <asm/sockios.h>
#include <errno.h>
#include <linux/dm-ioctl.h>
#include <linux/fb.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/hdreg.h>
#include <linux/if_tun.h>
#include <linux/input.h>
#include <linux/kd.h>
#include <linux/kvm.h>
#include <linux/loop.h>
#include <linux/sockios.h>
#include <linux/vt.h>
#include <scsi/scsi.h>
#include <scsi/sg.h>
#include <sound/asound.h>

/* Names of newer headers, and two that stand for a family. */
#ifndef PAGEMAP_SCAN
#define PAGEMAP_SCAN 0xc0606610u
#endif
#define DM_IOCTL_STATUS DM_TABLE_STATUS
#define DM_IOCTL_LIST   DM_LIST_DEVICES

#define COMPARED        65536u /* bytes of an argument of which nothing is known */
#define COMPARED_BEHIND 4096u  /* where a word of it points to */
#define STRUCTURE       256u   /* bytes of it that are searched for pointers */
#define POINTERS        8u

struct ioctl_row {
    unsigned request;
    const char *outputs, *why;
};

static const struct ioctl_row table[] = {
#define URD_IOCTL(name, outputs)     {(unsigned)(name), outputs, NULL},
#define URD_IOCTL_REFUSED(name, why) {(unsigned)(name), "", why},
#include "record/ioctls.def"
#undef URD_IOCTL
#undef URD_IOCTL_REFUSED
};

static const struct ioctl_row *find_row(unsigned request)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].request == request)
            return &table[i];
    return NULL;
}

/** Keep what the words of the structure at `address` point to. */
static void keep_behind(struct task *t, uint64_t address, size_t size)
{
    uint64_t words[STRUCTURE / 8];
    size_t n =
        urd_tracee_read(t->mem, address, words, size < sizeof words ? size : sizeof words) / 8;
    unsigned kept = t->scratch.n_copies;
    for (size_t i = 0; i < n && t->scratch.n_copies < kept + POINTERS; i++)
        if (words[i] >= 65536 && words[i] < 1ull << 47)
            compare_keep(t, words[i], COMPARED_BEHIND);
}

void ioctl_entry(struct recorder *r, struct task *t)
{
    unsigned request = (unsigned)t->entry.rsi, size = _IOC_SIZE(request);
    uint64_t at = t->entry.rdx;
    const struct ioctl_row *row = find_row(request);
    compare_begin(t);
    if (row && row->why) {
        urd_log(1, "ioctl %#x was not made: %s", request, row->why);
        t->cancelled = true;
        t->forced = -ENOTTY;
        return;
    }
    if (row && !strchr(row->outputs, '?'))
        return;
    bool says = _IOC_DIR(request) != _IOC_NONE && size;
    compare_keep(t, at, says ? size : COMPARED);
    keep_behind(t, at, says ? size : STRUCTURE);
}

static uint64_t size_of(const char **at, struct task *t, uint64_t structure, int64_t result)
{
    uint64_t size;
    if (**at == 'r') {
        ++*at;
        size = result > 0 ? (uint64_t)result : 0;
    } else if (**at == '*') {
        ++*at;
        uint32_t value = 0;
        urd_tracee_read(t->mem, structure + strtoull(*at, (char **)at, 10), &value, sizeof value);
        size = value < 1u << 24 ? value : 1u << 24;
    } else {
        size = strtoull(*at, (char **)at, 10);
    }
    if (**at == 'x') {
        ++*at;
        size *= strtoull(*at, (char **)at, 10);
    }
    if (**at == '+') {
        ++*at;
        size += size_of(at, t, structure, result);
    }
    return size;
}

static void add_row(struct event_builder *b, struct task *t, const char *at, int64_t result)
{
    uint64_t structure = t->entry.rdx;
    while (*at) {
        uint64_t where = structure;
        if (*at == '@') {
            at++;
            where = 0;
            urd_tracee_read(t->mem, structure + strtoull(at, (char **)&at, 10), &where, 8);
            at++; /* ':' */
        }
        if (*at == '?') {
            compare_add(b, t);
            at++;
        } else if (*at == '-') {
            at++;
        } else {
            event_add_memory(b, t->mem, where, size_of(&at, t, structure, result));
        }
        at += *at == ' ';
    }
}

void ioctl_exit(struct recorder *r, struct task *t, int64_t result)
{
    struct event_builder *b = &r->builder;
    unsigned request = (unsigned)t->entry.rsi;
    const struct ioctl_row *row = find_row(request);
    bool failed = result < 0 && result >= -4095;
    if (row && !failed) {
        add_row(b, t, row->outputs, result);
        return;
    }
    if (!row && !failed && _IOC_DIR(request) & _IOC_READ)
        event_add_memory(b, t->mem, t->entry.rdx, _IOC_SIZE(request));
    compare_add(b, t);
}
