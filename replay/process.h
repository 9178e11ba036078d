/**
 * A process of a replay: made from nothing, driven by injected system calls.
 *
 * PURPOSE  Make processes whose address space is exactly what the trace says; move memory and registers.
 * NOT      Events and their order; see session.h.
 * CONTEXT  The thread that traces the process.
 *
 * Every replayed process has the *stub page* at URD_STUB_BASE: `syscall; int3` for injected calls, and the
 * code in which checkpoints sleep. A new process is an exec of a tiny ELF image that is that page.
 */
#ifndef URD_REPLAY_PROCESS_H
#define URD_REPLAY_PROCESS_H
#include "base/map.h"
#include "base/tracee.h"
#include "trace/trace.h"

#define URD_STUB_BASE 0x5e0f00000000u

/** The x87 and vector registers of a task that does not run, as PTRACE_GETREGSET has them. */
struct urd_vectors {
    uint32_t size; /* bytes; 0: not filled in yet */
    uint8_t area[16384];
};

/** All recorded tasks that share memory live in one real process, which has the registers of the one that runs. */
struct urd_process {
    pid_t pid;          /* the real one */
    int mem;            /* /proc/PID/mem */
    struct urd_map fds; /* stored file index + 1 -> fd number in the process + 1 */
    unsigned refs;      /* tasks that live in it */
    struct urd_stacks former; /* of tasks that are gone */
    struct urd_vectors
        *loaded; /* the task's whose vector registers it has; NULL: it has but one task, or had */
    struct urd_fast *fast; /* fast.c: NULL when nothing was patched */
    void *user;  /* of whoever drives the session (translated runs) */
};

/** A new process with nothing but the stub page, stopped. */
urd_err *urd_process_spawn(struct urd_process *ret) URD_MUST_USE;
/** CPUID is a fault from now on, in its children too; where the processor cannot do that, it answers for itself. */
urd_err *urd_process_trap_cpuid(struct urd_process *p) URD_MUST_USE;
/** A copy of a stopped process, stopped too. */
urd_err *urd_process_fork(struct urd_process *p, struct urd_process *ret) URD_MUST_USE;
/** An untraced copy that sleeps in the stub page until it is adopted, by any thread of the tool. */
urd_err *urd_process_checkpoint(struct urd_process *p, struct urd_process *ret) URD_MUST_USE;
urd_err *urd_process_adopt(struct urd_process *p) URD_MUST_USE;
/** Kill, reap, close. */
void urd_process_kill(struct urd_process *p);

/** Make a system call in the process. Its registers are lost: set them before it is resumed. */
urd_err *urd_process_call(struct urd_process *p, int64_t *ret, int number, uint64_t a, uint64_t b,
                          uint64_t c, uint64_t d, uint64_t e, uint64_t f) URD_MUST_USE;
/** Do to the address space what a recorded call did. */
urd_err *urd_process_map(struct urd_process *p, const struct urd_trace *trace,
                         const struct urd_map_op *op) URD_MUST_USE;
/** An error when an operation concerns addresses that the replay needs for itself. */
urd_err *urd_process_check_range(const struct urd_map_op *op) URD_MUST_USE;
/** Map one of the tool's memory files into the process at a fixed address. */
urd_err *urd_process_map_fd(struct urd_process *p, int tool_fd, uint64_t address, uint64_t size,
                            int prot, uint64_t offset) URD_MUST_USE;
/** Wait for the next stop; *ret_status as waitpid gives it. A death is an error. */
urd_err *urd_process_wait(struct urd_process *p, int *ret_status) URD_MUST_USE;
#endif
