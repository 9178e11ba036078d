/**
 * Putting an event together while the task is stopped.
 *
 * PURPOSE  Collect an event's memory writes and mapping changes; bytes are read from the task at once.
 * OWNS     Everything that the event points to, until the next event_begin.
 */
#ifndef URD_RECORD_EVENT_BUILDER_H
#define URD_RECORD_EVENT_BUILDER_H
#include "base/buf.h"
#include "trace/event.h"

struct event_builder {
    struct urd_event event;
    struct urd_map_op *ops;
    uint32_t n_ops, cap_ops;
    struct urd_mem_write *writes; /* data holds an offset into bytes until event_finish */
    uint32_t n_writes, cap_writes;
    struct urd_buf bytes, output;
    char *names[64]; /* texts of map ops, freed at the next begin */
    unsigned n_names;
    char *text;
    uint8_t xstate[16384] __attribute__((aligned(64)));
};

void event_begin(struct event_builder *b, enum urd_event_kind kind, pid_t pid, pid_t tid);
/** Add `size` bytes of the task's memory, as they are now; unreadable parts are left out. */
void event_add_memory(struct event_builder *b, int mem, uint64_t address, uint64_t size);
/** Add bytes that the task's memory is going to have. */
void event_add_bytes(struct event_builder *b, uint64_t address, const void *data, uint64_t size);
/** Add bytes that the trace has in its clones, at this place. No more than one for an event. */
void event_add_clone(struct event_builder *b, uint64_t address, uint64_t size, uint64_t at);
void event_add_op(struct event_builder *b, struct urd_map_op op);
/** Add memory that the task wrote to stdout (1) or stderr (2). */
void event_add_output(struct event_builder *b, int which, int mem, uint64_t address, uint64_t size);
/** ... with the bytes given. */
void event_add_output_bytes(struct event_builder *b, int which, const void *data, uint64_t size);
/** Resolve offsets; the event is then ready to be appended. */
const struct urd_event *event_finish(struct event_builder *b);
void event_builder_deinit(struct event_builder *b);
#endif
