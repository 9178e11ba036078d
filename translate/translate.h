/**
 * The binary translator: x86-64 to x86-64, running in the tool, for code that runs elsewhere.
 *
 * PURPOSE  Turn the subject's code into blocks in a code cache that log control flow and every memory
 *          write, count steps, or stop where they are told to.
 * NOT      Running them, ptrace, or what a system call does; see replay/run_translated.h.
 * OWNS     One urd_translator is one code space: one memory file mapped shared by the tool and by every
 *          replayed process that has that code. Used by one thread at a time.
 * CONTEXT  The tool. The code it emits runs in the subject with %gs at URD_CONTEXT_BASE, keeps all
 *          application registers in their registers at every exit, and never touches its stack.
 * FORMAT   The log, below.
 *
 * A *step* is one instruction retired; a REP string instruction is one step however often it repeats,
 * and none when it is left in the middle.
 *
 * The log is a sequence of records, one for each block executed, all fields 8 bytes aligned:
 *
 *     u64  block id
 *     for each slot of the block, in order of execution:
 *       URD_SLOT_WRITE  u64 address, then the `size` bytes written, padded to 8. What can be told without is left out: the address
 *                       of a slot that is `derived`, the bytes of one that is `known`
 *       URD_SLOT_COND   u64 address, u64 mask (bit i: byte i was written), then `size` bytes padded to
 *                       8, size <= 64; a cmpxchg that fails and a masked store log a mask of what
 *                       was really stored (none: mask 0)
 *       URD_SLOT_REP    u64 lowest address, u64 bytes, then the bytes, padded to 8. When bit 63 of bytes
 *                       is set the data is not in the log but in memory, now (URD_EXIT_REP)
 *       URD_SLOT_SP     u64 the stack pointer, unless `derived`: from which a `ret` takes its target, or at an indirect jump
 * With URD_PROBE_READS there are no slots of writes, but
 *       URD_SLOT_READ      u64 address, from which `size` bytes are read
 *       URD_SLOT_READ_REP  u64 rsi or rdi before and after a repeated string instruction, whose elements have `size` bytes
 *
 * A block may go on behind a jump, a call or a return (urd_translate_follow): then it has several pieces.
 *
 * ctx->log_pos is moved past the record before the block is left; when a block faults in the middle
 * urd_translate_locate says how much of it ran, and the record at log_pos has the slots up to there.
 */
#ifndef URD_TRANSLATE_TRANSLATE_H
#define URD_TRANSLATE_TRANSLATE_H
#include "base/err.h"
#include "translate/context.h"
#include <sys/user.h>

enum urd_probe {
    URD_PROBE_LOG = 1,   /* write the log */
    URD_PROBE_COUNT = 2, /* count steps_left down; URD_EXIT_BUDGET before it would go below 0 */
    URD_PROBE_COVER =
        8, /* with COUNT: each block that runs sets the byte of its id in the cover; and there is no end to the steps */
    URD_PROBE_READS = 16, /* with URD_PROBE_LOG: the log has reads instead of writes */
    URD_PROBE_BRANCHES =
        4, /* count conditional branches in ctx->branches; with any of the others, or alone */
};

enum urd_slot_kind {
    URD_SLOT_WRITE,
    URD_SLOT_COND,
    URD_SLOT_REP,
    URD_SLOT_SP,
    URD_SLOT_READ,
    URD_SLOT_READ_REP
};

struct urd_slot {
    uint8_t kind;  /* enum urd_slot_kind */
    uint8_t insn;  /* index of its instruction within the block */
    uint16_t size; /* bytes; for URD_SLOT_REP the size of one element */
    bool by_sp;    /* its address is formed from the stack pointer */
    bool derived;  /* its address is that of slot `root` of the block, which is in the record, and delta */
    bool known;    /* what it writes is `value`, low bytes first */
    uint8_t root;
    int32_t delta;
    uint64_t value;
};

/** A store of 1 to 64 bytes, a power of 2: only such, and stack pointers, are derived, known, or what others are derived from. */
static inline bool urd_slot_is_store(const struct urd_slot *slot)
{
    return slot->kind == URD_SLOT_WRITE && slot->size && slot->size <= 64 &&
           !(slot->size & (slot->size - 1));
}

enum urd_block_end {
    URD_END_FALL,   /* runs into the next block: size limit, stop address, REP, STEP next */
    URD_END_JUMP,   /* direct jump */
    URD_END_BRANCH, /* conditional branch */
    URD_END_CALL,   /* direct call */
    URD_END_CALL_INDIRECT,
    URD_END_JUMP_INDIRECT,
    URD_END_RET,
    URD_END_SYSCALL,
};

/** Instructions that lie one behind the other and run to the last one. */
struct urd_block_piece {
    uint64_t pc;
    uint16_t bytes;
    uint8_t n_insns;
    uint8_t end; /* enum urd_block_end of its last instruction */
};

struct urd_block {
    uint64_t pc;      /* subject address of its first instruction */
    uint64_t cache;   /* address of its entry in the cache */
    uint32_t id;      /* index in the translator's list of blocks, never used again */
    uint8_t n_insns;  /* 1..URD_BLOCK_INSNS */
    uint8_t end;      /* enum urd_block_end: of its last piece */
    uint8_t n_pieces; /* more than one: it follows transfers, see urd_translate_follow */
    bool followed; /* it was made for urd_translate_follow, or is the beginning of one that was */
    uint16_t n_slots;
    const uint8_t *insn_lengths; /* n_insns */
    const struct urd_slot *slots;
    const struct urd_block_piece *pieces; /* in the order in which they run */
};

#define URD_BLOCK_INSNS 128

/** Of an instruction; of the block's n_insns: behind the last one. */
uint64_t urd_block_pc(const struct urd_block *b, unsigned insn);

struct urd_translator;

/** Reads subject memory. Gives *ret_got <= size bytes, short at the end of what is mapped, 0 for none. */
struct urd_code_reader {
    void (*read)(void *data, uint64_t address, void *buffer, size_t size, size_t *ret_got);
    void *data;
};

urd_err *urd_translate_create(unsigned probes, struct urd_translator **ret) URD_MUST_USE;
void urd_translate_destroy(struct urd_translator *t);

/** The memory file to map at URD_CACHE_BASE, URD_CACHE_BYTES long, readable and executable, shared. */
int urd_translate_fd(const struct urd_translator *t);

/**
 * Code of at most URD_CALLS_BYTES that runs at URD_CALLS_CODE, with the subject's registers and the exit in the context, instead of the int3
 * of URD_EXIT_SYSCALL: it goes on at exit_resume, or makes the int3 itself.
 */
void urd_translate_set_calls(struct urd_translator *t, const void *code, size_t size);

/**
 * Code of at most URD_STOPS_BYTES that runs at URD_STOPS_CODE, with the subject's registers and the exit in the context, instead of the int3
 * of URD_EXIT_STOP. As that of urd_translate_set_calls.
 */
void urd_translate_set_stop_code(struct urd_translator *t, const void *code, size_t size);

/**
 * Translate the block at pc, unless it is there, and some of the blocks that it leads to.
 * ret_cache: where to set rip. Blocks end before stop addresses and page ends that cannot be read.
 * When the very first instruction cannot be read, that is the caller's business: *ret_cache is 0.
 * When the cache is full everything is flushed first: ids of old blocks stay valid, but an exit_resume
 * from before is void (see stats.flushes), and no process may be running in the cache meanwhile.
 * urd_translate_invalidate may flush as well.
 */
urd_err *urd_translate_block(struct urd_translator *t, uint64_t pc,
                             const struct urd_code_reader *reader,
                             uint64_t *ret_cache) URD_MUST_USE;

/**
 * The block at pieces[0].pc had better run along these pieces: it goes on behind the last instruction of each at the next one, and
 * past all branches in between; where the subject does something else the block is left, with an id that says how far it came.
 * What is there now is forgotten; the new one is made when the address is reached the next time. What does not fit together, or
 * not any more, is not followed. Nothing happens but with URD_PROBE_LOG alone.
 */
void urd_translate_follow(struct urd_translator *t, const struct urd_block_piece *pieces,
                          unsigned n);

/** Nothing: branches are linked when their target is translated. Here so that callers need not know. */
void urd_translate_link(struct urd_translator *t, uint64_t exit_link, uint64_t cache);

/** Forget every block that has a byte in [start, start + size), and all branches into them. */
void urd_translate_invalidate(struct urd_translator *t, uint64_t start, uint64_t size);

/**
 * The translator is to serve another process, or this one at another time: forget what was translated from pages that hold
 * something else there, or that may not be run unchanged any more (usable says so).
 */
void urd_translate_adopt(struct urd_translator *t, const struct urd_code_reader *reader,
                         bool (*usable)(void *data, uint64_t page), void *data);

/** Does any live block have a byte in [start, start + size)? */
bool urd_translate_has(struct urd_translator *t, uint64_t start, uint64_t size);

/** Addresses where a block must begin and exit with URD_EXIT_STOP. Replaces the former set. */
void urd_translate_set_stops(struct urd_translator *t, const uint64_t *pcs, size_t n);

/** The one address (0: none) where registers are compared with ctx->cut_regs, and memory with n_words of ctx->cut_words. */
void urd_translate_set_cut(struct urd_translator *t, uint64_t pc, unsigned n_words);

const struct urd_block *urd_translate_block_by_id(const struct urd_translator *t, uint32_t id);
uint32_t urd_translate_block_count(const struct urd_translator *t);

/** A block of one instruction for the log, for what the tool runs itself after URD_EXIT_STEP. */
urd_err *urd_translate_single(struct urd_translator *t, uint64_t pc,
                              const struct urd_code_reader *reader,
                              const struct urd_block **ret) URD_MUST_USE;

/**
 * A signal stopped the process at the cache address regs->rip: give back the subject's own registers and
 * address. *ret_block is the block and *ret_insn the instruction that was being run (nothing of it
 * is done, but for the completed repetitions of REP); *ret_block is NULL between blocks (rip then is
 * the next block's pc). False when rip is not in the cache or the state cannot be told.
 * ctx->log_pos, which is in a register while a block runs, is brought up to date, and ctx->steps_left
 * to what it is before instruction *ret_insn. When REP faulted its slot, which the record has no
 * more, would begin with rdi and rcx as they were before the first repetition: they are there.
 */
bool urd_translate_locate(const struct urd_translator *t, struct user_regs_struct *regs,
                          struct urd_context *ctx, const struct urd_block **ret_block,
                          unsigned *ret_insn);

/**
 * A SIGSEGV stopped the process: was it one of the two exits that are faults, not int3s? They are
 * URD_EXIT_LOG_FULL (a block's record does not fit before the guard behind the log) and URD_EXIT_BUDGET
 * (a load below the context). Then ctx says which, and regs are the subject's own, regs->rip its
 * address. For a caller that does not look: entering regs->rip again with urd_translate_block does
 * the right thing in both cases, BUDGET being seen once more, as an int3.
 */
bool urd_translate_log_full(struct urd_translator *t, struct user_regs_struct *regs,
                            struct urd_context *ctx);

/** Counters for the summary: blocks translated, instructions that had to be stepped, flushes. */
struct urd_translate_stats {
    uint64_t blocks, subject_bytes, cache_bytes, flushes, unknown_insns;
};
struct urd_translate_stats urd_translate_get_stats(const struct urd_translator *t);

#endif
