/**
 * The control-flow stream: which blocks ran, in order.
 *
 * PURPOSE  Two bits for most blocks, and clock -> pc, pc -> executions, counts by decoding a small piece.
 * NOT      Calls; see calls.h.
 * FORMAT   A row of `flow` covers one uninterrupted run of one task, at most URD_FLOW_CHUNK blocks. The blocks of the log may
 *          have several pieces (translate.h): they are *traces* of plain blocks, which is what questions are answered with. Each
 *          trace has a *dense* id within its segment; the segment's dictionary (zstd of, for each in order: u8 number of plain
 *          blocks, of each varint pc as zigzag difference to the one before, u8 number of instructions, u8 end kind, u8 flags, the
 *          length of each instruction; varint number of executions in the segment, u8 number of its stores, of each u8 insn,
 *          u8 code, and as it says u8 root and varint zigzag delta, varint zigzag value, see stores.h) gives the rest.
 *
 *          Below a block is one of the log, a trace. Every block remembers its last two distinct successors in this row. A symbol of two bits says
 *          which came: 0 the first, 1 the second, 2 another one (varint dense id in escapes; it becomes
 *          the first), 3 the same but only part of it ran (varint dense id, varint instructions in escapes).
 *          data is zstd of: varint size of symbols, symbols (four a byte, low first), escapes.
 *          Example: a loop of block 7 that runs 1000 times and ends in 9 is: 2, 0 x 998 .. 2, about 251 bytes
 *          of which zstd leaves a dozen.
 *          stack is zstd of: varint changes (coroutines.h) in the segment before the row, the task's frames since its last one
 *          (calls.h), and for each time that frames came and went in a way that return addresses do not tell: varint steps of the row
 *          before, varint 0: there is a change, 1: all frames since the last change ended, or 2 + entry clock of the newest of
 *          them that is alive (all later ones are not).
 *          cover is zstd of: for each block that ran, ascending, varint difference of dense id, varint times.
 */
#ifndef URD_INDEXER_FLOW_H
#define URD_INDEXER_FLOW_H
#include "indexer/stores.h"

/* Blocks in a row: a row that meets new blocks all the time goes on to the higher number, as each row begins by naming
 * its blocks and edges (cc1). Few blocks in few rows is what questions like best: they decode whole rows. */
#define URD_FLOW_CHUNK     65536
#define URD_FLOW_CHUNK_MIN 8192
#define URD_FLOW_NONE      UINT32_MAX
#define URD_FLOW_INSNS     128 /* of a trace */

enum urd_flow_block_flag {
    URD_BLOCK_ENTRY = 1, /* a symbol says that a function begins here */
};

/** A plain block. */
struct urd_flow_block {
    uint64_t pc;
    uint8_t n_insns, end, flags;
    const uint8_t *lengths; /* n_insns, the dictionary's */
    uint64_t count;         /* executions in the segment, of this trace of which it is a part */
};

/** Plain blocks that ran one after the other. */
struct urd_flow_trace {
    uint32_t first;  /* index in urd_flow_dictionary.blocks */
    uint32_t shapes; /* and in .shapes: of its stores */
    uint8_t n_blocks, n_insns, n_shapes;
    uint8_t
        n_kept; /* of the shapes that are stores, not just addresses; while a segment is being made */
    uint64_t count;
};

struct urd_flow_dictionary {
    struct urd_flow_block *blocks;
    struct urd_flow_trace *traces; /* by dense id */
    struct urd_store_shape *shapes;
    uint32_t n_blocks, cap_blocks, n_traces, cap_traces, n_shapes, cap_shapes;
    struct urd_flow_lengths {
        struct urd_flow_lengths *before;
        uint32_t n;
        uint8_t bytes[32768];
    } * lengths; /* of all blocks, the newest ones first */
};

/** The dictionary's copy. */
const uint8_t *urd_flow_keep_lengths(struct urd_flow_dictionary *d, const uint8_t *lengths,
                                     uint8_t n);

/** n_shapes of them. */
static inline const struct urd_store_shape *urd_flow_shapes(const struct urd_flow_dictionary *d,
                                                            const struct urd_flow_trace *t)
{
    return d->shapes + t->shapes;
}

/** For each trace where what its stores' words are begins, in words, and behind the last one the sum: n_traces + 1. Free it. */
uint32_t *urd_flow_words(const struct urd_flow_dictionary *d);

/** Where a plain block begins. */
struct urd_flow_place {
    uint64_t pc;
    uint64_t function; /* start of the symbol that holds it, 0 when unknown */
    uint8_t flags;     /* enum urd_flow_block_flag */
};

/** A block of the log while a segment is being made: what the hot loop wants of it each time in one cache line. */
struct urd_flow_node {
    uint32_t a, b, epoch, times; /* successors and executions; of the row whose number epoch is */
    uint64_t sp; /* address of its first store by the stack pointer when it ran last in this row */
    uint32_t memory; /* index of what its stores remember in urd_flow_encoder.memory */
    uint32_t groups; /* of its stores' words, index into urd_flow_encoder.groups */
    uint32_t ops;    /* of its transfers before the last: index into urd_flow_encoder.ops */
    uint16_t words;  /* u64s of a plain block's record behind the id */
    uint16_t first_sp, last_sp; /* with URD_NODE_SP: as in urd_stores_layout, with */
    int32_t last_delta;
    uint16_t
        end_word; /* of a call's, return's or indirect jump's slot at its end: as urd_flow_op.word, */
    uint8_t n_insns, n_groups;
    int32_t end_delta; /* and delta */
    uint8_t n_ops;
    uint8_t transfer; /* enum urd_flow_transfer, of its last instruction */
    uint8_t flags;    /* enum urd_flow_node_flag */
    /* the second cache line */
    struct urd_flow_place start __attribute__((aligned(64))); /* its first instruction */
    uint64_t function; /* of its last instruction, as urd_flow_place.function */
    uint64_t site;     /* pc of its last instruction */
    uint64_t behind;   /* pc of what lies behind it: where a call returns to */
    uint32_t slots;    /* of a block that is not plain: index into urd_flow_encoder.slots */
} __attribute__((aligned(64)));

enum urd_flow_node_flag {
    URD_NODE_PLAIN = 0x40,    /* its record is the words of its stores */
    URD_NODE_SP = 0x80,       /* some store is by the stack pointer */
    URD_NODE_FOLLOWED = 0x20, /* urd_block.followed */
};

/** What a block's end means for the next block, or for the call stack. */
enum urd_flow_transfer {
    URD_TRANSFER_NONE,
    URD_TRANSFER_RET,
    URD_TRANSFER_CALL, /* from here on: the next block says where to */
    URD_TRANSFER_JUMP,
    URD_TRANSFER_JUMP_INDIRECT,
    URD_TRANSFER_LEAVING, /* a return or indirect jump that goes beyond the newest frame; never of a block */
};

/** A transfer in the middle of a block, that calls.h is about. */
struct urd_flow_op {
    uint8_t transfer; /* enum urd_flow_transfer */
    uint8_t insn;     /* index of the instruction within the block */
    uint16_t word;    /* of the block's words (stores.h), that to which delta is to be added: */
    int32_t delta;    /* that is where a call puts its return address, else the stack pointer */
    uint64_t site, behind; /* pc of the instruction, and of what lies behind it */
    uint64_t function;     /* that holds it */
    struct urd_flow_place to;
};

/** What a slot of the log becomes, of a block that is not plain. */
struct urd_flow_slot {
    uint16_t size; /* of the write; with URD_HOW_WORDS: what the record has, bytes */
    uint8_t how;   /* enum urd_flow_slot_how */
    uint8_t insn;  /* index within the block */
};

enum urd_flow_slot_how {
    URD_HOW_WORDS, /* of the block's words: stores of 1 to 64 bytes, a power of 2, and stack pointers */
    URD_HOW_WRITE, /* of another size */
    URD_HOW_COND,
    URD_HOW_REP,
    URD_HOW_END, /* no slot: the list ends */
};

struct urd_flow_encoder {
    struct urd_flow_node *nodes; /* by dense id */
    uint32_t n_nodes, cap_nodes;
    uint64_t *memory; /* of all stores, eight for each group; aligned like nodes */
    uint32_t n_memory, cap_memory;
    struct urd_words_group
        *groups; /* of all blocks side by side: those of one function share cache lines */
    uint32_t n_groups, cap_groups;
    struct urd_stores_marks *marks; /* of the groups */
    uint32_t n_marks, cap_marks;
    struct urd_flow_op *ops;
    uint32_t n_ops, cap_ops;
    struct urd_flow_slot *slots;
    uint32_t n_slots, cap_slots;
    uint32_t epoch, last, n_blocks; /* last: URD_FLOW_NONE at first */
    struct urd_flow_node none;      /* stands for the block before the first */
    uint32_t *used;                 /* dense ids in this row; by number once the row is finished */
    uint32_t n_used, cap_used;
    uint64_t *used_bits; /* the same, a bit for each node */
    uint8_t *symbols;    /* one for each block, URD_FLOW_CHUNK of them */
    struct urd_buf escapes;
};

void urd_flow_begin(struct urd_flow_encoder *f);
void urd_flow_deinit(struct urd_flow_encoder *f);
/** A block that was never seen, its groups and slots already at the end of theirs: its dense id. Nodes may move. */
uint32_t urd_flow_add(struct urd_flow_encoder *f, const struct urd_flow_node *node);
/** A block that did not run in this row yet. */
void urd_flow_first_time(struct urd_flow_encoder *f, uint32_t dense);
/** Blobs for the row; the encoder begins anew with urd_flow_begin. */
void urd_flow_finish(struct urd_flow_encoder *f, struct urd_buf *ret_data,
                     struct urd_buf *ret_cover);

/** nodes[dense], or what stands for none. */
static inline struct urd_flow_node *urd_flow_node(struct urd_flow_encoder *f, uint32_t dense)
{
    return dense == URD_FLOW_NONE ? &f->none : &f->nodes[dense];
}

/** The n-th block of the row comes after `last`. At most URD_FLOW_CHUNK of them go into a row. */
__attribute__((always_inline)) static inline void urd_flow_next_is(struct urd_flow_encoder *f,
                                                                   struct urd_flow_node *last,
                                                                   uint32_t n, uint32_t dense,
                                                                   struct urd_flow_node *node)
{
    if (__builtin_expect(node->epoch != f->epoch, 0))
        urd_flow_first_time(f, dense);
    node->times++;
    f->symbols[n] =
        last->a != dense; /* no branch: which of the two comes is what cannot be predicted */
    if (__builtin_expect(last->a != dense && last->b != dense, 0)) {
        f->symbols[n] = 2;
        last->b = last->a;
        last->a = dense;
        urd_buf_varint(&f->escapes, dense);
    }
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
    urd_flow_next_is(f, urd_flow_node(f, f->last), f->n_blocks++, dense, &f->nodes[dense]);
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

/** A block and how often it ran. */
struct urd_flow_times {
    uint32_t dense, times;
};
/** The blocks of a row that ran, ascending. Free *ret. */
urd_err *urd_flow_cover_list(const void *cover, size_t size, uint32_t n_dense,
                             struct urd_flow_times **ret, uint32_t *ret_n) URD_MUST_USE;
/** How often each block ran, added to counts (n_dense of them). */
urd_err *urd_flow_cover(const void *cover, size_t size, uint32_t n_dense,
                        uint32_t *counts) URD_MUST_USE;

void urd_flow_dictionary_encode(const struct urd_flow_dictionary *d, struct urd_buf *out);
urd_err *urd_flow_dictionary_decode(const void *data, size_t size,
                                    struct urd_flow_dictionary *ret) URD_MUST_USE;
void urd_flow_dictionary_deinit(struct urd_flow_dictionary *d);

/** zstd with the raw size before it, as all blobs of the index have it. */
void urd_blob_pack(const void *data, size_t size, struct urd_buf *out);
void urd_blob_pack_level(const void *data, size_t size, int level, struct urd_buf *out);
/** Into memory of the caller's; size is 4 at least. False: it is damaged, or has another size. */
bool urd_blob_unpack_to(const void *data, size_t size, void *ret, size_t ret_size);
urd_err *urd_blob_unpack(const void *data, size_t size, uint8_t **ret,
                         size_t *ret_size) URD_MUST_USE;
#endif
