/**
 * What one instruction writes, from the manual: the oracle of the index's writes.
 *
 * PURPOSE  Given an instruction and the registers before and after a hardware single step, say which bytes it wrote.
 * NOT      The translator's opinion: this shares Zydis with it, and nothing else.
 * CONTEXT  Stepping a replayed process with ptrace.
 */
#ifndef URD_TESTS_ORACLE_WRITES_H
#define URD_TESTS_ORACLE_WRITES_H
#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/user.h>

struct oracle_insn {
    uint8_t bytes[16];
    unsigned n_bytes;
    bool known; /* could be decoded */
    bool is_syscall, is_repeated, is_call, is_ret;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

enum oracle_rule {
    ORACLE_EXACT,    /* these ranges, each one write */
    ORACLE_BYTES,    /* these bytes, however they are cut into writes: REP, scatter, masked stores, enter */
    ORACLE_AREA,     /* within this area whatever changed, and nothing that is not there: xsave and the like */
};

#define ORACLE_RANGES 64

struct oracle_effect {
    enum oracle_rule rule;
    bool only_if_equal; /* cmpxchg: written only when it leaves ZF set */
    bool from_stack;    /* push, call: [rsp after, rsp before) */
    unsigned enter_bytes;
    bool x87_image;     /* has the address of the last x87 instruction in it, which is not compared */
    unsigned n;
    struct oracle_range {
        uint64_t address, size;
    } ranges[ORACLE_RANGES];
    struct user_regs_struct before;
};

void oracle_decode(const uint8_t *bytes, unsigned n, struct oracle_insn *ret);
/** Before the step. pid is asked for vector registers when the instruction needs a mask. */
void oracle_before(const struct oracle_insn *in, pid_t pid, const struct user_regs_struct *regs,
                   struct oracle_effect *ret);
/** After it: ranges and n are final. */
void oracle_after(const struct oracle_insn *in, const struct user_regs_struct *regs, struct oracle_effect *e);

/**
 * What it reads (translate/reads.c says what a read is): e->ranges, in any order, and how they are cut means nothing. ORACLE_AREA: nothing is
 * said, xsave and xrstor.
 */
void oracle_reads_before(const struct oracle_insn *in, pid_t pid, const struct user_regs_struct *regs,
                         struct oracle_effect *ret);
void oracle_reads_after(const struct oracle_insn *in, const struct user_regs_struct *regs, struct oracle_effect *e);
#endif
