/**
 * Libraries that are loaded when they are first needed.
 *
 * PURPOSE  `urd record` starts often and briefly: it must not wait for what only a server or a disassembly uses.
 * NOT      Libraries that most of urd needs: those are linked.
 */
#ifndef URD_BASE_LATE_H
#define URD_BASE_LATE_H
#include "base/err.h"

/** A function of the library, and the pointer to it that is filled. */
struct urd_late {
    const char *name;
    void *at; /* void (**)() */
};

/** Load the library, which stays loaded, and find the n functions. An error names what is missing. Any thread, again and again. */
urd_err *urd_late_load(const char *soname, const struct urd_late *functions,
                       unsigned n) URD_MUST_USE;
#endif
