/**
 * What the strings and containers of libraries hold.
 *
 * PURPOSE  See through the structs of libstdc++'s, Rust's and Go's own types: the text of a string, the elements of a vector or map, the
 *          pointer of a unique_ptr.
 * NOT      Text (value_text.h). Members are where they are for expressions and in trees: v._M_impl._M_start.
 * FORMAT   libstdc++'s headers, Rust's library/alloc, Go's runtime: by names of types and members. Whatever does not look as expected
 *          (another library, not yet constructed) has no summary, and is shown by its members.
 */
#ifndef URD_DEBUGINFO_SUMMARY_H
#define URD_DEBUGINFO_SUMMARY_H
#include "debuginfo/value.h"

enum urd_summary_kind {
    URD_SUMMARY_STRING,   /* count characters of type at `at` */
    URD_SUMMARY_ELEMENTS, /* count of them */
    URD_SUMMARY_PAIRS,    /* count elements, each with members first and second */
    URD_SUMMARY_POINTER, /* `pointer` is all that matters; uses counts its owners, 0: it is the only one */
    URD_SUMMARY_OPTIONAL, /* one element or none */
};

struct urd_summary {
    enum urd_summary_kind kind;
    const struct urd_type *type; /* of an element */
    uint64_t count;
    uint64_t
        at; /* address of the next element, once urd_debuginfo_summary_next has said that there is one */
    bool
        indexable; /* elements lie behind each other at `first`; known of a type, whatever the value holds */
    uint64_t first;
    struct urd_value pointer;
    uint64_t uses, weak_uses;
    /* how to get on */
    bool (*next)(const struct urd_frame *frame, struct urd_summary *s);
    uint64_t given, node, step, end, place;
};

/** False: v, which is OK, has no summary. ret->type and ret->indexable tell what it is for when only its content is not as it should be. */
bool urd_debuginfo_summary(const struct urd_frame *frame, const struct urd_value *v,
                           struct urd_summary *ret);
/** The elements of an indexable one with a summary, as an array. */
void urd_debuginfo_summary_array(const struct urd_summary *s, struct urd_value *ret);
/** s->at becomes the address of the next element. False: there is no other one, or memory that leads there cannot be read (given < count). */
bool urd_debuginfo_summary_next(const struct urd_frame *frame, struct urd_summary *s);

#endif
