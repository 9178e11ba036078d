#include "debuginfo/private.h"

/** The function around a variable's entry is needed for DW_OP_fbreg. */
struct place {
    uint64_t function;
};

static uint64_t function_die(const struct urd_unit_index *x, uint32_t s)
{
    while (s != URD_NONE && x->scopes[s].tag != DW_TAG_subprogram)
        s = x->scopes[s].parent;
    return s == URD_NONE ? 0 : x->scopes[s].die;
}

static void set_depth(struct urd_variable *v, const struct urd_unit_index *x, uint32_t scope)
{
    v->depth = v->nesting = 0;
    for (uint32_t s = scope; s != URD_NONE && x->scopes[s].tag != DW_TAG_subprogram;
         s = x->scopes[s].parent) {
        v->depth++;
        v->nesting += x->scopes[s].tag == DW_TAG_inlined_subroutine;
    }
}

static struct urd_variable *make(struct urd_module *m, struct urd_unit *u, uint64_t handle,
                                 const struct urd_named_die *d)
{
    uint64_t *slot = urd_map_get(&m->variables, handle);
    if (slot)
        return (struct urd_variable *)(uintptr_t)*slot;
    struct urd_die die;
    struct urd_attr a;
    if (!urd_debuginfo_die_at(u->dwarf, handle, &die))
        return NULL;
    struct urd_variable *v = urd_arena_alloc(&m->arena, sizeof *v);
    struct place *p = urd_arena_alloc(&m->arena, sizeof *p);
    struct urd_unit_index *x = urd_debuginfo_unit_index(m, u);
    v->die = v->origin = handle;
    if (urd_debuginfo_die_attr(&die, DW_AT_abstract_origin, &a) && a.class == URD_ATTR_REFERENCE)
        v->origin = a.u;
    v->module = m;
    v->location = p;
    if (d)
        v->name = d->name;
    else if (urd_debuginfo_die_attr_inherited(&die, DW_AT_name, &a))
        v->name = a.string;
    if (!v->name)
        v->name = "";
    v->qualified = d && d->qualified ? d->qualified : v->name;
    v->type = urd_debuginfo_die_type(m, &die);
    v->kind = die.abbrev->tag == DW_TAG_formal_parameter ? URD_VARIABLE_PARAMETER
              : d && d->scope == URD_NONE                ? URD_VARIABLE_GLOBAL
                                                         : URD_VARIABLE_LOCAL;
    if (urd_debuginfo_die_attr_inherited(&die, DW_AT_external, &a))
        v->external = a.u;
    if (urd_debuginfo_die_attr_inherited(&die, DW_AT_artificial, &a))
        v->artificial = a.u;
    v->is_result = die.unit->language == DW_LANG_Go &&
                   urd_debuginfo_die_attr_inherited(&die, DW_AT_variable_parameter, &a) && a.u;
    v->has_location = urd_debuginfo_die_attr(&die, DW_AT_location, &a) ||
                      urd_debuginfo_die_attr_inherited(&die, DW_AT_const_value, &a);
    if (urd_debuginfo_die_attr_inherited(&die, DW_AT_decl_file, &a))
        v->file = urd_debuginfo_unit_file(m, u, a.u);
    if (urd_debuginfo_die_attr_inherited(&die, DW_AT_decl_line, &a))
        v->line = (unsigned)a.u;
    if (d && x && d->scope != URD_NONE) {
        p->function = function_die(x, d->scope);
        set_depth(v, x, d->scope);
    }
    *urd_map_put(&m->variables, handle) = (uintptr_t)v;
    return v;
}

const struct urd_variable *urd_debuginfo_variable_of(struct urd_module *m, uint64_t handle)
{
    struct urd_unit *u = urd_debuginfo_unit_of(&m->dwarf, handle);
    struct urd_unit_index *x = u ? urd_debuginfo_unit_index(m, u) : NULL;
    const struct urd_named_die *d = NULL;
    size_t lo = 0, hi = x ? x->n_variables : 0;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (x->variables[mid].die < handle)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (x && lo < x->n_variables && x->variables[lo].die == handle)
        d = &x->variables[lo];
    return u ? make(m, u, handle, d) : NULL;
}

struct list {
    const struct urd_variable **items;
    size_t n, cap;
};

/** What the compiler dropped from a copy of a function is still a variable: optimised out. Statics
 *  have their place only here. */
static void add_abstract(struct urd_module *m, struct urd_unit *u, struct urd_unit_index *x,
                         uint32_t s, bool parameters_only, const uint64_t *origins,
                         size_t n_origins, struct list *l)
{
    struct urd_die die, child;
    if (!urd_debuginfo_die_at(u->dwarf, x->scopes[s].origin, &die))
        return;
    for (bool more = urd_debuginfo_die_child(&die, &child); more;
         more = urd_debuginfo_die_sibling(&child, &child)) {
        unsigned tag = child.abbrev->tag;
        uint64_t handle = urd_debuginfo_die_handle(&child);
        if ((tag != DW_TAG_formal_parameter && (tag != DW_TAG_variable || parameters_only)) ||
            !urd_debuginfo_die_name(&child) || urd_debuginfo_die_flag(&child, DW_AT_declaration))
            continue;
        bool known = n_origins == 64;
        for (size_t i = 0; i < n_origins; i++)
            known |= origins[i] == handle;
        struct urd_variable *v = known ? NULL : make(m, child.unit, handle, NULL);
        if (!v)
            continue;
        set_depth(v, x, s);
        URD_PUSH(l->items, l->n, l->cap) = v;
    }
}

/** Variables whose innermost scope is s, in order. They are sorted by DIE, as scopes are, so those
 *  of a scope lie between its DIE and that of the next scope outside of it. */
static void add_scope(struct urd_module *m, struct urd_unit *u, struct urd_unit_index *x,
                      uint32_t s, bool parameters_only, struct list *l)
{
    size_t lo = 0, hi = x->n_variables;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (x->variables[mid].die < x->scopes[s].die)
            lo = mid + 1;
        else
            hi = mid;
    }
    uint32_t end = x->scopes[s].end;
    uint64_t stop = end < x->n_scopes ? x->scopes[end].die : UINT64_MAX;
    uint64_t origins[64]; /* abstract entries that have a concrete one here */
    size_t n_origins = 0;
    for (; lo < x->n_variables && x->variables[lo].die < stop; lo++) {
        struct urd_named_die *d = &x->variables[lo];
        if (d->scope != s || !d->name || (parameters_only && d->tag != DW_TAG_formal_parameter))
            continue;
        if (d->aux && n_origins < 64)
            origins[n_origins++] = d->aux;
        const struct urd_variable *v = make(m, u, d->die, d);
        if (v)
            URD_PUSH(l->items, l->n, l->cap) = v;
    }
    if (x->scopes[s].origin)
        add_abstract(m, u, x, s, parameters_only, origins, n_origins, l);
}

void urd_debuginfo_variables_at(struct urd_module *m, uint64_t address,
                                const struct urd_variable ***ret, size_t *ret_count)
{
    struct urd_unit *u = urd_debuginfo_unit_at(m, address);
    struct urd_unit_index *x = u ? urd_debuginfo_unit_index(m, u) : NULL;
    struct list l = {0};
    for (uint32_t s = x ? urd_debuginfo_scope_at(x, address) : URD_NONE; s != URD_NONE;
         s = x->scopes[s].parent)
        add_scope(m, u, x, s, false, &l);
    *ret = l.items;
    *ret_count = 0;
    /* a copy may have them in blocks that the function has not */
    for (size_t i = 0; i < l.n; i++) {
        bool known = false;
        for (size_t k = 0; k < *ret_count && !known; k++)
            known = l.items[k]->origin == l.items[i]->origin &&
                    l.items[k]->nesting == l.items[i]->nesting;
        if (!known)
            l.items[(*ret_count)++] = l.items[i];
    }
}

unsigned urd_debuginfo_nesting(const struct urd_frame *frame, struct urd_module *m,
                               uint64_t address)
{
    size_t levels = urd_debuginfo_inlined_at(m, address, NULL, 0);
    return levels > frame->level ? (unsigned)levels - frame->level : 0;
}

static uint32_t scope_of(const struct urd_unit_index *x, uint64_t die)
{
    for (size_t i = 0; i < x->n_scopes; i++)
        if (x->scopes[i].die == die)
            return (uint32_t)i;
    return URD_NONE;
}

static void formal_parameters(struct urd_module *m, const struct urd_function *function,
                              struct list *ret)
{
    struct urd_unit *u = function->die ? urd_debuginfo_unit_of(&m->dwarf, function->die) : NULL;
    struct urd_unit_index *x = u ? urd_debuginfo_unit_index(m, u) : NULL;
    uint32_t s = x ? scope_of(x, function->die) : URD_NONE;
    if (s != URD_NONE)
        add_scope(m, u, x, s, true, ret);
}

void urd_debuginfo_parameters_of(struct urd_module *m, const struct urd_function *function,
                                 const struct urd_variable ***ret, size_t *ret_count)
{
    struct list l = {0};
    formal_parameters(m, function, &l);
    *ret = l.items;
    *ret_count = 0;
    for (size_t i = 0; i < l.n; i++)
        if (!l.items[i]->is_result)
            l.items[(*ret_count)++] = l.items[i];
}

size_t urd_debuginfo_results_of(struct urd_module *m, const struct urd_function *function,
                                const struct urd_variable **ret)
{
    struct list l = {0};
    size_t n = 0;
    formal_parameters(m, function, &l);
    for (size_t i = l.n; i-- > 0;)
        if (l.items[i]->is_result) {
            *ret = l.items[i];
            n++;
        }
    free(l.items);
    return n;
}

/* ---- globals ---- */

static const char *static_of(struct urd_module *m, const struct urd_variable *v)
{
    struct urd_unit *u = urd_debuginfo_unit_of(&m->dwarf, v->die);
    struct urd_unit_index *x = u ? urd_debuginfo_unit_index(m, u) : NULL;
    for (size_t i = 0; x && i < x->n_variables; i++) {
        struct urd_named_die *d = &x->variables[i];
        if (d->die != v->die)
            continue;
        uint32_t s = d->scope;
        while (s != URD_NONE && x->scopes[s].tag == DW_TAG_lexical_block)
            s = x->scopes[s].parent;
        return s != URD_NONE ? x->scopes[s].qualified : d->function;
    }
    return NULL;
}

static void read_globals(struct urd_module *m)
{
    struct urd_dwarf *d = urd_debuginfo_module_dwarf(m);
    m->globals_read = true;
    for (size_t i = 0; i < d->n_units; i++) {
        struct urd_unit *u = urd_debuginfo_unit_full(&d->units[i]);
        struct urd_unit_index *x = urd_debuginfo_unit_index(m, u);
        for (size_t k = 0; x && k < x->n_variables; k++) {
            struct urd_named_die *n = &x->variables[k];
            struct urd_die die;
            struct urd_attr a;
            if (n->tag != DW_TAG_variable || !n->name || !urd_debuginfo_die_at(d, n->die, &die))
                continue;
            bool located = urd_debuginfo_die_attr(&die, DW_AT_location, &a);
            bool fixed = located && a.class == URD_ATTR_BLOCK && a.block.size &&
                         (a.block.data[0] == DW_OP_addr || a.block.data[0] == DW_OP_addrx ||
                          a.block.data[0] == DW_OP_GNU_addr_index ||
                          a.block.data[a.block.size - 1] == DW_OP_GNU_push_tls_address ||
                          a.block.data[a.block.size - 1] == DW_OP_form_tls_address);
            bool value = n->scope == URD_NONE && !n->function &&
                         (located || urd_debuginfo_die_attr(&die, DW_AT_const_value, &a));
            if (!fixed && !value)
                continue;
            struct urd_variable *v = make(m, u, n->die, n);
            if (v) {
                v->kind = URD_VARIABLE_GLOBAL;
                URD_PUSH(m->globals, m->n_globals, m->cap_globals) = v;
            }
        }
    }
    m->global_next = urd_xcalloc(m->n_globals + 1, sizeof *m->global_next);
    for (size_t i = m->n_globals; i-- > 0;) {
        uint64_t *slot = urd_map_put(&m->global_names, urd_debuginfo_hash(m->globals[i]->name));
        m->global_next[i] = (uint32_t)*slot;
        *slot = i + 1;
    }
}

const struct urd_variable *const *urd_debuginfo_globals(struct urd_module *m, size_t *ret_count)
{
    if (!m->globals_read)
        read_globals(m);
    *ret_count = m->n_globals;
    return m->globals;
}

static bool ends_with_name(const char *qualified, const char *name)
{
    size_t n = strlen(qualified), k = strlen(name);
    return k <= n && !strcmp(qualified + n - k, name) &&
           (k == n || (n - k >= 2 && !strncmp(qualified + n - k - 2, "::", 2)));
}

const struct urd_variable *urd_debuginfo_global_named(struct urd_module *m, const char *name,
                                                      uint64_t near_address, const char *file,
                                                      const char *function)
{
    size_t n;
    urd_debuginfo_globals(m, &n);
    const char *bare = name;
    for (const char *p = name; (p = strstr(p, "::")); p += 2)
        bare = p + 2;
    struct urd_unit *near = near_address ? urd_debuginfo_unit_at(m, near_address) : NULL;
    uint64_t *slot = urd_map_get(&m->global_names, urd_debuginfo_hash(bare));
    const struct urd_variable *best = NULL;
    int best_score = -1;
    for (uint32_t i = slot ? (uint32_t)*slot : 0; i; i = m->global_next[i - 1]) {
        const struct urd_variable *v = m->globals[i - 1];
        if (strcmp(v->name, bare) || !ends_with_name(v->qualified, name))
            continue;
        struct urd_unit *u = urd_debuginfo_unit_of(&m->dwarf, v->die);
        const char *owner = static_of(m, v);
        if (file && !(u && (urd_debuginfo_path_matches(u->name, file) ||
                            urd_debuginfo_path_matches(v->file, file))))
            continue;
        if (function ? !owner || !ends_with_name(owner, function) : owner != NULL)
            continue;
        int score = (u && u == near ? 8 : 0) + (!strcmp(v->qualified, name) ? 4 : 0) +
                    (v->external ? 2 : 0);
        if (score > best_score) {
            best = v;
            best_score = score;
        }
    }
    return best;
}

/* ---- reading ---- */

static void read_constant(const struct urd_attr *a, struct urd_value *v)
{
    uint8_t *to = v->small;
    if (v->size > URD_VALUE_SMALL && v->size <= URD_VALUE_MAX)
        to = v->heap = urd_xcalloc(1, v->size);
    uint64_t room = v->size <= URD_VALUE_MAX ? v->size : 0;
    v->lazy = v->lvalue = false;
    v->n_pieces = 0;
    if (a->class == URD_ATTR_CONSTANT || a->class == URD_ATTR_ADDRESS) {
        int64_t n = a->class == URD_ATTR_CONSTANT ? a->s : (int64_t)a->u;
        if (a->class == URD_ATTR_CONSTANT && !urd_debuginfo_type_strip(v->type)->is_signed)
            n = (int64_t)a->u;
        if (room > 8 && n < 0)
            memset(to + 8, 0xff, room - 8);
        memcpy(to, &n, room < 8 ? room : 8);
    } else if (a->class == URD_ATTR_BLOCK) {
        memcpy(to, a->block.data, a->block.size < room ? a->block.size : room);
    } else if (a->class == URD_ATTR_STRING) {
        uint64_t n = strlen(a->string) + 1;
        memcpy(to, a->string, n < room ? n : room);
    }
}

void urd_debuginfo_variable_read(const struct urd_variable *variable, const struct urd_frame *frame,
                                 uint64_t bias, struct urd_value *ret)
{
    struct urd_module *m = variable->module;
    struct urd_die die;
    struct urd_attr a;
    const struct place *p = variable->location;
    uint64_t pc = frame->pc - frame->is_caller - bias;
    memset(ret, 0, sizeof *ret);
    ret->type = variable->type;
    struct urd_unit *u = urd_debuginfo_unit_of(&m->dwarf, variable->die);
    if (!u || !urd_debuginfo_die_at(&m->dwarf, variable->die, &die)) {
        urd_debuginfo_value_fail(ret, URD_VALUE_OPTIMISED_OUT, "its description is damaged");
        return;
    }
    struct urd_location_context x = {m, u, frame, bias, p->function, NULL, false};
    ret->type = urd_debuginfo_type_resolve(&x, variable->type);
    const struct urd_type *t = urd_debuginfo_type_strip(ret->type);
    ret->size = t->size;
    if (x.unknown_bound) {
        urd_debuginfo_value_fail(ret, URD_VALUE_OPTIMISED_OUT,
                                 "the length of the array is not known");
        return;
    }
    if (!urd_debuginfo_die_attr(&die, DW_AT_location, &a)) {
        if (urd_debuginfo_die_attr_inherited(&die, DW_AT_const_value, &a))
            read_constant(&a, ret);
        else
            urd_debuginfo_value_fail(ret, URD_VALUE_OPTIMISED_OUT, "optimised out");
        return;
    }
    struct urd_span e;
    if (!urd_debuginfo_die_location(&die, DW_AT_location, pc, &e)) {
        if (frame->no_registers && urd_debuginfo_location_is_list(&a))
            urd_debuginfo_value_fail(ret, URD_VALUE_NOT_RECORDED,
                                     "it depends on the place in the program");
        else
            urd_debuginfo_value_fail(ret, URD_VALUE_OPTIMISED_OUT, "optimised out");
        return;
    }
    urd_debuginfo_location_value(&x, e, ret);
}

void urd_debuginfo_value_follow(const struct urd_frame *frame, const struct urd_value *pointer,
                                const struct urd_type *target, struct urd_value *ret)
{
    struct urd_module *m = pointer->points_module;
    struct urd_place p;
    const struct urd_variable *v = m ? urd_debuginfo_variable_of(m, pointer->points_to) : NULL;
    memset(ret, 0, sizeof *ret);
    ret->type = target;
    if (!v || !frame->image ||
        !urd_debuginfo_image_find(frame->image, frame->pc - frame->is_caller, &p) ||
        p.module != m) {
        urd_debuginfo_value_fail(ret, URD_VALUE_OPTIMISED_OUT, "optimised out");
        return;
    }
    struct urd_value whole;
    urd_debuginfo_variable_read(v, frame, p.bias, &whole);
    if (pointer->points_offset < 0)
        urd_debuginfo_value_fail(ret, URD_VALUE_OPTIMISED_OUT, "optimised out");
    else
        urd_debuginfo_value_part(frame, &whole, target, (uint64_t)pointer->points_offset, 0, 0,
                                 ret);
    urd_debuginfo_value_deinit(&whole);
}
