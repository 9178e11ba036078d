/**
 * The control-flow stream: which blocks ran, in order.
 *
 * PURPOSE  Two bits for most blocks, and clock -> pc, pc -> executions, counts by decoding a small piece.
 * NOT      Calls; see calls.h.
 * FORMAT   A row of `flow` covers one uninterrupted run of one task, at most URD_FLOW_CHUNK blocks. Each block has a
 *          *dense* id within its segment; the segment's dictionary (zstd of, for each in order: varint pc as
 *          zigzag difference to the one before, u8 number of instructions, u8 end kind, u8 flags, the length
 *          of each instruction, varint number of executions in the segment, u8 number of its stores, of each u8 insn and
 *          u8 code, see stores.h) gives the rest.
 *
 *          Every block remembers its last two distinct successors in this row. A symbol of two bits says
 *          which came: 0 the first, 1 the second, 2 another one (varint dense id in escapes; it becomes
 *          the first), 3 the same but only part of it ran (varint dense id, varint instructions in escapes).
 *          data is zstd of: varint size of symbols, symbols (four a byte, low first), escapes.
 *          Example: a loop of block 7 that runs 1000 times and ends in 9 is: 2, 0 x 998 .. 2, about 251 bytes
 *          of which zstd leaves a dozen.
 *          stack is zstd of: varint unmatched returns of the task in the segment before the row, its frames then
 *          (calls.h), and for calls in the row before which frames were dropped as dead: varint blocks of the row
 *          before the callee's first, varint frames dropped.
 *          cover is zstd of: for each block that ran, ascending, varint difference of dense id, varint times.
 */
#ifndef URD_INDEXER_FLOW_H
#define URD_INDEXER_FLOW_H
#include "indexer/stores.h"

/* Blocks in a row: a row that meets new blocks all the time goes on to the higher number, as each row begins by naming
 * its blocks and edges (cc1). Few blocks in few rows is what questions like best: they decode whole rows. */
#define URD_FLOW_CHUNK     262144
#define URD_FLOW_CHUNK_MIN 32768
#define URD_FLOW_NONE      UINT32_MAX

enum urd_flow_block_flag {
    URD_BLOCK_ENTRY = 1, /* a symbol says that a function begins here */
};

struct urd_flow_block {
    uint64_t pc;
    uint8_t n_insns, end, flags, n_stores;
    uint8_t lengths[64];
    struct urd_store_shape stores[64];
    uint64_t count; /* executions in the segment */
};

/** A block while a segment is being made: all that the hot loop wants of it in one cache line. */
struct urd_flow_node {
    uint32_t a, b, epoch, times; /* successors and executions; of the row whose number epoch is */
    uint64_t function;           /* start of the symbol that holds it, 0 when unknown */
    uint64_t pc, last_insn;      /* of its first and last instruction */
    uint32_t slots;              /* index into urd_flow_encoder.slots */
    uint32_t memory,
        n_memory; /* what its stores remember: index into urd_flow_encoder.memory, u64s */
    uint8_t n_insns, end, flags;
    uint8_t n_slots;
    uint8_t transfer; /* enum urd_flow_transfer: what its end means for the next block */
} __attribute__((aligned(64)));

enum urd_flow_transfer { URD_TRANSFER_NONE, URD_TRANSFER_CALL, URD_TRANSFER_JUMP };

/** What a slot of the log becomes. */
struct urd_flow_slot {
    uint16_t size;
    int8_t stack; /* -1: the store is by the stack pointer, else 0 */
    uint8_t how;  /* enum urd_flow_slot_how */
    uint8_t insn; /* index within the block */
    uint8_t code; /* of a store: urd_store_shape.code */
    uint16_t unused;
};

enum urd_flow_slot_how {
    URD_HOW_SMALL, /* a store of 1 to 8 bytes */
    URD_HOW_LARGE, /* of 16, 32 or 64 */
    URD_HOW_RETURN,
    URD_HOW_WRITE, /* of another size */
    URD_HOW_COND,
    URD_HOW_REP,
};

struct urd_flow_encoder {
    struct urd_flow_node *nodes; /* by dense id */
    uint32_t n_nodes, cap_nodes;
    uint64_t *memory; /* of all stores */
    uint32_t n_memory, cap_memory;
    struct urd_flow_slot
        *slots; /* of all blocks side by side: those of one function share cache lines */
    uint32_t n_slots, cap_slots;
    uint32_t epoch, last, n_blocks;
    uint32_t *used; /* dense ids in this row; by number once the row is finished */
    uint32_t n_used, cap_used;
    uint64_t *used_bits; /* the same, a bit for each node */
    /** URD_FLOW_CHUNK / 4 bytes, zero where nothing is yet: symbol i belongs to block i */
    uint8_t *symbols;
    struct urd_buf escapes;
};

void urd_flow_begin(struct urd_flow_encoder *f);
void urd_flow_deinit(struct urd_flow_encoder *f);
/** A block that was never seen, its slots already at the end of f->slots: its dense id. Nodes may move. */
uint32_t urd_flow_add(struct urd_flow_encoder *f, struct urd_flow_node node);
/** A block that did not run in this row yet. */
void urd_flow_first_time(struct urd_flow_encoder *f, uint32_t dense);
/** Blobs for the row; the encoder begins anew with urd_flow_begin. */
void urd_flow_finish(struct urd_flow_encoder *f, struct urd_buf *ret_data,
                     struct urd_buf *ret_cover);

/** The n-th block of the row comes after `last`. At most URD_FLOW_CHUNK of them go into a row. */
URD_STORES_HOT void urd_flow_next_is(struct urd_flow_encoder *f, struct urd_flow_node *nodes,
                                     uint32_t last, uint32_t n, uint32_t dense)
{
    unsigned symbol = 2;
    if (__builtin_expect(nodes[dense].epoch != f->epoch, 0))
        urd_flow_first_time(f, dense);
    if (__builtin_expect(last != URD_FLOW_NONE, 1)) {
        struct urd_flow_node *s = &nodes[last];
        symbol = s->a != dense; /* no branch: which of the two comes is what cannot be predicted */
        if (__builtin_expect(symbol & (s->b != dense), 0)) {
            symbol = 2;
            s->b = s->a;
            s->a = dense;
        }
    }
    if (__builtin_expect(symbol == 2, 0))
        urd_buf_varint(&f->escapes, dense);
    f->symbols[n >> 2] |= (uint8_t)(symbol << (n & 3) * 2);
    nodes[dense].times++;
}

/** Is this enough for a row? */
static inline bool urd_flow_is_full(const struct urd_flow_encoder *f, uint32_t n_blocks)
{
    return n_blocks >= URD_FLOW_CHUNK ||
           (n_blocks >= URD_FLOW_CHUNK_MIN && f->n_used < n_blocks / 64);
}

/** The block that came after f->last. */
static inline void urd_flow_put(struct urd_flow_encoder *f, uint32_t dense)
{
    urd_flow_next_is(f, f->nodes, f->last, f->n_blocks++, dense);
    f->last = dense;
}

/** Only the first n_insns of the block ran. */
void urd_flow_put_partial(struct urd_flow_encoder *f, uint32_t dense, unsigned n_insns);

/** Reading a row back, block by block. */
struct urd_flow_decoder {
    uint8_t *memory;
    const uint8_t *symbols;
    struct urd_cursor escapes;
    uint32_t n_symbols, at, last, left;
    struct {
        uint32_t a, b;
    } * next;
    uint32_t n_dense;
};
urd_err *urd_flow_decoder_init(struct urd_flow_decoder *d, const void *data, size_t size,
                               uint32_t n_blocks, uint32_t n_dense) URD_MUST_USE;
void urd_flow_decoder_deinit(struct urd_flow_decoder *d);
/** The next block and, when only part of it ran, how much (else UINT32_MAX). False at the end. */
bool urd_flow_next(struct urd_flow_decoder *d, uint32_t *ret_dense, uint32_t *ret_partial);

/** How often each block ran, added to counts (n_dense of them). */
urd_err *urd_flow_cover(const void *cover, size_t size, uint32_t n_dense,
                        uint32_t *counts) URD_MUST_USE;

void urd_flow_dictionary_encode(const struct urd_flow_block *blocks, uint32_t n,
                                struct urd_buf *out);
urd_err *urd_flow_dictionary_decode(const void *data, size_t size, struct urd_flow_block **ret,
                                    uint32_t *ret_n) URD_MUST_USE;

/** zstd with the raw size before it, as all blobs of the index have it. */
void urd_blob_pack(const void *data, size_t size, struct urd_buf *out);
void urd_blob_pack_level(const void *data, size_t size, int level, struct urd_buf *out);
urd_err *urd_blob_unpack(const void *data, size_t size, uint8_t **ret,
                         size_t *ret_size) URD_MUST_USE;
#endif
