/*
 * One static program, three ways:
 * - single-stepped natively: how many instructions it retires (a REP is one);
 * - in log mode: the log's blocks must have as many, and between any two system calls the writes in the
 *   log, over the memory as it was, must give the memory as it is;
 * - in count mode with small budgets: every budget must be used up exactly.
 */
#include "base/buf.h"
#include "tests/translate_run.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct region {
    uint64_t start, end;
    uint8_t *bytes;
};

static struct region *regions;
static size_t n_regions, regions_capacity;
static unsigned long n_bad, n_checks, n_bytes;

static void read_memory(pid_t pid, uint64_t address, void *buffer, size_t size)
{
    struct iovec local = {buffer, size}, remote = {(void *)address, size};
    if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != (ssize_t)size)
        memset(buffer, 0, size);
}

static void snapshot(struct run *r)
{
    for (size_t i = 0; i < n_regions; i++)
        free(regions[i].bytes);
    n_regions = 0;
    char path[64], line[300];
    snprintf(path, sizeof path, "/proc/%d/maps", r->pid);
    FILE *f = fopen(path, "r");
    while (fgets(line, sizeof line, f)) {
        unsigned long start, end;
        char mode[8];
        if (sscanf(line, "%lx-%lx %7s", &start, &end, mode) != 3 || mode[1] != 'w' ||
            (start >= URD_CONTEXT_BASE && start < URD_CACHE_BASE + URD_CACHE_BYTES))
            continue;
        if (n_regions && regions[n_regions - 1].end == start) { /* a write may span both */
            start = regions[--n_regions].start;
            free(regions[n_regions].bytes);
        }
        uint8_t *bytes = malloc(end - start);
        read_memory(r->pid, start, bytes, end - start);
        URD_PUSH(regions, n_regions, regions_capacity) = (struct region){start, end, bytes};
    }
    fclose(f);
}

static void on_write(void *unused, uint64_t address, uint64_t mask, const uint8_t *bytes,
                     uint64_t size)
{
    for (size_t i = 0; i < n_regions; i++)
        if (address >= regions[i].start && address + size <= regions[i].end) {
            for (uint64_t k = 0; k < size; k++)
                if (k >= 64 || mask >> k & 1)
                    regions[i].bytes[address - regions[i].start + k] = bytes[k];
            n_bytes += size;
            return;
        }
    if (n_bad++ < 10) /* the stack may have grown */
        fprintf(stderr, "a write of %lu bytes to %#lx, where nothing was\n", size, address);
}

static void check(struct run *r)
{
    for (size_t i = 0; i < n_regions; i++) {
        size_t size = regions[i].end - regions[i].start;
        uint8_t *now = malloc(size);
        read_memory(r->pid, regions[i].start, now, size);
        for (size_t k = 0; k < size; k++)
            if (now[k] != regions[i].bytes[k]) {
                if (n_bad++ < 10)
                    fprintf(stderr, "%#lx is %02x, the log says %02x\n", regions[i].start + k,
                            now[k], regions[i].bytes[k]);
                break;
            }
        free(now);
    }
    n_checks++;
}

/* Jcc of both lengths, LOOP and its kind, JRCXZ; prefixes may stand before them. */
static bool is_conditional(pid_t pid, uint64_t pc)
{
    uint8_t code[8] = {0}, *at = code;
    read_memory(pid, pc, code, sizeof code);
    while (at < code + 5 && (*at == 0x2e || *at == 0x3e || *at == 0x66 || *at == 0x67 ||
                             *at == 0xf2 || *at == 0xf3 || (*at & 0xf0) == 0x40))
        at++;
    return (*at & 0xf0) == 0x70 || (*at & 0xfc) == 0xe0 || (*at == 0x0f && (at[1] & 0xf0) == 0x80);
}

static unsigned long step_natively(char *const argv[], unsigned long *ret_branches)
{
    pid_t pid = fork();
    int status;
    if (!pid) {
        dup2(memfd_create("out", 0), 1);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execv(argv[0], argv);
        _exit(127);
    }
    unsigned long steps = 0;
    struct user_regs_struct regs;
    waitpid(pid, &status, 0);
    ptrace(PTRACE_GETREGS, pid, 0, &regs);
    uint64_t before = regs.rip;
    for (;;) {
        bool branch = is_conditional(pid, before);
        ptrace(PTRACE_SINGLESTEP, pid, 0, 0);
        waitpid(pid, &status, 0);
        if (!WIFSTOPPED(status))
            return steps + 1; /* exit_group itself */
        ptrace(PTRACE_GETREGS, pid, 0, &regs);
        if (regs.rip != before)
            steps++;
        *ret_branches += branch;
        before = regs.rip;
    }
}

static int run(unsigned probes, char *const argv[], bool verify, bool follow, int64_t budget,
               unsigned long *ret_steps, unsigned long *ret_branches)
{
    struct urd_translator *t;
    if (urd_translate_create(probes, &t))
        abort();
    struct run r = {.budget = budget, .follow = follow};
    int out = memfd_create("out", 0);
    run_start(&r, t, argv, out);
    if (verify) {
        r.on_write = on_write;
        r.before_syscall = check;
        r.after_syscall = snapshot;
        snapshot(&r);
    }
    if (budget)
        r.ctx->steps_left = budget;
    bool ok = run_to_end(&r);
    *ret_steps =
        probes & URD_PROBE_LOG ? r.steps_logged + r.steps_stepped : r.budget_used + r.steps_stepped;
    *ret_branches = r.ctx->branches;
    urd_translate_destroy(t);
    close(out);
    if (follow)
        printf("%lu of the records are of blocks that follow what ran before\n", r.followed);
    return ok ? r.exit_status >> 8 : -1;
}

int main(int argc, char **argv)
{
    personality(ADDR_NO_RANDOMIZE);
    setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0",
           1); /* the kernel writes there whenever it likes */
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2)
        return 2;
    char **command = argv + 1;
    /* -n: without the native run, which takes 20 us a step */
    bool skip = !strcmp(argv[1], "-n");
    command += skip;
    static const unsigned probes[] = {URD_PROBE_LOG, URD_PROBE_LOG,
                                      URD_PROBE_COUNT, URD_PROBE_COUNT | URD_PROBE_LOG,
                                      0, URD_PROBE_LOG,
                                      URD_PROBE_COUNT};
    static const int64_t budgets[] = {0, 0, 70, 1000, 0, 0, 70};
    enum { RUNS = 7, FOLLOWS = 1, COUNTS_FROM = 4 };
    unsigned long branches = 0, want = skip ? 0 : step_natively(command, &branches);
    bool bad = false;
    int exit_status = -1;
    for (unsigned i = 0; i < RUNS; i++) {
        bool log = probes[i] & URD_PROBE_LOG, counts = i >= COUNTS_FROM;
        unsigned long steps, taken;
        int status = run(probes[i] | (counts ? URD_PROBE_BRANCHES : 0), command, log, i == FOLLOWS,
                         budgets[i], &steps, &taken);
        printf("probes %u: %lu steps, %lu branches, exit %d\n", probes[i], steps, taken, status);
        if (skip && i == 0)
            want = steps;
        if (i == 0)
            exit_status = status;
        bad |= status < 0 || status != exit_status || (probes[i] && steps != want) ||
               (!skip && counts && taken != branches);
    }
    printf("native: %lu steps, %lu branches; memory checked %lu times, %lu bytes written, %lu bad\n",
           want, branches, n_checks, n_bytes, n_bad);
    bad |= n_bad != 0;
    puts(bad ? "FAILED" : "ok");
    return bad;
}
