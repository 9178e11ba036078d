/* Types by name, and names of types. */
#include "debuginfo/private.h"

struct type_entry {
    const char *name;
    uint64_t die;
    uint16_t tag;
    bool declaration;
    uint32_t next; /* index + 1 of the next with the same hash */
};

static void add(struct urd_module *m, const char *name, const struct urd_named_die *d)
{
    struct type_entry e = {name, d->die, d->tag, d->declaration, 0};
    uint64_t *slot = urd_map_put(&m->type_names, urd_debuginfo_hash(name));
    e.next = (uint32_t)*slot;
    URD_PUSH(m->type_list, m->n_type_list, m->cap_type_list) = e;
    *slot = m->n_type_list;
}

/** What a unit has; of .dwo files only the units of types, as the others come with their skeletons. */
static struct urd_unit_index *index_of(struct urd_module *m, struct urd_unit *u)
{
    bool of_types = u->kind == DW_UT_type || u->kind == DW_UT_split_type;
    return u->dwarf->main && !of_types ? NULL : urd_debuginfo_unit_index(m, u);
}

static void add_units(struct urd_module *m, struct urd_dwarf *d)
{
    for (size_t i = d->n_units; i-- > 0;) { /* the first unit's is found first */
        struct urd_unit_index *x = index_of(m, &d->units[i]);
        for (size_t k = x ? x->n_types : 0; k-- > 0;) {
            add(m, x->types[k].name, &x->types[k]);
            if (x->types[k].qualified && strcmp(x->types[k].qualified, x->types[k].name))
                add(m, x->types[k].qualified, &x->types[k]);
        }
    }
    for (size_t i = 0; i < d->n_splits; i++)
        add_units(m, d->splits[i]);
}

static void read_names(struct urd_module *m)
{
    if (m->type_names_read)
        return;
    m->type_names_read = true;
    struct urd_dwarf *d = urd_debuginfo_module_dwarf(m);
    if (d->alt) {
        urd_debuginfo_dwarf_scan(d->alt);
        add_units(m, d->alt);
    }
    add_units(m, d);
}

static bool kind_matches(uint16_t tag, char kind)
{
    switch (kind) {
    case 's':
        return tag == DW_TAG_structure_type || tag == DW_TAG_class_type;
    case 'u':
        return tag == DW_TAG_union_type;
    case 'e':
        return tag == DW_TAG_enumeration_type;
    }
    return true;
}

/** "unsigned long int" and its permutations as one of: char, short, int, long, long long. */
static const struct urd_type *c_type(const char *name)
{
    int longs = 0, shorts = 0, is_unsigned = 0, is_signed = 0, chars = 0, ints = 0, doubles = 0;
    char *copy = urd_xprintf("%s", name), *save = NULL;
    bool ok = true;
    for (char *w = strtok_r(copy, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save)) {
        int *count = !strcmp(w, "long")       ? &longs
                     : !strcmp(w, "short")    ? &shorts
                     : !strcmp(w, "unsigned") ? &is_unsigned
                     : !strcmp(w, "signed")   ? &is_signed
                     : !strcmp(w, "char")     ? &chars
                     : !strcmp(w, "int")      ? &ints
                     : !strcmp(w, "double")   ? &doubles
                                              : NULL;
        if (count)
            ++*count;
        else
            ok = false;
    }
    free(copy);
    if (!ok || longs > 2 || shorts > 1 || chars > 1 || ints > 1 || doubles > 1 ||
        longs + shorts + ints + is_unsigned + is_signed + chars + doubles == 0)
        return NULL;
    if (doubles)
        return urd_debuginfo_type_builtin(longs ? "long double" : "double");
    if (chars)
        return urd_debuginfo_type_builtin(is_unsigned ? "unsigned char"
                                          : is_signed ? "signed char"
                                                      : "char");
    static const char *const names[2][4] = {
        {"int", "short", "long", "long long"},
        {"unsigned int", "unsigned short", "unsigned long", "unsigned long long"}};
    return urd_debuginfo_type_builtin(names[is_unsigned][shorts       ? 1
                                                         : longs == 2 ? 3
                                                         : longs      ? 2
                                                                      : 0]);
}

const struct urd_type *urd_debuginfo_type_named(struct urd_module *m, const char *name)
{
    char kind = 0;
    const char *rest = name;
    if (!strncmp(name, "struct ", 7) || !strncmp(name, "class ", 6))
        kind = 's';
    else if (!strncmp(name, "union ", 6))
        kind = 'u';
    else if (!strncmp(name, "enum ", 5))
        kind = 'e';
    if (kind)
        rest = strchr(name, ' ') + 1;
    const struct urd_type *base = kind ? NULL : c_type(name);
    if (base)
        return base;
    read_names(m);
    uint64_t *slot = urd_map_get(&m->type_names, urd_debuginfo_hash(rest));
    const struct type_entry *best = NULL;
    for (uint32_t i = slot ? (uint32_t)*slot : 0; i; i = m->type_list[i - 1].next) {
        const struct type_entry *e = &m->type_list[i - 1];
        if (strcmp(e->name, rest) || !kind_matches(e->tag, kind))
            continue;
        if (!best || (best->declaration && !e->declaration))
            best = e;
    }
    return best ? urd_debuginfo_type_of(m, best->die) : NULL;
}

const char *urd_debuginfo_type_qualified(const struct urd_type *t)
{
    struct urd_unit *u = urd_debuginfo_unit_of(&t->module->dwarf, t->die);
    struct urd_unit_index *x = u ? urd_debuginfo_unit_index(t->module, u) : NULL;
    const struct urd_named_die *d = x ? urd_debuginfo_type_die(x, t->die) : NULL;
    return d ? d->qualified : t->name;
}

static bool find_constant(struct urd_module *m, struct urd_dwarf *d, const char *name,
                          const struct urd_type **type, int64_t *ret)
{
    for (size_t i = 0; i < d->n_units; i++) {
        struct urd_unit_index *x = index_of(m, &d->units[i]);
        for (size_t k = 0; x && k < x->n_constants; k++) {
            struct urd_named_die *c = &x->constants[k];
            if (!c->name ||
                (strcmp(c->name, name) && (!c->qualified || strcmp(c->qualified, name))))
                continue;
            const struct urd_type *t = urd_debuginfo_type_of(m, c->aux);
            size_t n;
            const struct urd_enumerator *e = t ? urd_debuginfo_type_enumerators(t, &n) : NULL;
            for (size_t j = 0; e && j < n; j++)
                if (e[j].name && !strcmp(e[j].name, c->name)) {
                    *type = t;
                    *ret = e[j].value;
                    return true;
                }
        }
    }
    for (size_t i = 0; i < d->n_splits; i++)
        if (find_constant(m, d->splits[i], name, type, ret))
            return true;
    return false;
}

bool urd_debuginfo_constant_named(struct urd_module *m, const char *name,
                                  const struct urd_type **type, int64_t *ret)
{
    return find_constant(m, urd_debuginfo_module_dwarf(m), name, type, ret);
}

/* ---- spelling ---- */

/** Declarators are written from the inside out: before is what stands left of the name. */
static void spell(const struct urd_type *t, struct urd_buf *before, struct urd_buf *after,
                  int depth)
{
    struct urd_buf b = {0};
    size_t n;
    if (depth > 24) {
        urd_buf_printf(before, "...");
        return;
    }
    if (!t || t->kind == URD_TYPE_VOID) {
        urd_buf_printf(before, "%s", t && t->name ? t->name : "void");
        return;
    }
    switch (t->kind) {
    case URD_TYPE_POINTER:
    case URD_TYPE_REFERENCE:
    case URD_TYPE_MEMBER_POINTER: {
        const struct urd_type *to = t->target;
        bool wrap = to && (to->kind == URD_TYPE_ARRAY || to->kind == URD_TYPE_FUNCTION);
        spell(to, before, &b, depth + 1);
        if (before->size && before->data[before->size - 1] != '*' &&
            before->data[before->size - 1] != '(')
            urd_buf_printf(before, " ");
        urd_buf_printf(before, "%s%s", wrap ? "(" : "",
                       t->kind == URD_TYPE_POINTER          ? "*"
                       : t->kind == URD_TYPE_MEMBER_POINTER ? "::*"
                       : t->is_rvalue                       ? "&&"
                                                            : "&");
        urd_buf_printf(after, "%s", wrap ? ")" : "");
        urd_buf_put(after, b.data, b.size);
        break;
    }
    case URD_TYPE_ARRAY:
        spell(t->target, before, &b, depth + 1);
        if (!after->size && before->size && before->data[before->size - 1] != ' ')
            urd_buf_printf(before, " ");
        if (t->unknown_count || (t->dynamic && !t->count))
            urd_buf_printf(after, "[]");
        else
            urd_buf_printf(after, "[%lu]", t->count);
        urd_buf_put(after, b.data, b.size);
        break;
    case URD_TYPE_FUNCTION: {
        spell(t->target, before, &b, depth + 1);
        urd_buf_printf(before, " ");
        const struct urd_type *const *p = urd_debuginfo_type_parameters(t, &n);
        urd_buf_printf(after, "(");
        for (size_t i = 0; i < n; i++) {
            struct urd_buf l = {0}, r = {0};
            spell(p[i], &l, &r, depth + 1);
            urd_buf_printf(after, "%s%.*s%.*s", i ? ", " : "", (int)l.size,
                           l.data ? (char *)l.data : "", (int)r.size, r.data ? (char *)r.data : "");
            urd_buf_deinit(&l);
            urd_buf_deinit(&r);
        }
        urd_buf_printf(after, "%s)", n ? "" : "void");
        urd_buf_put(after, b.data, b.size);
        break;
    }
    case URD_TYPE_QUALIFIED: {
        const char *word = t->is_const ? "const" : t->is_volatile ? "volatile" : "";
        bool pointer = t->target && t->target->kind == URD_TYPE_POINTER;
        if (!pointer && *word)
            urd_buf_printf(before, "%s ", word);
        spell(t->target, before, after, depth + 1);
        if (pointer && *word)
            urd_buf_printf(before, " %s", word);
        break;
    }
    case URD_TYPE_STRUCT:
    case URD_TYPE_UNION:
    case URD_TYPE_ENUM: {
        struct urd_unit *u = urd_debuginfo_unit_of(&t->module->dwarf, t->die);
        bool cpp =
            u && (u->language == DW_LANG_C_plus_plus || u->language == DW_LANG_C_plus_plus_03 ||
                  u->language == DW_LANG_C_plus_plus_11 || u->language == DW_LANG_C_plus_plus_14 ||
                  u->language == DW_LANG_Rust);
        const char *q = urd_debuginfo_type_qualified(t);
        const char *word = t->kind == URD_TYPE_UNION  ? "union "
                           : t->kind == URD_TYPE_ENUM ? "enum "
                                                      : "struct ";
        urd_buf_printf(before, "%s%s", cpp && q ? "" : word, q ? q : "{...}");
        break;
    }
    default:
        urd_buf_printf(before, "%s", t->name ? t->name : "?");
    }
    urd_buf_deinit(&b);
}

char *urd_debuginfo_type_text(const struct urd_type *t)
{
    struct urd_buf before = {0}, after = {0};
    spell(t, &before, &after, 0);
    while (before.size && !after.size && before.data[before.size - 1] == ' ')
        before.size--;
    char *text = urd_xprintf("%.*s%.*s", (int)before.size, before.data ? (char *)before.data : "",
                             (int)after.size, after.data ? (char *)after.data : "");
    urd_buf_deinit(&before);
    urd_buf_deinit(&after);
    return text;
}
