#include "replay/objects.h"
#include "base/buf.h"
#include "trace/checksum.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_DATA (64ull << 20) /* copied for one checkpoint, bytes */
#define FEW       256u          /* objects that may be there without a look whether they are used */
#define PAGE      4096u

void urd_objects_deinit(struct urd_objects *o)
{
    for (uint32_t i = 0; i < o->n; i++)
        close(o->list[i].fd);
    free(o->list);
    *o = (struct urd_objects){0};
}

/** The recorder counts objects, and the first mapping makes them: the list is in order. */
static struct urd_object *find(const struct urd_objects *o, uint32_t id)
{
    uint32_t from = 0, to = o->n;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (o->list[middle].id < id)
            from = middle + 1;
        else
            to = middle;
    }
    return from < o->n && o->list[from].id == id ? &o->list[from] : NULL;
}

static urd_err *create(struct urd_objects *o, uint32_t id, uint64_t size, int *ret_fd)
{
    URD_AUTO_FREE char *name = urd_xprintf(URD_SHARED_NAME "%u", id);
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        URD_FAIL_ERRNO("cannot make a memory file");
    URD_PUSH(o->list, o->n, o->cap) = (struct urd_object){id, fd};
    if (ftruncate(fd, (off_t)size) != 0)
        URD_FAIL_ERRNO("cannot make shared memory of %llu bytes", (unsigned long long)size);
    *ret_fd = fd;
    return NULL;
}

/** Copy [from, to) of a file, holes left out. */
static urd_err *copy_data(int in, int out, uint64_t from, uint64_t to)
{
    static __thread uint8_t block[65536];
    for (off_t at = (off_t)from; at < (off_t)to;) {
        off_t data = lseek(in, at, SEEK_DATA);
        if (data < 0 || data >= (off_t)to)
            return NULL;
        off_t hole = lseek(in, data, SEEK_HOLE);
        if (hole < 0 || hole > (off_t)to)
            hole = (off_t)to;
        for (at = data; at < hole;) {
            size_t want = (size_t)(hole - at) < sizeof block ? (size_t)(hole - at) : sizeof block;
            ssize_t n = pread(in, block, want, at);
            if (n <= 0)
                return NULL;
            if (pwrite(out, block, (size_t)n, at) != n)
                URD_FAIL_ERRNO("cannot fill shared memory");
            at += n;
        }
    }
    return NULL;
}

static void unmap_page(uint8_t **page)
{
    if (*page)
        munmap(*page, PAGE);
}
#define AUTO_UNMAP __attribute__((cleanup(unmap_page)))

/** The last page of a file, whose rest behind the end is seen in mappings only. */
static urd_err *map_last_page(int fd, uint64_t size, uint8_t **ret)
{
    off_t at = (off_t)(size & ~(uint64_t)(PAGE - 1));
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
    if (page == MAP_FAILED)
        URD_FAIL_ERRNO("cannot map shared memory");
    *ret = page;
    return NULL;
}

/** What was written behind the end, into the rest of the last page. */
static urd_err *copy_behind_end(int in, int out, uint64_t size)
{
    AUTO_UNMAP uint8_t *from = NULL, *to = NULL;
    if (!(size % PAGE))
        return NULL;
    URD_TRY(map_last_page(in, size, &from));
    URD_TRY(map_last_page(out, size, &to));
    memcpy(to + size % PAGE, from + size % PAGE, PAGE - size % PAGE);
    return NULL;
}

/** Like pwrite, but what goes into the rest of the last page does not make the file longer. */
static bool write_object(int fd, const uint8_t *data, uint64_t n, uint64_t at)
{
    AUTO_UNMAP uint8_t *page = NULL;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return false;
    uint64_t size = (uint64_t)st.st_size, first = size & ~(uint64_t)(PAGE - 1);
    uint64_t inside = at >= size ? 0 : size - at < n ? size - at : n;
    if (pwrite(fd, data, inside, (off_t)at) != (ssize_t)inside)
        return false;
    if (inside == n)
        return true;
    if (size == first || at + n > first + PAGE)
        return false;
    urd_err *err = map_last_page(fd, size, &page);
    urd_err_free(err);
    if (!page)
        return false;
    memcpy(page + (at + inside - first), data + inside, n - inside);
    return true;
}

/** A file's content is where the trace keeps it; only what is mapped is needed. */
static urd_err *create_from_file(struct urd_objects *o, const struct urd_trace *trace,
                                 const struct urd_map_op *op, int *ret_fd)
{
    URD_AUTO_FREE char *path = urd_trace_file_path(trace, op->file - 1);
    URD_AUTO_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (file < 0 || fstat(file, &st) != 0)
        URD_FAIL_ERRNO("cannot open the stored file %s", path);
    URD_TRY(create(o, op->object, (uint64_t)st.st_size, ret_fd));
    uint64_t end = op->offset + op->size;
    return copy_data(file, *ret_fd, op->offset,
                     end < (uint64_t)st.st_size ? end : (uint64_t)st.st_size);
}

urd_err *urd_objects_map(struct urd_objects *o, struct urd_process *p,
                         const struct urd_trace *trace, const struct urd_map_op *op)
{
    struct urd_object *known = find(o, op->object);
    int fd = known ? known->fd : -1;
    if (op->kind == URD_MAP_RESIZE) {
        if (known && ftruncate(fd, (off_t)op->offset) != 0)
            URD_FAIL_ERRNO("cannot change the size of shared memory to %llu",
                           (unsigned long long)op->offset);
        return NULL;
    }
    URD_TRY(urd_process_check_range(op));
    if (!known && op->file)
        URD_TRY(create_from_file(o, trace, op, &fd));
    else if (!known)
        URD_TRY(create(o, op->object, op->offset + op->size, &fd));
    return urd_process_map_fd(p, fd, op->start, op->size, op->prot, op->offset);
}

/** The id of the object that a mapping is of; 0 when it is of none. */
static uint32_t id_of(const struct urd_map_line *m)
{
    unsigned id = 0;
    return m->shared && sscanf(m->name, "/memfd:" URD_SHARED_NAME "%u", &id) == 1 ? id : 0;
}

bool urd_objects_write(const struct urd_objects *o, struct urd_process *p,
                       const struct urd_mem_write *w)
{
    struct urd_map_line m;
    uint64_t at = w->address, end = w->address + w->size;
    FILE *maps = o->n ? urd_tracee_open_maps(p->pid) : NULL;
    while (maps && at < end && urd_tracee_next_map(maps, &m)) {
        if (at < m.start || at >= m.end)
            continue;
        uint64_t n = (end < m.end ? end : m.end) - at;
        const uint8_t *data = w->data + (at - w->address);
        const struct urd_object *object = find(o, id_of(&m));
        bool done = object ? write_object(object->fd, data, n, m.offset + (at - m.start))
                           : urd_tracee_write(p->mem, at, data, n) == n;
        if (!done)
            break;
        at += n;
    }
    if (maps)
        fclose(maps);
    return at == end;
}

static urd_err *note_used(const struct urd_objects *o, struct urd_process *p, bool *used)
{
    struct urd_map_line m;
    FILE *maps = urd_tracee_open_maps(p->pid);
    if (!maps)
        URD_FAIL_ERRNO("cannot read the mappings of process %d", p->pid);
    while (urd_tracee_next_map(maps, &m)) {
        const struct urd_object *object = find(o, id_of(&m));
        if (object)
            used[object - o->list] = true;
    }
    fclose(maps);
    return NULL;
}

bool urd_objects_are_many(const struct urd_objects *o)
{
    return o->n >= FEW && o->n >= 2 * o->kept;
}

urd_err *urd_objects_drop_unused(struct urd_objects *o, struct urd_process *const *processes,
                                 uint32_t n_processes)
{
    URD_AUTO_FREE bool *used = urd_xcalloc(o->n + 1, sizeof *used);
    for (uint32_t i = 0; i < n_processes; i++)
        URD_TRY(note_used(o, processes[i], used));
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        if (used[i])
            o->list[n++] = o->list[i];
        else
            close(o->list[i].fd);
    }
    o->n = o->kept = n;
    return NULL;
}

urd_err *urd_objects_copy(const struct urd_objects *from, struct urd_process *const *processes,
                          uint32_t n_processes, bool *ret_possible, struct urd_objects *ret)
{
    *ret_possible = true;
    if (!from->n)
        return NULL;
    URD_AUTO_FREE bool *used = urd_xcalloc(from->n, sizeof *used);
    for (uint32_t i = 0; i < n_processes; i++)
        URD_TRY(note_used(from, processes[i], used));
    uint64_t total = 0;
    struct stat st;
    for (uint32_t i = 0; i < from->n; i++)
        if (used[i] && fstat(from->list[i].fd, &st) == 0)
            total += (uint64_t)st.st_blocks * 512;
    *ret_possible = total <= MOST_DATA;
    for (uint32_t i = 0; i < from->n && *ret_possible; i++) {
        int fd;
        if (!used[i] || fstat(from->list[i].fd, &st) != 0)
            continue;
        URD_TRY(create(ret, from->list[i].id, (uint64_t)st.st_size, &fd));
        URD_TRY(copy_data(from->list[i].fd, fd, 0, (uint64_t)st.st_size));
        URD_TRY(copy_behind_end(from->list[i].fd, fd, (uint64_t)st.st_size));
    }
    return NULL;
}

urd_err *urd_objects_adopt(const struct urd_objects *o, struct urd_process *p)
{
    struct urd_map_line *lines = NULL, m;
    unsigned n = 0, cap = 0;
    if (!o->n)
        return NULL;
    FILE *maps = urd_tracee_open_maps(p->pid);
    if (!maps)
        URD_FAIL_ERRNO("cannot read the mappings of process %d", p->pid);
    while (urd_tracee_next_map(maps, &m))
        if (find(o, id_of(&m)))
            URD_PUSH(lines, n, cap) = m;
    fclose(maps);
    urd_err *err = NULL;
    for (unsigned i = 0; i < n && !err; i++)
        err = urd_process_map_fd(p, find(o, id_of(&lines[i]))->fd, lines[i].start,
                                 lines[i].end - lines[i].start, lines[i].prot, lines[i].offset);
    free(lines);
    URD_TRY(err);
    return NULL;
}
