/* The hot loop: what one segment's log becomes, record by record.
 *
 * Per block executed: one flow symbol; for its stores a group of words for each eight (stores.h); for each call and return
 * the task's stack. Everything rare (new blocks, new pages, row ends, conditional stores) is out of line, in builder.c.
 *
 * This file is compiled once for each kind of processor (CMakeLists.txt); builder.c chooses.
 *
 * All that changes with each block lies in locals: what is stored through pointers makes the compiler reload what
 * is in b. Whatever looks at b->clock, ts or the columns is called with them brought up to date.
 */
#include "indexer/builder_state.h"

/** The stores of a plain record. Gives the task's last store by the stack pointer. */
__attribute__((always_inline)) static inline uint64_t
put_stores(struct urd_stores *s, const struct urd_flow_encoder *f, struct urd_flow_node *node,
           const uint8_t *words, uint64_t sp, struct urd_words *out)
{
    uint64_t first = 0, last = sp;
    uint8_t moved = 0; /* all ones when its frame lies elsewhere than the last time */
    if (node->flags & URD_NODE_SP) {
        memcpy(&first, words + 8 * node->first_sp, 8);
        last = urd_builder_slot(words, node->last_sp, node->last_delta);
        moved = (uint8_t) - (node->sp != first);
        node->sp = first;
    }
    unsigned n = node->n_groups;
    if (!n)
        return last;
    const struct urd_words_group *g = f->groups + node->groups;
    uint64_t *memory = f->memory + node->memory;
    for (;; g++, memory += 8, words += 64) {
        uint8_t changed = urd_words_put(out, memory, words, g, sp, first);
        /* an address that is the one of the last time in this row was marked then */
        changed &= g->addresses;
        changed |= moved & (g->first | g->rest);
        if (changed)
            urd_stores_mark_later(s, words, changed, g, f->marks);
        if (__builtin_expect(!--n, 1))
            break;
    }
    if (__builtin_expect(s->n_marks >= URD_STORES_MARKS, 0))
        urd_stores_mark_all(s);
    return last;
}

/* trail: gets the dense ids of the blocks in order and is moved, or is NULL. */
__attribute__((always_inline)) static inline void consume(void *data, struct urd_task *t,
                                                          const struct urd_code *code,
                                                          const uint8_t *log, size_t bytes,
                                                          uint32_t **trail)
{
    struct urd_builder *b = data;
    struct task_state *ts = urd_builder_begin_records(b, t);
    urd_builder_reserve(b, bytes);
    struct urd_words out = b->stores.columns.at;
    uint64_t sp = b->stores.sp;
    const uint8_t *p = log, *end = log + bytes;
    const uint32_t *ids = urd_builder_ids(b, code);
    struct urd_flow_node *nodes = b->flow.nodes;
    int64_t clock = b->clock;
    uint32_t n_blocks = b->flow.n_blocks;
    struct urd_flow_node *last = urd_flow_node(&b->flow, b->flow.last);
    if (!ts->first.pc && bytes) {
        uint64_t id;
        memcpy(&id, p, 8);
        uint32_t first = urd_builder_dense(b, t, code, (uint32_t)id, NULL, false);
        ts->first = b->flow.nodes[first].start;
        ts->first_clock = clock;
        nodes = b->flow.nodes;
    }
    uint8_t transfer = ts->last == URD_FLOW_NONE ? URD_TRANSFER_NONE : ts->pending;
    while (p < end) {
        uint64_t id;
        memcpy(&id, p, 8);
        p += 8;
        uint32_t dense = ids[id];
        if (__builtin_expect(!dense, 0)) {
            ptrdiff_t at = last - nodes;
            dense = urd_builder_dense(b, t, code, (uint32_t)id, NULL, false) + 1;
            last = last == &b->flow.none ? last : b->flow.nodes + at;
            nodes = b->flow.nodes;
        }
        dense--;
        if (trail)
            *(*trail)++ = dense;
        struct urd_flow_node *node = &nodes[dense];
        __builtin_prefetch(&nodes[node->a]); /* what came next the last time */
        if (transfer >= URD_TRANSFER_CALL) {
            if (transfer == URD_TRANSFER_CALL || transfer == URD_TRANSFER_LEAVING ||
                node->start.function != nodes[ts->last].function) {
                b->clock = clock;
                urd_builder_after_transfer(b, ts, dense);
            } else if (transfer == URD_TRANSFER_JUMP) { /* it always goes there: not asked again */
                nodes[ts->last].transfer = URD_TRANSFER_NONE;
            }
        }
        urd_flow_next_is(&b->flow, last, n_blocks++, dense, node);
        last = node;
        transfer = node->transfer;
        if (__builtin_expect(node->flags & URD_NODE_PLAIN, 1)) {
            if (node->n_ops)
                urd_builder_transfers(b, ts, node, p, clock, UINT32_MAX);
            sp = put_stores(&b->stores, &b->flow, node, p, sp, &out);
            clock += node->n_insns;
            transfer = urd_builder_end(b, ts, node, transfer, p, clock);
            p += 8 * node->words;
        } else {
            b->stores.columns.at = out;
            b->stores.sp = sp;
            ts->pending = URD_TRANSFER_NONE;
            p = urd_builder_any_record(b, t, ts, dense, p, clock, UINT32_MAX);
            transfer = ts->pending;
            out = b->stores.columns.at;
            sp = b->stores.sp;
            clock += node->n_insns;
        }
        if (transfer >= URD_TRANSFER_CALL) {
            ts->pending = transfer;
            ts->last = dense;
        }
        if (__builtin_expect(n_blocks % URD_FLOW_CHUNK_MIN == 0, 0) &&
            urd_flow_is_full(&b->flow, n_blocks)) {
            b->clock = clock;
            b->flow.n_blocks = n_blocks;
            b->stores.columns.at = out;
            urd_builder_next_row(b, ts, t->space);
            urd_builder_reserve(b, (size_t)(end - p));
            out = b->stores.columns.at;
            sp = b->stores.sp;
            last = &b->flow.none;
            n_blocks = 0;
        }
    }
    b->clock = clock;
    b->flow.last = last == &b->flow.none ? URD_FLOW_NONE : (uint32_t)(last - nodes);
    b->flow.n_blocks = n_blocks;
    b->stores.columns.at = out;
    b->stores.sp = sp;
    if (bytes && transfer < URD_TRANSFER_CALL)
        ts->pending = URD_TRANSFER_NONE;
    urd_check(p == end, "the log of task %d does not end with a record", t->tid);
}

static void records(void *data, struct urd_task *t, const struct urd_code *code, const uint8_t *log,
                    size_t bytes)
{
    struct urd_builder *b = data;
    uint32_t *trail = urd_paths_begin(&b->paths, bytes);
    if (!trail) {
        consume(data, t, code, log, bytes, NULL);
        return;
    }
    consume(data, t, code, log, bytes, &trail);
    urd_paths_learn(&b->paths, (uint32_t)(trail - b->paths.trail), code, &b->flow, &b->dictionary);
}

static void pack_calls(struct callee *c)
{
    urd_words_reserve(&c->columns, CALLEE_RAW);
    struct urd_words at = c->columns.at;
    for (uint32_t i = 0; i < c->n_raw; i++)
        urd_words_put(&at, c->memory, c->raw + i * URD_CALL_WORDS, &urd_call_group, 0, 0);
    c->columns.at = at;
    c->n_raw = 0;
}

const struct urd_consumer URD_CONSUMER = {records, pack_calls};
