#include "debuginfo/private.h"
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

urd_err *urd_debuginfo_module_open(const char *path, const char *original_path,
                                   struct urd_module **ret)
{
    struct urd_elf elf;
    URD_TRY(urd_debuginfo_elf_open(path, &elf));
    struct urd_module *m = urd_xcalloc(1, sizeof *m);
    m->elf = elf;
    m->path = urd_xprintf("%s", original_path ? original_path : path);
    const char *slash = strrchr(m->path, '/');
    m->name = slash ? (char *)slash + 1 : m->path;
    *ret = m;
    return NULL;
}

static void free_indexes(struct urd_dwarf *d)
{
    for (size_t i = 0; i < d->n_units; i++)
        urd_debuginfo_unit_index_free(d->units[i].index);
    for (size_t i = 0; i < d->n_splits; i++)
        free_indexes(d->splits[i]);
}

void urd_debuginfo_module_close(struct urd_module *m)
{
    if (!m)
        return;
    free_indexes(&m->dwarf);
    free_indexes(&m->alt_dwarf);
    for (size_t i = 0; i < m->line_tables.capacity; i++) {
        if (m->line_tables.slots[i].used != 1)
            continue;
        struct urd_line_table *t = (void *)(uintptr_t)m->line_tables.slots[i].value;
        free(t->files);
        free(t->rows);
        free(t->sequences);
        free(t);
    }
    urd_debuginfo_dwarf_deinit(&m->dwarf);
    urd_debuginfo_dwarf_deinit(&m->alt_dwarf);
    struct urd_map *maps[] = {&m->symbol_names, &m->alignments, &m->line_tables,
                              &m->types,        &m->pointers,   &m->type_names,
                              &m->members,      &m->variables,  &m->global_names};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        urd_map_deinit(maps[i]);
    void *lists[] = {m->symbols,   m->symbol_next,      m->unit_ranges, m->sources,
                     m->functions, m->type_list,        m->globals,     m->global_next,
                     m->fdes,      m->function_max_end, m->last_row};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        free(lists[i]);
    urd_debuginfo_elf_close(&m->alt);
    urd_debuginfo_elf_close(&m->debug);
    urd_debuginfo_elf_close(&m->elf);
    urd_arena_deinit(&m->arena);
    free(m->path);
    free(m);
}

const char *urd_debuginfo_module_path(const struct urd_module *m)
{
    return m->path;
}

const char *urd_debuginfo_module_name(const struct urd_module *m)
{
    return m->name;
}

const char *urd_debuginfo_module_build_id(const struct urd_module *m)
{
    return m->elf.build_id;
}

uint64_t urd_debuginfo_module_entry(const struct urd_module *m)
{
    return m->elf.h.e_entry;
}

bool urd_debuginfo_module_is_executable(const struct urd_module *m)
{
    if (m->elf.h.e_type == ET_EXEC)
        return true;
    for (size_t i = 0; i < m->elf.n_segments; i++)
        if (m->elf.segments[i].p_type == PT_INTERP)
            return true;
    /* static PIE: no interpreter, but DF_1_PIE; libraries have neither. ld.so itself has no entry
     * in any DT_NEEDED that matters here */
    struct urd_section *d = urd_debuginfo_elf_section((struct urd_elf *)&m->elf, ".dynamic");
    struct urd_span s = urd_debuginfo_elf_bytes((struct urd_elf *)&m->elf, d);
    for (size_t i = 0; i + sizeof(Elf64_Dyn) <= s.size; i += sizeof(Elf64_Dyn)) {
        Elf64_Dyn dyn;
        memcpy(&dyn, s.data + i, sizeof dyn);
        if (dyn.d_tag == DT_FLAGS_1 && (dyn.d_un.d_val & DF_1_PIE))
            return true;
    }
    return false;
}

bool urd_debuginfo_module_offset_to_address(const struct urd_module *m, uint64_t offset,
                                            uint64_t *ret)
{
    const Elf64_Phdr *best = NULL;
    for (size_t i = 0; i < m->elf.n_segments; i++) {
        const Elf64_Phdr *p = &m->elf.segments[i];
        /* the kernel maps whole pages: an offset may lie in the page before the segment */
        uint64_t start = p->p_offset & ~0xfffull;
        if (p->p_type != PT_LOAD || offset < start || offset - start >= p->p_filesz + 0xfff)
            continue;
        bool inside = offset >= start && offset < p->p_offset + p->p_filesz;
        if (!best || (inside && (p->p_flags & PF_X)))
            best = p;
    }
    if (best)
        *ret = best->p_vaddr - best->p_offset + offset;
    return best;
}

void urd_debuginfo_module_extent(const struct urd_module *m, uint64_t *low, uint64_t *high)
{
    *low = UINT64_MAX;
    *high = 0;
    for (size_t i = 0; i < m->elf.n_segments; i++) {
        const Elf64_Phdr *p = &m->elf.segments[i];
        if (p->p_type != PT_LOAD)
            continue;
        if (p->p_vaddr < *low)
            *low = p->p_vaddr;
        if (p->p_vaddr + p->p_memsz > *high)
            *high = p->p_vaddr + p->p_memsz;
    }
    if (*low > *high)
        *low = *high = 0;
}

bool urd_debuginfo_module_read(const struct urd_module *m, uint64_t address, void *buf, size_t size)
{
    for (size_t i = 0; i < m->elf.n_segments; i++) {
        const Elf64_Phdr *p = &m->elf.segments[i];
        if (p->p_type != PT_LOAD || address < p->p_vaddr || address - p->p_vaddr >= p->p_memsz ||
            size > p->p_memsz - (address - p->p_vaddr))
            continue;
        uint64_t within = address - p->p_vaddr, n = 0;
        if (within < p->p_filesz && p->p_offset <= m->elf.size &&
            within < m->elf.size - p->p_offset) {
            n = p->p_filesz - within;
            if (n > m->elf.size - p->p_offset - within)
                n = m->elf.size - p->p_offset - within;
            if (n > size)
                n = size;
            memcpy(buf, m->elf.data + p->p_offset + within, n);
        }
        memset((char *)buf + n, 0, size - n);
        return true;
    }
    return false;
}

bool urd_debuginfo_module_is_code(const struct urd_module *m, uint64_t address)
{
    for (size_t i = 0; i < m->elf.n_segments; i++) {
        const Elf64_Phdr *p = &m->elf.segments[i];
        if (p->p_type == PT_LOAD && (p->p_flags & PF_X) && address >= p->p_vaddr &&
            address - p->p_vaddr < p->p_memsz)
            return true;
    }
    return false;
}

/* ---- separate debug files ---- */

static bool try_debug(struct urd_module *m, const char *path)
{
    struct urd_elf e;
    if (access(path, R_OK))
        return false;
    urd_err *err = urd_debuginfo_elf_open(path, &e);
    if (err) {
        urd_err_free(err);
        return false;
    }
    bool same = !m->elf.build_id[0] || !strcmp(e.build_id, m->elf.build_id);
    if (!same) {
        urd_debuginfo_elf_close(&e);
        return false;
    }
    m->debug = e;
    return true;
}

static void find_debug(struct urd_module *m)
{
    char path[4600];
    const char *id = m->elf.build_id;
    if (strlen(id) > 2) {
        snprintf(path, sizeof path, "/usr/lib/debug/.build-id/%.2s/%s.debug", id, id + 2);
        if (try_debug(m, path))
            return;
    }
    struct urd_span s = urd_debuginfo_elf_named(&m->elf, ".gnu_debuglink");
    const char *link = urd_debuginfo_span_text(s, 0);
    if (!link || strchr(link, '/') || strlen(link) > 255 || strlen(m->path) > 4000 || !*link)
        return;
    int dir = (int)(m->name - m->path);
    static const char *const patterns[] = {"%s%.*s%s", "%s%.*s.debug/%s", "%s%.*s%s"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, patterns[i], i == 2 ? "/usr/lib/debug" : "", dir, m->path,
                 link);
        if (strcmp(path, m->path) && try_debug(m, path))
            return;
    }
}

static void find_alt(struct urd_module *m, struct urd_elf *from)
{
    struct urd_span s = urd_debuginfo_elf_named(from, ".gnu_debugaltlink");
    const char *name = urd_debuginfo_span_text(s, 0);
    if (!name || strlen(name) > 2000 || strlen(from->path) > 2000)
        return;
    char path[4600];
    const char *slash = strrchr(from->path, '/');
    snprintf(path, sizeof path, "%.*s%s",
             *name == '/' || !slash ? 0 : (int)(slash - from->path + 1), from->path, name);
    urd_err *err = urd_debuginfo_elf_open(path, &m->alt);
    if (err) {
        urd_err_free(err);
        return;
    }
    m->alt_dwarf = (struct urd_dwarf){.elf = &m->alt, .tag_bits = URD_DIE_ALT, .arena = &m->arena};
    m->dwarf.alt = &m->alt_dwarf;
}

struct urd_elf *urd_debuginfo_module_debug_file(struct urd_module *m)
{
    if (m->debug_searched)
        return m->dwarf.elf;
    m->debug_searched = true;
    m->dwarf.arena = &m->arena;
    m->dwarf.elf = &m->elf;
    m->dwarf.module_path = m->path;
    if (!urd_debuginfo_elf_section(&m->elf, ".debug_info") &&
        !urd_debuginfo_elf_section(&m->elf, ".zdebug_info")) {
        find_debug(m);
        if (m->debug.data)
            m->dwarf.elf = &m->debug;
    }
    return m->dwarf.elf;
}

struct urd_dwarf *urd_debuginfo_module_dwarf(struct urd_module *m)
{
    if (m->dwarf_opened)
        return &m->dwarf;
    m->dwarf_opened = true;
    find_alt(m, urd_debuginfo_module_debug_file(m));
    urd_debuginfo_dwarf_scan(&m->dwarf);
    return &m->dwarf;
}

bool urd_debuginfo_module_has_lines(struct urd_module *m)
{
    return urd_debuginfo_module_dwarf(m)->n_units > 0;
}

char *urd_debuginfo_module_printf(struct urd_module *m, const char *format, ...)
{
    char small[256];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(small, sizeof small, format, ap);
    va_end(ap);
    if (n < (int)sizeof small)
        return urd_arena_text(&m->arena, small, n < 0 ? 0 : (size_t)n);
    char *p = urd_arena_alloc(&m->arena, (size_t)n + 1);
    va_start(ap, format);
    vsnprintf(p, (size_t)n + 1, format, ap);
    va_end(ap);
    return p;
}

uint64_t urd_debuginfo_hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325;
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 0x100000001b3;
    return h;
}
