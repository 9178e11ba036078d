/** The header chunk's bytes; see struct urd_trace_info. */
#ifndef URD_TRACE_INFO_H
#define URD_TRACE_INFO_H
#include "trace/trace.h"
void urd_trace_info_encode(const struct urd_trace_info *info, struct urd_buf *out);
urd_err *urd_trace_info_decode(const void *data, size_t size,
                               struct urd_trace_info *ret) URD_MUST_USE;
#endif
