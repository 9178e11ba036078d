/**
 * Checksums of a task's writable memory.
 *
 * PURPOSE  Recorder and replayer compute the same number for the same memory.
 * FORMAT   Over each writable private mapping in address order: for each page that is not all zero,
 *          XXH3-64 of (page address, content), added up. Zero pages do not count, so that it does not
 *          matter whether a page was ever touched, nor where mappings are split. Not counted: [vvar],
 *          [vdso], urd's own region (URD_OWN_START .. URD_OWN_END), and pages around the stack
 *          pointers of all tasks that live there: from URD_STACK_BELOW bytes below to URD_STACK_ABOVE bytes above.
 *
 * Stacks do not count because of what XSAVE leaves there, whenever the dynamic linker resolves a function: parts of the area
 * are written or not, depending on which components the processor holds for in use, and that depends on context switches (SDM vol. 1,
 * 13.6, XINUSE). On a busy machine one replay in fifty differed there, in bytes that nobody reads. What is left of the stacks of threads that
 * have ended does not count either, for their memory stays for the next one; nor, in a child, those of its parent's threads; nor the
 * stacks that handlers have had for themselves (sigaltstack).
 */
#ifndef URD_TRACE_CHECKSUM_H
#define URD_TRACE_CHECKSUM_H
#include "base/err.h"
#include <stdbool.h>
#include <sys/types.h>

#define URD_OWN_START 0x5e0000000000u
#define URD_OWN_END   0x5e2000000000u

#define URD_STACK_BELOW (256u << 10)
#define URD_STACK_ABOVE (64u << 10)

/** The stack pointers of the tasks that live in a process. sps is malloc'ed. */
struct urd_stacks {
    uint64_t *sps;
    size_t n, capacity;
};

/** A task that had its stack there is gone, or is another process's, and the memory is still there: one entry for each 16 KB. */
void urd_stacks_add_former(struct urd_stacks *s, uint64_t sp);
/** A handler begins with stack pointer sp, where the program had `before`: on a stack of its own, which is left as such stacks are. */
void urd_stacks_add_handlers(struct urd_stacks *s, uint64_t before, uint64_t sp);
void urd_stacks_append(struct urd_stacks *s, const struct urd_stacks *more);

/** What counts beside private mappings. */
enum urd_memory {
    URD_MEMORY_PRIVATE,  /* nothing */
    URD_MEMORY_RECORDED, /* shared mappings of memory and of files, as the program has them ... */
    URD_MEMORY_REPLAYED, /* ... and as its replay has: files named URD_SHARED_NAME and a number */
};

#define URD_SHARED_NAME "urd-shared-"

/** Only what is at the beginning of a file or a segment, bytes: the size says nothing of how much of it is in use. */
#define URD_SHARED_COUNTED (8u << 20)

/** Does a shared mapping of this name (/proc/PID/maps) count? */
bool urd_checksum_counts_shared(enum urd_memory what, const char *name);

/** Of the process pid, read through mem_fd (/proc/PID/mem). *ret_bytes: how much was read. */
urd_err *urd_checksum_memory(pid_t pid, int mem_fd, enum urd_memory what,
                             const struct urd_stacks *stacks, uint64_t *ret,
                             uint64_t *ret_bytes) URD_MUST_USE;
#endif
