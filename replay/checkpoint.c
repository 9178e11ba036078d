#include "base/buf.h"
#include "replay/session.h"

/** The copy's process for one of the original's, made when the first task of it is copied. */
static urd_err *copy_process(struct urd_session *copy, const struct urd_session *s,
                             struct urd_process *from, struct urd_process **ret)
{
    for (uint32_t i = 0, k = 0; i < s->n_tasks && k < copy->n_tasks; i++) {
        if (!s->tasks[i].exists)
            continue;
        if (s->tasks[i].process == from) {
            *ret = copy->tasks[k].process;
            (*ret)->refs++;
            return NULL;
        }
        k++;
    }
    struct urd_process *p = urd_xcalloc(1, sizeof *p);
    urd_err *err = urd_process_checkpoint(from, p);
    if (err) {
        free(p);
        return urd_err_hop(err, __func__, __FILE__, __LINE__);
    }
    p->refs = 1;
    urd_stacks_append(&p->former, &from->former);
    *ret = p;
    return NULL;
}

/** Tasks are copied in order; copy->n_tasks counts those that are whole. */
static urd_err *copy_tasks(struct urd_session *copy, const struct urd_session *s)
{
    for (uint32_t i = 0; i < s->n_tasks; i++) {
        const struct urd_task *from = &s->tasks[i];
        struct urd_task *to = &copy->tasks[copy->n_tasks];
        if (!from->exists)
            continue;
        *to = *from;
        URD_TRY(copy_process(copy, s, from->process, &to->process));
        if (from->vectors) {
            to->vectors = urd_xrealloc(NULL, sizeof *to->vectors);
            *to->vectors = *from->vectors;
            if (from->process->loaded == from->vectors)
                to->process->loaded = to->vectors;
        }
        copy->n_tasks++;
    }
    return NULL;
}

/** The objects of the copy, as they are now. */
static urd_err *copy_objects(const struct urd_session *s, bool *ret_possible,
                             struct urd_objects *ret)
{
    uint32_t n;
    URD_AUTO_FREE struct urd_process **processes = urd_session_processes(s, &n);
    URD_TRY(urd_objects_copy(&s->objects, processes, n, ret_possible, ret));
    return NULL;
}

urd_err *urd_session_checkpoint(struct urd_session *s, bool *ret_possible, struct urd_session **ret)
{
    *ret_possible = !s->has_shared;
    if (!*ret_possible)
        return NULL;
    urd_session_settle(s);
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
    copy->process_gone = NULL;
    copy->cutter = NULL;
    copy->reader = NULL;
    copy->ahead = (struct urd_ahead){0};
    copy->tasks = urd_xcalloc(s->n_tasks ? s->n_tasks : 1, sizeof *copy->tasks);
    copy->n_tasks = 0;
    copy->cap_tasks = s->n_tasks;
    urd_err *err = copy_tasks(copy, s);
    if (!err)
        err = urd_trace_read_from(s->trace, s->event + 1, &copy->reader);
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
    for (uint32_t i = 0; i < s->n_tasks; i++) {
        bool first = s->tasks[i].exists;
        for (uint32_t k = 0; k < i && first; k++)
            first = s->tasks[k].process != s->tasks[i].process;
        if (!first)
            continue;
        URD_TRY(urd_process_adopt(s->tasks[i].process));
        URD_TRY(urd_objects_adopt(&s->objects, s->tasks[i].process));
    }
    return NULL;
}
