/* From names to what they mean at a place: locals, members of *this, globals, enumerators,
 * functions, ELF symbols; once per pc. */
#include "query/expr_private.h"
#include <stdio.h>

/* ---- registers ---- */

static const struct reg {
    const char *name;
    uint8_t reg, size, shift;
} registers[] = {
    {"rax", 0, 8, 0},     {"rdx", 1, 8, 0},      {"rcx", 2, 8, 0},      {"rbx", 3, 8, 0},
    {"rsi", 4, 8, 0},     {"rdi", 5, 8, 0},      {"rbp", 6, 8, 0},      {"rsp", 7, 8, 0},
    {"eax", 0, 4, 0},     {"edx", 1, 4, 0},      {"ecx", 2, 4, 0},      {"ebx", 3, 4, 0},
    {"esi", 4, 4, 0},     {"edi", 5, 4, 0},      {"ebp", 6, 4, 0},      {"esp", 7, 4, 0},
    {"ax", 0, 2, 0},      {"dx", 1, 2, 0},       {"cx", 2, 2, 0},       {"bx", 3, 2, 0},
    {"si", 4, 2, 0},      {"di", 5, 2, 0},       {"bp", 6, 2, 0},       {"al", 0, 1, 0},
    {"dl", 1, 1, 0},      {"cl", 2, 1, 0},       {"bl", 3, 1, 0},       {"sil", 4, 1, 0},
    {"dil", 5, 1, 0},     {"bpl", 6, 1, 0},      {"spl", 7, 1, 0},      {"ah", 0, 1, 8},
    {"dh", 1, 1, 8},      {"ch", 2, 1, 8},       {"bh", 3, 1, 8},       {"rip", 16, 8, 0},
    {"pc", 16, 8, 0},     {"sp", 7, 8, 0},       {"fp", 6, 8, 0},       {"eflags", 49, 4, 0},
    {"rflags", 49, 8, 0}, {"fs_base", 58, 8, 0}, {"gs_base", 59, 8, 0},
};

bool urd_expr_register(const char *name, unsigned *reg, unsigned *size, unsigned *shift)
{
    unsigned n;
    int used = 0;
    *shift = 0;
    for (size_t i = 0; i < sizeof registers / sizeof *registers; i++)
        if (!strcmp(registers[i].name, name)) {
            *reg = registers[i].reg;
            *size = registers[i].size;
            *shift = registers[i].shift;
            return true;
        }
    if (name[0] == 'r' && sscanf(name + 1, "%2u%n", &n, &used) == 1 && n >= 8 && n < 16) {
        const char *rest = name + 1 + used;
        *reg = n;
        *size = !*rest                                     ? 8
                : !strcmp(rest, "d")                       ? 4
                : !strcmp(rest, "w")                       ? 2
                : !strcmp(rest, "b") || !strcmp(rest, "l") ? 1
                                                           : 0;
        return *size;
    }
    if (sscanf(name, "%*1[xyz]mm%2u%n", &n, &used) == 1 && !name[used] && n < 32) {
        *reg = n < 16 ? URD_DW_XMM0 + n : 67 + n - 16;
        *size = name[0] == 'x' ? 16 : name[0] == 'y' ? 32 : 64;
        return true;
    }
    if (sscanf(name, "st%1u%n", &n, &used) == 1 && !name[used] && n < 8) {
        *reg = URD_DW_ST0 + n;
        *size = 10;
        return true;
    }
    return false;
}

const char *urd_expr_nearest_register(const char *name)
{
    const char *best = NULL;
    unsigned least = 3;
    for (size_t i = 0; i < sizeof registers / sizeof *registers; i++) {
        unsigned d = urd_debuginfo_edit_distance(name, registers[i].name, least - 1);
        if (d < least) {
            least = d;
            best = registers[i].name;
        }
    }
    return best;
}

/* ---- members ---- */

static bool find_member(const struct urd_type *t, const char *name, int depth,
                        struct urd_member *ret)
{
    size_t n;
    const struct urd_member *m = urd_debuginfo_type_members(t, &n);
    for (size_t i = 0; i < n; i++)
        if (m[i].name && !m[i].is_base && !strcmp(m[i].name, name)) {
            *ret = m[i];
            return true;
        }
    for (size_t i = 0; i < n && depth < 16; i++)
        if ((!m[i].name || m[i].is_base) && !m[i].is_virtual_base &&
            find_member(m[i].type, name, depth + 1, ret)) {
            ret->offset += m[i].offset;
            return true;
        }
    return false;
}

bool urd_expr_has_member(const struct urd_type *t, const char *name)
{
    struct urd_member ignored;
    size_t n;
    if (urd_expr_member(t, name, &ignored))
        return true;
    const struct urd_member *m = urd_debuginfo_type_members(urd_debuginfo_type_strip(t), &n);
    bool has = false;
    for (size_t i = 0; i < n && !has; i++) /* a class is no base of itself: this ends */
        has = m[i].is_base && urd_expr_has_member(m[i].type, name);
    return has;
}

bool urd_expr_member(const struct urd_type *t, const char *name, struct urd_member *ret)
{
    return find_member(t, name, 0, ret);
}

static void near_member(const struct urd_type *t, const char *name, int depth, unsigned *least,
                        const char **best)
{
    size_t n;
    const struct urd_member *m = urd_debuginfo_type_members(t, &n);
    for (size_t i = 0; i < n; i++) {
        if (m[i].name && *least) {
            unsigned d = urd_debuginfo_edit_distance(name, m[i].name, *least - 1);
            if (d < *least) {
                *least = d;
                *best = m[i].name;
            }
        } else if (!m[i].name && depth < 8) {
            near_member(m[i].type, name, depth + 1, least, best);
        }
    }
}

const char *urd_expr_nearest_member(const struct urd_type *t, const char *name)
{
    const char *best = NULL;
    unsigned least = 4;
    near_member(t, name, 0, &least, &best);
    return best;
}

/* ---- types ---- */

const struct urd_type *urd_expr_own_type(const char *name)
{
    static const struct {
        const char *written, *meant;
    } same[] = {{"unsigned", "unsigned int"},
                {"long int", "long"},
                {"unsigned long int", "unsigned long"},
                {"short int", "short"},
                {"long unsigned int", "unsigned long"},
                {"signed", "int"},
                {"unsigned short int", "unsigned short"},
                {"long long int", "long long"}};
    const struct urd_type *t = urd_debuginfo_type_builtin(name);
    for (size_t i = 0; !t && i < sizeof same / sizeof *same; i++)
        if (!strcmp(same[i].written, name))
            t = urd_debuginfo_type_builtin(same[i].meant);
    return t;
}

static const struct urd_type *find_type(const struct evaluation *x, const char *name)
{
    const struct urd_type *t = x->module ? urd_debuginfo_type_named(x->module, name) : NULL;
    const struct urd_image *image = x->frame->image;
    for (size_t i = 0; image && !t && i < urd_debuginfo_image_count(image); i++) {
        struct urd_module *m = urd_debuginfo_image_module(image, i).module;
        if (m != x->module)
            t = urd_debuginfo_type_named(m, name);
    }
    return t ? t : urd_expr_own_type(name);
}

urd_err *urd_expr_type(const struct evaluation *x, struct type_name *t, const struct urd_type **ret)
{
    uint64_t generation = x->frame->image ? urd_debuginfo_image_generation(x->frame->image) : 1;
    if (t->generation == generation) {
        *ret = t->type;
        return NULL;
    }
    const struct urd_type *found = find_type(x, t->base);
    if (!found)
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "there is no type named %s", t->base),
                          t->offset, NULL);
    for (int i = 0; i < t->n; i++)
        found = t->suffix[i].kind == '['
                    ? urd_debuginfo_type_array_of(x->module, found, t->suffix[i].count)
                    : urd_debuginfo_type_pointer_to(x->module, found);
    t->type = found;
    t->generation = generation;
    *ret = found;
    return NULL;
}

/* ---- names ---- */

/** inner: only what belongs to the frame's function, inlined or not; else only the functions
 *  that it was inlined into, whose names globals hide. */
static bool bind_local(const struct evaluation *x, const struct node *n, bool inner,
                       struct binding *b)
{
    const struct urd_variable **list;
    size_t count;
    bool found = false;
    if (!x->in_module || n->file || strstr(n->text, "::"))
        return false;
    uint64_t pc = x->frame->pc - x->frame->is_caller - x->bias;
    unsigned nesting = urd_debuginfo_nesting(x->frame, x->module, pc);
    urd_debuginfo_variables_at(x->module, pc, &list, &count);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (inner ? list[i]->nesting == nesting : list[i]->nesting < nesting)
            list[kept++] = list[i];
    count = kept;
    /* the first is innermost; of those in one block the last one with a place */
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i]->name, n->text) && strcmp(list[i]->qualified, n->text))
            continue;
        if (found && (list[i]->depth != b->variable->depth || b->variable->has_location))
            continue;
        if (!found || list[i]->has_location) {
            *b = (struct binding){
                .kind = BIND_VARIABLE, .variable = list[i], .bias = x->bias, .module = x->module};
            found = true;
        }
    }
    for (size_t i = 0; i < count && !found; i++) { /* members of *this */
        if (strcmp(list[i]->name, "this") || !list[i]->type)
            continue;
        const struct urd_type *t = urd_debuginfo_type_strip(list[i]->type);
        if (t->kind == URD_TYPE_POINTER && urd_expr_has_member(t->target, n->text)) {
            *b = (struct binding){
                .kind = BIND_MEMBER, .variable = list[i], .bias = x->bias, .module = x->module};
            found = true;
        }
        break;
    }
    free(list);
    return found;
}

/** A variable of the executable takes the place of a library's by a copy relocation. */
static void follow_copy(const struct evaluation *x, struct binding *b)
{
    const struct urd_image *image = x->frame->image;
    if (!b->variable->external || urd_debuginfo_module_is_executable(b->module))
        return;
    for (size_t i = 0; i < urd_debuginfo_image_count(image); i++) {
        struct urd_place p = urd_debuginfo_image_module(image, i);
        if (p.module == b->module || !urd_debuginfo_module_is_executable(p.module))
            continue;
        const struct urd_symbol *s = urd_debuginfo_symbol_named(p.module, b->variable->name);
        if (s && s->global && s->kind == URD_SYMBOL_OBJECT) {
            b->address = s->address + p.bias;
            b->type = b->variable->type;
        }
    }
}

/** external: not what is static to one file. */
static bool bind_global(struct urd_place p, uint64_t near, bool external, const struct node *n,
                        struct binding *b)
{
    const struct urd_variable *v =
        urd_debuginfo_global_named(p.module, n->text, near, n->file, NULL);
    const char *last = NULL;
    for (const char *q = n->text; (q = strstr(q, "::")); q += 2)
        last = q;
    if (!v && last) { /* function::static */
        char *function = urd_xprintf("%.*s", (int)(last - n->text), n->text);
        v = urd_debuginfo_global_named(p.module, last + 2, near, n->file, function);
        free(function);
    }
    struct urd_line here;
    bool same_file = v && v->file && near && urd_debuginfo_line_at(p.module, near, &here) &&
                     !strcmp(here.file, v->file);
    if (!v || (external && !v->external && !same_file && !n->file && !last))
        return false;
    *b = (struct binding){.kind = BIND_VARIABLE, .variable = v, .bias = p.bias, .module = p.module};
    return true;
}

static bool bind_constant(struct urd_place p, const struct node *n, struct binding *b)
{
    const struct urd_type *t;
    int64_t number;
    if (n->file || !urd_debuginfo_constant_named(p.module, n->text, &t, &number))
        return false;
    *b = (struct binding){.kind = BIND_CONSTANT, .type = t, .number = number};
    return true;
}

static bool bind_function(struct urd_place p, const struct node *n, struct binding *b)
{
    const struct urd_function **list;
    size_t count;
    bool found = false;
    if (!urd_debuginfo_module_has_lines(p.module))
        return false;
    urd_debuginfo_functions_named(p.module, n->text, &list, &count);
    for (size_t i = 0; i < count && !found; i++) {
        if (list[i]->inlined || !list[i]->die)
            continue;
        const struct urd_type *t = urd_debuginfo_function_type(p.module, list[i]);
        *b = (struct binding){.kind = BIND_FUNCTION, .address = list[i]->entry + p.bias, .type = t};
        found = t;
    }
    free(list);
    return found;
}

static bool bind_symbol(const struct evaluation *x, struct urd_place p, const struct node *n,
                        struct binding *b)
{
    const struct urd_symbol *s = n->file ? NULL : urd_debuginfo_symbol_named(p.module, n->text);
    if (!s || s->kind == URD_SYMBOL_FRAME)
        return false;
    *b = (struct binding){
        .kind = BIND_SYMBOL, .address = s->address + p.bias, .module = p.module, .bias = p.bias};
    if (s->kind == URD_SYMBOL_TLS) {
        b->tls = true;
        b->tls_offset = s->address;
    }
    const char *type = s->size == 1   ? "unsigned char"
                       : s->size == 2 ? "unsigned short"
                       : s->size == 4 ? "unsigned int"
                                      : "unsigned long";
    b->type = urd_debuginfo_type_builtin(type);
    bool code = s->kind == URD_SYMBOL_FUNCTION || s->kind == URD_SYMBOL_PLT;
    if (code || (s->size != 1 && s->size != 2 && s->size != 4 && s->size != 8))
        b->type = urd_debuginfo_type_array_of(x->module,
                                              urd_debuginfo_type_builtin("unsigned char"), s->size);
    return true;
}

/** Evaluates call, which names `place`, for the module of pc or for all others, until it is true.
 */
#define MODULE_HERE(x, found, call)                                                                \
    do {                                                                                           \
        struct urd_place place = {(x)->module, (x)->bias, 0};                                      \
        (found) = (found) || ((x)->module && (call));                                              \
    } while (0)
#define MODULES_ELSEWHERE(x, found, call)                                                          \
    do {                                                                                           \
        const struct urd_image *image_ = (x)->frame->image;                                        \
        size_t count_ = image_ ? urd_debuginfo_image_count(image_) : 0;                            \
        for (size_t i_ = 0; i_ < count_ && !(found); i_++) {                                       \
            struct urd_place place = urd_debuginfo_image_module(image_, i_);                       \
            if (place.module != (x)->module)                                                       \
                (found) = (call);                                                                  \
        }                                                                                          \
    } while (0)

static urd_err *unknown(const struct evaluation *x, const struct node *n)
{
    const char *near = NULL;
    uint64_t pc = x->in_module ? x->frame->pc - x->frame->is_caller - x->bias : 0;
    if (x->module)
        near = urd_debuginfo_nearest_variable(x->module, pc, n->text);
    urd_err *err = URD_ERROR(URD_ERR_QUESTION, "no variable named %s%s%s", n->text,
                             n->file                                   ? " in "
                             : x->in_module && !x->frame->no_registers ? " here"
                                                                       : "",
                             n->file ? n->file : "");
    if (x->frame->no_registers)
        urd_err_hint(err, "a local variable is known only at a moment within its function");
    const char *split = x->in_module ? urd_debuginfo_missing_split(x->module, pc) : NULL;
    if (split)
        urd_err_hint(
            err, "the variables of this code are in %s, which is not there or is of another build",
            split);
    return urd_err_at(err, n->offset, near);
}

/**
 * The order is C's as far as it goes: the block, the function, the file, the program. A static of
 * another file comes last, except that the executable's are preferred to what libraries export.
 */
static urd_err *bind(const struct evaluation *x, const struct node *n, struct binding *b)
{
    uint64_t near = x->in_module ? x->frame->pc - x->frame->is_caller - x->bias : 0;
    bool strict = x->module && near && !urd_debuginfo_module_is_executable(x->module);
    bool found = bind_local(x, n, true, b);
    MODULE_HERE(x, found, bind_global(place, near, strict, n, b));
    MODULE_HERE(x, found, bind_constant(place, n, b));
    MODULE_HERE(x, found, bind_function(place, n, b));
    MODULES_ELSEWHERE(x, found, bind_global(place, 0, true, n, b));
    found = found || bind_local(x, n, false, b);
    MODULE_HERE(x, found, bind_symbol(x, place, n, b));
    MODULE_HERE(x, found, bind_global(place, near, false, n, b));
    MODULES_ELSEWHERE(x, found, bind_function(place, n, b) || bind_symbol(x, place, n, b));
    MODULES_ELSEWHERE(x, found, bind_constant(place, n, b));
    MODULES_ELSEWHERE(x, found, bind_global(place, 0, false, n, b));
    if (found && b->kind == BIND_VARIABLE && b->variable->kind == URD_VARIABLE_GLOBAL)
        follow_copy(x, b);
    return found ? NULL : unknown(x, n);
}

urd_err *urd_expr_bind(const struct evaluation *x, struct node *n, const struct binding **ret)
{
    uint64_t generation = x->frame->image ? urd_debuginfo_image_generation(x->frame->image) : 1;
    uint64_t key = x->frame->pc << 2 | x->frame->is_caller | (uint64_t)x->frame->no_registers << 1 |
                   (uint64_t)x->frame->level << 52;
    if (n->generation != generation || n->bindings.count > 4096) {
        for (size_t i = 0; i < n->bindings.capacity; i++)
            if (n->bindings.slots[i].used == 1)
                free((void *)(uintptr_t)n->bindings.slots[i].value);
        urd_map_clear(&n->bindings);
        n->generation = generation;
    }
    uint64_t *slot = urd_map_get(&n->bindings, key);
    if (slot) {
        *ret = (const struct binding *)(uintptr_t)*slot;
        return NULL;
    }
    struct binding b = {0};
    URD_TRY(bind(x, n, &b));
    struct binding *kept = urd_xcalloc(1, sizeof *kept);
    *kept = b;
    *urd_map_put(&n->bindings, key) = (uintptr_t)kept;
    *ret = kept;
    return NULL;
}
