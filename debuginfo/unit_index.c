/*
 * One pass over all entries of a unit, done when it is first needed: scopes that have code,
 * variables, named types and enumerators. Everything else is read in place when asked for.
 */
#include "debuginfo/private.h"

#define MAX_DEPTH 200

struct level {
    const char *prefix;   /* "ns::C::" or "" */
    const char *function; /* qualified name of an abstract function around, or NULL */
    uint32_t scope;
    bool record; /* members of a struct: not variables of their own */
};

struct walk {
    struct urd_module *m;
    struct urd_unit *u;
    struct urd_unit_index *x;
    struct level levels[MAX_DEPTH + 1];
};

/** What the walk needs of an entry. */
struct entry {
    const char *name, *linkage;
    uint64_t origin, die;
    uint64_t entry, call_file, call_line, call_column, decl_file, decl_line;
    uint16_t tag;
    bool has_origin, declaration, external, has_code, has_location, has_value, has_entry;
};

static uint64_t read_entry(const struct urd_die *die, struct entry *e)
{
    struct urd_attr_reader r;
    struct urd_attr a;
    memset(e, 0, sizeof *e);
    e->tag = die->abbrev->tag;
    e->die = urd_debuginfo_die_handle(die);
    urd_debuginfo_attrs_init(die, &r);
    while (urd_debuginfo_attrs_next(&r, &a)) {
        switch (a.name) {
        case DW_AT_name:
            e->name = a.string;
            break;
        case DW_AT_signature: { /* a declaration of what stands in a type unit: clang gives it no name */
            struct urd_die whole;
            if (!e->name && a.class == URD_ATTR_REFERENCE &&
                urd_debuginfo_die_at(die->unit->dwarf, a.u, &whole))
                e->name = urd_debuginfo_die_name(&whole);
            break;
        }
        case DW_AT_linkage_name:
        case DW_AT_MIPS_linkage_name:
            e->linkage = a.string;
            break;
        case DW_AT_abstract_origin:
        case DW_AT_specification:
            if (a.class == URD_ATTR_REFERENCE) {
                e->origin = a.u;
                e->has_origin = true;
            }
            break;
        case DW_AT_declaration:
            e->declaration = a.u;
            break;
        case DW_AT_external:
            e->external = a.u;
            break;
        case DW_AT_low_pc:
        case DW_AT_ranges:
            e->has_code = true;
            break;
        case DW_AT_entry_pc:
            if (a.class == URD_ATTR_ADDRESS) {
                e->entry = a.u;
                e->has_entry = true;
            }
            break;
        case DW_AT_call_file:
            e->call_file = a.u;
            break;
        case DW_AT_call_line:
            e->call_line = a.u;
            break;
        case DW_AT_call_column:
            e->call_column = a.u;
            break;
        case DW_AT_decl_file:
            e->decl_file = a.u;
            break;
        case DW_AT_decl_line:
            e->decl_line = a.u;
            break;
        case DW_AT_location:
            e->has_location = true;
            break;
        case DW_AT_const_value:
            e->has_value = true;
            break;
        }
    }
    return r.at.ok ? (uint64_t)(r.at.at - die->unit->base) : die->unit->end;
}

static void keep_range(void *data, struct urd_range r)
{
    struct walk *w = data;
    if (urd_debuginfo_module_is_code(w->m, r.low))
        URD_PUSH(w->x->ranges, w->x->n_ranges, w->x->cap_ranges) = r;
}

static const char *qualify(struct walk *w, const char *prefix, const char *name)
{
    return *prefix && name ? urd_debuginfo_module_printf(w->m, "%s%s", prefix, name) : name;
}

/** URD_NONE when it has no code. */
static uint32_t add_scope(struct walk *w, const struct urd_die *die, const struct entry *e,
                          const struct level *l)
{
    struct urd_unit_index *x = w->x;
    size_t first = x->n_ranges;
    if (e->has_code)
        urd_debuginfo_die_ranges(die, keep_range, w);
    if (x->n_ranges == first)
        return URD_NONE;
    struct urd_scope s = {.die = e->die,
                          .origin = e->origin,
                          .parent = l->scope,
                          .tag = e->tag,
                          .first_range = (uint32_t)first,
                          .n_ranges = (uint32_t)(x->n_ranges - first),
                          .call_line = (uint32_t)e->call_line,
                          .call_column = (uint32_t)e->call_column,
                          .call_file = (uint32_t)e->call_file,
                          .decl_line = (uint32_t)e->decl_line,
                          .decl_file = (uint32_t)e->decl_file,
                          .external = e->external,
                          .name = e->name,
                          .linkage = e->linkage};
    if (e->tag == DW_TAG_subprogram)
        s.parent = URD_NONE; /* nested functions are functions */
    s.qualified = qualify(w, l->prefix, e->name);
    s.entry = x->ranges[first].low;
    if (e->has_entry)
        for (size_t i = first; i < x->n_ranges; i++)
            if (e->entry >= x->ranges[i].low && e->entry < x->ranges[i].high)
                s.entry = e->entry;
    URD_PUSH(x->scopes, x->n_scopes, x->cap_scopes) = s;
    return (uint32_t)x->n_scopes - 1;
}

static void remember_name(struct walk *w, const struct entry *e, const struct level *l)
{
    if (e->name)
        *urd_map_put(&w->x->names, e->die) = (uintptr_t)qualify(w, l->prefix, e->name);
}

const struct urd_named_die *urd_debuginfo_type_die(const struct urd_unit_index *x, uint64_t die)
{
    size_t lo = 0, hi = x->n_types;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (x->types[mid].die < die)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < x->n_types && x->types[lo].die == die ? &x->types[lo] : NULL;
}

static void add_named(struct walk *w, const struct entry *e, const struct level *l, uint64_t aux)
{
    struct urd_unit_index *x = w->x;
    struct urd_named_die d = {.name = e->name,
                              .die = e->die,
                              .aux = aux,
                              .scope = l->scope,
                              .tag = e->tag,
                              .declaration = e->declaration,
                              .function = l->function};
    d.qualified = qualify(w, l->prefix, e->name);
    if (e->tag == DW_TAG_enumerator)
        URD_PUSH(x->constants, x->n_constants, x->cap_constants) = d;
    else if (e->tag == DW_TAG_variable || e->tag == DW_TAG_formal_parameter)
        URD_PUSH(x->variables, x->n_variables, x->cap_variables) = d;
    else if (e->name) {
        const struct urd_named_die *declared = /* where it belongs: it is defined elsewhere */
            e->has_origin ? urd_debuginfo_type_die(x, e->origin) : NULL;
        if (declared)
            d.qualified = declared->qualified;
        URD_PUSH(x->types, x->n_types, x->cap_types) = d;
    }
}

/** What the children of an entry see. */
static struct level visit(struct walk *w, const struct urd_die *die, const struct entry *e,
                          const struct level *l)
{
    struct level in = *l;
    switch (e->tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
        if (w->u->language != DW_LANG_C_plus_plus || e->name)
            in.prefix = urd_debuginfo_module_printf(w->m, "%s%s::", l->prefix,
                                                    e->name ? e->name : "(anonymous namespace)");
        break;
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
    case DW_TAG_interface_type:
        add_named(w, e, l, 0);
        in.record = true;
        if (e->name)
            in.prefix =
                urd_debuginfo_module_printf(w->m, "%s::", w->x->types[w->x->n_types - 1].qualified);
        break;
    case DW_TAG_enumeration_type:
        add_named(w, e, l, 0);
        break;
    case DW_TAG_typedef:
    case DW_TAG_base_type:
    case DW_TAG_unspecified_type:
        add_named(w, e, l, 0);
        break;
    case DW_TAG_enumerator:
        add_named(w, e, l, e->die);
        break;
    case DW_TAG_subprogram:
        in.record = false;
        in.scope = add_scope(w, die, e, l);
        if (in.scope == URD_NONE) {
            remember_name(w, e, l);
            const char *q = qualify(w, l->prefix, e->name);
            in.function = q ? q : "";
        } else {
            remember_name(w, e, l);
            in.function = NULL;
        }
        in.prefix = "";
        break;
    case DW_TAG_inlined_subroutine:
    case DW_TAG_lexical_block:
    case DW_TAG_try_block:
    case DW_TAG_catch_block: {
        uint32_t s = l->function ? URD_NONE : add_scope(w, die, e, l);
        if (s != URD_NONE)
            in.scope = s;
        else if (e->tag == DW_TAG_inlined_subroutine && l->scope != URD_NONE)
            in.function = ""; /* an inlined copy whose code is gone */
        break;
    }
    case DW_TAG_member: /* static members before DWARF 5 */
    case DW_TAG_variable:
    case DW_TAG_formal_parameter:
        if (e->declaration || e->tag == DW_TAG_member || l->record) {
            if (e->external)
                remember_name(w, e, l);
            if (!e->has_location && !(e->has_value && e->tag == DW_TAG_variable))
                break;
        }
        /* of a function without code, statics only; of a copy whose code is gone, nothing */
        if (e->tag == DW_TAG_member || (l->function && (!e->has_location || l->scope != URD_NONE)))
            break;
        if (l->scope == URD_NONE && !l->function)
            remember_name(w, e, l);
        add_named(w, e, l, e->origin);
        break;
    }
    return in;
}

static void resolve_names(struct walk *w)
{
    for (size_t i = 0; i < w->x->n_scopes; i++) {
        struct urd_scope *s = &w->x->scopes[i];
        struct urd_die die;
        struct urd_attr a;
        if (!s->origin || !urd_debuginfo_die_at(w->u->dwarf, s->die, &die))
            continue;
        const char *q = urd_debuginfo_qualified_name(w->m, s->origin);
        if (q)
            s->qualified = q;
        if (!s->name && urd_debuginfo_die_attr_inherited(&die, DW_AT_name, &a))
            s->name = a.string;
        if (!s->linkage && urd_debuginfo_die_attr_inherited(&die, DW_AT_linkage_name, &a))
            s->linkage = a.string;
        if (!s->decl_line && urd_debuginfo_die_attr_inherited(&die, DW_AT_decl_line, &a))
            s->decl_line = (uint32_t)a.u;
        if (!s->decl_file && urd_debuginfo_die_attr_inherited(&die, DW_AT_decl_file, &a))
            s->decl_file = (uint32_t)a.u;
        if (!s->external && urd_debuginfo_die_attr_inherited(&die, DW_AT_external, &a))
            s->external = a.u;
        if (!s->qualified)
            s->qualified = s->name;
    }
    for (size_t i = 0; i < w->x->n_variables; i++) {
        struct urd_named_die *v = &w->x->variables[i];
        struct urd_die die;
        struct urd_attr a;
        if (v->name || !v->aux || !urd_debuginfo_die_at(w->u->dwarf, v->die, &die))
            continue;
        if (urd_debuginfo_die_attr_inherited(&die, DW_AT_name, &a))
            v->name = a.string;
        const char *q = v->scope == URD_NONE ? urd_debuginfo_qualified_name(w->m, v->aux) : NULL;
        v->qualified = q ? q : v->name;
    }
}

static void walk_unit(struct walk *w)
{
    struct urd_unit *u = w->u;
    unsigned depth = 0;
    uint64_t at = u->root, enum_die = 0;
    w->levels[0] = (struct level){"", NULL, URD_NONE, false};
    uint32_t opened[MAX_DEPTH + 1]; /* first scope of each level, to close them */
    opened[0] = URD_NONE;
    while (at < u->end) {
        struct urd_die die;
        if (!urd_debuginfo_die_read(u, at, &die)) {
            if (u->base[at] != 0)
                break;
            at++;
            if (!depth)
                break;
            if (opened[depth] != URD_NONE)
                w->x->scopes[opened[depth]].end = (uint32_t)w->x->n_scopes;
            if (!--depth)
                break;
            continue;
        }
        struct entry e;
        at = read_entry(&die, &e);
        size_t before = w->x->n_scopes;
        struct level in = visit(w, &die, &e, &w->levels[depth]);
        if (e.tag == DW_TAG_enumeration_type)
            enum_die = e.die;
        else if (e.tag == DW_TAG_enumerator && w->x->n_constants)
            w->x->constants[w->x->n_constants - 1].aux = enum_die;
        bool added = w->x->n_scopes > before;
        if (added)
            w->x->scopes[before].end = (uint32_t)before + 1;
        if (die.abbrev->children) {
            if (depth == MAX_DEPTH)
                break; /* no compiler nests so deep */
            w->levels[++depth] = in;
            opened[depth] = added ? (uint32_t)before : URD_NONE;
        } else if (!depth) {
            break;
        }
    }
    for (; depth; depth--) /* damaged: close what is open */
        if (opened[depth] != URD_NONE)
            w->x->scopes[opened[depth]].end = (uint32_t)w->x->n_scopes;
}

struct urd_unit_index *urd_debuginfo_unit_index(struct urd_module *m, struct urd_unit *u)
{
    u = urd_debuginfo_unit_full(u);
    if (u->index && !u->indexing)
        return u->index;
    if (u->indexing || !urd_debuginfo_unit_open(u))
        return NULL;
    struct walk *w = urd_xcalloc(1, sizeof *w);
    w->m = m;
    w->u = u;
    w->x = u->index = urd_xcalloc(1, sizeof *w->x);
    u->indexing = true;
    walk_unit(w);
    resolve_names(w);
    u->indexing = false;
    free(w);
    return u->index;
}

void urd_debuginfo_unit_index_free(struct urd_unit_index *x)
{
    if (!x)
        return;
    free(x->scopes);
    free(x->ranges);
    free(x->variables);
    free(x->types);
    free(x->constants);
    urd_map_deinit(&x->names);
    free(x);
}

const char *urd_debuginfo_qualified_name(struct urd_module *m, uint64_t handle)
{
    for (int i = 0; i < 8; i++) {
        struct urd_unit *u = urd_debuginfo_unit_of(urd_debuginfo_module_dwarf(m), handle);
        struct urd_unit_index *x =
            u ? u->indexing ? u->index : urd_debuginfo_unit_index(m, u) : NULL;
        uint64_t *slot = x ? urd_map_get(&x->names, handle) : NULL;
        if (slot)
            return (const char *)(uintptr_t)*slot;
        struct urd_die die;
        struct urd_attr a;
        if (!u || !urd_debuginfo_die_at(u->dwarf, handle, &die))
            return NULL;
        if (!urd_debuginfo_die_attr(&die, DW_AT_specification, &a) &&
            !urd_debuginfo_die_attr(&die, DW_AT_abstract_origin, &a))
            return urd_debuginfo_die_name(&die);
        handle = a.u;
    }
    return NULL;
}

/* ---- which unit holds an address ---- */

struct unit_range_sink {
    struct urd_module *m;
    uint32_t unit;
};

static void keep_unit_range(void *data, struct urd_range r)
{
    struct unit_range_sink *s = data;
    struct urd_module *m = s->m;
    if (urd_debuginfo_module_is_code(m, r.low))
        URD_PUSH(m->unit_ranges, m->n_unit_ranges, m->cap_unit_ranges) =
            (struct urd_unit_range){r.low, r.high, s->unit};
}

static int compare_ranges(const void *a, const void *b)
{
    const struct urd_unit_range *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low ? 1 : x->high < y->high ? -1 : x->high > y->high;
}

static void read_unit_ranges(struct urd_module *m)
{
    struct urd_dwarf *d = urd_debuginfo_module_dwarf(m);
    m->unit_ranges_read = true;
    for (size_t i = 0; i < d->n_units; i++) {
        struct urd_unit *u = &d->units[i];
        struct urd_die root;
        struct unit_range_sink sink = {m, (uint32_t)i};
        if (u->kind == DW_UT_type || !urd_debuginfo_unit_open(u) || u->tag == DW_TAG_partial_unit ||
            !urd_debuginfo_die_read(u, u->root, &root))
            continue;
        size_t before = m->n_unit_ranges;
        urd_debuginfo_die_ranges(&root, keep_unit_range, &sink);
        if (m->n_unit_ranges > before || u->has_stmt_list == false)
            continue;
        /* no ranges of its own: those of its functions */
        struct urd_unit_index *x = urd_debuginfo_unit_index(m, u);
        for (size_t k = 0; x && k < x->n_scopes; k++)
            for (uint32_t r = 0; x->scopes[k].tag == DW_TAG_subprogram && r < x->scopes[k].n_ranges;
                 r++)
                keep_unit_range(&sink, x->ranges[x->scopes[k].first_range + r]);
    }
    if (m->n_unit_ranges)
        qsort(m->unit_ranges, m->n_unit_ranges, sizeof *m->unit_ranges, compare_ranges);
}

struct urd_unit *urd_debuginfo_unit_at(struct urd_module *m, uint64_t address)
{
    if (!m->unit_ranges_read)
        read_unit_ranges(m);
    size_t lo = 0, hi = m->n_unit_ranges;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (m->unit_ranges[mid].low <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (size_t steps = 0; lo-- > 0 && steps < 64; steps++)
        if (address < m->unit_ranges[lo].high)
            return urd_debuginfo_unit_full(&m->dwarf.units[m->unit_ranges[lo].unit]);
    return NULL;
}

const char *urd_debuginfo_missing_split(struct urd_module *m, uint64_t address)
{
    const struct urd_unit *u = urd_debuginfo_unit_at(m, address);
    return u && !u->skeleton ? u->split_name : NULL;
}

bool urd_debuginfo_scope_has(const struct urd_unit_index *x, uint32_t scope, uint64_t address,
                             struct urd_range *ret)
{
    const struct urd_scope *s = &x->scopes[scope];
    for (uint32_t i = 0; i < s->n_ranges; i++) {
        struct urd_range r = x->ranges[s->first_range + i];
        if (address >= r.low && address < r.high) {
            if (ret)
                *ret = r;
            return true;
        }
    }
    return false;
}

uint32_t urd_debuginfo_scope_at(const struct urd_unit_index *x, uint64_t address)
{
    uint32_t best = URD_NONE;
    for (uint32_t i = 0; i < x->n_scopes;) {
        if (urd_debuginfo_scope_has(x, i, address, NULL)) {
            best = i++; /* then only within it */
            continue;
        }
        i = x->scopes[i].end > i ? x->scopes[i].end : i + 1;
        if (best != URD_NONE && i >= x->scopes[best].end)
            break;
    }
    /* a nested function lies outside of the ranges of the one around it */
    for (uint32_t i = 0; i < x->n_scopes && best == URD_NONE; i++)
        if (urd_debuginfo_scope_has(x, i, address, NULL))
            best = i;
    return best;
}
