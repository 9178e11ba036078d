#include "trace/trace.h"
#include <stdio.h>
#include <unistd.h>

char *urd_trace_home(void)
{
    const char *home = getenv("URD_HOME");
    if (home && *home)
        return strdup(home);
    const char *user = getenv("HOME");
    return urd_xprintf("%s/.local/share/urd", user && *user ? user : "/tmp");
}

static bool has_trace(const char *directory)
{
    URD_AUTO_FREE char *path = urd_xprintf("%s/trace.urd", directory);
    return access(path, F_OK) == 0;
}

urd_err *urd_trace_find(const char *name, char **ret)
{
    if (name && has_trace(name)) {
        *ret = strdup(name);
        return NULL;
    }
    URD_AUTO_FREE char *home = urd_trace_home();
    char *path = urd_xprintf("%s/%s", home, name ? name : "latest");
    if (has_trace(path)) {
        *ret = path;
        return NULL;
    }
    free(path);
    if (name)
        return urd_err_hint(
            URD_ERROR(URD_ERR_QUESTION, "there is no trace '%s', here or in %s", name, home),
            "list the traces with: urd ls");
    return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "there is no trace in %s yet", home),
                        "record one with: urd record PROGRAM");
}
