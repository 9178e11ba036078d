#include "cli/cli.h"
#include "record/record.h"
#include "trace/trace.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
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

static void remove_trace(const char *directory)
{
    URD_AUTO_FREE char *files = urd_xprintf("%s/files", directory);
    URD_AUTO_FREE char *trace = urd_xprintf("%s/trace.urd", directory);
    DIR *d = opendir(files);
    for (struct dirent *e; d && (e = readdir(d));) {
        URD_AUTO_FREE char *file = urd_xprintf("%s/%s", files, e->d_name);
        if (e->d_name[0] != '.')
            unlink(file);
    }
    if (d)
        closedir(d);
    unlink(trace);
    rmdir(files);
    rmdir(directory);
}

static int exit_status(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void print_summary(const char *directory, const struct urd_record_summary *s)
{
    fprintf(stderr, "urd: recorded %s, %llu events, ", directory, (unsigned long long)s->events);
    print_size(stderr, s->bytes);
    fprintf(stderr, "\n");
    if (WIFSIGNALED(s->status))
        fprintf(stderr, "urd: the program was killed by signal %d\n", WTERMSIG(s->status));
}

struct arguments {
    const char *output;
    struct urd_record_options options;
    uint64_t until_fail; /* recordings at most; 0: one, whatever its status */
    int program;         /* index in argv */
};

#define USAGE "urd record [-o DIR] [--no-fast] [--clock cut|pmu] [--chaos] [--seed N] [--until-fail N] [--] PROGRAM [ARG...]"

static urd_err *get_number(const char *option, const char *text, uint64_t *ret)
{
    char *end;
    *ret = strtoull(text, &end, 0);
    if (*text < '0' || *text > '9' || *end)
        return urd_err_hint(
            URD_ERROR(URD_ERR_QUESTION, "%s wants a number, not '%s'", option, text), USAGE);
    return NULL;
}

static urd_err *get_arguments(int argc, char **argv, struct arguments *ret)
{
    struct arguments a = {.options.seed = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid()};
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        const char *option = argv[at];
        bool more = at + 1 < argc;
        if (strcmp(option, "--") == 0) {
            at++;
            break;
        }
        if (strcmp(option, "-o") == 0 && more)
            a.output = argv[++at];
        else if (strcmp(option, "--no-fast") == 0)
            a.options.no_fast = true;
        else if (strcmp(option, "--clock") == 0 && more)
            a.options.clock = argv[++at];
        else if (strcmp(option, "--chaos") == 0)
            a.options.chaos = true;
        else if (strcmp(option, "--seed") == 0 && more)
            URD_TRY(get_number(option, argv[++at], &a.options.seed));
        else if (strcmp(option, "--until-fail") == 0 && more)
            URD_TRY(get_number(option, argv[++at], &a.until_fail));
        else
            return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "record does not know '%s'", option),
                                USAGE);
    }
    if (at >= argc)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "record needs a program"), USAGE);
    a.program = at;
    *ret = a;
    return NULL;
}

/** One recording, into a directory of its own name. */
static urd_err *record_once(const struct arguments *a, char **argv, char **ret_directory,
                            struct urd_record_summary *ret)
{
    URD_AUTO_FREE char *directory = NULL;
    if (a->output)
        directory = strdup(a->output);
    else
        URD_TRY(choose_directory(argv[a->program], &directory));
    urd_err *err = urd_record_run(directory, argv + a->program, &a->options, ret);
    if (err) {
        if (!a->output && err->kind == URD_ERR_QUESTION)
            remove_trace(directory);
        return err;
    }
    *ret_directory = directory;
    directory = NULL;
    return NULL;
}

urd_err *cli_record(int argc, char **argv, int *ret_status)
{
    struct arguments a;
    URD_TRY(get_arguments(argc, argv, &a));
    for (uint64_t n = 1;; n++) {
        URD_AUTO_FREE char *directory = NULL;
        struct urd_record_summary s;
        URD_TRY(record_once(&a, argv, &directory, &s));
        *ret_status = exit_status(s.status);
        if (*ret_status == 0 && n < a.until_fail) {
            remove_trace(directory);
            a.options.seed++;
            continue;
        }
        point_latest(directory);
        if (a.until_fail)
            fprintf(stderr, "urd: %s %llu of at most %llu%s\n",
                    *ret_status ? "it failed in run" : "it never failed; the last run is",
                    (unsigned long long)n, (unsigned long long)a.until_fail,
                    a.options.chaos ? ", in chaos" : "");
        print_summary(directory, &s);
        return NULL;
    }
}
