/**
 * One segment's reads from the log of its translated replay (URD_PROBE_READS).
 *
 * PURPOSE  The sink of a pass of its own over the run: `urd index --reads`. Nothing of the rest of the index is touched or made again.
 * NOT      What a read is: translate/reads.c. The kernel's reads (of what a program gives to write()) are none.
 * OWNS     The columns of one segment. One thread.
 * FORMAT   Rows as those of the table `writes` (writes.h), each with 0 for its bytes: what was read is what the last write left there.
 *          table reads, and read_segments(id, steps, start_clock): this pass is cut at other places than the index.
 */
#ifndef URD_INDEXER_READS_H
#define URD_INDEXER_READS_H
#include "indexer/store.h"
#include "replay/run_translated.h"

struct urd_reads;
struct urd_reads *urd_reads_create(struct urd_store_segment *out);
void urd_reads_destroy(struct urd_reads *r);
struct urd_sink urd_reads_sink(struct urd_reads *r);
uint64_t urd_reads_steps(const struct urd_reads *r);
/** The segment ends: all goes to the store segment, as its writes. */
urd_err *urd_reads_finish(struct urd_reads *r) URD_MUST_USE;
#endif
