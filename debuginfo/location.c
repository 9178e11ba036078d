/*
 * Location expressions: DWARF 5, 2.5 and 2.6, with GCC's DWARF 4 spellings of the same.
 *
 * The stack holds 64-bit numbers with an optional base type (the typed operations of DWARF 5 are
 * how optimised floating-point variables are described). Long double on the stack is not done.
 */
#include "debuginfo/private.h"
#include "debuginfo/cfi.h"
#include "debuginfo/entry_value.h"
#include <stdio.h>

#define STACK       64
#define MAX_STEPS   10000
#define MAX_NESTING 8

struct slot {
    uint64_t v;
    const struct urd_type *type; /* NULL: generic */
};

enum where { IN_MEMORY, IN_REGISTER, AS_VALUE, AS_BYTES, NOWHERE };

struct machine {
    struct urd_location_context *x;
    struct slot stack[STACK];
    int depth, steps, nesting;
    enum where where;
    unsigned reg;
    struct urd_span bytes;
    enum urd_value_status status;
    char reason[96];
    struct urd_value *value; /* that pieces go to, or NULL */
    uint64_t piece_bits;
    bool pieces;
};

static bool stop(struct machine *s, enum urd_value_status status, const char *reason)
{
    if (s->status == URD_VALUE_OK) {
        s->status = status;
        snprintf(s->reason, sizeof s->reason, "%s", reason);
    }
    return false;
}

static bool push_typed(struct machine *s, uint64_t v, const struct urd_type *type)
{
    if (s->depth == STACK)
        return stop(s, URD_VALUE_UNREADABLE, "location expression too deep");
    s->stack[s->depth++] = (struct slot){v, type};
    return true;
}

static bool push(struct machine *s, uint64_t v)
{
    return push_typed(s, v, NULL);
}

static struct slot pop(struct machine *s)
{
    if (!s->depth) {
        stop(s, URD_VALUE_UNREADABLE, "damaged location expression");
        return (struct slot){0};
    }
    return s->stack[--s->depth];
}

static bool read_register(struct machine *s, unsigned reg, uint64_t *ret)
{
    const struct urd_frame *f = s->x->frame;
    char text[64];
    bool ok = false;
    *ret = 0;
    if (reg >= URD_DW_XMM0 && reg <= 48)
        ok = f->read_vector && f->read_vector(f->data, reg, ret, 8);
    else
        ok = f->read_register && !f->no_registers && f->read_register(f->data, reg, ret);
    if (ok)
        return true;
    snprintf(text, sizeof text,
             f->no_registers ? "it depends on the registers of a frame"
                             : "register %u is not known in this frame",
             reg);
    return stop(s, URD_VALUE_NOT_RECORDED, text);
}

static bool read_memory(struct machine *s, uint64_t address, void *buf, size_t size)
{
    const struct urd_frame *f = s->x->frame;
    char text[64];
    if (f->read_memory && f->read_memory(f->data, address, buf, size))
        return true;
    snprintf(text, sizeof text, "cannot read memory at 0x%lx", address);
    return stop(s, URD_VALUE_UNREADABLE, text);
}

static bool evaluate(struct machine *s, struct urd_span e);

/** The number that another expression gives, on a stack of its own. */
static bool sub_number(struct machine *s, struct urd_span e, uint64_t *ret)
{
    if (s->nesting >= MAX_NESTING)
        return stop(s, URD_VALUE_UNREADABLE, "location expression too deep");
    struct machine *t = urd_xcalloc(1, sizeof *t);
    t->x = s->x;
    t->nesting = s->nesting + 1;
    bool ok = evaluate(t, e);
    if (ok && t->where == IN_REGISTER)
        ok = read_register(t, t->reg, ret);
    else if (ok && t->depth)
        *ret = t->stack[t->depth - 1].v;
    else if (ok)
        ok = stop(t, URD_VALUE_UNREADABLE, "damaged location expression");
    if (!ok)
        stop(s, t->status, t->reason);
    free(t);
    return ok;
}

static bool frame_base(struct machine *s, uint64_t *ret)
{
    struct urd_die die;
    struct urd_span e;
    uint64_t pc = s->x->frame->pc - s->x->frame->is_caller - s->x->bias;
    if (!s->x->unit || !urd_debuginfo_die_at(s->x->unit->dwarf, s->x->function, &die) ||
        !urd_debuginfo_die_location(&die, DW_AT_frame_base, pc, &e))
        return stop(s, URD_VALUE_OPTIMISED_OUT, "its frame base is not described here");
    return sub_number(s, e, ret);
}

static const struct urd_type *base_type(struct machine *s, uint64_t offset)
{
    return s->x->unit && offset ? urd_debuginfo_type_of(s->x->m, (s->x->unit->offset + offset) |
                                                                     s->x->unit->tag_bits)
                                : NULL;
}

/* ---- arithmetic ---- */

static bool is_float(const struct urd_type *t)
{
    return t && t->kind == URD_TYPE_FLOAT && (t->size == 4 || t->size == 8);
}

static double to_double(struct slot a)
{
    float f;
    double d;
    uint32_t low = (uint32_t)a.v;
    memcpy(&f, &low, 4);
    memcpy(&d, &a.v, 8);
    return a.type->size == 4 ? (double)f : d;
}

static uint64_t from_double(double d, const struct urd_type *t)
{
    uint64_t v = 0;
    float f = (float)d;
    if (t->size == 4)
        memcpy(&v, &f, 4);
    else
        memcpy(&v, &d, 8);
    return v;
}

static uint64_t fit(uint64_t v, const struct urd_type *t)
{
    if (!t || t->size >= 8 || !t->size || is_float(t))
        return v;
    unsigned shift = 64 - (unsigned)t->size * 8;
    return t->is_signed ? (uint64_t)((int64_t)(v << shift) >> shift) : v << shift >> shift;
}

static bool binary(struct machine *s, unsigned op)
{
    struct slot b = pop(s), a = pop(s);
    int64_t x = (int64_t)a.v, y = (int64_t)b.v;
    bool less, equal;
    uint64_t v = 0;
    if (s->status)
        return false;
    if (is_float(a.type) && is_float(b.type)) {
        double p = to_double(a), q = to_double(b), r = 0;
        less = p < q;
        equal = p == q;
        r = op == DW_OP_plus ? p + q : op == DW_OP_minus ? p - q : op == DW_OP_mul ? p * q : p / q;
        v = from_double(r, a.type);
    } else {
        bool u = a.type && !a.type->is_signed;
        less = u ? a.v < b.v : x < y;
        equal = a.v == b.v;
        switch (op) {
        case DW_OP_and:
            v = a.v & b.v;
            break;
        case DW_OP_or:
            v = a.v | b.v;
            break;
        case DW_OP_xor:
            v = a.v ^ b.v;
            break;
        case DW_OP_plus:
            v = a.v + b.v;
            break;
        case DW_OP_minus:
            v = a.v - b.v;
            break;
        case DW_OP_mul:
            v = a.v * b.v;
            break;
        case DW_OP_shl:
            v = b.v < 64 ? a.v << b.v : 0;
            break;
        case DW_OP_shr:
            v = b.v < 64 ? fit(a.v, a.type && a.type->is_signed ? NULL : a.type) >> b.v : 0;
            break;
        case DW_OP_shra:
            v = (uint64_t)(x >> (b.v < 64 ? b.v : 63));
            break;
        case DW_OP_div:
        case DW_OP_mod:
            if (!b.v || (y == -1 && op == DW_OP_div && x == INT64_MIN))
                return stop(s, URD_VALUE_UNREADABLE, "division by zero in a location expression");
            if (op == DW_OP_div)
                v = u ? a.v / b.v : (uint64_t)(x / y);
            else
                v = a.type && a.type->is_signed && y != -1 ? (uint64_t)(x % y) : a.v % b.v;
            break;
        }
    }
    switch (op) {
    case DW_OP_eq:
        return push(s, equal);
    case DW_OP_ne:
        return push(s, !equal);
    case DW_OP_lt:
        return push(s, less);
    case DW_OP_le:
        return push(s, less || equal);
    case DW_OP_gt:
        return push(s, !less && !equal);
    case DW_OP_ge:
        return push(s, !less);
    }
    return push_typed(s, fit(v, a.type), a.type);
}

static bool convert(struct machine *s, const struct urd_type *to, bool reinterpret)
{
    struct slot a = pop(s);
    if (reinterpret)
        return push_typed(s, fit(a.v, to), to);
    if (is_float(a.type) && is_float(to))
        return push_typed(s, from_double(to_double(a), to), to);
    if (is_float(a.type)) {
        double d = to_double(a);
        bool in = d > -9.2e18 && d < 1.8e19;
        return push_typed(s, fit(!in ? 0 : d < 0 ? (uint64_t)(int64_t)d : (uint64_t)d, to), to);
    }
    if (is_float(to))
        return push_typed(
            s, from_double(a.type && a.type->is_signed ? (double)(int64_t)a.v : (double)a.v, to),
            to);
    return push_typed(s, fit(a.v, to), to);
}

/* ---- pieces ---- */

/** Copy bits from one place to another, low first. */
static void copy_bits(uint8_t *to, uint64_t to_bit, const uint8_t *from, uint64_t from_bit,
                      uint64_t n)
{
    for (uint64_t i = 0; i < n; i++, to_bit++, from_bit++) {
        uint8_t bit = from[from_bit / 8] >> (from_bit % 8) & 1;
        to[to_bit / 8] = (uint8_t)((to[to_bit / 8] & ~(1u << (to_bit % 8))) | bit << (to_bit % 8));
    }
}

/** The bytes of a piece, for pieces that are not whole bytes in memory. At most 64. */
static size_t piece_bytes(struct machine *s, size_t wanted, uint8_t bytes[64])
{
    uint64_t number = s->depth ? s->stack[s->depth - 1].v : 0;
    wanted = wanted < 64 ? wanted : 64;
    switch (s->where) {
    case IN_MEMORY:
        return s->depth && read_memory(s, number, bytes, wanted) ? wanted : 0;
    case IN_REGISTER:
        if (!read_register(s, s->reg, &number))
            return 0;
        memcpy(bytes, &number, 8);
        return 8;
    case AS_VALUE:
        memcpy(bytes, &number, 8);
        return 8;
    case AS_BYTES:
        wanted = s->bytes.size < 64 ? s->bytes.size : 64;
        memcpy(bytes, s->bytes.data, wanted);
        return wanted;
    case NOWHERE:
        break;
    }
    return 0;
}

/** DW_OP_bit_piece: fields of structs that live in several places. The bits are put together at
 *  once, so that the piece counts as computed. */
static void give_bits(struct machine *s, uint64_t bits, uint64_t skip)
{
    struct urd_value *v = s->value;
    uint8_t bytes[64] = {0};
    uint64_t at = s->piece_bits, end = at + bits;
    s->pieces = true;
    s->piece_bits = end;
    if (!v || v->n_pieces == URD_VALUE_PIECES || end < at || bits > 512 || skip > 512) {
        stop(s, URD_VALUE_UNREADABLE, "split over too many places");
        return;
    }
    bool gone = s->where == NOWHERE || (s->where == IN_MEMORY && !s->depth);
    uint64_t have = gone ? 0 : 8 * piece_bytes(s, (skip + bits + 7) / 8, bytes);
    uint8_t *to = v->heap ? v->heap : v->size <= URD_VALUE_SMALL ? v->small : NULL;
    if (to && skip < have && end <= v->size * 8)
        copy_bits(to, at, bytes, skip, bits < have - skip ? bits : have - skip);
    v->pieces[v->n_pieces++] =
        (struct urd_piece){.kind = gone ? URD_PIECE_OPTIMISED_OUT : URD_PIECE_COMPUTED,
                           .offset = at / 8,
                           .size = (end + 7) / 8 - at / 8};
    s->depth = 0;
    s->where = IN_MEMORY;
}

static void give_piece(struct machine *s, uint64_t size)
{
    struct urd_value *v = s->value;
    struct urd_piece p = {.offset = s->piece_bits / 8, .size = size};
    if (s->piece_bits % 8) {
        give_bits(s, size * 8, 0);
        return;
    }
    s->pieces = true;
    s->piece_bits += size * 8;
    if (!v || v->n_pieces == URD_VALUE_PIECES || size > UINT32_MAX) {
        stop(s, URD_VALUE_UNREADABLE, "split over too many places");
        return;
    }
    uint8_t bytes[64];
    switch (s->where) {
    case IN_MEMORY:
        p.kind = s->depth ? URD_PIECE_MEMORY : URD_PIECE_OPTIMISED_OUT;
        p.address = s->depth ? s->stack[s->depth - 1].v : 0;
        break;
    case IN_REGISTER:
        p.kind = URD_PIECE_REGISTER;
        p.reg = s->reg;
        break;
    case AS_VALUE:
    case AS_BYTES:
        p.kind = URD_PIECE_COMPUTED;
        break;
    case NOWHERE:
        p.kind = URD_PIECE_OPTIMISED_OUT;
        break;
    }
    uint8_t *to = v->heap ? v->heap : v->size <= URD_VALUE_SMALL ? v->small : NULL;
    if (p.kind == URD_PIECE_COMPUTED && to && p.offset < v->size) {
        const uint8_t *from = s->where == AS_BYTES ? s->bytes.data : bytes;
        size_t n = s->where == AS_BYTES ? s->bytes.size : piece_bytes(s, 8, bytes);
        uint64_t room = v->size - p.offset;
        n = n < size ? n : size;
        memcpy(to + p.offset, from, n < room ? n : room);
    }
    v->pieces[v->n_pieces++] = p;
    s->depth = 0;
    s->where = IN_MEMORY;
}

static bool tls_address(struct machine *s)
{
    uint64_t offset = pop(s).v, v;
    if (!urd_debuginfo_tls_address(s->x->m, s->x->bias, s->x->frame, offset, &v))
        return stop(s, URD_VALUE_NOT_RECORDED, "the address of thread-local storage is not known");
    return push(s, v);
}

static bool entry_value(struct machine *s, struct urd_span e)
{
    uint64_t v;
    if (s->nesting >= MAX_NESTING || !urd_debuginfo_entry_value(s->x, e, &v))
        return stop(s, URD_VALUE_OPTIMISED_OUT, "its value at the entry of the function is gone");
    return push(s, v);
}

static bool dereference(struct machine *s, unsigned size, const struct urd_type *type)
{
    uint64_t v = 0, a = pop(s).v;
    if (s->status || size > 8)
        return stop(s, URD_VALUE_UNREADABLE, "damaged location expression");
    return read_memory(s, a, &v, size) && push_typed(s, fit(v, type), type);
}

static bool const_type(struct machine *s, struct urd_cursor *c)
{
    const struct urd_type *t = base_type(s, urd_cursor_varint(c));
    uint64_t v = 0;
    unsigned n = urd_cursor_u8(c);
    const uint8_t *p = urd_cursor_bytes(c, n);
    if (!p || n > 8)
        return stop(s, URD_VALUE_UNREADABLE, "a constant of its location is too wide");
    memcpy(&v, p, n);
    return push_typed(s, fit(v, t), t);
}

static bool step(struct machine *s, struct urd_cursor *c, const uint8_t *start, unsigned op)
{
    struct urd_location_context *x = s->x;
    uint64_t v = 0, n;
    if (op >= DW_OP_lit0 && op <= DW_OP_lit31)
        return push(s, op - DW_OP_lit0);
    if ((op >= DW_OP_reg0 && op <= DW_OP_reg31) || op == DW_OP_regx) {
        s->reg = op == DW_OP_regx ? (unsigned)urd_cursor_varint(c) : op - DW_OP_reg0;
        s->where = IN_REGISTER;
        return true;
    }
    if ((op >= DW_OP_breg0 && op <= DW_OP_breg31) || op == DW_OP_bregx) {
        unsigned reg = op == DW_OP_bregx ? (unsigned)urd_cursor_varint(c) : op - DW_OP_breg0;
        n = (uint64_t)urd_debuginfo_read_sleb(c);
        return read_register(s, reg, &v) && push(s, v + n);
    }
    switch (op) {
    case DW_OP_addr:
        return push(s, urd_cursor_u64(c) + x->bias);
    case DW_OP_addrx:
    case DW_OP_GNU_addr_index:
    case DW_OP_constx:
    case DW_OP_GNU_const_index:
        if (!x->unit || !urd_debuginfo_unit_address(x->unit, urd_cursor_varint(c), &v))
            return stop(s, URD_VALUE_UNREADABLE, "damaged .debug_addr");
        return push(s, op == DW_OP_addrx || op == DW_OP_GNU_addr_index ? v + x->bias : v);
    case DW_OP_const1u:
        return push(s, urd_cursor_u8(c));
    case DW_OP_const1s:
        return push(s, (uint64_t)(int8_t)urd_cursor_u8(c));
    case DW_OP_const2u:
        return push(s, urd_debuginfo_read_sized(c, 2));
    case DW_OP_const2s:
        return push(s, (uint64_t)(int16_t)urd_debuginfo_read_sized(c, 2));
    case DW_OP_const4u:
        return push(s, urd_cursor_u32(c));
    case DW_OP_const4s:
        return push(s, (uint64_t)(int32_t)urd_cursor_u32(c));
    case DW_OP_const8u:
    case DW_OP_const8s:
        return push(s, urd_cursor_u64(c));
    case DW_OP_constu:
        return push(s, urd_cursor_varint(c));
    case DW_OP_consts:
        return push(s, (uint64_t)urd_debuginfo_read_sleb(c));
    case DW_OP_fbreg:
        n = (uint64_t)urd_debuginfo_read_sleb(c);
        return frame_base(s, &v) && push(s, v + n);
    case DW_OP_call_frame_cfa:
        if (x->frame->no_registers)
            return stop(s, URD_VALUE_NOT_RECORDED, "it depends on the registers of a frame");
        return urd_debuginfo_cfa(x->frame, &v)
                   ? push(s, v)
                   : stop(s, URD_VALUE_OPTIMISED_OUT, "no call frame information here");
    case DW_OP_dup:
        n = 0;
        goto pick;
    case DW_OP_over:
        n = 1;
        goto pick;
    case DW_OP_pick:
        n = urd_cursor_u8(c);
    pick:
        if (n >= (uint64_t)s->depth)
            return stop(s, URD_VALUE_UNREADABLE, "damaged location expression");
        return push_typed(s, s->stack[s->depth - 1 - n].v, s->stack[s->depth - 1 - n].type);
    case DW_OP_drop:
        pop(s);
        return !s->status;
    case DW_OP_swap: {
        struct slot b = pop(s), a = pop(s);
        return push_typed(s, b.v, b.type) && push_typed(s, a.v, a.type);
    }
    case DW_OP_rot: {
        struct slot a = pop(s), b = pop(s), d = pop(s);
        return push_typed(s, a.v, a.type) && push_typed(s, d.v, d.type) &&
               push_typed(s, b.v, b.type);
    }
    case DW_OP_deref:
        return dereference(s, 8, NULL);
    case DW_OP_deref_size:
        return dereference(s, urd_cursor_u8(c), NULL);
    case DW_OP_deref_type:
    case DW_OP_GNU_deref_type:
        n = urd_cursor_u8(c);
        return dereference(s, (unsigned)n, base_type(s, urd_cursor_varint(c)));
    case DW_OP_abs: {
        struct slot a = pop(s);
        return push_typed(s, (int64_t)a.v < 0 ? 0 - a.v : a.v, a.type);
    }
    case DW_OP_neg: {
        struct slot a = pop(s);
        v = is_float(a.type) ? from_double(-to_double(a), a.type) : fit(0 - a.v, a.type);
        return push_typed(s, v, a.type);
    }
    case DW_OP_not: {
        struct slot a = pop(s);
        return push_typed(s, fit(~a.v, a.type), a.type);
    }
    case DW_OP_plus_uconst: {
        struct slot a = pop(s);
        return push_typed(s, fit(a.v + urd_cursor_varint(c), a.type), a.type);
    }
    case DW_OP_and:
    case DW_OP_div:
    case DW_OP_minus:
    case DW_OP_mod:
    case DW_OP_mul:
    case DW_OP_or:
    case DW_OP_plus:
    case DW_OP_shl:
    case DW_OP_shr:
    case DW_OP_shra:
    case DW_OP_xor:
    case DW_OP_eq:
    case DW_OP_ge:
    case DW_OP_gt:
    case DW_OP_le:
    case DW_OP_lt:
    case DW_OP_ne:
        return binary(s, op);
    case DW_OP_skip:
    case DW_OP_bra: {
        int16_t by = (int16_t)urd_debuginfo_read_sized(c, 2);
        if (op == DW_OP_bra && !pop(s).v)
            return !s->status;
        if (by < start - c->at || by > c->end - c->at)
            return stop(s, URD_VALUE_UNREADABLE, "damaged location expression");
        c->at += by;
        return true;
    }
    case DW_OP_piece:
        give_piece(s, urd_cursor_varint(c));
        return !s->status;
    case DW_OP_bit_piece:
        n = urd_cursor_varint(c);
        v = urd_cursor_varint(c);
        if (n % 8 || v || s->piece_bits % 8)
            give_bits(s, n, v);
        else
            give_piece(s, n / 8);
        return !s->status;
    case DW_OP_nop:
        return true;
    case DW_OP_push_object_address:
        return x->object ? push(s, *x->object)
                         : stop(s, URD_VALUE_UNREADABLE, "the object's address is not known");
    case DW_OP_form_tls_address:
    case DW_OP_GNU_push_tls_address:
        return tls_address(s);
    case DW_OP_stack_value:
        s->where = AS_VALUE;
        return true;
    case DW_OP_implicit_value:
        n = urd_cursor_varint(c);
        s->bytes = (struct urd_span){urd_cursor_bytes(c, n), n};
        s->where = AS_BYTES;
        return c->ok;
    case DW_OP_implicit_pointer:
    case DW_OP_GNU_implicit_pointer:
        n = urd_debuginfo_read_sized(c, x->unit ? x->unit->offset_size : 4);
        v = (uint64_t)urd_debuginfo_read_sleb(c);
        if (s->value && x->unit && !s->pieces && s->value->size == 8) {
            s->value->points_to = n | (x->unit->tag_bits & ~URD_DIE_TYPES);
            s->value->points_offset = (int64_t)v;
            s->value->points_module = x->m;
        }
        if (c->at < c->end) { /* part of something larger */
            s->where = NOWHERE;
            return true;
        }
        return stop(s, URD_VALUE_OPTIMISED_OUT,
                    "synthetic pointer: to a variable that the compiler keeps in no memory");
    case DW_OP_entry_value:
    case DW_OP_GNU_entry_value: {
        n = urd_cursor_varint(c);
        const uint8_t *p = urd_cursor_bytes(c, n);
        return p && entry_value(s, (struct urd_span){p, n});
    }
    case DW_OP_GNU_parameter_ref:
        n = (x->unit->offset + urd_cursor_u32(c)) | x->unit->tag_bits;
        if (s->nesting >= MAX_NESTING || !urd_debuginfo_parameter_value(x, n, &v))
            return stop(s, URD_VALUE_OPTIMISED_OUT, "it is not passed, and its value is gone");
        return push(s, v);
    case DW_OP_const_type:
    case DW_OP_GNU_const_type:
        return const_type(s, c);
    case DW_OP_regval_type:
    case DW_OP_GNU_regval_type: {
        unsigned reg = (unsigned)urd_cursor_varint(c);
        const struct urd_type *t = base_type(s, urd_cursor_varint(c));
        return read_register(s, reg, &v) && push_typed(s, fit(v, t), t);
    }
    case DW_OP_convert:
    case DW_OP_GNU_convert:
        return convert(s, base_type(s, urd_cursor_varint(c)), false);
    case DW_OP_reinterpret:
    case DW_OP_GNU_reinterpret:
        return convert(s, base_type(s, urd_cursor_varint(c)), true);
    case DW_OP_GNU_uninit:
        return true;
    case DW_OP_GNU_variable_value:
        return stop(s, URD_VALUE_OPTIMISED_OUT, "the compiler describes it by another variable");
    }
    char text[64];
    snprintf(text, sizeof text, "location operation 0x%x is not supported", op);
    return stop(s, URD_VALUE_UNREADABLE, text);
}

static bool evaluate(struct machine *s, struct urd_span e)
{
    struct urd_cursor c = urd_cursor(e.data, e.size);
    if (s->x->object)
        push(s, *s->x->object);
    while (c.at < c.end) {
        if (++s->steps > MAX_STEPS)
            return stop(s, URD_VALUE_UNREADABLE, "location expression does not end");
        unsigned op = urd_cursor_u8(&c);
        if (!step(s, &c, e.data, op) || s->status)
            return stop(s, URD_VALUE_UNREADABLE, "damaged location expression");
        if (!c.ok)
            return stop(s, URD_VALUE_UNREADABLE, "damaged location expression");
    }
    return true;
}

bool urd_debuginfo_location_number(struct urd_location_context *x, struct urd_span expression,
                                   uint64_t *ret)
{
    struct machine s = {.x = x};
    return sub_number(&s, expression, ret);
}

void urd_debuginfo_location_value(struct urd_location_context *x, struct urd_span expression,
                                  struct urd_value *v)
{
    struct machine s = {.x = x, .value = v};
    if (!expression.size) {
        urd_debuginfo_value_fail(v, URD_VALUE_OPTIMISED_OUT, "optimised out");
        return;
    }
    if (v->size > URD_VALUE_SMALL && v->size <= URD_VALUE_MAX && !v->heap)
        v->heap = urd_xcalloc(1, v->size);
    if (!evaluate(&s, expression)) {
        v->n_pieces = 0;
        if (s.status != URD_VALUE_OPTIMISED_OUT)
            v->points_to = 0;
        urd_debuginfo_value_fail(v, s.status, "%s", s.reason);
        return;
    }
    if (!s.pieces)
        give_piece(&s, v->size);
    v->lvalue = true;
    v->lazy = true;
    if (v->n_pieces == 1 && v->pieces[0].kind == URD_PIECE_MEMORY)
        v->address = v->pieces[0].address;
    else if (v->n_pieces == 1 && v->pieces[0].kind == URD_PIECE_OPTIMISED_OUT)
        urd_debuginfo_value_fail(v, URD_VALUE_OPTIMISED_OUT, "optimised out");
}
