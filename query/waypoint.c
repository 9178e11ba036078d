/* Which instruction ran seldom on the way, and last shortly before the goal.
 *
 * The last rows of flow before the goal are decoded: there the clock of each execution is known. Of all rows before, back to where the way
 * begins, `cover` tells how often each trace ran, unless the way begins in the middle of the row, or a trace ran only in part
 * (then the steps of its traces are not those of the row): such rows are decoded, too. So all counts are exact. Candidates are
 * instructions with which a trace begins; each is then looked for within all traces that ran, as it may be in the middle of others.
 *
 * Example: from clock 1000 to 9 000 000, a way of ten rows. In the last two a trace at 0x401200 ran once, at 8 700 000, and cover
 * says that it ran twice in the eight rows before. A breakpoint there is hit for the third time at 8 700 000; 300 000 steps are left.
 */
#include "query/waypoint.h"
#include "indexer/store.h"

enum {
    NEAR_STEPS = 1000000, /* before the goal: rows in which executions are looked at one by one */
    CANDIDATES = 48,
    TABLE = 4096,
    HIT_NS =
        40000, /* a hit of a breakpoint: a stop, and in a virtual machine more than one exit from it */
    STEPS_PER_NS = 1, /* counted under translation; python3 takes longer, bzip2 less */
    NATIVE_PER_NS = 6,
    OVERHEAD_NS = 4000000 /* of looking for a waypoint */
};

/** Instructions a to b (not included) of a trace that began at clock. */
struct piece {
    uint32_t trace;
    unsigned a, b;
    int64_t clock; /* INT64_MIN: not near the goal */
};

/** Executions on the way in one segment. */
struct tally {
    const struct urd_flow_dictionary *dictionary;
    uint32_t *times; /* by trace: whole executions, */
    int64_t *last;   /* and the clock of the last of them; INT64_MIN: that is not near the goal */
    struct piece *pieces;
    uint32_t n_pieces, cap_pieces;
};

struct candidate {
    uint64_t pc, hits;
    int64_t last; /* clock */
    int64_t cost; /* ns */
};

struct way {
    struct urd_index *index;
    int64_t from, goal;
    struct tally *tallies;
    uint32_t n_tallies;
    struct candidate candidates[CANDIDATES];
    unsigned n_candidates;
    uint8_t table[TABLE]; /* of the candidate whose pc has these low bits, its number + 1 */
    uint64_t goal_pc;
};

static int64_t cost(const struct way *w, uint64_t hits, int64_t last)
{
    int64_t left = w->goal - last;
    return (int64_t)hits * HIT_NS + left / STEPS_PER_NS;
}

static uint64_t pc_of(const struct urd_flow_dictionary *d, const struct urd_flow_trace *t,
                      unsigned n)
{
    const struct urd_flow_block *b = &d->blocks[t->first];
    for (; n >= b->n_insns; b++)
        n -= b->n_insns;
    uint64_t pc = b->pc;
    for (unsigned i = 0; i < n; i++)
        pc += b->lengths[i];
    return pc;
}

/** A row of which q has the columns, from clock `at` on. near: when what ran last there matters. */
static urd_err *decode_row(struct way *w, struct tally *t, sqlite3_stmt *q, int64_t at, bool near)
{
    struct urd_flow_decoder d;
    uint32_t dense, left, n = (uint32_t)sqlite3_column_int(q, 2);
    URD_TRY(urd_flow_decoder_init(&d, sqlite3_column_blob(q, 4), (size_t)sqlite3_column_bytes(q, 4),
                                  n, t->dictionary->n_traces));
    while (at <= w->goal && n && urd_flow_next(&d, &dense, &left)) {
        unsigned insns = t->dictionary->traces[dense].n_insns, ran = left < insns ? left : insns;
        unsigned a = w->from > at ? (unsigned)(w->from - at < ran ? w->from - at : ran) : 0;
        unsigned b = w->goal - at < ran ? (unsigned)(w->goal - at) : ran;
        if (b < ran)
            w->goal_pc = pc_of(t->dictionary, &t->dictionary->traces[dense], b);
        if (a == 0 && b == insns) {
            t->times[dense]++;
            t->last[dense] = near ? at : INT64_MIN;
        } else if (a < b) {
            URD_PUSH(t->pieces, t->n_pieces, t->cap_pieces) =
                (struct piece){dense, a, b, near ? at : INT64_MIN};
        }
        at += ran;
        n--;
    }
    urd_flow_decoder_deinit(&d);
    if (n && at <= w->goal)
        URD_FAIL("a row of control flow in the index is damaged");
    return NULL;
}

/** Is what cover says all that ran in the row? Then it is in t->times. */
static urd_err *take_cover(struct tally *t, sqlite3_stmt *q, bool *ret_whole)
{
    struct urd_flow_times *list;
    uint32_t n;
    int64_t steps = 0;
    URD_TRY(urd_flow_cover_list(sqlite3_column_blob(q, 3), (size_t)sqlite3_column_bytes(q, 3),
                                t->dictionary->n_traces, &list, &n));
    for (uint32_t i = 0; i < n; i++)
        steps += (int64_t)list[i].times * t->dictionary->traces[list[i].dense].n_insns;
    *ret_whole = steps == sqlite3_column_int64(q, 1);
    for (uint32_t i = 0; i < n && *ret_whole; i++)
        t->times[list[i].dense] += list[i].times;
    free(list);
    return NULL;
}

static urd_err *tally_segment(struct way *w, const struct urd_index_segment *s, struct tally *t)
{
    static const char sql[] = "SELECT first, steps, blocks, cover, data FROM flow "
                              "WHERE segment = ? AND first <= ? ORDER BY chunk";
    sqlite3_stmt *q;
    uint32_t n = s->dictionary.n_traces;
    t->dictionary = &s->dictionary;
    t->times = urd_xcalloc(n + 1, sizeof *t->times);
    t->last = urd_xrealloc(NULL, (n + 1) * sizeof *t->last);
    for (uint32_t i = 0; i < n; i++)
        t->last[i] = INT64_MIN;
    if (sqlite3_prepare_v2(w->index->db, sql, -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(w->index->db, "cannot read the index");
    sqlite3_bind_int64(q, 1, s->id);
    sqlite3_bind_int64(q, 2, w->goal - s->start);
    urd_err *err = NULL;
    while (!err && sqlite3_step(q) == SQLITE_ROW) {
        int64_t first = sqlite3_column_int64(q, 0) + s->start;
        int64_t end = first + sqlite3_column_int64(q, 1);
        bool whole = false, near = end > w->goal - NEAR_STEPS;
        if (end <= w->from)
            continue;
        if (first >= w->from && !near)
            err = take_cover(t, q, &whole);
        if (!err && !whole)
            err = decode_row(w, t, q, first, near);
    }
    sqlite3_finalize(q);
    return err;
}

/** Of all traces that ran near the goal, those whose first instruction promises most. */
static void choose(struct way *w, const struct tally *t)
{
    for (uint32_t i = 0; i < t->dictionary->n_traces; i++) {
        if (t->last[i] == INT64_MIN)
            continue;
        uint64_t pc = t->dictionary->blocks[t->dictionary->traces[i].first].pc;
        struct candidate c = {pc, 0, INT64_MIN, cost(w, t->times[i], t->last[i])};
        unsigned at = 0, worst = 0;
        for (; at < w->n_candidates && w->candidates[at].pc != pc; at++)
            if (w->candidates[at].cost > w->candidates[worst].cost)
                worst = at;
        if (at < w->n_candidates)
            continue;
        if (w->n_candidates < CANDIDATES)
            w->candidates[w->n_candidates++] = c;
        else if (c.cost < w->candidates[worst].cost)
            w->candidates[worst] = c;
    }
}

/** Instructions a to b (not included) of a trace ran so many times, the last time from `clock` on (INT64_MIN: not near the goal). */
static void count(struct way *w, const struct tally *t, uint32_t trace, unsigned a, unsigned b,
                  uint32_t times, int64_t clock)
{
    const struct urd_flow_trace *what = &t->dictionary->traces[trace];
    const struct urd_flow_block *block = &t->dictionary->blocks[what->first];
    unsigned n = 0;
    for (unsigned k = 0; k < what->n_blocks; k++, block++) {
        uint64_t pc = block->pc;
        for (unsigned i = 0; i < block->n_insns; pc += block->lengths[i++], n++) {
            unsigned number = w->table[pc % TABLE];
            struct candidate *c = number ? &w->candidates[number - 1] : NULL;
            if (!c || c->pc != pc || n < a || n >= b)
                continue;
            c->hits += times;
            if (clock != INT64_MIN && clock + n > c->last)
                c->last = clock + n;
        }
    }
}

static void count_all(struct way *w, const struct tally *t)
{
    for (uint32_t i = 0; i < t->dictionary->n_traces; i++)
        if (t->times[i])
            count(w, t, i, 0, t->dictionary->traces[i].n_insns, t->times[i], t->last[i]);
    for (uint32_t i = 0; i < t->n_pieces; i++) {
        const struct piece *p = &t->pieces[i];
        count(w, t, p->trace, p->a, p->b, 1, p->clock);
    }
}

static urd_err *tally_all(struct way *w, bool *ret_indexed)
{
    struct urd_index *x = w->index;
    uint32_t i = 0, n = x->n_segments;
    *ret_indexed = true;
    while (i < n && x->segments[i].start + x->segments[i].steps <= w->from)
        i++;
    w->tallies = urd_xcalloc(n - i + 1, sizeof *w->tallies);
    for (; i < n && x->segments[i].start <= w->goal && *ret_indexed; i++) {
        const struct urd_flow_block *blocks;
        uint32_t n_blocks;
        *ret_indexed = !x->segments[i].counted;
        if (!*ret_indexed)
            break;
        URD_TRY(urd_index_blocks(x, i, &blocks, &n_blocks)); /* loads the dictionary */
        URD_TRY(tally_segment(w, &x->segments[i], &w->tallies[w->n_tallies++]));
    }
    return NULL;
}

static const struct candidate *best(struct way *w, waypoint_fits_fn fits, void *data)
{
    for (uint32_t i = 0; i < w->n_tallies; i++)
        choose(w, &w->tallies[i]);
    for (unsigned i = 0; i < w->n_candidates; i++) {
        uint8_t *slot = &w->table[w->candidates[i].pc % TABLE];
        if (!*slot && fits(data, w->candidates[i].pc))
            *slot = (uint8_t)(i + 1);
    }
    for (uint32_t i = 0; i < w->n_tallies; i++)
        count_all(w, &w->tallies[i]);
    const struct candidate *ret = NULL;
    for (unsigned i = 0; i < w->n_candidates; i++) {
        struct candidate *c = &w->candidates[i];
        if (c->last <= w->from) /* not counted: another one has its place in the table */
            continue;
        c->cost = cost(w, c->hits, c->last);
        if (!ret || c->cost < ret->cost)
            ret = c;
    }
    return ret;
}

static void way_deinit(struct way *w)
{
    for (uint32_t i = 0; i < w->n_tallies; i++) {
        free(w->tallies[i].times);
        free(w->tallies[i].last);
        free(w->tallies[i].pieces);
    }
    free(w->tallies);
}

urd_err *waypoint_find(struct urd_index *x, int64_t from, int64_t goal, waypoint_fits_fn fits,
                       void *data, bool *ret_found, struct waypoint *ret)
{
    URD_CLEANUP(way_deinit) struct way w = {x, from, goal};
    bool indexed;
    *ret_found = false;
    if ((goal - from) / STEPS_PER_NS <= OVERHEAD_NS)
        return NULL;
    URD_TRY(tally_all(&w, &indexed));
    const struct candidate *c = indexed ? best(&w, fits, data) : NULL;
    if (!c ||
        OVERHEAD_NS + c->cost + (c->last - from) / NATIVE_PER_NS > (goal - from) / STEPS_PER_NS)
        return NULL;
    *ret = (struct waypoint){c->pc, c->hits, c->last, w.goal_pc};
    *ret_found = true;
    return NULL;
}
