/**
 * Expressions in C syntax over DWARF.
 *
 * PURPOSE  Parse once, evaluate in many frames: `p->next[2].x`, `$rax & 0xff`, `arr[2]@4`,
 *          `(struct foo *)q`, `'file.c'::x`, `f::counter`, `sizeof(struct foo)`, `$retval`.
 * NOT      Changing anything: no assignment, no calls.
 * OWNS     urd_expr owns its text and its caches; the value a caller passes owns its bytes
 *          (urd_debuginfo_value_deinit).
 * CONTEXT  One thread at a time per expression.
 */
#ifndef URD_QUERY_EXPR_H
#define URD_QUERY_EXPR_H
#include "debuginfo/value.h"

struct urd_expr;

/** Syntax errors are URD_ERR_QUESTION with the byte offset. */
URD_MUST_USE urd_err *urd_expr_parse(const char *text, struct urd_expr **ret);
void urd_expr_free(struct urd_expr *e);
const char *urd_expr_text(const struct urd_expr *e);

/**
 * The value in a frame, fetched. An unknown name or a wrong type is URD_ERR_QUESTION with offset
 * and nearest spelling; optimised out, unreadable and the like are in ret->status. ret is
 * overwritten (deinit an earlier value first) and set only on success.
 */
URD_MUST_USE urd_err *urd_expr_evaluate(struct urd_expr *e, const struct urd_frame *frame,
                                        struct urd_value *ret);
/** The same without reading the bytes of an lvalue: for its place only (ret->pieces). A frame with
 *  no_registers is enough for expressions that name only globals. */
URD_MUST_USE urd_err *urd_expr_locate(struct urd_expr *e, const struct urd_frame *frame,
                                      struct urd_value *ret);
/** A condition: true when not zero. When it has no value, *ret_known (may be NULL) is false and
 *  *ret is false. */
URD_MUST_USE urd_err *urd_expr_condition(struct urd_expr *e, const struct urd_frame *frame,
                                         bool *ret, bool *ret_known);
/** Whether it names a register or $retval. (Whether a name is a local is known only in a frame.) */
bool urd_expr_names_registers(const struct urd_expr *e);
/** Whether it consists of numbers, operators and C's own types: then it means the same in every frame, as far as it reads no memory. */
bool urd_expr_is_plain(const struct urd_expr *e);

#endif
