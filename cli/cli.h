/** What every verb shares: options, JSON, the table of verbs. */
#ifndef URD_CLI_CLI_H
#define URD_CLI_CLI_H
#include "base/err.h"

struct urd_verb {
    const char *name, *arguments, *summary;
    urd_err *(*run)(int argc, char **argv, int *ret_status);
};
urd_err *cli_record(int argc, char **argv, int *ret_status);
urd_err *cli_replay(int argc, char **argv, int *ret_status);
urd_err *cli_index(int argc, char **argv, int *ret_status);
urd_err *cli_info(int argc, char **argv, int *ret_status);
urd_err *cli_ls(int argc, char **argv, int *ret_status);
urd_err *cli_events(int argc, char **argv, int *ret_status);
#endif
