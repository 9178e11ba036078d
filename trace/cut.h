/**
 * Cuts: recognising a state of the subject without a counter.
 *
 * PURPOSE  Turn a task that was stopped in the middle of a computation into evidence, and tell whether a task that is
 *          stopped later is in the same state. Two states that agree in everything are the same state, so a
 *          match is right by construction and nothing has to be counted.
 * NOT      Deciding when to stop a task (record/, indexer/); finding the state (replay/run_translated.h).
 * CONTEXT  The tool, with the task stopped under ptrace.
 * FORMAT   In a trace: part CUT of an event, see trace/codec.c.
 *
 * The evidence is graded by what it costs to compare. Registers and `words` are compared inline by translated code: words
 * are memory that the next instructions write (a loop that counts in memory differs there every time round), then the top
 * of the stack, what the registers point to, and what that points to (an interpreter's objects). Where all of that agrees the tool compares `near`, then vectors, then
 * the callers' frames (`stack`), then the sum over all writable memory but stacks (trace/checksum.h says why not).
 * Shared memory counts, too: a loop may count nowhere else. Not while somebody outside of the recording writes to it, though.
 *
 * Where the processor counts conditional branches (trace/counter.h), the evidence is thin and costs nothing like the sum: `counted`,
 * the number of them since the task's last event, the registers, vectors, and the top of the stack. Between two conditional branches
 * there is one way only, and on it a place comes up twice with the same registers only where a function is called twice:
 * the stack tells by the return address.
 *
 * Example: -O0 `for (i = 0; i < n; i++) total += i;` stopped anywhere: registers repeat every second round; the
 * word at [rbp-4] is i.
 */
#ifndef URD_TRACE_CUT_H
#define URD_TRACE_CUT_H
#include "trace/checksum.h"
#include <sys/types.h>
#include <sys/user.h>

#define URD_CUT_WORDS 192

struct urd_cut {
    struct user_regs_struct regs;
    bool counted;      /* by branches: near and memory are 0 and not compared */
    bool shared;       /* words and memory are of shared mappings, too */
    uint64_t branches; /* conditional ones that the task has retired since its last event */
    uint64_t vectors;  /* hash of the x87 and vector registers */
    uint64_t near;     /* hash of the memory that rsp and the other registers point to */
    bool has_stack;    /* no cut of a version before 5 has */
    /** Hash of the live stack as far as memory leaves it out, without what XSAVE left there. */
    uint64_t stack;
    uint64_t memory; /* urd_checksum_memory */
    uint32_t n_words;
    struct urd_cut_word {
        uint64_t address, value; /* 8 bytes at the address */
    } words[URD_CUT_WORDS];
};

/** Describe the state of a stopped task. mem is its /proc/TID/mem; stacks has its own stack pointer and its companions'. */
urd_err *urd_cut_take(pid_t tid, int mem, enum urd_memory what, const struct user_regs_struct *regs,
                      const struct urd_stacks *stacks, struct urd_cut *ret) URD_MUST_USE;

/** ... when so many conditional branches have been counted. */
urd_err *urd_cut_take_counted(pid_t tid, int mem, const struct user_regs_struct *regs,
                              uint64_t branches, struct urd_cut *ret) URD_MUST_USE;

/** In a replay, given that the 16 registers, rip and words agree: all that is cheap to compare, then vectors. */
urd_err *urd_cut_matches_nearly(const struct urd_cut *c, pid_t tid, int mem,
                                const struct user_regs_struct *regs, bool *ret) URD_MUST_USE;
/** ... and all writable memory but stacks; of a counted cut, nothing: its count is the caller's to compare. */
urd_err *urd_cut_matches_memory(const struct urd_cut *c, pid_t tid, int mem,
                                const struct urd_stacks *stacks, bool *ret) URD_MUST_USE;

/**
 * The address behind a REP instruction at pc, 0 when there is none. The task may have been stopped in the middle of it, a state that
 * translated code never shows: no cut can be taken there.
 */
uint64_t urd_cut_rep_end(int mem, uint64_t pc);

#endif
