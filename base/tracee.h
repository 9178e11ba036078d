/**
 * A stopped process under ptrace: registers, memory, mappings.
 *
 * PURPOSE  The few operations that recorder and replayer share.
 * NOT      Deciding anything.
 * CONTEXT  The thread that traces the process.
 */
#ifndef URD_BASE_TRACEE_H
#define URD_BASE_TRACEE_H
#include "base/err.h"
#include <stdio.h>
#include <sys/types.h>
#include <sys/user.h>

urd_err *urd_tracee_get_regs(pid_t tid, struct user_regs_struct *ret) URD_MUST_USE;
urd_err *urd_tracee_set_regs(pid_t tid, const struct user_regs_struct *regs) URD_MUST_USE;
/** The XSAVE area (NT_X86_XSTATE); *size in: room, out: used. */
urd_err *urd_tracee_get_xstate(pid_t tid, void *data, size_t *size) URD_MUST_USE;
urd_err *urd_tracee_set_xstate(pid_t tid, const void *data, size_t size) URD_MUST_USE;

/** Registers for a system call that is made in it: at an instruction that makes one, and without a step afterwards. */
void urd_tracee_prepare_call(struct user_regs_struct *regs, uint64_t at, int number,
                             const uint64_t args[6]);

/** Resume it with a breakpoint at the address, and wait; it may stop for another reason before. *ret_status is waitpid's. */
urd_err *urd_tracee_run_to(pid_t tid, uint64_t address, int *ret_status) URD_MUST_USE;

/**
 * Resume it, without system calls, until it has come to the address *hits times; once is now when it stands there and its registers were set
 * since. It may stop for another reason before (*ret_status); *hits is how often it has not come there yet.
 */
urd_err *urd_tracee_run_to_hit(pid_t tid, uint64_t address, uint64_t *hits,
                               int *ret_status) URD_MUST_USE;

int urd_tracee_open_mem(pid_t tid); /* /proc/TID/mem for reading and writing, or -1 */
/** Bytes really moved, short at an unmapped page. Writing reaches read-only pages too. */
size_t urd_tracee_read(int mem_fd, uint64_t address, void *data, size_t size);
size_t urd_tracee_write(int mem_fd, uint64_t address, const void *data, size_t size);

/** Reading, of many pages: copied once and not twice, where the kernel lets process_vm_readv do it. */
size_t urd_tracee_read_much(pid_t tid, int mem_fd, uint64_t address, void *data, size_t size);

/** One line of /proc/PID/maps. */
struct urd_map_line {
    uint64_t start, end, offset, inode;
    uint8_t prot, shared; /* PROT_... */
    unsigned dev_major, dev_minor;
    char name[512];
};
FILE *urd_tracee_open_maps(pid_t pid);
bool urd_tracee_next_map(FILE *maps, struct urd_map_line *ret);
/**
 * The first mapping at the address or behind it of a file that the process shares and may write to there. False: there is none, or the
 * kernel cannot be asked for such, *ret_asked.
 */
bool urd_tracee_find_shared(pid_t pid, uint64_t from, struct urd_map_line *ret, bool *ret_asked);
/** The mapping that holds the address. False: there is none. */
bool urd_tracee_find_map(pid_t pid, uint64_t address, struct urd_map_line *ret);
#endif
