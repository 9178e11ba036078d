/**
 * A runner's state, shared by run_translated.c and written_code.c.
 *
 * PURPOSE  Code spaces, what each process has of a runner, and the runner itself.
 * NOT      For other files: they include run_translated.h.
 */
#ifndef URD_REPLAY_RUNNER_H
#define URD_REPLAY_RUNNER_H
#include "base/buf.h"
#include "base/map.h"
#include "replay/run_translated.h"

struct code_space {
    struct urd_code id;
    unsigned refs;          /* processes */
    uint32_t address_space; /* which began it */
};

/** A process's share of the runner: its context area and code space. */
struct task_run {
    int context_fd;
    struct urd_context *context; /* mapped in the tool */
    struct playback *playback;   /* too: behind it in the same file */
    struct captures *captures;   /* too */
    uint64_t captures_version;   /* of the runner's that are there */
    uint8_t *cover;              /* too: behind that, with URD_PROBE_COVER; else NULL */
    uint32_t address_space;      /* whose it is */
    struct code_space *space;
    struct urd_map
        pages; /* written_code.c: the subject's rights in pages that it asked about, and flags */
    uint64_t *read; /* pages that the translation under way has read */
    unsigned n_read, cap_read;
    uint64_t readonly_start,
        readonly_end; /* of a private mapping without the write right, looked up last */
    uint8_t readonly_prot;
    uint64_t resume; /* cache address to go on at, after a stop or cut */
    uint64_t resume_pc;
    int32_t resume_tid;
};

/** A page of memory that several mappings may show. */
struct shared_page {
    unsigned dev_major, dev_minor;
    uint64_t inode, offset;
};

struct urd_runner {
    struct urd_session *session;
    unsigned probes;
    bool check_memory; /* what the session had before */
    struct urd_sink sink;
    bool has_cut;
    struct urd_cut cut;
    uint64_t *stops;
    size_t n_stops;
    struct urd_capture *captures; /* at stops */
    uint32_t n_captures, capture_bytes;
    uint64_t captures_version;
    uint32_t n_spaces;
    struct shared_page *shared_code; /* from which code was translated */
    unsigned n_shared_code, cap_shared_code;
    struct urd_kept_code *kept; /* or NULL */
    uint64_t limit;             /* events below may be played back in place */
    bool ending;                /* what goes now goes with the runner, not with its process */
    struct urd_runner_stats stats;
};

/** The n-th task's process, the first time that it comes up; NULL otherwise. */
struct urd_process *urd_runner_process(const struct urd_session *s, uint32_t n);
/** From now on the process shares its translations with nobody; they are gone. */
urd_err *urd_runner_own_space(struct urd_runner *r, struct urd_process *p) URD_MUST_USE;
#endif
