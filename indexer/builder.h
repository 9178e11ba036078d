/**
 * One segment's rows from the log of its translated replay.
 *
 * PURPOSE  The sink of a runner (replay/run_translated.h): decodes records, splits them into flow, stores, writes and calls.
 * NOT      Running anything; SQLite (rows are handed to the store).
 * OWNS     All columns of one segment. One thread.
 */
#ifndef URD_INDEXER_BUILDER_H
#define URD_INDEXER_BUILDER_H
#include "indexer/calls.h"
#include "indexer/flow.h"
#include "indexer/store.h"
#include "indexer/writes.h"
#include "replay/run_translated.h"

struct urd_builder;

/** processor, follow_after: as in urd_index_options. */
struct urd_builder *urd_builder_create(struct urd_trace *trace, const char *processor,
                                       unsigned follow_after, struct urd_store_segment *out);
void urd_builder_destroy(struct urd_builder *b);
struct urd_sink urd_builder_sink(struct urd_builder *b);
/** Before event e is applied: its writes, its mappings, and what it does to stacks. */
void urd_builder_event(struct urd_builder *b, const struct urd_session *s,
                       const struct urd_event *e);
/** The segment ends. Everything that is buffered goes to the store segment. */
urd_err *urd_builder_finish(struct urd_builder *b) URD_MUST_USE;
uint64_t urd_builder_steps(const struct urd_builder *b);
#endif
