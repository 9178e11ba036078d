#include "indexer/coroutines.h"

enum {
    EVENT_BYTES =
        15, /* a frame may go on behind its return address: what is there is an event, and in no block (RDTSC) */
    UNKNOWN_BYTES = 64 << 10, /* so far below the newest frame an unknown stack is another one */
    PUSHED_BYTES =
        4096, /* so near a function's address was pushed on the same stack, for the ret that took it */
};

/* ---- lists ---- */

void urd_coroutines_deinit(struct urd_coroutines *c)
{
    for (uint32_t i = 0; i < c->n_lists; i++)
        free(c->lists[i].stack.frames);
    free(c->lists);
    free(c->tasks);
    free(c->unused);
    urd_map_deinit(&c->owner);
}

static uint32_t new_list(struct urd_coroutines *c, uint32_t space, int32_t tid, bool partial)
{
    uint32_t i = c->n_unused ? c->unused[--c->n_unused] : c->n_lists;
    if (i == c->n_lists)
        URD_PUSH(c->lists, c->n_lists, c->cap_lists) = (struct urd_coroutine){0};
    c->lists[i] =
        (struct urd_coroutine){.space = space, .tid = tid, .used = true, .partial = partial};
    return i;
}

static void free_list(struct urd_coroutines *c, uint32_t i)
{
    free(c->lists[i].stack.frames);
    c->lists[i] = (struct urd_coroutine){0};
    URD_PUSH(c->unused, c->n_unused, c->cap_unused) = i;
}

static struct urd_coroutines_task *task_of(struct urd_coroutines *c, int32_t tid)
{
    for (uint32_t i = 0; i < c->n_tasks; i++)
        if (c->tasks[i].tid == tid)
            return &c->tasks[i];
    uint32_t list = new_list(c, 0, tid, true);
    URD_PUSH(c->tasks, c->n_tasks, c->cap_tasks) =
        (struct urd_coroutines_task){.tid = tid, .list = list};
    return &c->tasks[c->n_tasks - 1];
}

struct urd_coroutine *urd_coroutines_of(struct urd_coroutines *c, int32_t tid)
{
    uint32_t list = task_of(c, tid)->list; /* which may move them */
    return &c->lists[list];
}

/* ---- who has the frame at sp ---- */

static uint64_t owner_key(uint32_t space, uint64_t sp)
{
    return sp ^ (uint64_t)space << 48;
}

/** How many frames there are up to the newest one at sp, 0: none is there. */
static uint32_t frame_at_sp(const struct urd_call_stack *s, uint64_t sp)
{
    uint32_t i = s->n;
    while (i && s->frames[i - 1].sp != sp)
        i--;
    return i;
}

static uint32_t first_with_sp(const struct urd_call_stack *s, uint32_t n)
{
    while (n > 1 && s->frames[n - 2].sp == s->frames[n - 1].sp)
        n--;
    return n - 1;
}

/** A waiting list's frame at sp was overwritten. */
static void overwrite(struct urd_coroutines *c, uint32_t list, uint64_t sp, int64_t clock)
{
    struct urd_coroutine *l = &c->lists[list];
    uint32_t n = frame_at_sp(&l->stack, sp);
    if (!n)
        return;
    urd_calls_cut(&l->stack, first_with_sp(&l->stack, n), false, clock, 0, c->done, c->data);
    if (!l->stack.n)
        free_list(c, list);
}

/** The frames of a list from the n-th on are its own. */
static void own(struct urd_coroutines *c, uint32_t list, uint32_t n, int64_t clock)
{
    for (; n < c->lists[list].stack.n; n++) {
        const struct urd_coroutine *l = &c->lists[list];
        uint64_t sp = l->stack.frames[n].sp;
        if (l->borrowed || sp == URD_CALLS_OUTER)
            continue;
        uint64_t *slot = urd_map_put(&c->owner, owner_key(l->space, sp));
        uint32_t old = (uint32_t)*slot;
        *slot = list + 1;
        if (old && --old != list && c->lists[old].used && !c->lists[old].tid &&
            c->lists[old].space == l->space)
            overwrite(c, old, sp, clock);
    }
}

void urd_coroutines_enter(struct urd_coroutines *c, int32_t tid, uint32_t space,
                          struct urd_cursor *frames, int64_t base)
{
    struct urd_coroutines_task *t = task_of(c, tid);
    struct urd_coroutine *l = &c->lists[t->list];
    t->ended = false;
    if (!l->stack.n && space)
        l->space = space;
    uint32_t n = l->stack.n;
    urd_calls_stack_decode(frames, base, tid, &l->stack);
    if (n < l->stack.n)
        own(c, t->list, n, l->stack.frames[n].entry);
}

void urd_coroutines_push(struct urd_coroutines *c, int32_t tid, struct urd_call_frame frame)
{
    struct urd_coroutines_task *t = task_of(c, tid);
    frame.tid = tid;
    urd_calls_push(&c->lists[t->list].stack, frame);
    own(c, t->list, c->lists[t->list].stack.n - 1, frame.entry);
}

/* ---- switches ---- */

void urd_coroutines_encode(const struct urd_coroutine *l, struct urd_buf *out)
{
    urd_buf_varint(out, (uint32_t)l->tid);
    urd_buf_varint(out, l->space);
    urd_buf_u8(out, (uint8_t)(l->partial | l->borrowed << 1));
    urd_calls_stack_encode(&l->stack, out);
}

void urd_coroutines_decode(struct urd_coroutines *c, struct urd_cursor *in)
{
    int32_t tid = (int32_t)urd_cursor_varint(in);
    uint32_t space = (uint32_t)urd_cursor_varint(in);
    uint8_t flags = urd_cursor_u8(in);
    uint32_t list = tid ? task_of(c, tid)->list : new_list(c, space, 0, false);
    struct urd_coroutine *l = &c->lists[list];
    l->space = space;
    l->partial = flags & 1;
    l->borrowed = flags >> 1 & 1;
    urd_calls_stack_decode(in, 0, tid, &l->stack);
    own(c, list, 0, 0);
}

/** For who wants to know what waited at the segment's start: before the list changes. */
static void note_going_on(struct urd_coroutines *c, uint32_t list)
{
    struct urd_coroutine *l = &c->lists[list];
    if (c->went_on && l->since < c->segment)
        urd_coroutines_encode(l, c->went_on);
    l->since = c->segment;
}

/** The task's list waits from now on, and the task runs on another one. */
static void run_on(struct urd_coroutines *c, struct urd_coroutines_task *t, uint32_t list,
                   int64_t clock)
{
    struct urd_coroutine *old = &c->lists[t->list];
    old->tid = 0;
    old->since = c->segment;
    if (!old->stack.n || old->borrowed) {
        urd_calls_cut(&old->stack, 0, false, clock, t->tid, c->done, c->data);
        free_list(c, t->list);
    }
    t->list = list;
    c->lists[list].tid = t->tid;
}

/** Does a frame that waits at sp go on at pc? Its list is the task's, or waits. */
static bool resume(struct urd_coroutines *c, struct urd_coroutines_task *t, uint64_t sp,
                   uint64_t pc, uint64_t most, int64_t clock)
{
    uint32_t list = t->list, space = c->lists[list].space;
    uint32_t n = frame_at_sp(&c->lists[list].stack, sp);
    if (!n || pc - c->lists[list].stack.frames[n - 1].return_pc > most) {
        uint64_t *owner = urd_map_get(&c->owner, owner_key(space, sp));
        if (!owner || c->lists[*owner - 1].tid || c->lists[*owner - 1].space != space)
            return false;
        list = (uint32_t)*owner - 1;
        n = frame_at_sp(&c->lists[list].stack, sp);
        if (!n || pc - c->lists[list].stack.frames[n - 1].return_pc > most)
            return false;
        note_going_on(c, list);
        run_on(c, t, list, clock);
    }
    struct urd_call_stack *s = &c->lists[list].stack;
    urd_calls_cut(s, first_with_sp(s, n), true, clock, t->tid, c->done, c->data);
    return true;
}

/** A coroutine begins: its function returns from sp. */
static void begin(struct urd_coroutines *c, struct urd_coroutines_task *t,
                  const struct urd_call_jump *j, uint64_t sp)
{
    uint32_t list = new_list(c, c->lists[t->list].space, t->tid, false);
    run_on(c, t, list, j->clock);
    urd_coroutines_push(
        c, t->tid,
        (struct urd_call_frame){.callee = j->to, .sp = sp, .site = j->site, .entry = j->clock});
}

/** What lies below sp on the task's stack was left, as far as that can be told without knowing what is at sp. */
static bool leave(struct urd_coroutines *c, struct urd_coroutines_task *t, uint64_t sp,
                  int64_t clock)
{
    struct urd_coroutine *l = &c->lists[t->list];
    struct urd_call_stack *s = &l->stack;
    uint32_t i;
    uint64_t gap;
    bool found = urd_calls_find(s, sp, &i, &gap) && gap < URD_CALLS_NEAR && i < s->n;
    for (uint32_t k = s->n; k-- > 1 && !found;) { /* a handler's on its own stack, out of it? */
        struct urd_call_stack before = {.frames = s->frames, .n = k};
        found =
            s->frames[k].signal && urd_calls_find(&before, sp, &i, &gap) && gap < URD_CALLS_NEAR;
    }
    if (!found && l->partial && s->n && sp > s->frames[s->n - 1].sp &&
        sp - s->frames[s->n - 1].sp < URD_CALLS_STACK) {
        for (i = s->n; i && s->frames[i - 1].sp < sp;)
            i--;
        found = !i || s->frames[i - 1].sp == URD_CALLS_OUTER ||
                s->frames[i - 1].sp - sp < URD_CALLS_NEAR;
    }
    if (found)
        urd_calls_cut(s, i, false, clock, t->tid, c->done, c->data);
    return found;
}

/** The task goes on in the middle of a function, and not where any frame waits. */
static void go_on_somewhere(struct urd_coroutines *c, struct urd_coroutines_task *t, uint64_t sp,
                            int64_t clock)
{
    struct urd_call_stack *s = &c->lists[t->list].stack;
    if (!s->n || leave(c, t, sp, clock))
        return;
    uint64_t newest = s->frames[s->n - 1].sp;
    bool near = newest >= sp && newest - sp < UNKNOWN_BYTES;
    if (near || newest == URD_CALLS_OUTER)
        return;
    uint32_t list = new_list(c, c->lists[t->list].space, t->tid, true);
    run_on(c, t, list, clock);
}

static void returned(struct urd_coroutines *c, struct urd_coroutines_task *t,
                     const struct urd_call_change *r)
{
    struct urd_call_stack *s = &c->lists[t->list].stack;
    if (urd_calls_return(s, r->sp, r->clock, t->tid, c->done, c->data) != URD_CALLS_UNSETTLED ||
        resume(c, t, r->sp, r->jump.to, EVENT_BYTES, r->clock))
        return;
    uint64_t newest = s->n ? s->frames[s->n - 1].sp : 0;
    if (!r->jump.to_entry) {
        go_on_somewhere(c, t, r->sp, r->clock);
        s = &c->lists[t->list].stack;
        if (s->n == urd_calls_outer(s)) /* so it returns from there */
            urd_calls_cut(s, 0, true, r->clock, t->tid, c->done, c->data);
    } else if (!(newest > r->sp && newest - r->sp < PUSHED_BYTES)) {
        begin(c, t, &r->jump, r->sp + 8);
    }
}

static void jumped(struct urd_coroutines *c, struct urd_coroutines_task *t,
                   const struct urd_call_change *change)
{
    const struct urd_call_jump *j = &change->jump;
    struct urd_call_stack *s = &c->lists[t->list].stack;
    bool known = s->n && s->frames[s->n - 1].sp != URD_CALLS_OUTER;
    if (j->sp == URD_CALLS_OUTER)
        urd_calls_jump(s, j);
    else if (known && urd_calls_go(s, j, 0, t->tid, c->done, c->data) != URD_CALLS_UNSETTLED)
        return;
    else if (resume(c, t, j->sp - 8, j->to, 0, change->clock))
        return;
    else if (!known || leave(c, t, j->sp, change->clock))
        urd_calls_jump(s, j);
    else if (j->to_entry)
        begin(c, t, j, j->sp);
    else
        go_on_somewhere(c, t, j->sp, change->clock);
}

static void called(struct urd_coroutines *c, struct urd_coroutines_task *t,
                   const struct urd_call_change *call)
{
    struct urd_call_stack *s = &c->lists[t->list].stack;
    if (s->n && s->frames[s->n - 1].sp <= call->sp &&
        urd_calls_call(s, call->sp, call->clock, t->tid, c->done, c->data) == URD_CALLS_UNSETTLED)
        leave(c, t, call->sp, call->clock);
}

/* ---- tasks ---- */

/** A forked child has all that its parent has. */
static void copy(struct urd_coroutines *c, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < c->lists[from].stack.n; i++) {
        struct urd_call_frame f = c->lists[from].stack.frames[i];
        f.inherited = true;
        urd_calls_push(&c->lists[to].stack, f);
    }
    own(c, to, 0, 0);
}

static void started(struct urd_coroutines *c, const struct urd_call_change *change)
{
    uint32_t parent = task_of(c, change->other)->list;
    struct urd_coroutines_task *t = task_of(c, change->tid);
    struct urd_coroutine *l = &c->lists[t->list];
    bool shares = c->lists[parent].space == change->space;
    t->ended = false;
    l->stack.n = 0;
    l->space = change->space;
    l->partial = change->inherits && c->lists[parent].partial;
    l->borrowed = change->inherits && shares;
    if (change->inherits)
        copy(c, parent, t->list);
    for (uint32_t i = 0, n = c->n_lists; i < n && !shares; i++) {
        if (!c->lists[i].used || c->lists[i].tid || c->lists[i].space != c->lists[parent].space)
            continue;
        note_going_on(c, i);
        uint32_t list = new_list(c, change->space, 0, c->lists[i].partial);
        c->lists[list].since = c->segment;
        copy(c, i, list);
    }
}

static void ended(struct urd_coroutines *c, struct urd_coroutines_task *t, int64_t clock)
{
    struct urd_coroutine *l = &c->lists[t->list];
    uint32_t space = l->space;
    urd_calls_cut(&l->stack, 0, false, clock, t->tid, c->done, c->data);
    l->partial = l->borrowed = false;
    t->ended = true;
    for (uint32_t i = 0; i < c->n_tasks; i++)
        if (!c->tasks[i].ended && c->lists[c->tasks[i].list].space == space)
            return;
    for (uint32_t i = 0; i < c->n_lists; i++)
        if (c->lists[i].used && !c->lists[i].tid && c->lists[i].space == space) {
            urd_calls_cut(&c->lists[i].stack, 0, false, clock, 0, c->done, c->data);
            free_list(c, i);
        }
}

void urd_coroutines_change(struct urd_coroutines *c, const struct urd_call_change *change)
{
    struct urd_coroutines_task *t = task_of(c, change->tid);
    if (change->kind == URD_CALLS_STARTED) {
        started(c, change);
        return;
    }
    if (change->kind == URD_CALLS_ENDED) {
        ended(c, t, change->clock);
        return;
    }
    t->ended = false;
    if (change->kind == URD_CALLS_CALLED)
        called(c, t, change);
    else if (change->kind == URD_CALLS_RETURNED)
        returned(c, t, change);
    else
        jumped(c, t, change);
    struct urd_call_stack *s = &c->lists[t->list].stack;
    if (s->n && !s->frames[s->n - 1].tid) /* a tail call's */
        s->frames[s->n - 1].tid = t->tid;
}

void urd_coroutines_apply(struct urd_coroutines *c, const struct urd_call_change *change,
                          struct urd_cursor *in, int64_t base)
{
    bool starts = change->kind == URD_CALLS_STARTED;
    urd_coroutines_enter(c, starts ? change->other : change->tid, starts ? 0 : change->space, in,
                         base);
    urd_coroutines_change(c, change);
}

void urd_coroutines_forget(struct urd_coroutines *c, int64_t clock)
{
    for (uint32_t i = 0; i < c->n_lists; i++) {
        struct urd_coroutine *l = &c->lists[i];
        urd_calls_cut(&l->stack, 0, false, clock, l->tid, c->done, c->data);
        l->partial = true;
        if (l->used && !l->tid)
            free_list(c, i);
    }
    urd_map_clear(&c->owner);
}
