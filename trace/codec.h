/**
 * One event to bytes and back.
 *
 * PURPOSE  The records inside an events chunk.
 * NOT      Chunks, files, compression; see writer.c and reader.c.
 * OWNS     A codec keeps each task's last registers; urd_codec_reset forgets them at a chunk's start.
 */
#ifndef URD_TRACE_CODEC_H
#define URD_TRACE_CODEC_H
#include "base/buf.h"
#include "base/map.h"
#include "base/runtime_entry.h"
#include "trace/event.h"

struct urd_codec {
    struct urd_map tasks; /* tid -> index into regs + 1 */
    struct user_regs_struct *regs;
    size_t n_regs, cap_regs;
    uint64_t time_ns;
    struct urd_map_op *map_ops; /* scratch of the decoder, reused */
    struct urd_mem_write *writes;
    struct urd_patch *patches;
    size_t cap_map_ops, cap_writes, cap_patches;
    struct urd_cut cut;
    const uint8_t *clones; /* the reader's: the trace's, which outlives the codec */
    uint64_t clones_bytes;
    char **texts; /* decoded texts of the current event */
    size_t n_texts, cap_texts;
};

/**
 * A call that was made without stopping its task (URD_EVENT_FAST): what is left of an event when nothing but registers and memory
 * changed by it. Its `before` is what a stop at the call's entry would have shown, `after` differs by the result only.
 */
enum { URD_TRACE_CALL_WRITES = 3 };
struct urd_trace_call {
    int32_t pid, tid;
    uint64_t time_ns;
    const struct urd_runtime_frame *regs; /* the caller's; rcx is the address of its `syscall` */
    uint64_t rsp;
    const uint64_t *fs_base, *gs_base; /* NULL: those of the task's last event */
    int64_t result;
    uint32_t n_writes;
    struct urd_mem_write writes[URD_TRACE_CALL_WRITES];
    uint8_t output; /* as the event has it */
    const uint8_t *output_data;
    uint64_t output_size;
};

void urd_codec_reset(struct urd_codec *c);
void urd_codec_deinit(struct urd_codec *c);
void urd_codec_encode(struct urd_codec *c, const struct urd_event *e, struct urd_buf *out);
/** The same bytes as those of the event that *k is. False: this chunk has no event of the task yet, whose segments it could have. */
bool urd_codec_encode_call(struct urd_codec *c, const struct urd_trace_call *k,
                           struct urd_buf *out);
/** Decode one event; its pointers lead into the cursor's bytes and the codec's scratch. What a failure leaves in *e is no event. */
urd_err *urd_codec_decode(struct urd_codec *c, struct urd_cursor *in,
                          struct urd_event *e) URD_MUST_USE;
#endif
