/* server_mock --port N --ui DIR [TRACE]: the HTTP server over the mock engine. TRACE chooses its
 * manners. */
#include "server/server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void listening(void *data, const char *url)
{
    printf("%s\n", url);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct urd_server_options o = {.trace_directory = "mock:isqrt",
                                   .ui_directory = "ui-static",
                                   .engines = 2,
                                   .listening = listening};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--port") == 0 && i + 1 < argc)
            o.port = atoi(argv[++i]);
        else if (strcmp(argv[i], "--ui") == 0 && i + 1 < argc)
            o.ui_directory = argv[++i];
        else
            o.trace_directory = argv[i];
    }
    urd_err *err = urd_server_run(&o);
    if (!err)
        return 0;
    char *text = urd_err_text(err, false);
    fprintf(stderr, "urd: %s\n", text);
    free(text);
    int status = err->kind;
    urd_err_free(err);
    return status;
}
