/* A task keeps its turn for 5 ms of system calls, and is stopped after 20 ms without one, if others wait. Then they run in the
 * order in which they were born. A parent keeps its turn when it has made a child. As with the kernel's scheduler a step of
 * niceness is worth a quarter of the time.
 *
 * A task whose call has returned waits for its turn, mostly: one in eight, by chance, ends that of the task that runs, at its next
 * call. In an order that never changes threads may hand over to each other for ever: Go's, when one stops all others in a loop, were
 * woken, and stopped again before they had run.
 *
 * A task with a real-time priority goes before all that have a lower one or none, and takes the turn from them at their next
 * event. One that computes or yields all the time would never let them run, and may wait for them, on a core of its own as it thinks:
 * of the turns that were used up one in eight is followed by the next task in order, whatever the priorities.
 *
 * Chaos finds what that order hides (after rr's chaos mode): turns and slices of random length, the next task chosen at random, and
 * now and then one that is starved for some milliseconds, as if its wake-up had come late. Timers are too coarse for windows of
 * some instructions, so at every other system call the task is single-stepped for a random while and stopped there. */
#include "record/schedule.h"
#include "base/log.h"
#include "record/clock.h"
#include "record/fast.h"
#include <errno.h>
#include <sys/resource.h>
#include <sys/time.h>

enum {
    TURN_NS = 5000000,
    SLICE_NS = 20000000,
    CHAOS_TICK_NS = 200000,
    FAIR_ONE_IN = 8,
    WOKEN_ONE_IN = 8,
    STARVE_ONE_IN = 8,
    STARVE_NS = 20000000,
    FIRST_STEPS = 20000, /* single steps that a run may take from its start, 8 us each ... */
    STEP_EARNED_NS =
        30000, /* ... and one more for each of these: they take a quarter of its time */
};

/** splitmix64: good enough to choose with, any seed will do, and the same choices follow from it. */
static uint64_t random_below(struct recorder *r, uint64_t n)
{
    uint64_t x = r->random += 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return (x ^ x >> 31) % n;
}

/** Mostly short, sometimes long: each factor of ten from 20 us to 20 ms is equally likely. */
static uint64_t random_ns(struct recorder *r)
{
    static const uint64_t scales[] = {20000, 200000, 2000000};
    uint64_t scale = scales[random_below(r, 3)];
    return scale + random_below(r, scale * 9);
}

static bool can_run(const struct task *t)
{
    return t->state == TASK_READY || t->state == TASK_STOPPED;
}

bool schedule_others_can_run(const struct recorder *r, const struct task *except)
{
    for (const struct task *t = r->tasks; t; t = t->next)
        if (t != except && can_run(t))
            return true;
    return false;
}

/** Where a task has come to since its last event no replay knows: nobody else runs before it is at its next one (INV-E1). */
static bool is_nowhere(const struct task *t)
{
    return t->resumed_ns && !t->in_call;
}

static int most_urgent(const struct recorder *r)
{
    int most = 0;
    for (const struct task *t = r->has_priorities ? r->tasks : NULL; t; t = t->next)
        if (can_run(t) && t->priority > most)
            most = t->priority;
    return most;
}

bool schedule_outranked(const struct recorder *r, const struct task *t)
{
    return !r->chaos && !r->fair_turn && most_urgent(r) > t->priority;
}

static bool keeps_its_turn(const struct recorder *r)
{
    const struct task *c = r->current;
    if (c && can_run(c) && is_nowhere(c))
        return true;
    return c && !r->turn_over && can_run(c) && !schedule_outranked(r, c) &&
           urd_now_ns() - r->turn_started_ns < r->turn_ns;
}

/** Five quarters for each step below 0, four fifths for each above; not beyond a factor of eight, for the sake of the others. */
static uint64_t weighed(const struct task *t, uint64_t ns)
{
    errno = 0;
    int nice = getpriority(PRIO_PROCESS, (id_t)t->tid);
    if (errno)
        return ns;
    for (int i = nice < -9 ? -9 : nice; i < 0; i++)
        ns += ns / 4;
    for (int i = nice > 9 ? 9 : nice; i > 0; i--)
        ns -= ns / 5;
    return ns;
}

void schedule_turn(struct recorder *r)
{
    uint64_t now = urd_now_ns();
    if (r->turn_over || now - r->turn_started_ns > r->turn_ns) {
        r->turn_started_ns = now;
        r->turn_ns = r->chaos ? random_ns(r) : weighed(r->current, TURN_NS);
        r->slice_ns = r->chaos ? random_ns(r) : weighed(r->current, SLICE_NS);
    }
    r->turn_over = false;
}

static struct task *next_in_order(struct recorder *r)
{
    bool over = r->current && can_run(r->current) && !schedule_outranked(r, r->current);
    r->fair_turn = over && ++r->turns_over % FAIR_ONE_IN == 0;
    int least = r->fair_turn ? 0 : most_urgent(r);
    struct task *after = r->current ? r->current->next : r->tasks;
    for (unsigned round = 0; round < 2; round++, after = r->tasks)
        for (struct task *t = after; t; t = t->next)
            if (can_run(t) && t->priority >= least)
                return t;
    return NULL;
}

uint64_t schedule_steps(struct recorder *r, const struct task *t)
{
    static const uint64_t scales[] = {30, 300, 3000};
    if (clock_steps(r))
        return t->in_call || t->held_exit ? 0 : clock_steps(r);
    uint64_t credit = FIRST_STEPS + (urd_now_ns() - r->started_ns) / STEP_EARNED_NS;
    if (!r->chaos || t->in_call || t->held_exit || r->stepped > credit ||
        !schedule_others_can_run(r, t) || random_below(r, 2) != 0)
        return 0;
    uint64_t steps = 1 + random_below(r, scales[random_below(r, 3)]);
    r->stepped += steps;
    return steps;
}

/** Any of those that are not starved; when all are, any. */
static struct task *next_at_random(struct recorder *r)
{
    uint64_t now = urd_now_ns();
    for (unsigned starved = 0; starved < 2; starved++) {
        uint64_t n = 0;
        struct task *chosen = NULL;
        for (struct task *t = r->tasks; t; t = t->next)
            if (can_run(t) && (starved || t->starved_until_ns < now) && random_below(r, ++n) == 0)
                chosen = t;
        if (!chosen)
            continue;
        if (random_below(r, STARVE_ONE_IN) == 0)
            chosen->starved_until_ns = now + random_below(r, STARVE_NS);
        return chosen;
    }
    return NULL;
}

void schedule_woken(struct recorder *r, const struct task *t)
{
    struct task *c = r->current;
    if (r->chaos || !c || c == t || c->state != TASK_RUNNING || random_below(r, WOKEN_ONE_IN) != 0)
        return;
    r->turn_over = true;
    if (!c->in_call)
        fast_stop_at_call(c);
}

struct task *schedule_pick(struct recorder *r)
{
    for (struct task *t = r->tasks; t; t = t->next)
        if (t->state == TASK_RUNNING)
            return t;
    if (keeps_its_turn(r))
        return r->current;
    return r->chaos ? next_at_random(r) : next_in_order(r);
}

void schedule_set_tick(struct recorder *r)
{
    const struct task *c = r->current;
    uint64_t ns = SCHEDULE_FLUSH_NS;
    if (c && c->n_deferred)
        ns = 1000000;
    else if (schedule_others_can_run(r, c))
        ns = r->chaos ? CHAOS_TICK_NS : TURN_NS;
    if (ns == r->tick_ns)
        return;
    r->tick_ns = ns;
    struct timeval t = {0, (suseconds_t)(ns / 1000)};
    setitimer(ITIMER_REAL, &(struct itimerval){t, t}, NULL);
}
