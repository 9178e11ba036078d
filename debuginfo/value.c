#include "debuginfo/private.h"
#include "debuginfo/value.h"
#include "base/buf.h"
#include <stdarg.h>
#include <stdio.h>

void urd_debuginfo_value_deinit(struct urd_value *v)
{
    free(v->heap);
    v->heap = NULL;
}

void urd_debuginfo_value_copy(const struct urd_value *v, struct urd_value *ret)
{
    *ret = *v;
    if (v->heap) {
        ret->heap = urd_xrealloc(NULL, v->size);
        memcpy(ret->heap, v->heap, v->size);
    }
}

bool urd_debuginfo_value_in_memory(const struct urd_value *v)
{
    for (int i = 0; i < v->n_pieces; i++)
        if (v->pieces[i].kind != URD_PIECE_MEMORY)
            return false;
    return v->lvalue && v->n_pieces > 0;
}

void urd_debuginfo_value_fail(struct urd_value *v, enum urd_value_status status, const char *format,
                              ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(v->reason, sizeof v->reason, format, ap);
    va_end(ap);
    v->status = status;
    v->lazy = false;
}

void urd_debuginfo_value_at(const struct urd_type *type, uint64_t address, struct urd_value *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->type = type;
    ret->size = type ? type->size : 1;
    const struct urd_type *t = urd_debuginfo_type_strip(type);
    if (t != type && t->kind != URD_TYPE_VOID)
        ret->size = t->size;
    ret->lvalue = ret->lazy = true;
    ret->address = address;
    ret->n_pieces = 1;
    ret->pieces[0] = (struct urd_piece){URD_PIECE_MEMORY, 0, address, 0, ret->size};
}

void urd_debuginfo_value_integer(const struct urd_type *type, uint64_t n, struct urd_value *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->type = type;
    ret->size = urd_debuginfo_type_strip(type)->size;
    if (ret->size > 16)
        ret->size = 8;
    bool negative = urd_debuginfo_type_strip(type)->is_signed && (int64_t)n < 0;
    if (ret->size > 8 && negative)
        memset(ret->small + 8, 0xff, 8);
    memcpy(ret->small, &n, 8);
}

static bool fetch_register(const struct urd_frame *f, unsigned reg, uint8_t *to, uint64_t size)
{
    uint64_t v;
    bool vector = (reg >= URD_DW_XMM0 && reg < 41) || (reg >= 67 && reg <= 82);
    if (f->no_registers)
        return false;
    if (vector)
        return f->read_vector && size <= 64 && f->read_vector(f->data, reg, to, size);
    if (size > 8 || !f->read_register || !f->read_register(f->data, reg, &v))
        return false;
    memcpy(to, &v, size);
    return true;
}

/** bit_offset and bit_size of the bytes to the front, extended by sign. */
static void extract_bits(struct urd_value *v, uint8_t *bytes)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    unsigned __int128 n = 0, mask;
    uint64_t size = v->size < 16 ? v->size : 16;
    if (v->bit_size >= 128)
        return;
    memcpy(&n, bytes, size);
    n >>= v->bit_offset & 127;
    mask = ((unsigned __int128)1 << v->bit_size) - 1;
    n &= mask;
    if (t->is_signed && v->bit_size && (n >> (v->bit_size - 1) & 1))
        n |= ~mask;
    memcpy(bytes, &n, size);
    if (t->size && t->size <= size)
        v->size = t->size;
}

void urd_debuginfo_value_fetch(const struct urd_frame *frame, struct urd_value *v)
{
    if (!v->lazy)
        return;
    v->lazy = false;
    if (v->status != URD_VALUE_OK)
        return;
    if (v->size > URD_VALUE_MAX) {
        urd_debuginfo_value_fail(v, URD_VALUE_TOO_LARGE, "%lu bytes are too many to show", v->size);
        return;
    }
    if (v->size > URD_VALUE_SMALL && !v->heap)
        v->heap = urd_xcalloc(1, v->size);
    uint8_t *bytes = v->heap ? v->heap : v->small;
    int gone = 0;
    for (int i = 0; i < v->n_pieces; i++) {
        struct urd_piece *p = &v->pieces[i];
        if (p->offset >= v->size)
            continue;
        uint64_t size = p->size < v->size - p->offset ? p->size : v->size - p->offset;
        if (p->kind == URD_PIECE_MEMORY &&
            !(frame->read_memory &&
              frame->read_memory(frame->data, p->address, bytes + p->offset, size))) {
            v->address = p->address;
            urd_debuginfo_value_fail(v, URD_VALUE_UNREADABLE, "cannot read memory at 0x%lx",
                                     p->address);
            return;
        }
        if (p->kind == URD_PIECE_REGISTER &&
            !fetch_register(frame, p->reg, bytes + p->offset, size)) {
            urd_debuginfo_value_fail(v, URD_VALUE_NOT_RECORDED,
                                     "register %u is not known in this frame", p->reg);
            return;
        }
        gone += p->kind == URD_PIECE_OPTIMISED_OUT;
    }
    if (gone && gone == v->n_pieces)
        urd_debuginfo_value_fail(v, URD_VALUE_OPTIMISED_OUT, "optimised out");
    else if (gone && !urd_debuginfo_type_is_aggregate(v->type))
        urd_debuginfo_value_fail(v, URD_VALUE_OPTIMISED_OUT, "partly optimised out");
    else if (v->bit_size)
        extract_bits(v, bytes);
}

/** The pieces of [offset, offset + size) of v. */
static void part_pieces(const struct urd_value *v, uint64_t offset, struct urd_value *ret)
{
    ret->n_pieces = 0;
    for (int i = 0; i < v->n_pieces; i++) {
        struct urd_piece p = v->pieces[i];
        uint64_t low = p.offset > offset ? p.offset : offset;
        uint64_t high = p.offset + p.size, end = offset + ret->size;
        if (high > end)
            high = end;
        if (low >= high)
            continue;
        p.address += low - p.offset;
        if (p.kind == URD_PIECE_REGISTER && low != p.offset)
            p.kind = URD_PIECE_COMPUTED; /* inside of a register: its bytes are copied */
        p.offset = low - offset;
        p.size = high - low;
        ret->pieces[ret->n_pieces++] = p;
    }
}

void urd_debuginfo_value_part(const struct urd_frame *frame, const struct urd_value *v,
                              const struct urd_type *type, uint64_t offset, unsigned bit_offset,
                              unsigned bit_size, struct urd_value *ret)
{
    struct urd_value part;
    bool whole = v->n_pieces == 1 && v->pieces[0].kind == URD_PIECE_MEMORY;
    urd_debuginfo_value_at(type, v->address + offset, &part);
    part.bit_offset = bit_offset;
    part.bit_size = bit_size;
    if (bit_size) { /* the bytes that hold the field, no more: they may end the page */
        uint64_t skip = bit_offset / 8;
        part.bit_offset = bit_offset % 8;
        offset += skip;
        part.address += skip;
        part.size = (part.bit_offset + bit_size + 7) / 8;
        if (part.size < urd_debuginfo_type_strip(type)->size)
            part.pieces[0].size = part.size;
        part.pieces[0].address = part.address;
    }
    if (v->status != URD_VALUE_OK) {
        part.n_pieces = 0;
        part.lvalue = false;
        part.address = v->address;
        urd_debuginfo_value_fail(&part, v->status, "%s", v->reason);
        *ret = part;
        return;
    }
    if (bit_size) {
        uint64_t full = urd_debuginfo_type_strip(type)->size, needed = part.size;
        part.size = full > needed ? full : needed;
        if (part.size > 16)
            part.size = 16;
        part.pieces[0].size = needed;
    }
    if (!whole || !v->lazy) {
        struct urd_value copy = {0};
        const struct urd_value *all = v;
        if (!whole) {
            uint64_t size = part.size;
            if (bit_size)
                part.size = part.pieces[0].size;
            part_pieces(v, offset, &part);
            part.size = size;
            part.lvalue = v->lvalue;
        }
        if (v->lazy) {
            urd_debuginfo_value_copy(v, &copy);
            urd_debuginfo_value_fetch(frame, &copy);
            all = &copy;
        }
        part.lazy = false;
        if (all->status != URD_VALUE_OK) {
            urd_debuginfo_value_fail(&part, all->status, "%s", all->reason);
        } else if (offset <= all->size && part.size <= URD_VALUE_MAX) {
            uint64_t n = all->size - offset < part.size ? all->size - offset : part.size;
            bool gone = part.n_pieces > 0;
            for (int i = 0; i < part.n_pieces; i++)
                gone &= part.pieces[i].kind == URD_PIECE_OPTIMISED_OUT;
            if (part.size > URD_VALUE_SMALL)
                part.heap = urd_xcalloc(1, part.size);
            uint8_t *to = part.heap ? part.heap : part.small;
            memcpy(to, urd_debuginfo_value_bytes(all) + offset, n);
            if (bit_size)
                extract_bits(&part, to);
            if (gone)
                urd_debuginfo_value_fail(&part, URD_VALUE_OPTIMISED_OUT, "optimised out");
        } else {
            urd_debuginfo_value_fail(&part, URD_VALUE_OPTIMISED_OUT, "beyond the value");
        }
        urd_debuginfo_value_deinit(&copy);
        if (!whole && part.n_pieces == 1 && part.pieces[0].kind == URD_PIECE_MEMORY)
            part.address = part.pieces[0].address;
        if (!v->lvalue)
            part.lvalue = false, part.n_pieces = 0;
    }
    *ret = part;
}

/** The variant that v is, of those of the member's part; NULL: that cannot be told. */
static const struct urd_member *variant_now(const struct urd_frame *frame,
                                            const struct urd_value *v,
                                            const struct urd_member *member)
{
    size_t n;
    const struct urd_member *m = urd_debuginfo_type_members(v->type, &n), *otherwise = NULL;
    const struct urd_variant *of = &member->variant;
    struct urd_value discriminant = {0};
    uint64_t now = 0;
    if (of->unclear)
        return NULL;
    if (of->type) {
        urd_debuginfo_value_part(frame, v, of->type, of->offset, 0, 0, &discriminant);
        urd_debuginfo_value_fetch(frame, &discriminant);
        bool known = urd_debuginfo_value_to_u64(&discriminant, &now);
        urd_debuginfo_value_deinit(&discriminant);
        if (!known)
            return NULL;
    }
    unsigned unused = of->type && of->type->size < 8 ? 64 - 8 * (unsigned)of->type->size : 0;
    for (size_t i = 0; i < n; i++) {
        const struct urd_variant *k = &m[i].variant;
        if (k->part != of->part)
            continue;
        if (k->unclear)
            return NULL;
        if (!k->type || (!k->otherwise && (k->value ^ now) << unused == 0))
            return &m[i];
        if (k->otherwise)
            otherwise = &m[i];
    }
    return otherwise;
}

static bool is_same_variant(const struct urd_member *a, const struct urd_member *b)
{
    return a->variant.otherwise == b->variant.otherwise && a->variant.value == b->variant.value;
}

bool urd_debuginfo_value_has(const struct urd_frame *frame, const struct urd_value *v,
                             const struct urd_member *member)
{
    const struct urd_member *now = member->variant.part ? variant_now(frame, v, member) : NULL;
    return !now || is_same_variant(now, member);
}

static void check_variant(const struct urd_frame *frame, const struct urd_value *v,
                          const struct urd_member *member, struct urd_value *value)
{
    const struct urd_member *now = variant_now(frame, v, member);
    if (value->status != URD_VALUE_OK || (now && is_same_variant(now, member)))
        return;
    value->lvalue = false;
    value->n_pieces = 0;
    if (now)
        urd_debuginfo_value_fail(value, URD_VALUE_NOT_THERE, "it is %s",
                                 now->name ? now->name : "another variant");
    else
        urd_debuginfo_value_fail(value, URD_VALUE_NOT_THERE, "which variant it is cannot be told");
}

void urd_debuginfo_value_member(const struct urd_frame *frame, const struct urd_value *v,
                                const struct urd_member *member, struct urd_value *ret)
{
    if (!member->is_virtual_base) {
        urd_debuginfo_value_part(frame, v, member->type, member->offset, member->bit_offset,
                                 member->bit_size, ret);
        if (member->variant.part)
            check_variant(frame, v, member, ret);
        return;
    }
    struct urd_module *m = urd_debuginfo_type_strip(v->type)->module;
    uint64_t address = v->address;
    struct urd_die die;
    struct urd_attr a;
    bool whole =
        v->status == URD_VALUE_OK && v->n_pieces == 1 && v->pieces[0].kind == URD_PIECE_MEMORY;
    if (whole && urd_debuginfo_die_at(&m->dwarf, member->die, &die) &&
        urd_debuginfo_die_attr(&die, DW_AT_data_member_location, &a) && a.class == URD_ATTR_BLOCK) {
        struct urd_location_context x = {m, die.unit, frame, 0, 0, &v->address, false};
        if (urd_debuginfo_location_number(&x, a.block, &address)) {
            urd_debuginfo_value_at(member->type, address, ret);
            return;
        }
    }
    urd_debuginfo_value_at(member->type, v->address, ret);
    ret->lvalue = false;
    urd_debuginfo_value_fail(ret, v->status ? v->status : URD_VALUE_UNREADABLE,
                             "where this virtual base class lies cannot be read");
}

bool urd_debuginfo_value_to_u64(const struct urd_value *v, uint64_t *ret)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    if (v->status != URD_VALUE_OK || v->lazy)
        return false;
    if (t->kind == URD_TYPE_FLOAT) {
        long double d;
        if (!urd_debuginfo_value_to_double(v, &d))
            return false;
        *ret = d >= -9.3e18L && d < 0                  ? (uint64_t)(int64_t)d
               : d >= 0 && d < 18446744073709551616.0L ? (uint64_t)d
                                                       : 0;
        return true;
    }
    if (!urd_debuginfo_type_is_integer(t) && t->kind != URD_TYPE_POINTER &&
        t->kind != URD_TYPE_REFERENCE && t->kind != URD_TYPE_MEMBER_POINTER)
        return false;
    uint64_t n = 0, size = v->size < 8 ? v->size : 8;
    memcpy(&n, urd_debuginfo_value_bytes(v), size);
    if (t->is_signed && size && size < 8) {
        unsigned shift = 64 - 8 * (unsigned)size;
        n = (uint64_t)((int64_t)(n << shift) >> shift);
    }
    *ret = n;
    return true;
}

bool urd_debuginfo_value_to_double(const struct urd_value *v, long double *ret)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    const uint8_t *bytes = urd_debuginfo_value_bytes(v);
    float f;
    double d;
    uint64_t n;
    if (v->status != URD_VALUE_OK || v->lazy)
        return false;
    if (t->kind == URD_TYPE_FLOAT) {
        if (v->size == 4)
            memcpy(&f, bytes, 4), *ret = f;
        else if (v->size == 8)
            memcpy(&d, bytes, 8), *ret = d;
        else if (v->size == 16 || v->size == 10)
            *ret = 0, memcpy(ret, bytes, 10);
        else
            return false;
        return true;
    }
    if (!urd_debuginfo_value_to_u64(v, &n))
        return false;
    *ret = t->is_signed ? (long double)(int64_t)n : (long double)n;
    return true;
}
