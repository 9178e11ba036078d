/** Reading a verb's options: -t TRACE, --json and the like, in any order with the other arguments. */
#ifndef URD_CLI_OPTIONS_H
#define URD_CLI_OPTIONS_H
#include "base/err.h"

struct cli_option {
    const char *name;  /* "-t" or "--at" */
    const char *alias; /* or NULL */
    const char **text; /* takes an argument, stored here */
    bool *flag;        /* or takes none */
};

/**
 * Take the options out; what is left (n of them) stays in argv[1..]. An unknown option is
 * URD_ERR_QUESTION with `usage` as the hint. "--" ends the options.
 */
urd_err *cli_options(int argc, char **argv, const struct cli_option *options, const char *usage,
                     int *ret_left) URD_MUST_USE;
#endif
