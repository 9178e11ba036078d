/**
 * What the files of translate/ share.
 *
 * PURPOSE  The translator's state, a decoded instruction, and the code generator of one block.
 * NOT      For other folders: they include translate.h.
 * CONTEXT  Host pointers point into the tool's writable mapping of the cache file. `cache offset`
 * is the same place as a 32-bit offset; the subject sees it at URD_CACHE_BASE + offset.
 */
#ifndef URD_TRANSLATE_INTERNAL_H
#define URD_TRANSLATE_INTERNAL_H
#include "base/buf.h"
#include "base/map.h"
#include "translate/emit.h"
#include "translate/translate.h"
#include <Zydis/Zydis.h>

enum {
    MAX_INSNS = URD_BLOCK_INSNS, /* along a path */
    MAX_PLAIN_INSNS = 64,    /* of other blocks */
    CODE_PAGES = 8,
    MAX_RECORD_BYTES = 6144, /* the fixed part of a log record; the contract says below 8 KB */
    MAX_REP_BYTES = 4096,    /* of a REP's data in the log */
    MAX_PASSED = 8,          /* branches that a block runs past when they are not taken */
    MAX_SIDES = MAX_INSNS,   /* ways out of the middle of a block that follows pieces */
    MAX_NEXT = MAX_PASSED + 3, /* where a block may lead to, and where its call returns to */
    EAGER_BLOCKS = 16,       /* translated beyond the one that was asked for */
    MAX_EVENTS = 2048,       /* spills and unspills in one block */
};

/* The cache file: lookup tables, then code that usually runs, then code that seldom runs. */
enum {
    DIRECT_BITS = 18, /* 16 without a fast pext */
    DIRECT_BYTES = 8 << DIRECT_BITS, /* lookup.c: by the low bits of a pc, where to go on */
    BUCKETS_START = DIRECT_BYTES,
    BUCKETS_BYTES = 65536 * 64 + 0x10000, /* 4 ways of 16 bytes, and a tail to spill into */
    BUCKETS_LIMIT = 150000,               /* entries; more of them flush everything */
    HOT_START = (BUCKETS_START + BUCKETS_BYTES + 0xfff) & ~0xfff,
    HOT_END = 96 << 20,
    COLD_START = HOT_END,
    COLD_END = URD_CACHE_BYTES - URD_STOPS_BYTES - URD_CALLS_BYTES,
    STOPS_AT = COLD_END + URD_CALLS_BYTES,
    HEADROOM_BYTES = 128 << 10, /* no block needs more, in either part */
};

/* ctx->scratch: 0..15 are the homes of the registers of that number. */
enum { SCRATCH_FLAGS = 16, SCRATCH_TARGET = 17 };

/** What an instruction is to the block builder. */
enum insn_kind {
    INSN_COPY, /* runs as it is, but for RIP-relative operands */
    INSN_STEP, /* the tool has to run it */
    INSN_JUMP,
    INSN_BRANCH,
    INSN_CALL,
    INSN_JUMP_INDIRECT,
    INSN_CALL_INDIRECT,
    INSN_RET,
    INSN_SYSCALL,
    INSN_REP, /* rep stos, rep movs */
};

/** How its memory write gets into the log; see writes.c. */
enum write_kind {
    WRITE_NONE,
    WRITE_REPEAT,   /* run it again with the log as its destination */
    WRITE_READBACK, /* address before, value from memory afterwards */
    WRITE_PUSH,     /* address is rsp afterwards */
    WRITE_CMPXCHG,
    WRITE_MASK_K,      /* AVX-512 mask register */
    WRITE_MASK_VECTOR, /* vmaskmov, vpmaskmov: sign bits of a vector register */
    WRITE_MASK_BYTES,  /* maskmovq, maskmovdqu */
    WRITE_COMPRESS,    /* vpcompress: as many elements as the mask has bits */
    WRITE_BIT,         /* bts, btr, btc with a bit offset in a register */
    WRITE_ENTER,
    WRITE_SCATTER, /* never emitted: such instructions are stepped */
};

struct insn {
    ZydisDecodedInstruction z;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    uint8_t bytes[15];
    uint8_t length;
    uint64_t pc;
    enum insn_kind kind;
    enum write_kind write;
    const ZydisDecodedOperand *mem; /* the operand in the ModRM or moffs, NULL when there is none */
    const ZydisDecodedOperand *written; /* the memory operand that is written, or NULL */
    uint16_t write_bytes;
    uint16_t used; /* bit r: general register r is read or written */
    bool rip_relative, high_byte;
    uint64_t target; /* of a direct jump, branch or call */
    uint64_t to;     /* where the block goes on, if it does */
    bool window;     /* registers for instrumentation are chosen anew before it, where only the log is written */
};

/** A general memory operand. Registers are numbers, -1 for none. */
struct mem_parts {
    int base, index, scale;
    int64_t disp;
    uint8_t segment; /* prefix byte or 0 */
    bool address32;
};

/** Decode bytes at pc. False: not a known instruction, or cut short (n too small). */
bool urd_insn_decode(const uint8_t *bytes, size_t n, uint64_t pc, unsigned probes,
                     struct insn *ret);
int urd_insn_register(
    ZydisRegister reg); /* number of the general register that contains reg, or -1 */
uint64_t urd_insn_rip_target(const struct insn *in);
/** Which slot the instruction logs, all of it. False when it logs none. */
bool urd_insn_slot(const struct insn *in, struct urd_slot *ret);
enum { URD_READ_SLOTS = 4 };
/** Its slots with these probes; their number. */
unsigned urd_insn_slots(const struct insn *in, unsigned probes,
                        struct urd_slot ret[URD_READ_SLOTS]);
/** reads.c: those of its reads. */
unsigned urd_insn_read_slots(const struct insn *in, struct urd_slot ret[URD_READ_SLOTS]);
/** False: it reads where no slot can say, and has to be stepped. */
bool urd_insn_reads_are_simple(const struct insn *in);
unsigned urd_slot_bytes(const struct urd_slot *slot); /* in the record, without a REP's data */

/** CPU features of this machine that the code generator asks for. */
struct features {
    bool bmi2, fsgsbase, fast_pext, xtest;
    uint32_t xsave_bytes;
};
const struct features *urd_translate_features(void);

/**
 * Registers that stay in instrumentation's hands from block to block: the log pointer, the steps
 * left, and one scratch register. Their application values are in their homes meanwhile, and
 * ctx->log_pos and ctx->steps_left are out of date. -1 for none.
 */
struct carried {
    int8_t log, count, temp;
};
#define CARRIED_NONE ((struct carried){-1, -1, -1})

static inline bool carried_same(struct carried a, struct carried b)
{
    return a.log == b.log && a.count == b.count && a.temp == b.temp;
}

static inline bool carried_any(struct carried c)
{
    return c.log >= 0 || c.count >= 0;
}

/** From cache offset on, the registers in mask are in their homes, and log has the log pointer. */
struct spill_event {
    uint32_t offset;
    uint16_t mask;
    int8_t log;
};

struct block {
    struct urd_block pub;
    bool live;
    bool side; /* the beginning of another block, up to where it was left; shares its lists */
    uint32_t entry;         /* cache offset: all registers are the subject's; pub.cache */
    uint32_t hot, hot_end;  /* cache offsets of its body */
    uint32_t indirect;      /* cache offset where indirect branches come in, see lookup.c */
    struct carried accepts; /* a branch that carries these may go straight to `hot` */
    struct carried carries; /* when its body begins */
    uint32_t counted; /* from here on its steps are subtracted and its instructions under way */
    uint32_t body;    /* where its instructions begin: a fault before that is an exit */
    uint32_t *insn_offsets; /* n_insns + 1 */
    uint32_t *done_offsets; /* n_insns: the instruction itself is over here; logging may follow */
    struct spill_event *events;
    uint32_t n_events;
    uint8_t single[15]; /* for urd_translate_single: the instruction's bytes */
};

/** A branch to an address. */
struct edge {
    uint32_t branch; /* cache offset of its rel32 */
    uint32_t leave_at, leave; /* code that gives up what is carried, and the rel32 that it ends with; 0: there is none yet */
    uint32_t next; /* index + 1 of the next one with that target */
    struct carried carries;
};

/** What urd_translate_follow asked for. */
struct path {
    struct urd_block_piece *pieces;
    unsigned n;
    struct carried hint; /* what the block that was there carried */
};

struct page {
    uint64_t number;
    uint64_t hash; /* of what its live blocks were translated from; 0: not known */
    uint32_t *ids;
    uint32_t n_ids, capacity;
};

struct urd_translator {
    unsigned probes;
    int fd;
    uint8_t *map;       /* the cache file, writable */
    uint32_t hot, cold; /* cache offsets where the next code goes */
    struct block **blocks;
    uint32_t n_blocks, blocks_capacity;
    uint32_t *order; /* ids in order of their address, since the last flush */
    uint32_t n_order, order_capacity;
    struct urd_map by_pc;   /* pc -> id + 1 of live blocks */
    struct urd_map edges_to; /* pc -> index + 1 in edges: all branches to it */
    struct edge *edges;
    uint32_t n_edges, edges_capacity;
    struct urd_map page_of; /* page number -> index + 1 in pages */
    struct page *pages;
    uint32_t n_pages, pages_capacity;
    struct urd_map path_of; /* pc -> index + 1 in paths */
    struct path *paths;
    uint32_t n_paths, paths_capacity;
    struct urd_map stops;
    struct urd_map singles; /* pc -> id + 1 of urd_translate_single's blocks */
    uint64_t cut;
    unsigned cut_words;
    uint32_t n_table;
    struct urd_map constants;        /* value -> cache offset */
    uint32_t miss_tail, probe, trap; /* cache offsets of shared code */
    uint64_t out_of_budget; /* pc of the block whose budget fault is being turned into an exit */
    struct {
        uint32_t branch; /* rel32 of the jump that the code before t->hot ends with, or 0 */
        uint64_t pc;
        struct carried carries;
    } last_fall;
    struct carried standard; /* what is carried through an indirect branch */
    uint64_t hash_mask;      /* low bits of a pc that index the direct table */
    struct {
        uint64_t number;
        size_t got;
        uint8_t bytes[4096];
    } code[CODE_PAGES]; /* subject pages read during one call, */
    struct urd_map code_hashes; /* and of each that was page number -> hash of its bytes, 0: it is not whole */
    struct urd_translate_stats stats;
};

/** The code generator of one block. */
struct gen {
    struct urd_translator *t;
    struct emit hot, cold;
    struct block *b;
    const struct insn *insns;
    unsigned n_insns;
    const struct urd_slot *slot; /* of this instruction or a later one; with `log` and without `reads` */
    bool log, count;
    bool reads; /* what is logged is reads */
    int reg_log, reg_count, reg_temp, reg_temp2, reg_anchor; /* no instruction uses them, or -1 */
    struct carried carries;
    bool anchor_loaded;
    uint64_t anchor; /* what reg_anchor has then */
    bool cold_only; /* what is generated lies outside of the body: no place for events */
    uint16_t spilled;
    struct spill_event events[MAX_EVENTS];
    unsigned n_events;
    unsigned log_at; /* bytes into the record where the next slot goes */
    struct {
        uint64_t pc;
        uint32_t branch;
    } edges[2];
    unsigned n_edges;
    struct side {
        uint64_t pc;
        uint32_t branch;  /* cache offset of the rel32 in the body */
        unsigned n_insns; /* up to it, inclusive */
        unsigned log_at;
        uint16_t spilled;
        struct carried carries;
        bool indirect; /* to the address in carries.temp */
    } sides[MAX_SIDES];
    unsigned n_sides;
};

/* gen.c: registers and their homes, common pieces */
void urd_gen_spill(struct gen *g, int reg);
void urd_gen_unspill(struct gen *g, int reg);
void urd_gen_note(struct gen *g);
uint32_t urd_gen_offset(const struct gen *g, const uint8_t *at);
/** Cache offset of an 8-byte constant in the cache. */
uint32_t urd_gen_constant(struct gen *g, uint64_t value);
void urd_gen_load_constant_op(struct gen *g, struct emit *e, const uint8_t *op, unsigned n, int reg,
                              uint64_t value);
/** A patchable `jmp` (condition < 0) or `jcc`; returns the cache offset of its rel32. */
uint32_t urd_gen_branch(struct gen *g, struct emit *e, int condition);
void urd_gen_branch_to(struct urd_translator *t, uint32_t branch, uint32_t target);
/** Code in `e` that leaves for the tool. resume: also tell where to go on, right behind it. */
void urd_gen_exit(struct gen *g, struct emit *e, enum urd_exit reason, uint64_t pc, bool resume);
/** URD_EXIT_SYSCALL, by the code of urd_translate_set_calls; the subject resumes behind it. */
void urd_gen_exit_call(struct gen *g, struct emit *e, uint64_t pc);
/** URD_EXIT_STOP, likewise by that of urd_translate_set_stop_code. */
void urd_gen_exit_stop(struct gen *g, struct emit *e, uint64_t pc);
/** Take up what is carried, when all registers are the subject's; and give it up again. */
void urd_gen_enter(struct emit *e, struct carried c);
void urd_gen_leave(struct emit *e, struct carried c);
uint16_t urd_carried_mask(struct carried c);
void urd_gen_jump(struct gen *g, struct emit *e, uint32_t target);
unsigned urd_ctx_scratch(int i);
/** The address of the instruction's memory operand in `reg`, before the instruction runs. */
void urd_gen_address(struct gen *g, const struct insn *in, const ZydisDecodedOperand *op, int reg);
struct mem_parts urd_gen_parts(struct gen *g, const struct insn *in, const ZydisDecodedOperand *op);
/** The instruction itself, RIP-relative operands rewritten. */
void urd_gen_copy(struct gen *g, const struct insn *in);

/* writes.c */
void urd_gen_logged(struct gen *g, const struct insn *in);
/** The slot that is the stack pointer, or a call's: rsp is what it was or what it is then. */
void urd_gen_log_sp(struct gen *g);
/* reads.c: an instruction's read slots, around it */
void urd_gen_reads_before(struct gen *g, const struct insn *in);
void urd_gen_reads_after(struct gen *g, const struct insn *in);
/* rep.c */
void urd_gen_rep(struct gen *g, const struct insn *in);
/* lookup.c */
void urd_table_reset(struct urd_translator *t);
/** wanted: an indirect branch has already asked for it. */
void urd_table_put(struct urd_translator *t, const struct block *b, bool wanted);
void urd_table_remove(struct urd_translator *t, const struct block *b);
/** To the address in reg_temp, which is spilled. */
void urd_gen_indirect(struct gen *g);
/** e: where it goes; in the hot part it must be followed by the body. */
void urd_gen_indirect_entry(struct gen *g, struct emit *e);
void urd_gen_probe(struct gen *g);
/* cache.c */
/** Let a branch go to pc: now, or when it is translated, and until then to the tool. */
void urd_cache_edge(struct urd_translator *t, struct emit *cold, uint64_t pc, uint32_t branch,
                    struct carried carries);
void urd_cache_forget_edge(struct urd_translator *t, uint64_t pc, uint32_t branch);
/* plan.c */
/** What a block needs beyond the registers in use. */
struct demand {
    uint16_t used;
    bool anchor, temp, temp2;
};

struct allocation {
    int log, count, temp, temp2, anchor;
};

struct demand urd_plan_demand(struct demand d, const struct insn *in, bool log);
bool urd_plan_needs_temp2(const struct insn *in, bool log);
/** hint: what the block that leads here carries, which is best kept. False: too few registers. */
bool urd_plan_allocate(struct demand d, unsigned probes, struct carried hint,
                       struct carried standard, struct allocation *ret);
uint64_t urd_plan_page_hash(const uint8_t *bytes);
/** Instructions from pc up to where a block must end, along the path if there is one for pc. Returns their number. */
unsigned urd_block_decode(struct urd_translator *t, uint64_t pc,
                          const struct urd_code_reader *reader, struct insn *insns,
                          bool *ret_unreadable);
void urd_block_describe(struct block *b, const struct insn *insns, unsigned n, unsigned probes);
enum urd_block_end urd_plan_end(const struct insn *last);
/** Set insn.window where registers are to be chosen; hint: as urd_plan_allocate. */
void urd_plan_windows(const struct urd_translator *t, struct insn *insns, unsigned n,
                      struct carried hint);
const struct path *urd_plan_path(const struct urd_translator *t, uint64_t pc);
/* places.c */
/** What of the slots need not be logged: derived, root, delta, known and value, and by_sp of the others. */
void urd_places_find(const struct insn *insns, unsigned n, struct urd_slot *slots,
                     unsigned n_slots);
/* block.c */
struct block *urd_block_build(struct urd_translator *t, uint64_t pc,
                              const struct urd_code_reader *reader, struct carried hint,
                              bool indirect, uint64_t ret_next[MAX_NEXT], unsigned *ret_n_next);
#endif
