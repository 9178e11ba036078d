#include "indexer/calls.h"

void urd_calls_encode_one(const struct urd_call *c, struct urd_buf *out)
{
    struct urd_words_columns columns = {0};
    uint64_t words[8] = {0}, memory[8] = {0};
    urd_call_to_words(c, words);
    urd_words_reserve(&columns, 1);
    urd_words_put(&columns.at, memory, words, &urd_call_group, 0, 0);
    urd_words_finish(&columns, out);
    urd_words_deinit(&columns);
}

bool urd_calls_open(struct urd_calls_reader *r, const void *raw, size_t size)
{
    struct urd_cursor in = urd_cursor(raw, size);
    *r = (struct urd_calls_reader){0};
    return urd_words_open(&r->in, &in);
}

bool urd_calls_next(struct urd_calls_reader *r, struct urd_call *ret)
{
    if (!urd_cursor_left(&r->in.groups))
        return false;
    uint64_t w[URD_CALL_WORDS];
    for (unsigned i = 0; i < URD_CALL_WORDS; i++)
        w[i] = urd_words_get(&r->in, i, &r->memory[i]);
    *ret = (struct urd_call){.entry = (int64_t)w[0],
                             .end = (int64_t)(w[0] + w[1]),
                             .site = w[2],
                             .tid = (int32_t)((int64_t)w[3] >> 1),
                             .abandoned = w[3] & 1,
                             .depth = (uint32_t)w[4]};
    return r->in.groups.ok && r->in.bytes.ok && r->in.data.ok;
}

static void end_frame(struct urd_call_stack *s, int64_t clock, int32_t tid, bool abandoned,
                      urd_call_fn done, void *data)
{
    const struct urd_call_frame *f = &s->frames[--s->n];
    struct urd_call c = {f->callee, f->site, f->entry, clock, s->n, tid, abandoned};
    if (!f->inherited)
        done(data, &c);
}

/** How many frames are URD_CALLS_OUTER. */
static uint32_t outer(const struct urd_call_stack *s)
{
    uint32_t n = 0;
    while (n < s->n && s->frames[n].sp == URD_CALLS_OUTER)
        n++;
    return n;
}

/** How many frames there are up to the newest one that is not below sp. */
static uint32_t not_below(const struct urd_call_stack *s, uint64_t sp)
{
    uint32_t i = s->n;
    while (i && s->frames[i - 1].sp < sp)
        i--;
    return i;
}

uint32_t urd_calls_unwind(struct urd_call_stack *s, uint64_t sp, int64_t clock, int32_t tid,
                          urd_call_fn done, void *data)
{
    uint32_t i = not_below(s, sp), n = s->n - i;
    if (!n || sp - s->frames[s->n - 1].sp >= URD_CALLS_STACK ||
        (i && s->frames[i - 1].sp != URD_CALLS_OUTER && s->frames[i - 1].sp - sp >= URD_CALLS_NEAR))
        return 0;
    while (s->n > i)
        end_frame(s, clock, tid, true, done, data);
    return n;
}

bool urd_calls_return(struct urd_call_stack *s, uint64_t sp, int64_t clock, int32_t tid,
                      urd_call_fn done, void *data)
{
    uint32_t i = not_below(s, sp);
    if (!i || s->frames[i - 1].sp != sp) {
        urd_calls_unwind(s, sp, clock, tid, done, data);
        if (s->n == outer(s))
            while (s->n) /* so it returns from there */
                end_frame(s, clock, tid, false, done, data);
        return false;
    }
    while (s->n > i)
        end_frame(s, clock, tid, true, done, data);
    while (s->n && s->frames[s->n - 1].sp == sp)
        end_frame(s, clock, tid, false, done, data);
    return true;
}

uint32_t urd_calls_drop_dead(struct urd_call_stack *s, uint64_t sp, int64_t clock, int32_t tid,
                             urd_call_fn done, void *data)
{
    uint32_t dropped = 0;
    for (; s->n && s->frames[s->n - 1].sp <= sp && sp - s->frames[s->n - 1].sp < URD_CALLS_NEAR;
         dropped++)
        end_frame(s, clock, tid, true, done, data);
    return dropped;
}

static uint64_t *below_turn(struct urd_call_stack *s, uint64_t sp, uint64_t *ret_bit)
{
    *ret_bit = 1ull << (sp >> 3) % 64;
    return &s->below_turn[(sp >> 9) % 16];
}

static void find_turn(struct urd_call_stack *s, uint64_t next)
{
    uint64_t bit;
    for (s->turn = s->n; s->turn && s->frames[s->turn - 1].sp >= next; s->turn--)
        next = s->frames[s->turn - 1].sp;
    memset(s->below_turn, 0, sizeof s->below_turn);
    for (uint32_t i = 0; i < s->turn; i++)
        *below_turn(s, s->frames[i].sp, &bit) |= bit;
}

void urd_calls_overwrite(struct urd_call_stack *s, uint64_t sp, int64_t clock, int32_t tid,
                         urd_call_fn done, void *data)
{
    uint64_t bit;
    if (s->turn >= s->n || s->frames[s->n - 1].sp <= sp)
        find_turn(s, sp);
    if (!(*below_turn(s, sp, &bit) & bit))
        return;
    uint32_t first = 0;
    while (first < s->turn && s->frames[first].sp != sp)
        first++;
    uint32_t end = first;
    while (end < s->turn && s->frames[end].sp <= sp &&
           (end == first || s->frames[end].sp <= s->frames[end - 1].sp))
        end++;
    for (uint32_t i = end; i-- > first;) {
        const struct urd_call_frame *f = &s->frames[i];
        struct urd_call c = {f->callee, f->site, f->entry, clock, i, tid, true};
        if (!f->inherited)
            done(data, &c);
    }
    memmove(s->frames + first, s->frames + end, (s->n - end) * sizeof *s->frames);
    s->n -= end - first;
    s->turn -= end - first;
}

void urd_calls_abandon(struct urd_call_stack *s, int64_t clock, int32_t tid, urd_call_fn done,
                       void *data)
{
    while (s->n)
        end_frame(s, clock, tid, true, done, data);
}

void urd_calls_jump(struct urd_call_stack *s, const struct urd_call_jump *j)
{
    if (j->to_function == j->function)
        return;
    struct urd_call_frame *top = s->n ? &s->frames[s->n - 1] : NULL;
    /* through a PLT stub or the dynamic linker's resolver: the call was meant for this function */
    bool stub = top && j->indirect && top->callee != j->to &&
                (j->clock - top->entry <= URD_CALLS_STUB || j->function == 0);
    if (!j->to_entry && !stub)
        return;
    if (stub || (s->n > 8 && s->frames[s->n - 8].sp == top->sp)) {
        top->callee = j->to;
        top->entry = j->clock;
        return;
    }
    urd_calls_push(s, (struct urd_call_frame){.callee = j->to,
                                              .return_pc = top ? top->return_pc : 0,
                                              .sp = top ? top->sp : URD_CALLS_OUTER,
                                              .site = j->site,
                                              .entry = j->clock,
                                              .inherited = top && top->inherited});
}

void urd_calls_change_encode(const struct urd_call_change *c, struct urd_buf *out)
{
    urd_buf_varint(out, c->sp);
    urd_buf_varint(out, urd_zigzag(c->clock));
    if (c->sp != URD_CALLS_JUMPED)
        return;
    urd_buf_varint(out, c->jump.site);
    urd_buf_varint(out, c->jump.function);
    urd_buf_varint(out, c->jump.to);
    urd_buf_varint(out, c->jump.to_function);
    urd_buf_u8(out, (uint8_t)(c->jump.indirect | c->jump.to_entry << 1));
}

struct urd_call_change urd_calls_change_decode(struct urd_cursor *in, int64_t base)
{
    struct urd_call_change c = {.sp = urd_cursor_varint(in)};
    c.clock = urd_unzigzag(urd_cursor_varint(in)) + base;
    if (c.sp != URD_CALLS_JUMPED)
        return c;
    c.jump.site = urd_cursor_varint(in);
    c.jump.function = urd_cursor_varint(in);
    c.jump.to = urd_cursor_varint(in);
    c.jump.to_function = urd_cursor_varint(in);
    uint8_t flags = urd_cursor_u8(in);
    c.jump.indirect = flags & 1;
    c.jump.to_entry = flags >> 1 & 1;
    c.jump.clock = c.clock;
    return c;
}

void urd_calls_replay(struct urd_call_stack *s, const struct urd_call_change *c, int32_t tid,
                      urd_call_fn done, void *data)
{
    if (c->sp == URD_CALLS_ENDED)
        urd_calls_abandon(s, c->clock, tid, done, data);
    else if (c->sp == URD_CALLS_JUMPED)
        urd_calls_jump(s, &c->jump);
    else if (c->sp & 1)
        urd_calls_unwind(s, c->sp >> 1, c->clock, tid, done, data);
    else
        urd_calls_return(s, c->sp >> 1, c->clock, tid, done, data);
}

void urd_calls_stack_encode(const struct urd_call_stack *s, struct urd_buf *out)
{
    urd_buf_varint(out, s->n);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct urd_call_frame *f = &s->frames[i];
        urd_buf_varint(out, f->callee);
        urd_buf_varint(out, f->return_pc);
        urd_buf_varint(out, f->sp);
        urd_buf_varint(out, urd_zigzag(f->entry));
        urd_buf_varint(out, f->site);
        urd_buf_u8(out, (uint8_t)(f->inherited | f->signal << 1));
    }
}

void urd_calls_stack_decode(struct urd_cursor *in, int64_t base, struct urd_call_stack *s)
{
    uint64_t n = urd_cursor_varint(in);
    for (uint64_t i = 0; i < n && in->ok; i++) {
        struct urd_call_frame f;
        f.callee = urd_cursor_varint(in);
        f.return_pc = urd_cursor_varint(in);
        f.sp = urd_cursor_varint(in);
        f.entry = urd_unzigzag(urd_cursor_varint(in)) + base;
        f.site = urd_cursor_varint(in);
        uint8_t flags = urd_cursor_u8(in);
        f.inherited = flags & 1;
        f.signal = flags >> 1 & 1;
        if (f.sp == URD_CALLS_OUTER && s->n) {
            f.sp = s->frames[s->n - 1].sp;
            f.return_pc = s->frames[s->n - 1].return_pc;
            f.inherited |= s->frames[s->n - 1].inherited;
        }
        if (in->ok)
            urd_calls_push(s, f);
    }
}
