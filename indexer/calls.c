#include "indexer/calls.h"

void urd_calls_encode(const struct urd_call *calls, uint32_t n, struct urd_buf *out)
{
    struct urd_words_columns columns = {0};
    uint64_t words[8] = {0}, memory[8] = {0};
    urd_words_reserve(&columns, n);
    for (uint32_t i = 0; i < n; i++) {
        urd_call_to_words(&calls[i], words);
        urd_words_put(&columns.at, memory, words, &urd_call_group, 0, 0);
    }
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
    struct urd_call c = {f->callee, f->site, f->entry, clock, s->n, f->tid ? f->tid : tid,
                         abandoned};
    if (!f->inherited)
        done(data, &c);
}

uint32_t urd_calls_outer(const struct urd_call_stack *s)
{
    uint32_t n = 0;
    while (n < s->n && s->frames[n].sp == URD_CALLS_OUTER)
        n++;
    return n;
}

void urd_calls_cut(struct urd_call_stack *s, uint32_t n, bool returned, int64_t clock, int32_t tid,
                   urd_call_fn done, void *data)
{
    uint64_t sp = n < s->n ? s->frames[n].sp : 0;
    while (s->n > n)
        end_frame(s, clock, tid, !returned || s->frames[s->n - 1].sp != sp, done, data);
}

bool urd_calls_find(const struct urd_call_stack *s, uint64_t sp, uint32_t *ret_n, uint64_t *ret_gap)
{
    uint32_t i = s->n;
    while (i && s->frames[i - 1].sp < sp && (i == s->n || s->frames[i - 1].sp >= s->frames[i].sp))
        i--;
    if (!i || s->frames[i - 1].sp < sp || s->frames[i - 1].sp == URD_CALLS_OUTER)
        return false;
    *ret_n = i;
    *ret_gap = s->frames[i - 1].sp - (i < s->n ? s->frames[i].sp : sp);
    return true;
}

/** Of the frames up to the n-th, those that have its sp, it included, are how many? */
static uint32_t with_same_sp(const struct urd_call_stack *s, uint32_t n)
{
    uint32_t first = n;
    while (first && s->frames[first - 1].sp == s->frames[n - 1].sp)
        first--;
    return n - first;
}

enum urd_calls_verdict urd_calls_return(struct urd_call_stack *s, uint64_t sp, int64_t clock,
                                        int32_t tid, urd_call_fn done, void *data)
{
    uint32_t i;
    uint64_t gap;
    if (!urd_calls_find(s, sp, &i, &gap))
        return URD_CALLS_UNSETTLED;
    if (s->frames[i - 1].sp == sp) {
        urd_calls_cut(s, i - with_same_sp(s, i), true, clock, tid, done, data);
        return URD_CALLS_SETTLED;
    }
    if (i == s->n)
        return gap <= URD_CALLS_FRAME ? URD_CALLS_SETTLED : URD_CALLS_UNSETTLED;
    if (gap > URD_CALLS_GAP)
        return URD_CALLS_UNSETTLED;
    urd_calls_cut(s, i, false, clock, tid, done, data);
    return URD_CALLS_LEFT;
}

enum urd_calls_verdict urd_calls_go(struct urd_call_stack *s, const struct urd_call_jump *j,
                                    uint64_t outer_sp, int32_t tid, urd_call_fn done, void *data)
{
    uint32_t i;
    uint64_t gap;
    bool known = s->n && s->frames[s->n - 1].sp != URD_CALLS_OUTER;
    if (!known && j->indirect && !j->function) /* perhaps a stub's: the frame that it is for tells */
        return URD_CALLS_UNSETTLED;
    if ((known ? s->frames[s->n - 1].sp : outer_sp) - j->sp <=
        URD_CALLS_FRAME) { /* the usual one */
        urd_calls_jump(s, j);
        return URD_CALLS_SETTLED;
    }
    if (!known)
        return URD_CALLS_UNSETTLED;
    if (urd_calls_find(s, j->sp - 8, &i, &gap) && s->frames[i - 1].sp == j->sp - 8 &&
        s->frames[i - 1].return_pc == j->to) {
        urd_calls_cut(s, i - with_same_sp(s, i), true, j->clock, tid, done, data);
        return URD_CALLS_LEFT;
    }
    if (!urd_calls_find(s, j->sp, &i, &gap))
        return URD_CALLS_UNSETTLED;
    if (i == s->n || (gap > URD_CALLS_GAP && s->frames[i - 1].sp != j->sp))
        return URD_CALLS_UNSETTLED;
    urd_calls_cut(s, i, false, j->clock, tid, done, data);
    urd_calls_jump(s, j);
    return URD_CALLS_LEFT;
}

enum urd_calls_verdict urd_calls_call(struct urd_call_stack *s, uint64_t sp, int64_t clock,
                                      int32_t tid, urd_call_fn done, void *data)
{
    uint32_t i;
    uint64_t gap;
    if (sp - s->frames[s->n - 1].sp >= URD_CALLS_STACK) /* another stack calls, and is waited for */
        return URD_CALLS_SETTLED;
    if (!urd_calls_find(s, sp, &i, &gap))
        return URD_CALLS_UNSETTLED;
    if (s->frames[i - 1].sp == sp)
        i -= with_same_sp(s, i);
    else if (gap > URD_CALLS_GAP)
        return URD_CALLS_UNSETTLED;
    urd_calls_cut(s, i, false, clock, tid, done, data);
    return URD_CALLS_LEFT;
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
    urd_buf_u8(
        out, (uint8_t)(c->kind | c->inherits << 4 | c->jump.indirect << 5 | c->jump.to_entry << 6));
    urd_buf_varint(out, (uint32_t)c->tid);
    urd_buf_varint(out, c->space);
    urd_buf_varint(out, urd_zigzag(c->clock));
    if (c->kind == URD_CALLS_STARTED)
        urd_buf_varint(out, (uint32_t)c->other);
    if (c->kind == URD_CALLS_CALLED || c->kind == URD_CALLS_RETURNED)
        urd_buf_varint(out, c->sp);
    if (c->kind < URD_CALLS_RETURNED)
        return;
    urd_buf_varint(out, c->jump.to);
    urd_buf_varint(out, c->jump.to_function);
    urd_buf_varint(out, (uint64_t)(c->jump.clock - c->clock));
    if (c->kind == URD_CALLS_RETURNED)
        return;
    urd_buf_varint(out, c->jump.sp);
    urd_buf_varint(out, c->jump.site);
    urd_buf_varint(out, c->jump.function);
}

struct urd_call_change urd_calls_change_decode(struct urd_cursor *in, int64_t base)
{
    uint8_t bits = urd_cursor_u8(in);
    struct urd_call_change c = {.kind = bits & 15, .inherits = bits >> 4 & 1};
    c.jump.indirect = bits >> 5 & 1;
    c.jump.to_entry = bits >> 6 & 1;
    c.tid = (int32_t)urd_cursor_varint(in);
    c.space = (uint32_t)urd_cursor_varint(in);
    c.clock = urd_unzigzag(urd_cursor_varint(in)) + base;
    in->ok &= c.kind <= URD_CALLS_JUMPED;
    if (c.kind == URD_CALLS_STARTED)
        c.other = (int32_t)urd_cursor_varint(in);
    if (c.kind == URD_CALLS_CALLED || c.kind == URD_CALLS_RETURNED)
        c.sp = urd_cursor_varint(in);
    if (c.kind < URD_CALLS_RETURNED)
        return c;
    c.jump.to = urd_cursor_varint(in);
    c.jump.to_function = urd_cursor_varint(in);
    c.jump.clock = c.clock + (int64_t)urd_cursor_varint(in);
    if (c.kind == URD_CALLS_RETURNED)
        return c;
    c.jump.sp = urd_cursor_varint(in);
    c.jump.site = urd_cursor_varint(in);
    c.jump.function = urd_cursor_varint(in);
    return c;
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
        urd_buf_u8(out, (uint8_t)(f->inherited | f->signal << 1 | (f->tid != 0) << 2));
        if (f->tid)
            urd_buf_varint(out, (uint32_t)f->tid);
    }
}

void urd_calls_stack_decode(struct urd_cursor *in, int64_t base, int32_t tid,
                            struct urd_call_stack *s)
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
        f.tid = flags >> 2 & 1 ? (int32_t)urd_cursor_varint(in) : tid;
        if (f.sp == URD_CALLS_OUTER && s->n) {
            f.sp = s->frames[s->n - 1].sp;
            f.return_pc = s->frames[s->n - 1].return_pc;
            f.inherited |= s->frames[s->n - 1].inherited;
        }
        if (in->ok)
            urd_calls_push(s, f);
    }
}
