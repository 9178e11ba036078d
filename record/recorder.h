/**
 * The recorder's own state: tasks, address spaces, what is under way.
 *
 * PURPOSE  Shared by the files of this folder only; the outside sees record.h.
 */
#ifndef URD_RECORD_RECORDER_H
#define URD_RECORD_RECORDER_H
#include "record/scratch.h"
#include "record/syscalls.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/tracee.h"
#include "trace/counter.h"
#include "trace/trace.h"
#include <sched.h>
#include <signal.h>

/** Changes of patches that no event has told yet. */
struct patch_news {
    struct urd_patch *patches; /* code holds an offset into `code` */
    unsigned n, cap;
    struct urd_buf code;
};

/** An address space: of the threads of a process, and of a vfork child until it execs. */
struct mm {
    int refs;                 /* tasks */
    uint64_t brk;             /* page aligned end of the heap as mapped; 0: not known yet */
    struct fast *fast;        /* fast.c: NULL when every call is traced */
    bool forks_in_part;       /* some of it no child gets, or gets empty: advice.h */
    struct urd_stacks former; /* of tasks that are gone */
    struct patch_news news;
};

enum task_state {
    TASK_READY,     /* stopped and dealt with: may be resumed */
    TASK_RUNNING,   /* in user code, or in a call that does not block */
    TASK_BLOCKED,   /* in a call that blocks; others run */
    TASK_STOPPED,   /* a stop of a blocked task was seen and waits for its turn (wait_status) */
    TASK_LISTENING, /* job control stop */
    TASK_HELD,      /* stopped for its tracer, which is recorded, too (traced.h) */
};

/** Of a task that is traced by another recorded one, and of one that traces: traced.h. */
struct tracing {
    struct task *tracer; /* NULL: none */
    bool seized;         /* by PTRACE_SEIZE */
    uint32_t options;    /* PTRACE_O_... */
    int mode;  /* how it was resumed last: PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP */
    int place; /* enum traced_place: where it goes on from */
    struct traced_stop {
        int code;         /* as a wait tells it: signal, PTRACE_EVENT_... << 8 */
        uint8_t op;       /* PTRACE_SYSCALL_INFO_... */
        uint64_t message; /* PTRACE_GETEVENTMSG */
        siginfo_t si;     /* si_signo 0: there is none */
    } stop;
    bool told;          /* a wait has told of the stop */
    bool again;         /* PLACE_ENTRY: the call was looked at before */
    bool emulates;      /* ... and is not made: PTRACE_SYSEMU */
    uint64_t execed_by; /* message of the coming PTRACE_EVENT_EXEC */
    bool interrupt;     /* PTRACE_INTERRUPT was asked for */
    bool trap_flag;     /* is set in t->last, for a step */
    unsigned due;       /* enum traced_due: stops that follow this one, if the tracer wants them */
    int signal;         /* to go on with */
    int pass;           /* a signal that is delivered without another stop */
    bool has_sigchld;
    siginfo_t sigchld; /* as a tracer: of the SIGCHLD that the recorder raised */
    struct traced_end {
        pid_t tid, pgid;
        int status;
    } * ends; /* as a tracer: of tracees that are not told of by the kernel */
    unsigned n_ends, cap_ends;
};

/** requests.c: what a ptrace call did to the tracee, between the call itself and its event. */
struct trace_request {
    struct task *of; /* NULL: nothing */
    bool resumes;
    uint64_t address, size;         /* memory that was written */
    bool registers, vectors;        /* were changed ... */
    struct user_regs_struct before; /* ... from these */
};

struct task {
    pid_t tid, pid;
    pid_t parent, parent_tid; /* process and thread that it was born by; 0: the recorder */
    struct task *next;
    enum task_state state;
    int wait_status;
    int mem; /* /proc/TID/mem */
    struct mm *mm;
    bool at_exit;     /* stopped at a call's exit: a signal raised now comes before any code runs */
    bool in_call;     /* between entry and exit of a system call */
    bool interrupted; /* PTRACE_INTERRUPT was asked for */
    uint64_t resumed_ns; /* when it last went on to user code; 0: not since its last event */
    bool signal_due;     /* a signal comes before it runs any: signals_note_due */
    bool entered;        /* SYSCALL_ENTER was written for it */
    bool held_exit; /* the call returned with a restart code; not yet clear what becomes of it */
    bool execed;    /* PTRACE_EVENT_EXEC was seen in this call */
    bool
        filtered; /* a seccomp filter of the recorder's, and none of its own, says which calls stop it */
    bool strict;      /* it asked for seccomp's strict mode, which such a filter rules out */
    pid_t former_tid; /* the tid it had before that, when it was not its process's first thread */
    const struct urd_syscall_entry *call;
    struct user_regs_struct entry; /* registers at the call's entry */
    int64_t forced; /* result to put in place of the kernel's, when call was cancelled */
    bool cancelled;
    uint32_t lengths[6];
    struct answer {
        uint64_t address, size;
    } answers[4]; /* what the recorder itself has written for the call under way */
    unsigned n_answers;
    bool paused; /* a wait for tracees only: `pause` waits in its place */
    struct tracing tracing;
    struct trace_request request;
    struct call_scratch scratch;  /* what special.c keeps from entry to exit */
    struct user_regs_struct last; /* registers with which it was last resumed */
    siginfo_t deferred[32]; /* asynchronous signals that wait for the next call, or for a while */
    unsigned n_deferred;
    bool behind_handler; /* its last event is a handler's return */
    bool holds; /* held_mask is its own signal mask: one signal more is blocked (signals.c) */
    uint64_t held_mask;
    uint64_t deferred_ns;          /* since when */
    bool injecting;                /* deferred[0] was handed to the kernel again */
    struct user_regs_struct fatal; /* at the instruction that raised a fatal signal */
    bool is_fatal,
        has_fatal_cut; /* fatal is known; it hit in the middle of a computation, cut says where */
    struct urd_cut cut;
    bool exit_emitted;
    bool has_checksum; /* of the memory at the entry of the call under way */
    uint64_t checksum;
    struct clone_request { /* of the clone, clone3 or vfork under way */
        uint64_t flags, child_tid, parent_tid, pidfd;
    } clone;
    bool counting;    /* clock.c: counter is open ... */
    bool count_known; /* ... and had the value counted_from at the task's last event */
    struct urd_counter counter;
    uint64_t counted_from;
    bool
        has_cpus; /* it asked for these, and is told so; it runs on the recorder's core all the same */
    cpu_set_t cpus;
    int policy,
        priority; /* SCHED_FIFO or SCHED_RR and 1 to 99; 0, 0: an ordinary task. priority.c */
    bool raised;  /* the kernel has them */
    uint64_t starved_until_ns; /* chaos: others run before it */
    uint64_t
        clear_tid; /* the kernel writes 0 there when the task ends and others share the memory */
};

struct recorder {
    struct urd_trace_writer *writer;
    struct event_builder builder;
    struct task *tasks;
    struct task *current;
    struct early_stop {
        pid_t tid;
        int status;
    } * early; /* stops of tasks that are not known yet */
    unsigned n_early, cap_early;
    pid_t first_pid;
    int first_status;
    bool exec_seen;
    const struct clock *clock; /* clock.h */
    bool chaos;                /* schedule.c makes rare interleavings frequent */
    uint64_t random;           /* its generator's state */
    uint64_t stepped;          /* instructions that chaos has single-stepped */
    uint64_t turn_ns,
        slice_ns; /* of the current turn: until it moves on at a system call; until it is stopped */
    cpu_set_t cpus;          /* that a task may ask for */
    uint64_t usual_slice_ns; /* of an ordinary task, as the kernel has it; 0: not told */
    bool has_priorities;     /* some task has had a real-time priority */
    bool fair_turn;          /* this turn was given whatever the priorities */
    unsigned turns_over;     /* of tasks that could have gone on */
    bool turn_over;          /* the current task has had its turn, whatever the time */
    uint64_t tick_ns, cut_cost_ns;
    uint64_t started_ns, turn_started_ns, last_flush_ns, checksum_cost_ns, last_checksum_ns;
    uint64_t out_dev[3], out_ino[3]; /* what the recorder's own stdout and stderr are; [1], [2] */
    bool warned[600];
    struct shared_object *shared; /* shared.c: memory that was mapped by more than one, or may be */
    unsigned n_shared, cap_shared;
    bool shares_files; /* others may have mapped some of them, too */
    uint32_t last_object;
    struct outside *outside; /* outside.c: who else writes there */
    struct replaced_sites
        *replaced_sites; /* replaced_insns.c: of each stored file that was mapped as code */
    unsigned n_replaced_sites, cap_replaced_sites;
    bool fast;                      /* calls may be made without a stop: fast.c */
    struct runtime_data *fast_data; /* what a new runtime region begins with */
    struct urd_buf fast_ring;       /* a ring's content while it is drained */
    struct fast_file {
        uint32_t file;
        char *name;
    } fast_files[64];               /* those of fast_data->files, as the trace has them */
    struct patch_file *patch_files; /* patch.c: call sites of each stored file */
    unsigned n_patch_files, cap_patch_files;
    struct patch_news told;     /* by the event in the builder */
    unsigned n_plans;           /* call sites of all files that are known */
    struct urd_map_op new_code; /* code that the call under way has mapped; size 0: none */
};

/** Append the builder's event. */
urd_err *recorder_emit(struct recorder *r) URD_MUST_USE;
/** ... of several, at a time that was asked for once. */
urd_err *recorder_emit_at(struct recorder *r, uint64_t now_ns) URD_MUST_USE;
/** An instruction that the recorder does for t, which stands before it: put its results into the event's `after`, then ... */
struct urd_event *recorder_begin_insn(struct recorder *r, struct task *t,
                                      const struct user_regs_struct *at);
/** ... give them to the task and append the event. */
urd_err *recorder_emit_insn(struct recorder *r, struct task *t) URD_MUST_USE;
/** At a call's entry: a checksum of the task's memory, when one is due, for the event to come. */
urd_err *recorder_checksum(struct recorder *r, struct task *t) URD_MUST_USE;

struct task *recorder_find_task(struct recorder *r, pid_t tid);
struct task *recorder_add_task(struct recorder *r, pid_t tid, struct mm *mm);
void recorder_remove_task(struct recorder *r, struct task *t);
/** One task fewer has this memory. */
void recorder_release_mm(struct mm *mm);
/** Go on up to the next system call, with this signal (0: none). */
urd_err *recorder_resume(struct task *t, int signal) URD_MUST_USE;
/** Its tracer has seen the entry of its call: go on with that. */
urd_err *recorder_let_call_run(struct recorder *r, struct task *t) URD_MUST_USE;
/** It stopped behind a call that is restarted or was interrupted: let the kernel decide which. */
urd_err *recorder_resume_call(struct task *t) URD_MUST_USE;
/** Note a status of some task: dealt with at once, or kept until that task's turn comes. */
urd_err *recorder_note_status(struct recorder *r, pid_t tid, int status) URD_MUST_USE;
/**
 * Before a sum over memory: calls of other tasks that have filled it are written down first. What a call fills is part of its
 * event, which comes no later than the next sum; a program that looks there before the call returns is racing with it.
 */
urd_err *recorder_settle_memory(struct recorder *r, const struct mm *mm) URD_MUST_USE;
/** 'R', 'S', 'Z' and so on, see man 5 proc; 'X' when it is gone. */
char recorder_run_state(pid_t tid);

/** lives.c: a child was born inside the current call of t: it begins where its parent is, with result 0. */
urd_err *lives_child(struct recorder *r, struct task *t) URD_MUST_USE;
/** lives.c: t is about to end (PTRACE_EVENT_EXIT). */
urd_err *lives_exit(struct recorder *r, struct task *t) URD_MUST_USE;
/** lives.c: waitpid says that it has ended. */
urd_err *lives_gone(struct recorder *r, struct task *t, int status) URD_MUST_USE;
/** lives.c: PTRACE_EVENT_EXEC was reported for tid; the task that called exec, which may have had another tid. */
struct task *lives_exec(struct recorder *r, pid_t tid);

/** preempt.c: has the task run user code since its last event, now that it has these registers? */
bool preempt_has_run(const struct task *t, const struct user_regs_struct *now);
/**
 * preempt.c: describe the state of a task that was stopped in the middle of a computation, into t->cut. *regs are its
 * registers and are brought up to date when it first has to run out of a REP instruction. False in *ret_done: it ran into
 * another stop on the way, which is kept as t->wait_status.
 */
urd_err *preempt_take_cut(struct recorder *r, struct task *t, struct user_regs_struct *regs,
                          bool *ret_done) URD_MUST_USE;
/** preempt.c: an event that says that t stopped where t->cut is. */
urd_err *preempt_emit(struct recorder *r, struct task *t) URD_MUST_USE;
/** preempt.c: time has passed: ask the running task to stop, if others wait or a signal has waited too long. */
urd_err *preempt_tick(struct recorder *r) URD_MUST_USE;
/** preempt.c: run t, which is ready, for so many instructions and end its turn there; or as far as the next system call. */
urd_err *preempt_after_steps(struct recorder *r, struct task *t, uint64_t steps) URD_MUST_USE;
/** preempt.c: it stopped because of that. */
urd_err *preempt_stopped(struct recorder *r, struct task *t) URD_MUST_USE;

/** The stack pointers of all tasks that live in t's memory, as a replay has them when t stands at sp. Free ret->sps. */
void recorder_stacks(const struct recorder *r, const struct task *t, uint64_t sp,
                     struct urd_stacks *ret);

/** special.c: before a call runs. May cancel it (t->cancelled, t->forced). */
urd_err *special_entry(struct recorder *r, struct task *t) URD_MUST_USE;
/** special.c: after a call; adds to the event. */
urd_err *special_exit(struct recorder *r, struct task *t, const struct user_regs_struct *now,
                      int64_t result) URD_MUST_USE;
/** special.c: false when a seccomp filter of the subject answered the call by SIGSYS: rax is no result then. */
bool special_was_made(const struct task *t, const struct user_regs_struct *now);
/** special.c: is the task's fd the recording's own stdout (1) or stderr (2)? 0 when neither. */
int special_output_class(struct recorder *r, struct task *t, int fd);
/** layout.c: the address space right after exec, complete, into the event. */
urd_err *layout_after_exec(struct recorder *r, struct task *t) URD_MUST_USE;
/** replaced_insns.c: at the end. */
void replaced_insns_deinit(struct recorder *r);
/** layout.c: has exec mapped a dynamic linker beside the program? The stack is as exec left it. */
bool layout_has_loader(const struct task *t, uint64_t stack);
/** layout.c: hide the vDSO from the new image, so that time is asked by system calls. */
urd_err *layout_hide_vdso(struct task *t, uint64_t stack) URD_MUST_USE;
/** layout.c: keep a file of the task's by a /proc path; 0 in *ret when it is no regular file. */
urd_err *layout_store(struct recorder *r, struct task *t, const char *proc_path, const char *name,
                      uint32_t *ret) URD_MUST_USE;
#endif
