#include "record/clock.h"
#include "base/log.h"
#include "record/fast.h"
#include "record/outside.h"
#include <string.h>

enum { SIMULATED_SLICE = 700 };

static urd_err *describe_state(struct recorder *r, struct task *t,
                               const struct user_regs_struct *regs)
{
    struct urd_stacks stacks;
    recorder_stacks(r, t, regs->rsp, &stacks);
    urd_err *err =
        urd_cut_take(t->tid, t->mem, outside_any(r) ? URD_MEMORY_PRIVATE : URD_MEMORY_RECORDED,
                     regs, &stacks, &t->cut);
    free(stacks.sps);
    return err;
}

/** For the next time. */
static void start_counting(struct task *t)
{
    urd_err *err = t->counting ? NULL : urd_counter_open(t->tid, &t->counter);
    if (!err) {
        t->counting = true;
        return;
    }
    URD_AUTO_FREE char *text = urd_err_text(err, false);
    urd_warn("cuts of task %d cost more than they could: %s", t->tid, text);
    urd_err_free(err);
}

static urd_err *describe_count(struct recorder *r, struct task *t,
                               const struct user_regs_struct *regs)
{
    if (!t->counting || !t->count_known || t->counter.lost || fast_was_entered(t)) {
        start_counting(t);
        t->count_known = false;
        return describe_state(r, t, regs);
    }
    uint64_t now;
    URD_TRY(urd_counter_read(&t->counter, &now));
    return urd_cut_take_counted(t->tid, t->mem, regs, now - t->counted_from, &t->cut);
}

const struct clock clock_cut = {"cut", describe_state};
const struct clock clock_pmu = {"pmu", describe_count};

urd_err *clock_choose(const char *wanted, const struct clock **ret)
{
    const char *why;
    bool cut = wanted && strcmp(wanted, clock_cut.name) == 0;
    bool pmu = wanted && strcmp(wanted, clock_pmu.name) == 0;
    if (wanted && !cut && !pmu)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "there is no clock '%s'", wanted),
                            "there are cut and pmu; urd doctor says which one this machine uses");
    bool counter = !cut && urd_counter_kind(&why);
    if (pmu && !counter)
        return urd_err_hint(
            URD_ERROR(URD_ERR_QUESTION, "the clock pmu cannot be used here: %s", why),
            "without --clock the one that can be used is");
    *ret = counter ? &clock_pmu : &clock_cut;
    return NULL;
}

urd_err *clock_goes_on(struct task *t)
{
    if (!t->counting)
        return NULL;
    fast_watch_entry(t);
    t->counter.lost = false;
    t->count_known = true;
    return urd_counter_read(&t->counter, &t->counted_from);
}

/** What the hardware counts wherever the task runs, a simulated counter sees only in single steps; a call makes no branches. */
void clock_runs_freely(struct task *t)
{
    uint8_t code[2] = {0};
    struct user_regs_struct regs = t->last;
    if (!t->counting || t->counter.fd >= 0)
        return;
    urd_err_free(urd_tracee_get_regs(t->tid, &regs)); /* it may have been killed */
    urd_tracee_read(t->mem, regs.rip, code, sizeof code);
    t->counter.lost |= code[0] != 0x0f || code[1] != 0x05;
}

/* PTRACE_INTERRUPT may hide the stop of a step that was made, and that of no step may come after it: the registers tell. */
void clock_stepped(struct task *t, const uint8_t *code, size_t size,
                   const struct user_regs_struct *before)
{
    struct user_regs_struct now = *before;
    if (!t->counting || t->counter.fd >= 0)
        return;
    urd_err_free(urd_tracee_get_regs(t->tid, &now)); /* it may have been killed */
    if (now.rip != before->rip || now.rcx != before->rcx)
        urd_counter_stepped(&t->counter, code, size);
}

void clock_forget(struct task *t)
{
    if (t->counting)
        urd_counter_close(&t->counter);
    t->counting = false;
}

uint64_t clock_steps(const struct recorder *r)
{
    return r->clock == &clock_pmu && urd_counter_kind(NULL)->simulated ? SIMULATED_SLICE : 0;
}
