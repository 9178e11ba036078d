/**
 * What builder.c and consume.c share.
 *
 * PURPOSE  The state of a segment that is being made, and what the hot loop leaves to slower code.
 * NOT      For others: they include builder.h.
 */
#ifndef URD_INDEXER_BUILDER_STATE_H
#define URD_INDEXER_BUILDER_STATE_H
#include "base/map.h"
#include "debuginfo/image.h"
#include "indexer/builder.h"
#include "indexer/paths.h"

struct task_state {
    int32_t tid;
    uint32_t space;
    struct urd_call_stack stack; /* frames since its last change */
    uint8_t pending; /* enum urd_flow_transfer of the last block: what the next one's pc means */
    bool leaves_by_return; /* with URD_TRANSFER_LEAVING */
    uint32_t last;         /* dense id of the last block */
    uint64_t return_slot;  /* of the pending call */
    uint64_t
        leaving_sp; /* of the last indirect jump, or of what is leaving: as its slot in the log */
    int64_t leaving_clock;
    uint64_t outer_sp;           /* stack pointer at its last change; 0: not known */
    struct urd_flow_place first; /* its first block in this segment; pc 0: none yet */
    int64_t first_clock;
};

struct code_ids { /* dense ids of one code space's blocks */
    uint32_t *dense;
    uint32_t n;
};

struct space_image {
    uint32_t space;
    struct urd_image *image;
};

enum { CALLEES_NEAR = 4096, CALLEE_RAW = 8, CALLEE_ROW = 8192 };

/** Calls are collected raw, a few at a time: packing them is a short loop then. */
struct callee {
    uint32_t space, n, n_raw; /* n: of the row, with those that are raw */
    uint64_t entry;
    uint64_t memory[8]; /* the words of the call that was packed last */
    struct urd_words_columns columns;
    uint64_t raw[CALLEE_RAW * URD_CALL_WORDS + 3]; /* eight words are read at a time */
};

struct urd_builder {
    const struct urd_consumer *consumer;
    struct urd_trace *trace;
    struct urd_store_segment *out;
    struct urd_writes *writes;
    struct urd_flow_encoder flow;
    struct urd_stores stores;
    struct urd_paths paths;
    int64_t n_stores;                      /* of the rows that are closed */
    int64_t clock;                         /* steps since the segment's start */
    struct urd_flow_dictionary dictionary; /* its traces by dense id, as flow.nodes */
    struct code_ids *codes;                /* by serial */
    uint32_t n_codes;
    struct task_state *tasks;
    uint32_t n_tasks, cap_tasks;
    struct task_state *current; /* whose flow row is open, or NULL */
    uint32_t current_space;
    uint64_t row_first;
    struct urd_buf stack, irregular, event_steps, data,
        cover;              /* stack, irregular: of the open row */
    struct urd_buf changes; /* of all tasks, each with its frames */
    uint32_t n_changes;
    int64_t last_event_clock;
    struct callee **callees;
    uint32_t n_callees, cap_callees;
    struct callee *near_callees[CALLEES_NEAR]; /* by low bits of the entry, or NULL */
    struct urd_map callee_index;
    struct space_image *images;
    uint32_t n_images, cap_images;
    struct urd_module **modules; /* by stored file */
    int32_t done_tid;
    uint32_t done_space;
};

/** The hot loop, compiled for a kind of processor. */
struct urd_consumer {
    /** urd_sink.records */
    void (*records)(void *builder, struct urd_task *t, const struct urd_code *code,
                    const uint8_t *log, size_t bytes);
    /** What is raw in c becomes packed. */
    void (*pack_calls)(struct callee *c);
};
extern const struct urd_consumer urd_consumer_plain, urd_consumer_v3, urd_consumer_wide;

struct task_state *urd_builder_begin_records(struct urd_builder *b, struct urd_task *t);
/** By id of the code space's blocks, as many as there are now: dense id + 1, or 0. */
const uint32_t *urd_builder_ids(struct urd_builder *b, const struct urd_code *code);
/** The dense id of a block that may be new. block: NULL to look it up; stepped: the tool runs it, and tells its writes itself. */
uint32_t urd_builder_dense(struct urd_builder *b, struct urd_task *t, const struct urd_code *code,
                           uint32_t id, const struct urd_block *block, bool stepped);
void urd_builder_next_row(struct urd_builder *b, struct task_state *ts, uint32_t space);
/** Room for the stores of that many bytes of log. */
void urd_builder_reserve(struct urd_builder *b, size_t log_bytes);
/** The transfers in the middle of a block, but for those of instruction n_insns and later. words: those of its stores. */
void urd_builder_transfers(struct urd_builder *b, struct task_state *ts,
                           const struct urd_flow_node *node, const uint8_t *words, int64_t clock,
                           unsigned n_insns);
/** The block after one that called or jumped has come: it is the callee, or a tail call, or on another stack. */
void urd_builder_after_transfer(struct urd_builder *b, struct task_state *ts, uint32_t dense);
/** It returned, with this stack pointer: URD_TRANSFER_RET, or URD_TRANSFER_LEAVING when the next block says what that means. */
uint8_t urd_builder_return(struct urd_builder *b, struct task_state *ts, uint64_t sp,
                           int64_t clock);
/** A record, or the first n_insns of one, with all kinds of slots, and all that it does to the stack. p: behind the id. Gives where it ends. */
const uint8_t *urd_builder_any_record(struct urd_builder *b, struct urd_task *t,
                                      struct task_state *ts, uint32_t dense, const uint8_t *p,
                                      int64_t clock, unsigned n_insns);

/** An address that a word of a block tells. */
static inline uint64_t urd_builder_slot(const uint8_t *words, unsigned word, int32_t delta)
{
    uint64_t ret;
    memcpy(&ret, words + 8 * word, 8);
    return ret + (uint64_t)(int64_t)delta;
}

/** An indirect jump with this stack pointer: URD_TRANSFER_JUMP_INDIRECT, or URD_TRANSFER_LEAVING when it may leave frames. */
static inline uint8_t urd_builder_jump(struct task_state *ts, uint64_t sp, int64_t clock)
{
    const struct urd_call_stack *s = &ts->stack;
    bool known = s->n && s->frames[s->n - 1].sp != URD_CALLS_OUTER;
    ts->leaving_sp = sp;
    if (sp <= (known ? s->frames[s->n - 1].sp : ts->outer_sp))
        return URD_TRANSFER_JUMP_INDIRECT;
    ts->leaving_clock = clock;
    ts->leaves_by_return = false;
    return URD_TRANSFER_LEAVING;
}

/** What the end of a block with such a transfer does to the stack; gives what it leaves pending. words: of its stores; behind: the
 * clock. */
static inline uint8_t urd_builder_end(struct urd_builder *b, struct task_state *ts,
                                      const struct urd_flow_node *node, uint8_t transfer,
                                      const uint8_t *words, int64_t behind)
{
    if (transfer == URD_TRANSFER_NONE || transfer == URD_TRANSFER_JUMP)
        return transfer;
    uint64_t slot = urd_builder_slot(words, node->end_word, node->end_delta);
    if (transfer == URD_TRANSFER_RET)
        return urd_builder_return(b, ts, slot, behind);
    if (transfer == URD_TRANSFER_JUMP_INDIRECT)
        return urd_builder_jump(ts, slot, behind);
    ts->return_slot = slot;
    return transfer;
}
#endif
