/** What every verb shares: the table of verbs (verbs.def). */
#ifndef URD_CLI_CLI_H
#define URD_CLI_CLI_H
#include "base/err.h"

struct urd_verb {
    const char *name, *arguments, *summary;
    urd_err *(*run)(int argc, char **argv, int *ret_status);
};

#define URD_VERB(name, function, arguments, summary)                                               \
    urd_err *function(int argc, char **argv, int *ret_status);
#include "cli/verbs.def"
#undef URD_VERB
#endif
