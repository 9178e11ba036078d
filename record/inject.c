#include "record/inject.h"
#include "base/tracee.h"
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/** Over the instruction. The stop of the recorder's own filter and of an interrupt that is under way are on the way. */
static urd_err *step_over(struct task *t, int *ret_status)
{
    for (;;) {
        if (ptrace(PTRACE_SINGLESTEP, t->tid, 0, 0) != 0)
            URD_FAIL_ERRNO("cannot make a system call in process %d", t->tid);
        while (waitpid(t->tid, ret_status, __WALL) < 0)
            if (errno != EINTR)
                URD_FAIL_ERRNO("cannot wait for process %d", t->tid);
        int event = *ret_status >> 16;
        if (!WIFSTOPPED(*ret_status) ||
            (event != PTRACE_EVENT_SECCOMP &&
             (event != PTRACE_EVENT_STOP || WSTOPSIG(*ret_status) != SIGTRAP)))
            return NULL;
        if (event == PTRACE_EVENT_STOP)
            t->interrupted = false;
    }
}

urd_err *inject_hold_signals(struct task *t, uint64_t *ret_mask)
{
    /* a SIGTRAP that is forced upon a task that blocks it takes its handler away (kernel/signal.c, force_sig_info_to_task) */
    uint64_t mask = ~(1ull << (SIGTRAP - 1));
    if (ptrace(PTRACE_GETSIGMASK, t->tid, sizeof mask, ret_mask) != 0 ||
        ptrace(PTRACE_SETSIGMASK, t->tid, sizeof mask, &mask) != 0)
        URD_FAIL_ERRNO("cannot hold the signals of process %d", t->tid);
    return NULL;
}

urd_err *inject_let_signals(struct task *t, uint64_t mask)
{
    if (ptrace(PTRACE_SETSIGMASK, t->tid, sizeof mask, &mask) != 0)
        URD_FAIL_ERRNO("cannot restore the signal mask of process %d", t->tid);
    return NULL;
}

urd_err *inject_call(struct task *t, const struct user_regs_struct *keep, uint64_t at, int number,
                     const uint64_t args[6], int64_t *ret)
{
    uint64_t mask;
    int status;
    struct user_regs_struct regs = *keep;
    urd_tracee_prepare_call(&regs, at, number, args);
    URD_TRY(inject_hold_signals(t, &mask));
    URD_TRY(urd_tracee_set_regs(t->tid, &regs));
    URD_TRY(step_over(t, &status));
    if (WIFSTOPPED(status))
        URD_TRY(inject_let_signals(t, mask));
    *ret = -EINTR;
    if (WIFSTOPPED(status) && status >> 8 == SIGTRAP) {
        URD_TRY(urd_tracee_get_regs(t->tid, &regs));
        *ret = (int64_t)regs.rax;
        return urd_tracee_set_regs(t->tid, keep);
    }
    if (WIFSTOPPED(status) && status >> 16 != PTRACE_EVENT_EXIT)
        URD_TRY(urd_tracee_set_regs(t->tid, keep));
    t->state = TASK_STOPPED;
    t->wait_status = status;
    return NULL;
}
