/**
 * Print statements: 'text {expr} {expr:x} {{'.
 *
 * PURPOSE  Parse a format once, render it in many frames.
 * NOT      Where and when: query/print decides.
 * OWNS     urd_format owns its expressions.
 * FORMAT   {expr} as gdb would print it; {expr:S} with S one of x d u c s f b p o, or r: structs of libraries member by member; {{ and }} are
 *          braces; \n \t \\ \" are escapes as in C. A colon within brackets, a string, a ternary or
 * :: belongs to the expression.
 */
#ifndef URD_QUERY_FORMAT_H
#define URD_QUERY_FORMAT_H
#include "base/buf.h"
#include "query/expr.h"

struct urd_format;

URD_MUST_USE urd_err *urd_format_parse(const char *text, struct urd_format **ret);
void urd_format_free(struct urd_format *f);

/** Appends the text. A piece without a value renders as <optimised out>, <unreadable 0x..>. The
 *  only errors are wrong questions (unknown names): use urd_format_check once at the first place.
 */
void urd_format_render(struct urd_format *f, const struct urd_frame *frame, struct urd_buf *out);
/** Whether all names and types are right in this frame; errors with offsets within the format. */
URD_MUST_USE urd_err *urd_format_check(struct urd_format *f, const struct urd_frame *frame);

size_t urd_format_count(const struct urd_format *f); /* expressions */
struct urd_expr *urd_format_expr(const struct urd_format *f, size_t i);

#endif
