/**
 * Rows of the index on their way into SQLite.
 *
 * PURPOSE  A segment's rows are collected in memory and written in one transaction, so that a segment is in the index
 *          whole or not at all, whoever is killed when.
 * OWNS     The database connection (one, guarded by a lock).
 */
#ifndef URD_INDEXER_STORE_H
#define URD_INDEXER_STORE_H
#include "base/buf.h"
#include "trace/trace.h"
#include <sqlite3.h>

struct urd_store;
/**
 * Open or make index.urd in the trace's directory. Who has it open for writing holds index.lock: a second one is refused, and those who ask know that
 * it is still being written.
 */
urd_err *urd_store_open(const char *directory, struct urd_store **ret) URD_MUST_USE;
void urd_store_close(struct urd_store *s);
sqlite3 *urd_store_db(struct urd_store *s);
urd_err *urd_store_exec(struct urd_store *s, const char *sql) URD_MUST_USE;
urd_err *urd_store_failed(sqlite3 *db, const char *what);
/** The number at a key of the table `meta`; 0: none. */
uint64_t urd_store_number(struct urd_store *s, const char *key);
/**
 * From now on others can read while this one writes, which costs a copy of all that is written. Before that they cannot, unless the index was
 * complete when it was opened.
 */
urd_err *urd_store_share(struct urd_store *s) URD_MUST_USE;
/** Other threads wait with their segments in between. */
void urd_store_hold(struct urd_store *s);
void urd_store_release(struct urd_store *s);
/** Is somebody writing the index of this trace? */
bool urd_store_is_written(const char *directory);

/** A blob in the segment's own memory. */
struct urd_store_blob {
    uint64_t at, size;
};

struct urd_store_segment {
    uint32_t id;
    bool counted; /* there is nothing but event_steps */
    struct urd_moment start, end;
    uint64_t steps, n_writes;
    struct urd_buf bytes; /* all blobs */
    struct urd_store_write {
        uint32_t space, n;
        uint64_t page, first;
        uint8_t words[64];
        struct urd_store_blob data;
    } * writes;
    uint32_t n_write_rows, cap_write_rows;
    struct urd_store_flow {
        int32_t tid;
        uint32_t space, blocks;
        uint64_t first, steps;
        struct urd_store_blob cover, stack, data, stores;
    } * flow;
    uint32_t n_flow, cap_flow;
    struct urd_store_touched {
        uint32_t space;
        uint64_t page;
        struct urd_store_blob data;
    } * touched;
    uint32_t n_touched, cap_touched;
    struct urd_store_calls {
        uint32_t space, n;
        uint64_t entry;
        struct urd_store_blob data;
    } * calls;
    uint32_t n_calls, cap_calls;
    struct urd_store_blob event_steps, blocks, joins;
    struct urd_store_blob pages, ran; /* of a counted one, see coarse.h; size 0: not known */
};

struct urd_store_blob urd_store_keep(struct urd_store_segment *g, const void *data, size_t size);
struct urd_page_row;
/** An urd_page_row_fn: row goes to the segment's writes. segment: a struct urd_store_segment. */
urd_err *urd_store_keep_page_row(void *segment, const struct urd_page_row *row) URD_MUST_USE;
urd_err *urd_store_put_segment(struct urd_store *s, const struct urd_store_segment *g) URD_MUST_USE;
/** The writes of g are reads (reads.h). */
urd_err *urd_store_put_reads(struct urd_store *s, const struct urd_store_segment *g) URD_MUST_USE;
void urd_store_segment_deinit(struct urd_store_segment *g);
#endif
