#include "record/replaced_insns.h"
#include "record/shared.h"
#include "base/log.h"
#include "base/tracee.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u

urd_err *layout_store(struct recorder *r, const char *proc_path, const char *name, uint32_t *ret)
{
    *ret = 0;
    struct stat known;
    if (stat(proc_path, &known) != 0 || !S_ISREG(known.st_mode))
        return NULL;
    const struct shared_object *o = shared_find(r, &known);
    *ret =
        o && o->id ? 0 : urd_trace_known_file(r->writer, &known); /* mappings may change no time */
    if (*ret)
        return NULL;
    URD_AUTO_CLOSE int fd = open(proc_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    return urd_trace_store_file(r->writer, fd, name, ret);
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

urd_err *layout_hide_vdso(struct task *t, uint64_t stack)
{
    uint64_t at = find_auxv(t->mem, stack);
    if (!at)
        URD_FAIL("cannot find the auxiliary vector of process %d", t->pid);
    Elf64_auxv_t aux[64];
    size_t n = urd_tracee_read(t->mem, at, aux, sizeof aux) / sizeof *aux;
    for (size_t i = 0; i < n && aux[i].a_type != AT_NULL; i++) {
        if (aux[i].a_type != AT_SYSINFO_EHDR)
            continue;
        aux[i].a_type = AT_IGNORE;
        urd_tracee_write(t->mem, at + i * sizeof *aux, &aux[i], sizeof *aux);
        break;
    }
    return NULL;
}

/** Pages of a mapping that differ from `fd`'s content (from zeros when fd is -1) come in as writes. */
static void add_differences(struct event_builder *b, int mem, const struct urd_map_line *m, int fd)
{
    static uint8_t many[32][PAGE], was[PAGE];
    uint64_t run = 0, run_size = 0, from = 0;
    size_t got = 0;
    for (uint64_t at = m->start; at < m->end; at += PAGE) {
        bool same = true;
        if (at - from >= got || !got) {
            size_t left = m->end - at;
            got = urd_tracee_read(mem, from = at, many, left < sizeof many ? left : sizeof many);
        }
        if (at - from + PAGE <= got) {
            memset(was, 0, PAGE);
            if (fd >= 0 && pread(fd, was, PAGE, (off_t)(m->offset + at - m->start)) < 0)
                memset(was, 0, PAGE);
            same = memcmp(many[(at - from) / PAGE], was, PAGE) == 0;
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

urd_err *layout_after_exec(struct recorder *r, struct task *t)
{
    warn_of_privilege(t);
    FILE *maps = urd_tracee_open_maps(t->tid);
    if (!maps)
        URD_FAIL_ERRNO("cannot read the mappings of process %d", t->pid);
    struct urd_map_line m;
    urd_err *err = NULL;
    while (!err && urd_tracee_next_map(maps, &m)) {
        if (strncmp(m.name, "[v", 2) == 0) /* vdso, vvar, vvar_vclock, vsyscall */
            continue;
        struct urd_map_op op = {.kind = URD_MAP_MAP,
                                .shared = m.shared,
                                .prot = m.prot,
                                .start = m.start,
                                .size = m.end - m.start,
                                .offset = m.offset,
                                .name = m.name,
                                .grows_down = strcmp(m.name, "[stack]") == 0};
        int fd = -1;
        if (m.inode) {
            char link[128];
            snprintf(link, sizeof link, "/proc/%d/map_files/%lx-%lx", t->tid, m.start, m.end);
            err = layout_store(r, link, m.name, &op.file);
            if (!err && !op.file)
                err = layout_store(r, m.name, m.name, &op.file);
            fd = open(link, O_RDONLY | O_CLOEXEC);
            if (fd < 0)
                fd = open(m.name, O_RDONLY | O_CLOEXEC);
        }
        event_add_op(&r->builder, op);
        if (!err && (m.prot & PROT_WRITE || !op.file))
            add_differences(&r->builder, t->mem, &m, fd);
        replaced_insns_mapped(r, t, &op, fd);
        if (fd >= 0)
            close(fd);
    }
    fclose(maps);
    URD_TRY(err);
    return NULL;
}
