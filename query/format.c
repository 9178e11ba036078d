#include "query/format.h"
#include "debuginfo/value_text.h"
#include <ctype.h>

struct piece {
    char *text; /* literal, or NULL */
    size_t size;
    struct urd_expr *expr;
    int64_t offset; /* of the expression within the format */
    char spec;
};

struct urd_format {
    struct piece *pieces;
    size_t n, cap, n_exprs;
};

/** Where an expression that begins at s ends: at its } or at the colon before a spec. Brackets,
 *  strings, :: and ?: are the expression's own. NULL: it does not end. */
static const char *expression_end(const char *s)
{
    int depth = 0, ternaries = 0;
    for (; *s; s++) {
        if (*s == '"' || *s == '\'') {
            char quote = *s++;
            while (*s && *s != quote)
                s += *s == '\\' && s[1] ? 2 : 1;
            if (!*s)
                return NULL;
        } else if (*s == '(' || *s == '[') {
            depth++;
        } else if (*s == ')' || *s == ']') {
            depth--;
        } else if (*s == '}') {
            return s;
        } else if (*s == '?') {
            ternaries++;
        } else if (*s == ':' && s[1] == ':') {
            s++;
        } else if (*s == ':' && depth <= 0) {
            if (!ternaries)
                return s;
            ternaries--;
        }
    }
    return NULL;
}

static void add_text(struct urd_format *f, struct urd_buf *text)
{
    if (!text->size)
        return;
    struct piece p = {.text = (char *)text->data, .size = text->size};
    URD_PUSH(f->pieces, f->n, f->cap) = p;
    *text = (struct urd_buf){0};
}

static urd_err *add_expression(struct urd_format *f, const char *all, const char **at)
{
    const char *start = *at + 1, *end = expression_end(start);
    if (!end)
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "a { without its }"), *at - all, "{{");
    struct piece p = {.offset = start - all};
    const char *spec = end;
    if (*end == ':') {
        spec = end + 1;
        while (*spec && *spec != '}')
            spec++;
        if (!*spec)
            return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "a { without its }"), *at - all, "{{");
        const char *first = end + 1;
        while (isspace((unsigned char)*first))
            first++;
        p.spec = *first;
        if (spec - first != 1 || !strchr("xducsfbpor", *first))
            return urd_err_at(URD_ERROR(URD_ERR_QUESTION,
                                        "a format is one of x d u c s f b p o r, not '%.*s'",
                                        (int)(spec - first), first),
                              first - all, "x");
    }
    char *text = urd_xprintf("%.*s", (int)(end - start), start);
    urd_err *err = urd_expr_parse(text, &p.expr);
    free(text);
    if (err) {
        if (err->offset >= 0)
            err->offset += p.offset;
        return err;
    }
    URD_PUSH(f->pieces, f->n, f->cap) = p;
    f->n_exprs++;
    *at = spec + 1;
    return NULL;
}

static void add_escape(const char **at, struct urd_buf *text)
{
    static const char letters[] = "nt\\\"e0ra", values[] = "\n\t\\\"\033\0\r\a";
    const char *p = (*at)[1] ? strchr(letters, (*at)[1]) : NULL;
    if (p) {
        urd_buf_u8(text, (uint8_t)values[p - letters]);
        *at += 2;
    } else {
        urd_buf_u8(text, '\\');
        *at += 1;
    }
}

static urd_err *parse(struct urd_format *f, const char *text, struct urd_buf *literal)
{
    for (const char *s = text; *s;) {
        if ((s[0] == '{' || s[0] == '}') && s[1] == s[0]) {
            urd_buf_u8(literal, (uint8_t)*s);
            s += 2;
        } else if (*s == '{') {
            add_text(f, literal);
            URD_TRY(add_expression(f, text, &s));
        } else if (*s == '}') {
            return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "a } without its {"), s - text, "}}");
        } else if (*s == '\\') {
            add_escape(&s, literal);
        } else {
            urd_buf_u8(literal, (uint8_t)*s++);
        }
    }
    add_text(f, literal);
    return NULL;
}

urd_err *urd_format_parse(const char *text, struct urd_format **ret)
{
    struct urd_format *f = urd_xcalloc(1, sizeof *f);
    struct urd_buf literal = {0};
    urd_err *err = parse(f, text, &literal);
    urd_buf_deinit(&literal);
    if (err) {
        urd_format_free(f);
        return err;
    }
    *ret = f;
    return NULL;
}

void urd_format_free(struct urd_format *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++) {
        free(f->pieces[i].text);
        urd_expr_free(f->pieces[i].expr);
    }
    free(f->pieces);
    free(f);
}

void urd_format_render(struct urd_format *f, const struct urd_frame *frame, struct urd_buf *out)
{
    for (size_t i = 0; i < f->n; i++) {
        struct piece *p = &f->pieces[i];
        struct urd_value v;
        if (p->text) {
            urd_buf_put(out, p->text, p->size);
            continue;
        }
        urd_err *err = urd_expr_locate(p->expr, frame, &v);
        if (err) {
            urd_buf_printf(out, "<%s>", err->message);
            urd_err_free(err);
            continue;
        }
        struct urd_text_options o = {.spec = p->spec};
        urd_debuginfo_value_text(frame, &v, &o, out);
        urd_debuginfo_value_deinit(&v);
    }
}

urd_err *urd_format_check(struct urd_format *f, const struct urd_frame *frame)
{
    for (size_t i = 0; i < f->n; i++) {
        struct urd_value v;
        if (f->pieces[i].text)
            continue;
        urd_err *err = urd_expr_locate(f->pieces[i].expr, frame, &v);
        if (err) {
            if (err->offset >= 0)
                err->offset += f->pieces[i].offset;
            return err;
        }
        urd_debuginfo_value_deinit(&v);
    }
    return NULL;
}

size_t urd_format_count(const struct urd_format *f)
{
    return f->n_exprs;
}

struct urd_expr *urd_format_expr(const struct urd_format *f, size_t i)
{
    for (size_t k = 0; k < f->n; k++)
        if (f->pieces[k].expr && !i--)
            return f->pieces[k].expr;
    return NULL;
}
