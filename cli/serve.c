#include "cli/cli.h"
#include "cli/options.h"
#include "base/buf.h"
#include "server/server.h"
#include "trace/trace.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void on_listening(void *data, const char *url)
{
    printf("%s\n", url);
    fflush(stdout);
    fprintf(stderr, "urd: serving %s at %s (Ctrl-C ends)\n", (const char *)data, url);
}

/** Where the pages are: beside the sources, beside the program, or where $URD_UI says. malloc'ed. */
static char *find_ui(void)
{
    const char *given = getenv("URD_UI");
    if (given && *given)
        return strdup(given);
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = 0;
    char *slash = strrchr(exe, '/');
    if (slash)
        *slash = 0;
    static const char *const beside[] = {"/../../ui-static", "/../share/urd/ui-static"};
    for (unsigned i = 0; i < 2; i++) {
        char *path = urd_xprintf("%s%s", exe, beside[i]);
        if (access(path, R_OK) == 0)
            return path;
        free(path);
    }
    return strdup(URD_UI_DIRECTORY);
}

urd_err *cli_serve(int argc, char **argv, int *ret_status)
{
    const char *usage = "urd serve [-t TRACE] [--port N]";
    const char *name = NULL, *port = "8600";
    int left;
    URD_TRY(cli_options(
        argc, argv,
        (struct cli_option[]){{"-t", "--trace", &name, NULL}, {"--port", "-p", &port, NULL}, {0}},
        usage, &left));
    if (left > 0 && !name)
        name = argv[1];
    char *end;
    long number = strtol(port, &end, 10);
    if (*end || number < 0 || number > 65535)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "'%s' is no port", port), "%s", usage);
    URD_AUTO_FREE char *directory = NULL;
    URD_AUTO_FREE char *ui = find_ui();
    URD_TRY(urd_trace_find(name, &directory));
    return urd_server_run(&(struct urd_server_options){.port = (int)number,
                                                       .trace_directory = directory,
                                                       .ui_directory = ui,
                                                       .engines = 2,
                                                       .listening = on_listening,
                                                       .data = directory});
}
