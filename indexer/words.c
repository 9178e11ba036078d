#include "indexer/words.h"

void urd_words_deinit(struct urd_words_columns *c)
{
    urd_buf_deinit(&c->groups);
    urd_buf_deinit(&c->bytes);
    urd_buf_deinit(&c->data);
}

void urd_words_clear(struct urd_words_columns *c)
{
    c->at = (struct urd_words){c->groups.data, c->bytes.data, c->data.data};
}

static uint8_t *make_room(struct urd_buf *b, const uint8_t *at, size_t extra)
{
    b->size = at ? (size_t)(at - b->data) : 0;
    urd_buf_reserve(b, extra);
    return b->data + b->size;
}

void urd_words_reserve(struct urd_words_columns *c, size_t n)
{
    c->at.group = make_room(&c->groups, c->at.group, n);
    c->at.byte = make_room(&c->bytes, c->at.byte, 8 * n + 8); /* whole words are stored */
    c->at.data = make_room(&c->data, c->at.data, 64 * n + 64);
}

void urd_words_finish(const struct urd_words_columns *c, struct urd_buf *out)
{
    size_t groups = (size_t)(c->at.group - c->groups.data);
    size_t bytes = (size_t)(c->at.byte - c->bytes.data);
    urd_buf_u32(out, (uint32_t)groups);
    urd_buf_u32(out, (uint32_t)bytes);
    urd_buf_put(out, c->groups.data, groups);
    urd_buf_put(out, c->bytes.data, bytes);
    urd_buf_put(out, c->data.data, (size_t)(c->at.data - c->data.data));
}

bool urd_words_open(struct urd_words_reader *r, struct urd_cursor *in)
{
    uint32_t groups = urd_cursor_u32(in), bytes = urd_cursor_u32(in);
    const uint8_t *g = urd_cursor_bytes(in, groups), *b = urd_cursor_bytes(in, bytes);
    if (!g || !b)
        return false;
    *r = (struct urd_words_reader){
        .groups = urd_cursor(g, groups), .bytes = urd_cursor(b, bytes), .data = *in};
    return true;
}

bool urd_words_done(const struct urd_words_reader *r)
{
    return r->groups.ok && r->bytes.ok && r->data.ok && !urd_cursor_left(&r->groups) &&
           !urd_cursor_left(&r->bytes) && !urd_cursor_left(&r->data);
}
