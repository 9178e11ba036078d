/* What this machine offers a recorder, and what urd makes of it. */
#include "cli/cli.h"
#include "cli/options.h"
#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <jansson.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "trace/counter.h"
#include "trace/trace.h"

enum verdict {
    GOOD,
    LESS,
    BAD
}; /* LESS: it works, but for the reason given something is slower or missing */

struct findings {
    json_t *rows;
    bool bad;
};

static void add(struct findings *f, const char *what, enum verdict verdict, const char *found,
                const char *means)
{
    static const char *const names[] = {"good", "less", "bad"};
    json_array_append_new(f->rows, json_pack("{s:s, s:s, s:s, s:s}", "check", what, "verdict",
                                             names[verdict], "found", found, "means", means));
    f->bad |= verdict == BAD;
}

static void read_line(const char *path, char *ret, size_t size)
{
    FILE *f = fopen(path, "re");
    if (!f || !fgets(ret, (int)size, f))
        snprintf(ret, size, "not there");
    ret[strcspn(ret, "\n")] = 0;
    if (f)
        fclose(f);
}

/** In a child of its own, as the answers change what a process can do. 0: yes; else an errno. */
static int in_child(int (*test)(void))
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(test());
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid < 0 ? errno : WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

static int test_tsc(void)
{
    return prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0 ? 0 : errno;
}

static int test_cpuid(void)
{
    return syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) == 0 ? 0 : errno;
}

/** Trace a child and set a breakpoint in it by debug registers. *ret_breakpoint: errno of that, 0 when it works. */
static int test_ptrace(int *ret_breakpoint)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    if (pid < 0)
        return errno;
    int status, result = 0;
    if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) != 0 ||
        ptrace(PTRACE_INTERRUPT, pid, 0, 0) != 0)
        result = errno;
    else if (waitpid(pid, &status, __WALL) != pid)
        result = errno;
    else
        *ret_breakpoint =
            ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg), 0x10000l) == 0 &&
                    ptrace(PTRACE_POKEUSER, pid,
                           offsetof(struct user, u_debugreg) + 7 * sizeof(long), 1l) == 0
                ? 0
                : errno;
    kill(pid, SIGKILL);
    waitpid(pid, &status, __WALL);
    return result;
}

/** What this machine's filters can do: kill or let pass is old, so ask for the action that the recorder's needs. */
static int test_seccomp(void)
{
    uint32_t action = SECCOMP_RET_TRACE;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? 0 : errno;
}

static void check_machine(struct findings *f)
{
    char name[64] = "", kernel[128];
    uint32_t *words = (uint32_t *)name;
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002 + i, &words[i * 4], &words[i * 4 + 1], &words[i * 4 + 2],
                    &words[i * 4 + 3]);
    read_line("/proc/sys/kernel/osrelease", kernel, sizeof kernel);
    add(f, "processor", GOOD, name, "replays run on processors that have its features");
    add(f, "kernel", GOOD, kernel, "4.14 or later is needed");
}

static void check_tracing(struct findings *f)
{
    char text[128], scope[32];
    int breakpoint = ENODEV, e = test_ptrace(&breakpoint);
    read_line("/proc/sys/kernel/yama/ptrace_scope", scope, sizeof scope);
    if (e) {
        snprintf(text, sizeof text, "%s (yama/ptrace_scope: %s)", strerror(e), scope);
        add(f, "ptrace", BAD, text,
            "nothing can be recorded; in a container allow it with --cap-add=SYS_PTRACE");
    } else {
        snprintf(text, sizeof text, "works (yama/ptrace_scope: %s)", scope);
        add(f, "ptrace", GOOD, text, "programs that urd starts can be recorded");
    }
    add(f, "hardware breakpoints", breakpoint ? LESS : GOOD,
        breakpoint ? strerror(breakpoint) : "work",
        breakpoint ? "a task cannot be stopped inside a REP instruction"
                   : "a task can be stopped behind a REP instruction");
}

static void check_filters(struct findings *f)
{
    int e = in_child(test_seccomp);
    add(f, "seccomp filters", e ? LESS : GOOD, e ? strerror(e) : "work",
        e ? "every system call stops the program" : "most system calls do not stop the program");
}

static void check_instructions(struct findings *f)
{
    int e = in_child(test_tsc);
    add(f, "trapping RDTSC", e ? BAD : GOOD, e ? strerror(e) : "works",
        e ? "programs that read the time stamp counter will diverge" : "time stamps are recorded");
    e = in_child(test_cpuid);
    add(f, "faulting CPUID", e ? LESS : GOOD, e ? strerror(e) : "works",
        e ? "native replays stay on the recorded core; translated ones answer CPUID as recorded"
          : "traces of another processor or core replay with the answers that they recorded");
}

static void check_clock(struct findings *f)
{
    char paranoid[32], text[256];
    const char *why;
    read_line("/proc/sys/kernel/perf_event_paranoid", paranoid, sizeof paranoid);
    const struct urd_counter_kind *k = urd_counter_kind(&why);
    if (k)
        snprintf(text, sizeof text, "%s counts exactly, skid %u (perf_event_paranoid: %s)", k->name,
                 k->skid, paranoid);
    else
        snprintf(text, sizeof text, "none: %s (perf_event_paranoid: %s)", why, paranoid);
    add(f, "counter of retired branches", k ? GOOD : LESS, text,
        k ? "it has counted known loops, and will count the program"
          : "urd does not need one; stopping a program that has much memory takes longer");
    add(f, "clock", GOOD, k ? "pmu" : "cut",
        k ? "a task that is stopped in the middle of a computation is found again by a count of branches"
          : "a task that is stopped in the middle of a computation is recognised by its state");
}

static void check_room(struct findings *f)
{
    URD_AUTO_FREE char *home = urd_trace_home();
    char text[64], cores[16];
    struct statvfs s;
    snprintf(cores, sizeof cores, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    add(f, "cores", GOOD, cores, "recording uses one, indexing all");
    char *path = strdup(home);
    while (statvfs(path, &s) != 0 && strrchr(path, '/') > path)
        *strrchr(path, '/') = 0; /* it may not be there yet */
    uint64_t free_mb = statvfs(path, &s) == 0 ? (uint64_t)s.f_bavail * s.f_frsize >> 20 : 0;
    free(path);
    snprintf(text, sizeof text, "%llu MB free for %s", (unsigned long long)free_mb, home);
    add(f, "room for traces", free_mb < 1024 ? LESS : GOOD, text,
        "an index takes about a byte for each write of the program");
}

urd_err *cli_doctor(int argc, char **argv, int *ret_status)
{
    bool json = false;
    int left;
    URD_TRY(cli_options(argc, argv, (struct cli_option[]){{"--json", NULL, NULL, &json}, {0}},
                        "urd doctor [--json]", &left));
    struct findings f = {json_array(), false};
    check_machine(&f);
    check_tracing(&f);
    check_filters(&f);
    check_instructions(&f);
    check_clock(&f);
    check_room(&f);
    size_t i;
    json_t *row;
    if (json) {
        json_dumpf(f.rows, stdout, JSON_INDENT(1));
        printf("\n");
    } else {
        json_array_foreach(f.rows, i, row) printf(
            "%-4s  %-28s %s\n      %-28s %s\n", json_string_value(json_object_get(row, "verdict")),
            json_string_value(json_object_get(row, "check")),
            json_string_value(json_object_get(row, "found")), "",
            json_string_value(json_object_get(row, "means")));
    }
    json_decref(f.rows);
    *ret_status = f.bad ? 1 : 0;
    return NULL;
}
