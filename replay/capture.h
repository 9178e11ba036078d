/**
 * Noting what a stop would look at, without stopping.
 *
 * PURPOSE  What is to be noted at a stop address of translated code (registers, and memory whose addresses are computed from what was
 *          noted before), and the records that this makes.
 * NOT      Deciding what to note (query/capture.h), or evaluating it.
 * CONTEXT  The tool, and code that runs in replayed processes (capture_translated.c).
 *
 * The records lie in the log's place, as a runner that stops writes no log. Where there is no room for another one, or a load faults, the
 * process stops at the address as it would otherwise, with nothing noted: the records before are of earlier hits.
 */
#ifndef URD_REPLAY_CAPTURE_H
#define URD_REPLAY_CAPTURE_H
#include "base/runtime_entry.h"
#include "translate/context.h"

/** A number that is part of the record already. */
struct urd_capture_term {
    uint16_t at;   /* offset in the record, bytes */
    uint8_t bytes; /* 1, 2, 4 or 8; 0: there is none, its value is 0 */
    uint8_t is_signed;
};

/** Memory to note: `size` bytes at base + index * scale + disp. */
struct urd_capture_load {
    struct urd_capture_term base, index;
    int64_t scale, disp;
    uint32_t size;
};

enum { URD_CAPTURE_LOADS = 32, URD_CAPTURES = 64, URD_CAPTURE_BYTES = 8192 };

struct urd_capture {
    uint64_t pc;
    uint32_t space;
    uint32_t size; /* of a record, at most URD_CAPTURE_BYTES */
    bool vectors;  /* note xmm0 to xmm15 as well */
    uint32_t n_loads;
    struct urd_capture_load loads[URD_CAPTURE_LOADS];
};

/** A record; n_loads times struct urd_captured_load and its bytes follow, each padded to 8. */
struct urd_captured {
    uint64_t size; /* with what follows */
    uint64_t pc;
    int64_t steps_left; /* of the run's budget */
    struct urd_runtime_frame regs;
    uint64_t rsp, fs_base;
    uint64_t has_vectors;
    uint8_t vectors[16][16];
};

struct urd_captured_load {
    uint64_t address, size;
};

/** Bytes that a load takes in a record. */
static inline uint32_t urd_capture_load_bytes(uint32_t size)
{
    return (uint32_t)sizeof(struct urd_captured_load) + ((size + 7) & ~7u);
}

/** What a process has of it, at CAPTURES_AT. */
struct captures {
    uint64_t fsgsbase; /* the processor's RDFSBASE may be used */
    uint64_t n;
    struct urd_capture list[URD_CAPTURES];
};

#define CAPTURES_AT (URD_CONTEXT_BASE + 0x300000u)

/* As it lies in the tool's own image; mapped at URD_STOPS_CODE. */
extern const uint8_t capture_begin[], capture_end[];
#endif
