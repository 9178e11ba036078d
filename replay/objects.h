/**
 * Shared memory of a replay: one memory file for each object that recorded processes shared.
 *
 * PURPOSE  Map an object into the processes that mapped it; give a copy of a session objects of its own.
 * NOT      Deciding what is one object: the recorder did that (record/shared.h).
 * OWNS     The memory files. Each session has its own, so checkpoints, which are forks, share nothing with it.
 */
#ifndef URD_REPLAY_OBJECTS_H
#define URD_REPLAY_OBJECTS_H
#include "replay/process.h"

struct urd_objects {
    struct urd_object {
        uint32_t id;
        int fd;
    } * list; /* in the order of their ids */
    uint32_t n, cap;
    uint32_t kept; /* so many were in use when that was last looked at */
};

void urd_objects_deinit(struct urd_objects *o);
/** Is it an operation on an object? Others are urd_process_map's. */
static inline bool urd_objects_concern(const struct urd_map_op *op)
{
    return op->object && (op->kind == URD_MAP_MAP || op->kind == URD_MAP_RESIZE);
}
urd_err *urd_objects_map(struct urd_objects *o, struct urd_process *p,
                         const struct urd_trace *trace, const struct urd_map_op *op) URD_MUST_USE;
/** Are there so many that it is time to drop those that nobody maps? An object without a mapping never comes back. */
bool urd_objects_are_many(const struct urd_objects *o);
/** Close those that none of the processes has mapped. */
urd_err *urd_objects_drop_unused(struct urd_objects *o, struct urd_process *const *processes,
                                 uint32_t n_processes) URD_MUST_USE;
/** Bytes that came in where a process maps an object and may not write: not even /proc/PID/mem can. False: it does not. */
bool urd_objects_write(const struct urd_objects *o, struct urd_process *p,
                       const struct urd_mem_write *w);
/**
 * Copies of the objects that the processes still have mapped, for a checkpoint. False in *ret_possible, and nothing is
 * copied, when that would be too much.
 */
urd_err *urd_objects_copy(const struct urd_objects *from, struct urd_process *const *processes,
                          uint32_t n_processes, bool *ret_possible,
                          struct urd_objects *ret) URD_MUST_USE;
/** In an adopted process, which is a fork: replace the mappings of the original's objects by those of its own. */
urd_err *urd_objects_adopt(const struct urd_objects *o, struct urd_process *p) URD_MUST_USE;
#endif
