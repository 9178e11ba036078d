#include "cli/cli.h"
#include "record/record.h"
#include "trace/trace.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static urd_err *make_directories(const char *path)
{
    URD_AUTO_FREE char *copy = strdup(path);
    for (char *at = copy + 1; *at; at++)
        if (*at == '/') {
            *at = 0;
            if (mkdir(copy, 0777) != 0 && errno != EEXIST)
                URD_FAIL_ERRNO("cannot make %s", copy);
            *at = '/';
        }
    if (mkdir(copy, 0777) != 0 && errno != EEXIST)
        URD_FAIL_ERRNO("cannot make %s", copy);
    return NULL;
}

/** $URD_HOME/NAME-N with the first free N; made here, so that two recordings never share one. */
static urd_err *choose_directory(const char *program, char **ret)
{
    URD_AUTO_FREE char *home = urd_trace_home();
    URD_TRY(make_directories(home));
    const char *name = strrchr(program, '/') ? strrchr(program, '/') + 1 : program;
    for (unsigned n = 0; n < 1000000; n++) {
        char *path = urd_xprintf("%s/%s-%u", home, name, n);
        if (mkdir(path, 0777) == 0) {
            *ret = path;
            return NULL;
        }
        int saved = errno;
        free(path);
        errno = saved;
        if (errno != EEXIST)
            return urd_err_hint(urd_err_make(URD_ERR_FAILED, errno, __func__, __FILE__, __LINE__,
                                             "cannot make a trace directory in %s", home),
                                "set URD_HOME to a folder that can be written, or use -o DIR");
    }
    URD_FAIL("there is no free name for a trace in %s", home);
}

static void point_latest(const char *directory)
{
    URD_AUTO_FREE char *home = urd_trace_home();
    URD_AUTO_FREE char *full = realpath(directory, NULL);
    URD_AUTO_FREE char *latest = urd_xprintf("%s/latest", home);
    URD_AUTO_FREE char *part = urd_xprintf("%s/.latest-%d", home, getpid());
    if (!full)
        return;
    unlink(part);
    if (symlink(full, part) != 0 || rename(part, latest) != 0)
        unlink(part);
}

static void print_size(FILE *f, uint64_t bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    double size = (double)bytes;
    unsigned unit = 0;
    for (; size >= 1000 && unit < 4; unit++)
        size /= 1000;
    fprintf(f, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
}

urd_err *cli_record(int argc, char **argv, int *ret_status)
{
    const char *output = NULL;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (strcmp(argv[at], "-o") == 0 && at + 1 < argc)
            output = argv[++at];
        else
            return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "record does not know '%s'", argv[at]),
                                "urd record [-o DIR] [--] PROGRAM [ARG...]");
    }
    if (at >= argc)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "record needs a program"),
                            "urd record [-o DIR] [--] PROGRAM [ARG...]");
    URD_AUTO_FREE char *directory = NULL;
    if (output)
        directory = strdup(output);
    else
        URD_TRY(choose_directory(argv[at], &directory));
    struct urd_record_summary s;
    urd_err *err = urd_record_run(directory, argv + at, &s);
    if (err) {
        if (!output && err->kind == URD_ERR_QUESTION) {
            URD_AUTO_FREE char *trace = urd_xprintf("%s/trace.urd", directory);
            URD_AUTO_FREE char *files = urd_xprintf("%s/files", directory);
            unlink(trace);
            rmdir(files);
            rmdir(directory);
        }
        return err;
    }
    point_latest(directory);
    fprintf(stderr, "urd: recorded %s, %llu events, ", directory, (unsigned long long)s.events);
    print_size(stderr, s.bytes);
    fprintf(stderr, "\n");
    if (WIFSIGNALED(s.status)) {
        fprintf(stderr, "urd: the program was killed by signal %d\n", WTERMSIG(s.status));
        *ret_status = 128 + WTERMSIG(s.status);
    } else {
        *ret_status = WEXITSTATUS(s.status);
    }
    return NULL;
}
