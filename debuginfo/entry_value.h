/**
 * What a location expression needs from outside of its frame.
 *
 * PURPOSE  Registers as they were at a function's entry, from the caller's call site entries;
 *          addresses of thread-local storage.
 * CONTEXT  Private to debuginfo/.
 * FORMAT   DWARF 5, 2.5.1.7 and 3.4; Drepper, "ELF Handling For Thread-Local Storage", variant II.
 */
#ifndef URD_DEBUGINFO_ENTRY_VALUE_H
#define URD_DEBUGINFO_ENTRY_VALUE_H
#include "debuginfo/private.h"

bool urd_debuginfo_entry_value(struct urd_location_context *x, struct urd_span expression,
                               uint64_t *ret);
bool urd_debuginfo_tls_address(struct urd_module *m, uint64_t bias, const struct urd_frame *frame,
                               uint64_t offset, uint64_t *ret);

#endif
