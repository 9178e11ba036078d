#include "indexer/flow.h"
#include <pthread.h>
#include <zstd.h>

/* Contexts of zstd, for each thread, which end with it. Making one asks the processor what it can (CPUID), which costs
 * 10 us each time in a virtual machine: more than a small blob. */
struct zstd {
    ZSTD_CCtx *in;
    ZSTD_DCtx *out;
};
static pthread_key_t zstd_key;
static pthread_once_t zstd_once = PTHREAD_ONCE_INIT;

static void free_zstd(void *data)
{
    struct zstd *z = data;
    ZSTD_freeCCtx(z->in);
    ZSTD_freeDCtx(z->out);
    free(z);
}

static void make_zstd_key(void)
{
    urd_check(pthread_key_create(&zstd_key, free_zstd) == 0, "no thread-specific data is left");
}

static struct zstd *zstd_of_thread(void)
{
    pthread_once(&zstd_once, make_zstd_key);
    struct zstd *z = pthread_getspecific(zstd_key);
    if (!z) {
        z = urd_xcalloc(1, sizeof *z);
        z->in = ZSTD_createCCtx();
        z->out = ZSTD_createDCtx();
        pthread_setspecific(zstd_key, z);
    }
    return z;
}

void urd_blob_pack_level(const void *data, size_t size, int level, struct urd_buf *out)
{
    size_t bound = ZSTD_compressBound(size);
    out->size = 0;
    urd_buf_reserve(out, bound + 4);
    uint32_t raw = (uint32_t)size;
    memcpy(out->data, &raw, 4);
    size_t n = ZSTD_compressCCtx(zstd_of_thread()->in, out->data + 4, bound, data, size, level);
    urd_check(!ZSTD_isError(n), "zstd: %s", ZSTD_getErrorName(n));
    out->size = n + 4;
}

void urd_blob_pack(const void *data, size_t size, struct urd_buf *out)
{
    urd_blob_pack_level(data, size, -1, out);
}

bool urd_blob_unpack_to(const void *data, size_t size, void *ret, size_t ret_size)
{
    size_t n = ZSTD_decompressDCtx(zstd_of_thread()->out, ret, ret_size, (const uint8_t *)data + 4,
                                   size - 4);
    return !ZSTD_isError(n) && n == ret_size;
}

urd_err *urd_blob_unpack(const void *data, size_t size, uint8_t **ret, size_t *ret_size)
{
    uint32_t raw = 0;
    if (size >= 4)
        memcpy(&raw, data, 4);
    if (size < 4 || raw > 1u << 30)
        URD_FAIL("a row of the index is damaged");
    uint8_t *out = urd_xrealloc(NULL, raw + 1);
    if (!urd_blob_unpack_to(data, size, out, raw)) {
        free(out);
        URD_FAIL("a row of the index is damaged");
    }
    *ret = out;
    *ret_size = raw;
    return NULL;
}

/* By hand: realloc does not keep the alignment. */
static void *grow_aligned(void *old, size_t used, size_t size)
{
    void *p = aligned_alloc(64, (size + 63) & ~63ull);
    urd_check(p, "out of memory");
    if (used)
        memcpy(p, old, used);
    free(old);
    return p;
}

uint32_t urd_flow_add(struct urd_flow_encoder *f, const struct urd_flow_node *node)
{
    if (f->n_nodes == f->cap_nodes) {
        f->cap_nodes = f->cap_nodes ? f->cap_nodes * 2 : 1024;
        f->nodes =
            grow_aligned(f->nodes, f->n_nodes * sizeof *f->nodes, f->cap_nodes * sizeof *f->nodes);
        uint64_t *bits = urd_xcalloc(f->cap_nodes / 64, sizeof *bits);
        if (f->used_bits)
            memcpy(bits, f->used_bits, f->cap_nodes / 128 * sizeof *bits);
        free(f->used_bits);
        f->used_bits = bits;
    }
    uint32_t n_memory = 8u * node->n_groups;
    if (f->n_memory + n_memory > f->cap_memory) {
        f->cap_memory = (f->n_memory + n_memory) * 2;
        f->memory = grow_aligned(f->memory, f->n_memory * sizeof *f->memory,
                                 f->cap_memory * sizeof *f->memory);
    }
    f->nodes[f->n_nodes] = *node;
    f->nodes[f->n_nodes].memory = f->n_memory;
    f->nodes[f->n_nodes].epoch = 0;
    f->n_memory += n_memory;
    return f->n_nodes++;
}

void urd_flow_first_time(struct urd_flow_encoder *f, uint32_t dense)
{
    struct urd_flow_node *n = &f->nodes[dense];
    n->a = n->b = URD_FLOW_NONE;
    n->epoch = f->epoch;
    n->times = 0;
    n->sp = 0;
    if (n->n_groups)
        memset(f->memory + n->memory, 0, 64u * n->n_groups);
    URD_PUSH(f->used, f->n_used, f->cap_used) = dense;
    f->used_bits[dense / 64] |= 1ull << dense % 64;
}

void urd_flow_begin(struct urd_flow_encoder *f)
{
    if (!f->symbols)
        f->symbols = urd_xcalloc(1, URD_FLOW_CHUNK);
    f->none.a = f->none.b = URD_FLOW_NONE;
    f->epoch++;
    f->last = URD_FLOW_NONE;
    f->n_blocks = f->n_used = 0;
    f->escapes.size = 0;
}

void urd_flow_deinit(struct urd_flow_encoder *f)
{
    free(f->slots);
    free(f->ops);
    free(f->groups);
    free(f->marks);
    free(f->nodes);
    free(f->memory);
    free(f->used);
    free(f->used_bits);
    free(f->symbols);
    urd_buf_deinit(&f->escapes);
    *f = (struct urd_flow_encoder){0};
}

void urd_flow_put_partial(struct urd_flow_encoder *f, uint32_t dense, unsigned n_insns)
{
    if (f->nodes[dense].epoch != f->epoch)
        urd_flow_first_time(f, dense);
    urd_buf_varint(&f->escapes, dense);
    urd_buf_varint(&f->escapes, n_insns);
    f->symbols[f->n_blocks++] = 3;
    f->nodes[dense].times++;
    f->last = dense;
}

static void sort_used(struct urd_flow_encoder *f)
{
    uint32_t n = 0;
    for (uint32_t word = 0; word < (f->n_nodes + 63) / 64; word++) {
        for (uint64_t bits = f->used_bits[word]; bits; bits &= bits - 1)
            f->used[n++] = word * 64 + (uint32_t)__builtin_ctzll(bits);
        f->used_bits[word] = 0;
    }
}

/* Four a byte, low first. */
static void pack_symbols(uint8_t *symbols, uint32_t n, struct urd_buf *out)
{
    while (n % 4)
        symbols[n++] = 0;
    urd_buf_reserve(out, n / 4);
    for (uint32_t i = 0; i < n; i += 4) {
        uint32_t x;
        memcpy(&x, symbols + i, 4);
        out->data[out->size++] = (uint8_t)(x | x >> 6 | x >> 12 | x >> 18);
    }
}

void urd_flow_finish(struct urd_flow_encoder *f, struct urd_buf *ret_data,
                     struct urd_buf *ret_cover)
{
    size_t symbols = (f->n_blocks + 3) / 4;
    struct urd_buf raw = {0};
    urd_buf_varint(&raw, symbols);
    pack_symbols(f->symbols, f->n_blocks, &raw);
    urd_buf_put(&raw, f->escapes.data, f->escapes.size);
    urd_blob_pack(raw.data, raw.size, ret_data);
    raw.size = 0;
    sort_used(f);
    uint32_t last = 0;
    for (uint32_t i = 0; i < f->n_used; i++) {
        urd_buf_varint(&raw, f->used[i] - last);
        urd_buf_varint(&raw, f->nodes[f->used[i]].times);
        last = f->used[i];
    }
    urd_blob_pack(raw.data, raw.size, ret_cover);
    urd_buf_deinit(&raw);
}

urd_err *urd_flow_decoder_init(struct urd_flow_decoder *d, const void *data, size_t size,
                               uint32_t n_blocks, uint32_t n_dense)
{
    uint8_t *memory;
    size_t raw;
    URD_TRY(urd_blob_unpack(data, size, &memory, &raw));
    struct urd_cursor in = urd_cursor(memory, raw);
    uint64_t symbols = urd_cursor_varint(&in);
    const uint8_t *at = urd_cursor_bytes(&in, symbols);
    if (!at || n_blocks > symbols * 4) {
        free(memory);
        URD_FAIL("a row of control flow in the index is damaged");
    }
    *d = (struct urd_flow_decoder){.memory = memory,
                                   .symbols = at,
                                   .escapes = in,
                                   .last = URD_FLOW_NONE,
                                   .left = n_blocks,
                                   .n_dense = n_dense};
    d->next = urd_xrealloc(NULL, (n_dense + 1) * sizeof *d->next);
    memset(d->next, 0xff, (n_dense + 1) * sizeof *d->next);
    return NULL;
}

void urd_flow_decoder_deinit(struct urd_flow_decoder *d)
{
    free(d->memory);
    free(d->next);
    *d = (struct urd_flow_decoder){0};
}

bool urd_flow_next(struct urd_flow_decoder *d, uint32_t *ret_dense, uint32_t *ret_partial)
{
    if (!d->left)
        return false;
    d->left--;
    unsigned symbol = d->symbols[d->at / 4] >> d->at % 4 * 2 & 3;
    d->at++;
    uint32_t dense;
    *ret_partial = UINT32_MAX;
    if (symbol == 0 && d->last != URD_FLOW_NONE) {
        dense = d->next[d->last].a;
    } else if (symbol == 1 && d->last != URD_FLOW_NONE) {
        dense = d->next[d->last].b;
    } else {
        dense = (uint32_t)urd_cursor_varint(&d->escapes);
        if (symbol == 3) {
            *ret_partial = (uint32_t)urd_cursor_varint(&d->escapes);
        } else if (d->last != URD_FLOW_NONE) {
            d->next[d->last].b = d->next[d->last].a;
            d->next[d->last].a = dense;
        }
    }
    if (dense >= d->n_dense || !d->escapes.ok) {
        d->left = 0;
        return false;
    }
    d->last = *ret_dense = dense;
    return true;
}

urd_err *urd_flow_cover_list(const void *cover, size_t size, uint32_t n_dense,
                             struct urd_flow_times **ret, uint32_t *ret_n)
{
    uint8_t *raw;
    size_t raw_size;
    URD_TRY(urd_blob_unpack(cover, size, &raw, &raw_size));
    struct urd_cursor in = urd_cursor(raw, raw_size);
    struct urd_flow_times *list = urd_xrealloc(NULL, (raw_size / 2 + 1) * sizeof *list);
    uint64_t dense = 0;
    uint32_t n = 0;
    while (urd_cursor_left(&in) && in.ok) {
        dense += urd_cursor_varint(&in);
        uint64_t times = urd_cursor_varint(&in);
        if (dense < n_dense && in.ok)
            list[n++] = (struct urd_flow_times){(uint32_t)dense, (uint32_t)times};
    }
    free(raw);
    *ret = list;
    *ret_n = n;
    return NULL;
}

urd_err *urd_flow_cover(const void *cover, size_t size, uint32_t n_dense, uint32_t *counts)
{
    struct urd_flow_times *list;
    uint32_t n;
    URD_TRY(urd_flow_cover_list(cover, size, n_dense, &list, &n));
    for (uint32_t i = 0; i < n; i++)
        counts[list[i].dense] += list[i].times;
    free(list);
    return NULL;
}

static void put_shape(struct urd_buf *out, const struct urd_store_shape *s)
{
    urd_buf_u8(out, s->insn);
    urd_buf_u8(out, s->code);
    if (s->code & URD_STORE_DERIVED) {
        urd_buf_u8(out, s->root);
        urd_buf_varint(out, urd_zigzag(s->delta));
    }
    if (s->code & URD_STORE_KNOWN)
        urd_buf_varint(out, urd_zigzag((int64_t)s->value));
}

void urd_flow_dictionary_encode(const struct urd_flow_dictionary *d, struct urd_buf *out)
{
    struct urd_buf raw = {0};
    uint64_t last = 0;
    urd_buf_varint(&raw, d->n_traces);
    for (uint32_t i = 0; i < d->n_traces; i++) {
        const struct urd_flow_trace *t = &d->traces[i];
        urd_buf_u8(&raw, t->n_blocks);
        for (unsigned k = 0; k < t->n_blocks; k++) {
            const struct urd_flow_block *b = &d->blocks[t->first + k];
            urd_buf_varint(&raw, urd_zigzag((int64_t)(b->pc - last)));
            last = b->pc;
            urd_buf_u8(&raw, b->n_insns);
            urd_buf_u8(&raw, b->end);
            urd_buf_u8(&raw, b->flags);
            urd_buf_put(&raw, b->lengths, b->n_insns);
        }
        urd_buf_varint(&raw, t->count);
        urd_buf_u8(&raw, t->n_shapes);
        for (unsigned k = 0; k < t->n_shapes; k++)
            put_shape(&raw, &urd_flow_shapes(d, t)[k]);
    }
    urd_blob_pack(raw.data, raw.size, out);
    urd_buf_deinit(&raw);
}

/** shapes: the trace's; this one is the i-th. */
static void get_shape(struct urd_cursor *in, const struct urd_store_shape *shapes, unsigned i,
                      struct urd_store_shape *ret)
{
    *ret = (struct urd_store_shape){.insn = urd_cursor_u8(in)};
    ret->code = urd_cursor_u8(in);
    in->ok &= ret->code < URD_STORE_CODES;
    if (ret->code & URD_STORE_DERIVED) {
        ret->root = urd_cursor_u8(in);
        ret->delta = (int32_t)urd_unzigzag(urd_cursor_varint(in));
        in->ok &= ret->root < i && !(shapes[ret->root].code & URD_STORE_DERIVED);
    }
    if (ret->code & URD_STORE_KNOWN) {
        ret->value = (uint64_t)urd_unzigzag(urd_cursor_varint(in));
        in->ok &= urd_store_bytes(ret->code) <= 8;
    }
}

static void get_shapes(struct urd_cursor *in, struct urd_flow_dictionary *d,
                       struct urd_flow_trace *t)
{
    t->shapes = d->n_shapes;
    t->n_shapes = urd_cursor_u8(in);
    in->ok &= t->n_shapes <= URD_STORES_MAX;
    for (unsigned i = 0; i < t->n_shapes && in->ok; i++) {
        struct urd_store_shape shape;
        get_shape(in, urd_flow_shapes(d, t), i, &shape);
        URD_PUSH(d->shapes, d->n_shapes, d->cap_shapes) = shape;
    }
}

const uint8_t *urd_flow_keep_lengths(struct urd_flow_dictionary *d, const uint8_t *lengths,
                                     uint8_t n)
{
    if (!d->lengths || d->lengths->n + n > sizeof d->lengths->bytes) {
        struct urd_flow_lengths *more = urd_xrealloc(NULL, sizeof *more);
        more->before = d->lengths;
        more->n = 0;
        d->lengths = more;
    }
    uint8_t *to = d->lengths->bytes + d->lengths->n;
    memcpy(to, lengths, n);
    d->lengths->n += n;
    return to;
}

static void get_block(struct urd_cursor *in, struct urd_flow_dictionary *d,
                      struct urd_flow_block *b, uint64_t *pc)
{
    *b = (struct urd_flow_block){0};
    b->pc = *pc += (uint64_t)urd_unzigzag(urd_cursor_varint(in));
    b->n_insns = urd_cursor_u8(in);
    b->end = urd_cursor_u8(in);
    b->flags = urd_cursor_u8(in);
    const uint8_t *lengths = b->n_insns <= URD_FLOW_INSNS ? urd_cursor_bytes(in, b->n_insns) : NULL;
    if (lengths)
        b->lengths = urd_flow_keep_lengths(d, lengths, b->n_insns);
    in->ok &= lengths != NULL;
}

static void get_trace(struct urd_cursor *in, struct urd_flow_dictionary *d, uint64_t *pc)
{
    struct urd_flow_trace t = {.first = d->n_blocks, .n_blocks = urd_cursor_u8(in)};
    unsigned n_insns = 0;
    for (unsigned k = 0; k < t.n_blocks && in->ok; k++) {
        struct urd_flow_block *b = &URD_PUSH(d->blocks, d->n_blocks, d->cap_blocks);
        get_block(in, d, b, pc);
        n_insns += b->n_insns;
    }
    if (!t.n_blocks || n_insns > URD_FLOW_INSNS)
        in->ok = false;
    t.n_insns = (uint8_t)n_insns;
    t.count = urd_cursor_varint(in);
    get_shapes(in, d, &t);
    for (uint32_t k = t.first; k < d->n_blocks; k++)
        d->blocks[k].count = t.count;
    URD_PUSH(d->traces, d->n_traces, d->cap_traces) = t;
}

urd_err *urd_flow_dictionary_decode(const void *data, size_t size, struct urd_flow_dictionary *ret)
{
    uint8_t *raw;
    size_t raw_size;
    URD_TRY(urd_blob_unpack(data, size, &raw, &raw_size));
    struct urd_cursor in = urd_cursor(raw, raw_size);
    uint64_t n = urd_cursor_varint(&in), pc = 0;
    struct urd_flow_dictionary d = {0};
    in.ok &= n <= raw_size;
    for (uint64_t i = 0; i < n && in.ok; i++)
        get_trace(&in, &d, &pc);
    free(raw);
    if (!in.ok) {
        urd_flow_dictionary_deinit(&d);
        URD_FAIL("a dictionary of blocks in the index is damaged");
    }
    *ret = d;
    return NULL;
}

uint32_t *urd_flow_words(const struct urd_flow_dictionary *d)
{
    uint32_t *starts = urd_xcalloc(d->n_traces + 1, sizeof *starts);
    for (uint32_t i = 0; i < d->n_traces; i++) {
        const struct urd_flow_trace *t = &d->traces[i];
        starts[i + 1] = starts[i];
        for (unsigned k = 0; k < t->n_shapes; k++)
            starts[i + 1] += urd_store_words(urd_flow_shapes(d, t)[k].code);
    }
    return starts;
}

void urd_flow_dictionary_deinit(struct urd_flow_dictionary *d)
{
    free(d->blocks);
    free(d->traces);
    free(d->shapes);
    for (struct urd_flow_lengths *l = d->lengths, *before; l; l = before) {
        before = l->before;
        free(l);
    }
    *d = (struct urd_flow_dictionary){0};
}
