/*
 * The cache while a program runs: stops, cuts, invalidation and flushes at every exit.
 * The subject is translate_subject, whose fib(12) calls fib 465 times.
 */
#include "tests/translate_run.h"
#include "translate/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static char **command;
static int failures;
static char want[4096];
static ssize_t want_bytes;
static unsigned long n_flushes, n_invalidations;

static void expect(bool ok, const char *what)
{
    printf("%s: %s\n", ok ? "ok" : "FAILED", what);
    failures += !ok;
}

static void run_subject(unsigned probes, void (*prepare)(struct run *),
                        void (*before_resume)(struct run *), struct run *ret, const char *what)
{
    struct urd_translator *t;
    if (urd_translate_create(probes, &t))
        abort();
    *ret = (struct run){.before_resume = before_resume};
    int out = memfd_create("out", 0);
    run_start(ret, t, command, out);
    if (prepare)
        prepare(ret);
    char got[4096];
    bool ok = run_to_end(ret);
    ok = ok && pread(out, got, sizeof got, 0) == want_bytes &&
         !memcmp(got, want, (size_t)want_bytes);
    n_flushes += urd_translate_get_stats(t).flushes;
    urd_translate_destroy(t);
    close(out);
    expect(ok && ret->exit_status == 7 << 8, what);
}

static uint64_t symbol(const char *name)
{
    char line[300], found[200];
    unsigned long address;
    char type;
    snprintf(line, sizeof line, "nm %s", command[0]);
    FILE *f = popen(line, "r");
    uint64_t result = 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%lx %c %199s", &address, &type, found) == 3 && !strcmp(found, name))
            result = address;
    pclose(f);
    return result;
}

static void stop_at_main(struct run *r)
{
    uint64_t at[2] = {symbol("compare"), symbol("main")};
    urd_translate_set_stops(r->t, at, 2);
}

/* Stops come and go while the code is in use. */
static void toggle_stops(struct run *r)
{
    static uint64_t at;
    if (!at)
        at = symbol("compare");
    urd_translate_set_stops(r->t, &at, r->exits[URD_EXIT_STOP] < 20);
}

static void invalidate(struct run *r)
{
    uint64_t pc = r->ctx->exit_pc;
    urd_translate_invalidate(r->t, pc - 300 + (n_invalidations * 37) % 600, 100);
    n_invalidations++;
}

static void invalidate_all(struct run *r)
{
    urd_translate_invalidate(r->t, 0x400000, 0x100000);
    if (urd_translate_has(r->t, 0x400000, 0x100000))
        expect(false, "nothing is left after invalidation");
}

static void nearly_fill(struct run *r)
{
    if (r->ctx->exit_reason != URD_EXIT_REP && r->ctx->exit_reason != URD_EXIT_STOP)
        r->t->hot = HOT_END - HEADROOM_BYTES + 100;
}

static struct user_regs_struct cut;
static unsigned long cut_steps;

/* Where the program is after so many steps. */
static void find_cut(unsigned long steps)
{
    pid_t pid = fork();
    int status;
    if (!pid) {
        dup2(memfd_create("out", 0), 1);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execv(command[0], command);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    ptrace(PTRACE_GETREGS, pid, 0, &cut);
    uint64_t before = cut.rip;
    for (cut_steps = 0; cut_steps < steps;) {
        ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
        waitpid(pid, &status, 0);
        ptrace(PTRACE_GETREGS, pid, 0, &cut);
        cut_steps += cut.rip != before;
        before = cut.rip;
    }
    ptrace(PTRACE_KILL, pid, 0, 0);
    waitpid(pid, &status, 0);
}

static unsigned long steps_at_cut;

static void set_cut(struct run *r)
{
    uint64_t regs[16] = {cut.rax, cut.rcx, cut.rdx, cut.rbx, cut.rsp, cut.rbp, cut.rsi, cut.rdi,
                         cut.r8,  cut.r9,  cut.r10, cut.r11, cut.r12, cut.r13, cut.r14, cut.r15};
    memcpy(r->ctx->cut_regs, regs, sizeof regs);
    urd_translate_set_cut(r->t, cut.rip, 0);
}

static void at_cut(struct run *r)
{
    if (r->ctx->exit_reason == URD_EXIT_CUT) {
        run_drain(r);
        steps_at_cut = r->steps_logged + r->steps_stepped;
    }
}

static void test_cuts(void)
{
    struct run r;
    static const unsigned long steps[] = {20000, 31234, 50001, 60007};
    for (int i = 0; i < 4; i++) {
        find_cut(steps[i]);
        steps_at_cut = 0;
        run_subject(URD_PROBE_LOG, set_cut, at_cut, &r, "with a cut");
        struct user_regs_struct *g = &r.cut_regs;
        bool same = g->rax == cut.rax && g->rcx == cut.rcx && g->rdx == cut.rdx &&
                    g->rbx == cut.rbx && g->rsp == cut.rsp && g->rbp == cut.rbp &&
                    g->rsi == cut.rsi && g->rdi == cut.rdi && g->r8 == cut.r8 && g->r9 == cut.r9 &&
                    g->r10 == cut.r10 && g->r11 == cut.r11 && g->r12 == cut.r12 &&
                    g->r13 == cut.r13 && g->r14 == cut.r14 && g->r15 == cut.r15 &&
                    (g->eflags & 0xcd5) == (cut.eflags & 0xcd5);
        expect(r.exits[URD_EXIT_CUT] >= 1 && same, "the cut is found, registers and flags are its");
        expect(r.exits[URD_EXIT_CUT] > 1 || steps_at_cut == steps[i],
               "after the right number of steps");
    }
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    personality(ADDR_NO_RANDOMIZE);
    setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
    command = argv + 1;
    int out = memfd_create("out", 0);
    pid_t pid = fork();
    if (!pid) {
        dup2(out, 1);
        execv(command[0], command);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    want_bytes = pread(out, want, sizeof want, 0);

    struct run r;
    static const unsigned modes[] = {0, URD_PROBE_COUNT, URD_PROBE_LOG,
                                     URD_PROBE_LOG | URD_PROBE_COUNT};
    unsigned long compares = 0;
    for (int i = 0; i < 4; i++) {
        run_subject(modes[i], NULL, NULL, &r, "as it is");
        run_subject(modes[i], stop_at_main, NULL, &r, "with stops");
        if (!compares)
            compares = r.exits[URD_EXIT_STOP];
        expect(r.exits[URD_EXIT_STOP] == compares && compares > 100,
               "stops are hit as often in every mode");
        run_subject(modes[i], toggle_stops, toggle_stops, &r, "with stops that go away");
        expect(r.exits[URD_EXIT_STOP] == 20, "and are not hit any more");
        run_subject(modes[i], NULL, invalidate, &r, "with invalidations");
        run_subject(modes[i], NULL, invalidate_all, &r,
                    "with everything invalidated at every exit");
        run_subject(modes[i], stop_at_main, nearly_fill, &r, "with flushes");
    }
    expect(n_flushes > 100 && n_invalidations > 100, "there were flushes and invalidations");
    test_cuts();
    puts(failures ? "FAILED" : "ok");
    return failures != 0;
}
