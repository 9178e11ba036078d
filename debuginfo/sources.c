/* Source files and lines: address to line, line to addresses. */
#include "debuginfo/private.h"

bool urd_debuginfo_line_at(struct urd_module *m, uint64_t address, struct urd_line *ret)
{
    struct urd_unit *u = urd_debuginfo_unit_at(m, address);
    struct urd_line_table *t = u ? urd_debuginfo_unit_lines(m, u) : NULL;
    if (!t)
        return false;
    urd_debuginfo_lines_decode(m, t);
    uint64_t start, end;
    const struct urd_line_row *r = urd_debuginfo_row_at(t, address, &start, &end);
    if (!r || r->file >= t->n_files)
        return false;
    /* inside of an instruction, where a caller is: code belongs to the last row of its address, those before it are of statements
     * whose code went elsewhere. At its start it is where such a statement begins, as gdb says, too. */
    const struct urd_line_row *last = t->rows + t->n_rows - 1;
    while (address > r->address && r < last && !r[1].end && r[1].address == r->address &&
           r[1].line && r[1].file < t->n_files)
        r++;
    const struct urd_line_row *named = r;
    if (!r->line) { /* as gdb does: code without a line of its own goes with what stands before it in the function */
        const struct urd_function *f = urd_debuginfo_function_at(m, address);
        while (named > t->rows && !named->line && !named[-1].end && f &&
               named[-1].address >= f->entry)
            named--;
        if (!named->line || named->file >= t->n_files)
            named = r;
    }
    *ret = (struct urd_line){
        t->files[named->file].path, named->line, named->column, r->is_stmt, start, end};
    return true;
}

static int compare_sources(const void *a, const void *b)
{
    return strcmp(((const struct urd_source *)a)->path, ((const struct urd_source *)b)->path);
}

const struct urd_source *urd_debuginfo_sources(struct urd_module *m, size_t *ret_count)
{
    if (!m->sources_read) {
        m->sources_read = true;
        struct urd_dwarf *d = urd_debuginfo_module_dwarf(m);
        struct urd_map seen = {0};
        for (size_t i = 0; i < d->n_units; i++) {
            struct urd_line_table *t = urd_debuginfo_unit_lines(m, &d->units[i]);
            if (!t || *urd_map_put(&seen, (uintptr_t)t))
                continue;
            *urd_map_put(&seen, (uintptr_t)t) = 1;
            for (size_t k = t->version >= 5 ? 0 : 1; k < t->n_files; k++)
                URD_PUSH(m->sources, m->n_sources, m->cap_sources) = t->files[k];
        }
        urd_map_deinit(&seen);
        if (m->n_sources)
            qsort(m->sources, m->n_sources, sizeof *m->sources, compare_sources);
        size_t n = 0;
        for (size_t i = 0; i < m->n_sources; i++)
            if (!n || strcmp(m->sources[i].path, m->sources[n - 1].path))
                m->sources[n++] = m->sources[i];
        m->n_sources = n;
    }
    *ret_count = m->n_sources;
    return m->sources;
}

/** Calls fn for each row of tables that have a matching file. */
struct row_visit {
    struct urd_module *m;
    struct urd_unit *u;
    struct urd_line_table *t;
    const struct urd_line_row *row;
    uint64_t end;
};

static void each_row(struct urd_module *m, const char *file, bool suffix,
                     void (*fn)(void *data, const struct row_visit *v), void *data)
{
    struct urd_dwarf *d = urd_debuginfo_module_dwarf(m);
    struct urd_map seen = {0};
    for (size_t i = 0; i < d->n_units; i++) {
        struct urd_unit *u = &d->units[i];
        struct urd_line_table *t = urd_debuginfo_unit_lines(m, u);
        if (!t || u->tag == DW_TAG_partial_unit || *urd_map_put(&seen, (uintptr_t)t))
            continue;
        *urd_map_put(&seen, (uintptr_t)t) = 1;
        bool *wanted = urd_xcalloc(t->n_files, sizeof *wanted), any = false;
        for (size_t k = 0; k < t->n_files; k++)
            any |= wanted[k] = suffix ? urd_debuginfo_path_matches(t->files[k].path, file)
                                      : !strcmp(t->files[k].path, file);
        if (any)
            urd_debuginfo_lines_decode(m, t);
        for (size_t q = 0; any && q < t->n_sequences; q++)
            for (uint32_t r = t->sequences[q].first; r < t->sequences[q].last; r++) {
                if (t->rows[r].file >= t->n_files || !wanted[t->rows[r].file])
                    continue;
                uint32_t next = r + 1;
                while (next < t->sequences[q].last && t->rows[next].address == t->rows[r].address)
                    next++;
                struct row_visit v = {m, u, t, &t->rows[r], t->rows[next].address};
                fn(data, &v);
            }
        free(wanted);
    }
    urd_map_deinit(&seen);
}

/* ---- FILE:LINE to places ---- */

struct places {
    unsigned wanted, best; /* best: the least line >= wanted met so far */
    struct urd_line_place *list;
    uint64_t *keys; /* function or inlined copy, beside list */
    size_t n, cap, cap_keys;
};

static void consider(void *data, const struct row_visit *v)
{
    struct places *p = data;
    unsigned line = v->row->line;
    if (!v->row->is_stmt || line < p->wanted || line > p->best)
        return;
    /* a row with no code: another follows at the same address in the same file */
    if (line < p->best) {
        p->best = line;
        p->n = 0;
    }
    struct urd_unit *u = urd_debuginfo_unit_at(v->m, v->row->address);
    struct urd_unit_index *x = urd_debuginfo_unit_index(v->m, u ? u : v->u);
    uint32_t s = x ? urd_debuginfo_scope_at(x, v->row->address) : URD_NONE;
    while (s != URD_NONE && x->scopes[s].tag != DW_TAG_subprogram &&
           x->scopes[s].tag != DW_TAG_inlined_subroutine)
        s = x->scopes[s].parent;
    struct urd_line_place place = {v->row->address, v->t->files[v->row->file].path, NULL, line,
                                   false};
    uint64_t key = s == URD_NONE ? v->row->address : x->scopes[s].die;
    place.inlined = s != URD_NONE && x->scopes[s].tag == DW_TAG_inlined_subroutine;
    while (s != URD_NONE && x->scopes[s].tag != DW_TAG_subprogram)
        s = x->scopes[s].parent;
    if (s != URD_NONE)
        place.function = x->scopes[s].qualified;
    for (size_t i = 0; i < p->n; i++)
        if (p->keys[i] == key) {
            if (place.address < p->list[i].address)
                p->list[i] = place;
            return;
        }
    size_t n = p->n;
    URD_PUSH(p->keys, n, p->cap_keys) = key;
    URD_PUSH(p->list, p->n, p->cap) = place;
}

static int compare_places(const void *a, const void *b)
{
    const struct urd_line_place *x = a, *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

void urd_debuginfo_line_places(struct urd_module *m, const char *file, unsigned line,
                               struct urd_line_place **ret, size_t *ret_count)
{
    struct places p = {.wanted = line, .best = UINT32_MAX};
    each_row(m, file, true, consider, &p);
    for (size_t i = 0; i < p.n; i++) { /* the line of a function's opening brace */
        const struct urd_function *f = urd_debuginfo_function_at(m, p.list[i].address);
        if (f && f->entry == p.list[i].address && !p.list[i].inlined)
            p.list[i].address = f->after_prologue;
    }
    free(p.keys);
    if (p.n)
        qsort(p.list, p.n, sizeof *p.list, compare_places);
    *ret = p.list;
    *ret_count = p.n;
}

/* ---- all lines of a file ---- */

struct file_lines {
    struct urd_line *list;
    size_t n, cap;
};

static void keep_line(void *data, const struct row_visit *v)
{
    struct file_lines *f = data;
    const struct urd_line_row *r = v->row;
    if (!r->line || v->end <= r->address)
        return;
    struct urd_line *last = f->n ? &f->list[f->n - 1] : NULL;
    if (last && last->end == r->address && last->line == r->line) {
        last->end = v->end;
        return;
    }
    URD_PUSH(f->list, f->n, f->cap) = (struct urd_line){
        v->t->files[r->file].path, r->line, r->column, r->is_stmt, r->address, v->end};
}

static int compare_lines(const void *a, const void *b)
{
    const struct urd_line *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

void urd_debuginfo_file_lines(struct urd_module *m, const char *file, struct urd_line **ret,
                              size_t *ret_count)
{
    struct file_lines f = {0};
    each_row(m, file, false, keep_line, &f);
    if (f.n)
        qsort(f.list, f.n, sizeof *f.list, compare_lines);
    *ret = f.list;
    *ret_count = f.n;
}
