/**
 * A small dispatcher for the translator's tests: runs a ptraced child under translation.
 *
 * PURPOSE  What replay/run_translated.c does for replays, with real system calls, for tests.
 * NOT      Signals, threads, exec in the child.
 */
#ifndef URD_TESTS_TRANSLATE_RUN_H
#define URD_TESTS_TRANSLATE_RUN_H
#include "translate/translate.h"
#include <sys/types.h>

struct run {
    pid_t pid;
    struct urd_translator *t;
    struct urd_context *ctx; /* of the child, mapped here */
    uint8_t *log;            /* likewise */
    struct urd_code_reader reader;
    uint64_t exits[16], faults, steps_logged, writes_logged, steps_stepped;
    bool discard; /* do not read the log */
    bool follow;  /* let blocks follow what ran: urd_translate_follow */
    struct urd_block_piece path[40];
    unsigned n_path, records;
    uint64_t followed; /* records of blocks that did */
    int64_t budget;      /* steps given at each URD_EXIT_BUDGET, 0: many */
    int64_t budget_used; /* with budget: steps taken so far */
    /* Called for each slot of the log, in order. size 0 for SP. */
    void (*on_write)(void *data, uint64_t address, uint64_t mask, const uint8_t *bytes, uint64_t size);
    void (*before_syscall)(struct run *r);
    void (*after_syscall)(struct run *r);
    void (*before_resume)(struct run *r); /* at every exit, before it is served */
    struct user_regs_struct cut_regs;     /* as they were at the last URD_EXIT_CUT */
    void *data;
    int exit_status;
};

enum { RUN_CTX_FD = 200, RUN_CACHE_FD = 201 };

int run_context_fd(struct urd_context **ret_ctx, uint8_t **ret_log);
/** Map the context and the cache at their addresses in this process. */
void run_map_here(int ctx_fd, int cache_fd);
/** fork, exec argv under ptrace, and map the two files in the new image. stdout goes to out_fd. */
void run_start(struct run *r, struct urd_translator *t, char *const argv[], int out_fd);
/** Let r read the memory of pid, which was started otherwise. */
void run_reader(struct run *r, pid_t pid);
/** Run until the child is gone. False, with a message on stderr, when something is wrong. */
bool run_to_end(struct run *r);
/** From the child's current registers, rip a subject address, until an exit the caller must see. */
bool run_drain(struct run *r);
/** The address of the i-th slot, a write's or a stack pointer, into addresses, of those before it; *at moves on where the record has it. */
uint64_t run_slot_address(const struct urd_slot *slot, const uint8_t **at, uint64_t *addresses, unsigned i);
#endif
