/**
 * The desk: where questions wait for an engine.
 *
 * PURPOSE  An engine belongs to one thread (its replays are traced by that thread), so each has a
 * thread and a queue; connections put jobs in the queue. NOT      What a job does with its engine:
 * see answer.h. OWNS     The engines. A job's data belongs to the job's function, which is called
 * exactly once.
 */
#ifndef URD_SERVER_DESK_H
#define URD_SERVER_DESK_H
#include "query/ask.h"

struct urd_desk;

enum urd_desk_lane {
    URD_LANE_QUICK, /* a person waits: moves, values, blame */
    URD_LANE_LONG,  /* streams for as long as it takes: print, calls, sql */
    URD_LANES,
};

/** Called on the engine's thread. engine is NULL when it cannot be used; err (owned) then says why.
 */
typedef void (*urd_job_fn)(void *data, struct urd_engine *engine, urd_err *err);

/** Opens the first engine, so that a trace that cannot be opened is an error here. */
urd_err *urd_desk_open(const char *trace_directory, int engines,
                       struct urd_desk **ret) URD_MUST_USE;
/** Jobs that wait are called with an error. An engine that does not stop within a few seconds is
 * left behind. */
void urd_desk_close(struct urd_desk *d);

/** Fails when too many questions wait already; fn is then not called. */
urd_err *urd_desk_submit(struct urd_desk *d, enum urd_desk_lane lane, urd_job_fn fn,
                         void *data) URD_MUST_USE;
#endif
