/**
 * Waypoints: places in a long computation that a native run recognises.
 *
 * PURPOSE  Between two events there is nothing that a native replay could stop at, and counting steps under translation takes
 *          several times as long as running. But the index tells which instructions ran, and how often: one that ran seldom, and last
 *          shortly before the place that is wanted, is a place at which a hardware breakpoint stops, after so many hits.
 * NOT      Running there; see live.c and urd_session_run_to.
 */
#ifndef URD_QUERY_WAYPOINT_H
#define URD_QUERY_WAYPOINT_H
#include "query/index.h"

/** The hits-th execution, from where one stands, of the instruction at pc. */
struct waypoint {
    uint64_t pc, hits;
    int64_t clock;    /* when that is: the instruction is about to run */
    uint64_t goal_pc; /* the instruction that runs at the goal; 0: not known */
};

/** May there be a breakpoint at the instruction? A REP instruction hits it more than once, perhaps. */
typedef bool (*waypoint_fits_fn)(void *data, uint64_t pc);

/**
 * The best waypoint from the clock `from` on, before `goal`; both lie in one interval between events. *ret_found is false
 * where counting all steps is as good (what ran shortly before the goal ran all the time), or a part of the way is not indexed.
 */
urd_err *waypoint_find(struct urd_index *x, int64_t from, int64_t goal, waypoint_fits_fn fits,
                       void *data, bool *ret_found, struct waypoint *ret) URD_MUST_USE;
#endif
