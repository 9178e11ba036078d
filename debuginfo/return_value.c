/* Return values: System V psABI for x86-64, 3.2.3. */
#include "debuginfo/private.h"
#include <string.h>

enum argument_class { NONE, INTEGER, SSE, X87, MEMORY };

const struct urd_type *urd_debuginfo_return_type(struct urd_module *m,
                                                 const struct urd_function *function)
{
    struct urd_die die;
    return function->die && urd_debuginfo_die_at(urd_debuginfo_module_dwarf(m), function->die, &die)
               ? urd_debuginfo_die_type(m, &die)
               : NULL;
}

const struct urd_type *urd_debuginfo_function_type(struct urd_module *m,
                                                   const struct urd_function *function)
{
    return function->die ? urd_debuginfo_type_of(m, function->die) : NULL;
}

static enum argument_class merge(enum argument_class a, enum argument_class b)
{
    if (a == b || b == NONE)
        return a;
    if (a == NONE)
        return b;
    if (a == MEMORY || b == MEMORY)
        return MEMORY;
    if (a == INTEGER || b == INTEGER)
        return INTEGER;
    return a == X87 || b == X87 ? MEMORY : SSE;
}

/** The classes of the two eightbytes of a type of at most 16 bytes. */
static void classify(const struct urd_type *type, uint64_t offset, enum argument_class c[2],
                     int depth)
{
    const struct urd_type *t = urd_debuginfo_type_strip(type);
    size_t n;
    uint64_t k = offset / 8;
    if (depth > 16 || offset >= 16)
        return;
    switch (t->kind) {
    case URD_TYPE_FLOAT:
        if (t->size == 16 && !t->is_decimal && t->name && !strcmp(t->name, "long double")) {
            c[0] = merge(c[0], X87);
            c[1] = merge(c[1], X87);
            return;
        }
        c[k] = merge(c[k], SSE);
        if (t->size == 16)
            c[1] = merge(c[1], SSE);
        return;
    case URD_TYPE_COMPLEX:
        c[k] = merge(c[k], t->size > 16 ? MEMORY : SSE);
        if (t->size == 16)
            c[1] = merge(c[1], SSE);
        return;
    case URD_TYPE_ARRAY:
        for (uint64_t i = 0; i < t->count && i < 16; i++)
            classify(t->target, offset + i * (t->target ? t->target->size : 1), c, depth + 1);
        if (t->is_vector)
            c[0] = SSE, c[1] = t->size > 8 ? SSE : NONE;
        return;
    case URD_TYPE_STRUCT:
    case URD_TYPE_UNION: {
        const struct urd_member *m = urd_debuginfo_type_members(t, &n);
        for (size_t i = 0; i < n; i++) {
            uint64_t size = m[i].type ? urd_debuginfo_type_strip(m[i].type)->size : 1;
            if (m[i].bit_size) {
                c[(offset + m[i].offset + m[i].bit_offset / 8) / 8 & 1] = INTEGER;
                continue;
            }
            uint64_t align = size >= 8 ? 8 : size ? size : 1;
            const struct urd_type *mt = urd_debuginfo_type_strip(m[i].type);
            if (urd_debuginfo_type_is_scalar(mt) && (offset + m[i].offset) % align) {
                c[0] = MEMORY; /* packed */
                return;
            }
            classify(m[i].type, offset + m[i].offset, c, depth + 1);
        }
        return;
    }
    case URD_TYPE_VOID:
        return;
    default:
        c[k] = merge(c[k], INTEGER);
        if (t->size > 8)
            c[1] = merge(c[1], INTEGER);
    }
}

/** A class with a destructor or copy constructor of its own is returned in memory. */
static bool non_trivial(const struct urd_type *t)
{
    struct urd_die die, child;
    if (t->kind != URD_TYPE_STRUCT || !t->die ||
        !urd_debuginfo_die_at(&t->module->dwarf, t->die, &die))
        return false;
    struct urd_attr a;
    if (urd_debuginfo_die_attr(&die, DW_AT_calling_convention, &a))
        return a.u == DW_CC_pass_by_reference;
    for (bool more = urd_debuginfo_die_child(&die, &child); more;
         more = urd_debuginfo_die_sibling(&child, &child)) {
        const char *name =
            child.abbrev->tag == DW_TAG_subprogram ? urd_debuginfo_die_name(&child) : NULL;
        if (name && name[0] == '~' && !urd_debuginfo_die_flag(&child, DW_AT_defaulted))
            return true;
    }
    return false;
}

void urd_debuginfo_return_value(const struct urd_type *type, const struct urd_frame *frame,
                                struct urd_value *ret)
{
    const struct urd_type *t = urd_debuginfo_type_strip(type);
    memset(ret, 0, sizeof *ret);
    ret->type = type;
    ret->size = t->size;
    if (!type || t->kind == URD_TYPE_VOID)
        return;
    enum argument_class c[2] = {NONE, NONE};
    if (t->size > 16 || non_trivial(t))
        c[0] = MEMORY;
    else
        classify(t, 0, c, 0);
    uint64_t address;
    if (t->kind == URD_TYPE_COMPLEX && t->size == 32)
        c[0] = X87;
    if (c[0] == MEMORY || c[1] == MEMORY) {
        if (frame->read_register && frame->read_register(frame->data, URD_DW_RAX, &address))
            urd_debuginfo_value_at(type, address, ret);
        else
            urd_debuginfo_value_fail(ret, URD_VALUE_NOT_RECORDED, "rax is not known in this frame");
        return;
    }
    ret->lvalue = ret->lazy = true;
    unsigned integers = 0, vectors = 0;
    for (unsigned i = 0; i < 2 && i * 8 < t->size; i++) {
        struct urd_piece p = {.kind = URD_PIECE_REGISTER,
                              .offset = i * 8,
                              .size = t->size - i * 8 < 8 ? t->size - i * 8 : 8};
        if (c[i] == X87) {
            p.reg = URD_DW_ST0;
            p.size = 10;
            ret->pieces[ret->n_pieces++] = p;
            break;
        }
        if (c[i] == SSE && i == 0 && c[1] == SSE && (t->is_vector || t->kind == URD_TYPE_FLOAT))
            p.size = t->size; /* one vector register */
        p.reg = c[i] == SSE ? URD_DW_XMM0 + vectors++ : integers++ ? URD_DW_RDX : URD_DW_RAX;
        ret->pieces[ret->n_pieces++] = p;
        if (p.size > 8)
            break;
    }
}
