#include "record/shared.h"
#include "record/fast.h"
#include "record/others.h"
#include "record/syscall_numbers.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE       4096u
#define PAGE_UP(x) (((x) + PAGE - 1) & ~(uint64_t)(PAGE - 1))

static uint64_t map_dev(const struct urd_map_line *m)
{
    return (uint64_t)m->dev_major << 32 | m->dev_minor;
}

bool shared_is_of(const struct shared_object *o, const struct urd_map_line *m)
{
    return m->shared && m->inode == o->map_ino && map_dev(m) == o->map_dev;
}

/** Any mapping of the file. */
static bool shows(const struct shared_object *o, const struct urd_map_line *m)
{
    return m->inode && m->inode == o->map_ino && map_dev(m) == o->map_dev;
}

/** Of the tasks that have the same memory and are alive. */
static bool is_first_of_memory(const struct recorder *r, const struct task *t)
{
    const struct task *k = r->tasks;
    while (k && (k->mm != t->mm || k->exit_emitted))
        k = k->next;
    return k == t;
}

/** A part of an object that some process has mapped. */
struct covered {
    uint64_t from, to;
};

/**
 * The mappings of the object, of all processes, but the new one of task t. As far as one that has all of the new one: there may be
 * tens of thousands.
 */
static unsigned find_covered(struct recorder *r, const struct shared_object *o,
                             const struct task *t, const struct urd_map_op *op,
                             struct covered **ret)
{
    unsigned n = 0, cap = 0;
    bool all = false;
    *ret = NULL;
    for (struct task *k = r->tasks; k && !all; k = k->next) {
        struct urd_map_line m;
        FILE *maps = is_first_of_memory(r, k) ? urd_tracee_open_maps(k->tid) : NULL;
        while (maps && !all && urd_tracee_next_map(maps, &m)) {
            if (!shared_is_of(o, &m) || (k->mm == t->mm && m.start == op->start))
                continue;
            struct covered c = {m.offset, m.offset + (m.end - m.start)};
            URD_PUSH(*ret, n, cap) = c;
            all = c.from <= op->offset && c.to >= op->offset + op->size;
        }
        if (maps)
            fclose(maps);
    }
    return n;
}

static bool line_at(struct task *t, uint64_t address, struct urd_map_line *ret)
{
    return urd_tracee_find_map(t->tid, address, ret) && ret->start == address;
}

static struct shared_object *find_by_map(struct recorder *r, const struct urd_map_line *m)
{
    for (unsigned i = 0; i < r->n_shared; i++)
        if (shows(&r->shared[i], m))
            return &r->shared[i];
    return NULL;
}

static bool may_write(const char *fd_link)
{
    struct stat st; /* the link itself says how the file was opened: man 5 proc, /proc/PID/fd */
    return lstat(fd_link, &st) == 0 && st.st_mode & S_IWUSR;
}

/** Parts of a mapping that no other mapping has: somebody may have changed them while nobody looked. */
static void add_uncovered(struct event_builder *b, struct task *t, const struct urd_map_op *op,
                          const struct covered *c, unsigned n)
{
    uint64_t run = 0, run_size = 0;
    for (uint64_t at = 0; at < op->size; at += PAGE) {
        bool covered = false;
        for (unsigned i = 0; i < n && !covered; i++)
            covered = op->offset + at >= c[i].from && op->offset + at < c[i].to;
        if (covered)
            continue;
        if (!run_size || run + run_size != op->start + at) {
            event_add_memory(b, t->mem, run, run_size);
            run = op->start + at;
            run_size = 0;
        }
        run_size += PAGE;
    }
    event_add_memory(b, t->mem, run, run_size);
}

/** What somebody wrote behind the end of the file, into the rest of its last page: a stored file has zeros there. */
static void add_behind_end(struct event_builder *b, struct task *t, const struct urd_map_op *op,
                           uint64_t file_size)
{
    uint8_t rest[PAGE];
    uint64_t at = file_size - op->offset, n = PAGE_UP(file_size) - file_size;
    if (!op->file || file_size <= op->offset || at + n > op->size ||
        urd_tracee_read(t->mem, op->start + at, rest, n) != n)
        return;
    uint64_t first = 0;
    while (first < n && !rest[first])
        first++;
    if (first < n)
        event_add_bytes(b, op->start + at + first, rest + first, n - first);
}

/** A new segment is zeros; what was in an old one comes as writes. */
static void add_nonzero(struct event_builder *b, struct task *t, const struct urd_map_op *op)
{
    static const uint8_t zeros[PAGE];
    uint8_t page[PAGE];
    for (uint64_t at = op->start; at < op->start + op->size; at += PAGE)
        if (urd_tracee_read(t->mem, at, page, PAGE) == PAGE && memcmp(page, zeros, PAGE) != 0)
            event_add_memory(b, t->mem, at, PAGE);
}

struct shared_object *shared_find(struct recorder *r, const struct stat *st)
{
    for (unsigned i = 0; i < r->n_shared; i++)
        if (r->shared[i].ino && r->shared[i].ino == st->st_ino && r->shared[i].dev == st->st_dev)
            return &r->shared[i];
    return NULL;
}

static struct shared_object *add_object(struct recorder *r, const struct urd_map_line *m,
                                        const struct stat *st)
{
    struct shared_object *o = find_by_map(r, m);
    bool copied = o && o->copied, changed = o && o->changed;
    if (!o)
        o = &URD_PUSH(r->shared, r->n_shared, r->cap_shared);
    *o = (struct shared_object){.copied = copied,
                                .changed = changed,
                                .dev = st->st_dev,
                                .ino = st->st_ino,
                                .map_dev = map_dev(m),
                                .map_ino = m->inode,
                                .size = (uint64_t)st->st_size};
    fast_forget_files(r);
    return o;
}

urd_err *shared_mapped(struct recorder *r, struct task *t, struct urd_map_op *op,
                       const char *fd_link, bool is_segment)
{
    struct event_builder *b = &r->builder;
    struct urd_map_line m;
    struct stat st = {0};
    if (!fd_link && !is_segment) {
        op->object = ++r->last_object;
        event_add_op(b, *op);
        return NULL;
    }
    if (!line_at(t, op->start, &m) || (fd_link && stat(fd_link, &st) != 0))
        URD_FAIL("cannot find the shared memory at %#llx", (unsigned long long)op->start);
    struct shared_object *o = find_by_map(r, &m);
    r->shares_files = true;
    URD_AUTO_FREE struct covered *covered = NULL;
    unsigned n = o ? find_covered(r, o, t, op, &covered) : 0;
    if (n && o->id) {
        op->object = o->id;
        op->file = 0;
        event_add_op(b, *op);
        add_uncovered(b, t, op, covered, n);
        return NULL;
    }
    o = add_object(r, &m, &st);
    if (is_segment || may_write(fd_link)) {
        op->object = o->id = ++r->last_object;
        if (fd_link)
            fast_forget_file(r, &st);
        t->scratch.opened = n ? (uint32_t)(o - r->shared) + 1 : 0;
    } else {
        o->copied = true;
    }
    event_add_op(b, *op);
    if (is_segment)
        add_nonzero(b, t, op);
    else
        add_behind_end(b, t, op, o->size);
    return NULL;
}

void shared_copied(struct recorder *r, struct task *t, const struct urd_map_op *op,
                   const char *fd_link)
{
    struct urd_map_line m;
    struct stat st;
    if (stat(fd_link, &st) != 0)
        return;
    add_behind_end(&r->builder, t, op, (uint64_t)st.st_size);
    struct shared_object *o = shared_find(r, &st);
    if (!o) {
        if (!line_at(t, op->start, &m))
            return;
        o = add_object(r, &m, &st);
    }
    o->copied = true;
    if (!o->id)
        o->size = (uint64_t)st.st_size;
}

void shared_dropped(struct recorder *r, struct task *t, uint64_t start, uint64_t end)
{
    struct urd_map_line m;
    bool any = false;
    for (unsigned i = 0; i < r->n_shared && !any; i++)
        any = r->shared[i].copied && r->shared[i].changed;
    FILE *maps = any ? urd_tracee_open_maps(t->tid) : NULL;
    while (maps && urd_tracee_next_map(maps, &m)) {
        uint64_t from = m.start > start ? m.start : start, to = m.end < end ? m.end : end;
        const struct shared_object *o = from < to && m.inode ? find_by_map(r, &m) : NULL;
        if (o && o->changed && !(m.shared && o->id))
            event_add_memory(&r->builder, t->mem, from, to - from);
    }
    if (maps)
        fclose(maps);
}

/** Flags and position of a file descriptor. */
static void fd_info(struct task *t, int fd, uint64_t *ret_position, unsigned *ret_flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", t->tid, fd);
    FILE *f = fopen(path, "re");
    unsigned long position = 0;
    if (!f || fscanf(f, "pos: %lu flags: %o", &position, ret_flags) != 2)
        *ret_flags = 0;
    if (f)
        fclose(f);
    *ret_position = position;
}

/** The file that a call wrote to, and where; false when it is none of the calls that write. */
static bool written_range(struct task *t, int64_t result, char path[4200], int *ret_fd,
                          uint64_t *ret_offset_pointer, uint64_t *ret_offset)
{
    const struct user_regs_struct *e = &t->entry;
    *ret_offset = ~0ull; /* at the descriptor's position */
    *ret_offset_pointer = 0;
    *ret_fd = (int)e->rdi;
    switch (t->call->number) {
    case SYS_write:
    case SYS_writev:
    case SYS_sendfile:
        break;
    case SYS_pwrite64:
    case SYS_pwritev:
    case SYS_pwritev2:
        *ret_offset = e->r10;
        break;
    case SYS_copy_file_range:
    case SYS_splice:
        *ret_fd = (int)e->rdx;
        *ret_offset_pointer = e->r10;
        break;
    case SYS_fallocate:
    case SYS_ftruncate:
        break;
    case SYS_open:
    case SYS_openat:
    case SYS_openat2:
    case SYS_creat:
        *ret_fd = (int)result;
        break;
    case SYS_truncate: {
        char name[4096] = "";
        urd_tracee_read(t->mem, e->rdi, name, sizeof name - 1);
        snprintf(path, 4200, "/proc/%d/%s/%s", t->tid, name[0] == '/' ? "root" : "cwd", name);
        return true;
    }
    default:
        return false;
    }
    snprintf(path, 4200, "/proc/%d/fd/%d", t->tid, *ret_fd);
    return true;
}

/** What a call did to a file. */
struct change {
    const struct shared_object *o;
    uint64_t from, to; /* was written */
    uint64_t was;      /* its size before, bytes */
    uint32_t nothing;  /* an empty stored file, when it has become shorter */
};

/** A copy of the file follows its size: nothing is behind the end, whatever was written there; zeros come to a longer one. */
static void add_resized(struct event_builder *b, struct task *t, const struct change *c,
                        const struct urd_map_line *m)
{
    uint64_t size = c->o->size, end = m->offset + (m->end - m->start);
    bool shorter = size < c->was;
    uint64_t from = PAGE_UP(shorter ? size : c->was), to = shorter ? end : PAGE_UP(size);
    from = from > m->offset ? from : m->offset;
    to = to < end ? to : end;
    if (from < to)
        event_add_op(b, (struct urd_map_op){.kind = URD_MAP_MAP,
                                            .prot = m->prot,
                                            .file = shorter ? c->nothing : 0,
                                            .start = m->start + (from - m->offset),
                                            .size = to - from,
                                            .offset = shorter ? from : 0,
                                            .name = m->name});
}

/** What the task has mapped of the change; how many bytes are mapped shared. */
static uint64_t add_mapped(struct event_builder *b, struct task *t, const struct change *c)
{
    struct urd_map_line m;
    uint64_t total = 0;
    const struct shared_object *o = c->o;
    FILE *maps = urd_tracee_open_maps(t->tid);
    while (maps && urd_tracee_next_map(maps, &m)) {
        uint64_t end = m.offset + (m.end - m.start), from = c->from, to = c->to;
        bool is_copy = !(m.shared && o->id);
        if (!shows(o, &m))
            continue;
        if (is_copy && o->size != c->was)
            add_resized(b, t, c, &m);
        if (end <= from || m.offset >= to || from >= to)
            continue;
        uint64_t first = from > m.offset ? from : m.offset, last = to < end ? to : end;
        event_add_memory(b, t->mem, m.start + (first - m.offset), last - first);
        total += is_copy ? 0 : last - first;
    }
    if (maps)
        fclose(maps);
    return total;
}

/** What is behind the range of the call is elsewhere now. */
static bool moves_content(const struct task *t)
{
    return t->call->number == SYS_fallocate &&
           t->entry.rsi & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE);
}

/** A file without content. */
static urd_err *store_nothing(struct recorder *r, uint32_t *ret)
{
    URD_AUTO_CLOSE int fd = memfd_create("nothing", MFD_CLOEXEC);
    if (fd < 0)
        URD_FAIL_ERRNO("cannot make a memory file");
    return urd_trace_store_file(r->writer, fd, "", ret);
}

urd_err *shared_written(struct recorder *r, struct task *t, int64_t result)
{
    char path[4200];
    int fd;
    uint64_t pointer, offset, position;
    unsigned flags;
    struct stat st;
    t->scratch.object = 0;
    if (!r->n_shared || result < 0 || !written_range(t, result, path, &fd, &pointer, &offset) ||
        stat(path, &st) != 0)
        return NULL;
    struct shared_object *o = shared_find(r, &st);
    if (!o)
        return NULL;
    uint64_t size = (uint64_t)st.st_size, to;
    fd_info(t, fd, &position, &flags);
    if (t->call->number == SYS_fallocate)
        to = t->entry.rdx + (uint64_t)(result = (int64_t)t->entry.r10);
    else if (flags & O_APPEND)
        to = size;
    else if (pointer && urd_tracee_read(t->mem, pointer, &to, 8) == 8)
        ;
    else
        to = offset == ~0ull ? position : offset + (uint64_t)result;
    if (t->call->number == SYS_ftruncate || t->call->number == SYS_truncate)
        result = 0;
    struct change c = {.o = o, .was = o->size};
    if (size != o->size) {
        if (o->id)
            event_add_op(&r->builder,
                         (struct urd_map_op){
                             .kind = URD_MAP_RESIZE, .object = o->id, .offset = size, .name = ""});
        if (size < o->size && o->copied)
            URD_TRY(store_nothing(r, &c.nothing));
        o->size = size;
    }
    c.to = to > PAGE_UP(o->size) ? PAGE_UP(o->size) : to;
    c.from = c.to - ((uint64_t)result < c.to ? (uint64_t)result : c.to);
    if (moves_content(t))
        c.to = PAGE_UP(size);
    if (size < c.was && o->copied) { /* the rest of its last page is zeros now */
        c.to = PAGE_UP(size);
        c.from = c.from < size ? c.from : size;
    }
    bool resized = o->copied && c.was != size;
    if (c.from == c.to && !resized)
        return NULL;
    o->changed = true;
    uint64_t mine = add_mapped(&r->builder, t, &c);
    if (!o->copied && mine >= c.to - c.from)
        return NULL;
    t->scratch.object = (uint32_t)(o - r->shared) + 1;
    t->scratch.from = c.from;
    t->scratch.to = c.to;
    t->scratch.was = c.was;
    t->scratch.nothing = c.nothing;
    return NULL;
}

/** What the task has mapped of an object becomes the object itself; `except`: a mapping that is it already. */
static void add_opened(struct event_builder *b, struct task *t, const struct shared_object *o,
                       uint64_t except)
{
    struct urd_map_line m;
    FILE *maps = urd_tracee_open_maps(t->tid);
    while (maps && urd_tracee_next_map(maps, &m)) {
        if (!shared_is_of(o, &m) || m.start == except)
            continue;
        event_add_op(b, (struct urd_map_op){.kind = URD_MAP_MAP,
                                            .shared = 1,
                                            .prot = m.prot,
                                            .object = o->id,
                                            .start = m.start,
                                            .size = m.end - m.start,
                                            .offset = m.offset,
                                            .name = m.name});
        event_add_memory(b, t->mem, m.start, m.end - m.start);
    }
    if (maps)
        fclose(maps);
}

urd_err *shared_opened(struct recorder *r, struct task *t, uint64_t mapped_at)
{
    if (!t->scratch.opened)
        return NULL;
    const struct shared_object *o = &r->shared[t->scratch.opened - 1];
    t->scratch.opened = 0;
    for (struct task *k = r->tasks; k; k = k->next) {
        if (!is_first_of_memory(r, k))
            continue;
        others_begin(r, k, t);
        r->builder.event.status = 1; /* nothing changes */
        add_opened(&r->builder, k, o, k->mm == t->mm ? mapped_at : 0);
        if (r->builder.n_ops)
            URD_TRY(recorder_emit(r));
    }
    return NULL;
}

urd_err *shared_written_others(struct recorder *r, struct task *t)
{
    if (!t->scratch.object)
        return NULL;
    struct change c = {&r->shared[t->scratch.object - 1], t->scratch.from, t->scratch.to,
                       t->scratch.was, t->scratch.nothing};
    t->scratch.object = 0;
    for (struct task *k = r->tasks; k; k = k->next) {
        if (k->mm == t->mm || !is_first_of_memory(r, k))
            continue;
        others_begin(r, k, t);
        add_mapped(&r->builder, k, &c);
        if (r->builder.n_ops || r->builder.n_writes)
            URD_TRY(recorder_emit(r));
    }
    return NULL;
}
