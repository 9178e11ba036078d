/**
 * What a location expression needs from outside of its frame.
 *
 * PURPOSE  Registers as they were at a function's entry, from the caller's call site entries.
 * CONTEXT  Private to debuginfo/.
 * FORMAT   DWARF 5, 2.5.1.7 and 3.4; Drepper, "ELF Handling For Thread-Local Storage", variant II.
 */
#ifndef URD_DEBUGINFO_ENTRY_VALUE_H
#define URD_DEBUGINFO_ENTRY_VALUE_H
#include "debuginfo/private.h"

bool urd_debuginfo_entry_value(struct urd_location_context *x, struct urd_span expression,
                               uint64_t *ret);
/** The value of a parameter (its handle) that the compiler does not pass (DW_OP_GNU_parameter_ref): the call site has it. */
bool urd_debuginfo_parameter_value(struct urd_location_context *x, uint64_t parameter,
                                   uint64_t *ret);

#endif
