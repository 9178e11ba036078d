/**
 * A replay under way: the whole process tree at one moment of the run.
 *
 * PURPOSE  Play events back in order, natively, checking registers and memory at each; stop anywhere; copy.
 * NOT      Translated runs; see run_translated.h, which drives the same session.
 * OWNS     Its processes. A session belongs to the thread that made it or adopted it.
 *
 * A session is either *at* an event (all events up to s->event are applied, steps is 0) or in the middle of
 * the interval after it (s->in_interval): the running task, that of the next event, was stopped in user code.
 */
#ifndef URD_REPLAY_SESSION_H
#define URD_REPLAY_SESSION_H
#include "base/buf.h"
#include "replay/objects.h"

struct urd_runner;

#define URD_FLAGS_CHECKED 0xcd5ull /* the arithmetic flags and DF: TF and RF belong to whoever debugs */

/** What fast.c has read ahead of the session, to be played back by the process that runs. */
struct urd_ahead {
    struct urd_trace_reader *reader;
    const struct urd_event *event;
    struct urd_buf ring;
    uint64_t n; /* events in the process's ring */
};

struct urd_task {
    int32_t tid, pid; /* recorded ones */
    struct urd_process
        *process; /* shared by the threads of a process, and by a vfork child with its parent */
    struct user_regs_struct regs; /* the subject's; the process gets them when it is resumed */
    struct urd_vectors *vectors;  /* NULL: in the process, which no other task uses */
    bool exists;
    uint32_t space; /* address space number, counted from 1 in order of exec and fork */
};

struct urd_session {
    struct urd_trace *trace;
    struct urd_trace_reader *reader;
    const struct urd_event *next; /* event s->event + 1, or NULL at the end of the trace */
    uint64_t event;
    bool in_interval;
    uint64_t branches; /* conditional ones in the interval so far; true only in traces that are counted, before counted cuts */
    struct urd_task *tasks;
    uint32_t n_tasks, cap_tasks;
    uint32_t n_spaces;
    struct urd_objects objects; /* memory that processes share */
    bool has_shared;            /* anonymous memory was shared: a fork would share it too */
    bool check_memory;          /* compare checksums */
    bool no_fast;               /* stop at each call, whatever the recording did */
    struct urd_ahead ahead;
    bool emulates_cpuid;        /* this processor answers CPUID otherwise than the recorded one */
    uint64_t checksums_compared;
    void (*output)(void *data, int which, const void *bytes, size_t size);
    void *output_data;
    void (*process_gone)(void *data, struct urd_process *p); /* its last task ends: free p->user */
    void *process_gone_data;
    struct urd_runner *
        cutter; /* runs to events that have a cut, when the session runs natively; made when needed */
    struct {
        uint64_t number;
        uint8_t kind;
        int32_t tid, syscall;
    } recent[8]; /* for the divergence report */
};

/** At event 0: before the program's exec. Pins this thread to the recorded core when native is set. */
urd_err *urd_session_open(struct urd_trace *trace, bool native,
                          struct urd_session **ret) URD_MUST_USE;
void urd_session_close(struct urd_session *s);

/** The task that runs until the next event; NULL when nothing runs before it. */
struct urd_task *urd_session_running(struct urd_session *s);
struct urd_task *urd_session_task(struct urd_session *s, int32_t tid);

/** What stopped a task that runs natively. */
enum urd_stop { URD_STOP_SYSCALL, URD_STOP_SIGNAL, URD_STOP_CUT, URD_STOP_INTERRUPTED };

/** How the task must stop for this event; SYSCALL when it makes a call, SIGNAL when an instruction raises one. */
enum urd_stop urd_session_stop_wanted(const struct urd_event *e);

/**
 * Run the task of the next event natively up to it, or further: events below `limit` that need no stop are applied on the way, and
 * s->next is the one that it stopped for. *ret_stop is INTERRUPTED when *interrupt became true
 * first (the waiting thread must be woken by a signal); then the session is in the interval. An event with a cut cannot
 * be recognised natively: translated code runs up to it (CUT), and is not interrupted.
 */
urd_err *urd_session_run_native(struct urd_session *s, uint64_t limit,
                                const volatile int *interrupt,
                                enum urd_stop *ret_stop) URD_MUST_USE;
/**
 * Natively, within the interval, to the hits-th execution of the instruction at pc from here on (which counts when it is the next one): the
 * task stands before it. What calls without stops have changed in the code is put back first. pc is no REP instruction, and the caller
 * knows that the place comes before the next event; when it does not, the replay has diverged. Not where the next event's cut
 * is a count of branches: nobody counts them.
 */
urd_err *urd_session_run_to(struct urd_session *s, uint64_t pc, uint64_t hits) URD_MUST_USE;
/** Before anybody looks at the code of a session that has run natively: what calls without stops have changed there is put back. */
void urd_session_settle(struct urd_session *s);

/** The process of each task that exists: one that has several tasks is there several times. The caller frees the list. */
struct urd_process **urd_session_processes(const struct urd_session *s, uint32_t *ret_n);
/** With the task at its stop, registers in t->regs: check them against the next event and apply it. */
urd_err *urd_session_apply(struct urd_session *s) URD_MUST_USE;

/** What urd_session_apply does, without telling the session's cutter; for run_translated.c. */
urd_err *urd_session_apply_event(struct urd_session *s) URD_MUST_USE;

/** s->next has happened in place: only the session goes past it. For run_translated.c. */
urd_err *urd_session_go_past(struct urd_session *s) URD_MUST_USE;

/** Natively to the next event, or over several at once that need no stop, but not beyond `limit`; and apply it. */
urd_err *urd_session_next(struct urd_session *s, uint64_t limit) URD_MUST_USE;
/** Natively until all events up to `event` are applied; settled then. */
urd_err *urd_session_to_event(struct urd_session *s, uint64_t event) URD_MUST_USE;

/** Do the CPUID at regs->rip as the recorded processor did. */
void urd_session_cpuid(const struct urd_session *s, struct user_regs_struct *regs);

/** The stack pointers of all tasks that live in t's process, t standing at sp. Free ret->sps. */
void urd_session_stacks(const struct urd_session *s, const struct urd_task *t, uint64_t sp,
                        struct urd_stacks *ret);

/** Give the task's process its registers: before looking at them from outside, or resuming. */
urd_err *urd_task_load(struct urd_task *t) URD_MUST_USE;
/** Only the x87 and vector registers: before asking the process for them. */
urd_err *urd_task_load_vectors(struct urd_task *t) URD_MUST_USE;

/**
 * A copy of the whole session at this moment, asleep. Whoever wants it calls urd_session_adopt first, from the thread
 * that will use it. Not possible (false in *ret_possible) while a vfork child lives, or once memory was shared.
 */
urd_err *urd_session_checkpoint(struct urd_session *s, bool *ret_possible,
                                struct urd_session **ret) URD_MUST_USE;
urd_err *urd_session_adopt(struct urd_session *s) URD_MUST_USE;

/** The report of a divergence; actual are the registers that the replay had. */
urd_err *urd_session_diverged(struct urd_session *s, struct urd_task *t, const char *what);
#endif
