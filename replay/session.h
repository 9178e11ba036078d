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
#include "replay/objects.h"

struct urd_task {
    int32_t tid, pid; /* recorded ones */
    struct urd_process process;
    struct user_regs_struct regs; /* the subject's; the process gets them when it is resumed */
    bool exists;
    uint32_t space;      /* address space number, counted from 1 in order of exec and fork */
    int32_t shares_with; /* a vfork child lives in this task's memory; 0: its own */
    void *user;          /* of whoever drives the session (translated runs) */
};

struct urd_session {
    struct urd_trace *trace;
    struct urd_trace_reader *reader;
    const struct urd_event *next; /* event s->event + 1, or NULL at the end of the trace */
    uint64_t event;
    bool in_interval;
    struct urd_task *tasks;
    uint32_t n_tasks, cap_tasks;
    uint32_t n_spaces;
    struct urd_objects objects; /* memory that processes share */
    bool has_shared;   /* anonymous memory was shared: a fork would share it too */
    bool check_memory; /* compare checksums */
    uint64_t checksums_compared;
    void (*output)(void *data, int which, const void *bytes, size_t size);
    void *output_data;
    void (*task_gone)(void *data, struct urd_task *t); /* before exec and exit: free t->user */
    void *task_gone_data;
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
enum urd_stop { URD_STOP_SYSCALL, URD_STOP_SIGNAL, URD_STOP_INTERRUPTED };

/**
 * Run the task of the next event natively up to it. *ret_stop is INTERRUPTED when *interrupt became true
 * first (the waiting thread must be woken by a signal); then the session is in the interval.
 */
urd_err *urd_session_run_native(struct urd_session *s, const volatile int *interrupt,
                                enum urd_stop *ret_stop) URD_MUST_USE;

/** With the task at its stop, registers in t->regs: check them against the next event and apply it. */
urd_err *urd_session_apply(struct urd_session *s) URD_MUST_USE;

/** Natively to the next event, and apply it. */
urd_err *urd_session_next(struct urd_session *s) URD_MUST_USE;
/** Natively until all events up to `event` are applied. */
urd_err *urd_session_to_event(struct urd_session *s, uint64_t event) URD_MUST_USE;

/** Give the processes their registers: before looking at them from outside, or resuming. */
urd_err *urd_task_load(struct urd_task *t) URD_MUST_USE;

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
