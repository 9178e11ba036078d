/**
 * Reading the index.
 *
 * PURPOSE  Clocks and moments, pc at a clock, executions of addresses, writes to memory, stacks, calls: each by
 *          decoding a few rows.
 * NOT      Names, expressions, replays.
 * OWNS     The connection and caches. One thread.
 */
#ifndef URD_QUERY_INDEX_H
#define URD_QUERY_INDEX_H
#include "indexer/coarse.h"
#include "indexer/coroutines.h"
#include "indexer/flow.h"
#include "indexer/store.h"
#include "indexer/writes.h"
#include "trace/trace.h"
#include <sqlite3.h>

struct urd_index_event {
    int64_t clock;
    int32_t pid, tid, other, syscall;
    uint32_t space;
    uint8_t kind, flags;
};

/** The coarse level of a segment that is only counted. */
struct urd_index_coarse {
    bool has_pages, has_ran; /* else anything may have been written, or run */
    struct urd_coarse pages, ran;
};

struct urd_index_segment {
    uint32_t id;
    bool counted;         /* it is outside of the index's scope: nothing but its clocks is known */
    int64_t start, steps; /* clocks */
    uint64_t start_event, end_event;
    struct urd_index_coarse *coarse;       /* loaded when needed */
    struct urd_flow_dictionary dictionary; /* loaded when needed, with memory */
    uint32_t *memory; /* for each trace, where urd_stores_decoder has its stores' memory */
    int64_t *firsts;  /* clock at which each row of flow begins; loaded when needed */
    uint32_t n_rows;
    struct urd_index_below *below; /* by task and clock; loaded when needed */
    uint32_t n_below, cap_below;
};

/** From this clock on so many frames of before its last change (coroutines.h) lie below those that a task has entered since. */
struct urd_index_below {
    int32_t tid;
    int64_t clock;
    uint32_t frames, order; /* order: of those at one clock */
};

#define URD_WRITES_CACHE 32
struct urd_writes_cache { /* decoded rows of writes; d.n is 0 where nothing is */
    struct {
        int64_t rowid;
        uint64_t stamp;
        struct urd_writes_decoded d;
    } rows[URD_WRITES_CACHE];
    uint64_t stamp;
};

/** A mapping of shared memory: [address, address + size) of a space shows the object from `offset` on. */
struct urd_index_shown {
    uint32_t space, object,
        file; /* file: index of a stored file + 1 with the object's first content, or 0 */
    uint64_t address, size, offset;
    uint64_t from, to; /* events */
};

/** Neighbouring segments that are only counted: what was written there has clocks from `first` on and before `end`. first is the clock
 * before the segments' start, as the kernel's writes there may carry it. */
struct urd_index_gap {
    int64_t first, end;
    struct urd_moment from, to;
};

/** Where and while memory was: in a space at (its page's address - shift), from one event to before another. */
struct urd_index_span {
    uint32_t space;
    uint64_t shift;
    uint64_t from, to; /* from: the event that put it there, 0 when the space began with it */
};

/** Where memory came from: event is that which mapped it, 0 when it was there from the space's beginning. */
struct urd_index_origin {
    uint32_t space;
    uint64_t address, event;
};

/** The life of a page's memory, see lifetime.c. */
struct urd_index_life {
    uint32_t space, n, capacity;
    uint64_t page;
    int64_t at;
    struct urd_index_span *spans;   /* the newest first */
    struct urd_index_origin origin; /* address: of the page */
};

struct urd_index {
    sqlite3 *db;
    struct urd_index_event *events; /* by number; [0] is unused */
    uint64_t n_events;              /* highest number */
    struct urd_index_segment *segments;
    uint32_t n_segments;
    struct urd_index_gap *gaps; /* in order */
    uint32_t n_gaps;
    struct urd_index_space {
        uint32_t parent;
        int32_t pid;
        int64_t clock;
        uint64_t event;
        char *path;
    } * spaces; /* by id; [0] is unused */
    uint32_t n_spaces;
    int64_t end;     /* clock at the end */
    int64_t version; /* SQLite's, of what was loaded: changes when somebody has written */
    struct urd_index_shown *shown; /* mappings of shared memory; shared.c */
    uint32_t n_shown;
    struct urd_index_remap *remaps; /* by space and event */
    uint32_t *first_remap;          /* by space; one more behind the last */
    struct urd_index_life life;     /* that was asked for last */
    sqlite3_stmt *by_page, *page_data, *touched, *flow_row;
    struct flow_cache *flow_cache;
    struct stores_cache *stores_cache;
    struct urd_writes_cache *writes_cache;
    struct urd_index_reads {
        sqlite3_stmt *by_page, *page_data; /* NULL: the index has no reads */
        struct urd_writes_cache *cache;
        int64_t *starts; /* clock at which each of their segments begins, and the end */
        uint32_t n;
        bool wanted; /* what is asked for just now is reads: urd_index_reads */
    } reads;
};

/** NULL in *ret when there is no index yet of which all clocks are known. */
urd_err *urd_index_open(const char *directory, struct urd_index **ret) URD_MUST_USE;
void urd_index_close(struct urd_index *x);

/**
 * A question begins: until urd_index_release all is read as it is now, whatever `urd index` writes meanwhile; nobody waits for anybody. What
 * was read in an earlier question is forgotten when it is not so any more.
 */
urd_err *urd_index_hold(struct urd_index *x) URD_MUST_USE;
void urd_index_release(struct urd_index *x);

/** The segment of a row of writes, touched or calls; NULL: of none that is there yet. */
struct urd_index_segment *urd_index_segment(const struct urd_index *x, int64_t id);

/** An address of code in one address space. */
struct urd_index_pc {
    uint32_t space;
    uint64_t pc;
};

/** What somebody relies on: of the clocks in [from, to) everything, or only ... */
struct urd_index_need {
    int64_t from, to;
    enum {
        URD_NEEDS_ALL,
        URD_NEEDS_WRITES, /* writes to what [address, address + size) of a space names at the clock `at`, */
        URD_NEEDS_CODE, /* executions of code */
    } kind;
    uint32_t space;
    uint64_t address, size;
    int64_t at;
    const struct urd_coarse_range *code;
    uint32_t n_code;
    const struct urd_index_gap *also; /* and everything in these */
    uint32_t n_also;
};

/** needs.c: what is not indexed of what is needed, in order, neighbours joined. What the coarse level rules out is not among it. Free *ret. */
urd_err *urd_index_missing(struct urd_index *x, const struct urd_index_need *n,
                           struct urd_index_gap **ret, uint32_t *ret_n) URD_MUST_USE;
/** Is there any? *ret_end (may be NULL): the clock at which the last of it ends. */
urd_err *urd_index_lacks(struct urd_index *x, const struct urd_index_need *n, bool *ret,
                         int64_t *ret_end) URD_MUST_USE;
/** Which frames lie below one that began at a clock is known only while everything before it is indexed. */
bool urd_index_knows_depth(const struct urd_index *x, int64_t clock);
void urd_index_coarse_free(struct urd_index_coarse *c);

struct urd_moment urd_index_moment(const struct urd_index *x, int64_t clock);
/** The clock of a moment; moments beyond the end of their interval are URD_ERR_QUESTION. */
urd_err *urd_index_clock(const struct urd_index *x, struct urd_moment m, int64_t *ret) URD_MUST_USE;

/** The instruction that runs at this clock (the one that is about to, there). */
struct urd_index_place {
    uint64_t pc;
    int32_t tid;
    uint32_t space;
    bool found;
};
urd_err *urd_index_place(struct urd_index *x, int64_t clock,
                         struct urd_index_place *ret) URD_MUST_USE;
/** As urd_index_place, but only whose instruction it is; found: the clock lies within what a task ran. pc is 0. */
urd_err *urd_index_runner(struct urd_index *x, int64_t clock,
                          struct urd_index_place *ret) URD_MUST_USE;

/** The blocks that ran in the i-th segment. Borrowed. */
urd_err *urd_index_blocks(struct urd_index *x, uint32_t i, const struct urd_flow_block **ret,
                          uint32_t *ret_n) URD_MUST_USE;

/** When each row of flow of the i-th segment begins. Borrowed. */
urd_err *urd_index_rows(struct urd_index *x, uint32_t i, const int64_t **ret_firsts,
                        uint32_t *ret_n) URD_MUST_USE;
/**
 * The stores of a row of flow of the i-th segment to [address, address + size), and perhaps others, with absolute clocks; kept until
 * urd_index_release_stores. Who asks of one place in a row pays for walking over it; a row that is asked about two places is decoded whole.
 */
urd_err *urd_index_stores(struct urd_index *x, uint32_t i, uint32_t row, uint64_t address,
                          uint64_t size, const struct urd_stores_decoded **ret) URD_MUST_USE;
void urd_index_release_stores(struct urd_index *x, const struct urd_stores_decoded *d);

/** Gets executions in order of clock (or descending); false stops. which: index into pcs. */
typedef bool (*urd_execution_fn)(void *data, int64_t clock, int32_t tid, uint32_t which);
urd_err *urd_index_executions(struct urd_index *x, const struct urd_index_pc *pcs, uint32_t n,
                              int64_t from, int64_t to, bool descending, urd_execution_fn fn,
                              void *data) URD_MUST_USE;
/** Sum over the run of executions of each instruction in [start, end) of any of the spaces in which `fits` says yes. */
typedef void (*urd_count_fn)(void *data, uint32_t space, uint64_t pc, uint64_t count);
urd_err *urd_index_counts(struct urd_index *x, urd_count_fn fn, void *data) URD_MUST_USE;

struct urd_index_write {
    int64_t clock;
    uint64_t address, size, event; /* event: of the kernel's writes, else 0 */
    uint32_t space;
    const uint8_t *value; /* valid during the callback */
};
typedef bool (*urd_index_write_fn)(void *data, const struct urd_index_write *w);
/**
 * Writes to the memory that [address, address + size) of a space names at the clock `at`, whoever made them, with from <= clock < to,
 * in order (or descending): not those to other memory that was at the address before or after; but through mremap, other mappings of
 * shared memory, and the spaces it was forked from. Addresses are those of `at`. A kernel write whose parts lie in two pages comes as
 * two.
 */
urd_err *urd_index_writes(struct urd_index *x, uint32_t space, uint64_t address, uint64_t size,
                          int64_t at, int64_t from, int64_t to, bool descending,
                          urd_index_write_fn fn, void *data) URD_MUST_USE;

/** As urd_index_writes, but instructions that read it (w->value tells nothing). fn may not ask the index anything. An index without reads is an error
 *  that says how to add them. */
urd_err *urd_index_reads(struct urd_index *x, uint32_t space, uint64_t address, uint64_t size,
                         int64_t at, int64_t from, int64_t to, bool descending,
                         urd_index_write_fn fn, void *data) URD_MUST_USE;
/** As urd_index_writes_own. */
urd_err *urd_index_reads_own(struct urd_index *x, uint32_t space, uint64_t address, uint64_t size,
                             int64_t from, int64_t to, bool descending, urd_index_write_fn fn,
                             void *data) URD_MUST_USE;
urd_err *urd_index_need_reads(const struct urd_index *x) URD_MUST_USE;

/** The life of the memory that the address's page names at the clock `at`. Borrowed until the next question. */
const struct urd_index_life *urd_index_life(struct urd_index *x, uint32_t space, uint64_t address,
                                            int64_t at);
urd_err *urd_index_load_remaps(struct urd_index *x) URD_MUST_USE;
/** Did any mapping of the space change at an event after `from`, and not after `to`? */
bool urd_index_remapped(const struct urd_index *x, uint32_t space, uint64_t from, uint64_t to);

/** Bytes of memory as they were before the instruction at `clock`; known[i] false: never mapped as far as is known,
 * or what was there is not told by the part of the run that is indexed. */
urd_err *urd_index_memory(struct urd_index *x, struct urd_trace *trace, uint32_t space,
                          uint64_t address, uint64_t size, int64_t clock, uint8_t *ret,
                          bool *ret_known) URD_MUST_USE;

/** The frames at a clock, outermost first. Free ret->frames. */
urd_err *urd_index_stack(struct urd_index *x, int64_t clock, int32_t tid,
                         struct urd_call_stack *ret) URD_MUST_USE;

typedef bool (*urd_index_call_fn)(void *data, uint32_t space, const struct urd_call *call);
/** Calls of a callee, in no particular order. */
urd_err *urd_index_calls(struct urd_index *x, uint32_t space, uint64_t entry, urd_index_call_fn fn,
                         void *data) URD_MUST_USE;

/** The calls of one row of the table, whose statement has URD_INDEX_CALL_COLUMNS. */
#define URD_INDEX_CALL_COLUMNS "space, entry, segment, n, data"
urd_err *urd_index_call_row(struct urd_index *x, sqlite3_stmt *q, urd_index_call_fn fn, void *data,
                            bool *ret_more) URD_MUST_USE;
/** As urd_index_writes, without what was written before the space was forked. */
urd_err *urd_index_writes_own(struct urd_index *x, uint32_t space, uint64_t address, uint64_t size,
                              int64_t from, int64_t to, bool descending, urd_index_write_fn fn,
                              void *data) URD_MUST_USE;

/** shared.c: the mappings of shared memory; urd_index_open calls it. */
urd_err *urd_index_load_shown(struct urd_index *x) URD_MUST_USE;
/** The shared memory that a space shows at an address at an event, or NULL. */
const struct urd_index_shown *urd_index_shown_at(const struct urd_index *x, uint32_t space,
                                                 uint64_t address, uint64_t event);
/** For urd_index_writes: does the space show any shared memory in the range at that event? */
bool urd_index_shows(const struct urd_index *x, uint32_t space, uint64_t address, uint64_t size,
                     uint64_t event);
/** For urd_index_writes, when it does; event: at which the space shows it. */
urd_err *urd_index_writes_shared(struct urd_index *x, uint32_t space, uint64_t address,
                                 uint64_t size, int64_t from, int64_t to, uint64_t event,
                                 bool descending, urd_index_write_fn fn, void *data) URD_MUST_USE;
/** As urd_index_writes, of private memory: as if nothing were shared. */
urd_err *urd_index_writes_private(struct urd_index *x, uint32_t space, uint64_t address,
                                  uint64_t size, int64_t at, int64_t from, int64_t to,
                                  bool descending, urd_index_write_fn fn, void *data) URD_MUST_USE;

/** The space a task lived in at an event. */
uint32_t urd_index_space_at(const struct urd_index *x, uint64_t event, int32_t tid);
#endif
