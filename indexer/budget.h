/**
 * How much memory an index build may use.
 *
 * PURPOSE  Says whether one more segment may be worked on beside those that are.
 * NOT      A limit that holds whatever comes: one segment at a time is always worked on.
 * CONTEXT  Any thread.
 *
 * What counts are the proportional sizes (smaps_rollup, man 5 proc) of this process and of its children, the replays: what
 * checkpoints share with each other counts once. With one more segment it is expected to be as much as it was when so many
 * were worked on before, or, if that is less or is not known, each as much as the others on average: most of it may be what
 * all of them share, or what the allocator keeps of those that are done.
 */
#ifndef URD_INDEXER_BUDGET_H
#define URD_INDEXER_BUDGET_H
#include "base/err.h"
#include <pthread.h>

enum { URD_BUDGET_RUNNING = 64 };

struct urd_budget {
    pthread_mutex_t lock;
    uint64_t limit_bytes;
    uint64_t most_with
        [URD_BUDGET_RUNNING]; /* the most ever seen while so many segments were worked on; 0: never looked */
    uint64_t used_bytes, most_bytes; /* when it was looked at last; the most ever seen */
    uint64_t looked_ns;              /* when */
};

void urd_budget_init(struct urd_budget *b, uint64_t limit_bytes);
void urd_budget_deinit(struct urd_budget *b);
/** Look while n_running segments are worked on: best when one is at its largest. At most every 50 ms, which takes a millisecond or a few. */
void urd_budget_look(struct urd_budget *b, unsigned n_running);
/** May there be one more than n_running? Looks. */
bool urd_budget_allows(struct urd_budget *b, unsigned n_running);
#endif
