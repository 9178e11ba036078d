/**
 * The coarse level: what a segment that is only counted may have written, and what it ran.
 *
 * PURPOSE  Ranges of addresses in address spaces: pages that the segment may have written, blocks of code that ran in it. What is not
 *          among them it has certainly not written, or run.
 * NOT      Values, times, how often.
 * FORMAT   segments.pages and segments.ran, compressed (urd_blob_pack): varints; the number of ranges, then for each, in order of space and
 *          address and none touching another of its space: space less that of the one before; start less the end of the one before in the same
 *          space, or start; bytes. NULL: it is not known, anything may have been written or run.
 *
 * Pages are whole: [n * 4096, m * 4096). They are the private pages that the kernel had copied by the segment's end, since its checkpoint shared
 * all of them with the process: by whoever was writing. Two kinds of memory are not among them, and have to be taken for written by
 * whoever asks: shared memory, and pages that were mapped, unmapped, moved or discarded in the segment (the table remaps).
 */
#ifndef URD_INDEXER_COARSE_H
#define URD_INDEXER_COARSE_H
#include "base/buf.h"
#include "base/err.h"

struct urd_coarse {
    struct urd_coarse_range {
        uint32_t space;
        uint64_t start, end;
    } * ranges;
    uint32_t n, capacity;
    uint32_t n_tidy; /* so many are in order */
};

void urd_coarse_add(struct urd_coarse *c, uint32_t space, uint64_t start, uint64_t end);
/** In order, and joined where they touch. Before pack and touches. */
void urd_coarse_tidy(struct urd_coarse *c);
bool urd_coarse_touches(const struct urd_coarse *c, uint32_t space, uint64_t start, uint64_t end);
void urd_coarse_pack(const struct urd_coarse *c, struct urd_buf *out);
urd_err *urd_coarse_unpack(const void *data, size_t size, struct urd_coarse *ret) URD_MUST_USE;
void urd_coarse_deinit(struct urd_coarse *c);

/** The private pages of a process that nobody shares with it, as [start, end) each. */
urd_err *urd_coarse_own_pages(int pid, uint32_t space, struct urd_coarse *ret) URD_MUST_USE;
#endif
