/**
 * Evaluating expressions at every hit of some addresses without a stop at each.
 *
 * PURPOSE  Learn from the first hits what an evaluation reads and how the addresses follow from registers and from what was read before; let
 *          the process note that (replay/capture.h); evaluate behind, in frames that have what was noted.
 * NOT      Knowing what is evaluated: it is watched. And no speculation reaches an answer: a read that was not noted makes the
 *          evaluation be done again, in a replay that stands at the hit, and is learnt from.
 * CONTEXT  The engine's thread.
 *
 * An address is a register or 1 to 8 bytes of what was noted before, times a factor, plus another one of these, plus a constant: enough for
 * locals, globals, members, chains of pointers, elements of arrays. Where no such rule fits all hits that were seen, each hit is a stop.
 */
#ifndef URD_QUERY_CAPTURE_H
#define URD_QUERY_CAPTURE_H
#include "query/engine.h"

/** What is done at hits. */
struct capture_user {
    void *data;
    /** Evaluate in this frame, and keep the outcome. May come again for the same hit, with another frame. */
    urd_err *(*evaluate)(void *data, struct urd_frame *frame);
    /** The last outcome is that of this hit; clocks are in order. False ends the run. */
    bool (*give)(void *data, const struct urd_task *t, struct urd_moment m);
};

struct capture;
/** only_stops: learn nothing. */
struct capture *capture_create(struct urd_engine *e, const struct capture_user *user,
                               const struct urd_index_pc *pcs, uint32_t n, bool only_stops);
void capture_destroy(struct capture *c);

/** Before a run. */
void capture_prepare(struct capture *c, struct urd_runner *r);
/** After a run of t that began with `budget` steps: the hits that were noted in it. *ret_more: as give. */
urd_err *capture_noted(struct capture *c, const struct urd_session *s, struct urd_task *t,
                       uint64_t budget, bool *ret_more) URD_MUST_USE;
/** Then, where it stopped. */
urd_err *capture_stopped(struct capture *c, struct urd_session *s, struct urd_task *t,
                         struct urd_moment m, bool *ret_more) URD_MUST_USE;

struct capture_stats {
    uint64_t noted, missed, stopped; /* hits: from records; of these, evaluated again; by a stop */
};
struct capture_stats capture_get_stats(const struct capture *c);
#endif
