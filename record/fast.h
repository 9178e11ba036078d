/**
 * System calls that do not stop: the recorder's side of the runtime region.
 *
 * PURPOSE  Give each new image its region; turn the ring's records into events; get tasks out of the region.
 * NOT      The region's code (record/runtime/), patching call sites (record/patch.h).
 *
 * The essay is on top of fast.c.
 */
#ifndef URD_RECORD_FAST_H
#define URD_RECORD_FAST_H
#include "record/patch.h"
#include "record/recorder.h"
#include <sys/stat.h>

/** Of an address space that has the region. */
struct fast {
    const struct recorder *recorder;
    bool enabled, alone; /* as the region has them */
    bool masks_traced;   /* rt_sigprocmask is */
    bool off;            /* for good */
    uint32_t drained;    /* bytes of the ring that are events already */
    bool knows;          /* something of the caller's identity is kept in the head */
    struct patch *patches;
    unsigned n_patches, cap_patches;
    struct patch_pages *pages;
    unsigned n_pages, cap_pages;
    uint64_t loader, loader_size; /* the dynamic linker's code; 0: there is none */
    struct patch_code *code;      /* latest last */
    unsigned n_code, cap_code;
    unsigned plans_seen;    /* of r->n_plans, when patch_new looked last */
    struct urd_map refused; /* call sites that need not be looked at again */
};

/** At the start of a recording: read from the table which calls may go this way. */
void fast_init(struct recorder *r);
/** At its end. */
void fast_deinit(struct recorder *r);
/** A new image stands at its first instruction, with registers *now: map the region, patch what is known. */
urd_err *fast_after_exec(struct recorder *r, struct task *t,
                         const struct user_regs_struct *now) URD_MUST_USE;
/** A traced call has returned and its event is written; *now are t's registers. */
urd_err *fast_after_call(struct recorder *r, struct task *t,
                         const struct user_regs_struct *now) URD_MUST_USE;
/** What CPUID answers is known: the region's code answers it, too. */
void fast_know_cpuid(struct recorder *r, const struct urd_trace_info *info);
/** A traced call is about to be made. */
void fast_before_call(struct recorder *r, struct task *t);
/** For good: all calls of t's process are traced from now on. */
void fast_off(struct task *t);
/** For a child that has a copy of its parent's memory. */
struct fast *fast_copy(const struct fast *f);
void fast_destroy(struct fast *f);

/**
 * t has stopped with this status. Write down its calls, and see that it does not stand in the region. False in *ret_go_on: the
 * stop is dealt with, t runs or has another status.
 */
urd_err *fast_stopped(struct recorder *r, struct task *t, int status, bool *ret_go_on) URD_MUST_USE;
/** Write down the calls of a task; stopped: it does not run, and begins with an empty ring. */
urd_err *fast_drain(struct recorder *r, struct task *t, bool stopped) URD_MUST_USE;
/** Is this address in the region or a trampoline? No cut can be taken there. */
bool fast_is_inside(const struct task *t, uint64_t address);
/** t is about to run user code. */
void fast_resume(struct task *t);
/** From now on ... */
void fast_watch_entry(struct task *t);
/** ... has a task of t's memory been in the region? */
bool fast_was_entered(const struct task *t);
/** t, which may be running, shall stop at its next call. */
void fast_stop_at_call(struct task *t);
/** A file is in the trace, as *st has it: t, and images to come, may map it without a stop, but for its code. */
void fast_know_file(struct recorder *r, struct task *t, const struct stat *st, uint32_t file,
                    const char *name);
/** ... is true no longer: the file's content may change and its times stay. */
void fast_forget_file(struct recorder *r, const struct stat *st);
/** A file has become shared memory: nothing that was found out about file descriptors holds any longer. */
void fast_forget_files(struct recorder *r);
/** PR_GET_SECCOMP tells of the recorder's filter: let it say what it would without. *now: the registers at the call's exit. */
urd_err *fast_hide_filter(const struct task *t, struct user_regs_struct *now) URD_MUST_USE;

/** Does another task run user code in t's memory? Stops of tasks whose calls have returned are dealt with meanwhile. */
bool fast_another_runs(const struct recorder *r, const struct task *t);
/** After t's call (t->call, t->entry): code that is not there any more, or is its file's again, has no patches. */
void fast_forget_patches(struct task *t, int64_t result);
#endif
