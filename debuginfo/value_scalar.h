/**
 * Scalars and strings as text.
 *
 * PURPOSE  Numbers, characters, enums, pointers and character arrays as gdb spells them.
 * CONTEXT  Private to debuginfo/.
 */
#ifndef URD_DEBUGINFO_VALUE_SCALAR_H
#define URD_DEBUGINFO_VALUE_SCALAR_H
#include "debuginfo/value_text.h"

/** One character within quotes of a kind, escaped. */
void urd_debuginfo_text_character(struct urd_buf *out, uint32_t c, char quote);
/** count characters of width bytes as "text", '\000' <repeats 12 times>. */
void urd_debuginfo_text_string(struct urd_buf *out, const uint8_t *bytes, size_t count,
                               unsigned width, bool more);
void urd_debuginfo_text_scalar(const struct urd_frame *frame, const struct urd_value *v,
                               const struct urd_text_options *options, struct urd_buf *out);
void urd_debuginfo_text_double(struct urd_buf *out, long double d, uint64_t size);

#endif
