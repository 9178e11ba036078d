/* The bytes of an event, after its tag:
 *
 *   u8 kind, u8 flags, varint parts, varint pid, varint tid, varint time - last time
 *   registers before (differences to the task's last), registers after (differences to before)
 *   each part whose bit is set, in order of the bits below
 *
 * Differences: a varint mask of the registers that differ (bit i: i-th word of user_regs_struct), then each
 * as zigzag varint of the difference.
 */
#include "trace/codec.h"
#include <errno.h>
#include <stddef.h>

enum {
    PART_SYSCALL = 1,
    PART_SIGNAL = 2,
    PART_MAP_OPS = 4,
    PART_WRITES = 8,
    PART_XSTATE = 16,
    PART_OUTPUT = 32,
    PART_TEXT = 64,
    PART_CHECKSUM = 128,
    PART_OTHER = 256,
    PART_OUTPUT_SHARED = 512, /* the output's bytes are those of a write of this event */
    PART_CUT =
        1024, /* u64 vectors, near, memory; varint words; for each varint address, u64 value */
    PART_PATCHES =
        2048, /* varint n; for each varint start, size, code_size; with code varint hop (when size is URD_PATCH_SHORT_BYTES), pages, trampoline; code */
    PART_BRANCHES = 4096, /* varint branches: the cut is counted */
    PART_SHARED = 8192,   /* nothing follows: the cut is of shared memory, too */
    PART_STACK = 16384,   /* u64 stack, of the cut */
    PART_CLONE =
        32768, /* varint which write, where its bytes are in the trace's clones; they are not in its own place */
};

#define N_REGS (sizeof(struct user_regs_struct) / 8)

void urd_codec_reset(struct urd_codec *c)
{
    urd_map_clear(&c->tasks);
    c->n_regs = 0;
    c->time_ns = 0;
}

static void free_texts(struct urd_codec *c)
{
    for (size_t i = 0; i < c->n_texts; i++)
        free(c->texts[i]);
    c->n_texts = 0;
}

void urd_codec_deinit(struct urd_codec *c)
{
    free_texts(c);
    urd_map_deinit(&c->tasks);
    free(c->regs);
    free(c->map_ops);
    free(c->writes);
    free(c->patches);
    free(c->texts);
    *c = (struct urd_codec){0};
}

static struct user_regs_struct *task_regs(struct urd_codec *c, int32_t tid)
{
    uint64_t *slot = urd_map_put(&c->tasks, (uint64_t)(uint32_t)tid);
    if (!*slot) {
        URD_PUSH(c->regs, c->n_regs, c->cap_regs) = (struct user_regs_struct){0};
        *slot = c->n_regs;
    }
    return &c->regs[*slot - 1];
}

static inline uint8_t *put_varint(uint8_t *at, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *at++ = (uint8_t)v | 0x80;
    *at++ = (uint8_t)v;
    return at;
}

enum { VARINT_MAX = 10, REGS_MAX = VARINT_MAX * (N_REGS + 1) }; /* bytes */

/** At most REGS_MAX bytes. */
static inline uint8_t *put_differences(uint8_t *at, const uint64_t *from, const uint64_t *to)
{
    uint64_t mask = 0;
    for (unsigned i = 0; i < N_REGS; i += 3) { /* most do not differ */
        uint64_t x = from[i] ^ to[i], y = from[i + 1] ^ to[i + 1], z = from[i + 2] ^ to[i + 2];
        if (x | y | z)
            mask |= (uint64_t)(x != 0) << i | (uint64_t)(y != 0) << (i + 1) |
                    (uint64_t)(z != 0) << (i + 2);
    }
    at = put_varint(at, mask);
    for (; mask; mask &= mask - 1) {
        unsigned i = (unsigned)__builtin_ctzll(mask);
        at = put_varint(at, urd_zigzag((int64_t)(to[i] - from[i])));
    }
    return at;
}

_Static_assert(N_REGS % 3 == 0, "put_differences");

static void put_regs(struct urd_buf *out, const struct user_regs_struct *from,
                     const struct user_regs_struct *to)
{
    urd_buf_reserve(out, REGS_MAX);
    uint8_t *at = out->data + out->size;
    out->size =
        (size_t)(put_differences(at, (const uint64_t *)from, (const uint64_t *)to) - out->data);
}

static void get_regs(struct urd_cursor *in, const struct user_regs_struct *from,
                     struct user_regs_struct *to)
{
    uint64_t *words = (uint64_t *)to;
    uint64_t mask = urd_cursor_varint(in) & ((1ull << N_REGS) - 1);
    *to = *from;
    for (; mask; mask &= mask - 1)
        words[__builtin_ctzll(mask)] += (uint64_t)urd_unzigzag(urd_cursor_varint(in));
}

static const struct urd_mem_write *write_of_output(const struct urd_event *e)
{
    for (uint32_t i = 0; i < e->n_writes; i++)
        if (e->writes[i].data == e->output_data && e->writes[i].size == e->output_size)
            return &e->writes[i];
    return NULL;
}

static void put_cut(struct urd_buf *out, const struct urd_cut *c)
{
    urd_buf_u64(out, c->vectors);
    urd_buf_u64(out, c->near);
    urd_buf_u64(out, c->memory);
    urd_buf_varint(out, c->n_words);
    for (uint32_t i = 0; i < c->n_words; i++) {
        urd_buf_varint(out, c->words[i].address);
        urd_buf_u64(out, c->words[i].value);
    }
}

static void put_patches(struct urd_buf *out, const struct urd_event *e)
{
    urd_buf_varint(out, e->n_patches);
    for (uint32_t i = 0; i < e->n_patches; i++) {
        const struct urd_patch *p = &e->patches[i];
        urd_buf_varint(out, p->start);
        urd_buf_varint(out, p->size);
        urd_buf_varint(out, p->code_size);
        if (!p->code_size)
            continue;
        if (p->hop)
            urd_buf_varint(out, p->hop);
        urd_buf_varint(out, p->pages);
        urd_buf_varint(out, p->trampoline);
        urd_buf_put(out, p->code, p->code_size);
    }
}

/** The write whose bytes are in the trace's clones, at most one. */
static const struct urd_mem_write *write_of_clone(const struct urd_event *e)
{
    uint32_t i = 0;
    while (i < e->n_writes && !e->writes[i].clone)
        i++;
    return i < e->n_writes ? &e->writes[i] : NULL;
}

static void put_writes(struct urd_buf *out, const struct urd_mem_write *writes, uint32_t n)
{
    urd_buf_varint(out, n);
    for (uint32_t i = 0; i < n; i++) {
        urd_buf_varint(out, writes[i].address);
        urd_buf_varint(out, writes[i].size);
        if (!writes[i].clone)
            urd_buf_put(out, writes[i].data, writes[i].size);
    }
}

static void put_output(struct urd_buf *out, uint8_t which, const uint8_t *data, uint64_t size)
{
    urd_buf_u8(out, which);
    urd_buf_varint(out, size);
    urd_buf_put(out, data, size);
}

void urd_codec_encode(struct urd_codec *c, const struct urd_event *e, struct urd_buf *out)
{
    const struct urd_mem_write *shared = e->output ? write_of_output(e) : NULL;
    const struct urd_mem_write *clone = write_of_clone(e);
    unsigned parts = (e->syscall >= 0 ? PART_SYSCALL : 0) |
                     (e->signal || e->status ? PART_SIGNAL : 0) |
                     (e->n_map_ops ? PART_MAP_OPS : 0) | (e->n_writes ? PART_WRITES : 0) |
                     (e->xstate ? PART_XSTATE : 0) | (e->output ? PART_OUTPUT : 0) |
                     (e->text && *e->text ? PART_TEXT : 0) | (e->has_checksum ? PART_CHECKSUM : 0) |
                     (e->other_tid ? PART_OTHER : 0) | (shared ? PART_OUTPUT_SHARED : 0) |
                     (e->cut ? PART_CUT : 0) | (e->n_patches ? PART_PATCHES : 0) |
                     (e->cut && e->cut->counted ? PART_BRANCHES : 0) |
                     (e->cut && e->cut->shared ? PART_SHARED : 0) |
                     (e->cut && e->cut->has_stack ? PART_STACK : 0) | (clone ? PART_CLONE : 0);
    urd_buf_u8(out, e->kind);
    urd_buf_u8(out, e->flags);
    urd_buf_varint(out, parts);
    urd_buf_varint(out, (uint32_t)e->pid);
    urd_buf_varint(out, (uint32_t)e->tid);
    urd_buf_varint(out, e->time_ns - c->time_ns);
    c->time_ns = e->time_ns;
    struct user_regs_struct *last = task_regs(c, e->tid);
    put_regs(out, last, &e->before);
    put_regs(out, &e->before, &e->after);
    *last = e->after;
    if (parts & PART_SYSCALL)
        urd_buf_varint(out, (uint32_t)e->syscall);
    if (parts & PART_SIGNAL) {
        urd_buf_varint(out, (uint32_t)e->signal);
        urd_buf_varint(out, (uint32_t)e->status);
    }
    if (parts & PART_MAP_OPS) {
        urd_buf_varint(out, e->n_map_ops);
        for (uint32_t i = 0; i < e->n_map_ops; i++) {
            const struct urd_map_op *op = &e->map_ops[i];
            urd_buf_u8(out, op->kind);
            urd_buf_u8(out, (uint8_t)(op->shared | op->grows_down << 1 | (op->object != 0) << 2));
            if (op->object)
                urd_buf_varint(out, op->object);
            urd_buf_u8(out, op->prot);
            urd_buf_varint(out, op->file);
            urd_buf_varint(out, op->start);
            urd_buf_varint(out, op->size);
            urd_buf_varint(out, op->offset);
            urd_buf_varint(out, op->old_size);
            urd_buf_text(out, op->name ? op->name : "");
        }
    }
    if (clone) {
        urd_buf_varint(out, (uint64_t)(clone - e->writes));
        urd_buf_varint(out, clone->clone - 1);
    }
    if (parts & PART_WRITES)
        put_writes(out, e->writes, e->n_writes);
    if (parts & PART_XSTATE) {
        urd_buf_varint(out, e->xstate_size);
        urd_buf_put(out, e->xstate, e->xstate_size);
    }
    if (parts & PART_OUTPUT) {
        if (shared) {
            urd_buf_u8(out, e->output);
            urd_buf_varint(out, (uint64_t)(shared - e->writes));
        } else {
            put_output(out, e->output, e->output_data, e->output_size);
        }
    }
    if (parts & PART_TEXT)
        urd_buf_text(out, e->text);
    if (parts & PART_CHECKSUM)
        urd_buf_u64(out, e->checksum);
    if (parts & PART_OTHER)
        urd_buf_varint(out, (uint32_t)e->other_tid);
    if (parts & PART_CUT)
        put_cut(out, e->cut);
    if (parts & PART_PATCHES)
        put_patches(out, e);
    if (parts & PART_BRANCHES)
        urd_buf_varint(out, e->cut->branches);
    if (parts & PART_STACK)
        urd_buf_u64(out, e->cut->stack);
}

#define REG(name) (offsetof(struct user_regs_struct, name) / 8)

/* The frame begins with the same registers in the same order. */
enum { FRAME_REGS = offsetof(struct urd_runtime_frame, flags) / 8 };
_Static_assert(FRAME_REGS == REG(orig_rax) &&
                   offsetof(struct urd_runtime_frame, r10) / 8 == REG(r10) &&
                   offsetof(struct urd_runtime_frame, rdi) / 8 == REG(rdi),
               "the order of registers");

/** Differences of registers to the last ones, in order: what put_differences finds, one after the other. */
struct differences {
    uint64_t *last, mask;
    uint64_t list[N_REGS];
    unsigned n;
};

static inline void add_difference(struct differences *d, unsigned i, uint64_t now)
{
    uint64_t difference = now - d->last[i];
    if (!difference)
        return;
    d->list[d->n++] = urd_zigzag((int64_t)difference);
    d->mask |= 1ull << i;
    d->last[i] = now;
}

/** first .. end, which mostly do not differ. */
static inline void add_group(struct differences *d, const uint64_t *frame, unsigned first,
                             unsigned end)
{
    uint64_t differ = 0;
    for (unsigned i = first; i < end; i++)
        differ |= frame[i] ^ d->last[i];
    for (unsigned i = first; differ && i < end; i++)
        add_difference(d, i, frame[i]);
}

static void find_differences(struct differences *d, const struct urd_trace_call *k)
{
    const struct urd_runtime_frame *f = k->regs;
    const uint64_t *words = (const uint64_t *)f;
    add_group(d, words, REG(r15), REG(r11));
    add_difference(d, REG(r11), f->flags); /* as the instruction does: SDM vol. 2, SYSCALL */
    add_group(d, words, REG(r10), REG(rax));
    add_difference(d, REG(rax), (uint64_t)-ENOSYS); /* as a stop at a call's entry shows */
    add_difference(d, REG(rcx), f->rcx + 2);
    add_group(d, words, REG(rdx), REG(orig_rax));
    add_difference(d, REG(orig_rax), f->rax);
    add_difference(d, REG(rip), f->rcx + 2);
    add_difference(d, REG(eflags), f->flags);
    add_difference(d, REG(rsp), k->rsp);
    if (k->fs_base)
        add_difference(d, REG(fs_base), *k->fs_base);
    if (k->gs_base)
        add_difference(d, REG(gs_base), *k->gs_base);
}

bool urd_codec_encode_call(struct urd_codec *c, const struct urd_trace_call *k, struct urd_buf *out)
{
    const uint64_t *known = urd_map_get(&c->tasks, (uint64_t)(uint32_t)k->tid);
    if (!known)
        return false;
    struct differences d;
    d.last = (uint64_t *)&c->regs[*known - 1];
    d.mask = d.n = 0;
    find_differences(&d, k);
    urd_buf_reserve(out, REGS_MAX + 16 * VARINT_MAX);
    uint8_t *at = out->data + out->size;
    *at++ = URD_EVENT_SYSCALL;
    *at++ = URD_EVENT_RAN | URD_EVENT_FAST;
    at = put_varint(at,
                    PART_SYSCALL | (k->n_writes ? PART_WRITES : 0) | (k->output ? PART_OUTPUT : 0));
    at = put_varint(at, (uint32_t)k->pid);
    at = put_varint(at, (uint32_t)k->tid);
    at = put_varint(at, k->time_ns - c->time_ns);
    c->time_ns = k->time_ns;
    at = put_varint(at, d.mask);
    for (unsigned i = 0; i < d.n; i++)
        at = put_varint(at, d.list[i]);
    at = put_varint(at, k->result == -ENOSYS ? 0 : 1u << REG(rax));
    if (k->result != -ENOSYS)
        at = put_varint(at, urd_zigzag(k->result + ENOSYS));
    at = put_varint(at, (uint32_t)k->regs->rax);
    out->size = (size_t)(at - out->data);
    d.last[REG(rax)] = (uint64_t)k->result;
    if (k->n_writes)
        put_writes(out, k->writes, k->n_writes);
    if (k->output)
        put_output(out, k->output, k->output_data, k->output_size);
    return true;
}

static const char *keep_text(struct urd_codec *c, char *text)
{
    if (!text)
        return "";
    URD_PUSH(c->texts, c->n_texts, c->cap_texts) = text;
    return text;
}

/** A count read from a file: each of its items takes at least min_bytes, so more cannot be true. */
static uint32_t sane_count(struct urd_cursor *in, unsigned min_bytes)
{
    uint64_t n = urd_cursor_varint(in);
    if (n > urd_cursor_left(in) / min_bytes) {
        in->ok = false;
        return 0;
    }
    return (uint32_t)n;
}

static const uint8_t *get_bytes(struct urd_cursor *in, uint64_t *ret_size)
{
    *ret_size = urd_cursor_varint(in);
    return urd_cursor_bytes(in, *ret_size);
}

static void get_map_ops(struct urd_codec *c, struct urd_cursor *in, struct urd_event *e)
{
    e->n_map_ops = sane_count(in, 9);
    if (e->n_map_ops > c->cap_map_ops) {
        c->cap_map_ops = e->n_map_ops;
        c->map_ops = urd_xrealloc(c->map_ops, c->cap_map_ops * sizeof *c->map_ops);
    }
    e->map_ops = c->map_ops;
    for (uint32_t i = 0; i < e->n_map_ops; i++) {
        struct urd_map_op *op = &c->map_ops[i];
        op->kind = urd_cursor_u8(in);
        uint8_t bits = urd_cursor_u8(in);
        op->shared = bits & 1;
        op->grows_down = bits >> 1 & 1;
        op->object = bits >> 2 & 1 ? (uint32_t)urd_cursor_varint(in) : 0;
        op->prot = urd_cursor_u8(in);
        op->file = (uint32_t)urd_cursor_varint(in);
        op->start = urd_cursor_varint(in);
        op->size = urd_cursor_varint(in);
        op->offset = urd_cursor_varint(in);
        op->old_size = urd_cursor_varint(in);
        op->name = keep_text(c, urd_cursor_text(in));
    }
}

static const uint8_t *get_clone(const struct urd_codec *c, struct urd_cursor *in, uint64_t at,
                                uint64_t *ret_size)
{
    *ret_size = urd_cursor_varint(in);
    in->ok &= at <= c->clones_bytes && *ret_size <= c->clones_bytes - at;
    if (!in->ok)
        *ret_size = 0;
    return in->ok ? c->clones + at : NULL;
}

static void get_writes(struct urd_codec *c, struct urd_cursor *in, struct urd_event *e,
                       bool has_clone)
{
    uint64_t clone = has_clone ? urd_cursor_varint(in) : ~0ull;
    uint64_t clone_at = has_clone ? urd_cursor_varint(in) : 0;
    e->n_writes = sane_count(in, 2);
    if (e->n_writes > c->cap_writes) {
        c->cap_writes = e->n_writes;
        c->writes = urd_xrealloc(c->writes, c->cap_writes * sizeof *c->writes);
    }
    e->writes = c->writes;
    for (uint32_t i = 0; i < e->n_writes; i++) {
        c->writes[i].address = urd_cursor_varint(in);
        c->writes[i].clone = 0;
        c->writes[i].data = i == clone ? get_clone(c, in, clone_at, &c->writes[i].size)
                                       : get_bytes(in, &c->writes[i].size);
    }
}

static void get_cut(struct urd_codec *c, struct urd_cursor *in, struct urd_event *e)
{
    c->cut = (struct urd_cut){.regs = e->before};
    c->cut.vectors = urd_cursor_u64(in);
    c->cut.near = urd_cursor_u64(in);
    c->cut.memory = urd_cursor_u64(in);
    uint32_t n = sane_count(in, 9);
    if (n > URD_CUT_WORDS) {
        in->ok = false;
        return;
    }
    for (; c->cut.n_words < n; c->cut.n_words++) {
        c->cut.words[c->cut.n_words].address = urd_cursor_varint(in);
        c->cut.words[c->cut.n_words].value = urd_cursor_u64(in);
    }
    e->cut = &c->cut;
}

static void get_patches(struct urd_codec *c, struct urd_cursor *in, struct urd_event *e)
{
    e->n_patches = sane_count(in, 3);
    if (e->n_patches > c->cap_patches) {
        c->cap_patches = e->n_patches;
        c->patches = urd_xrealloc(c->patches, c->cap_patches * sizeof *c->patches);
    }
    e->patches = c->patches;
    for (uint32_t i = 0; i < e->n_patches; i++) {
        struct urd_patch *p = &c->patches[i];
        *p = (struct urd_patch){.start = urd_cursor_varint(in)};
        p->size = urd_cursor_varint(in);
        uint64_t code = urd_cursor_varint(in);
        if (!code)
            continue;
        if (p->size == URD_PATCH_SHORT_BYTES)
            p->hop = urd_cursor_varint(in);
        p->pages = urd_cursor_varint(in);
        p->trampoline = urd_cursor_varint(in);
        p->code = urd_cursor_bytes(in, code);
        p->code_size = (uint32_t)code;
        in->ok &= (p->size == URD_PATCH_BYTES || (p->hop && urd_patch_reaches(p->start, p->hop))) &&
                  p->trampoline - p->pages < URD_PATCH_PAGES_BYTES &&
                  code <= URD_PATCH_PAGES_BYTES - (p->trampoline - p->pages);
    }
}

/** Everything but the registers, which are read in any case. */
static void clear(struct urd_event *e)
{
    memset(e, 0, offsetof(struct urd_event, before));
    memset(&e->n_map_ops, 0, sizeof *e - offsetof(struct urd_event, n_map_ops));
    e->syscall = -1;
    e->text = "";
}
_Static_assert(offsetof(struct urd_event, after) ==
                       offsetof(struct urd_event, before) + 8 * N_REGS &&
                   offsetof(struct urd_event, n_map_ops) ==
                       offsetof(struct urd_event, after) + 8 * N_REGS,
               "clear");

urd_err *urd_codec_decode(struct urd_codec *c, struct urd_cursor *in, struct urd_event *e)
{
    free_texts(c);
    clear(e);
    e->kind = urd_cursor_u8(in);
    e->flags = urd_cursor_u8(in);
    uint64_t parts = urd_cursor_varint(in);
    e->pid = (int32_t)urd_cursor_varint(in);
    e->tid = (int32_t)urd_cursor_varint(in);
    e->time_ns = c->time_ns + urd_cursor_varint(in);
    if (!in->ok || e->kind == URD_EVENT_NONE || e->kind >= URD_EVENT_KINDS)
        URD_FAIL("an event in the trace is damaged (kind %u)", e->kind);
    c->time_ns = e->time_ns;
    struct user_regs_struct *last = task_regs(c, e->tid);
    get_regs(in, last, &e->before);
    get_regs(in, &e->before, &e->after);
    *last = e->after;
    if (parts & PART_SYSCALL)
        e->syscall = (int32_t)urd_cursor_varint(in);
    if (parts & PART_SIGNAL) {
        e->signal = (int32_t)urd_cursor_varint(in);
        e->status = (int32_t)urd_cursor_varint(in);
    }
    if (parts & PART_MAP_OPS)
        get_map_ops(c, in, e);
    if (parts & PART_WRITES)
        get_writes(c, in, e, parts & PART_CLONE);
    if (parts & PART_XSTATE) {
        uint64_t size;
        e->xstate = get_bytes(in, &size);
        e->xstate_size = (uint32_t)size;
    }
    if (parts & PART_OUTPUT) {
        e->output = urd_cursor_u8(in);
        if (parts & PART_OUTPUT_SHARED) {
            uint64_t i = urd_cursor_varint(in);
            if (i >= e->n_writes)
                URD_FAIL("an event in the trace is damaged (output)");
            e->output_data = e->writes[i].data;
            e->output_size = e->writes[i].size;
        } else {
            e->output_data = get_bytes(in, &e->output_size);
        }
    }
    if (parts & PART_TEXT)
        e->text = keep_text(c, urd_cursor_text(in));
    if (parts & PART_CHECKSUM) {
        e->has_checksum = true;
        e->checksum = urd_cursor_u64(in);
    }
    if (parts & PART_OTHER)
        e->other_tid = (int32_t)urd_cursor_varint(in);
    if (parts & PART_CUT)
        get_cut(c, in, e);
    if (parts & PART_PATCHES)
        get_patches(c, in, e);
    if (parts & PART_BRANCHES) {
        c->cut.counted = true;
        c->cut.branches = urd_cursor_varint(in);
    }
    if (parts & PART_STACK) {
        c->cut.has_stack = true;
        c->cut.stack = urd_cursor_u64(in);
    }
    c->cut.shared = parts & PART_SHARED;
    if (!in->ok)
        URD_FAIL("an event in the trace is damaged (it is longer than its chunk, or names what the clones do not have)");
    return NULL;
}
