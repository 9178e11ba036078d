/* The grammar is C's, less assignment and calls, and with gdb's @ and $register. */
#include "query/expr_private.h"
#include <ctype.h>
#include <stdio.h>

#define MAX_NESTING 100

struct parser {
    struct urd_expr *e;
    const char *text, *at;
    int nesting;
};

static urd_err *parse_expression(struct parser *p, int level, struct node **ret);
static urd_err *parse_unary(struct parser *p, struct node **ret);

static int64_t position(struct parser *p, const char *at)
{
    return at - p->text;
}

static void skip(struct parser *p)
{
    while (isspace((unsigned char)*p->at))
        p->at++;
}

static bool take(struct parser *p, const char *token)
{
    skip(p);
    size_t n = strlen(token);
    if (strncmp(p->at, token, n))
        return false;
    p->at += n;
    return true;
}

static struct node *add(struct parser *p, enum node_kind kind, const char *at)
{
    struct node *n = urd_xcalloc(1, sizeof *n);
    n->kind = kind;
    n->offset = position(p, at);
    n->next = p->e->nodes;
    p->e->nodes = n;
    return n;
}

static bool starts_name(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static size_t name_length(const char *s)
{
    size_t n = 0;
    while (starts_name(s[n]) || (n && isdigit((unsigned char)s[n])) || (n && s[n] == '$'))
        n++;
    return n;
}

static urd_err *wrong(struct parser *p, const char *at, const char *what)
{
    if (!*at)
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "%s, but the expression ends here", what),
                          position(p, at), NULL);
    return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "%s at '%.12s'", what, at), position(p, at),
                      NULL);
}

/* ---- literals ---- */

static int escape(const char **at)
{
    const char *s = *at;
    int c = (unsigned char)*s++;
    static const char letters[] = "abtnvfre0", values[] = "\a\b\t\n\v\f\r\033";
    if (c >= '0' && c <= '7') {
        c -= '0';
        for (int i = 0; i < 2 && *s >= '0' && *s <= '7'; i++)
            c = c * 8 + (*s++ - '0');
    } else if (c == 'x' && isxdigit((unsigned char)*s)) {
        char *end;
        c = (int)strtoul(s, &end, 16);
        s = end;
    } else if (c && strchr(letters, c)) {
        c = values[strchr(letters, c) - letters];
    }
    *at = s;
    return c & 0xff;
}

static urd_err *parse_number(struct parser *p, struct node **ret)
{
    const char *start = p->at;
    char *end, *float_end;
    bool hex = start[0] == '0' && (start[1] == 'x' || start[1] == 'X');
    uint64_t v = start[0] == '0' && (start[1] == 'b' || start[1] == 'B')
                     ? strtoull(start + 2, &end, 2)
                     : strtoull(start, &end, 0);
    long double d = strtold(start, &float_end);
    if (!hex && float_end > end && strpbrk(start, ".eE") && strpbrk(start, ".eE") < float_end) {
        struct node *n = add(p, NODE_FLOAT, start);
        n->real = d;
        bool f = *float_end == 'f' || *float_end == 'F';
        bool l = *float_end == 'l' || *float_end == 'L';
        p->at = float_end + (f || l);
        n->number_type = urd_debuginfo_type_builtin(f ? "float" : l ? "long double" : "double");
        *ret = n;
    } else {
        struct node *n = add(p, NODE_NUMBER, start);
        n->number = v;
        bool u = false, l = false;
        p->at = end;
        for (; *p->at && strchr("uUlL", *p->at); p->at++) {
            u |= *p->at == 'u' || *p->at == 'U';
            l |= *p->at == 'l' || *p->at == 'L';
        }
        bool decimal = start[0] != '0';
        const char *type = "int";
        if (u)
            type = l || v > UINT32_MAX ? "unsigned long" : "unsigned int";
        else if (v > INT64_MAX)
            type = "unsigned long";
        else if (l || v > UINT32_MAX || (decimal && v > INT32_MAX))
            type = "long";
        else if (v > INT32_MAX)
            type = "unsigned int";
        n->number_type = urd_debuginfo_type_builtin(type);
        *ret = n;
    }
    if (starts_name(*p->at) || isdigit((unsigned char)*p->at))
        return wrong(p, p->at, "not a number");
    return NULL;
}

static urd_err *parse_string(struct parser *p, struct node **ret)
{
    struct node *n = add(p, NODE_STRING, p->at);
    struct urd_buf b = {0};
    const char *start = p->at++;
    while (*p->at && *p->at != '"') {
        int c = (unsigned char)*p->at++;
        urd_buf_u8(&b, (uint8_t)(c == '\\' && *p->at ? escape(&p->at) : c));
    }
    n->size = b.size;
    urd_buf_u8(&b, 0);
    n->text = (char *)b.data;
    if (*p->at != '"')
        return wrong(p, start, "a string without its end");
    p->at++;
    *ret = n;
    return NULL;
}

/* ---- names ---- */

/** x, ns::x, 'file.c'::x, f::x, ::x, 'any name'. */
static urd_err *parse_name(struct parser *p, struct node **ret)
{
    struct node *n = add(p, NODE_NAME, p->at);
    struct urd_buf b = {0};
    const char *start = p->at;
    take(p, "::");
    if (*p->at == '\'') {
        const char *end = strchr(p->at + 1, '\'');
        if (!end)
            return wrong(p, start, "a quote without its end");
        char *quoted = urd_xprintf("%.*s", (int)(end - p->at - 1), p->at + 1);
        p->at = end + 1;
        skip(p);
        if (!strncmp(p->at, "::", 2) && (strchr(quoted, '.') || strchr(quoted, '/'))) {
            n->file = quoted;
            take(p, "::");
            skip(p);
        } else {
            urd_buf_printf(&b, "%s", quoted);
            free(quoted);
        }
    }
    while (!b.size || take(p, "::")) {
        skip(p);
        size_t k = name_length(p->at);
        if (!k) {
            urd_buf_deinit(&b);
            return wrong(p, p->at, "a name is missing");
        }
        urd_buf_printf(&b, "%s%.*s", b.size ? "::" : "", (int)k, p->at);
        p->at += k;
        /* template arguments, when :: follows: Foo<int>::x */
        const char *q = p->at;
        int depth = 0;
        if (*q == '<')
            do {
                depth += *q == '<';
                depth -= *q == '>';
            } while (*q++ && depth);
        if (depth == 0 && q > p->at && !strncmp(q, "::", 2)) {
            urd_buf_put(&b, p->at, (size_t)(q - p->at));
            p->at = q;
        }
        const char *here = p->at;
        skip(p);
        if (strncmp(p->at, "::", 2)) {
            p->at = here;
            break;
        }
    }
    urd_buf_u8(&b, 0);
    n->text = (char *)b.data;
    *ret = n;
    return NULL;
}

static urd_err *parse_register(struct parser *p, struct node **ret)
{
    const char *start = p->at++;
    size_t k = 0;
    while (isalnum((unsigned char)p->at[k]) || p->at[k] == '_')
        k++;
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)k, p->at);
    p->at += k;
    p->e->names_registers = true;
    if (!strcmp(name, "retval") || !strcmp(name, "return")) {
        *ret = add(p, NODE_RETVAL, start);
        return NULL;
    }
    struct node *n = add(p, NODE_REGISTER, start);
    n->text = urd_xprintf("%s", name);
    if (!urd_expr_register(name, &n->reg, &n->reg_size, &n->reg_shift)) {
        char with[40];
        const char *near = urd_expr_nearest_register(name);
        snprintf(with, sizeof with, "$%s", near ? near : "");
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "there is no register $%s", name),
                          position(p, start), near ? with : NULL);
    }
    *ret = n;
    return NULL;
}

/* ---- types ---- */

static const char *const type_words[] = {
    "struct", "union", "enum",   "class", "unsigned", "signed", "long",  "short",    "int",
    "char",   "float", "double", "void",  "_Bool",    "bool",   "const", "volatile", "__int128"};

static bool is_type_word(const char *s, size_t n)
{
    for (size_t i = 0; i < sizeof type_words / sizeof *type_words; i++)
        if (strlen(type_words[i]) == n && !strncmp(s, type_words[i], n))
            return true;
    return false;
}

static bool is_tag_word(const char *s, size_t n)
{
    return (n == 6 && !strncmp(s, "struct", 6)) || (n == 5 && !strncmp(s, "union", 5)) ||
           (n == 4 && !strncmp(s, "enum", 4)) || (n == 5 && !strncmp(s, "class", 5));
}

/**
 * Try to read a type up to `)`. Returns NULL and leaves the position when there is none. *sure: it
 * can be nothing but a type.
 */
static struct type_name *try_type(struct parser *p, char end, bool *sure)
{
    const char *start = p->at;
    struct urd_buf b = {0};
    struct type_name t = {.offset = position(p, p->at)};
    bool named = false, words = false, tag = false;
    for (;;) {
        skip(p);
        size_t k = name_length(p->at);
        if (!k)
            break;
        bool word = is_type_word(p->at, k);
        bool qualifier =
            (k == 5 && !strncmp(p->at, "const", 5)) || (k == 8 && !strncmp(p->at, "volatile", 8));
        if (qualifier) {
            words = true;
            p->at += k;
            continue;
        }
        if (!word && (named || (words && b.size && !tag)))
            break;
        urd_buf_printf(&b, "%s%.*s", b.size ? " " : "", (int)k, p->at);
        words |= word;
        tag |= word && is_tag_word(p->at, k);
        named |= !word;
        p->at += k;
        while (!word && !strncmp(p->at, "::", 2) && name_length(p->at + 2)) {
            k = name_length(p->at + 2);
            urd_buf_printf(&b, "::%.*s", (int)k, p->at + 2);
            p->at += 2 + k;
        }
        if (!word && *p->at == '<') { /* template arguments */
            const char *q = p->at;
            int depth = 0;
            do {
                depth += *q == '<';
                depth -= *q == '>';
            } while (*q++ && depth);
            if (!depth) {
                urd_buf_put(&b, p->at, (size_t)(q - p->at));
                p->at = q;
            }
        }
    }
    while (b.size && t.n < 8) {
        if (take(p, "(*)")) {
            t.suffix[t.n++].kind = '*';
            t.function = true;
            skip(p);
            int depth = 0;
            if (*p->at == '(')
                do {
                    depth += *p->at == '(';
                    depth -= *p->at == ')';
                } while (*p->at++ && depth && *p->at);
            if (*p->at == ')' && depth)
                p->at++;
        } else if (take(p, "*") || take(p, "&")) {
            t.suffix[t.n++].kind = p->at[-1];
            words = true;
        } else if (take(p, "const") || take(p, "volatile")) {
            continue;
        } else if (take(p, "[")) {
            char *end;
            t.suffix[t.n].count = strtoull(p->at, &end, 0);
            p->at = end;
            t.suffix[t.n++].kind = '[';
            if (!take(p, "]"))
                break;
        } else {
            break;
        }
    }
    skip(p);
    if (!b.size || *p->at != end || p->e->n_types == 32) {
        urd_buf_deinit(&b);
        p->at = start;
        return NULL;
    }
    urd_buf_u8(&b, 0);
    t.base = (char *)b.data;
    size_t len = strlen(t.base);
    *sure =
        words || urd_debuginfo_type_builtin(t.base) || (len > 2 && !strcmp(t.base + len - 2, "_t"));
    struct type_name *kept = urd_xcalloc(1, sizeof *kept);
    *kept = t;
    p->e->types[p->e->n_types++] = kept;
    return kept;
}

static bool starts_operand(const char *s)
{
    return starts_name(*s) || isdigit((unsigned char)*s) || *s == '$' || *s == '"' || *s == '\'' ||
           *s == '~' || *s == '(' || (*s == '!' && s[1] != '=');
}

/* ---- expressions ---- */

/** static_cast<T>(a) and its kin; *ret NULL: it is none. */
static urd_err *parse_named_cast(struct parser *p, struct node **ret)
{
    const char *start = p->at;
    size_t k = name_length(start);
    *ret = NULL;
    if (k < 5 || strncmp(start + k - 5, "_cast", 5) || start[k + strspn(start + k, " ")] != '<')
        return NULL;
    bool reinterprets = k == 16 && !strncmp(start, "reinterpret_cast", k);
    if (k == 12 && !strncmp(start, "dynamic_cast", k))
        return urd_err_hint(wrong(p, start, "dynamic_cast is not supported"),
                            "(T *)p converts without a look at what the object is");
    if (!reinterprets && strncmp(start, "static_cast", k) && strncmp(start, "const_cast", k))
        return NULL;
    p->at += k;
    take(p, "<");
    bool sure;
    struct node *n = add(p, NODE_CAST, start);
    n->type = try_type(p, '>', &sure);
    n->op = reinterprets ? 'r' : 0;
    if (!n->type)
        return wrong(p, p->at, "a type is missing");
    if (!take(p, ">") || !take(p, "("))
        return wrong(p, p->at, "a ( is missing");
    URD_TRY(parse_expression(p, 0, &n->a));
    if (!take(p, ")"))
        return wrong(p, p->at, "a ) is missing");
    *ret = n;
    return NULL;
}

static urd_err *parse_primary(struct parser *p, struct node **ret)
{
    skip(p);
    const char *start = p->at;
    if (take(p, "(")) {
        URD_TRY(parse_expression(p, 0, ret));
        if (!take(p, ")"))
            return wrong(p, p->at, "a ) is missing");
        return NULL;
    }
    if (isdigit((unsigned char)*start) || (*start == '.' && isdigit((unsigned char)start[1])))
        return parse_number(p, ret);
    if (*start == '"')
        return parse_string(p, ret);
    if (*start == '$')
        return parse_register(p, ret);
    if (*start == '\'') { /* one character, or a quoted name */
        const char *q = start + 1;
        int c = (unsigned char)*q;
        if (c)
            q++;
        if (c == '\\' && *q)
            c = escape(&q);
        if (*q == '\'' && c && !(q[1] == ':' && q[2] == ':')) {
            struct node *n = add(p, NODE_NUMBER, start);
            n->number = (uint64_t)(int64_t)(int8_t)c;
            n->number_type = urd_debuginfo_type_builtin("char");
            p->at = q + 1;
            *ret = n;
            return NULL;
        }
        return parse_name(p, ret);
    }
    URD_TRY(parse_named_cast(p, ret));
    if (*ret)
        return NULL;
    if (starts_name(*start) || !strncmp(start, "::", 2))
        return parse_name(p, ret);
    return wrong(p, start, "an operand is missing");
}

static urd_err *parse_postfix(struct parser *p, struct node **ret)
{
    struct node *a;
    URD_TRY(parse_primary(p, &a));
    for (;;) {
        skip(p);
        const char *start = p->at;
        bool arrow = !strncmp(start, "->", 2);
        if (arrow || (*start == '.' && !isdigit((unsigned char)start[1]))) {
            p->at += arrow ? 2 : 1;
            skip(p);
            size_t k = name_length(p->at);
            struct node *n = add(p, NODE_MEMBER, p->at);
            n->op = arrow ? '>' : '.';
            n->a = a;
            if (!k)
                return wrong(p, p->at, "the name of a member is missing");
            n->text = urd_xprintf("%.*s", (int)k, p->at);
            p->at += k;
            a = n;
        } else if (*start == '[') {
            p->at++;
            struct node *n = add(p, NODE_INDEX, start);
            n->a = a;
            URD_TRY(parse_expression(p, 0, &n->b));
            if (!take(p, "]"))
                return wrong(p, p->at, "a ] is missing");
            a = n;
        } else if (*start == '(') {
            return urd_err_at(
                URD_ERROR(URD_ERR_QUESTION, "functions cannot be called in a recording"),
                position(p, start), NULL);
        } else if (!strncmp(start, "++", 2) || !strncmp(start, "--", 2)) {
            return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "a recording cannot be changed"),
                              position(p, start), NULL);
        } else {
            *ret = a;
            return NULL;
        }
    }
}

static urd_err *parse_sizeof(struct parser *p, const char *start, struct node **ret)
{
    struct node *n = add(p, NODE_SIZEOF, start);
    *ret = n;
    skip(p);
    const char *here = p->at;
    if (take(p, "(")) {
        bool sure = false;
        struct type_name *t = try_type(p, ')', &sure);
        if (t && take(p, ")")) {
            skip(p);
            bool more = *p->at == '.' || *p->at == '[' || !strncmp(p->at, "->", 2);
            if (sure || !more) {
                n->type = t; /* a name may still be a variable: evaluation tries that first */
                if (sure)
                    return NULL;
                p->at = here;
                return parse_unary(p, &n->a);
            }
        }
        p->at = here;
    }
    return parse_unary(p, &n->a);
}

static urd_err *parse_unary_inner(struct parser *p, struct node **ret)
{
    skip(p);
    const char *start = p->at;
    if (!strncmp(start, "++", 2) || !strncmp(start, "--", 2))
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "a recording cannot be changed"),
                          position(p, start), NULL);
    if (*start && strchr("-+!~*&", *start) && strncmp(start, "&&", 2)) {
        struct node *n = add(p, NODE_UNARY, start);
        n->op = *start;
        p->at++;
        *ret = n;
        return parse_unary(p, &n->a);
    }
    if (!strncmp(start, "sizeof", 6) && name_length(start) == 6) {
        p->at += 6;
        return parse_sizeof(p, start, ret);
    }
    if (*start == '(') {
        p->at++;
        bool sure = false;
        struct type_name *t = try_type(p, ')', &sure);
        if (t) {
            take(p, ")");
            skip(p);
            if (sure || starts_operand(p->at)) {
                struct node *n = add(p, NODE_CAST, start);
                n->type = t;
                *ret = n;
                return parse_unary(p, &n->a);
            }
        }
        p->at = start;
    }
    return parse_postfix(p, ret);
}

static urd_err *parse_unary(struct parser *p, struct node **ret)
{
    if (++p->nesting > MAX_NESTING)
        return wrong(p, p->at, "nested too deeply");
    urd_err *err = parse_unary_inner(p, ret);
    p->nesting--;
    return err;
}

static const struct binary {
    const char *token;
    int op, level;
} binaries[] = {
    {"||", 0, 1},      {"&&", 0, 2},     {"==", OP_EQ, 6}, {"!=", OP_NE, 6}, {"<<", OP_SHL, 8},
    {">>", OP_SHR, 8}, {"<=", OP_LE, 7}, {">=", OP_GE, 7}, {"|", '|', 3},    {"^", '^', 4},
    {"&", '&', 5},     {"<", '<', 7},    {">", '>', 7},    {"@", '@', 9},    {"+", '+', 10},
    {"-", '-', 10},    {"*", '*', 11},   {"/", '/', 11},   {"%", '%', 11},
};

static const struct binary *next_binary(struct parser *p)
{
    skip(p);
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++)
        if (!strncmp(p->at, binaries[i].token, strlen(binaries[i].token)))
            return &binaries[i];
    return NULL;
}

static urd_err *parse_expression_inner(struct parser *p, int level, struct node **ret)
{
    struct node *a;
    const struct binary *b;
    URD_TRY(parse_unary(p, &a));
    while ((b = next_binary(p)) && b->level >= level) {
        const char *start = p->at;
        p->at += strlen(b->token);
        if (*p->at == '=' && b->op != OP_EQ && b->op != OP_NE && b->op != OP_LE && b->op != OP_GE)
            return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "a recording cannot be changed"),
                              position(p, start), NULL);
        struct node *n = add(p,
                             b->op == '@'    ? NODE_SLICE
                             : b->level == 1 ? NODE_OR
                             : b->level == 2 ? NODE_AND
                                             : NODE_BINARY,
                             start);
        n->op = b->op;
        n->a = a;
        URD_TRY(parse_expression(p, b->level + 1, &n->b));
        a = n;
    }
    if (level == 0 && take(p, "?")) {
        struct node *n = add(p, NODE_TERNARY, p->at - 1);
        n->a = a;
        URD_TRY(parse_expression(p, 0, &n->b));
        if (!take(p, ":"))
            return wrong(p, p->at, "the : of a ?: is missing");
        URD_TRY(parse_expression(p, 0, &n->c));
        a = n;
    }
    *ret = a;
    return NULL;
}

static urd_err *parse_expression(struct parser *p, int level, struct node **ret)
{
    if (++p->nesting > MAX_NESTING)
        return wrong(p, p->at, "nested too deeply");
    urd_err *err = parse_expression_inner(p, level, ret);
    p->nesting--;
    return err;
}

static urd_err *parse_all(struct parser *p)
{
    URD_TRY(parse_expression(p, 0, &p->e->root));
    skip(p);
    if (*p->at == '=')
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "a recording cannot be changed"),
                          position(p, p->at), "==");
    if (*p->at)
        return wrong(p, p->at, "an operator is missing");
    return NULL;
}

urd_err *urd_expr_parse(const char *text, struct urd_expr **ret)
{
    struct urd_expr *e = urd_xcalloc(1, sizeof *e);
    e->text = urd_xprintf("%s", text);
    struct parser p = {e, e->text, e->text, 0};
    urd_err *err = parse_all(&p);
    if (err) {
        urd_expr_free(e);
        return err;
    }
    *ret = e;
    return NULL;
}

void urd_expr_free(struct urd_expr *e)
{
    if (!e)
        return;
    for (struct node *n = e->nodes, *next; n; n = next) {
        next = n->next;
        for (size_t i = 0; i < n->bindings.capacity; i++)
            if (n->bindings.slots[i].used == 1)
                free((void *)(uintptr_t)n->bindings.slots[i].value);
        urd_map_deinit(&n->bindings);
        free(n->text);
        free(n->file);
        free(n->function);
        free(n);
    }
    for (int i = 0; i < e->n_types; i++) {
        free(e->types[i]->base);
        free(e->types[i]);
    }
    free(e->text);
    free(e);
}

const char *urd_expr_text(const struct urd_expr *e)
{
    return e->text;
}

bool urd_expr_names_registers(const struct urd_expr *e)
{
    return e->names_registers;
}

bool urd_expr_is_plain(const struct urd_expr *e)
{
    const struct urd_type *own;
    for (const struct node *n = e->nodes; n; n = n->next)
        if (n->kind == NODE_NAME || n->kind == NODE_REGISTER || n->kind == NODE_RETVAL ||
            n->kind == NODE_STRING || n->kind == NODE_MEMBER)
            return false;
    for (int i = 0; i < e->n_types; i++)
        if (!(own = urd_expr_own_type(e->types[i]->base)) ||
            (own->kind != URD_TYPE_INT && own->kind != URD_TYPE_CHAR))
            return false;
    return true;
}
