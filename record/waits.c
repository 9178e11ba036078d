/* A tracer that waits is in the kernel's own wait, which knows nothing of the recorder's stops. When there is one to tell, the
 * tracer is interrupted: its wait returns with the code for a restart, and the recorder puts the answer in that place.
 *
 * The kernel says ECHILD to who has no children of its own. Such a wait is made once more, with `pause` in its place, until there is
 * something to tell. */
#include "record/waits.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/calls.h"
#include <errno.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what a wait is for ---- */

struct wanted {
    enum { ANY, ONE, GROUP } kind;
    pid_t id;
    int options;
};

/** The process that a pidfd stands for; 0: it is none. */
static pid_t pid_of_fd(const struct task *t, int fd)
{
    char path[64], line[128];
    int pid = 0;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", t->tid, fd);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Pid: %d", &pid) == 1)
            break;
    if (f)
        fclose(f);
    return pid;
}

static struct wanted wanted_by(const struct task *t)
{
    const struct user_regs_struct *e = &t->entry;
    pid_t id = (pid_t)e->rdi;
    if (t->call->number == SYS_wait4) {
        struct wanted four = {ANY, id, (int)e->rdx};
        if (id > 0)
            four.kind = ONE;
        else if (id != -1)
            four = (struct wanted){GROUP, id ? -id : getpgid(t->pid), (int)e->rdx};
        return four;
    }
    struct wanted w = {ANY, (pid_t)e->rsi, (int)e->r10};
    switch ((int)e->rdi) {
    case P_PID:
        w.kind = ONE;
        break;
    case P_PIDFD:
        w.kind = ONE;
        w.id = pid_of_fd(t, (int)e->rsi);
        break;
    case P_PGID:
        w.kind = GROUP;
        w.id = w.id ? w.id : getpgid(t->pid);
        break;
    }
    return w;
}

static bool fits(const struct wanted *w, pid_t tid, pid_t pgid)
{
    return w->kind == ANY || w->id == (w->kind == ONE ? tid : pgid);
}

static bool is_wait(const struct task *t)
{
    int n = t->call ? t->call->number : -1;
    return n == SYS_wait4 || n == SYS_waitid;
}

/** A process's threads wait for each other's tracees, unless they say otherwise. */
static bool waits_for(const struct task *t, const struct wanted *w, const struct task *tracer)
{
    return w->options & __WNOTHREAD ? tracer == t : tracer->pid == t->pid;
}

static bool is_tracee(const struct task *t, const struct wanted *w, const struct task *k)
{
    return k->tracing.tracer && waits_for(t, w, k->tracing.tracer) &&
           fits(w, k->tid, w->kind == GROUP ? getpgid(k->pid) : 0);
}

static struct task *find_stop(struct recorder *r, const struct task *t, const struct wanted *w)
{
    for (struct task *k = r->tasks; k; k = k->next)
        if (k->state == TASK_HELD && !k->tracing.told && is_tracee(t, w, k))
            return k;
    return NULL;
}

/** The tracer that knows of such an end; its index in *ret. */
static struct task *find_end(struct recorder *r, const struct task *t, const struct wanted *w,
                             unsigned *ret)
{
    if (t->call->number == SYS_waitid && !(w->options & WEXITED))
        return NULL;
    for (struct task *k = r->tasks; k; k = k->next)
        for (unsigned i = 0; waits_for(t, w, k) && i < k->tracing.n_ends; i++)
            if (fits(w, k->tracing.ends[i].tid, k->tracing.ends[i].pgid)) {
                *ret = i;
                return k;
            }
    return NULL;
}

static bool has_tracees(struct recorder *r, const struct task *t, const struct wanted *w)
{
    for (struct task *k = r->tasks; k; k = k->next)
        if (is_tracee(t, w, k))
            return true;
    return false;
}

static bool has_something(struct recorder *r, const struct task *t, const struct wanted *w)
{
    unsigned n;
    return find_stop(r, t, w) || find_end(r, t, w, &n);
}

/* ---- answering ---- */

/** Its times and faults, from /proc (man 5 proc); finer than a clock tick only the kernel knows. */
static void usage_of(pid_t tid, struct rusage *ret)
{
    char path[64], text[1024];
    unsigned long minor = 0, major = 0, user = 0, system = 0;
    *ret = (struct rusage){0};
    snprintf(path, sizeof path, "/proc/%d/stat", tid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *at = strrchr(text, ')');
    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %lu %*u %lu %*u %lu %lu", &minor,
                      &major, &user, &system) != 4)
        return;
    unsigned long hz = (unsigned long)sysconf(_SC_CLK_TCK);
    ret->ru_utime = (struct timeval){(time_t)(user / hz), (long)(user % hz * 1000000 / hz)};
    ret->ru_stime = (struct timeval){(time_t)(system / hz), (long)(system % hz * 1000000 / hz)};
    ret->ru_minflt = (long)minor;
    ret->ru_majflt = (long)major;
}

/** si_code and si_status of a status as wait4 has it. */
static siginfo_t info_of(pid_t tid, int status)
{
    siginfo_t si = {.si_signo = SIGCHLD};
    si.si_pid = tid;
    if (WIFSTOPPED(status)) {
        si.si_code = CLD_TRAPPED;
        si.si_status = status >> 8;
    } else if (WIFEXITED(status)) {
        si.si_code = CLD_EXITED;
        si.si_status = WEXITSTATUS(status);
    } else {
        si.si_code = WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED;
        si.si_status = WTERMSIG(status);
    }
    return si;
}

/** Into the memory of t, which waits; the call's result. */
static int64_t give(struct task *t, pid_t tid, int status)
{
    const struct user_regs_struct *e = &t->entry;
    bool four = t->call->number == SYS_wait4, good = true;
    uint64_t usage_at = four ? e->r10 : e->r8;
    struct rusage usage;
    siginfo_t si = info_of(tid, status);
    usage_of(tid, &usage);
    if (four && e->rsi)
        good = calls_answer(t, e->rsi, &status, sizeof status);
    if (!four && e->rdx) /* the kernel leaves out the four bytes between code and pid */
        good = calls_answer(t, e->rdx, &si, 12) &&
               calls_answer(t, e->rdx + 16, (uint8_t *)&si + 16, 12);
    if (usage_at)
        good &= calls_answer(t, usage_at, &usage, sizeof usage);
    return !good ? -EFAULT : four ? tid : 0;
}

/** What t waits for, if there is something: the call's result in t->forced. */
static bool take(struct recorder *r, struct task *t, const struct wanted *w)
{
    bool keep = w->options & WNOWAIT && t->call->number == SYS_waitid;
    unsigned n;
    struct task *k = find_stop(r, t, w);
    if (k) {
        k->tracing.told = !keep;
        t->forced = give(t, k->tid, k->tracing.stop.code << 8 | 0x7f);
        return true;
    }
    k = find_end(r, t, w, &n);
    if (!k)
        return false;
    struct tracing *x = &k->tracing;
    t->forced = give(t, x->ends[n].tid, x->ends[n].status);
    if (!keep)
        memmove(x->ends + n, x->ends + n + 1, (--x->n_ends - n) * sizeof *x->ends);
    return true;
}

/** Who has ended is the recorder's to reap before its parent can wait for it, though a pidfd has told the parent already. */
static urd_err *reap_ended(struct recorder *r)
{
    for (struct task *k = r->tasks, *next; k; k = next) {
        int status;
        pid_t tid = k->tid;
        next = k->next;
        if (k->exit_emitted && waitpid(tid, &status, __WALL | WNOHANG) == tid)
            URD_TRY(recorder_note_status(r, tid, status));
    }
    return NULL;
}

urd_err *waits_entry(struct recorder *r, struct task *t)
{
    if (!is_wait(t))
        return NULL;
    URD_TRY(reap_ended(r));
    struct wanted w = wanted_by(t);
    bool pauses = t->paused;
    t->cancelled = t->paused = false;
    if (has_something(r, t, &w))
        return calls_refuse(t, 0);
    t->paused = pauses;
    if (!pauses)
        return NULL;
    struct user_regs_struct regs = t->entry;
    regs.orig_rax = SYS_pause;
    return urd_tracee_set_regs(t->tid, &regs);
}

/** The call instruction again, by hand: the kernel would not restart it. */
static urd_err *make_again(struct task *t, struct user_regs_struct *now)
{
    now->rip = t->entry.rip - 2;
    now->rax = t->entry.orig_rax;
    now->orig_rax = (unsigned long long)-1;
    t->held_exit = true;
    return urd_tracee_set_regs(t->tid, now);
}

/** The kernel, which does not know who traces whom, has told its parent of a tracee's job control stop. */
static bool is_tracees_stop(struct recorder *r, const struct task *t, const struct wanted *w,
                            int64_t result)
{
    int status = 0;
    siginfo_t si = {0};
    pid_t pid = (pid_t)result;
    if (t->call->number == SYS_wait4) {
        urd_tracee_read(t->mem, t->entry.rsi, &status, sizeof status);
    } else if (result == 0) {
        urd_tracee_read(t->mem, t->entry.rdx, &si, 28);
        pid = si.si_pid;
        status = si.si_code == CLD_STOPPED ? 0x7f : 0;
    }
    const struct task *k = pid > 0 && WIFSTOPPED(status) ? recorder_find_task(r, pid) : NULL;
    return k && is_tracee(t, w, k);
}

urd_err *waits_exit(struct recorder *r, struct task *t, struct user_regs_struct *now)
{
    if (!is_wait(t))
        return NULL;
    struct wanted w = wanted_by(t);
    bool paused = t->paused, none = (int64_t)now->rax == -ECHILD && !t->cancelled;
    t->paused = false;
    if (paused) {
        now->orig_rax = t->entry.orig_rax;
        now->rax = (unsigned long long)-512; /* ERESTARTSYS, as a wait */
        URD_TRY(urd_tracee_set_regs(t->tid, now));
    }
    if (t->cancelled || calls_restarts((int64_t)now->rax)) {
        bool asked = t->cancelled;
        t->cancelled = take(r, t, &w);
        /* another thread was told instead */
        return asked && !t->cancelled ? make_again(t, now) : NULL;
    }
    if (none ? !has_tracees(r, t, &w) : !is_tracees_stop(r, t, &w, (int64_t)now->rax))
        return NULL;
    if (w.options & WNOHANG) {
        t->cancelled = true;
        t->forced = 0;
        return NULL;
    }
    t->paused = none;
    return make_again(t, now);
}

/* ---- telling ---- */

static bool is_in_mask(const struct task *t, const char *format, int signal)
{
    char path[64], line[256];
    unsigned long long mask = 0;
    snprintf(path, sizeof path, "/proc/%d/status", t->tid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, format, &mask) == 1)
            break;
    if (f)
        fclose(f);
    return mask >> (signal - 1) & 1;
}

/** Somebody who ignores SIGCHLD does not get it, though under ptrace the kernel would raise it. */
static urd_err *raise_sigchld(struct task *tracer, const siginfo_t *si)
{
    if (!is_in_mask(tracer, "SigCgt: %llx", SIGCHLD) &&
        !is_in_mask(tracer, "SigBlk: %llx", SIGCHLD))
        return NULL;
    tracer->tracing.sigchld = *si;
    tracer->tracing.has_sigchld = true;
    if (kill(tracer->pid, SIGCHLD) != 0 && errno != ESRCH)
        URD_FAIL_ERRNO("cannot tell process %d of a tracee", tracer->pid);
    return NULL;
}

static urd_err *tell(struct recorder *r, struct task *tracer, pid_t tid, pid_t pgid, int status)
{
    siginfo_t si = info_of(tid, status);
    URD_TRY(raise_sigchld(tracer, &si));
    for (struct task *k = r->tasks; k; k = k->next) {
        if (k->state != TASK_BLOCKED || !k->in_call || k->held_exit || !is_wait(k))
            continue;
        struct wanted w = wanted_by(k);
        if (!waits_for(k, &w, tracer) || !fits(&w, tid, pgid))
            continue;
        /* its stop behind the wait takes the place of that for the interrupt (kernel/signal.c, ptrace_stop) */
        if (ptrace(PTRACE_INTERRUPT, k->tid, 0, 0) != 0 && errno != ESRCH)
            URD_FAIL_ERRNO("cannot interrupt the wait of process %d", k->tid);
    }
    return NULL;
}

urd_err *waits_tell_stop(struct recorder *r, struct task *t)
{
    int status = t->tracing.stop.code << 8 | 0x7f;
    return tell(r, t->tracing.tracer, t->tid, getpgid(t->pid), status);
}

urd_err *waits_tell_end(struct recorder *r, struct task *t, int status)
{
    struct task *tracer = t->tracing.tracer;
    struct tracing *x = &tracer->tracing;
    pid_t pgid = getpgid(t->pid);
    URD_PUSH(x->ends, x->n_ends, x->cap_ends) = (struct traced_end){t->tid, pgid, status};
    return tell(r, tracer, t->tid, pgid, status);
}

urd_err *waits_raised(struct recorder *r, struct task *t, siginfo_t *si)
{
    if (si->si_signo != SIGCHLD || si->si_code != SI_USER || si->si_pid != getpid())
        return NULL;
    for (struct task *k = r->tasks; k; k = k->next) {
        if (k->pid != t->pid || !k->tracing.has_sigchld)
            continue;
        k->tracing.has_sigchld = false;
        *si = k->tracing.sigchld;
        if (ptrace(PTRACE_SETSIGINFO, t->tid, 0, si) != 0)
            URD_FAIL_ERRNO("cannot say what a signal of process %d is for", t->tid);
        break;
    }
    return NULL;
}
