/**
 * The checksum of a task's writable memory.
 *
 * PURPOSE  Recorder and replayer compute the same number for the same memory.
 * FORMAT   Over each writable private mapping in address order: for each page that is not all zero,
 *          XXH3-64 of (page address, content), added up. Zero pages do not count, so that it does not
 *          matter whether a page was ever touched, nor where mappings are split. Not counted: [vvar],
 *          [vdso], shared mappings, and urd's own region (URD_OWN_START .. URD_OWN_END).
 */
#ifndef URD_TRACE_CHECKSUM_H
#define URD_TRACE_CHECKSUM_H
#include "base/err.h"
#include <sys/types.h>

#define URD_OWN_START 0x5e0000000000u
#define URD_OWN_END   0x5e2000000000u

/** Of the process pid, read through mem_fd (/proc/PID/mem). *ret_bytes: how much was read. */
urd_err *urd_checksum_memory(pid_t pid, int mem_fd, uint64_t *ret,
                             uint64_t *ret_bytes) URD_MUST_USE;
#endif
