#include "record/outside.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/others.h"
#include "record/shared.h"
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    LOOK_NS = 250000000, /* between two looks at all processes, and no more than 2 % of the time */
    LOOK_SHARE = 50,
    MOST_BYTES = 1 << 20, /* of one object that are compared */
};

/** An object that somebody else has mapped, too. */
struct watched {
    unsigned object; /* index in r->shared */
    pid_t writer;
    char name[32]; /* of the writer's program */
    bool told;     /* its content is in the trace, as it was when it was found */
    uint64_t size;
    uint8_t *copy;
    bool has_copy;
};

/** Where a recorded task shows a part of one. */
struct view {
    unsigned watched;
    struct task *t;
    uint64_t address, size, offset;
};

struct outside {
    struct watched *list;
    unsigned n, cap;
    struct view *views;
    unsigned n_views, cap_views;
    bool stale; /* views are */
    uint64_t next_look_ns;
    uint8_t *now; /* MOST_BYTES */
};

bool outside_any(const struct recorder *r)
{
    return r->outside && r->outside->n;
}

void outside_deinit(struct recorder *r)
{
    struct outside *o = r->outside;
    for (unsigned i = 0; o && i < o->n; i++)
        free(o->list[i].copy);
    if (o) {
        free(o->list);
        free(o->views);
        free(o->now);
    }
    free(o);
    r->outside = NULL;
}

/* ---- finding them ---- */

static bool is_watched(const struct outside *o, unsigned object)
{
    for (unsigned i = 0; i < o->n; i++)
        if (o->list[i].object == object)
            return true;
    return false;
}

static void watch(struct recorder *r, unsigned object, pid_t pid, uint64_t bytes)
{
    struct outside *o = r->outside;
    struct watched w = {.object = object, .writer = pid, .size = bytes};
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *f = fopen(path, "re");
    if (!f || fscanf(f, "%31[^\n]", w.name) != 1)
        snprintf(w.name, sizeof w.name, "?");
    if (f)
        fclose(f);
    if (bytes <= MOST_BYTES)
        w.copy = urd_xrealloc(NULL, bytes);
    urd_warn("process %d (%s), which is not recorded, has mapped memory of the recorded program "
             "for writing: %s",
             pid, w.name,
             w.copy ? "what it writes is recorded only where it does so while the program is in a "
                      "system call"
                    : "what it writes is not recorded, and a replay may diverge");
    URD_PUSH(o->list, o->n, o->cap) = w;
    o->stale = true;
}

/** How much of the object is mapped by recorded tasks: the end of its last mapping. */
static uint64_t mapped_bytes(const struct recorder *r, unsigned object)
{
    uint64_t end = 0;
    for (const struct task *t = r->tasks; t; t = t->next) {
        struct urd_map_line m;
        FILE *maps = urd_tracee_open_maps(t->pid);
        while (maps && urd_tracee_next_map(maps, &m))
            if (shared_is_of(&r->shared[object], &m) && m.offset + (m.end - m.start) > end)
                end = m.offset + (m.end - m.start);
        if (maps)
            fclose(maps);
    }
    return end;
}

static void look_at_map(struct recorder *r, pid_t pid, const struct urd_map_line *m)
{
    for (unsigned i = 0; i < r->n_shared; i++) {
        uint64_t bytes = 0;
        if (shared_is_of(&r->shared[i], m) && !is_watched(r->outside, i))
            bytes = mapped_bytes(r, i);
        if (bytes)
            watch(r, i, pid, bytes);
    }
}

static void look_at_process(struct recorder *r, pid_t pid)
{
    struct urd_map_line m = {.end = 0};
    bool asked;
    while (urd_tracee_find_shared(pid, m.end, &m, &asked))
        look_at_map(r, pid, &m);
    FILE *maps = asked ? NULL : urd_tracee_open_maps(pid);
    while (maps && urd_tracee_next_map(maps, &m))
        if (m.shared && m.prot & PROT_WRITE && m.inode)
            look_at_map(r, pid, &m);
    if (maps)
        fclose(maps);
}

static bool is_recorded(const struct recorder *r, pid_t pid)
{
    for (const struct task *t = r->tasks; t; t = t->next)
        if (t->pid == pid)
            return true;
    return pid == getpid();
}

static void look(struct recorder *r)
{
    uint64_t started = urd_now_ns();
    if (!r->outside)
        r->outside = urd_xcalloc(1, sizeof *r->outside);
    if (started < r->outside->next_look_ns)
        return;
    DIR *processes = opendir("/proc");
    struct dirent *d;
    while (processes && (d = readdir(processes))) {
        pid_t pid = isdigit((unsigned char)d->d_name[0]) ? atoi(d->d_name) : 0;
        if (pid && !is_recorded(r, pid))
            look_at_process(r, pid);
    }
    if (processes)
        closedir(processes);
    uint64_t now = urd_now_ns(), pause = (now - started) * LOOK_SHARE;
    r->outside->next_look_ns = now + (pause > LOOK_NS ? pause : LOOK_NS);
}

/* ---- comparing ---- */

/** Memory of the replay's own copies is written in each process; of an object, in one. */
static bool is_covered(const struct recorder *r, const struct view *v)
{
    const struct outside *o = r->outside;
    for (unsigned i = 0; i < o->n_views; i++) {
        const struct view *k = &o->views[i];
        bool same = k->watched == v->watched && v->offset >= k->offset &&
                    v->offset + v->size <= k->offset + k->size;
        if (same && (r->shared[o->list[v->watched].object].id || k->t->mm == v->t->mm))
            return true;
    }
    return false;
}

static void find_views(struct recorder *r)
{
    struct outside *o = r->outside;
    o->n_views = 0;
    o->stale = false;
    for (struct task *t = r->tasks; t; t = t->next) {
        struct urd_map_line m;
        FILE *maps = t->exit_emitted ? NULL : urd_tracee_open_maps(t->pid);
        while (maps && urd_tracee_next_map(maps, &m))
            for (unsigned i = 0; i < o->n; i++) {
                const struct watched *w = &o->list[i];
                if (!w->copy || !shared_is_of(&r->shared[w->object], &m) || m.offset >= w->size)
                    continue;
                uint64_t size = m.end - m.start, most = w->size - m.offset;
                struct view v = {i, t, m.start, size < most ? size : most, m.offset};
                if (!is_covered(r, &v))
                    URD_PUSH(o->views, o->n_views, o->cap_views) = v;
            }
        if (maps)
            fclose(maps);
    }
}

static struct outside *active(struct recorder *r)
{
    struct outside *o = r->outside;
    if (!o || !o->n)
        return NULL;
    if (!o->now)
        o->now = urd_xrealloc(NULL, MOST_BYTES);
    if (o->stale)
        find_views(r);
    return o;
}

void outside_stopped(struct recorder *r)
{
    struct outside *o = active(r);
    for (unsigned i = 0; o && i < o->n_views; i++) {
        const struct view *v = &o->views[i];
        struct watched *w = &o->list[v->watched];
        urd_tracee_read(v->t->mem, v->address, w->copy + v->offset, v->size);
        w->has_copy = true;
    }
}

/** A call wrote there: through whichever mapping, the object has it now. */
static void take_note(struct recorder *r, const struct urd_map_line *m, const struct urd_event *e)
{
    struct outside *o = r->outside;
    for (unsigned i = 0; i < o->n; i++) {
        struct watched *w = &o->list[i];
        if (!w->copy || !shared_is_of(&r->shared[w->object], m))
            continue;
        for (uint32_t k = 0; k < e->n_writes; k++) {
            const struct urd_mem_write *by = &e->writes[k];
            uint64_t from = by->address > m->start ? by->address : m->start;
            uint64_t end = by->address + by->size, to = end < m->end ? end : m->end;
            if (from < to && m->offset + (to - m->start) <= w->size)
                memcpy(w->copy + m->offset + (from - m->start), by->data + (from - by->address),
                       to - from);
        }
    }
}

bool outside_watches(const struct recorder *r)
{
    return r->outside && r->outside->n;
}

void outside_emitted(struct recorder *r, const struct urd_event *e)
{
    struct outside *o = r->outside;
    if (!o || !o->n)
        return;
    struct urd_map_line m;
    FILE *maps = e->n_writes ? urd_tracee_open_maps(e->pid) : NULL;
    while (maps && urd_tracee_next_map(maps, &m))
        take_note(r, &m, e);
    if (maps)
        fclose(maps);
    o->stale |= e->n_map_ops || e->kind == URD_EVENT_START || e->kind == URD_EVENT_EXIT ||
                e->kind == URD_EVENT_EXEC;
}

/** The bytes of the view that are not as they were, and no others: those beside them may be the program's own. At first, all. */
static void add_changes(struct recorder *r, const struct view *v, const struct watched *w)
{
    const uint8_t *now = r->outside->now, *was = w->copy + v->offset;
    for (uint64_t at = 0; at < v->size;) {
        uint64_t from = at;
        while (at < v->size && (!w->told || now[at] != was[at]))
            at++;
        if (at > from)
            event_add_bytes(&r->builder, v->address + from, now + from, at - from);
        while (at < v->size && w->told && now[at] == was[at])
            at++;
    }
}

static urd_err *compare_view(struct recorder *r, const struct view *v)
{
    struct outside *o = r->outside;
    struct watched *w = &o->list[v->watched];
    if (urd_tracee_read(v->t->mem, v->address, o->now, v->size) != v->size ||
        (w->told && (!w->has_copy || memcmp(o->now, w->copy + v->offset, v->size) == 0)))
        return NULL;
    others_begin(r, v->t, v->t);
    struct urd_event *e = &r->builder.event;
    e->other_tid = w->writer;
    e->status = !w->told; /* found so, not seen to be written */
    r->builder.text = strdup(w->name);
    add_changes(r, v, w);
    memcpy(w->copy + v->offset, o->now, v->size);
    return recorder_emit(r);
}

urd_err *outside_compare(struct recorder *r)
{
    if (!r->shares_files)
        return NULL;
    look(r);
    struct outside *o = active(r);
    for (unsigned i = 0; o && i < o->n_views; i++)
        URD_TRY(compare_view(r, &o->views[i]));
    for (unsigned i = 0; o && i < o->n; i++)
        o->list[i].told = true;
    return NULL;
}
