/* Live replays: going to a moment.
 *
 * A seek begins at the nearest place that is known: where the last question looked, or a parked copy. It runs natively
 * to the moment's event and counts steps from there under translation. On a long way copies are parked, so that the next
 * questions in that region begin there. When there is no room for another one, the copy goes that is the least way from the one
 * before.
 */
#include "query/engine.h"
#include "base/log.h"
#include <sys/ptrace.h>

enum {
    PARK_NS = 40000000,       /* of a way, after which a copy is worth it */
    PARK_TIMES = 8,           /* ... if making the last copy took no more than that part of it */
    STEPS_AT_ONCE = 25000000, /* without a look at the time */
};

static void live_close(struct live *l)
{
    urd_session_close(l->session);
    *l = (struct live){0};
}

void engine_live_close(struct urd_engine *e)
{
    live_close(&e->live);
    for (unsigned i = 0; i < e->n_parked; i++)
        live_close(&e->parked[i]);
    e->n_parked = 0;
    if (e->kept)
        urd_kept_code_destroy(e->kept);
    e->kept = NULL;
}

static urd_err *copy_live(const struct live *from, struct live *ret, bool *ret_possible)
{
    struct urd_session *copy;
    URD_TRY(urd_session_checkpoint(from->session, ret_possible, &copy));
    if (!*ret_possible)
        return NULL;
    urd_err *err = urd_session_adopt(copy);
    if (err) {
        urd_session_close(copy);
        return err;
    }
    copy->check_memory = from->session->check_memory;
    *ret = (struct live){.session = copy, .at = from->at};
    return NULL;
}

static void measure(struct live *l)
{
    const struct urd_session *s = l->session;
    l->processes = 0;
    l->resident = 0;
    for (uint32_t i = 0; i < s->n_tasks; i++) {
        bool first = s->tasks[i].exists;
        for (uint32_t k = 0; k < i && first; k++)
            first = s->tasks[k].process != s->tasks[i].process;
        if (!first)
            continue;
        char path[40];
        unsigned long pages = 0;
        snprintf(path, sizeof path, "/proc/%d/statm", (int)s->tasks[i].process->pid);
        FILE *f = fopen(path, "re");
        if (f && fscanf(f, "%*u %lu", &pages) != 1)
            pages = 0;
        if (f)
            fclose(f);
        l->processes++;
        l->resident += (uint64_t)pages * 4096;
    }
}

static bool there_is_room(const struct urd_engine *e)
{
    uint64_t resident = 0;
    uint32_t processes = 0;
    for (unsigned i = 0; i < e->n_parked; i++) {
        resident += e->parked[i].resident;
        processes += e->parked[i].processes;
    }
    return e->n_parked < PARKED_FEW ||
           (e->n_parked < PARKED && resident <= PARKED_RESIDENT && processes <= PARKED_PROCESSES);
}

/** Take the copy out that is the least way from the one before. */
static void unpark_one(struct urd_engine *e)
{
    unsigned victim = 0;
    for (unsigned i = 1; i < e->n_parked; i++)
        if (e->parked[i].cost_ns < e->parked[victim].cost_ns)
            victim = i;
    if (victim + 1 < e->n_parked)
        e->parked[victim + 1].cost_ns += e->parked[victim].cost_ns;
    live_close(&e->parked[victim]);
    e->n_parked--;
    memmove(e->parked + victim, e->parked + victim + 1, (e->n_parked - victim) * sizeof *e->parked);
}

/** Park a copy of l, which has come cost_ns since it began or parked. */
static urd_err *park(struct urd_engine *e, const struct live *l, uint64_t cost_ns)
{
    unsigned at = 0;
    while (at < e->n_parked && urd_moment_compare(e->parked[at].at, l->at) < 0)
        at++;
    if (at < e->n_parked && urd_moment_compare(e->parked[at].at, l->at) == 0)
        return NULL;
    struct live copy;
    bool possible;
    URD_TRY(copy_live(l, &copy, &possible));
    if (!possible)
        return NULL;
    copy.cost_ns = cost_ns;
    measure(&copy);
    while (!there_is_room(e))
        unpark_one(e);
    for (at = e->n_parked; at && urd_moment_compare(e->parked[at - 1].at, copy.at) > 0; at--)
        e->parked[at] = e->parked[at - 1];
    e->parked[at] = copy;
    e->n_parked++;
    return NULL;
}

/** On a way: since when, and what the last copy cost. */
struct way {
    uint64_t since_ns, copy_ns;
};

static urd_err *park_on_the_way(struct urd_engine *e, const struct live *l, struct way *w)
{
    uint64_t now = urd_now_ns(), ns = now - w->since_ns;
    if (ns < PARK_NS || ns < PARK_TIMES * w->copy_ns)
        return NULL;
    URD_TRY(park(e, l, ns));
    w->since_ns = urd_now_ns();
    w->copy_ns = w->since_ns - now;
    return NULL;
}

/** A session at the best place at or before m. The engine's live one is used up when it is the best. */
static urd_err *nearest(struct urd_engine *e, struct urd_moment m, struct live *ret)
{
    struct live *best = NULL;
    for (unsigned i = 0; i < e->n_parked && urd_moment_compare(e->parked[i].at, m) <= 0; i++)
        best = &e->parked[i];
    if (e->live.session && urd_moment_compare(e->live.at, m) <= 0 &&
        (!best || urd_moment_compare(e->live.at, best->at) >= 0)) {
        *ret = e->live;
        e->live = (struct live){0};
        return NULL;
    }
    if (best) {
        bool possible;
        URD_TRY(copy_live(best, ret, &possible));
        if (possible)
            return NULL;
    }
    *ret = (struct live){0};
    return urd_session_open(e->trace, true, &ret->session);
}

static urd_err *count_steps(struct urd_engine *e, struct live *l, uint64_t steps)
{
    struct urd_runner *r;
    enum urd_run_end end;
    if (!e->kept)
        e->kept = urd_kept_code_create();
    URD_TRY(urd_runner_create(l->session, URD_PROBE_COUNT, NULL, &r));
    urd_runner_keep_code(r, e->kept);
    uint64_t left = steps;
    urd_err *err = urd_runner_run(r, &left, &end);
    urd_runner_destroy(r);
    URD_TRY(err);
    if (left)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "event %llu is followed by only %llu steps",
                                      (unsigned long long)l->at.event,
                                      (unsigned long long)(l->at.steps + steps - left)),
                            "the next moment is %llu:0", (unsigned long long)l->at.event + 1);
    l->at.steps += steps;
    return NULL;
}

enum { MOST_AT_ONCE = 10000 }; /* events without a look at the time */

/** Natively. */
static urd_err *run_events(struct urd_engine *e, struct live *l, uint64_t event, struct way *w)
{
    struct urd_session *s = l->session;
    while (s->event < event) {
        uint64_t most = s->event + MOST_AT_ONCE;
        if (!s->next)
            URD_WRONG("there is no event %llu; the trace ends with event %llu",
                      (unsigned long long)event, (unsigned long long)s->event);
        URD_TRY(urd_session_next(s, most < event ? most : event));
        l->at = (struct urd_moment){s->event, 0};
        URD_TRY(park_on_the_way(e, l, w));
    }
    urd_session_settle(s);
    return NULL;
}

static urd_err *go(struct urd_engine *e, struct live *l, struct urd_moment m)
{
    struct way w = {.since_ns = urd_now_ns()};
    if (l->at.event < m.event)
        URD_TRY(run_events(e, l, m.event, &w));
    while (m.steps > l->at.steps) {
        if (!urd_session_running(l->session))
            return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "nothing runs after event %llu",
                                          (unsigned long long)m.event),
                                "the moment %llu:0 exists", (unsigned long long)m.event);
        uint64_t steps = m.steps - l->at.steps;
        URD_TRY(count_steps(e, l, steps < STEPS_AT_ONCE ? steps : STEPS_AT_ONCE));
        URD_TRY(park_on_the_way(e, l, &w));
    }
    return NULL;
}

urd_err *engine_seek(struct urd_engine *e, struct urd_moment m, struct urd_session **ret)
{
    struct live l;
    URD_TRY(nearest(e, m, &l));
    urd_err *err = go(e, &l, m);
    if (err) {
        live_close(&l);
        return urd_err_hop(err, __func__, __FILE__, __LINE__);
    }
    live_close(&e->live);
    e->live = l;
    *ret = l.session;
    return NULL;
}

urd_err *engine_session_at(struct urd_engine *e, uint64_t event, struct urd_session **ret)
{
    struct live l;
    URD_TRY(nearest(e, (struct urd_moment){event, 0}, &l));
    struct way w = {.since_ns = urd_now_ns()};
    urd_err *err = run_events(e, &l, event, &w);
    if (err) {
        live_close(&l);
        return err;
    }
    *ret = l.session;
    return NULL;
}

urd_err *engine_default_moment(struct urd_engine *e, struct urd_moment *ret)
{
    uint64_t n = urd_trace_event_count(e->trace);
    struct urd_trace_reader *r;
    URD_TRY(urd_trace_read_from(e->trace, 1, &r));
    const struct urd_event *ev = NULL;
    urd_err *err;
    int32_t first = 0;
    *ret = (struct urd_moment){n, 0};
    while (!(err = urd_trace_next(r, &ev)) && ev) {
        if (ev->number == 1)
            first = ev->tid;
        if (ev->kind != URD_EVENT_EXIT || ev->tid != first)
            continue;
        *ret = (struct urd_moment){ev->number - 1, 0};
        if (ev->flags & URD_EVENT_RAN && e->index)
            ret->steps = (uint64_t)(e->index->events[ev->number].clock -
                                    e->index->events[ev->number - 1].clock);
        break;
    }
    urd_trace_reader_close(r);
    return err;
}

struct urd_task *live_task(struct urd_session *s)
{
    struct urd_task *t = urd_session_running(s);
    if (!t && s->next && s->next->kind != URD_EVENT_START && s->next->kind != URD_EVENT_END)
        t = urd_session_task(s, s->next->tid);
    if (!t && s->recent[0].number)
        t = urd_session_task(s, s->recent[0].tid);
    for (uint32_t i = 0; !t && i < s->n_tasks; i++)
        if (s->tasks[i].exists)
            t = &s->tasks[i];
    return t;
}

/* ---- frames ---- */

static bool read_memory(void *data, uint64_t address, void *buf, size_t size)
{
    const struct frame_state *f = data;
    return urd_tracee_read(f->task->process->mem, address, buf, size) == size;
}

bool frame_register(const struct user_regs_struct *r, unsigned reg, uint64_t *ret)
{
    const uint64_t values[17] = {r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi,
                                 r->rbp, r->rsp, r->r8,  r->r9,  r->r10, r->r11,
                                 r->r12, r->r13, r->r14, r->r15, r->rip};
    if (reg < 17)
        *ret = values[reg];
    else if (reg == URD_DW_EFLAGS)
        *ret = r->eflags;
    else if (reg == URD_DW_FS_BASE)
        *ret = r->fs_base;
    else if (reg == URD_DW_GS_BASE)
        *ret = r->gs_base;
    else
        return false;
    return true;
}

static bool read_register(void *data, unsigned reg, uint64_t *ret)
{
    return frame_register(&((const struct frame_state *)data)->task->regs, reg, ret);
}

static bool read_vector(void *data, unsigned reg, void *buf, size_t size)
{
    struct frame_state *f = data;
    if (!f->have_vectors) {
        urd_err *err = urd_task_load_vectors(f->task);
        bool ok = !err && ptrace(PTRACE_GETFPREGS, f->task->process->pid, 0, &f->vectors) == 0;
        urd_err_free(err);
        if (!ok)
            return false;
    }
    f->have_vectors = true;
    if (reg >= 33 && reg < 41 && size <= 10)
        memcpy(buf, (char *)f->vectors.st_space + (reg - 33) * 16, size);
    else if (reg >= 17 && reg < 33)
        reg -= 17;
    if (reg < 16 && size <= 16)
        memcpy(buf, (char *)f->vectors.xmm_space + reg * 16, size);
    else if (reg < 33 || reg >= 41)
        return false;
    return true;
}

urd_err *frame_open(struct urd_engine *e, struct urd_session *s, struct urd_task *t, uint64_t event,
                    struct frame_state *ret)
{
    *ret = (struct frame_state){.task = t};
    struct urd_image *image;
    URD_TRY(engine_image(e, t->space, event, &image));
    for (uint32_t space = t->space;
         e->index && space && space <= e->index->n_spaces && !ret->program;
         space = e->index->spaces[space].parent)
        if (e->index->spaces[space].path[0])
            ret->program = e->index->spaces[space].path;
    ret->frame = (struct urd_frame){.image = image,
                                    .pc = t->regs.rip,
                                    .data = ret,
                                    .read_memory = read_memory,
                                    .read_register = read_register,
                                    .read_vector = read_vector,
                                    .fs_base = t->regs.fs_base};
    return NULL;
}

void frame_close(struct frame_state *f)
{
    free(f->callers);
    f->callers = NULL;
}

const struct urd_frame *frame_at(struct frame_state *f, unsigned n)
{
    f->frame.data = f;
    if (n == 0)
        return &f->frame;
    if (n > 4096)
        return NULL;
    free(f->callers);
    f->callers = urd_xcalloc(n, sizeof *f->callers);
    const struct urd_frame *inner = &f->frame;
    for (unsigned i = 0; i < n; i++) {
        if (!urd_debuginfo_unwind(inner, &f->callers[i]))
            return NULL;
        inner = &f->callers[i].frame;
    }
    return inner;
}

/** Is this module the program that the process runs, rather than one of its libraries? */
static bool is_program(const struct frame_state *f, const struct urd_module *m)
{
    return f->program ? strcmp(urd_debuginfo_module_path(m), f->program) == 0
                      : urd_debuginfo_module_is_executable(m);
}

static bool is_user_frame(const struct frame_state *f, const struct urd_frame *frame)
{
    struct urd_place place;
    return urd_debuginfo_image_find(frame->image, frame->pc - (frame->is_caller ? 1 : 0), &place) &&
           is_program(f, place.module) && urd_debuginfo_module_has_lines(place.module);
}

const struct urd_frame *frame_default(struct frame_state *f)
{
    for (unsigned n = 0; n < 40; n++) {
        const struct urd_frame *frame = frame_at(f, n);
        if (!frame)
            break;
        if (is_user_frame(f, frame))
            return frame;
    }
    const struct urd_frame *inner = frame_at(f, 0);
    for (size_t i = 0; i < urd_debuginfo_image_count(inner->image); i++) {
        struct urd_place place = urd_debuginfo_image_module(inner->image, i);
        if (!is_program(f, place.module))
            continue;
        /* main has returned, or not begun: its globals can still be named */
        const struct urd_symbol *main_symbol = urd_debuginfo_symbol_named(place.module, "main");
        if (!main_symbol)
            continue;
        f->global = *inner;
        f->global.pc = main_symbol->address + place.bias;
        f->global.no_registers = true;
        return &f->global;
    }
    return inner;
}
