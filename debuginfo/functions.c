/* Functions by address and by name, where their prologues end, and what was inlined where. */
#include "debuginfo/private.h"

static int compare(const void *a, const void *b)
{
    const struct urd_function *x = a, *y = b;
    if (x->entry != y->entry)
        return x->entry < y->entry ? -1 : 1;
    return x->inlined - y->inlined;
}

static bool has_loclists(struct urd_unit *u, struct urd_unit_index *x)
{
    for (size_t i = 0; i < x->n_variables && i < 2000; i++) {
        struct urd_die die;
        struct urd_attr a;
        if (x->variables[i].scope != URD_NONE &&
            urd_debuginfo_die_at(u->dwarf, x->variables[i].die, &die) &&
            urd_debuginfo_die_attr(&die, DW_AT_location, &a) && urd_debuginfo_location_is_list(&a))
            return true;
    }
    return false;
}

/**
 * As gdb does: clang marks the place; code of gcc that keeps rbp and describes its variables by
 * location lists can stop at the entry; otherwise the second line entry (amd64_analyze_prologue and
 * skip_prologue_sal in gdb).
 */
static uint64_t after_prologue(struct urd_module *m, struct urd_unit *u, bool lists, uint64_t entry,
                               uint64_t end)
{
    struct urd_line_table *t = urd_debuginfo_unit_lines(m, u);
    if (!t)
        return entry;
    urd_debuginfo_lines_decode(m, t);
    uint64_t start, stop;
    const struct urd_line_row *row = urd_debuginfo_row_at(t, entry, &start, &stop);
    if (!row)
        return entry;
    for (const struct urd_line_row *r = row; !r->end && r->address < end; r++)
        if (r->prologue_end)
            return r->address;
    if (lists)
        return entry;
    uint8_t code[8] = {0};
    uint64_t pc = entry;
    urd_debuginfo_module_read(m, entry, code, sizeof code);
    const uint8_t *c = code;
    if (!memcmp(c, "\xf3\x0f\x1e\xfa", 4)) {
        pc += 4;
        c += 4;
    }
    if (!memcmp(c, "\x55\x48\x89\xe5", 4) || !memcmp(c, "\x55\x48\x8b\xec", 4))
        pc += 4;
    else if (c[0] == 0x55)
        pc += 1;
    row = urd_debuginfo_row_at(t, pc, &start, &stop);
    return row && start != pc && stop > pc && stop < end ? stop : pc;
}

static void add_unit(struct urd_module *m, struct urd_unit *u)
{
    struct urd_unit_index *x = urd_debuginfo_unit_index(m, u);
    if (!x || !x->n_scopes)
        return;
    bool lists = has_loclists(u, x);
    for (size_t i = 0; i < x->n_scopes; i++) {
        struct urd_scope *s = &x->scopes[i];
        if (s->tag == DW_TAG_lexical_block || !s->name ||
            (s->tag != DW_TAG_subprogram && s->tag != DW_TAG_inlined_subroutine))
            continue;
        struct urd_function f = {.name = s->name,
                                 .qualified = s->qualified,
                                 .linkage = s->linkage,
                                 .entry = s->entry,
                                 .end = s->entry,
                                 .unit = u->name,
                                 .line = s->decl_line,
                                 .external = s->external,
                                 .die = s->die,
                                 .typed = u->language != DW_LANG_Mips_Assembler && u->abbrevs &&
                                          u->abbrevs->have_types,
                                 .inlined = s->tag == DW_TAG_inlined_subroutine};
        for (uint32_t k = 0; k < s->n_ranges; k++) {
            struct urd_range r = x->ranges[s->first_range + k];
            if (f.entry >= r.low && f.entry < r.high)
                f.end = r.high;
        }
        f.file = urd_debuginfo_unit_file(m, u, s->decl_file);
        f.after_prologue = f.inlined ? f.entry : after_prologue(m, u, lists, f.entry, f.end);
        URD_PUSH(m->functions, m->n_functions, m->cap_functions) = f;
    }
}

static void add_symbols(struct urd_module *m)
{
    size_t n, known = m->n_functions, at = 0;
    const struct urd_symbol *s = urd_debuginfo_symbols(m, &n);
    for (size_t i = 0; i < n; i++) {
        if (s[i].kind == URD_SYMBOL_OBJECT || s[i].kind == URD_SYMBOL_TLS)
            continue;
        while (at < known && m->functions[at].entry < s[i].address)
            at++;
        if (at < known && m->functions[at].entry == s[i].address && !m->functions[at].inlined &&
            (s[i].kind != URD_SYMBOL_FUNCTION || !m->functions[at].linkage ||
             !strcmp(m->functions[at].linkage, s[i].linkage) ||
             !strcmp(m->functions[at].name, s[i].linkage)))
            continue;
        if (s[i].kind == URD_SYMBOL_FUNCTION && urd_debuginfo_unit_at(m, s[i].address)) {
            size_t k = at; /* parts of functions that DWARF describes: f.cold, labels */
            bool inside = false;
            for (size_t steps = 0; k-- > 0 && steps < 64; steps++)
                inside |= !m->functions[k].inlined && s[i].address < m->functions[k].end;
            if (inside || strstr(s[i].linkage, ".cold"))
                continue;
        }
        struct urd_function f = {.name = s[i].name,
                                 .qualified = s[i].name,
                                 .linkage = s[i].linkage,
                                 .entry = s[i].address,
                                 .end = s[i].address + s[i].size,
                                 .after_prologue = s[i].address,
                                 .external = s[i].global};
        URD_PUSH(m->functions, m->n_functions, m->cap_functions) = f;
    }
}

const struct urd_function *urd_debuginfo_functions(struct urd_module *m, size_t *ret_count)
{
    if (!m->functions_read) {
        m->functions_read = true;
        struct urd_dwarf *d = urd_debuginfo_module_dwarf(m);
        for (size_t i = 0; i < d->n_units; i++)
            add_unit(m, urd_debuginfo_unit_full(&d->units[i]));
        if (m->n_functions)
            qsort(m->functions, m->n_functions, sizeof *m->functions, compare);
        add_symbols(m);
        if (m->n_functions)
            qsort(m->functions, m->n_functions, sizeof *m->functions, compare);
        /* so that a search by address knows when to stop looking back */
        m->function_max_end = urd_xcalloc(m->n_functions + 1, sizeof *m->function_max_end);
        uint64_t max = 0;
        for (size_t i = 0; i < m->n_functions; i++) {
            if (!m->functions[i].inlined && m->functions[i].end > max)
                max = m->functions[i].end;
            m->function_max_end[i] = max;
        }
    }
    *ret_count = m->n_functions;
    return m->functions;
}

/** "f(int)" against the demangled linkage name, spaces aside. */
static bool signature_matches(const struct urd_function *f, const char *name)
{
    char *text = f->linkage ? urd_debuginfo_demangle(f->linkage) : NULL;
    if (!text)
        return false;
    const char *a = text, *b = name;
    size_t na = 0, nb = 0;
    char *pa = urd_xprintf("%s", a), *pb = urd_xprintf("%s", b);
    for (const char *p = a; *p; p++)
        if (*p != ' ')
            pa[na++] = *p;
    for (const char *p = b; *p; p++)
        if (*p != ' ')
            pb[nb++] = *p;
    pa[na] = pb[nb] = 0;
    bool yes = nb <= na && !strcmp(pa + na - nb, pb) &&
               (na == nb || (na - nb >= 2 && !strncmp(pa + na - nb - 2, "::", 2)));
    free(pa);
    free(pb);
    free(text);
    return yes;
}

/** "f" against "f<int>": a name without template arguments means all instances. */
static bool template_matches(const char *have, const char *name)
{
    size_t k = strlen(name);
    const char *open = strchr(have, '<');
    return open && !strchr(name, '<') && strncmp(have, "operator", 8) &&
           (size_t)(open - have) == k && !strncmp(have, name, k);
}

static bool name_matches(const struct urd_function *f, const char *name, bool signature)
{
    if (!strcmp(f->name, name) || (f->linkage && !strcmp(f->linkage, name)))
        return true;
    if (f->qualified && f->qualified != f->name) {
        size_t n = strlen(f->qualified), k = strlen(name);
        if (k <= n && !strcmp(f->qualified + n - k, name) &&
            (k == n || (n - k >= 2 && !strncmp(f->qualified + n - k - 2, "::", 2))))
            return true;
    }
    const char *bare = f->name;
    if (f->qualified && strstr(name, "::") && strchr(f->qualified, '<'))
        bare = f->qualified;
    return template_matches(bare, name) || (signature && signature_matches(f, name));
}

static const struct urd_function *function_that_begins_at(struct urd_module *m, uint64_t address)
{
    const struct urd_function *f = urd_debuginfo_function_at(m, address);
    return f && f->entry == address ? f : NULL;
}

void urd_debuginfo_functions_named(struct urd_module *m, const char *name,
                                   const struct urd_function ***ret, size_t *ret_count)
{
    size_t n, count = 0, cap = 0;
    const struct urd_function *f = urd_debuginfo_functions(m, &n), **list = NULL;
    bool signature = strchr(name, '(');
    for (size_t i = 0; i < n; i++)
        if (name_matches(&f[i], name, signature))
            URD_PUSH(list, count, cap) = &f[i];
    /* printf is an alias of what DWARF calls __printf */
    size_t n_symbols;
    const struct urd_symbol *s = urd_debuginfo_symbols(m, &n_symbols);
    for (size_t i = 0; i < n_symbols; i++) {
        if (s[i].kind != URD_SYMBOL_FUNCTION || strcmp(s[i].name, name) != 0)
            continue;
        const struct urd_function *of = function_that_begins_at(m, s[i].address);
        bool known = !of;
        for (size_t k = 0; k < count && !known; k++)
            known = list[k] == of || (!list[k]->inlined && list[k]->entry == of->entry);
        if (!known)
            URD_PUSH(list, count, cap) = of;
    }
    *ret = list;
    *ret_count = count;
}

const struct urd_function *urd_debuginfo_function_at(struct urd_module *m, uint64_t address)
{
    size_t n, lo = 0;
    const struct urd_function *f = urd_debuginfo_functions(m, &n);
    size_t hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (f[mid].entry <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    const struct urd_function *found = NULL;
    for (size_t i = lo; i-- > 0 && m->function_max_end[i] > address && !found;)
        if (!f[i].inlined && address < f[i].end)
            found = &f[i];
    if (found && found->die)
        return found;
    /* the cold part of a function lies elsewhere: its unit knows */
    struct urd_unit *u = urd_debuginfo_unit_at(m, address);
    struct urd_unit_index *x = u ? urd_debuginfo_unit_index(m, u) : NULL;
    uint32_t s = x ? urd_debuginfo_scope_at(x, address) : URD_NONE;
    while (s != URD_NONE && x->scopes[s].tag != DW_TAG_subprogram)
        s = x->scopes[s].parent;
    for (size_t i = 0; s != URD_NONE && i < n; i++)
        if (f[i].die == x->scopes[s].die)
            return &f[i];
    return found;
}

size_t urd_debuginfo_inlined_at(struct urd_module *m, uint64_t address, struct urd_inlined *ret,
                                size_t capacity)
{
    struct urd_unit *u = urd_debuginfo_unit_at(m, address);
    struct urd_unit_index *x = u ? urd_debuginfo_unit_index(m, u) : NULL;
    size_t n = 0;
    for (uint32_t s = x ? urd_debuginfo_scope_at(x, address) : URD_NONE; s != URD_NONE;
         s = x->scopes[s].parent) {
        struct urd_scope *p = &x->scopes[s];
        struct urd_range r = {0};
        if (p->tag != DW_TAG_inlined_subroutine)
            continue;
        urd_debuginfo_scope_has(x, s, address, &r);
        if (n < capacity)
            ret[n] = (struct urd_inlined){.name = p->qualified ? p->qualified : p->name,
                                          .call_file = urd_debuginfo_unit_file(m, u, p->call_file),
                                          .call_line = p->call_line,
                                          .call_column = p->call_column,
                                          .start = r.low,
                                          .end = r.high,
                                          .die = p->die};
        n++;
    }
    return n;
}
