/* Walking the tree. Values stay lazy until an operator or the caller needs their bytes, so that
 * `table[3].name` reads one pointer and not the table. */
#include "debuginfo/summary.h"
#include "query/expr_private.h"
#include <stdio.h>

static urd_err *evaluate(const struct evaluation *x, struct node *n, struct urd_value *ret);

static const struct urd_type *builtin(const char *name)
{
    return urd_debuginfo_type_builtin(name);
}

static urd_err *wrong_type(const struct node *n, const char *what, const struct urd_type *t)
{
    char *text = urd_debuginfo_type_text(t);
    urd_err *err = URD_ERROR(URD_ERR_QUESTION, "%s %s", what, text);
    free(text);
    return urd_err_at(err, n->offset, NULL);
}

/** What a pointer value points to, as an lvalue. */
static void dereference(const struct evaluation *x, struct urd_value *p,
                        const struct urd_type *target, struct urd_value *ret)
{
    uint64_t address = 0;
    urd_debuginfo_value_fetch(x->frame, p);
    if (p->points_to) {
        urd_debuginfo_value_follow(x->frame, p, target, ret);
        return;
    }
    if (p->status != URD_VALUE_OK) {
        urd_expr_no_value(p, target, ret);
        return;
    }
    urd_debuginfo_value_to_u64(p, &address);
    urd_debuginfo_value_at(target, address, ret);
}

/** References are what they refer to. */
static void follow_reference(const struct evaluation *x, struct urd_value *v)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    if (t->kind != URD_TYPE_REFERENCE)
        return;
    struct urd_value to;
    dereference(x, v, t->target, &to);
    urd_debuginfo_value_deinit(v);
    *v = to;
}

/** A member of a class that is a virtual base, near or far. */
static bool member_of_base(const struct evaluation *x, struct urd_value *v, const char *name,
                           int depth, struct urd_value *ret)
{
    size_t n;
    struct urd_member found;
    const struct urd_member *m = urd_debuginfo_type_members(urd_debuginfo_type_strip(v->type), &n);
    bool direct = urd_expr_member(v->type, name, &found);
    if (direct && found.variant.part) { /* of an enum: such members are nowhere else */
        urd_debuginfo_value_member(x->frame, v, &found, ret);
        return true;
    }
    if (direct) {
        urd_debuginfo_value_part(x->frame, v, found.type, found.offset, found.bit_offset,
                                 found.bit_size, ret);
        return true;
    }
    bool ok = false;
    for (size_t i = 0; i < n && depth < 16 && !ok; i++) {
        if (!m[i].is_base)
            continue;
        struct urd_value base;
        urd_debuginfo_value_member(x->frame, v, &m[i], &base);
        ok = member_of_base(x, &base, name, depth + 1, ret);
        urd_debuginfo_value_deinit(&base);
    }
    return ok;
}

static urd_err *member_of(const struct evaluation *x, const struct node *n, struct urd_value *v,
                          struct urd_value *ret)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    if (t->kind != URD_TYPE_STRUCT && t->kind != URD_TYPE_UNION)
        return wrong_type(n, "only a struct has members, not", v->type);
    if (!member_of_base(x, v, n->text, 0, ret)) {
        char *text = urd_debuginfo_type_text(v->type);
        urd_err *err = URD_ERROR(URD_ERR_QUESTION, "%s has no member named %s%s", text, n->text,
                                 t->declaration ? ": it is only declared in this program" : "");
        free(text);
        return urd_err_at(err, n->offset, urd_expr_nearest_member(t, n->text));
    }
    return NULL;
}

static urd_err *evaluate_name(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    const struct binding *b;
    URD_TRY(urd_expr_bind(x, n, &b));
    switch (b->kind) {
    case BIND_VARIABLE:
        if (b->address)
            urd_debuginfo_value_at(b->type, b->address, ret);
        else
            urd_debuginfo_variable_read(b->variable, x->frame, b->bias, ret);
        break;
    case BIND_MEMBER: {
        struct urd_value this, object;
        urd_debuginfo_variable_read(b->variable, x->frame, b->bias, &this);
        dereference(x, &this, urd_debuginfo_type_strip(this.type)->target, &object);
        urd_debuginfo_value_deinit(&this);
        urd_err *err = member_of(x, n, &object, ret);
        urd_debuginfo_value_deinit(&object);
        URD_TRY(err);
        break;
    }
    case BIND_CONSTANT:
        urd_debuginfo_value_integer(b->type, (uint64_t)b->number, ret);
        break;
    case BIND_FUNCTION:
        urd_debuginfo_value_at(b->type, b->address, ret);
        break;
    case BIND_SYMBOL: {
        uint64_t address = b->address;
        if (b->tls &&
            !urd_debuginfo_tls_address(b->module, b->bias, x->frame, b->tls_offset, &address)) {
            memset(ret, 0, sizeof *ret);
            ret->type = b->type;
            urd_debuginfo_value_fail(ret, URD_VALUE_NOT_RECORDED,
                                     "the address of thread-local storage is not known");
            break;
        }
        urd_debuginfo_value_at(b->type, address, ret);
        break;
    }
    case BIND_TYPE:
        break;
    }
    follow_reference(x, ret);
    return NULL;
}

/* ---- registers ---- */

static const struct urd_type *register_type(const struct evaluation *x, const struct node *n)
{
    switch (n->reg_size) {
    case 1:
        return builtin("unsigned char");
    case 2:
        return builtin("unsigned short");
    case 4:
        return builtin("unsigned int");
    case 10:
        return builtin("long double");
    case 16:
        return builtin("unsigned __int128");
    case 32:
    case 64:
        return urd_debuginfo_type_array_of(x->module, builtin("unsigned long"), n->reg_size / 8);
    }
    return n->reg == URD_DW_RSP || n->reg == URD_DW_RIP
               ? urd_debuginfo_type_pointer_to(x->module, builtin("void"))
               : builtin("long");
}

static urd_err *evaluate_register(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->type = register_type(x, n);
    ret->size = urd_debuginfo_type_strip(ret->type)->size;
    ret->lvalue = ret->lazy = true;
    ret->n_pieces = 1;
    ret->pieces[0] = (struct urd_piece){URD_PIECE_REGISTER, n->reg, 0, 0, n->reg_size};
    /* ah and its like; and in a frame that is only there to name globals, the task's */
    if (n->reg_shift || (x->frame->no_registers && n->reg_size <= 8)) {
        uint64_t v = 0;
        if (x->frame->read_register && x->frame->read_register(x->frame->data, n->reg, &v)) {
            ret->lazy = false;
            v >>= n->reg_shift;
            memcpy(ret->small, &v, n->reg_size);
        } else {
            urd_debuginfo_value_fail(ret, URD_VALUE_NOT_RECORDED, "$%s is not known in this frame",
                                     n->text);
        }
    }
    return NULL;
}

/** $xmm0.v2_double and the like, gdb's names. */
static urd_err *vector_member(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    static const struct {
        const char *name, *element;
        unsigned size;
    } views[] = {
        {"v4_float", "float", 4},   {"v8_float", "float", 4},    {"v2_double", "double", 8},
        {"v4_double", "double", 8}, {"v16_int8", "int8_t", 1},   {"v32_int8", "int8_t", 1},
        {"v8_int16", "int16_t", 2}, {"v16_int16", "int16_t", 2}, {"v4_int32", "int32_t", 4},
        {"v8_int32", "int32_t", 4}, {"v2_int64", "int64_t", 8},  {"v4_int64", "int64_t", 8},
        {"uint128", NULL, 16}};
    URD_TRY(evaluate_register(x, n->a, ret));
    for (size_t i = 0; i < sizeof views / sizeof *views; i++)
        if (!strcmp(views[i].name, n->text)) {
            if (views[i].element)
                ret->type = urd_debuginfo_type_array_of(x->module, builtin(views[i].element),
                                                        n->a->reg_size / views[i].size);
            return NULL;
        }
    return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "a vector register has no member %s", n->text),
                      n->offset, "v4_float");
}

/* ---- postfix and unary ---- */

static urd_err *evaluate_member(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    struct urd_value a, object;
    if (n->a->kind == NODE_REGISTER && n->a->reg_size >= 16)
        return vector_member(x, n, ret);
    URD_TRY(evaluate(x, n->a, &a));
    const struct urd_type *t = urd_debuginfo_type_strip(a.type);
    if (t->kind == URD_TYPE_POINTER) /* gdb takes . for -> too */
        dereference(x, &a, t->target, &object);
    else
        urd_debuginfo_value_copy(&a, &object);
    urd_debuginfo_value_deinit(&a);
    urd_err *err = member_of(x, n, &object, ret);
    urd_debuginfo_value_deinit(&object);
    URD_TRY(err);
    follow_reference(x, ret);
    return NULL;
}

/** Of a library's vector, string or slice: one that it has, as what lies behind them is nobody's. */
static urd_err *element_of_container(const struct evaluation *x, struct node *n,
                                     struct urd_value *a, int64_t i, struct urd_value *ret)
{
    struct urd_summary s;
    bool has = urd_debuginfo_summary(x->frame, a, &s);
    if (!s.indexable)
        return wrong_type(n, "cannot index", a->type);
    bool there = has && i >= 0 && (uint64_t)i < s.count;
    urd_debuginfo_value_at(
        s.type, s.first + (there ? (uint64_t)i * urd_debuginfo_type_strip(s.type)->size : 0), ret);
    if (there)
        return NULL;
    ret->lvalue = false;
    ret->n_pieces = 0;
    if (a->status != URD_VALUE_OK)
        urd_debuginfo_value_fail(ret, a->status, "%s", a->reason);
    else if (has)
        urd_debuginfo_value_fail(ret, URD_VALUE_NOT_THERE, "it has %lu elements", s.count);
    else
        urd_debuginfo_value_fail(ret, URD_VALUE_NOT_THERE, "its content is not a container's");
    return NULL;
}

static urd_err *element(const struct evaluation *x, struct node *n, struct urd_value *a, int64_t i,
                        struct urd_value *ret)
{
    const struct urd_type *t = urd_debuginfo_type_strip(a->type);
    if (t->kind == URD_TYPE_POINTER) {
        const struct urd_type *to = urd_debuginfo_type_strip(t->target);
        struct urd_value first;
        if (a->points_to) {
            a->points_offset += i * (int64_t)to->size;
            i = 0;
        }
        dereference(x, a, t->target, &first);
        if (to->kind == URD_TYPE_VOID)
            return wrong_type(n, "cannot index", a->type);
        if (first.status != URD_VALUE_OK || !i)
            *ret = first;
        else
            urd_debuginfo_value_at(t->target, first.address + (uint64_t)i * to->size, ret);
        return NULL;
    }
    if (t->kind == URD_TYPE_STRUCT)
        return element_of_container(x, n, a, i, ret);
    if (t->kind != URD_TYPE_ARRAY)
        return wrong_type(n, "cannot index", a->type);
    uint64_t size = urd_debuginfo_type_strip(t->target)->size;
    bool memory = a->n_pieces == 1 && a->pieces[0].kind == URD_PIECE_MEMORY;
    if (memory && a->status == URD_VALUE_OK) /* beyond the end is allowed, as in C */
        urd_debuginfo_value_at(t->target, a->address + (uint64_t)i * size, ret);
    else if (i >= 0 && (uint64_t)i < t->count)
        urd_debuginfo_value_part(x->frame, a, t->target, (uint64_t)i * size, 0, 0, ret);
    else
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "index %ld is beyond the array", i),
                          n->offset, NULL);
    return NULL;
}

static urd_err *evaluate_index(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    struct urd_value a, i;
    uint64_t index;
    URD_TRY(evaluate(x, n->a, &a));
    urd_err *err = evaluate(x, n->b, &i);
    if (err) {
        urd_debuginfo_value_deinit(&a);
        return err;
    }
    urd_debuginfo_value_fetch(x->frame, &i);
    if (!urd_debuginfo_type_is_integer(i.type))
        err = wrong_type(n->b, "an index must be an integer, not", i.type);
    else if (i.status != URD_VALUE_OK || !urd_debuginfo_value_to_u64(&i, &index))
        urd_expr_no_value(&i, urd_debuginfo_type_strip(a.type)->target, ret);
    else
        err = element(x, n, &a, (int64_t)index, ret);
    urd_debuginfo_value_deinit(&a);
    urd_debuginfo_value_deinit(&i);
    if (!err)
        follow_reference(x, ret);
    return err;
}

static urd_err *evaluate_slice(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    struct urd_value a, count;
    uint64_t k = 0;
    URD_TRY(evaluate(x, n->a, &a));
    urd_err *err = evaluate(x, n->b, &count);
    if (err) {
        urd_debuginfo_value_deinit(&a);
        return err;
    }
    urd_debuginfo_value_fetch(x->frame, &count);
    const struct urd_type *t = urd_debuginfo_type_array_of(x->module, a.type, 0);
    if (count.status == URD_VALUE_OK &&
        (!urd_debuginfo_value_to_u64(&count, &k) || (int64_t)k <= 0))
        err = urd_err_at(URD_ERROR(URD_ERR_QUESTION, "a slice needs a count of 1 or more after @"),
                         n->offset, NULL);
    else if (a.status != URD_VALUE_OK || count.status != URD_VALUE_OK)
        urd_expr_no_value(a.status != URD_VALUE_OK ? &a : &count, t, ret);
    else if (!(a.n_pieces == 1 && a.pieces[0].kind == URD_PIECE_MEMORY))
        err = urd_err_at(URD_ERROR(URD_ERR_QUESTION, "a slice begins with something in memory"),
                         n->offset, NULL);
    else
        urd_debuginfo_value_at(urd_debuginfo_type_array_of(x->module, a.type, k), a.address, ret);
    urd_debuginfo_value_deinit(&a);
    urd_debuginfo_value_deinit(&count);
    return err;
}

static urd_err *address_of(const struct evaluation *x, struct node *n, struct urd_value *a,
                           struct urd_value *ret)
{
    const struct urd_type *t = urd_debuginfo_type_pointer_to(x->module, a->type);
    if (a->status != URD_VALUE_OK && !a->lvalue) {
        urd_expr_no_value(a, t, ret);
        return NULL;
    }
    if (!a->lvalue)
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "this value has no address"), n->offset,
                          NULL);
    if (a->bit_size)
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "a bit-field has no address"), n->offset,
                          NULL);
    if (a->n_pieces != 1 || a->pieces[0].kind != URD_PIECE_MEMORY) {
        struct urd_value none = {.status = URD_VALUE_OPTIMISED_OUT};
        snprintf(none.reason, sizeof none.reason, "it is in %s here, not in memory",
                 a->n_pieces == 1 && a->pieces[0].kind == URD_PIECE_REGISTER ? "a register"
                                                                             : "pieces");
        urd_expr_no_value(&none, t, ret);
        return NULL;
    }
    urd_debuginfo_value_integer(t, a->address, ret);
    return NULL;
}

static urd_err *evaluate_unary(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    struct urd_value a;
    urd_err *err = NULL;
    URD_TRY(evaluate(x, n->a, &a));
    const struct urd_type *t = urd_debuginfo_type_strip(a.type);
    if (n->op == '&') {
        err = address_of(x, n, &a, ret);
    } else if (n->op == '*') {
        if (t->kind == URD_TYPE_POINTER &&
            urd_debuginfo_type_strip(t->target)->kind == URD_TYPE_VOID &&
            n->a->kind != NODE_REGISTER)
            err = wrong_type(n, "cannot look behind", a.type);
        else if (t->kind == URD_TYPE_POINTER &&
                 urd_debuginfo_type_strip(t->target)->kind != URD_TYPE_VOID)
            dereference(x, &a, t->target, ret);
        else if (t->kind == URD_TYPE_ARRAY)
            err = element(x, n, &a, 0, ret);
        else if (t->kind == URD_TYPE_FUNCTION)
            urd_debuginfo_value_copy(&a, ret);
        else if (urd_debuginfo_type_is_integer(t) || t->kind == URD_TYPE_POINTER)
            dereference(x, &a, builtin("unsigned long"), ret); /* 8 bytes at a raw address */
        else
            err = wrong_type(n, "cannot look behind", a.type);
        if (!err)
            follow_reference(x, ret);
    } else {
        err = urd_expr_unary(x, n, &a, ret);
    }
    urd_debuginfo_value_deinit(&a);
    return err;
}

/* ---- the rest ---- */

static urd_err *evaluate_binary(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    struct urd_value a, b;
    URD_TRY(evaluate(x, n->a, &a));
    urd_err *err = evaluate(x, n->b, &b);
    if (!err) {
        err = urd_expr_binary(x, n, &a, &b, ret);
        urd_debuginfo_value_deinit(&b);
    }
    urd_debuginfo_value_deinit(&a);
    return err;
}

static urd_err *evaluate_logical(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    struct node *sides[2] = {n->a, n->b};
    bool or = n->kind == NODE_OR;
    for (int i = 0; i < 2; i++) {
        struct urd_value v;
        bool truth = false, known = false;
        URD_TRY(evaluate(x, sides[i], &v));
        urd_err *err = urd_expr_truth(x, sides[i], &v, &truth, &known);
        if (!err && !known)
            urd_expr_no_value(&v, builtin("int"), ret);
        urd_debuginfo_value_deinit(&v);
        if (err || !known)
            return err;
        if (truth == or || i == 1) {
            urd_debuginfo_value_integer(builtin("int"), truth, ret);
            return NULL;
        }
    }
    return NULL;
}

static urd_err *evaluate_ternary(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    struct urd_value v;
    bool truth = false, known = false;
    URD_TRY(evaluate(x, n->a, &v));
    urd_err *err = urd_expr_truth(x, n->a, &v, &truth, &known);
    if (!err && !known)
        urd_expr_no_value(&v, builtin("int"), ret);
    urd_debuginfo_value_deinit(&v);
    return err || !known ? err : evaluate(x, truth ? n->b : n->c, ret);
}

static urd_err *evaluate_cast(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    const struct urd_type *t;
    struct urd_value a;
    URD_TRY(urd_expr_type(x, n->type, &t));
    URD_TRY(evaluate(x, n->a, &a));
    urd_err *err = urd_expr_cast(x, n, t, &a, ret);
    urd_debuginfo_value_deinit(&a);
    return err;
}

static urd_err *evaluate_sizeof(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    const struct urd_type *t = NULL;
    struct urd_value a;
    urd_err *err = n->a ? evaluate(x, n->a, &a) : NULL;
    uint64_t size = 0;
    if (n->a && !err) {
        const struct urd_type *of = urd_debuginfo_type_strip(a.type);
        if (of->kind == URD_TYPE_ARRAY && of->dynamic && !of->size && a.status != URD_VALUE_OK) {
            urd_expr_no_value(&a, builtin("unsigned long"), ret);
            urd_debuginfo_value_deinit(&a);
            return NULL;
        }
        size = urd_debuginfo_type_strip(a.type)->size;
        urd_debuginfo_value_deinit(&a);
    } else if (n->type) { /* sizeof(name): no variable, so a type */
        urd_err *other = urd_expr_type(x, n->type, &t);
        if (other && err) {
            urd_err_free(other);
            return err;
        }
        urd_err_free(err);
        if (other)
            return other;
        size = urd_debuginfo_type_strip(t)->size;
    } else {
        return err;
    }
    urd_debuginfo_value_integer(builtin("unsigned long"), size, ret);
    return NULL;
}

static void evaluate_string(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->type = urd_debuginfo_type_array_of(x->module, builtin("char"), n->size + 1);
    ret->size = n->size + 1;
    if (ret->size > URD_VALUE_SMALL)
        ret->heap = urd_xcalloc(1, ret->size);
    memcpy(ret->heap ? ret->heap : ret->small, n->text, n->size);
}

static void evaluate_float(struct node *n, struct urd_value *ret)
{
    float f = (float)n->real;
    double d = (double)n->real;
    memset(ret, 0, sizeof *ret);
    ret->type = n->number_type;
    ret->size = n->number_type->size;
    if (ret->size == 4)
        memcpy(ret->small, &f, 4);
    else if (ret->size == 8)
        memcpy(ret->small, &d, 8);
    else
        memcpy(ret->small, &n->real, 10);
}

static urd_err *evaluate(const struct evaluation *x, struct node *n, struct urd_value *ret)
{
    switch (n->kind) {
    case NODE_NUMBER:
        urd_debuginfo_value_integer(n->number_type, n->number, ret);
        return NULL;
    case NODE_FLOAT:
        evaluate_float(n, ret);
        return NULL;
    case NODE_STRING:
        evaluate_string(x, n, ret);
        return NULL;
    case NODE_NAME:
        return evaluate_name(x, n, ret);
    case NODE_REGISTER:
        return evaluate_register(x, n, ret);
    case NODE_RETVAL:
        if (!x->frame->retval)
            return urd_err_at(URD_ERROR(URD_ERR_QUESTION,
                                        "$retval is known only where a function returns whose "
                                        "type is known; $rax holds what others return"),
                              n->offset, NULL);
        urd_debuginfo_value_copy(x->frame->retval, ret);
        return NULL;
    case NODE_UNARY:
        return evaluate_unary(x, n, ret);
    case NODE_BINARY:
        return evaluate_binary(x, n, ret);
    case NODE_AND:
    case NODE_OR:
        return evaluate_logical(x, n, ret);
    case NODE_TERNARY:
        return evaluate_ternary(x, n, ret);
    case NODE_MEMBER:
        return evaluate_member(x, n, ret);
    case NODE_INDEX:
        return evaluate_index(x, n, ret);
    case NODE_SLICE:
        return evaluate_slice(x, n, ret);
    case NODE_CAST:
        return evaluate_cast(x, n, ret);
    case NODE_SIZEOF:
        return evaluate_sizeof(x, n, ret);
    }
    URD_FAIL("unknown node %d", n->kind);
}

static struct evaluation start(const struct urd_frame *frame)
{
    struct evaluation x = {.frame = frame};
    struct urd_place p;
    if (!frame->image)
        return x;
    if (!frame->no_registers && frame->pc &&
        urd_debuginfo_image_find(frame->image, frame->pc - frame->is_caller, &p)) {
        x.module = p.module;
        x.bias = p.bias;
        x.in_module = true;
    } else if (urd_debuginfo_image_count(frame->image)) {
        p = urd_debuginfo_image_module(frame->image, 0);
        x.module = p.module;
        x.bias = p.bias;
    }
    return x;
}

urd_err *urd_expr_locate(struct urd_expr *e, const struct urd_frame *frame, struct urd_value *ret)
{
    struct evaluation x = start(frame);
    struct urd_value v;
    URD_TRY(evaluate(&x, e->root, &v));
    *ret = v;
    return NULL;
}

urd_err *urd_expr_evaluate(struct urd_expr *e, const struct urd_frame *frame, struct urd_value *ret)
{
    struct urd_value v;
    URD_TRY(urd_expr_locate(e, frame, &v));
    if (urd_debuginfo_type_strip(v.type)->kind != URD_TYPE_FUNCTION)
        urd_debuginfo_value_fetch(frame, &v);
    *ret = v;
    return NULL;
}

urd_err *urd_expr_condition(struct urd_expr *e, const struct urd_frame *frame, bool *ret,
                            bool *ret_known)
{
    struct evaluation x = start(frame);
    struct urd_value v;
    bool truth = false, known = false;
    URD_TRY(evaluate(&x, e->root, &v));
    urd_err *err = urd_expr_truth(&x, e->root, &v, &truth, &known);
    urd_debuginfo_value_deinit(&v);
    if (err)
        return err;
    *ret = truth;
    if (ret_known)
        *ret_known = known;
    return NULL;
}
