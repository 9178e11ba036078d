/**
 * Chunks on their way to the disk.
 *
 * PURPOSE  Compress and append chunks in order; once there is much to do, by a thread of their own.
 * NOT      What is in a chunk: trace/writer.c. Their bytes: trace/format.h.
 * OWNS     The file, from open to close.
 * CONTEXT  One thread hands chunks over. The other one has no signals and may run on any core.
 */
#ifndef URD_TRACE_CHUNKS_H
#define URD_TRACE_CHUNKS_H
#include "base/buf.h"
#include <pthread.h>

struct urd_chunk {
    uint16_t kind;
    uint32_t n_records;
    uint64_t first_event;
    struct urd_buf raw;
};

enum { URD_CHUNKS_QUEUED = 4 };

struct urd_chunks {
    int fd;
    const char *directory; /* for messages; borrowed */
    struct urd_buf stored;
    uint64_t bytes; /* in the file */
    bool failed;    /* a chunk could not be written whole: nothing may follow it */
    bool threaded, ending;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct urd_chunk queue[URD_CHUNKS_QUEUED]; /* queue[0] is under way */
    unsigned n;
    urd_err *err; /* of a chunk that was handed over: reported with the next one */
};

void urd_chunks_init(struct urd_chunks *c, int fd, const char *directory);
/** Waits for all; closes the file. */
void urd_chunks_deinit(struct urd_chunks *c);
/** Append a chunk. *raw is taken, and is empty afterwards. The error may be that of an earlier one. */
urd_err *urd_chunks_put(struct urd_chunks *c, uint16_t kind, uint64_t first_event,
                        uint32_t n_records, struct urd_buf *raw) URD_MUST_USE;
/** Wait until all are in the file. */
urd_err *urd_chunks_wait(struct urd_chunks *c) URD_MUST_USE;
#endif
