/**
 * Building the index.
 *
 * PURPOSE  Replay natively once, leaving checkpoints behind; replay the segments between them translated, side
 *          by side; join them.
 * NOT      Asking; see query/.
 */
#ifndef URD_INDEXER_INDEX_H
#define URD_INDEXER_INDEX_H
#include "trace/trace.h"

struct urd_index_options {
    bool coarse; /* nothing but the coarse level: all segments counted */
    unsigned
        coarse_after_ms; /* when so long has passed, what is left is counted first, and then indexed; 0: chosen */
    unsigned publish_ms; /* how often, at most, those who ask see what is new; 0: chosen */
    unsigned workers;    /* 0: one for each core */
    bool no_cuts;        /* segments begin at events only */
    const char *
        processor; /* use no more than it has: "plain", "v3" (AVX2) or NULL for all that is here; for tests */
    unsigned
        follow_after; /* executions after which a path is chosen (paths.h); 0: as many as pay; for tests */
    unsigned segment_ms; /* native time of a segment; 0: chosen */
    bool reads; /* what instructions read, too (reads.h): of all of the run, whatever the scope */
    uint64_t memory_bytes; /* see budget.h; 0: URD_INDEX_MEMORY */
    const struct urd_index_part {
        struct urd_moment from, to; /* to.event UINT64_MAX: to the end */
    } * parts; /* the scope: segments with any of it are indexed, of the others only the coarse level. What an earlier build has stays */
    uint32_t n_parts; /* 0: all of the run */
    /** done and total are events; may be NULL. */
    void (*progress)(void *data, uint64_t done, uint64_t total, uint64_t steps);
    void *progress_data;
};

#define URD_INDEX_MEMORY (2ull << 30)

struct urd_index_summary {
    bool was_there;                                             /* nothing had to be done */
    uint64_t segments, steps, writes, bytes, stepped, unlogged; /* steps: of the whole run */
    uint64_t reads, unknown_reads; /* unknown: stepped instructions that read where it cannot be told */
    uint64_t counted;     /* segments outside of the scope, in this build */
    uint64_t memory;      /* bytes: the most that was seen, see budget.h */
    double wall_s, cpu_s; /* of the tool and of its replays */
};

/** Goes on where an earlier build was stopped, and extends one whose scope was narrower. */
urd_err *urd_index_build(struct urd_trace *trace, const struct urd_index_options *o,
                         struct urd_index_summary *ret) URD_MUST_USE;

struct urd_store;
/** join.c: with segments from the start to the end: clocks, stacks, the trace's events as rows. */
urd_err *urd_index_join(struct urd_trace *trace, struct urd_store *store) URD_MUST_USE;
/** The same once more, of those whose start_clock is not NULL, when some have taken the place of others. In a transaction of the caller's. */
urd_err *urd_index_join_more(struct urd_trace *trace, struct urd_store *store) URD_MUST_USE;
#endif
