/**
 * Memory that ends all at once.
 *
 * PURPOSE  What a module finds out lives as long as it: names, types, tables.
 * NOT      Freeing one thing.
 * OWNS     Its chunks. A zeroed arena is valid and empty.
 */
#ifndef URD_DEBUGINFO_ARENA_H
#define URD_DEBUGINFO_ARENA_H
#include "base/buf.h"

struct urd_arena {
    struct urd_arena_chunk {
        struct urd_arena_chunk *next;
        char bytes[];
    } * chunks;
    char *at;
    size_t left; /* bytes */
};

/** Zeroed, aligned to 8. */
static inline void *urd_arena_alloc(struct urd_arena *a, size_t bytes)
{
    bytes = (bytes + 7) & ~(size_t)7;
    if (bytes > a->left) {
        size_t size = bytes > 65536 ? bytes : 65536;
        struct urd_arena_chunk *c = urd_xcalloc(1, sizeof *c + size);
        c->next = a->chunks;
        a->chunks = c;
        a->at = c->bytes;
        a->left = size;
    }
    void *p = a->at;
    a->at += bytes;
    a->left -= bytes;
    return p;
}

static inline char *urd_arena_text(struct urd_arena *a, const char *text, size_t size)
{
    char *p = urd_arena_alloc(a, size + 1);
    memcpy(p, text, size);
    return p;
}

static inline void urd_arena_deinit(struct urd_arena *a)
{
    while (a->chunks) {
        struct urd_arena_chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
    *a = (struct urd_arena){0};
}

#endif
