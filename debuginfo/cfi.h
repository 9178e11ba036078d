/**
 * Call frame information: one frame up.
 *
 * PURPOSE  From the registers of a frame, those of its caller: for values in outer frames, and for
 *          DW_OP_call_frame_cfa.
 * NOT      Whole stacks from call history: the index knows better.
 * FORMAT   .eh_frame (LSB, DWARF 5 section 6.4), .debug_frame.
 */
#ifndef URD_DEBUGINFO_CFI_H
#define URD_DEBUGINFO_CFI_H
#include "debuginfo/value.h"

/** A caller's frame; `frame` reads through it, so it must not move or end before frame does. */
struct urd_caller {
    struct urd_frame frame;
    const struct urd_frame *inner;
    uint64_t cfa;
    uint64_t registers[17]; /* by DWARF number */
    uint32_t known;         /* bit n: registers[n] is known */
};

/** The canonical frame address of a frame. */
bool urd_debuginfo_cfa(const struct urd_frame *frame, uint64_t *ret);
/** false: no CFI here (rbp is then tried when it looks like a frame pointer), or the outermost. */
bool urd_debuginfo_unwind(const struct urd_frame *inner, struct urd_caller *ret);

#endif
