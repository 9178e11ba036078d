#include "debuginfo/value_scalar.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void urd_debuginfo_text_character(struct urd_buf *out, uint32_t c, char quote)
{
    static const char names[] = "\a\b\t\n\v\f\r\033", letters[] = "abtnvfre";
    const char *p = c && c < 128 ? strchr(names, (int)c) : NULL;
    if (p)
        urd_buf_printf(out, "\\%c", letters[p - names]);
    else if (c == (uint32_t)quote || c == '\\')
        urd_buf_printf(out, "\\%c", (int)c);
    else if (c >= 0x20 && c < 0x7f)
        urd_buf_u8(out, (uint8_t)c);
    else if (c > 0xff)
        urd_buf_printf(out, "\\x%x", c);
    else
        urd_buf_printf(out, "\\%03o", c);
}

static uint32_t character(const uint8_t *bytes, size_t i, unsigned width)
{
    uint32_t c = 0;
    memcpy(&c, bytes + i * width, width);
    return c;
}

/** Length of a UTF-8 sequence that is whole and valid, or 0. */
static size_t utf8(const uint8_t *p, size_t left)
{
    size_t n = *p >= 0xf0 && *p < 0xf5 ? 4 : *p >= 0xe0 ? 3 : *p >= 0xc2 && *p < 0xe0 ? 2 : 0;
    if (!n || *p >= 0xf5 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xf0 && p[1] < 0x90))
        return 0;
    return n;
}

void urd_debuginfo_text_string(struct urd_buf *out, const uint8_t *bytes, size_t count,
                               unsigned width, bool more)
{
    bool open = false, any = false;
    const char *prefix = width == 1 ? "" : width == 2 ? "u" : "L";
    for (size_t i = 0; i < count;) {
        uint32_t c = character(bytes, i, width);
        size_t run = 1;
        while (i + run < count && character(bytes, i + run, width) == c)
            run++;
        if (run > 10) { /* gdb's "print repeats" */
            urd_buf_printf(out, "%s%s'", open ? "\", " : any ? ", " : "", prefix);
            urd_debuginfo_text_character(out, c, '\'');
            urd_buf_printf(out, "' <repeats %zu times>", run);
            open = false;
            any = true;
            i += run;
            continue;
        }
        if (!open)
            urd_buf_printf(out, "%s%s\"", any ? ", " : "", prefix);
        open = any = true;
        size_t n = width == 1 ? utf8(bytes + i, count - i) : 0;
        if (n) {
            urd_buf_put(out, bytes + i, n);
            i += n;
            continue;
        }
        urd_debuginfo_text_character(out, c, '"');
        i++;
    }
    if (!any)
        urd_buf_printf(out, "%s\"", prefix);
    if (open || !any)
        urd_buf_u8(out, '"');
    if (more)
        urd_buf_printf(out, "...");
}

void urd_debuginfo_text_double(struct urd_buf *out, long double d, uint64_t size)
{
    char text[64];
    if (isnan(d) || isinf(d)) {
        urd_buf_printf(out, "%s%s", signbit(d) ? "-" : "", isnan(d) ? "nan" : "inf");
        return;
    }
    for (int digits = 1; digits <= 21; digits++) { /* the shortest that reads back the same */
        snprintf(text, sizeof text, "%.*Lg", digits, d);
        bool same = size == 4   ? strtof(text, NULL) == (float)d
                    : size == 8 ? strtod(text, NULL) == (double)d
                                : strtold(text, NULL) == d;
        if (same)
            break;
    }
    const char *exponent = strchr(text, 'e'); /* 30 and not 3e+01 */
    int places = exponent ? atoi(exponent + 1) : 0;
    if (places > 0 && places < 17)
        snprintf(text, sizeof text, "%.*Lg", places + 1, d);
    urd_buf_printf(out, "%s", text);
}

static void decimal128(struct urd_buf *out, const uint8_t *bytes, bool is_signed)
{
    unsigned __int128 n;
    char text[48], *p = text + sizeof text - 1;
    memcpy(&n, bytes, 16);
    bool negative = is_signed && (n >> 127);
    if (negative)
        n = 0 - n;
    *p = 0;
    do
        *--p = (char)('0' + (int)(n % 10));
    while (n /= 10);
    urd_buf_printf(out, "%s%s", negative ? "-" : "", p);
}

static void text_enum(struct urd_buf *out, const struct urd_type *t, int64_t n)
{
    size_t count;
    const struct urd_enumerator *e = urd_debuginfo_type_enumerators(t, &count);
    uint64_t seen = 0;
    bool flags = true;
    const char *q = t->scoped && t->name ? urd_debuginfo_type_qualified(t) : NULL;
    for (size_t i = 0; i < count; i++) {
        uint64_t v = (uint64_t)e[i].value;
        if (e[i].value == n || (uint64_t)e[i].value == ((uint64_t)n & 0xffffffff)) {
            if (e[i].value == n || t->size <= 4) {
                urd_buf_printf(out, "%s%s%s", q ? q : "", q ? "::" : "", e[i].name);
                return;
            }
        }
        flags &= e[i].value >= 0 && !(v & seen) && __builtin_popcountll(v) <= 1;
        seen |= v;
    }
    if (!flags || !n || !count || n < 0) {
        urd_buf_printf(out, "%ld", n);
        return;
    }
    const char *between = "(";
    uint64_t left = (uint64_t)n;
    for (size_t i = 0; i < count; i++)
        if (e[i].value && (left & (uint64_t)e[i].value)) {
            urd_buf_printf(out, "%s%s", between, e[i].name);
            between = " | ";
            left &= ~(uint64_t)e[i].value;
        }
    if (left)
        urd_buf_printf(out, "%sunknown: 0x%lx", between, left);
    urd_buf_printf(out, ")");
}

static void text_spec(const struct urd_value *v, char spec, struct urd_buf *out)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    const uint8_t *bytes = urd_debuginfo_value_bytes(v);
    uint64_t n = 0;
    long double d;
    unsigned size = v->size < 8 ? (unsigned)v->size : 8;
    if (spec == 'f' && urd_debuginfo_value_to_double(v, &d)) {
        urd_buf_printf(out, "%.6Lf", d);
        return;
    }
    if (t->kind == URD_TYPE_FLOAT)
        urd_debuginfo_value_to_u64(v, &n); /* as gdb 8 and later: the value, converted */
    else
        memcpy(&n, bytes, size);
    unsigned __int128 wide = n;
    if (v->size == 16 && t->kind != URD_TYPE_FLOAT)
        memcpy(&wide, bytes, 16);
    switch (spec) {
    case 'x':
        if (wide >> 64)
            urd_buf_printf(out, "0x%lx%016lx", (uint64_t)(wide >> 64), (uint64_t)wide);
        else
            urd_buf_printf(out, "0x%lx", n);
        break;
    case 'p':
        urd_buf_printf(out, "0x%lx", n);
        break;
    case 'o':
        urd_buf_printf(out, "%s%lo", n ? "0" : "", n);
        break;
    case 'u':
        if (v->size == 16)
            decimal128(out, bytes, false);
        else
            urd_buf_printf(out, "%lu", n);
        break;
    case 'd':
        if (v->size == 16 && t->kind != URD_TYPE_FLOAT)
            decimal128(out, bytes, true);
        else
            urd_buf_printf(out, "%ld",
                           size && size < 8 && t->kind != URD_TYPE_FLOAT
                               ? (int64_t)(n << (64 - 8 * size)) >> (64 - 8 * size)
                               : (int64_t)n);
        break;
    case 'c':
        if (size == 1 || n < 0x80)
            urd_buf_u8(out, (uint8_t)n);
        else
            urd_debuginfo_text_character(out, (uint32_t)n, 0);
        break;
    case 'b': {
        int top = n ? 63 - __builtin_clzll(n) : 0;
        urd_buf_printf(out, "0b");
        for (int i = top; i >= 0; i--)
            urd_buf_u8(out, n >> i & 1 ? '1' : '0');
        break;
    }
    default:
        urd_buf_printf(out, "%ld", (int64_t)n);
    }
}

/** The characters that a char pointer leads to: read page by page until a NUL. */
static void text_pointed(const struct urd_frame *frame, uint64_t address, unsigned width,
                         unsigned max, struct urd_buf *out)
{
    uint8_t bytes[4096];
    size_t n = 0;
    if (max * width > sizeof bytes)
        max = (unsigned)(sizeof bytes / width);
    while (n < max) {
        uint64_t at = address + n * width, page = 4096 - (at & 4095);
        size_t some = page / width ? page / width : 1;
        if (some > max - n)
            some = max - n;
        if (!frame->read_memory(frame->data, at, bytes + n * width, some * width)) {
            if (!n) {
                urd_buf_printf(out, " <unreadable>");
                return;
            }
            break;
        }
        for (size_t i = 0; i < some; i++)
            if (!character(bytes, n + i, width)) {
                urd_buf_u8(out, ' ');
                urd_debuginfo_text_string(out, bytes, n + i, width, false);
                return;
            }
        n += some;
    }
    urd_buf_u8(out, ' ');
    urd_debuginfo_text_string(out, bytes, n, width, true);
}

/** L, u or U when the type, or a typedef on the way to it, is a wide character; else NULL. */
static const char *character_prefix(const struct urd_type *t)
{
    for (int i = 0; i < 32 && t; i++, t = t->target) {
        if (t->name && !strcmp(t->name, "wchar_t"))
            return "L";
        if (t->name && !strcmp(t->name, "char16_t"))
            return "u";
        if (t->name && !strcmp(t->name, "char32_t"))
            return "U";
        if (t->kind != URD_TYPE_TYPEDEF && t->kind != URD_TYPE_QUALIFIED)
            break;
    }
    return NULL;
}

static void text_pointer(const struct urd_frame *frame, const struct urd_type *t, uint64_t n,
                         const struct urd_text_options *o, struct urd_buf *out)
{
    const struct urd_type *to = urd_debuginfo_type_strip(t->target);
    struct urd_place p;
    urd_buf_printf(out, "0x%lx", n);
    if (n && !o->no_symbols && frame->image && urd_debuginfo_image_find(frame->image, n, &p)) {
        const struct urd_symbol *s = urd_debuginfo_symbol_at(p.module, p.address);
        if (s && s->kind != URD_SYMBOL_FRAME && s->address == p.address)
            urd_buf_printf(out, " <%s>", s->name);
        else if (s && s->kind != URD_SYMBOL_FRAME) /* decimal, as gdb */
            urd_buf_printf(out, " <%s+%lu>", s->name, p.address - s->address);
    }
    if (n && !o->no_strings && frame->read_memory &&
        ((to->kind == URD_TYPE_CHAR && to->size == 1) || character_prefix(t->target)))
        text_pointed(frame, n, (unsigned)to->size, o->max_elements, out);
}

void urd_debuginfo_text_scalar(const struct urd_frame *frame, const struct urd_value *v,
                               const struct urd_text_options *o, struct urd_buf *out)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    const uint8_t *bytes = urd_debuginfo_value_bytes(v);
    const char *prefix = character_prefix(v->type);
    uint64_t n = 0;
    long double d;
    if (o->spec && o->spec != 's' && o->spec != 'r') {
        text_spec(v, o->spec, out);
        return;
    }
    urd_debuginfo_value_to_u64(v, &n);
    if (t->kind == URD_TYPE_CHAR || prefix) {
        urd_buf_printf(out, t->is_signed ? "%ld %s'" : "%lu %s'", n, prefix ? prefix : "");
        urd_debuginfo_text_character(out, t->size == 1 ? (uint8_t)n : (uint32_t)n, '\'');
        urd_buf_u8(out, '\'');
        return;
    }
    switch (t->kind) {
    case URD_TYPE_INT:
        if (v->size == 16)
            decimal128(out, bytes, t->is_signed);
        else
            urd_buf_printf(out, t->is_signed ? "%ld" : "%lu", n);
        break;
    case URD_TYPE_BOOL:
        if (n > 1)
            urd_buf_printf(out, "%lu", n);
        else
            urd_buf_printf(out, "%s", n ? "true" : "false");
        break;
    case URD_TYPE_FLOAT:
        if (!t->is_decimal && urd_debuginfo_value_to_double(v, &d))
            urd_debuginfo_text_double(out, d, v->size);
        else
            urd_buf_printf(out, "<%lu-byte floating point>", v->size);
        break;
    case URD_TYPE_COMPLEX: {
        struct urd_type part = {.kind = URD_TYPE_FLOAT, .size = v->size / 2, .name = ""};
        for (int i = 0; i < 2; i++) {
            struct urd_value half = {.type = &part, .size = part.size};
            if (part.size > 16)
                break;
            memcpy(half.small, bytes + (i ? part.size : 0), part.size);
            if (urd_debuginfo_value_to_double(&half, &d)) {
                urd_buf_printf(out, "%s", i ? " + " : "");
                urd_debuginfo_text_double(out, d, part.size);
            }
        }
        urd_buf_printf(out, "i");
        break;
    }
    case URD_TYPE_ENUM:
        text_enum(out, t, (int64_t)n);
        break;
    case URD_TYPE_POINTER:
        text_pointer(frame, t, n, o, out);
        break;
    case URD_TYPE_MEMBER_POINTER:
        urd_buf_printf(out, "%ld", (int64_t)n);
        break;
    case URD_TYPE_VOID:
        urd_buf_printf(out, "void");
        break;
    default:
        urd_buf_printf(out, "<%lu bytes>", v->size);
    }
}
