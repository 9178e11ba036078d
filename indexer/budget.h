/**
 * How much memory an index build may use.
 *
 * PURPOSE  Says whether one more segment may be worked on beside those that are.
 * NOT      A limit that holds whatever comes: one segment at a time is always worked on.
 * CONTEXT  Any thread.
 *
 * What counts are the proportional sizes (smaps_rollup, man 5 proc) of this process and of its children, the replays: what
 * checkpoints share with each other counts once. The next segment is expected to take as much as the others on average.
 */
#ifndef URD_INDEXER_BUDGET_H
#define URD_INDEXER_BUDGET_H
#include "base/err.h"
#include <pthread.h>

struct urd_budget {
    pthread_mutex_t lock;
    uint64_t limit_bytes;
    uint64_t used_bytes, most_bytes; /* when it was looked at last; the most ever seen */
    uint64_t looked_ns;              /* when */
};

void urd_budget_init(struct urd_budget *b, uint64_t limit_bytes);
void urd_budget_deinit(struct urd_budget *b);
/** May there be one more than n_running? It looks at most every 50 ms, which takes a millisecond or a few. */
bool urd_budget_allows(struct urd_budget *b, unsigned n_running);
#endif
