#include "base/buf.h"
#include <stdarg.h>
#include <stdio.h>

void urd_buf_deinit(struct urd_buf *b)
{
    free(b->data);
    *b = (struct urd_buf){0};
}

void urd_buf_grow(struct urd_buf *b, size_t extra)
{
    size_t capacity = b->capacity ? b->capacity * 2 : 256;
    while (capacity < b->size + extra)
        capacity *= 2;
    b->data = urd_xrealloc(b->data, capacity);
    b->capacity = capacity;
}

void urd_buf_printf(struct urd_buf *b, const char *format, ...)
{
    char small[256], *text = NULL; /* nearly all fit */
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(small, sizeof small, format, ap);
    va_end(ap);
    if (n >= (int)sizeof small) {
        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
    }
    if (n < 0)
        abort();
    urd_buf_put(b, text ? text : small, (size_t)n);
    free(text);
}

void urd_buf_text(struct urd_buf *b, const char *text)
{
    size_t size = strlen(text);
    urd_buf_varint(b, size);
    urd_buf_put(b, text, size);
}

char *urd_cursor_text(struct urd_cursor *c)
{
    uint64_t size = urd_cursor_varint(c);
    if (!c->ok || size > urd_cursor_left(c)) {
        c->ok = false;
        return NULL;
    }
    const uint8_t *p = urd_cursor_bytes(c, size);
    char *text = urd_xrealloc(NULL, size + 1);
    memcpy(text, p, size);
    text[size] = 0;
    return text;
}

void *urd_xrealloc(void *p, size_t bytes)
{
    p = realloc(p, bytes ? bytes : 1);
    urd_check(p, "out of memory: %zu bytes", bytes);
    return p;
}

void *urd_xcalloc(size_t n, size_t bytes)
{
    void *p = calloc(n ? n : 1, bytes ? bytes : 1);
    urd_check(p, "out of memory: %zu x %zu bytes", n, bytes);
    return p;
}

char *urd_xprintf(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    char *text = NULL;
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    urd_check(n >= 0, "out of memory");
    return text;
}
