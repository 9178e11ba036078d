#include "record/replaced_insns.h"
#include "record/shared.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/fast.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u

static urd_err *store_file(struct recorder *r, const char *proc_path, const char *name,
                           uint32_t *ret)
{
    URD_AUTO_CLOSE int fd = open(proc_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    return urd_trace_store_file(r->writer, fd, name, ret);
}

urd_err *layout_store(struct recorder *r, struct task *t, const char *proc_path, const char *name,
                      uint32_t *ret)
{
    *ret = 0;
    struct stat known;
    if (stat(proc_path, &known) != 0 || !S_ISREG(known.st_mode))
        return NULL;
    const struct shared_object *o = shared_find(r, &known);
    bool may_change = o && o->id; /* by a mapping, which may change no time */
    *ret = may_change ? 0 : urd_trace_known_file(r->writer, &known);
    if (!*ret)
        URD_TRY(store_file(r, proc_path, name, ret));
    if (!may_change && urd_trace_known_file(r->writer, &known)) /* it has not changed meanwhile */
        fast_know_file(r, t, &known, *ret, name);
    return NULL;
}

/** argc, argv.., 0, envp.., 0, then the auxiliary vector (System V ABI AMD64, 3.4.1). */
static uint64_t find_auxv(int mem, uint64_t stack)
{
    uint64_t words[512] = {0}, at = stack;
    size_t n, i = 0;
    if (urd_tracee_read(mem, at, words, 8) != 8 || words[0] > 1u << 22)
        return 0;
    at += 8 * (words[0] + 2);
    do {
        n = urd_tracee_read(mem, at, words, sizeof words) / 8;
        for (i = 0; i < n && words[i]; i++)
            ;
        at += 8 * i;
    } while (i == n && n);
    return n ? at + 8 : 0;
}

/** The vector into aux, as much as has room: how many entries before AT_NULL. */
static size_t read_auxv(const struct task *t, uint64_t at, Elf64_auxv_t aux[64])
{
    size_t n = at ? urd_tracee_read(t->mem, at, aux, 64 * sizeof *aux) / sizeof *aux : 0, i = 0;
    while (i < n && aux[i].a_type != AT_NULL)
        i++;
    return i;
}

bool layout_has_loader(const struct task *t, uint64_t stack)
{
    Elf64_auxv_t aux[64];
    for (size_t i = read_auxv(t, find_auxv(t->mem, stack), aux); i-- > 0;)
        if (aux[i].a_type == AT_BASE)
            return aux[i].a_un.a_val != 0;
    return false;
}

urd_err *layout_hide_vdso(struct task *t, uint64_t stack)
{
    uint64_t at = find_auxv(t->mem, stack);
    if (!at)
        URD_FAIL("cannot find the auxiliary vector of process %d", t->pid);
    Elf64_auxv_t aux[64];
    size_t n = read_auxv(t, at, aux);
    for (size_t i = 0; i < n; i++) {
        if (aux[i].a_type != AT_SYSINFO_EHDR)
            continue;
        aux[i].a_type = AT_IGNORE;
        urd_tracee_write(t->mem, at + i * sizeof *aux, &aux[i], sizeof *aux);
        break;
    }
    return NULL;
}

/** Bits of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst): in memory or swapped; it is the file's page. */
#define IS_THERE(entry) ((entry) >> 62)
#define IS_FILES(entry) ((entry) >> 61 & 1)

/** May these pages be other than their file's, or zeros? One byte each in *ret; all may, when the kernel does not tell. */
static void find_changed(int pagemap, uint64_t start, uint64_t n, uint8_t *ret)
{
    uint64_t entries[256];
    memset(ret, 1, n);
    for (uint64_t i = 0; i < n; i += 256) {
        uint64_t some = n - i < 256 ? n - i : 256;
        if (pread(pagemap, entries, some * 8, (off_t)((start / PAGE + i) * 8)) !=
            (ssize_t)(some * 8))
            return;
        for (uint64_t k = 0; k < some; k++)
            ret[i + k] = IS_THERE(entries[k]) && !IS_FILES(entries[k]);
    }
}

/** Pages of a mapping that differ from `fd`'s content (from zeros when fd is -1) come in as writes. */
static void add_differences(struct event_builder *b, int mem, int pagemap,
                            const struct urd_map_line *m, int fd)
{
    uint8_t is[PAGE], was[PAGE];
    uint64_t run = 0, run_size = 0, n = (m->end - m->start) / PAGE;
    URD_AUTO_FREE uint8_t *changed = urd_xrealloc(NULL, n + 1);
    find_changed(pagemap, m->start, n, changed);
    for (uint64_t at = m->start; at < m->end; at += PAGE) {
        bool same = !changed[(at - m->start) / PAGE] || urd_tracee_read(mem, at, is, PAGE) != PAGE;
        if (!same) {
            memset(was, 0, PAGE);
            if (fd >= 0 && pread(fd, was, PAGE, (off_t)(m->offset + at - m->start)) < 0)
                memset(was, 0, PAGE);
            same = memcmp(is, was, PAGE) == 0;
        }
        if (!same && run_size && run + run_size == at) {
            run_size += PAGE;
        } else if (!same) {
            event_add_memory(b, mem, run, run_size);
            run = at;
            run_size = PAGE;
        }
    }
    event_add_memory(b, mem, run, run_size);
}

/** Under an unprivileged tracer the kernel starts set-user-id programs as what the user is (man 2 execve). */
static void warn_of_privilege(const struct task *t)
{
    char path[64], line[128];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/exe", t->tid);
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || !(st.st_mode & (S_ISUID | S_ISGID)))
        return;
    snprintf(path, sizeof path, "/proc/%d/status", t->tid);
    FILE *f = fopen(path, "re");
    unsigned uid = st.st_uid, gid = st.st_gid;
    while (f && fgets(line, sizeof line, f)) {
        sscanf(line, "Uid: %*u %u", &uid);
        sscanf(line, "Gid: %*u %u", &gid);
    }
    if (f)
        fclose(f);
    if ((st.st_mode & S_ISUID && uid != st.st_uid) || (st.st_mode & S_ISGID && gid != st.st_gid))
        urd_warn(
            "process %d started a set-user-id program: traced by a user, it has no more rights "
            "than that user; record as root to change that",
            t->pid);
}

/** A mapped file, and the mapping that showed it first: its neighbours mostly show the same one. */
struct mapped_file {
    struct urd_map_line first;
    uint32_t file;
    int fd;
};

static urd_err *find_file(struct recorder *r, struct task *t, const struct urd_map_line *m,
                          struct mapped_file *f)
{
    char link[128];
    if (f->fd >= 0 && m->inode == f->first.inode && m->dev_major == f->first.dev_major &&
        m->dev_minor == f->first.dev_minor && strcmp(m->name, f->first.name) == 0)
        return NULL;
    if (f->fd >= 0)
        close(f->fd);
    *f = (struct mapped_file){.first = *m, .fd = -1};
    if (!m->inode)
        return NULL;
    snprintf(link, sizeof link, "/proc/%d/map_files/%lx-%lx", t->tid, m->start, m->end);
    URD_TRY(layout_store(r, t, link, m->name, &f->file));
    if (!f->file)
        URD_TRY(layout_store(r, t, m->name, m->name, &f->file));
    f->fd = open(link, O_RDONLY | O_CLOEXEC);
    if (f->fd < 0)
        f->fd = open(m->name, O_RDONLY | O_CLOEXEC);
    return NULL;
}

urd_err *layout_after_exec(struct recorder *r, struct task *t)
{
    warn_of_privilege(t);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/pagemap", t->tid);
    URD_AUTO_CLOSE int pagemap = open(path, O_RDONLY | O_CLOEXEC);
    FILE *maps = urd_tracee_open_maps(t->tid);
    if (!maps)
        URD_FAIL_ERRNO("cannot read the mappings of process %d", t->pid);
    struct urd_map_line m;
    struct mapped_file f = {.fd = -1};
    urd_err *err = NULL;
    while (!err && urd_tracee_next_map(maps, &m)) {
        if (strncmp(m.name, "[v", 2) == 0) /* vdso, vvar, vvar_vclock, vsyscall */
            continue;
        err = find_file(r, t, &m, &f);
        struct urd_map_op op = {.kind = URD_MAP_MAP,
                                .shared = m.shared,
                                .prot = m.prot,
                                .file = f.file,
                                .start = m.start,
                                .size = m.end - m.start,
                                .offset = m.offset,
                                .name = m.name,
                                .grows_down = strcmp(m.name, "[stack]") == 0};
        event_add_op(&r->builder, op);
        if (!err && (m.prot & PROT_WRITE || !op.file))
            add_differences(&r->builder, t->mem, pagemap, &m, f.fd);
        replaced_insns_mapped(r, t, &op, f.fd);
    }
    if (f.fd >= 0)
        close(f.fd);
    fclose(maps);
    URD_TRY(err);
    return NULL;
}
