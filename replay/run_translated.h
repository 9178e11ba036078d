/**
 * Driving a session's running task in translated code.
 *
 * PURPOSE  The dispatcher: maps context and code cache into replayed processes, enters translated code, serves
 *          its exits, hands its log to a sink, and stops at the next event as a native run would.
 * NOT      Emitting code (translate/), or what the log means (indexer/).
 * OWNS     A runner owns code spaces and contexts of one session; same thread as the session.
 *
 * Processes that forked from one another share a code space until one of them changes executable memory;
 * an exec begins a new one.
 */
#ifndef URD_REPLAY_RUN_TRANSLATED_H
#define URD_REPLAY_RUN_TRANSLATED_H
#include "replay/capture.h"
#include "replay/session.h"
#include "translate/translate.h"

/** A code space: its translator, and a number that is never given to another one of this runner. */
struct urd_code {
    struct urd_translator *translator;
    uint32_t serial;
};

/** Where the log goes. All are called while the task is stopped; any may be NULL. */
struct urd_sink {
    void *data;
    /** Whole records; a REP record's bytes that are not in the log are in the task's memory now. */
    void (*records)(void *data, struct urd_task *t, const struct urd_code *code, const uint8_t *log,
                    size_t bytes);
    /** The last block ran only up to instruction n_insns (not included); its record so far. */
    void (*partial)(void *data, struct urd_task *t, const struct urd_code *code,
                    const struct urd_block *block, const uint8_t *record, unsigned n_insns);
    /** The tool ran this one instruction itself. */
    void (*single)(void *data, struct urd_task *t, const struct urd_code *code,
                   const struct urd_block *block);
    /** ... and it wrote this. */
    void (*stepped_write)(void *data, struct urd_task *t, uint64_t address, uint64_t size,
                          const void *value);
    /** Event e of s, the next one, was played back in place; not applied to s yet. Its records were given before. */
    void (*event)(void *data, const struct urd_session *s, const struct urd_event *e);
    /** With URD_PROBE_COVER: code that ran in an address space; in no order, some of it more than once. When the runner is destroyed, at the latest. */
    void (*covered)(void *data, uint32_t space, uint64_t pc, uint64_t bytes);
    /** With URD_PROBE_READS, after `single`: it read this. */
    void (*stepped_read)(void *data, struct urd_task *t, uint64_t address, uint64_t size);
};

enum urd_run_end {
    URD_RUN_SYSCALL, /* at the system call of the next event */
    URD_RUN_SIGNAL,  /* an instruction raised a signal */
    URD_RUN_STEPS,   /* steps are used up */
    URD_RUN_EVENT,   /* the state is that of the next event's cut */
    URD_RUN_CUT,     /* the state is that of urd_runner_set_cut */
    URD_RUN_STOP,    /* at a stop address; the next run goes on past it */
};

/** Did the task stop as it must for this event? */
bool urd_run_end_fits(const struct urd_event *e, enum urd_run_end end);

struct urd_runner;
/** The session's memory checksums are off until it is destroyed. Replaces the session's cutter. */
urd_err *urd_runner_create(struct urd_session *s, unsigned probes, const struct urd_sink *sink,
                           struct urd_runner **ret) URD_MUST_USE;
/** Before the session is closed. The processes can run natively again. */
void urd_runner_destroy(struct urd_runner *r);

/**
 * Translations that outlive a runner: those of the next one of the same thread start from them, where its processes still have the
 * same code. Worth it where one run is cut into many (the index).
 */
struct urd_kept_code *urd_kept_code_create(void);
void urd_kept_code_destroy(struct urd_kept_code *k);
/** Right after r was created; k outlives r. All runners that share k have the same probes. */
void urd_runner_keep_code(struct urd_runner *r, struct urd_kept_code *k);

/** For session.c: a runner without probes that stays with a session which else runs natively; parked meanwhile. */
urd_err *urd_runner_create_cutter(struct urd_session *s, struct urd_runner **ret) URD_MUST_USE;
/** Give the processes back the write rights that were taken from pages with translated code. */
urd_err *urd_runner_park(struct urd_runner *r) URD_MUST_USE;

/**
 * Stop at this state as well (NULL: no more), in intervals whose event has no cut of its own. Only for the interval that the
 * state lies in: translated code reads the cut's words in place, and in another interval they may not be mapped.
 */
void urd_runner_set_cut(struct urd_runner *r, const struct urd_cut *cut);
/** With URD_PROBE_LOG: events below this number that need nothing but memory and registers do not end a run; the sink hears of them. */
void urd_runner_set_limit(struct urd_runner *r, uint64_t event);
/** Stop at these addresses as well. */
void urd_runner_set_stops(struct urd_runner *r, const uint64_t *pcs, size_t n);
/**
 * Without URD_PROBE_LOG: at these of the stop addresses (each in one space, at most URD_CAPTURES) records are noted instead
 * (replay/capture.h), up to so many bytes of them in a run. What cannot be noted is a stop. Replaces the former set.
 */
void urd_runner_set_captures(struct urd_runner *r, const struct urd_capture *captures, uint32_t n,
                             uint32_t bytes);
/** The records that the last urd_runner_run of this task noted, struct urd_captured each: all of hits before where it stands. Borrowed until
 *  the next run or event. */
const uint8_t *urd_runner_captured(const struct urd_task *t, size_t *ret_bytes);

/**
 * Run the task of the next event, past events that urd_runner_set_limit allows. With URD_PROBE_COUNT at most *steps instructions, and *steps is what is left
 * afterwards; otherwise steps is NULL. At SYSCALL, SIGNAL and EVENT the session is ready for urd_runner_apply.
 */
urd_err *urd_runner_run(struct urd_runner *r, uint64_t *steps, enum urd_run_end *ret) URD_MUST_USE;

/** Apply the next event; translations that it makes void are forgotten. */
urd_err *urd_runner_apply(struct urd_runner *r) URD_MUST_USE;
/** To the next event under translation, and apply it. */
urd_err *urd_runner_next(struct urd_runner *r) URD_MUST_USE;

/** Go forward to a moment: natively to its event, then counting. The runner must have URD_PROBE_COUNT. */
urd_err *urd_runner_seek(struct urd_runner *r, struct urd_moment to) URD_MUST_USE;

struct urd_runner_stats {
    uint64_t stops, misses, steps, drains, smc;
    uint64_t unlogged; /* stepped instructions that wrote where it cannot be told */
    struct urd_translate_stats translate;
};
struct urd_runner_stats urd_runner_get_stats(const struct urd_runner *r);
#endif
