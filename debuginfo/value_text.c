#include "debuginfo/value_text.h"
#include "debuginfo/summary.h"
#include "debuginfo/value_scalar.h"

struct writer {
    const struct urd_frame *frame;
    struct urd_text_options o;
    struct urd_buf *out;
    size_t start;
    bool full;
    struct {
        const struct urd_type *type;
        uint64_t address;
    } shared[16]; /* virtual base classes that were written: once in an object */
    unsigned n_shared;
};

static void write_value(struct writer *w, struct urd_value *v, unsigned depth);

static bool is_full(struct writer *w)
{
    if (!w->full && w->out->size - w->start > w->o.max_bytes) {
        w->full = true;
        urd_buf_printf(w->out, "...");
    }
    return w->full;
}

static void write_status(struct writer *w, const struct urd_value *v)
{
    switch (v->status) {
    case URD_VALUE_OK:
        break;
    case URD_VALUE_OPTIMISED_OUT:
        urd_buf_printf(w->out, v->points_to ? "<synthetic pointer>" : "<optimised out>");
        break;
    case URD_VALUE_NOT_RECORDED:
        urd_buf_printf(w->out, "<not recorded>");
        break;
    case URD_VALUE_UNREADABLE:
        if (strstr(v->reason, " at 0x"))
            urd_buf_printf(w->out, "<unreadable %s>", strstr(v->reason, " at 0x") + 4);
        else if (v->address || !v->reason[0])
            urd_buf_printf(w->out, "<unreadable 0x%lx>", v->address);
        else
            urd_buf_printf(w->out, "<unreadable: %s>", v->reason);
        break;
    case URD_VALUE_NOT_THERE:
        urd_buf_printf(w->out, "<%s>", v->reason);
        break;
    case URD_VALUE_TOO_LARGE:
        urd_buf_printf(w->out, "<%lu bytes>", v->size);
        break;
    }
}

/** Whether a virtual base class was written before; it counts as written from now on. */
static bool was_shown(struct writer *w, const struct urd_value *base)
{
    unsigned most = sizeof w->shared / sizeof *w->shared;
    for (unsigned i = 0; i < w->n_shared; i++)
        if (w->shared[i].type == base->type && w->shared[i].address == base->address)
            return true;
    if (w->n_shared < most) {
        w->shared[w->n_shared].type = base->type;
        w->shared[w->n_shared++].address = base->address;
    }
    return false;
}

static void write_struct(struct writer *w, struct urd_value *v, unsigned depth)
{
    size_t n, shown = 0;
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    const struct urd_member *m = urd_debuginfo_type_members(v->type, &n);
    if (t->declaration) {
        urd_buf_printf(w->out, "<incomplete type>");
        return;
    }
    if (depth >= w->o.max_depth) {
        urd_buf_printf(w->out, "{...}");
        return;
    }
    urd_buf_printf(w->out, "{");
    for (size_t i = 0; i < n && !is_full(w); i++) {
        struct urd_value part;
        if (!urd_debuginfo_value_has(w->frame, v, &m[i]))
            continue;
        urd_debuginfo_value_member(w->frame, v, &m[i], &part);
        if (m[i].is_virtual_base && was_shown(w, &part)) {
            urd_debuginfo_value_deinit(&part);
            continue;
        }
        urd_buf_printf(w->out, "%s", shown++ ? ", " : "");
        if (m[i].is_base) {
            const struct urd_type *base = urd_debuginfo_type_strip(m[i].type);
            const char *name = base->die ? urd_debuginfo_type_qualified(base) : base->name;
            urd_buf_printf(w->out, "<%s> = ", name ? name : "?");
        } else if (m[i].name) {
            urd_buf_printf(w->out, "%s = ", m[i].name);
        }
        write_value(w, &part, depth + 1);
        urd_debuginfo_value_deinit(&part);
    }
    urd_buf_printf(w->out, "}");
}

static bool is_string(const struct urd_type *element)
{
    const struct urd_type *e = urd_debuginfo_type_strip(element);
    return e->kind == URD_TYPE_CHAR && (e->size == 1 || e->size == 2 || e->size == 4);
}

/** Characters that are somewhere else. */
static void write_string(struct writer *w, const struct urd_summary *s)
{
    uint64_t size = urd_debuginfo_type_strip(s->type)->size;
    uint64_t shown = s->count < w->o.max_elements ? s->count : w->o.max_elements;
    uint8_t *bytes = urd_xcalloc(shown + 1, size);
    if (shown && !w->frame->read_memory(w->frame->data, s->at, bytes, shown * size))
        urd_buf_printf(w->out, "<unreadable 0x%lx>", s->at);
    else if (w->o.spec == 's')
        urd_buf_put(w->out, bytes, shown * size);
    else
        urd_debuginfo_text_string(w->out, bytes, shown, (unsigned)size, s->count > shown);
    free(bytes);
}

/** [first] = second */
static void write_pair(struct writer *w, struct urd_value *pair, unsigned depth)
{
    static const char *const names[2] = {"first", "second"}, *const before[2] = {"[", "] = "};
    size_t n;
    const struct urd_member *m = urd_debuginfo_type_members(pair->type, &n);
    for (unsigned k = 0; k < 2; k++)
        for (size_t i = 0; i < n; i++) {
            struct urd_value part;
            if (!m[i].name || strcmp(m[i].name, names[k]) != 0)
                continue;
            urd_buf_printf(w->out, "%s", before[k]);
            urd_debuginfo_value_member(w->frame, pair, &m[i], &part);
            write_value(w, &part, depth + 1);
            urd_debuginfo_value_deinit(&part);
        }
}

static void write_elements(struct writer *w, struct urd_summary *s, unsigned depth)
{
    if (depth >= w->o.max_depth) {
        urd_buf_printf(w->out, "{...}");
        return;
    }
    urd_buf_printf(w->out, "{");
    while (s->given < w->o.max_elements && !is_full(w) && urd_debuginfo_summary_next(w->frame, s)) {
        struct urd_value element;
        urd_buf_printf(w->out, "%s", s->given > 1 ? ", " : "");
        urd_debuginfo_value_at(s->type, s->at, &element);
        if (s->kind == URD_SUMMARY_PAIRS)
            write_pair(w, &element, depth);
        else
            write_value(w, &element, depth + 1);
        urd_debuginfo_value_deinit(&element);
    }
    if (s->given == w->o.max_elements && s->given < s->count)
        urd_buf_printf(w->out, "...");
    else if (s->given < s->count && !w->full)
        urd_buf_printf(w->out, "%s<%lu more, which cannot be reached>", s->given ? ", " : "",
                       s->count - s->given);
    urd_buf_printf(w->out, "}");
}

/** A string or container of a library, by what it holds. */
static bool write_summary(struct writer *w, struct urd_value *v, unsigned depth)
{
    struct urd_summary s;
    if (w->o.spec == 'r' || !urd_debuginfo_summary(w->frame, v, &s))
        return false;
    switch (s.kind) {
    case URD_SUMMARY_STRING:
        write_string(w, &s);
        break;
    case URD_SUMMARY_OPTIONAL:
        if (!s.count)
            urd_buf_printf(w->out, "<none>");
        else
            write_elements(w, &s, depth);
        break;
    case URD_SUMMARY_POINTER:
        write_value(w, &s.pointer, depth + 1);
        urd_debuginfo_value_deinit(&s.pointer);
        if (s.uses || s.weak_uses)
            urd_buf_printf(w->out, " (use count %lu, weak count %lu)", s.uses, s.weak_uses);
        break;
    case URD_SUMMARY_ELEMENTS:
        if (s.indexable && !is_string(s.type)) {
            struct urd_value array;
            urd_debuginfo_summary_array(&s, &array);
            write_value(w, &array, depth);
            urd_debuginfo_value_deinit(&array);
            break;
        } /* fall through */
    case URD_SUMMARY_PAIRS:
        write_elements(w, &s, depth);
    }
    return true;
}

static bool same_bytes(const struct urd_value *v, uint64_t size, uint64_t i, uint64_t j)
{
    const uint8_t *b = urd_debuginfo_value_bytes(v);
    return !memcmp(b + i * size, b + j * size, size);
}

static void write_array(struct writer *w, struct urd_value *v, unsigned depth)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    const struct urd_type *e = urd_debuginfo_type_strip(t->target);
    uint64_t size = e->size, count = size ? v->size / size : 0, limit = w->o.max_elements;
    if (t->target && (t->target->kind == URD_TYPE_ARRAY) && t->target->size)
        size = t->target->size, count = v->size / size;
    if (v->lazy) { /* longer than what is read at once: only what is shown */
        uint64_t part_count = count < limit ? count : limit;
        struct urd_value part;
        urd_debuginfo_value_at(urd_debuginfo_type_array_of(t->module, t->target, part_count),
                               v->address, &part);
        urd_debuginfo_value_fetch(w->frame, &part);
        if (part.status == URD_VALUE_OK)
            write_array(w, &part, depth);
        else
            write_status(w, &part);
        if (count > part_count && part.status == URD_VALUE_OK) {
            if (w->out->size && w->out->data[w->out->size - 1] == '}')
                w->out->size--, urd_buf_printf(w->out, "...}");
            else
                urd_buf_printf(w->out, "...");
        }
        urd_debuginfo_value_deinit(&part);
        return;
    }
    if (is_string(t->target) && (!w->o.spec || w->o.spec == 's')) {
        const uint8_t *b = urd_debuginfo_value_bytes(v);
        uint64_t shown = count < limit ? count : limit;
        if (shown == count && count && !memcmp(b + (count - 1) * size, "\0\0\0\0", size))
            shown--; /* gdb: the last NUL of an array is not shown */
        urd_debuginfo_text_string(w->out, b, shown, (unsigned)size, count > limit);
        return;
    }
    if (depth >= w->o.max_depth) {
        urd_buf_printf(w->out, "{...}");
        return;
    }
    urd_buf_printf(w->out, "{");
    uint64_t shown = 0;
    for (uint64_t i = 0; i < count && !is_full(w); shown++) {
        if (shown == limit) {
            urd_buf_printf(w->out, "...");
            break;
        }
        uint64_t run = 1;
        while (i + run < count && same_bytes(v, size, i, i + run))
            run++;
        if (run < 10)
            run = 1;
        struct urd_value part;
        urd_buf_printf(w->out, "%s", shown ? ", " : "");
        urd_debuginfo_value_part(w->frame, v, t->target, i * size, 0, 0, &part);
        write_value(w, &part, depth + 1);
        urd_debuginfo_value_deinit(&part);
        if (run > 1)
            urd_buf_printf(w->out, " <repeats %lu times>", run);
        i += run;
    }
    urd_buf_printf(w->out, "}");
}

static void write_value(struct writer *w, struct urd_value *v, unsigned depth)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    if (is_full(w))
        return;
    bool large = v->lazy && v->size > 65536 && urd_debuginfo_type_is_aggregate(t) &&
                 v->n_pieces == 1 && v->pieces[0].kind == URD_PIECE_MEMORY;
    if (t->kind == URD_TYPE_FUNCTION && v->lvalue) {
        char name[256];
        urd_buf_printf(
            w->out, "{function} 0x%lx <%s>", v->address,
            urd_debuginfo_image_name_address(w->frame->image, v->address, name, sizeof name));
        return;
    }
    if (!large)
        urd_debuginfo_value_fetch(w->frame, v);
    if (v->status != URD_VALUE_OK) {
        write_status(w, v);
        return;
    }
    if (w->o.spec == 's' && (t->kind == URD_TYPE_POINTER || t->kind == URD_TYPE_ARRAY) &&
        is_string(t->target)) {
        urd_debuginfo_value_string(w->frame, v, w->o.max_bytes, w->out);
        return;
    }
    switch (t->kind) {
    case URD_TYPE_STRUCT:
        if (write_summary(w, v, depth))
            break; /* fall through */
    case URD_TYPE_UNION:
        write_struct(w, v, depth);
        break;
    case URD_TYPE_ARRAY:
        write_array(w, v, depth);
        break;
    case URD_TYPE_REFERENCE: {
        uint64_t n = 0;
        struct urd_value to;
        urd_debuginfo_value_to_u64(v, &n);
        if (depth == 0)
            urd_buf_printf(w->out, "@0x%lx: ", n);
        else {
            urd_buf_printf(w->out, "@0x%lx", n);
            break;
        }
        urd_debuginfo_value_at(t->target, n, &to);
        write_value(w, &to, depth + 1);
        urd_debuginfo_value_deinit(&to);
        break;
    }
    default:
        urd_debuginfo_text_scalar(w->frame, v, &w->o, w->out);
    }
}

void urd_debuginfo_value_text(const struct urd_frame *frame, struct urd_value *v,
                              const struct urd_text_options *options, struct urd_buf *out)
{
    struct writer w = {.frame = frame, .out = out, .start = out->size};
    if (options)
        w.o = *options;
    if (!w.o.max_depth)
        w.o.max_depth = 8;
    if (!w.o.max_elements)
        w.o.max_elements = 200;
    if (!w.o.max_bytes)
        w.o.max_bytes = 65536;
    write_value(&w, v, 0);
}

void urd_debuginfo_value_string(const struct urd_frame *frame, struct urd_value *v, size_t max,
                                struct urd_buf *out)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    uint64_t n = 0;
    urd_debuginfo_value_fetch(frame, v);
    if (v->status == URD_VALUE_OK && t->kind == URD_TYPE_ARRAY) {
        const uint8_t *b = urd_debuginfo_value_bytes(v);
        size_t size = strnlen((const char *)b, v->size < max ? v->size : max);
        urd_buf_put(out, b, size);
        return;
    }
    if (v->status != URD_VALUE_OK || !urd_debuginfo_value_to_u64(v, &n) || !frame->read_memory)
        return;
    if (!n) {
        urd_buf_printf(out, "(null)");
        return;
    }
    for (size_t got = 0; got < max;) {
        uint8_t page[4096];
        uint64_t size = 4096 - (n & 4095);
        if (size > max - got)
            size = max - got;
        if (!frame->read_memory(frame->data, n, page, size)) {
            urd_buf_printf(out, "<unreadable 0x%lx>", n);
            return;
        }
        size_t len = strnlen((char *)page, size);
        urd_buf_put(out, page, len);
        if (len < size)
            return;
        got += size;
        n += size;
    }
    urd_buf_printf(out, "...");
}
