/**
 * The recorder's own state: tasks, address spaces, what is under way.
 *
 * PURPOSE  Shared by the files of this folder only; the outside sees record.h.
 */
#ifndef URD_RECORD_RECORDER_H
#define URD_RECORD_RECORDER_H
#include "record/scratch.h"
#include "record/syscalls.h"
#include "trace/trace.h"
#include <signal.h>

/** An address space, shared by a vfork child with its parent until it execs. */
struct mm {
    int refs;
    uint64_t brk; /* page aligned end of the heap as mapped; 0: not known yet */
};

enum task_state {
    TASK_READY,     /* stopped and dealt with: may be resumed */
    TASK_RUNNING,   /* in user code, or in a call that does not block */
    TASK_BLOCKED,   /* in a call that blocks; others run */
    TASK_STOPPED,   /* a stop of a blocked task was seen and waits for its turn (wait_status) */
    TASK_LISTENING, /* job control stop */
};

struct task {
    pid_t tid, pid;
    struct task *next;
    enum task_state state;
    int wait_status;
    int mem; /* /proc/TID/mem */
    struct mm *mm;
    bool at_exit;  /* stopped at a call's exit: a signal raised now comes before any code runs */
    bool in_call;   /* between entry and exit of a system call */
    bool entered;   /* SYSCALL_ENTER was written for it */
    bool held_exit; /* the call returned with a restart code; not yet clear what becomes of it */
    bool execed;    /* PTRACE_EVENT_EXEC was seen in this call */
    const struct urd_syscall_entry *call;
    struct user_regs_struct entry; /* registers at the call's entry */
    int64_t forced; /* result to put in place of the kernel's, when call was cancelled */
    bool cancelled;
    uint32_t lengths[6];
    struct call_scratch scratch;   /* what special.c keeps from entry to exit */
    struct user_regs_struct last; /* registers with which it was last resumed */
    siginfo_t deferred[32];       /* asynchronous signals that wait for the next call */
    unsigned n_deferred;
    bool injecting;                /* deferred[0] was handed to the kernel again */
    struct user_regs_struct fatal; /* at the instruction that raised a fatal signal */
    int fatal_signal;
    bool exit_emitted;
    bool has_checksum; /* of the memory at the entry of the call under way */
    uint64_t checksum;
    pid_t vfork_parent;
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
    uint64_t started_ns, turn_started_ns, last_flush_ns, checksum_cost_ns, last_checksum_ns;
    uint64_t out_dev[3], out_ino[3]; /* what the recorder's own stdout and stderr are; [1], [2] */
    bool warned[600];
    struct shared_object *shared; /* shared.c: memory that was mapped by more than one, or may be */
    unsigned n_shared, cap_shared;
    uint32_t last_object;
    bool warned_threads;
};

/** Append the builder's event. */
urd_err *recorder_emit(struct recorder *r) URD_MUST_USE;
/** At a call's entry: a checksum of the task's memory, when one is due, for the event to come. */
urd_err *recorder_checksum(struct recorder *r, struct task *t) URD_MUST_USE;

/** special.c: before a call runs. May cancel it (t->cancelled, t->forced). */
urd_err *special_entry(struct recorder *r, struct task *t) URD_MUST_USE;
/** special.c: after a call; adds to the event. */
urd_err *special_exit(struct recorder *r, struct task *t, const struct user_regs_struct *now,
                      int64_t result) URD_MUST_USE;
/** special.c: false when a seccomp filter of the subject answered the call by SIGSYS: rax is no result then. */
bool special_was_made(const struct task *t, const struct user_regs_struct *now);
/** layout.c: the address space right after exec, complete, into the event. */
urd_err *layout_after_exec(struct recorder *r, struct task *t) URD_MUST_USE;
/** layout.c: hide the vDSO from the new image, so that time is asked by system calls. */
urd_err *layout_hide_vdso(struct task *t, uint64_t stack) URD_MUST_USE;
/** layout.c: keep a file of the task's by a /proc path; 0 in *ret when it is no regular file. */
urd_err *layout_store(struct recorder *r, const char *proc_path, const char *name,
                      uint32_t *ret) URD_MUST_USE;
#endif
