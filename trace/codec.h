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
    char **texts; /* decoded texts of the current event */
    size_t n_texts, cap_texts;
};

void urd_codec_reset(struct urd_codec *c);
void urd_codec_deinit(struct urd_codec *c);
void urd_codec_encode(struct urd_codec *c, const struct urd_event *e, struct urd_buf *out);
/** Decode one event; its pointers lead into the cursor's bytes and the codec's scratch. */
urd_err *urd_codec_decode(struct urd_codec *c, struct urd_cursor *in,
                          struct urd_event *ret) URD_MUST_USE;
#endif
