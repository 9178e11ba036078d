/**
 * How many system calls stopped the program while it was recorded, and from where.
 *
 * PURPOSE  Show which calls and which places in the code are worth a faster way (record/fast.c).
 */
#ifndef URD_QUERY_CALL_COUNTS_H
#define URD_QUERY_CALL_COUNTS_H
#include "base/map.h"
#include "trace/trace.h"
#include <jansson.h>

struct call_counts {
    uint64_t all[600], stopped[600]; /* by number */
    uint64_t insns, insns_stopped;   /* RDTSC, RDRAND and their kind */
    struct call_code {
        uint64_t start, size, offset;
        uint32_t file;
    } * code; /* as it was mapped, in order */
    unsigned n_code, cap_code, last;
    struct call_site {
        uint64_t offset, count;
        uint32_t file; /* as in urd_map_op; 0: in no file */
        int32_t number;
    } * sites;
    unsigned n_sites, cap_sites;
    struct urd_map by_key; /* of file, offset and number -> index in sites + 1 */
};

void call_counts_add(struct call_counts *c, const struct urd_event *e);
/** Into the summary: `syscalls` and `stopped` by name, `fast` in all, `sites` that stopped most, `instructions_answered` and `.._stopped`. */
void call_counts_tell(struct call_counts *c, const struct urd_trace *trace, json_t *summary);
void call_counts_deinit(struct call_counts *c);
#endif
