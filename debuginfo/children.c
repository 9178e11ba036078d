/* Values as trees that a UI opens level by level. */
#include "debuginfo/value_text.h"
#include "debuginfo/summary.h"
#include <ctype.h>
#include <stdio.h>

static const struct urd_type *pointee(const struct urd_value *v)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    if (t->kind != URD_TYPE_POINTER && t->kind != URD_TYPE_REFERENCE)
        return NULL;
    const struct urd_type *to = urd_debuginfo_type_strip(t->target);
    return to->kind == URD_TYPE_VOID || to->kind == URD_TYPE_FUNCTION ? NULL : t->target;
}

bool urd_debuginfo_has_children(const struct urd_value *v)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    uint64_t n = 0;
    size_t count;
    if (v->status != URD_VALUE_OK && v->status != URD_VALUE_TOO_LARGE)
        return false;
    if (t->kind == URD_TYPE_ARRAY)
        return v->size > 0;
    if (t->kind == URD_TYPE_STRUCT || t->kind == URD_TYPE_UNION)
        return urd_debuginfo_type_members(t, &count) && count;
    if (!pointee(v))
        return false;
    return v->lazy || (urd_debuginfo_value_to_u64(v, &n) && n);
}

/** Whether text can stand before a dot or bracket as it is. */
static bool is_postfix(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (p[0] == '-' && p[1] == '>')
            p++;
        else if (!isalnum((unsigned char)*p) && !strchr("_.$[]:'", *p))
            return false;
    }
    return true;
}

static void finish(const struct urd_frame *frame, struct urd_child *c)
{
    struct urd_buf out = {0};
    struct urd_text_options o = {.max_depth = 3, .max_bytes = 400, .max_elements = 100};
    struct urd_value copy;
    urd_debuginfo_value_copy(&c->value, &copy);
    urd_debuginfo_value_text(frame, &copy, &o, &out);
    urd_debuginfo_value_deinit(&copy);
    urd_buf_u8(&out, 0);
    c->text = (char *)out.data;
    c->type = urd_debuginfo_type_text(c->value.type);
    if (c->value.size <= 65536)
        urd_debuginfo_value_fetch(frame, &c->value);
    c->has_children = urd_debuginfo_has_children(&c->value);
}

static void members(const struct urd_frame *frame, const struct urd_value *v,
                    const char *expression, bool arrow, size_t first, size_t max,
                    struct urd_child *list, size_t *count, size_t *total)
{
    size_t n;
    const struct urd_member *m = urd_debuginfo_type_members(v->type, &n);
    bool plain = is_postfix(expression);
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        if (!urd_debuginfo_value_has(frame, v, &m[i]) || (*total)++ < first || *count == max)
            continue;
        struct urd_child *c = &list[(*count)++];
        if (m[i].is_base) {
            char *type = urd_debuginfo_type_text(m[i].type);
            c->name = urd_xprintf("<%s>", type);
            c->expression = arrow ? urd_xprintf("*(%s *)(%s)", type, expression)
                                  : urd_xprintf("*(%s *)&(%s)", type, expression);
            free(type);
        } else if (!m[i].name) {
            c->name = urd_xprintf("<anonymous>");
            c->expression =
                arrow ? urd_xprintf("(*%s)", expression) : urd_xprintf("%s", expression);
        } else {
            c->name = urd_xprintf("%s", m[i].name);
            c->expression = urd_xprintf("%s%s%s%s%s", plain ? "" : "(", expression,
                                        plain ? "" : ")", arrow ? "->" : ".", m[i].name);
        }
        urd_debuginfo_value_member(frame, v, &m[i], &c->value);
        finish(frame, c);
    }
}

static void elements(const struct urd_frame *frame, const struct urd_value *v,
                     const char *expression, size_t first, size_t max, struct urd_child *list,
                     size_t *count, size_t *total)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    uint64_t size = t->target ? t->target->size : 1;
    bool plain = is_postfix(expression);
    *total = size ? v->size / size : 0;
    for (size_t i = first; i < *total && *count < max; i++) {
        struct urd_child *c = &list[(*count)++];
        c->name = urd_xprintf("[%zu]", i);
        c->expression =
            urd_xprintf("%s%s%s[%zu]", plain ? "" : "(", expression, plain ? "" : ")", i);
        urd_debuginfo_value_part(frame, v, t->target, i * size, 0, 0, &c->value);
        finish(frame, c);
    }
}

/** Of a struct: its members; the elements of a library's vector, as v[i] is an expression. arrow: expression is a pointer to it. */
static void parts(const struct urd_frame *frame, const struct urd_value *v, const char *expression,
                  bool arrow, size_t first, size_t max, struct urd_child *list, size_t *count,
                  size_t *total)
{
    struct urd_summary s;
    bool has = urd_debuginfo_summary(frame, v, &s);
    urd_debuginfo_value_deinit(&s.pointer);
    if (!has || s.kind != URD_SUMMARY_ELEMENTS || !s.indexable) {
        members(frame, v, expression, arrow, first, max, list, count, total);
        return;
    }
    struct urd_value array;
    char *object = arrow ? urd_xprintf("*%s%s%s", is_postfix(expression) ? "" : "(", expression,
                                       is_postfix(expression) ? "" : ")")
                         : urd_xprintf("%s", expression);
    urd_debuginfo_summary_array(&s, &array);
    elements(frame, &array, object, first, max, list, count, total);
    urd_debuginfo_value_deinit(&array);
    free(object);
}

void urd_debuginfo_children(const struct urd_frame *frame, struct urd_value *v,
                            const char *expression, size_t first, size_t max,
                            struct urd_child **ret, size_t *ret_count, size_t *ret_total)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type), *to;
    size_t count = 0, total = 0;
    if (max > 10000)
        max = 10000;
    struct urd_child *list = urd_xcalloc(max, sizeof *list);
    if (t->kind == URD_TYPE_STRUCT || t->kind == URD_TYPE_UNION) {
        parts(frame, v, expression, false, first, max, list, &count, &total);
    } else if (t->kind == URD_TYPE_ARRAY) {
        elements(frame, v, expression, first, max, list, &count, &total);
    } else if ((to = pointee(v))) {
        uint64_t address = 0;
        struct urd_value target;
        urd_debuginfo_value_fetch(frame, v);
        const struct urd_type *s = urd_debuginfo_type_strip(to);
        if (urd_debuginfo_value_to_u64(v, &address) && address) {
            urd_debuginfo_value_at(to, address, &target);
            if (s->kind == URD_TYPE_STRUCT || s->kind == URD_TYPE_UNION) {
                parts(frame, &target, expression, t->kind == URD_TYPE_POINTER, first, max, list,
                      &count, &total);
            } else {
                total = 1;
                if (!first && max) {
                    struct urd_child *c = &list[count++];
                    c->name = urd_xprintf("*%s", is_postfix(expression) ? expression : "");
                    c->expression = t->kind == URD_TYPE_REFERENCE ? urd_xprintf("%s", expression)
                                    : is_postfix(expression)      ? urd_xprintf("*%s", expression)
                                                             : urd_xprintf("*(%s)", expression);
                    c->value = target;
                    finish(frame, c);
                }
            }
        }
    }
    *ret = list;
    *ret_count = count;
    *ret_total = total;
}

void urd_debuginfo_children_free(struct urd_child *children, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(children[i].name);
        free(children[i].type);
        free(children[i].text);
        free(children[i].expression);
        urd_debuginfo_value_deinit(&children[i].value);
    }
    free(children);
}
