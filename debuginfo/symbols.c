/* ELF symbols: gABI chapter 4; PLT stubs by their relocations; .eh_frame for code without names. */
#include "debuginfo/private.h"
#include <dlfcn.h>
#include <stdio.h>

char *urd_debuginfo_demangle(const char *linkage)
{
    typedef char *demangle_fn(const char *, char *, size_t *, int *);
    static demangle_fn *fn; /* benign race: every thread finds the same */
    static int tried;
    if (strncmp(linkage, "_Z", 2))
        return NULL;
    if (!__atomic_load_n(&tried, __ATOMIC_ACQUIRE)) {
        demangle_fn *found = (demangle_fn *)(uintptr_t)dlsym(RTLD_DEFAULT, "__cxa_demangle");
        void *lib = found ? NULL : dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);
        if (lib)
            found = (demangle_fn *)(uintptr_t)dlsym(lib, "__cxa_demangle");
        __atomic_store_n(&fn, found, __ATOMIC_RELEASE);
        __atomic_store_n(&tried, 1, __ATOMIC_RELEASE);
    }
    demangle_fn *f = __atomic_load_n(&fn, __ATOMIC_ACQUIRE);
    int status = -1;
    char *text = f && strlen(linkage) < 4096 ? f(linkage, NULL, NULL, &status) : NULL;
    if (!text)
        return NULL;
    size_t n = strlen(text); /* Rust's legacy mangling ends in ::h<16 hex digits> */
    if (n > 19 && !strncmp(text + n - 19, "::h", 3) &&
        strspn(text + n - 16, "0123456789abcdef") == 16)
        text[n - 19] = 0;
    return text;
}

static void add(struct urd_module *m, const char *name, uint64_t address, uint64_t size,
                enum urd_symbol_kind kind, bool global, bool indirect)
{
    struct urd_symbol s = {name, name, address, size, kind, global, indirect};
    URD_PUSH(m->symbols, m->n_symbols, m->cap_symbols) = s;
}

static void read_table(struct urd_module *m, struct urd_elf *e, struct urd_section *table)
{
    struct urd_span s = urd_debuginfo_elf_bytes(e, table), names = {0};
    if (table->h.sh_link < e->n_sections)
        names = urd_debuginfo_elf_bytes(e, &e->sections[table->h.sh_link]);
    for (size_t i = 1; i < s.size / sizeof(Elf64_Sym); i++) {
        Elf64_Sym y;
        memcpy(&y, s.data + i * sizeof y, sizeof y);
        unsigned type = ELF64_ST_TYPE(y.st_info);
        if (y.st_shndx == SHN_UNDEF || y.st_shndx == SHN_ABS || type == STT_FILE ||
            type == STT_SECTION || y.st_name >= names.size)
            continue;
        const char *name = urd_debuginfo_span_text(names, y.st_name);
        if (!name || !*name)
            continue;
        enum urd_symbol_kind kind = URD_SYMBOL_OBJECT;
        if (type == STT_TLS)
            kind = URD_SYMBOL_TLS;
        else if (type == STT_FUNC || type == STT_GNU_IFUNC)
            kind = URD_SYMBOL_FUNCTION;
        else if (type == STT_NOTYPE && urd_debuginfo_module_is_code(m, y.st_value))
            kind = URD_SYMBOL_FUNCTION;
        add(m, name, y.st_value, y.st_size, kind, ELF64_ST_BIND(y.st_info) != STB_LOCAL,
            type == STT_GNU_IFUNC);
    }
}

/**
 * Stubs in .plt, .plt.sec and .plt.got are found by decoding where they jump: `ff 25 disp32`
 * (jmp *disp(%rip)), after an optional endbr64 and bnd prefix, to a GOT slot that a relocation of
 * .rela.plt or .rela.dyn names.
 */
static void read_plt(struct urd_module *m)
{
    struct urd_elf *e = &m->elf;
    struct urd_section *sym = urd_debuginfo_elf_section(e, ".dynsym");
    struct urd_span syms = urd_debuginfo_elf_bytes(e, sym), names = {0};
    if (sym && sym->h.sh_link < e->n_sections)
        names = urd_debuginfo_elf_bytes(e, &e->sections[sym->h.sh_link]);
    struct urd_map slots = {0};
    static const char *const relocations[] = {".rela.plt", ".rela.dyn"};
    for (int k = 0; k < 2; k++) {
        struct urd_span r = urd_debuginfo_elf_named(e, relocations[k]);
        for (size_t i = 0; i + sizeof(Elf64_Rela) <= r.size; i += sizeof(Elf64_Rela)) {
            Elf64_Rela a;
            memcpy(&a, r.data + i, sizeof a);
            unsigned type = ELF64_R_TYPE(a.r_info);
            if (type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT)
                *urd_map_put(&slots, a.r_offset) = ELF64_R_SYM(a.r_info);
        }
    }
    static const char *const sections[] = {".plt", ".plt.sec", ".plt.got"};
    for (int k = 0; k < 3 && slots.count; k++) {
        struct urd_section *p = urd_debuginfo_elf_section(e, sections[k]);
        struct urd_span b = urd_debuginfo_elf_bytes(e, p);
        size_t step = k == 2 && p && p->h.sh_entsize == 8 ? 8 : 16;
        for (size_t i = 0; i + step <= b.size; i += step) {
            const uint8_t *c = b.data + i;
            size_t at = !memcmp(c, "\xf3\x0f\x1e\xfa", 4) ? 4 : 0;
            if (c[at] == 0xf2)
                at++;
            if (at + 6 > step || c[at] != 0xff || c[at + 1] != 0x25)
                continue;
            int32_t disp;
            memcpy(&disp, c + at + 2, 4);
            uint64_t stub = p->h.sh_addr + i, got = stub + at + 6 + (uint64_t)(int64_t)disp;
            uint64_t *index = urd_map_get(&slots, got);
            Elf64_Sym y;
            if (!index || *index >= syms.size / sizeof y)
                continue;
            memcpy(&y, syms.data + *index * sizeof y, sizeof y);
            const char *name = urd_debuginfo_span_text(names, y.st_name);
            if (name && *name)
                add(m, urd_debuginfo_module_printf(m, "%s@plt", name), stub, step, URD_SYMBOL_PLT,
                    false, false);
        }
    }
    urd_map_deinit(&slots);
}

static int compare(const void *a, const void *b)
{
    const struct urd_symbol *x = a, *y = b;
    bool tx = x->kind == URD_SYMBOL_TLS, ty = y->kind == URD_SYMBOL_TLS;
    if (tx != ty)
        return tx ? 1 : -1;
    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    /* at one address: the one that a reader wants is last and wins the search */
    if ((x->size != 0) != (y->size != 0))
        return x->size ? 1 : -1;
    if (x->global != y->global)
        return x->global ? 1 : -1;
    size_t ux = strspn(x->name, "_"), uy = strspn(y->name, "_");
    if (ux != uy)
        return ux < uy ? 1 : -1;
    return strcmp(y->name, x->name);
}

/** Where the section that holds an address ends. */
static uint64_t section_end(const struct urd_module *m, uint64_t address)
{
    for (size_t i = 0; i < m->elf.n_sections; i++) {
        const Elf64_Shdr *h = &m->elf.sections[i].h;
        if ((h->sh_flags & SHF_ALLOC) && !(h->sh_flags & SHF_TLS) && address >= h->sh_addr &&
            address - h->sh_addr < h->sh_size)
            return h->sh_addr + h->sh_size;
    }
    return address;
}

static void finish(struct urd_module *m)
{
    if (m->n_symbols)
        qsort(m->symbols, m->n_symbols, sizeof *m->symbols, compare);
    size_t n = 0; /* the same symbol in .symtab and .dynsym */
    for (size_t i = 0; i < m->n_symbols; i++)
        if (!n || m->symbols[i].address != m->symbols[n - 1].address ||
            m->symbols[i].kind != m->symbols[n - 1].kind ||
            strcmp(m->symbols[i].name, m->symbols[n - 1].name))
            m->symbols[n++] = m->symbols[i];
    m->n_symbols = n;
    while (n && m->symbols[n - 1].kind == URD_SYMBOL_TLS)
        n--;
    m->n_addressed = n;
    uint64_t next = 0;
    for (size_t i = n; i-- > 0;) {
        struct urd_symbol *s = &m->symbols[i];
        if (i + 1 < n && m->symbols[i + 1].address != s->address)
            next = m->symbols[i + 1].address;
        if (!s->size) {
            uint64_t end = section_end(m, s->address);
            if (next > s->address && next < end)
                end = next;
            s->size = end - s->address;
        }
    }
    for (size_t i = 0; i < m->n_symbols; i++) {
        char *text = urd_debuginfo_demangle(m->symbols[i].linkage);
        if (text)
            m->symbols[i].name = urd_arena_text(&m->arena, text, strlen(text));
        free(text);
    }
}

/** Functions that .eh_frame knows and the symbol table does not. */
static void read_frames(struct urd_module *m)
{
    urd_debuginfo_module_fdes(m);
    size_t before = m->n_symbols, at = 0;
    for (size_t i = 0; i < m->n_fdes; i++) {
        const struct urd_fde *f = &m->fdes[i];
        while (at < before && m->symbols[at].kind != URD_SYMBOL_TLS &&
               m->symbols[at].address + m->symbols[at].size <= f->low)
            at++;
        bool known = false;
        for (size_t k = at;
             k < before && m->symbols[k].address < f->high && m->symbols[k].kind != URD_SYMBOL_TLS;
             k++)
            known |= m->symbols[k].address + m->symbols[k].size > f->low;
        if (!known && urd_debuginfo_module_is_code(m, f->low))
            add(m, urd_debuginfo_module_printf(m, "%s+0x%lx", m->name, f->low), f->low,
                f->high - f->low, URD_SYMBOL_FRAME, false, false);
    }
}

static void read_symbols(struct urd_module *m)
{
    if (m->symbols_read)
        return;
    m->symbols_read = true;
    struct urd_section *table = urd_debuginfo_elf_section(&m->elf, ".symtab");
    struct urd_section *dynamic = urd_debuginfo_elf_section(&m->elf, ".dynsym");
    if (table) {
        read_table(m, &m->elf, table);
    } else {
        urd_debuginfo_module_debug_file(m);
        if (m->debug.data && (table = urd_debuginfo_elf_section(&m->debug, ".symtab")))
            read_table(m, &m->debug, table);
    }
    if (dynamic)
        read_table(m, &m->elf, dynamic);
    read_plt(m);
    finish(m);
    read_frames(m);
    if (m->n_symbols)
        qsort(m->symbols, m->n_symbols, sizeof *m->symbols, compare);
    m->n_addressed = m->n_symbols;
    while (m->n_addressed && m->symbols[m->n_addressed - 1].kind == URD_SYMBOL_TLS)
        m->n_addressed--;
}

const struct urd_symbol *urd_debuginfo_symbols(struct urd_module *m, size_t *ret_count)
{
    read_symbols(m);
    *ret_count = m->n_symbols;
    return m->symbols;
}

/** The first of m->symbols that begins behind address. */
static size_t symbols_behind(struct urd_module *m, uint64_t address)
{
    read_symbols(m);
    size_t lo = 0, hi = m->n_addressed;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (m->symbols[mid].address <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct urd_symbol *urd_debuginfo_symbol_at(struct urd_module *m, uint64_t address)
{
    size_t behind = symbols_behind(m, address);
    /* an enclosing symbol may begin earlier than a shorter one that ended; look back a little */
    for (size_t i = behind, steps = 0; i-- > 0 && steps < 16; steps++)
        if (address - m->symbols[i].address < m->symbols[i].size)
            return &m->symbols[i];
    return NULL;
}

const char *urd_debuginfo_public_name(struct urd_module *m, uint64_t address)
{
    const char *best = NULL;
    for (size_t i = symbols_behind(m, address); i-- > 0 && m->symbols[i].address == address;) {
        const struct urd_symbol *s = &m->symbols[i];
        if (s->kind != URD_SYMBOL_FUNCTION || !s->global || s->name[0] == '_')
            continue;
        size_t length = strlen(s->name), shortest = best ? strlen(best) : SIZE_MAX;
        if (length < shortest || (length == shortest && strcmp(s->name, best) < 0))
            best = s->name;
    }
    return best;
}

static void add_name(struct urd_module *m, const char *name, uint32_t i)
{
    uint64_t *slot = urd_map_put(&m->symbol_names, urd_debuginfo_hash(name));
    m->symbol_next[i] = (uint32_t)*slot;
    *slot = i + 1;
}

const struct urd_symbol *urd_debuginfo_symbol_named(struct urd_module *m, const char *name)
{
    read_symbols(m);
    if (!m->symbol_names_read) {
        m->symbol_names_read = true;
        /* two chains: by linkage name (even entries) and by demangled name (odd ones) */
        m->symbol_next = urd_xcalloc(2 * m->n_symbols + 2, sizeof *m->symbol_next);
        for (size_t i = 0; i < m->n_symbols; i++) {
            add_name(m, m->symbols[i].linkage, (uint32_t)(2 * i));
            if (m->symbols[i].name != m->symbols[i].linkage)
                add_name(m, m->symbols[i].name, (uint32_t)(2 * i + 1));
        }
    }
    uint64_t *slot = urd_map_get(&m->symbol_names, urd_debuginfo_hash(name));
    const struct urd_symbol *best = NULL;
    for (uint32_t i = slot ? (uint32_t)*slot : 0; i; i = m->symbol_next[i - 1]) {
        const struct urd_symbol *s = &m->symbols[(i - 1) / 2];
        if (!strcmp((i - 1) & 1 ? s->name : s->linkage, name) &&
            (!best || (s->global && !best->global)))
            best = s;
    }
    return best;
}
