/**
 * The runtime region of a replay: code and data in a replayed process that play calls back without a stop.
 *
 * PURPOSE  The layout, as the code in it (fast_runtime.c) and the tool (fast.c) see it.
 * CONTEXT  Private memory at URD_RUNTIME_CODE, where the recording had a region of its own.
 */
#ifndef URD_REPLAY_FAST_RUNTIME_H
#define URD_REPLAY_FAST_RUNTIME_H
#include "base/runtime_entry.h"

#define FAST_RING_BYTES (256u << 10)

/** A call to come; then n_items times struct fast_item and its bytes, each padded to 8. */
struct fast_record {
    uint32_t size; /* with its items, bytes */
    uint32_t n_items;
    struct urd_runtime_frame regs; /* that the caller must have; rcx is the address of its `syscall`; r11 is not looked at */
    uint64_t rsp, fs_base;
    int64_t result;
};

/** What the kernel wrote. */
struct fast_item {
    uint64_t address, size;
};

struct fast_data {
    struct urd_runtime_state state;
    uint64_t flags_checked; /* which flags must be equal */
    uint64_t fsgsbase;      /* the processor's RDFSBASE may be used */
    /* written by the tool at once: */
    uint64_t done __attribute__((aligned(4096))); /* calls that were played back */
    uint64_t at, end;                             /* the next one; where the ring ends */
    uint8_t ring[FAST_RING_BYTES];
};

#define FAST_REGION_BYTES (URD_RUNTIME_CODE_BYTES + sizeof(struct fast_data))

/* As it lies in the tool's own image; fast_begin is mapped at URD_RUNTIME_CODE. */
extern const uint8_t fast_begin[], fast_end[];
extern const uint8_t fast_leave[]; /* the last instruction */
#endif
