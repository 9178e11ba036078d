#include "trace/counter.h"
#include "trace/counter_internal.h"
#include <Zydis/Zydis.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OVERFLOW_SIGNAL SIGSTKFLT /* no program expects it, and the kernel never sends it by itself */

/* ---- which counter ---- */

/** To be tried in this order. Skids are those that rr has found in the field; a Zen may take far longer than an Intel. */
static const struct urd_counter_kind intel[] = {
    {"BR_INST_RETIRED.CONDITIONAL (c4/01)", 0x5101c4, 125, false},
    {"BR_INST_RETIRED.COND (c4/11)", 0x5111c4, 125, false},
    {"BR_INST_RETIRED.JCC (c4/7e)", 0x517ec4, 125, false},
};
static const struct urd_counter_kind amd[] = {
    {"Retired Conditional Branch Instructions (d1/00)", 0x5100d1, 10000, false},
};

static void candidates(const struct urd_counter_kind **ret, size_t *ret_n)
{
    uint32_t eax, ebx = 0, ecx, edx;
    __cpuid(0, eax, ebx, ecx, edx);
    bool is_amd = ebx == 0x68747541 || ebx == 0x6f677948; /* "Auth", "Hygo" */
    *ret = is_amd ? amd : intel;
    *ret_n = is_amd ? sizeof amd / sizeof *amd : sizeof intel / sizeof *intel;
}

int counter_perf_open(pid_t tid, uint64_t config, uint64_t period)
{
    struct perf_event_attr a = {.size = sizeof a,
                                .type = PERF_TYPE_RAW,
                                .config = config,
                                .sample_period = period,
                                .pinned = 1,
                                .exclude_kernel = 1,
                                .exclude_hv = 1,
                                .exclude_guest = 1,
                                .wakeup_events = period != 0};
    return (int)syscall(SYS_perf_event_open, &a, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static const struct urd_counter_kind *found;
static char reason[128];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find(void)
{
    const struct urd_counter_kind *kinds;
    size_t n;
    candidates(&kinds, &n);
    found = counter_simulated();
    for (size_t i = 0; i < n && !found; i++) {
        int fd = counter_perf_open(0, kinds[i].config, 0);
        if (fd < 0) {
            snprintf(reason, sizeof reason, "%s",
                     errno == ENOENT ? "this machine has none" : strerror(errno));
            continue;
        }
        close(fd);
        const char *wrong = urd_counter_test(&kinds[i]);
        if (wrong)
            snprintf(reason, sizeof reason, "%s", wrong);
        else
            found = &kinds[i];
    }
}

const struct urd_counter_kind *urd_counter_kind(const char **ret_why)
{
    pthread_once(&once, find);
    if (ret_why)
        *ret_why = reason;
    return found;
}

bool urd_counter_counts(const uint8_t *code, size_t size)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, size, &in)) &&
           in.meta.category == ZYDIS_CATEGORY_COND_BR && in.mnemonic != ZYDIS_MNEMONIC_XBEGIN;
}

/* ---- a task's counter ---- */

static urd_err *no_counter(const char *why)
{
    URD_FAIL("there is no counter of conditional branches: %s", why);
}

urd_err *urd_counter_open(pid_t tid, struct urd_counter *ret)
{
    const char *why;
    const struct urd_counter_kind *k = urd_counter_kind(&why);
    if (!k)
        return no_counter(why);
    struct urd_counter c = {.fd = -1, .simulated = counter_simulated_start()};
    if (!k->simulated && (c.fd = counter_perf_open(tid, k->config, 0)) < 0)
        URD_FAIL_ERRNO("cannot count the branches of process %d", tid);
    *ret = c;
    return NULL;
}

void urd_counter_close(struct urd_counter *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static urd_err *read_perf(int fd, uint64_t *ret)
{
    ssize_t n = read(fd, ret, sizeof *ret);
    if (n < 0)
        URD_FAIL_ERRNO("cannot read a counter");
    if (n == 0) /* man 2 perf_event_open: an error state of pinned events */
        URD_FAIL("somebody else has taken the processor's counters");
    return NULL;
}

urd_err *urd_counter_read(const struct urd_counter *c, uint64_t *ret)
{
    if (c->fd >= 0)
        return read_perf(c->fd, ret);
    *ret = c->simulated;
    return NULL;
}

/* ---- running until shortly before a count ---- */

static urd_err *wait_for(pid_t tid, int *ret_status)
{
    while (waitpid(tid, ret_status, __WALL) < 0)
        if (errno != EINTR)
            URD_FAIL_ERRNO("cannot wait for process %d", tid);
    return NULL;
}

static urd_err *set_signal(int fd, pid_t tid)
{
    struct f_owner_ex owner = {F_OWNER_TID, tid};
    if (fcntl(fd, F_SETFL, O_ASYNC) != 0 || fcntl(fd, F_SETSIG, OVERFLOW_SIGNAL) != 0 ||
        fcntl(fd, F_SETOWN_EX, &owner) != 0)
        URD_FAIL_ERRNO("cannot be told of a counter's overflow");
    return NULL;
}

static urd_err *run_perf(const struct urd_counter_kind *k, pid_t tid, int request, uint64_t after,
                         uint64_t *ret_count, int *ret_status)
{
    URD_AUTO_CLOSE int fd = counter_perf_open(tid, k->config, after);
    if (fd < 0)
        URD_FAIL_ERRNO("cannot count the branches of process %d", tid);
    URD_TRY(set_signal(fd, tid));
    int status;
    if (ptrace(request, tid, 0, 0) != 0)
        URD_FAIL_ERRNO("cannot resume process %d", tid);
    URD_TRY(wait_for(tid, &status));
    bool overflow = WIFSTOPPED(status) && !(status >> 16) && WSTOPSIG(status) == OVERFLOW_SIGNAL;
    URD_TRY(read_perf(fd, ret_count));
    *ret_status = overflow ? 0 : status;
    return NULL;
}

urd_err *urd_counter_run(pid_t tid, int request, uint64_t branches, uint64_t *ret_count,
                         int *ret_status)
{
    const char *why;
    const struct urd_counter_kind *k = urd_counter_kind(&why);
    if (!k)
        return no_counter(why);
    *ret_count = 0;
    *ret_status = 0;
    if (branches <= k->skid)
        return NULL;
    uint64_t after = branches - k->skid;
    URD_TRY((k->simulated ? counter_simulated_run : run_perf)(k, tid, request, after, ret_count,
                                                              ret_status));
    if (!*ret_status && *ret_count > branches)
        URD_FAIL("an overflow of the counter came %llu branches late, more than its skid of %u",
                 (unsigned long long)(*ret_count - after), k->skid);
    return NULL;
}
