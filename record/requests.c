#include "record/requests.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/calls.h"
#include "record/launch.h"
#include "record/others.h"
#include "record/traced.h"
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REGSET_BYTES = 16384 }; /* more than any has */

#define OPTIONS                                                                                    \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |      \
     PTRACE_O_TRACEEXEC | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT | PTRACE_O_TRACESECCOMP |   \
     PTRACE_O_EXITKILL)

/* Requests that sys/ptrace.h may lack or has under names of its own (linux/ptrace.h, asm/ptrace-abi.h). */
enum {
    OLDSETOPTIONS = 21,
    ARCH_PRCTL = 30,
};

/** A ptrace call as the kernel gets it. */
struct request {
    struct task *by, *of;
    uint64_t address, data; /* arguments 3 and 4 */
};

/** The same request on the tracee, as the recorder may make it. */
static int64_t forward(const struct request *q, uint64_t address, void *data)
{
    long result = syscall(SYS_ptrace, q->by->entry.rdi, q->of->tid, address, data);
    return result < 0 ? -errno : result;
}

static int64_t give(const struct request *q, uint64_t address, const void *data, size_t size)
{
    return calls_answer(q->by, address, data, size) ? 0 : -EFAULT;
}

static bool fetch(const struct request *q, uint64_t address, void *data, size_t size)
{
    return urd_tracee_read(q->by->mem, address, data, size) == size;
}

/* ---- registers ---- */

/** False: somebody has killed the tracee. */
static bool get_regs(struct task *o, struct user_regs_struct *ret)
{
    if (o->tracing.place != PLACE_ENTRY)
        return ptrace(PTRACE_GETREGS, o->tid, 0, ret) == 0;
    *ret = o->entry; /* as the tracer sees them, whatever the recorder makes of the call */
    return true;
}

/** The tracee has other registers now. */
static int64_t set_regs(const struct request *q, const struct user_regs_struct *regs)
{
    struct task *o = q->of;
    struct trace_request *done = &q->by->request;
    if (!get_regs(o, &done->before))
        return -ESRCH;
    if (ptrace(PTRACE_SETREGS, o->tid, 0, regs) != 0)
        return -errno;
    done->registers = true;
    o->tracing.again &= o->tracing.place != PLACE_ENTRY;
    if (o->tracing.place == PLACE_ENTRY && ptrace(PTRACE_GETREGS, o->tid, 0, &o->entry) != 0)
        return -errno;
    return 0;
}

static int64_t debug_register(const struct request *q)
{
    long value;
    if (q->by->entry.rdi == PTRACE_POKEUSER)
        return forward(q, q->address, (void *)(uintptr_t)q->data);
    int64_t result = forward(q, q->address, &value);
    return result < 0 ? result : give(q, q->data, &value, sizeof value);
}

/** struct user: the registers, and the debug registers; nothing else is there. */
static int64_t user_word(const struct request *q)
{
    struct user_regs_struct regs;
    bool writes = q->by->entry.rdi == PTRACE_POKEUSER;
    uint64_t zero = 0;
    if (q->address % 8 || q->address > sizeof(struct user) - 3)
        return -EIO;
    if (q->address >= offsetof(struct user, u_debugreg))
        return debug_register(q);
    if (q->address >= sizeof regs)
        return writes ? 0 : give(q, q->data, &zero, sizeof zero);
    if (!get_regs(q->of, &regs))
        return -ESRCH;
    uint64_t *word = (uint64_t *)&regs + q->address / 8;
    if (!writes)
        return give(q, q->data, word, sizeof *word);
    *word = q->data;
    return set_regs(q, &regs);
}

static int64_t all_regs(const struct request *q, bool writes, uint64_t at, size_t size)
{
    struct user_regs_struct regs;
    if (!get_regs(q->of, &regs))
        return -ESRCH;
    if (!writes)
        return give(q, at, &regs, size);
    return fetch(q, at, &regs, size) ? set_regs(q, &regs) : -EFAULT;
}

static int64_t get_regset(const struct request *q, struct iovec *io)
{
    static uint8_t data[REGSET_BYTES];
    struct iovec mine = {data, io->iov_len < sizeof data ? io->iov_len : sizeof data};
    int64_t result = forward(q, q->address, &mine);
    io->iov_len = mine.iov_len;
    return result < 0 ? result : give(q, (uint64_t)(uintptr_t)io->iov_base, data, mine.iov_len);
}

static int64_t set_regset(const struct request *q, struct iovec *io)
{
    static uint8_t data[REGSET_BYTES];
    struct iovec mine = {data, io->iov_len < sizeof data ? io->iov_len : sizeof data};
    if (!fetch(q, (uint64_t)(uintptr_t)io->iov_base, data, mine.iov_len))
        return -EFAULT;
    int64_t result = forward(q, q->address, &mine);
    io->iov_len = mine.iov_len;
    q->by->request.vectors = result >= 0;
    return result;
}

static int64_t regset(const struct request *q)
{
    struct iovec io;
    int64_t result;
    bool writes = q->by->entry.rdi == PTRACE_SETREGSET;
    if (!fetch(q, q->data, &io, sizeof io))
        return -EFAULT;
    if (q->address != NT_PRSTATUS) {
        result = writes ? set_regset(q, &io) : get_regset(q, &io);
    } else if (io.iov_len % 8) {
        result = -EINVAL;
    } else {
        if (io.iov_len > sizeof(struct user_regs_struct))
            io.iov_len = sizeof(struct user_regs_struct);
        result = all_regs(q, writes, (uint64_t)(uintptr_t)io.iov_base, io.iov_len);
    }
    if (result < 0)
        return result;
    return give(q, q->data + offsetof(struct iovec, iov_len), &io.iov_len, sizeof io.iov_len);
}

static int64_t fp_regs(const struct request *q)
{
    struct user_fpregs_struct regs;
    int64_t result;
    if (q->by->entry.rdi == PTRACE_GETFPREGS) {
        result = forward(q, 0, &regs);
        return result < 0 ? result : give(q, q->data, &regs, sizeof regs);
    }
    if (!fetch(q, q->data, &regs, sizeof regs))
        return -EFAULT;
    result = forward(q, 0, &regs);
    q->by->request.vectors = result >= 0;
    return result;
}

/** ARCH_SET_FS and ARCH_SET_GS, or where to put what is read; the base is in the registers, too. */
static int64_t arch_prctl(const struct request *q)
{
    enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003, ARCH_GET_GS = 0x1004 };
    struct user_regs_struct regs;
    if (!get_regs(q->of, &regs))
        return -ESRCH;
    switch (q->data) {
    case ARCH_GET_FS:
        return give(q, q->address, &regs.fs_base, 8);
    case ARCH_GET_GS:
        return give(q, q->address, &regs.gs_base, 8);
    case ARCH_SET_FS:
        regs.fs_base = q->address;
        return set_regs(q, &regs);
    case ARCH_SET_GS:
        regs.gs_base = q->address;
        return set_regs(q, &regs);
    }
    return -EINVAL;
}

/* ---- memory ---- */

static int64_t peek(const struct request *q)
{
    uint64_t word;
    if (urd_tracee_read(q->of->mem, q->address, &word, sizeof word) != sizeof word)
        return -EIO;
    return give(q, q->data, &word, sizeof word);
}

static int64_t poke(const struct request *q)
{
    if (urd_tracee_write(q->of->mem, q->address, &q->data, sizeof q->data) != sizeof q->data)
        return -EIO;
    q->by->request.address = q->address;
    q->by->request.size = sizeof q->data;
    return 0;
}

/* ---- the stop ---- */

static int64_t siginfo(const struct request *q)
{
    siginfo_t *si = &q->of->tracing.stop.si;
    if (!si->si_signo) /* a job control stop */
        return -EINVAL;
    if (q->by->entry.rdi == PTRACE_GETSIGINFO)
        return give(q, q->data, si, sizeof *si);
    return fetch(q, q->data, si, sizeof *si) ? 0 : -EFAULT;
}

static int64_t signal_mask(const struct request *q)
{
    uint64_t mask = 0;
    if (q->address != sizeof mask)
        return -EINVAL;
    if (q->by->entry.rdi == PTRACE_SETSIGMASK && !fetch(q, q->data, &mask, sizeof mask))
        return -EFAULT;
    int64_t result = forward(q, q->address, &mask);
    if (result < 0 || q->by->entry.rdi == PTRACE_SETSIGMASK)
        return result;
    return give(q, q->data, &mask, sizeof mask);
}

/** Signals that are to come: those that the recorder keeps for the next call, and then the kernel's. */
static int64_t peek_siginfo(const struct request *q)
{
    struct __ptrace_peeksiginfo_args asked;
    if (!fetch(q, q->address, &asked, sizeof asked))
        return -EFAULT;
    if (asked.flags & ~(uint32_t)PTRACE_PEEKSIGINFO_SHARED || asked.nr < 0)
        return -EINVAL;
    const struct task *o = q->of;
    const siginfo_t *kept = o->deferred + o->injecting; /* the first one is the kernel's again */
    uint64_t n_kept = asked.flags || !o->n_deferred ? 0 : o->n_deferred - o->injecting;
    for (int n = 0; n < asked.nr; n++) {
        siginfo_t si;
        uint64_t at = asked.off + (uint64_t)n;
        struct __ptrace_peeksiginfo_args one = {at - n_kept, asked.flags, 1};
        int64_t result = 1;
        if (at < n_kept)
            si = kept[at];
        else
            result = forward(q, (uint64_t)(uintptr_t)&one, &si);
        if (result == 1)
            result = give(q, q->data + (uint64_t)n * sizeof si, &si, sizeof si) ? -EFAULT : 1;
        if (result != 1)
            return n ? n : result;
    }
    return asked.nr;
}

/* ---- what the task has asked the kernel for ---- */

/** Filters count from the oldest one. The recorder's (launch.c) is among them, and not there for the tracer. */
static int64_t get_filter(const struct request *q)
{
    struct sock_filter code[BPF_MAXINSNS];
    uint64_t number = q->address, n_filters = 0;
    int64_t n;
    bool own = false;
    for (; (n = forward(q, n_filters, code)) > 0 && !own; n_filters++)
        own = code[n - 1].k == (SECCOMP_RET_TRACE | LAUNCH_FILTER_DATA);
    if (own && n == -ENOENT && n_filters == 1)
        return -EINVAL;
    n = forward(q, own && number >= n_filters - 1 ? number + 1 : number, code);
    if (n <= 0 || !q->data)
        return n;
    int64_t result = give(q, q->data, code, (size_t)n * sizeof *code);
    return result < 0 ? result : n;
}

static int64_t get_rseq(const struct request *q)
{
    struct __ptrace_rseq_configuration c;
    uint64_t size = q->address < sizeof c ? q->address : sizeof c;
    int64_t result = forward(q, sizeof c, &c);
    if (result < 0)
        return result;
    return give(q, q->data, &c, size) ? -EFAULT : result;
}

static int64_t syscall_info(const struct request *q)
{
    const struct traced_stop *stop = &q->of->tracing.stop;
    struct user_regs_struct regs;
    struct __ptrace_syscall_info info = {.op = stop->op, .arch = AUDIT_ARCH_X86_64};
    size_t size = offsetof(struct __ptrace_syscall_info, entry);
    if (!get_regs(q->of, &regs))
        return -ESRCH;
    info.instruction_pointer = regs.rip;
    info.stack_pointer = regs.rsp;
    if (stop->op == PTRACE_SYSCALL_INFO_ENTRY || stop->op == PTRACE_SYSCALL_INFO_SECCOMP) {
        info.entry.nr = regs.orig_rax;
        for (unsigned i = 0; i < 6; i++)
            info.entry.args[i] = urd_syscall_arg(&regs, i + 1);
        size = offsetof(struct __ptrace_syscall_info, entry.args) + sizeof info.entry.args;
    }
    if (stop->op == PTRACE_SYSCALL_INFO_SECCOMP) {
        info.seccomp.ret_data = (uint32_t)stop->message;
        size = offsetof(struct __ptrace_syscall_info, seccomp.ret_data) + 4;
    }
    if (stop->op == PTRACE_SYSCALL_INFO_EXIT) {
        info.exit.rval = (int64_t)regs.rax;
        info.exit.is_error = info.exit.rval < 0 && info.exit.rval >= -4095;
        size = offsetof(struct __ptrace_syscall_info, exit.is_error) + 1;
    }
    int64_t result = give(q, q->data, &info, q->address < size ? q->address : size);
    return result < 0 ? result : (int64_t)size;
}

static int64_t event_message(const struct request *q)
{
    return give(q, q->data, &q->of->tracing.stop.message, 8);
}

static int64_t set_options(const struct request *q)
{
    if (q->data & ~(uint64_t)OPTIONS)
        return -EINVAL;
    q->of->tracing.options = (uint32_t)q->data;
    return 0;
}

/* ---- who traces whom ---- */

static int64_t trace_me(struct recorder *r, struct task *t)
{
    struct task *parent = recorder_find_task(r, t->parent_tid);
    if (!parent)
        parent = recorder_find_task(r, t->parent);
    if (t->tracing.tracer || !parent)
        return -EPERM;
    traced_begin(t, parent, false, 0);
    return 0;
}

static urd_err *interrupt(struct task *t)
{
    if (ptrace(PTRACE_INTERRUPT, t->tid, 0, 0) != 0 && errno != ESRCH)
        URD_FAIL_ERRNO("cannot stop process %d", t->tid);
    return NULL;
}

/** PTRACE_ATTACH stops the tracee by SIGSTOP. Who is stopped by job control already, stops for the tracer, too. */
static urd_err *attach(const struct request *q, bool seizes, int64_t *ret)
{
    struct task *o = q->of;
    *ret = seizes && q->address ? -EIO : seizes && q->data & ~(uint64_t)OPTIONS ? -EINVAL : 0;
    if (o->pid == q->by->pid || o->tracing.tracer || o->exit_emitted)
        *ret = -EPERM;
    if (*ret)
        return NULL;
    traced_begin(o, q->by, seizes, seizes ? (uint32_t)q->data : 0);
    if (o->state == TASK_LISTENING)
        return interrupt(o);
    if (!seizes && syscall(SYS_tgkill, o->pid, o->tid, SIGSTOP) != 0)
        URD_FAIL_ERRNO("cannot stop process %d", o->tid);
    return NULL;
}

static urd_err *interrupt_tracee(const struct request *q, int64_t *ret)
{
    struct task *o = q->of;
    *ret = o->tracing.seized ? 0 : -EIO;
    if (!o->tracing.seized)
        return NULL;
    o->tracing.interrupt = true;
    return o->state == TASK_BLOCKED || o->state == TASK_LISTENING ? interrupt(o) : NULL;
}

static int64_t listen(const struct request *q)
{
    struct task *o = q->of;
    if (!o->tracing.seized || o->tracing.stop.code >> 8 != PTRACE_EVENT_STOP)
        return -EIO;
    if (ptrace(PTRACE_LISTEN, o->tid, 0, 0) != 0)
        return -errno;
    o->tracing.place = PLACE_NONE;
    o->state = TASK_LISTENING;
    return 0;
}

static int64_t resume(const struct request *q, int mode)
{
    if (q->data > 64)
        return -EIO;
    q->by->request.resumes = true;
    q->of->tracing.mode = mode;
    q->of->tracing.signal = (int)q->data;
    return 0;
}

static int64_t detach(const struct request *q)
{
    int64_t result = resume(q, PTRACE_CONT);
    if (result == 0)
        traced_end(q->of, (int)q->data);
    return result;
}

/** Of a tracee that is held. */
static int64_t request_held(const struct request *q)
{
    uint64_t number = q->by->entry.rdi;
    switch (number) {
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
        return peek(q);
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA:
        return poke(q);
    case PTRACE_PEEKUSER:
    case PTRACE_POKEUSER:
        return user_word(q);
    case PTRACE_GETREGS:
    case PTRACE_SETREGS:
        return all_regs(q, number == PTRACE_SETREGS, q->data, sizeof(struct user_regs_struct));
    case PTRACE_GETFPREGS:
    case PTRACE_SETFPREGS:
        return fp_regs(q);
    case PTRACE_GETREGSET:
    case PTRACE_SETREGSET:
        return regset(q);
    case ARCH_PRCTL:
        return arch_prctl(q);
    case PTRACE_GETSIGINFO:
    case PTRACE_SETSIGINFO:
        return siginfo(q);
    case PTRACE_GETSIGMASK:
    case PTRACE_SETSIGMASK:
        return signal_mask(q);
    case PTRACE_GET_SYSCALL_INFO:
        return syscall_info(q);
    case PTRACE_PEEKSIGINFO:
        return peek_siginfo(q);
    case PTRACE_SECCOMP_GET_FILTER:
        return get_filter(q);
    case PTRACE_GET_RSEQ_CONFIGURATION:
        return get_rseq(q);
    case PTRACE_GETEVENTMSG:
        return event_message(q);
    case PTRACE_SETOPTIONS:
    case OLDSETOPTIONS:
        return set_options(q);
    case PTRACE_CONT:
    case PTRACE_SYSCALL:
    case PTRACE_SYSEMU:
    case PTRACE_SINGLESTEP:
    case PTRACE_SYSEMU_SINGLESTEP:
        return resume(q, (int)number);
    case PTRACE_SINGLEBLOCK: /* as on processors that do not stop at branches: most virtual ones */
        return resume(q, PTRACE_SINGLESTEP);
    case PTRACE_DETACH:
        return detach(q);
    case PTRACE_LISTEN:
        return listen(q);
    }
    urd_warn("process %d made the ptrace request %#llx, which was answered EIO (docs/ptrace.md)",
             q->by->pid, (unsigned long long)number);
    return -EIO;
}

/** Was it killed meanwhile? Nothing else ends a stop. */
static urd_err *look_if_killed(struct recorder *r, const struct task *o)
{
    int status;
    pid_t tid = o->tid;
    return waitpid(tid, &status, __WALL | WNOHANG) == tid ? recorder_note_status(r, tid, status)
                                                          : NULL;
}

static urd_err *request(struct recorder *r, const struct request *q, int64_t *ret)
{
    struct task *o = q->of;
    uint64_t number = q->by->entry.rdi;
    pid_t pid = (pid_t)q->by->entry.rsi;
    if (number == PTRACE_TRACEME) {
        *ret = trace_me(r, q->by);
        return NULL;
    }
    *ret = !o && kill(pid, 0) == 0 ? -EPERM : -ESRCH;
    if (!o)
        return NULL;
    if (number == PTRACE_ATTACH || number == PTRACE_SEIZE)
        return attach(q, number == PTRACE_SEIZE, ret);
    if (o->tracing.tracer != q->by)
        return NULL;
    if (number == PTRACE_KILL) {
        kill(o->pid, SIGKILL);
        *ret = 0;
        return NULL;
    }
    if (number == PTRACE_INTERRUPT)
        return interrupt_tracee(q, ret);
    if (o->state == TASK_HELD)
        URD_TRY(look_if_killed(r, o));
    if (recorder_find_task(r, pid) != o || o->state != TASK_HELD)
        return NULL;
    q->by->request.of = o;
    *ret = request_held(q);
    return NULL;
}

urd_err *requests_answer(struct recorder *r, struct task *t)
{
    if (t->call->number != SYS_ptrace || !t->cancelled)
        return NULL;
    const struct user_regs_struct *e = &t->entry;
    const struct request q = {t, recorder_find_task(r, (pid_t)e->rsi), e->rdx, e->r10};
    t->request = (struct trace_request){0};
    return request(r, &q, &t->forced);
}

static urd_err *emit_changes(struct recorder *r, struct task *t, const struct trace_request *q)
{
    struct user_regs_struct now;
    struct task *o = q->of;
    if (q->size) {
        others_begin(r, o, t);
        event_add_memory(&r->builder, o->mem, q->address, q->size);
        URD_TRY(recorder_emit(r));
    }
    if (!q->registers && !q->vectors)
        return NULL;
    if (!get_regs(o, &now))
        return NULL;
    if (o->held_exit && (int)now.orig_rax < 0) { /* the interrupted call is not restarted */
        URD_TRY(calls_emit_held_exit(r, o));
        o->tracing.place = PLACE_SIGNAL;
    }
    return traced_emit_registers(r, o, t, q->registers ? &q->before : &now, &now, q->vectors);
}

urd_err *requests_made(struct recorder *r, struct task *t)
{
    if (t->call->number != SYS_ptrace || !t->request.of)
        return NULL;
    struct trace_request q = t->request;
    t->request.of = NULL;
    URD_TRY(emit_changes(r, t, &q));
    if (q.resumes)
        traced_let_go(q.of, q.of->tracing.mode, q.of->tracing.signal);
    return NULL;
}
