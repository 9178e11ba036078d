/* A counter for machines that have none, so that everything around it is tested there: it counts by single-stepping. */
#include "base/tracee.h"
#include "trace/counter_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static struct {
    bool known;
    uint64_t late, start;
    struct urd_counter_kind kind;
} simulation;

static uint64_t number(const char *text, const char *name, uint64_t otherwise)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, 0) : otherwise;
}

const struct urd_counter_kind *counter_simulated(void)
{
    const char *text = getenv("URD_COUNTER");
    if (!text || strncmp(text, "simulated", 9) != 0)
        return NULL;
    if (!simulation.known) {
        simulation.late = number(text, ",late=", 0);
        simulation.start = number(text, ",start=", 0);
        simulation.kind = (struct urd_counter_kind){
            "simulated", 0, (uint32_t)number(text, ",skid=", 0), true};
        simulation.known = true;
    }
    return &simulation.kind;
}

uint64_t counter_simulated_start(void)
{
    return simulation.start;
}

void urd_counter_stepped(struct urd_counter *c, const uint8_t *code, size_t size)
{
    c->simulated += urd_counter_counts(code, size);
}

/** *ret_status: 0 when it has made one step. */
static urd_err *step(pid_t tid, int request, int *ret_status)
{
    int status;
    if (ptrace(request, tid, 0, 0) != 0)
        URD_FAIL_ERRNO("cannot step process %d", tid);
    while (waitpid(tid, &status, __WALL) < 0)
        if (errno != EINTR)
            URD_FAIL_ERRNO("cannot wait for process %d", tid);
    *ret_status = WIFSTOPPED(status) && status >> 8 == SIGTRAP ? 0 : status;
    return NULL;
}

urd_err *counter_simulated_run(const struct urd_counter_kind *k, pid_t tid, int request,
                               uint64_t after, uint64_t *ret_count, int *ret_status)
{
    int stepping = request == PTRACE_SYSEMU ? PTRACE_SYSEMU_SINGLESTEP : PTRACE_SINGLESTEP;
    URD_AUTO_CLOSE int mem = urd_tracee_open_mem(tid);
    struct urd_counter c = {.fd = -1, .simulated = simulation.start};
    *ret_status = 0;
    while (!*ret_status && c.simulated - simulation.start < after + simulation.late) {
        struct user_regs_struct regs;
        uint8_t code[15];
        URD_TRY(urd_tracee_get_regs(tid, &regs));
        size_t n = urd_tracee_read(mem, regs.rip, code, sizeof code);
        URD_TRY(step(tid, stepping, ret_status));
        if (!*ret_status)
            urd_counter_stepped(&c, code, n);
    }
    *ret_count = c.simulated - simulation.start;
    return NULL;
}
