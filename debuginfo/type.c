/* Types from their DWARF entries: DWARF 5, chapter 5. */
#include "debuginfo/private.h"

#define MAX_TYPE_DEPTH 64

static const struct urd_type void_type = {.kind = URD_TYPE_VOID, .name = "void", .size = 1};

#define INT(n, s, sg)                                                                              \
    {                                                                                              \
        .kind = URD_TYPE_INT, .name = n, .size = s, .is_signed = sg                                \
    }
static const struct urd_type builtins[] = {
    {.kind = URD_TYPE_CHAR, .name = "char", .size = 1, .is_signed = true},
    {.kind = URD_TYPE_CHAR, .name = "signed char", .size = 1, .is_signed = true},
    {.kind = URD_TYPE_CHAR, .name = "unsigned char", .size = 1},
    INT("short", 2, true),
    INT("unsigned short", 2, false),
    INT("int", 4, true),
    INT("unsigned int", 4, false),
    INT("long", 8, true),
    INT("unsigned long", 8, false),
    INT("long long", 8, true),
    INT("unsigned long long", 8, false),
    INT("__int128", 16, true),
    INT("unsigned __int128", 16, false),
    INT("int8_t", 1, true),
    INT("uint8_t", 1, false),
    INT("int16_t", 2, true),
    INT("uint16_t", 2, false),
    INT("int32_t", 4, true),
    INT("uint32_t", 4, false),
    INT("int64_t", 8, true),
    INT("uint64_t", 8, false),
    INT("size_t", 8, false),
    INT("ssize_t", 8, true),
    INT("uintptr_t", 8, false),
    INT("intptr_t", 8, true),
    INT("ptrdiff_t", 8, true),
    {.kind = URD_TYPE_BOOL, .name = "_Bool", .size = 1},
    {.kind = URD_TYPE_BOOL, .name = "bool", .size = 1},
    {.kind = URD_TYPE_FLOAT, .name = "float", .size = 4, .is_signed = true},
    {.kind = URD_TYPE_FLOAT, .name = "double", .size = 8, .is_signed = true},
    {.kind = URD_TYPE_FLOAT, .name = "long double", .size = 16, .is_signed = true},
};
#undef INT

const struct urd_type *urd_debuginfo_type_builtin(const char *name)
{
    if (!strcmp(name, "void"))
        return &void_type;
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
        if (!strcmp(builtins[i].name, name))
            return &builtins[i];
    return NULL;
}

static void set_base(const struct urd_die *die, struct urd_type *t)
{
    struct urd_attr a;
    unsigned e = urd_debuginfo_die_attr(die, DW_AT_encoding, &a) ? (unsigned)a.u : DW_ATE_unsigned;
    t->kind = URD_TYPE_INT;
    switch (e) {
    case DW_ATE_boolean:
        t->kind = URD_TYPE_BOOL;
        break;
    case DW_ATE_float:
        t->kind = URD_TYPE_FLOAT;
        break;
    case DW_ATE_decimal_float:
        t->kind = URD_TYPE_FLOAT;
        t->is_decimal = true;
        break;
    case DW_ATE_complex_float:
        t->kind = URD_TYPE_COMPLEX;
        break;
    case DW_ATE_signed_char:
        t->kind = URD_TYPE_CHAR;
        t->is_signed = true;
        break;
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF:
        t->kind = URD_TYPE_CHAR;
        break;
    case DW_ATE_signed:
        t->is_signed = true;
        break;
    }
    if (t->name && !strcmp(t->name, "wchar_t"))
        t->kind = URD_TYPE_CHAR;
    if (t->size > 32)
        t->size = 0;
}

static const struct urd_type *make(struct urd_module *m, const struct urd_die *die);

const struct urd_type *urd_debuginfo_type_of(struct urd_module *m, uint64_t handle)
{
    uint64_t *slot = urd_map_get(&m->types, handle);
    if (slot)
        return (const struct urd_type *)(uintptr_t)*slot;
    struct urd_die die;
    if (m->type_depth >= MAX_TYPE_DEPTH ||
        !urd_debuginfo_die_at(urd_debuginfo_module_dwarf(m), handle, &die))
        return NULL;
    struct urd_attr a;
    bool elsewhere = urd_debuginfo_die_attr(&die, DW_AT_signature, &a) &&
                     a.class == URD_ATTR_REFERENCE && a.u != handle; /* in a type unit */
    m->type_depth++;
    const struct urd_type *t = elsewhere ? urd_debuginfo_type_of(m, a.u) : make(m, &die);
    m->type_depth--;
    return t;
}

const struct urd_type *urd_debuginfo_die_type(struct urd_module *m, const struct urd_die *die)
{
    struct urd_attr a;
    return urd_debuginfo_die_attr_inherited(die, DW_AT_type, &a) && a.class == URD_ATTR_REFERENCE
               ? urd_debuginfo_type_of(m, a.u)
               : NULL;
}

static bool is_fortran(const struct urd_unit *u)
{
    return u->language == DW_LANG_Fortran77 || u->language == DW_LANG_Fortran90 ||
           u->language == DW_LANG_Fortran95 || u->language == DW_LANG_Fortran03 ||
           u->language == DW_LANG_Fortran08;
}

/** How many elements a dimension with this upper bound has. */
static uint64_t count_up_to(const struct urd_die *dim, uint64_t upper)
{
    struct urd_attr at;
    int64_t lower = is_fortran(dim->unit);
    if (urd_debuginfo_die_attr(dim, DW_AT_lower_bound, &at) && at.class == URD_ATTR_CONSTANT)
        lower = at.s;
    int64_t n = (int64_t)upper - lower + 1;
    return n > 0 ? (uint64_t)n : 0;
}

/** The dimensions of an array from the last to the first; t becomes the outermost. */
static void set_array(struct urd_module *m, const struct urd_die *die, struct urd_type *t)
{
    struct urd_die dims[32], child;
    int n = 0;
    for (bool more = urd_debuginfo_die_child(die, &child); more && n < 32;
         more = urd_debuginfo_die_sibling(&child, &child))
        if (child.abbrev->tag == DW_TAG_subrange_type ||
            child.abbrev->tag == DW_TAG_enumeration_type ||
            child.abbrev->tag == DW_TAG_generic_subrange)
            dims[n++] = child;
    const struct urd_type *element = urd_debuginfo_die_type(m, die);
    bool vector = urd_debuginfo_die_flag(die, DW_AT_GNU_vector);
    for (int i = n ? n - 1 : 0; i >= 0; i--) {
        struct urd_type *a = i ? urd_arena_alloc(&m->arena, sizeof *a) : t;
        struct urd_attr at;
        a->kind = URD_TYPE_ARRAY;
        a->module = m;
        a->target = element;
        a->is_vector = vector;
        /* the element type of Fortran's x(n,m) has its first subscript */
        const struct urd_die *dim = &dims[n && is_fortran(die->unit) ? n - 1 - i : i];
        a->die = n ? urd_debuginfo_die_handle(dim) : t->die;
        if (!n) {
            a->unknown_count = true;
        } else if (urd_debuginfo_die_attr(dim, DW_AT_count, &at)) {
            a->dynamic = at.class != URD_ATTR_CONSTANT;
            a->count = a->dynamic ? 0 : at.u;
        } else if (urd_debuginfo_die_attr(dim, DW_AT_upper_bound, &at)) {
            a->dynamic = at.class != URD_ATTR_CONSTANT;
            uint64_t upper = at.form == DW_FORM_data8 ? at.u : (uint64_t)at.s;
            if (at.form == DW_FORM_data1 || at.form == DW_FORM_data2 || at.form == DW_FORM_data4)
                upper = at.u;
            a->count = a->dynamic ? 0 : count_up_to(dim, upper);
        } else {
            a->unknown_count = true;
        }
        uint64_t size = element ? element->size : 1;
        if (a->count && size > UINT64_MAX / a->count / 2)
            a->count = 0;
        a->size = a->count * size;
        if (element && element->kind == URD_TYPE_ARRAY && element->dynamic)
            a->dynamic = true;
        element = a;
    }
}

static const struct urd_type *make(struct urd_module *m, const struct urd_die *die)
{
    struct urd_type *t = urd_arena_alloc(&m->arena, sizeof *t);
    struct urd_attr a;
    t->die = urd_debuginfo_die_handle(die);
    t->module = m;
    *urd_map_put(&m->types, t->die) = (uintptr_t)t;
    t->name = urd_debuginfo_die_name(die);
    if (urd_debuginfo_die_attr(die, DW_AT_byte_size, &a) && a.class == URD_ATTR_CONSTANT)
        t->size = a.u;
    t->declaration = urd_debuginfo_die_flag(die, DW_AT_declaration);
    switch (die->abbrev->tag) {
    case DW_TAG_base_type:
        set_base(die, t);
        break;
    case DW_TAG_unspecified_type:
        t->kind = URD_TYPE_VOID;
        break;
    case DW_TAG_pointer_type:
        t->kind = URD_TYPE_POINTER;
        break;
    case DW_TAG_rvalue_reference_type:
        t->is_rvalue = true; /* fall through */
    case DW_TAG_reference_type:
        t->kind = URD_TYPE_REFERENCE;
        break;
    case DW_TAG_ptr_to_member_type:
        t->kind = URD_TYPE_MEMBER_POINTER;
        break;
    case DW_TAG_array_type:
        set_array(m, die, t);
        return t;
    case DW_TAG_class_type:
    case DW_TAG_interface_type:
        t->is_class = true; /* fall through */
    case DW_TAG_structure_type:
        t->kind = URD_TYPE_STRUCT;
        break;
    case DW_TAG_union_type:
        t->kind = URD_TYPE_UNION;
        break;
    case DW_TAG_enumeration_type:
        t->kind = URD_TYPE_ENUM;
        t->scoped = urd_debuginfo_die_flag(die, DW_AT_enum_class);
        break;
    case DW_TAG_typedef:
        t->kind = URD_TYPE_TYPEDEF;
        break;
    case DW_TAG_const_type:
        t->is_const = true;
        t->kind = URD_TYPE_QUALIFIED;
        break;
    case DW_TAG_volatile_type:
        t->is_volatile = true;
        t->kind = URD_TYPE_QUALIFIED;
        break;
    case DW_TAG_restrict_type:
    case DW_TAG_atomic_type:
    case DW_TAG_immutable_type:
    case DW_TAG_subrange_type:
        t->kind = URD_TYPE_QUALIFIED;
        break;
    case DW_TAG_subroutine_type:
    case DW_TAG_subprogram:
        t->kind = URD_TYPE_FUNCTION;
        break;
    default:
        t->kind = URD_TYPE_VOID;
        return t;
    }
    t->target = urd_debuginfo_die_type(m, die);
    if (t->kind == URD_TYPE_POINTER || t->kind == URD_TYPE_REFERENCE)
        t->size = 8;
    else if (t->kind == URD_TYPE_MEMBER_POINTER)
        t->size =
            t->target && urd_debuginfo_type_strip(t->target)->kind == URD_TYPE_FUNCTION ? 16 : 8;
    else if (t->kind == URD_TYPE_TYPEDEF || t->kind == URD_TYPE_QUALIFIED)
        t->size = t->target ? t->target->size : 1;
    else if (t->kind == URD_TYPE_FUNCTION)
        t->size = 1;
    else if (t->kind == URD_TYPE_ENUM) {
        if (!t->size && t->target)
            t->size = t->target->size;
        if (t->target)
            t->is_signed = urd_debuginfo_type_strip(t->target)->is_signed;
        size_t n;
        const struct urd_enumerator *e = t->target ? NULL : urd_debuginfo_type_enumerators(t, &n);
        for (size_t i = 0; e && i < n; i++)
            t->is_signed |= e[i].value < 0;
    }
    return t;
}

/* ---- parts ---- */

struct list {
    size_t count;
    void *items;
};

static struct list *known(struct urd_module *m, uint64_t handle)
{
    uint64_t *slot = urd_map_get(&m->members, handle);
    return slot ? (struct list *)(uintptr_t)*slot : NULL;
}

static struct list *keep(struct urd_module *m, uint64_t handle, void *items, size_t n, size_t size)
{
    struct list *l = urd_arena_alloc(&m->arena, sizeof *l);
    l->count = n;
    l->items = urd_arena_alloc(&m->arena, n * size + 1);
    if (n)
        memcpy(l->items, items, n * size);
    free(items);
    *urd_map_put(&m->members, handle) = (uintptr_t)l;
    return l;
}

/** Where a member lies; bit fields by DWARF 4's data_bit_offset or DWARF 2's bit_offset. */
static void place_member(struct urd_module *m, const struct urd_die *die, struct urd_member *r)
{
    struct urd_attr a;
    if (urd_debuginfo_die_attr(die, DW_AT_data_member_location, &a)) {
        if (a.class == URD_ATTR_CONSTANT) {
            r->offset = a.u;
        } else if (a.class == URD_ATTR_BLOCK) {
            uint64_t zero = 0;
            struct urd_frame none = {.no_registers = true};
            struct urd_location_context x = {m, die->unit, &none, 0, 0, &zero, false};
            if (!urd_debuginfo_location_number(&x, a.block, &r->offset)) {
                r->offset = 0;
                r->is_virtual_base = true;
            }
        }
    }
    if (!urd_debuginfo_die_attr(die, DW_AT_bit_size, &a) || a.u > 128)
        return;
    r->bit_size = (unsigned)a.u;
    uint64_t storage = r->type ? r->type->size : 0, bits = 0;
    if (urd_debuginfo_die_attr(die, DW_AT_byte_size, &a))
        storage = a.u;
    if (!storage || storage > 16)
        storage = 4;
    if (urd_debuginfo_die_attr(die, DW_AT_data_bit_offset, &a)) {
        bits = a.u;
        r->offset += bits / 8 / storage * storage;
        r->bit_offset = (unsigned)(bits - bits / 8 / storage * storage * 8);
    } else if (urd_debuginfo_die_attr(die, DW_AT_bit_offset, &a)) {
        /* counted from the most significant bit of the storage unit */
        int64_t from_low = (int64_t)(storage * 8) - (int64_t)r->bit_size - a.s;
        if (from_low < 0 || from_low > 127)
            from_low = 0;
        r->bit_offset = (unsigned)from_low;
    }
}

struct member_list {
    struct urd_member *items;
    size_t n, cap;
};

static void add_member(struct urd_module *m, const struct urd_die *die,
                       const struct urd_variant *variant, struct member_list *to)
{
    unsigned tag = die->abbrev->tag;
    if ((tag != DW_TAG_member && tag != DW_TAG_inheritance) ||
        urd_debuginfo_die_flag(die, DW_AT_external) ||
        urd_debuginfo_die_flag(die, DW_AT_declaration))
        return;
    struct urd_member r = {.name = urd_debuginfo_die_name(die),
                           .type = urd_debuginfo_die_type(m, die),
                           .is_base = tag == DW_TAG_inheritance,
                           .die = urd_debuginfo_die_handle(die),
                           .artificial = urd_debuginfo_die_flag(die, DW_AT_artificial)};
    struct urd_attr a;
    if (r.is_base && urd_debuginfo_die_attr(die, DW_AT_virtuality, &a) && a.u)
        r.is_virtual_base = true;
    if (variant)
        r.variant = *variant;
    place_member(m, die, &r);
    URD_PUSH(to->items, to->n, to->cap) = r;
}

/** The members of a variant part, whose discriminant is a member of its own. */
static void add_variants(struct urd_module *m, const struct urd_die *part, struct member_list *to)
{
    struct urd_variant v = {.part = urd_debuginfo_die_handle(part)};
    struct urd_attr a;
    struct urd_die discriminant, child, member;
    if (urd_debuginfo_die_attr(part, DW_AT_discr, &a) && a.class == URD_ATTR_REFERENCE) {
        struct urd_member d = {0};
        v.unclear = !urd_debuginfo_die_at(&m->dwarf, a.u, &discriminant);
        if (!v.unclear) {
            d.type = urd_debuginfo_die_type(m, &discriminant);
            place_member(m, &discriminant, &d);
        }
        v.type = d.type;
        v.offset = d.offset;
        v.unclear |= !d.type || d.bit_size || d.type->size > 8;
    }
    for (bool more = urd_debuginfo_die_child(part, &child); more;
         more = urd_debuginfo_die_sibling(&child, &child)) {
        if (child.abbrev->tag != DW_TAG_variant)
            continue;
        struct urd_variant one = v;
        one.otherwise = !urd_debuginfo_die_attr(&child, DW_AT_discr_value, &a);
        bool is_signed = v.type && urd_debuginfo_type_strip(v.type)->is_signed;
        one.value = one.otherwise ? 0 : is_signed ? (uint64_t)a.s : a.u;
        one.unclear |= (!one.otherwise && a.class != URD_ATTR_CONSTANT) ||
                       urd_debuginfo_die_attr(&child, DW_AT_discr_list, &a);
        for (bool next = urd_debuginfo_die_child(&child, &member); next;
             next = urd_debuginfo_die_sibling(&member, &member))
            add_member(m, &member, &one, to);
    }
}

const struct urd_member *urd_debuginfo_type_members(const struct urd_type *type, size_t *ret_count)
{
    const struct urd_type *t = urd_debuginfo_type_strip(type);
    *ret_count = 0;
    if ((t->kind != URD_TYPE_STRUCT && t->kind != URD_TYPE_UNION) || !t->die)
        return NULL;
    struct urd_module *m = t->module;
    struct list *l = known(m, t->die);
    struct urd_die die, child;
    if (!l && urd_debuginfo_die_at(&m->dwarf, t->die, &die)) {
        struct member_list list = {0};
        for (bool more = urd_debuginfo_die_child(&die, &child); more;
             more = urd_debuginfo_die_sibling(&child, &child)) {
            if (child.abbrev->tag == DW_TAG_variant_part)
                add_variants(m, &child, &list);
            else
                add_member(m, &child, NULL, &list);
        }
        l = keep(m, t->die, list.items, list.n, sizeof *list.items);
    }
    *ret_count = l ? l->count : 0;
    return l ? l->items : NULL;
}

const struct urd_enumerator *urd_debuginfo_type_enumerators(const struct urd_type *t,
                                                            size_t *ret_count)
{
    *ret_count = 0;
    for (int i = 0; i < 32 && t && (t->kind == URD_TYPE_TYPEDEF || t->kind == URD_TYPE_QUALIFIED);
         i++)
        t = t->target;
    if (!t || t->kind != URD_TYPE_ENUM || !t->die)
        return NULL;
    struct urd_module *m = t->module;
    struct list *l = known(m, t->die);
    struct urd_die die, child;
    if (!l && urd_debuginfo_die_at(&m->dwarf, t->die, &die)) {
        struct urd_enumerator *list = NULL;
        size_t n = 0, cap = 0;
        for (bool more = urd_debuginfo_die_child(&die, &child); more;
             more = urd_debuginfo_die_sibling(&child, &child)) {
            struct urd_attr a;
            if (child.abbrev->tag != DW_TAG_enumerator ||
                !urd_debuginfo_die_attr(&child, DW_AT_const_value, &a))
                continue;
            bool narrow =
                a.form == DW_FORM_data1 || a.form == DW_FORM_data2 || a.form == DW_FORM_data4;
            URD_PUSH(list, n, cap) = (struct urd_enumerator){urd_debuginfo_die_name(&child),
                                                             narrow ? (int64_t)a.u : a.s};
        }
        l = keep(m, t->die, list, n, sizeof *list);
    }
    *ret_count = l ? l->count : 0;
    return l ? l->items : NULL;
}

const struct urd_type *const *urd_debuginfo_type_parameters(const struct urd_type *type,
                                                            size_t *ret_count)
{
    const struct urd_type *t = urd_debuginfo_type_strip(type);
    *ret_count = 0;
    if (t->kind != URD_TYPE_FUNCTION || !t->die)
        return NULL;
    struct urd_module *m = t->module;
    struct list *l = known(m, t->die);
    struct urd_die die, child;
    if (!l && urd_debuginfo_die_at(&m->dwarf, t->die, &die)) {
        const struct urd_type **list = NULL;
        size_t n = 0, cap = 0;
        for (bool more = urd_debuginfo_die_child(&die, &child); more;
             more = urd_debuginfo_die_sibling(&child, &child))
            if (child.abbrev->tag == DW_TAG_formal_parameter)
                URD_PUSH(list, n, cap) = urd_debuginfo_die_type(m, &child);
        l = keep(m, t->die, list, n, sizeof *list);
    }
    *ret_count = l ? l->count : 0;
    return l ? l->items : NULL;
}

/* ---- made-up types ---- */

static struct urd_type *derived(struct urd_module *m, const struct urd_type *target, uint64_t count,
                                bool *made)
{
    static __thread struct urd_module *nowhere; /* types of types without a module; never freed */
    if (!m && !nowhere)
        nowhere = urd_xcalloc(1, sizeof *nowhere);
    m = m ? m : nowhere;
    uint64_t key = (uintptr_t)target * 0x9e3779b97f4a7c15ull ^ (count + 1) * 0xc2b2ae3d27d4eb4full;
    for (;; key++) {
        uint64_t *slot = urd_map_put(&m->pointers, key);
        struct urd_type *t = (struct urd_type *)(uintptr_t)*slot;
        if (!t) {
            t = urd_arena_alloc(&m->arena, sizeof *t);
            t->module = m;
            t->target = target;
            t->count = count;
            *slot = (uintptr_t)t;
            *made = true;
            return t;
        }
        if (t->target == target && t->count == count) {
            *made = false;
            return t;
        }
    }
}

const struct urd_type *urd_debuginfo_type_pointer_to(struct urd_module *m,
                                                     const struct urd_type *target)
{
    bool made;
    struct urd_type *t =
        derived(target && target->module ? target->module : m, target, UINT64_MAX - 1, &made);
    t->kind = URD_TYPE_POINTER;
    t->size = 8;
    return t;
}

const struct urd_type *urd_debuginfo_type_array_of(struct urd_module *m,
                                                   const struct urd_type *element, uint64_t count)
{
    bool made;
    struct urd_type *t =
        derived(element && element->module ? element->module : m, element, count, &made);
    uint64_t size = element ? element->size : 1;
    t->kind = URD_TYPE_ARRAY;
    t->size = size && count > UINT64_MAX / 2 / size ? 0 : count * size;
    return t;
}

const struct urd_type *urd_debuginfo_type_resolve(struct urd_location_context *x,
                                                  const struct urd_type *t)
{
    const struct urd_type *a = urd_debuginfo_type_strip(t);
    if (a->kind != URD_TYPE_ARRAY || !a->dynamic || !a->die)
        return t;
    const struct urd_type *element = urd_debuginfo_type_resolve(x, a->target);
    uint64_t count = a->count, bound = 0;
    struct urd_die die;
    struct urd_attr at;
    struct urd_location_context y = *x;
    y.unit = urd_debuginfo_unit_of(&x->m->dwarf, a->die);
    if (!count && y.unit && urd_debuginfo_die_at(&x->m->dwarf, a->die, &die)) {
        bool is_count = urd_debuginfo_die_attr(&die, DW_AT_count, &at);
        bool ok = is_count || urd_debuginfo_die_attr(&die, DW_AT_upper_bound, &at);
        if (ok && at.class == URD_ATTR_REFERENCE) {
            const struct urd_variable *v = urd_debuginfo_variable_of(x->m, at.u);
            struct urd_value value = {0};
            if (v)
                urd_debuginfo_variable_read(v, x->frame, x->bias, &value);
            urd_debuginfo_value_fetch(x->frame, &value);
            ok = urd_debuginfo_value_to_u64(&value, &bound);
            urd_debuginfo_value_deinit(&value);
        } else if (ok && at.class == URD_ATTR_CONSTANT) {
            bound = at.u;
        } else {
            struct urd_span e;
            ok = ok &&
                 urd_debuginfo_die_location(&die, at.name,
                                            x->frame->pc - x->frame->is_caller - x->bias, &e) &&
                 urd_debuginfo_location_number(&y, e, &bound);
        }
        count = !ok ? 0 : is_count ? bound : count_up_to(&die, bound);
        x->unknown_bound |= !ok;
        if (count > (1ull << 40))
            count = 0;
    }
    return x->unknown_bound ? t : urd_debuginfo_type_array_of(x->m, element, count);
}

/* ---- classes of types ---- */

const struct urd_type *urd_debuginfo_type_strip(const struct urd_type *t)
{
    for (int i = 0; i < 32 && t && (t->kind == URD_TYPE_TYPEDEF || t->kind == URD_TYPE_QUALIFIED);
         i++)
        t = t->target;
    if (!t || t->kind == URD_TYPE_TYPEDEF || t->kind == URD_TYPE_QUALIFIED)
        return &void_type;
    if (t->declaration && t->name && t->module &&
        (t->kind == URD_TYPE_STRUCT || t->kind == URD_TYPE_UNION || t->kind == URD_TYPE_ENUM)) {
        const char *q = urd_debuginfo_type_qualified(t);
        const struct urd_type *full = urd_debuginfo_type_named(t->module, q ? q : t->name);
        if (full && full->kind == t->kind && !full->declaration)
            return full;
    }
    return t;
}

bool urd_debuginfo_type_is_integer(const struct urd_type *t)
{
    t = urd_debuginfo_type_strip(t);
    return t->kind == URD_TYPE_INT || t->kind == URD_TYPE_CHAR || t->kind == URD_TYPE_BOOL ||
           t->kind == URD_TYPE_ENUM;
}

bool urd_debuginfo_type_is_scalar(const struct urd_type *t)
{
    t = urd_debuginfo_type_strip(t);
    return urd_debuginfo_type_is_integer(t) || t->kind == URD_TYPE_FLOAT ||
           t->kind == URD_TYPE_POINTER || t->kind == URD_TYPE_MEMBER_POINTER;
}

bool urd_debuginfo_type_is_aggregate(const struct urd_type *t)
{
    t = urd_debuginfo_type_strip(t);
    return t->kind == URD_TYPE_STRUCT || t->kind == URD_TYPE_UNION || t->kind == URD_TYPE_ARRAY;
}
