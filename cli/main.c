/* urd: an omniscient debugger.
 *
 * The map of the program, in the order in which things happen:
 *
 *   urd record   cli/record.c -> record/record.c      runs the subject, writes a trace (trace/)
 *   urd replay   cli/replay.c -> replay/session.c     plays it again, checking every event
 *   urd index    cli/index.c  -> indexer/             replays under translation (translate/), writes the index
 *   urd blame, print, calls, sql, ...                 cli/ask.c -> query/, which reads the index
 *   urd serve    cli/serve.c  -> server/              the same questions by HTTP, and ui-static/
 */
#include "cli/cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct urd_verb verbs[] = {
#define URD_VERB(name, function, arguments, summary) {name, arguments, summary, function},
#include "cli/verbs.def"
#undef URD_VERB
};

static void usage(FILE *f)
{
    fprintf(f, "urd: record a program once, then ask anything about the run\n\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        fprintf(f, "  urd %-11s %-46s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].summary);
    fprintf(f,
            "\nA moment is EVENT:STEPS, for example 1042:318. -t names a trace: a directory, or a "
            "name\n"
            "under $URD_HOME; without it the latest one is asked. --json prints JSON.\n"
            "Exit status: 0 answered, 1 nothing found, 2 the question is wrong, 3 urd failed.\n");
}

static const struct urd_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int print_error(urd_err *err)
{
    bool colour = isatty(2);
    char *text = urd_err_text(err, err->kind == URD_ERR_FAILED);
    fprintf(stderr, "%surd: %s%s\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "", text);
    if (err->suggest)
        fprintf(stderr, "  did you mean '%s'?\n", err->suggest);
    int status = err->kind;
    free(text);
    urd_err_free(err);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("urd 0.1\n");
        return 0;
    }
    const struct urd_verb *verb = find_verb(argv[1]);
    if (!verb) {
        fprintf(stderr, "urd: there is no verb '%s'; urd --help lists them\n", argv[1]);
        return 2;
    }
    if (argc > 2 && strcmp(argv[2], "--help") == 0) {
        printf("urd %s %s\n    %s\n", verb->name, verb->arguments, verb->summary);
        return 0;
    }
    int status = 0;
    urd_err *err = verb->run(argc - 1, argv + 1, &status);
    if (err)
        return print_error(err);
    return fflush(stdout) == 0 ? status : 3;
}
