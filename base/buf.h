/**
 * Growing byte buffers, variable-length integers, and a bounded reader.
 *
 * PURPOSE  What the trace and the index are written with and read with.
 * NOT      Files or compression.
 * OWNS     urd_buf owns its bytes; urd_cursor borrows.
 * FORMAT   varint: 7 bits a byte, low first, high bit says that more follow (LEB128).
 *          zigzag: (n << 1) ^ (n >> 63), so that small negative numbers stay small.
 */
#ifndef URD_BASE_BUF_H
#define URD_BASE_BUF_H
#include "base/err.h"
#include <stdlib.h>
#include <string.h>

struct urd_buf {
    uint8_t *data;
    size_t size, capacity; /* bytes */
};

void urd_buf_deinit(struct urd_buf *b);
void urd_buf_grow(struct urd_buf *b, size_t extra);
void urd_buf_printf(struct urd_buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline void urd_buf_reserve(struct urd_buf *b, size_t extra)
{
    if (__builtin_expect(b->size + extra > b->capacity, 0))
        urd_buf_grow(b, extra);
}

static inline void urd_buf_put(struct urd_buf *b, const void *data, size_t size)
{
    if (!size)
        return;
    urd_buf_reserve(b, size);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static inline void urd_buf_u8(struct urd_buf *b, uint8_t v)
{
    urd_buf_reserve(b, 1);
    b->data[b->size++] = v;
}

static inline void urd_buf_u32(struct urd_buf *b, uint32_t v)
{
    urd_buf_put(b, &v, 4);
}

static inline void urd_buf_u64(struct urd_buf *b, uint64_t v)
{
    urd_buf_put(b, &v, 8);
}

static inline void urd_buf_varint(struct urd_buf *b, uint64_t v)
{
    urd_buf_reserve(b, 10);
    while (v >= 0x80) {
        b->data[b->size++] = (uint8_t)v | 0x80;
        v >>= 7;
    }
    b->data[b->size++] = (uint8_t)v;
}

static inline uint64_t urd_zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t urd_unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/** Text with its length before it. */
void urd_buf_text(struct urd_buf *b, const char *text);

/** A reader that never leaves its bytes: after an overrun, ok is false and all reads give 0. */
struct urd_cursor {
    const uint8_t *at, *end;
    bool ok;
};

static inline struct urd_cursor urd_cursor(const void *data, size_t size)
{
    return (struct urd_cursor){data, (const uint8_t *)data + size, true};
}

static inline size_t urd_cursor_left(const struct urd_cursor *c)
{
    return (size_t)(c->end - c->at);
}

static inline const uint8_t *urd_cursor_bytes(struct urd_cursor *c, size_t size)
{
    if (urd_cursor_left(c) < size) {
        c->ok = false;
        c->at = c->end;
        return NULL;
    }
    const uint8_t *p = c->at;
    c->at += size;
    return p;
}

static inline uint8_t urd_cursor_u8(struct urd_cursor *c)
{
    const uint8_t *p = urd_cursor_bytes(c, 1);
    return p ? *p : 0;
}

static inline uint32_t urd_cursor_u32(struct urd_cursor *c)
{
    uint32_t v = 0;
    const uint8_t *p = urd_cursor_bytes(c, 4);
    if (p)
        memcpy(&v, p, 4);
    return v;
}

static inline uint64_t urd_cursor_u64(struct urd_cursor *c)
{
    uint64_t v = 0;
    const uint8_t *p = urd_cursor_bytes(c, 8);
    if (p)
        memcpy(&v, p, 8);
    return v;
}

static inline uint64_t urd_cursor_varint(struct urd_cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (c->at >= c->end) {
            c->ok = false;
            return 0;
        }
        uint8_t byte = *c->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    c->ok = false;
    return 0;
}

/** malloc'ed text written by urd_buf_text; NULL (and ok false) on overrun. */
char *urd_cursor_text(struct urd_cursor *c);

void *urd_xrealloc(void *p, size_t bytes);
void *urd_xcalloc(size_t n, size_t bytes);
char *urd_xprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Append one element to a growing array: URD_PUSH(array, count, capacity) = element. */
#define URD_PUSH(array, count, capacity)                                                           \
    (*({                                                                                           \
        if ((count) == (capacity)) {                                                               \
            (capacity) = (capacity) ? (capacity)*2 : 16;                                           \
            (array) = urd_xrealloc((array), (size_t)(capacity) * sizeof *(array));                 \
        }                                                                                          \
        &(array)[(count)++];                                                                       \
    }))

#endif
