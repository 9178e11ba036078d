/* Operators: the usual arithmetic conversions of C, on 128 bits and long double inside. */
#include "query/expr_private.h"
#include <math.h>
#include <stdio.h>

struct number {
    bool is_float, is_unsigned;
    long double d;
    __int128 i;
    const struct urd_type *type;
};

void urd_expr_no_value(const struct urd_value *from, const struct urd_type *type,
                       struct urd_value *ret)
{
    struct urd_value v = {.type = type, .address = from->address};
    v.size = urd_debuginfo_type_strip(type)->size;
    urd_debuginfo_value_fail(&v, from->status, "%s", from->reason);
    *ret = v;
}

static bool load(const struct urd_value *v, struct number *ret)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    uint64_t n;
    *ret = (struct number){.type = t, .is_unsigned = !t->is_signed};
    if (t->kind == URD_TYPE_FLOAT) {
        ret->is_float = true;
        return urd_debuginfo_value_to_double(v, &ret->d);
    }
    if (!urd_debuginfo_value_to_u64(v, &n))
        return false;
    if (v->size == 16 && t->kind == URD_TYPE_INT)
        memcpy(&ret->i, urd_debuginfo_value_bytes(v), 16);
    else
        ret->i = t->is_signed ? (__int128)(int64_t)n : (__int128)n;
    return true;
}

static void store(const struct number *n, const struct urd_type *type, struct urd_value *ret)
{
    const struct urd_type *t = urd_debuginfo_type_strip(type);
    memset(ret, 0, sizeof *ret);
    ret->type = type;
    ret->size = t->size <= 16 ? t->size : 16;
    if (t->kind == URD_TYPE_FLOAT) {
        long double d = n->is_float      ? n->d
                        : n->is_unsigned ? (long double)(unsigned __int128)n->i
                                         : (long double)n->i;
        float f = (float)d;
        double e = (double)d;
        if (t->size == 4)
            memcpy(ret->small, &f, 4);
        else if (t->size == 8)
            memcpy(ret->small, &e, 8);
        else
            memcpy(ret->small, &d, 10);
        return;
    }
    __int128 i = n->i;
    if (n->is_float)
        i = isnan(n->d) || fabsl(n->d) > 1e38L ? 0 : (__int128)n->d;
    if (t->kind == URD_TYPE_BOOL)
        i = n->is_float ? n->d != 0 : i != 0;
    memcpy(ret->small, &i, ret->size);
}

static const struct urd_type *builtin(const char *name)
{
    return urd_debuginfo_type_builtin(name);
}

/** Integer promotion: what is narrower than int becomes int. */
static const struct urd_type *promote(const struct urd_type *t)
{
    if (t->kind == URD_TYPE_FLOAT)
        return t;
    if (t->size < 4 || (t->kind != URD_TYPE_INT && t->size == 4 && t->is_signed))
        return builtin("int");
    if (t->kind != URD_TYPE_INT)
        return builtin(t->size == 4 ? "unsigned int" : t->is_signed ? "long" : "unsigned long");
    return t;
}

static const struct urd_type *common(const struct urd_type *a, const struct urd_type *b)
{
    a = promote(a);
    b = promote(b);
    if (a->kind == URD_TYPE_FLOAT || b->kind == URD_TYPE_FLOAT) {
        if (a->kind != URD_TYPE_FLOAT)
            return b;
        return b->kind != URD_TYPE_FLOAT || a->size >= b->size ? a : b;
    }
    if (a->size != b->size)
        return a->size > b->size ? a : b;
    return a->is_signed ? b : a;
}

/** Wrap to the width of an integer type. */
static __int128 wrap(__int128 i, const struct urd_type *t)
{
    unsigned bits = (unsigned)t->size * 8;
    if (bits >= 128 || !bits)
        return i;
    unsigned __int128 u = (unsigned __int128)i << (128 - bits);
    return t->is_signed ? (__int128)u >> (128 - bits) : (__int128)(u >> (128 - bits));
}

static urd_err *wrong_type(const struct node *n, const char *what, const struct urd_type *t)
{
    char *text = urd_debuginfo_type_text(t);
    urd_err *err = URD_ERROR(URD_ERR_QUESTION, "%s %s", what, text);
    free(text);
    return urd_err_at(err, n->offset, NULL);
}

static bool is_pointer(const struct urd_type *t)
{
    return urd_debuginfo_type_strip(t)->kind == URD_TYPE_POINTER;
}

static void result_bool(bool b, struct urd_value *ret)
{
    urd_debuginfo_value_integer(builtin("int"), b, ret);
}

/* ---- text: char pointers and arrays against "literals" ---- */

static bool is_literal(const struct node *n)
{
    return n && n->kind == NODE_STRING;
}

static bool is_text(const struct urd_type *type)
{
    const struct urd_type *t = urd_debuginfo_type_strip(type);
    if (t->kind != URD_TYPE_POINTER && t->kind != URD_TYPE_ARRAY)
        return false;
    const struct urd_type *e = urd_debuginfo_type_strip(t->target);
    return e->size == 1 && e->kind == URD_TYPE_CHAR;
}

/** Whether v's characters up to NUL are those of a literal. */
static void compare_text(const struct evaluation *x, const struct node *literal,
                         struct urd_value *v, bool negate, struct urd_value *ret)
{
    uint64_t n = 0;
    struct urd_value bytes = {0};
    size_t size = literal->size + 1;
    if (urd_debuginfo_type_strip(v->type)->kind == URD_TYPE_POINTER) {
        urd_debuginfo_value_fetch(x->frame, v);
        if (v->status != URD_VALUE_OK || !urd_debuginfo_value_to_u64(v, &n)) {
            urd_expr_no_value(v, builtin("int"), ret);
            return;
        }
        /* byte by byte: a shorter text may end before an unmapped page */
        bool same = true;
        for (size_t i = 0; i < size && same; i++) {
            char c;
            if (!x->frame->read_memory || !x->frame->read_memory(x->frame->data, n + i, &c, 1)) {
                urd_debuginfo_value_fail(&bytes, URD_VALUE_UNREADABLE,
                                         "cannot read memory at 0x%lx", n + i);
                bytes.address = n + i;
                urd_expr_no_value(&bytes, builtin("int"), ret);
                return;
            }
            same = c == literal->text[i];
        }
        result_bool(same != negate, ret);
        return;
    }
    urd_debuginfo_value_fetch(x->frame, v);
    if (v->status != URD_VALUE_OK) {
        urd_expr_no_value(v, builtin("int"), ret);
        return;
    }
    const char *have = (const char *)urd_debuginfo_value_bytes(v);
    size_t len = strnlen(have, v->size);
    result_bool((len == literal->size && !memcmp(have, literal->text, len)) != negate, ret);
}

/* ---- pointers ---- */

/** An array stands for a pointer to its first element. */
static urd_err *decay(const struct evaluation *x, const struct node *n, struct urd_value *v)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    if (t->kind != URD_TYPE_ARRAY && t->kind != URD_TYPE_FUNCTION)
        return NULL;
    if (v->status == URD_VALUE_OK && !(v->n_pieces == 1 && v->pieces[0].kind == URD_PIECE_MEMORY))
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "this array is not in memory"), n->offset,
                          NULL);
    struct urd_value p;
    const struct urd_type *to = t->kind == URD_TYPE_ARRAY ? t->target : v->type;
    urd_debuginfo_value_integer(urd_debuginfo_type_pointer_to(x->module, to), v->address, &p);
    if (v->status != URD_VALUE_OK)
        urd_expr_no_value(v, p.type, &p);
    urd_debuginfo_value_deinit(v);
    *v = p;
    return NULL;
}

static uint64_t pointee_size(const struct urd_type *t)
{
    const struct urd_type *to = urd_debuginfo_type_strip(urd_debuginfo_type_strip(t)->target);
    return to->size ? to->size : 1;
}

static urd_err *pointers(const struct node *n, const struct urd_value *a, const struct urd_value *b,
                         const struct number *p, const struct number *q, struct urd_value *ret)
{
    uint64_t u = (uint64_t)p->i, v = (uint64_t)q->i;
    bool pa = is_pointer(a->type), pb = is_pointer(b->type);
    switch (n->op) {
    case OP_EQ:
        result_bool(u == v, ret);
        return NULL;
    case OP_NE:
        result_bool(u != v, ret);
        return NULL;
    case '<':
        result_bool(u < v, ret);
        return NULL;
    case '>':
        result_bool(u > v, ret);
        return NULL;
    case OP_LE:
        result_bool(u <= v, ret);
        return NULL;
    case OP_GE:
        result_bool(u >= v, ret);
        return NULL;
    case '+':
        if (pa != pb) {
            urd_debuginfo_value_integer(
                pa ? a->type : b->type,
                pa ? u + v * pointee_size(a->type) : v + u * pointee_size(b->type), ret);
            return NULL;
        }
        break;
    case '-':
        if (pa && pb) {
            int64_t bytes = (int64_t)(u - v);
            urd_debuginfo_value_integer(builtin("long"),
                                        (uint64_t)(bytes / (int64_t)pointee_size(a->type)), ret);
            return NULL;
        }
        if (pa) {
            urd_debuginfo_value_integer(a->type, u - v * pointee_size(a->type), ret);
            return NULL;
        }
        break;
    case '&': /* tags in the low bits: what C does not allow and debugging needs */
    case '|':
    case '^':
    case '%':
        if (n->op == '%' && !v)
            break;
        urd_debuginfo_value_integer(builtin("unsigned long"),
                                    n->op == '&'   ? u & v
                                    : n->op == '|' ? u | v
                                    : n->op == '^' ? u ^ v
                                                   : u % v,
                                    ret);
        return NULL;
    }
    return wrong_type(n, "this operator does not take", pa ? a->type : b->type);
}

/* ---- numbers ---- */

static urd_err *floats(const struct node *n, long double p, long double q, const struct urd_type *t,
                       struct urd_value *ret)
{
    struct number r = {.is_float = true, .type = t};
    if (t->size == 4)
        p = (float)p, q = (float)q;
    switch (n->op) {
    case OP_EQ:
        result_bool(p == q, ret);
        return NULL;
    case OP_NE:
        result_bool(p != q, ret);
        return NULL;
    case '<':
        result_bool(p < q, ret);
        return NULL;
    case '>':
        result_bool(p > q, ret);
        return NULL;
    case OP_LE:
        result_bool(p <= q, ret);
        return NULL;
    case OP_GE:
        result_bool(p >= q, ret);
        return NULL;
    case '+':
        r.d = p + q;
        break;
    case '-':
        r.d = p - q;
        break;
    case '*':
        r.d = p * q;
        break;
    case '/':
        r.d = p / q;
        break;
    default:
        return wrong_type(n, "this operator does not take", t);
    }
    store(&r, t, ret);
    return NULL;
}

static urd_err *integers(const struct node *n, __int128 p, __int128 q, const struct urd_type *t,
                         const struct urd_type *left, struct urd_value *ret)
{
    struct number r = {.is_unsigned = !t->is_signed};
    bool shift = n->op == OP_SHL || n->op == OP_SHR;
    const struct urd_type *to = shift ? promote(left) : t;
    p = wrap(p, to);
    q = shift ? q : wrap(q, t);
    switch (n->op) {
    case OP_EQ:
        result_bool(p == q, ret);
        return NULL;
    case OP_NE:
        result_bool(p != q, ret);
        return NULL;
    case '<':
        result_bool(p < q, ret);
        return NULL;
    case '>':
        result_bool(p > q, ret);
        return NULL;
    case OP_LE:
        result_bool(p <= q, ret);
        return NULL;
    case OP_GE:
        result_bool(p >= q, ret);
        return NULL;
    case '+':
        r.i = (__int128)((unsigned __int128)p + (unsigned __int128)q);
        break;
    case '-':
        r.i = (__int128)((unsigned __int128)p - (unsigned __int128)q);
        break;
    case '*':
        r.i = (__int128)((unsigned __int128)p * (unsigned __int128)q);
        break;
    case '&':
        r.i = p & q;
        break;
    case '|':
        r.i = p | q;
        break;
    case '^':
        r.i = p ^ q;
        break;
    case OP_SHL:
        r.i = q < 0 || q > 127 ? 0 : (__int128)((unsigned __int128)p << (int)q);
        break;
    case OP_SHR:
        r.i = p >> (q < 0 || q > 127 ? 127 : (int)q);
        break;
    case '/':
    case '%':
        if (!q) {
            struct urd_value none = {.status = URD_VALUE_UNREADABLE};
            snprintf(none.reason, sizeof none.reason, "division by zero");
            urd_expr_no_value(&none, t, ret);
            return NULL;
        }
        if (q == -1) /* also keeps the least number from trapping */
            r.i = n->op == '/' ? (__int128)(0 - (unsigned __int128)p) : 0;
        else if (t->is_signed || t->size < 16)
            r.i = n->op == '/' ? p / q : p % q;
        else
            r.i = n->op == '/' ? (__int128)((unsigned __int128)p / (unsigned __int128)q)
                               : (__int128)((unsigned __int128)p % (unsigned __int128)q);
        break;
    }
    store(&r, to, ret);
    return NULL;
}

urd_err *urd_expr_binary(const struct evaluation *x, const struct node *n, struct urd_value *a,
                         struct urd_value *b, struct urd_value *ret)
{
    if (n->op == OP_EQ || n->op == OP_NE) {
        if (is_literal(n->b) && is_text(a->type)) {
            compare_text(x, n->b, a, n->op == OP_NE, ret);
            return NULL;
        }
        if (is_literal(n->a) && is_text(b->type)) {
            compare_text(x, n->a, b, n->op == OP_NE, ret);
            return NULL;
        }
    }
    URD_TRY(decay(x, n, a));
    URD_TRY(decay(x, n, b));
    if (!urd_debuginfo_type_is_scalar(a->type))
        return wrong_type(n, "this operator does not take", a->type);
    if (!urd_debuginfo_type_is_scalar(b->type))
        return wrong_type(n, "this operator does not take", b->type);
    urd_debuginfo_value_fetch(x->frame, a);
    urd_debuginfo_value_fetch(x->frame, b);
    const struct urd_type *ta = urd_debuginfo_type_strip(a->type);
    const struct urd_type *tb = urd_debuginfo_type_strip(b->type);
    bool pointer = is_pointer(a->type) || is_pointer(b->type);
    const struct urd_type *t = pointer ? builtin("unsigned long") : common(ta, tb);
    if (a->status != URD_VALUE_OK || b->status != URD_VALUE_OK) {
        urd_expr_no_value(a->status != URD_VALUE_OK ? a : b, t, ret);
        return NULL;
    }
    struct number p, q;
    if (!load(a, &p) || !load(b, &q))
        return wrong_type(n, "this operator does not take", a->type);
    if (pointer)
        return pointers(n, a, b, &p, &q, ret);
    if (t->kind == URD_TYPE_FLOAT)
        return floats(n, p.is_float ? p.d : (long double)p.i, q.is_float ? q.d : (long double)q.i,
                      t, ret);
    return integers(n, p.i, q.i, t, ta, ret);
}

urd_err *urd_expr_unary(const struct evaluation *x, const struct node *n, struct urd_value *a,
                        struct urd_value *ret)
{
    bool known, truth;
    struct number p;
    if (n->op == '!') {
        URD_TRY(urd_expr_truth(x, n, a, &truth, &known));
        if (known)
            result_bool(!truth, ret);
        else
            urd_expr_no_value(a, builtin("int"), ret);
        return NULL;
    }
    const struct urd_type *t = urd_debuginfo_type_strip(a->type);
    if (!urd_debuginfo_type_is_scalar(t) || (t->kind == URD_TYPE_FLOAT && n->op == '~'))
        return wrong_type(n, "this operator does not take", a->type);
    t = t->kind == URD_TYPE_POINTER ? builtin("unsigned long") : promote(t);
    urd_debuginfo_value_fetch(x->frame, a);
    if (a->status != URD_VALUE_OK || !load(a, &p)) {
        urd_expr_no_value(a, t, ret);
        return NULL;
    }
    if (n->op == '-') {
        p.d = -p.d;
        p.i = (__int128)(0 - (unsigned __int128)p.i);
    } else if (n->op == '~') {
        p.i = ~p.i;
    }
    store(&p, t, ret);
    return NULL;
}

/** Where a base class lies within a class. */
static bool base_offset(const struct urd_type *derived, const struct urd_type *base, int depth,
                        uint64_t *ret)
{
    size_t n;
    derived = urd_debuginfo_type_strip(derived);
    if (derived == base || depth > 16) {
        *ret = 0;
        return derived == base;
    }
    const struct urd_member *m = urd_debuginfo_type_members(derived, &n);
    for (size_t i = 0; i < n; i++)
        if (m[i].is_base && !m[i].is_virtual_base && base_offset(m[i].type, base, depth + 1, ret)) {
            *ret += m[i].offset;
            return true;
        }
    return false;
}

/** Where a base class that is a virtual one, or is one's base, lies in the object at an address. */
static bool virtual_base(const struct evaluation *x, const struct urd_type *derived,
                         uint64_t address, const struct urd_type *base, int depth, uint64_t *ret)
{
    size_t n;
    derived = urd_debuginfo_type_strip(derived);
    if (derived == base) {
        *ret = address;
        return true;
    }
    const struct urd_member *m = urd_debuginfo_type_members(derived, &n);
    bool ok = false;
    struct urd_value object, part;
    urd_debuginfo_value_at(derived, address, &object);
    for (size_t i = 0; i < n && depth < 16 && !ok; i++) {
        if (!m[i].is_base)
            continue;
        urd_debuginfo_value_member(x->frame, &object, &m[i], &part);
        ok = part.status == URD_VALUE_OK &&
             virtual_base(x, m[i].type, part.address, base, depth + 1, ret);
        urd_debuginfo_value_deinit(&part);
    }
    urd_debuginfo_value_deinit(&object);
    return ok;
}

urd_err *urd_expr_cast(const struct evaluation *x, const struct node *n,
                       const struct urd_type *type, struct urd_value *a, struct urd_value *ret)
{
    const struct urd_type *t = urd_debuginfo_type_strip(type);
    const struct urd_type *from = urd_debuginfo_type_strip(a->type);
    struct number p;
    if (urd_debuginfo_type_is_aggregate(t)) {
        bool memory = a->n_pieces == 1 && a->pieces[0].kind == URD_PIECE_MEMORY;
        if (t == from || (memory && t->size == from->size)) {
            urd_debuginfo_value_copy(a, ret);
            ret->type = type;
            return NULL;
        }
        return wrong_type(n, "cannot convert to", type);
    }
    if (t->kind == URD_TYPE_VOID) {
        memset(ret, 0, sizeof *ret);
        return NULL;
    }
    URD_TRY(decay(x, n, a));
    if (!urd_debuginfo_type_is_scalar(a->type))
        return wrong_type(n, "cannot convert from", a->type);
    urd_debuginfo_value_fetch(x->frame, a);
    if (a->status != URD_VALUE_OK || !load(a, &p)) {
        urd_expr_no_value(a, type, ret);
        return NULL;
    }
    if (is_pointer(type) && is_pointer(a->type) && p.i && n->op != 'r') { /* between a class and its base */
        const struct urd_type *to = urd_debuginfo_type_strip(t->target);
        const struct urd_type *of =
            urd_debuginfo_type_strip(urd_debuginfo_type_strip(a->type)->target);
        uint64_t by, at;
        if (base_offset(of, to, 0, &by))
            p.i += (int64_t)by;
        else if (base_offset(to, of, 0, &by))
            p.i -= (int64_t)by;
        else if (virtual_base(x, of, (uint64_t)p.i, to, 0, &at))
            p.i = (int64_t)at;
    }
    store(&p, type, ret);
    return NULL;
}

urd_err *urd_expr_truth(const struct evaluation *x, const struct node *n, struct urd_value *v,
                        bool *ret, bool *ret_known)
{
    struct number p;
    URD_TRY(decay(x, n, v));
    if (!urd_debuginfo_type_is_scalar(v->type))
        return wrong_type(n, "a condition must be a number or a pointer, not", v->type);
    urd_debuginfo_value_fetch(x->frame, v);
    *ret_known = v->status == URD_VALUE_OK && load(v, &p);
    *ret = *ret_known && (p.is_float ? p.d != 0 : p.i != 0);
    return NULL;
}
