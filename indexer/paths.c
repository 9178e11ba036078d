#include "indexer/paths.h"

enum {
    ENOUGH = 1500,
    PART = URD_LOG_BYTES, /* of the log, bytes: */
    FIRST_PARTS = 32,     /* the first ones are samples, */
    EVERY = 16,           /* and then one of so many */
    /* records of a part, at most */
    TRAIL = (URD_LOG_BYTES + URD_LOG_SLACK) / 8,
    VOTERS = 64, /* times that a place came in a part that are asked where they went, at most, */
    FEW = 4,     /* and at least */
};

void urd_paths_init(struct urd_paths *p, unsigned enough)
{
    *p = (struct urd_paths){.enough = enough ? enough : ENOUGH};
    p->trail = urd_xrealloc(NULL, TRAIL * sizeof *p->trail);
    p->again = urd_xrealloc(NULL, TRAIL * sizeof *p->again);
}

void urd_paths_deinit(struct urd_paths *p)
{
    free(p->nodes);
    free(p->places);
    free(p->often);
    free(p->trail);
    free(p->again);
    urd_map_deinit(&p->place_of);
    *p = (struct urd_paths){0};
}

uint32_t *urd_paths_begin(struct urd_paths *p, size_t bytes)
{
    uint64_t part = p->bytes / PART;
    p->bytes += bytes;
    p->weight = part < FIRST_PARTS ? 1 : EVERY;
    return part < FIRST_PARTS || part % EVERY == 0 ? p->trail : NULL;
}

/* ---- counting ---- */

static void make_room(struct urd_paths *p, uint32_t n)
{
    if (n <= p->n_nodes)
        return;
    n += n / 2;
    p->nodes = urd_xrealloc(p->nodes, n * sizeof *p->nodes);
    memset(p->nodes + p->n_nodes, 0, (n - p->n_nodes) * sizeof *p->nodes);
    p->n_nodes = n;
}

static uint32_t find_place(struct urd_paths *p, uint32_t dense, const struct urd_code *code,
                           const struct urd_flow_node *node)
{
    uint64_t *place = urd_map_put(&p->place_of, node->start.pc ^ (uint64_t)code->serial << 48);
    if (!*place) {
        URD_PUSH(p->places, p->n_places, p->cap_places) = (struct urd_paths_place){.best = dense};
        *place = p->n_places;
    }
    p->places[*place - 1].followed |= (node->flags & URD_NODE_FOLLOWED) != 0;
    return (uint32_t)*place;
}

static void count_next(struct urd_paths_node *n, uint32_t place, uint32_t weight)
{
    unsigned least = 0;
    for (unsigned i = 0; i < 3; i++) {
        if (n->to[i] == place || !n->n[i]) {
            n->to[i] = place;
            n->n[i] += weight;
            return;
        }
        least = n->n[i] < n->n[least] ? i : least;
    }
    if (n->n[least] <= weight) {
        n->to[least] = place;
        n->n[least] = weight;
    } else {
        n->n[least] -= weight;
    }
}

static void count(struct urd_paths *p, uint32_t dense, uint32_t next_place)
{
    struct urd_paths_node *n = &p->nodes[dense];
    struct urd_paths_place *place = &p->places[n->place - 1];
    bool before = place->count < p->enough;
    n->count += p->weight;
    place->count += p->weight;
    if (n->count > p->nodes[place->best].count)
        place->best = dense;
    if (next_place)
        count_next(n, next_place, p->weight);
    if (before && place->count >= p->enough && !place->followed)
        URD_PUSH(p->often, p->n_often, p->cap_often) = n->place;
}

/* ---- choosing ---- */

struct path {
    struct urd_block_piece pieces[URD_BLOCK_INSNS];
    unsigned n, n_insns, n_blocks;
};

static bool add(struct path *path, const struct urd_flow_dictionary *d, uint32_t dense)
{
    const struct urd_flow_trace *t = &d->traces[dense];
    if (path->n_insns + t->n_insns > URD_BLOCK_INSNS || !t->n_insns)
        return false;
    for (unsigned i = 0; i < t->n_blocks; i++)
        path->pieces[path->n++] = (struct urd_block_piece){
            .pc = d->blocks[t->first + i].pc, .n_insns = d->blocks[t->first + i].n_insns};
    path->n_insns += t->n_insns;
    path->n_blocks++;
    return true;
}

/** The place that follows a block most, or 0. */
static uint32_t likely_next(const struct urd_paths_node *n)
{
    unsigned best = 0;
    for (unsigned i = 1; i < 3; i++)
        best = n->n[i] > n->n[best] ? i : best;
    return n->n[best] > n->count * 2 / 5 ? n->to[best] : 0;
}

/** Those times that the part came by the place: where in the trail each is now. n: of the trail. */
struct voters {
    uint32_t at[VOTERS];
    unsigned n, asked; /* left; in the beginning */
};

static struct voters voters_of(const struct urd_paths *p, uint32_t place)
{
    struct voters v = {.n = 0};
    uint32_t at = p->places[place - 1].newest;
    for (; at && v.n < VOTERS; at = p->again[at - 1])
        v.at[v.n++] = at - 1;
    v.asked = v.n;
    return v;
}

/** Along with most of those who are still together. False: too few of them are. */
static bool go_with_most(struct voters *v, const uint32_t *trail, uint32_t n, uint32_t *ret_dense)
{
    uint32_t best = 0;
    unsigned votes = 0;
    for (unsigned i = 0; i < v->n; i++) {
        unsigned same = 0;
        for (unsigned k = 0; k < v->n; k++)
            same += trail[v->at[k]] == trail[v->at[i]];
        if (same > votes) {
            votes = same;
            best = trail[v->at[i]];
        }
        if (votes * 2 > v->n)
            break;
    }
    if (votes < FEW || votes * 4 < v->asked)
        return false;
    unsigned left = 0;
    for (unsigned i = 0; i < v->n; i++)
        if (trail[v->at[i]] == best && v->at[i] + 1 < n)
            v->at[left++] = v->at[i] + 1;
    v->n = left;
    *ret_dense = best;
    return true;
}

/** What follows depends on how the place was come to, which the newest part of the log shows: as far as it does, what most of those
 * times had in common is the path. Then what usually follows. */
static void choose(struct urd_paths *p, uint32_t place, uint32_t n, const struct urd_code *code,
                   const struct urd_flow_dictionary *d)
{
    struct path path = {.n = 0};
    struct voters v = voters_of(p, place);
    bool together = true;
    for (uint32_t at = place; at;) {
        const struct urd_paths_place *here = &p->places[at - 1];
        uint32_t dense = here->best;
        together = together && v.n >= FEW;
        bool agreed = together && go_with_most(&v, p->trail, n, &dense);
        if (!agreed && path.n && (together || p->nodes[dense].count < here->count * 2 / 5))
            break;
        together = agreed;
        if (!add(&path, d, dense))
            break;
        at = together && v.n ? p->nodes[p->trail[v.at[0]]].place : likely_next(&p->nodes[dense]);
    }
    p->places[place - 1].followed = true;
    if (path.n_blocks > 1)
        urd_translate_follow(code->translator, path.pieces, path.n);
}

void urd_paths_learn(struct urd_paths *p, uint32_t n, const struct urd_code *code,
                     const struct urd_flow_encoder *f, const struct urd_flow_dictionary *d)
{
    make_room(p, d->n_traces);
    p->n_often = 0;
    for (uint32_t i = n; i-- > 0;) {
        struct urd_paths_node *node = &p->nodes[p->trail[i]];
        if (!node->place)
            node->place = find_place(p, p->trail[i], code, &f->nodes[p->trail[i]]);
        p->again[i] = p->places[node->place - 1].newest;
        p->places[node->place - 1].newest = i + 1;
        count(p, p->trail[i], i + 1 < n ? p->nodes[p->trail[i + 1]].place : 0);
    }
    for (uint32_t i = 0; i < p->n_often; i++)
        choose(p, p->often[i], n, code, d);
    for (uint32_t i = 0; i < n; i++)
        p->places[p->nodes[p->trail[i]].place - 1].newest = 0;
}
