/**
 * Values as text, and as trees that a UI can open.
 *
 * PURPOSE  What gdb would print: {a = 1, p = 0x55.. <sym+4> "text"}; one format letter.
 * NOT      print statements (query/format.h).
 * OWNS     Text goes to the given buffer. Children are freed by urd_debuginfo_children_free.
 */
#ifndef URD_DEBUGINFO_VALUE_TEXT_H
#define URD_DEBUGINFO_VALUE_TEXT_H
#include "base/buf.h"
#include "debuginfo/value.h"

struct urd_text_options {
    char spec;          /* 0 natural, or one of x d u c s f b p o (of scalars; deep in aggregates),
                  or r: without summaries (summary.h) */
    unsigned max_depth; /* of nested aggregates, 0: 8 */
    unsigned max_elements; /* of an array or characters of a string, 0: 200 */
    unsigned max_bytes;    /* of the whole text, 0: 64 KiB; then "..." */
    bool no_symbols;       /* no <symbol+off> after pointers */
    bool no_strings;       /* do not follow char pointers */
};

/** options may be NULL. Values that are not OK give "<optimised out>", "<unreadable 0x..>" and so
 *  on. The value is fetched if it is lazy. */
void urd_debuginfo_value_text(const struct urd_frame *frame, struct urd_value *v,
                              const struct urd_text_options *options, struct urd_buf *out);
/** What a C string pointer or char array holds, raw (for {s:s}). */
void urd_debuginfo_value_string(const struct urd_frame *frame, struct urd_value *v, size_t max,
                                struct urd_buf *out);

struct urd_child {
    char *name;       /* "a", "[3]", "<base>", "*p" */
    char *type;       /* C spelling */
    char *text;       /* one line, limited */
    char *expression; /* C expression for it, given that of the parent */
    struct urd_value value;
    bool has_children;
};

/** Members, elements [first, first + max), or what a pointer points to. *ret_total is how many
 *  there are in all. */
void urd_debuginfo_children(const struct urd_frame *frame, struct urd_value *v,
                            const char *expression, size_t first, size_t max,
                            struct urd_child **ret, size_t *ret_count, size_t *ret_total);
void urd_debuginfo_children_free(struct urd_child *children, size_t count);
bool urd_debuginfo_has_children(const struct urd_value *v);

#endif
