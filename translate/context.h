/**
 * What translated code, running inside a replayed process, shares with the tool.
 *
 * PURPOSE  The fixed addresses and the context area that %gs points to.
 * CONTEXT  Included by the tool; translated code knows it by offsets only.
 *
 * Each replayed process maps two memory files that the tool maps too:
 *   URD_CONTEXT_BASE  one struct urd_context page (rw, its own for each process), then the log buffer
 *                     (rw), then an unmapped guard of at least 64 KB; the page below is unmapped too.
 *                     Faults in both are exits, see urd_translate_log_full
 *   URD_COVER_BASE    with URD_PROBE_COVER: a byte for each block id; the last one is that of all ids from there on
 *   URD_CACHE_BASE    the code cache of its code space: translated code and the indirect branch
 *                     lookup table (r-x in the process, written by the tool only)
 * They lie where no ordinary program, and no sanitizer, has anything.
 */
#ifndef URD_TRANSLATE_CONTEXT_H
#define URD_TRANSLATE_CONTEXT_H
#include <stdint.h>

#define URD_CONTEXT_BASE  0x5e0000000000u
#define URD_CONTEXT_BYTES 0x2000u                             /* struct urd_context and its scratch */
#define URD_LOG_BASE      (URD_CONTEXT_BASE + URD_CONTEXT_BYTES)
#define URD_LOG_BYTES     (512u << 10) /* stays in the second level cache: written there, read there */
#define URD_LOG_SLACK     0x8000u /* mapped behind log_end: one record always fits in here */
#define URD_COVER_BASE    (URD_CONTEXT_BASE + 0x10000000u)
#define URD_COVER_BYTES   (4u << 20) /* sparse, too */
#define URD_CACHE_BASE    0x5e0040000000u                     /* in reach of a %gs-relative disp32 */
#define URD_CACHE_BYTES   (256u << 20)                        /* sparse: only what is used is there */
/* The cache's end: code that runs at system calls (urd_translate_set_calls) and at stops (urd_translate_set_stop_code). */
#define URD_CALLS_BYTES   0x1000u
#define URD_STOPS_BYTES   0x1000u
#define URD_CALLS_CODE    (URD_CACHE_BASE + URD_CACHE_BYTES - URD_STOPS_BYTES - URD_CALLS_BYTES)
#define URD_STOPS_CODE    (URD_CALLS_CODE + URD_CALLS_BYTES)

enum urd_exit {
    URD_EXIT_NONE,
    URD_EXIT_MISS,     /* exit_pc is not translated; exit_link (if not 0) can be chained to it */
    URD_EXIT_SYSCALL,  /* the `syscall` at exit_pc is about to run; it is the last instruction of its
                          block and counted there; what follows it is at exit_pc + 2; to go on as if the
                          call was made, resume at exit_resume with the registers that it leaves */
    URD_EXIT_STEP,     /* the instruction at exit_pc must be run by the tool (cpuid, rdtsc, int3, %gs,
                          unknown to the translator); not part of any block */
    URD_EXIT_LOG_FULL, /* before the block at exit_pc; drain, reset log_pos, enter exit_pc again */
    URD_EXIT_BUDGET,   /* before the block at exit_pc: it has more instructions than steps_left */
    URD_EXIT_CUT,      /* before exit_pc: all 16 registers equal cut_regs, cut_words are in memory, rip is the cut's;
                          to go on without testing once more, resume at exit_resume */
    URD_EXIT_STOP,     /* before exit_pc, a stop address; to go on, resume at exit_resume */
    URD_EXIT_REP,      /* after a REP string store that was too long for the log: the log's last record
                          says where, its bytes are to be read from memory now; resume at exit_resume */
};

/** Registers in the order of their hardware encoding: rax rcx rdx rbx rsp rbp rsi rdi r8..r15. */
struct urd_context {
    uint64_t exit_reason;  /* enum urd_exit */
    uint64_t exit_pc;      /* subject address */
    uint64_t exit_link;    /* 0: the translator links by itself */
    uint64_t exit_resume;  /* cache address */
    uint64_t log_pos;      /* address in the subject where the next record begins */
    uint64_t log_end;      /* a block is entered only while log_pos < log_end */
    int64_t steps_left;    /* for URD_PROBE_COUNT; like log_pos up to date at exits, not in a block */
    uint64_t branches;     /* for URD_PROBE_BRANCHES: retired ones, always up to date */
    uint64_t cut_regs[16];
    struct {
        uint64_t address, value; /* 8 bytes of memory */
    } cut_words[192];
    uint64_t scratch[64];  /* spilled application registers, flags; owned by the translator */
};

#endif
