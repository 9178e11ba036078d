/* Whole static programs under translation: output as native; see main for the modes. */
#include "tests/translate_run.h"
#include "base/log.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char *slurp(int fd, size_t *ret)
{
    off_t n = lseek(fd, 0, SEEK_END);
    char *p = malloc((size_t)n + 1);
    *ret = (size_t)pread(fd, p, (size_t)n, 0);
    return p;
}

/* CPU time of this process and the children that are gone: others use this machine, too. */
static double cpu_seconds(void)
{
    double sum = 0;
    for (int who = RUSAGE_CHILDREN; who <= RUSAGE_SELF; who++) {
        struct rusage u;
        getrusage(who, &u);
        sum += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    }
    return sum;
}

static double native(char *const argv[], int out)
{
    double start = cpu_seconds();
    pid_t pid = fork();
    if (!pid) {
        dup2(out, 1);
        execv(argv[0], argv);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    return cpu_seconds() - start;
}

static double translated(unsigned probes, char *const argv[], int out, struct run *ret)
{
    struct urd_translator *t;
    if (urd_translate_create(probes, &t))
        abort();
    struct run r = {.discard = getenv("DISCARD") != NULL};
    run_start(&r, t, argv, out);
    double start = cpu_seconds();
    if (!run_to_end(&r))
        exit(3);
    double seconds = cpu_seconds() - start;
    struct urd_translate_stats s = urd_translate_get_stats(t);
    printf("  blocks %lu subject bytes %lu cache %lu stepped kinds %lu | miss %lu syscall %lu step "
           "%lu "
           "logfull %lu rep %lu | steps %lu writes %lu\n",
           s.blocks, s.subject_bytes, s.cache_bytes, s.unknown_insns, r.exits[URD_EXIT_MISS],
           r.exits[URD_EXIT_SYSCALL], r.exits[URD_EXIT_STEP], r.exits[URD_EXIT_LOG_FULL],
           r.exits[URD_EXIT_REP], r.steps_logged, r.writes_logged);
    urd_translate_destroy(t);
    *ret = r;
    return seconds;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    static const struct {
        const char *name;
        unsigned probes;
    } modes[] = {{"plain", 0},
                 {"count", URD_PROBE_COUNT},
                 {"log", URD_PROBE_LOG},
                 {"log+count", URD_PROBE_LOG | URD_PROBE_COUNT}};
    int out = memfd_create("native", 0);
    double base = native(argv + 1, out);
    size_t n, m;
    char *want = slurp(out, &n);
    printf("native %.3f s, %zu bytes of output\n", base, n);
    int bad = 0;
    for (int i = 0; i < 4; i++) {
        int fd = memfd_create("translated", 0);
        struct run r;
        double s = translated(modes[i].probes, argv + 1, fd, &r);
        char *got = slurp(fd, &m);
        bool same = n == m && !memcmp(want, got, n);
        printf("%-10s %.3f s  x%.2f  %s exit %d\n", modes[i].name, s, s / base,
               same ? "same" : "DIFFERENT", r.exit_status);
        bad |= !same;
        free(got);
        close(fd);
    }
    return bad;
}
