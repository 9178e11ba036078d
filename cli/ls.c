#include "cli/cli.h"
#include "cli/options.h"
#include "trace/trace.h"
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

static void print_trace(const char *home, const char *name, bool json)
{
    URD_AUTO_FREE char *directory = urd_xprintf("%s/%s", home, name);
    struct urd_trace *t;
    urd_err *err = urd_trace_open(directory, &t);
    if (err) {
        if (json) {
            json_t *row = json_pack("{s:s, s:s}", "name", name, "error", err->message);
            json_dumpf(row, stdout, JSON_COMPACT);
            putchar('\n');
            json_decref(row);
        } else {
            printf("%-24s %s\n", name, err->message);
        }
        urd_err_free(err);
        return;
    }
    const struct urd_trace_info *i = urd_trace_get_info(t);
    if (json) {
        json_t *argv = json_array();
        for (int k = 0; k < i->argc; k++)
            json_array_append_new(argv, json_string(i->argv[k]));
        json_t *row =
            json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:b}", "name", name, "directory", directory,
                      "argv", argv, "events", (json_int_t)urd_trace_event_count(t), "bytes",
                      (json_int_t)urd_trace_bytes(t), "started", (json_int_t)i->started_unix,
                      "torn", urd_trace_torn(t) != NULL);
        json_dumpf(row, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(row);
    } else {
        char when[64];
        time_t started = (time_t)i->started_unix;
        strftime(when, sizeof when, "%Y-%m-%d %H:%M", localtime(&started));
        printf("%-24s %s %9llu events %8.1f MB ", name, when,
               (unsigned long long)urd_trace_event_count(t), (double)urd_trace_bytes(t) / 1e6);
        for (int k = 0; k < i->argc && k < 8; k++)
            printf(" %s", i->argv[k]);
        printf("%s\n", urd_trace_torn(t) ? "  (cut off)" : "");
    }
    urd_trace_close(t);
}

urd_err *cli_ls(int argc, char **argv, int *ret_status)
{
    bool json = false;
    int left;
    URD_TRY(cli_options(argc, argv, (struct cli_option[]){{"--json", NULL, NULL, &json}, {0}},
                        "urd ls [--json]", &left));
    URD_AUTO_FREE char *home = urd_trace_home();
    struct dirent **names;
    int n = scandir(home, &names, NULL, alphasort);
    int found = 0;
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.' && strcmp(names[i]->d_name, "latest") != 0) {
            print_trace(home, names[i]->d_name, json);
            found++;
        }
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    if (!found) {
        fprintf(stderr, "urd: there are no traces in %s\n", home);
        *ret_status = 1;
    }
    return NULL;
}
