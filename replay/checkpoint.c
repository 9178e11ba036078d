#include "base/buf.h"
#include "replay/session.h"

static bool shares_memory(const struct urd_session *s)
{
    if (s->has_shared)
        return true;
    for (uint32_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i].exists && s->tasks[i].shares_with)
            return true;
    return false;
}

/** The objects of the copy, as they are now. */
static urd_err *copy_objects(const struct urd_session *s, bool *ret_possible,
                             struct urd_objects *ret)
{
    URD_AUTO_FREE struct urd_process **processes =
        urd_xcalloc(s->n_tasks + 1, sizeof *processes);
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i].exists)
            processes[n++] = &s->tasks[i].process;
    URD_TRY(urd_objects_copy(&s->objects, processes, n, ret_possible, ret));
    return NULL;
}

urd_err *urd_session_checkpoint(struct urd_session *s, bool *ret_possible, struct urd_session **ret)
{
    *ret_possible = !shares_memory(s);
    if (!*ret_possible)
        return NULL;
    struct urd_objects objects = {0};
    urd_err *objects_err = copy_objects(s, ret_possible, &objects);
    if (objects_err || !*ret_possible) {
        urd_objects_deinit(&objects);
        return objects_err;
    }
    struct urd_session *copy = urd_xcalloc(1, sizeof *copy);
    *copy = *s;
    copy->objects = objects;
    copy->output = NULL;
    copy->task_gone = NULL;
    copy->reader = NULL;
    copy->tasks = urd_xcalloc(s->n_tasks, sizeof *copy->tasks);
    copy->n_tasks = 0;
    copy->cap_tasks = s->n_tasks;
    for (uint32_t i = 0; i < s->n_tasks; i++) {
        struct urd_task *from = &s->tasks[i], *to = &copy->tasks[copy->n_tasks];
        if (!from->exists)
            continue;
        *to = *from;
        to->user = NULL;
        to->process = (struct urd_process){.mem = -1};
        urd_err *err = urd_process_checkpoint(&from->process, &to->process);
        if (err) {
            urd_session_close(copy);
            return urd_err_hop(err, __func__, __FILE__, __LINE__);
        }
        copy->n_tasks++;
    }
    urd_err *err = urd_trace_read_from(s->trace, s->event + 1, &copy->reader);
    if (!err)
        err = urd_trace_next(copy->reader, &copy->next);
    if (err) {
        urd_session_close(copy);
        return urd_err_hop(err, __func__, __FILE__, __LINE__);
    }
    *ret = copy;
    return NULL;
}

urd_err *urd_session_adopt(struct urd_session *s)
{
    for (uint32_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i].exists) {
            URD_TRY(urd_process_adopt(&s->tasks[i].process));
            URD_TRY(urd_objects_adopt(&s->objects, &s->tasks[i].process));
        }
    return NULL;
}
