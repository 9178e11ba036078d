/* Learning what to note at a hit, and evaluating from notes.
 *
 * A worked example, `print visit '{p->x}'` at -O0. The first hit is a stop: its evaluation reads 8 bytes at 0x7ffc3a08 (p) and 4 at 0x4051c8
 * (p->x). Rules that agree: rbp - 24, or any other register and some distance; the 8 bytes of the first read + 8. More hits leave of
 * the rules those that hold for all, and the first of them in a fixed order (places_of_a_frame ... two_terms) is what the process
 * notes from then on: [rbp - 24, 8 bytes], [those 8 bytes + 8, 4 bytes]. Notes are taken in batches that double while nothing was missing.
 */
#include "query/capture.h"
#include "base/log.h"

enum {
    EXAMPLES = 16,      /* kept for a place */
    ENOUGH = 4,         /* of them before the first notes */
    MOST_MISSED = 100,  /* hits whose notes lacked something, before that is held against ... */
    MISSED_PART = 1000, /* ... one of so many: going to a hit takes as long as that many stops */
    FIRST_BATCH = 4096, /* bytes of notes in one run */
    LAST_BATCH = 32768, /* when it reads something new, all that is left of a batch may lack it */
    LARGEST = 4096,     /* a load, bytes */
    SOURCES = 1024,
    NEAR = 4096,          /* from a pointer to a member */
    FRAME = 1 << 20,      /* from a stack pointer to a local */
    LARGEST_SCALE = 65536 /* bytes of an element */
};

/** What one evaluation read, in order; reads that continue one another are one. */
struct example {
    struct urd_captured head;
    uint32_t n;
    struct {
        uint64_t address;
        struct urd_buf bytes;
    } reads[URD_CAPTURE_LOADS];
};

/** A number that is known before a load: part of the head (load is -1) or of an earlier load. */
struct source {
    int load;
    uint16_t offset;
    uint8_t bytes;
    bool is_signed;
};

/** How a load's address is made. bytes of a source: 0, there is none. */
struct rule {
    struct source base, index;
    int64_t scale, disp;
    uint32_t size;
};

enum place_state { LEARNING, NOTING, STOPPING };

struct place {
    struct urd_index_pc at;
    enum place_state state;
    bool vectors;
    struct example *examples[EXAMPLES];
    uint32_t n_examples;
    struct urd_capture capture;
    uint64_t noted, missed;
};

struct capture {
    struct urd_engine *engine;
    struct capture_user user;
    struct place *places;
    uint32_t n_places;
    uint32_t batch; /* bytes */
    bool changed;   /* the runner does not have it yet */
    bool missed;    /* something, in the last run */
    struct capture_stats stats;
};

struct capture *capture_create(struct urd_engine *e, const struct capture_user *user,
                               const struct urd_index_pc *pcs, uint32_t n, bool only_stops)
{
    struct capture *c = urd_xcalloc(1, sizeof *c);
    *c = (struct capture){.engine = e, .user = *user, .n_places = n, .batch = FIRST_BATCH};
    c->places = urd_xcalloc(n, sizeof *c->places);
    for (uint32_t i = 0; i < n; i++)
        c->places[i] = (struct place){.at = pcs[i], .state = only_stops ? STOPPING : LEARNING};
    return c;
}

static void example_destroy(struct example *x)
{
    for (uint32_t i = 0; x && i < x->n; i++)
        urd_buf_deinit(&x->reads[i].bytes);
    free(x);
}

void capture_destroy(struct capture *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; i < c->n_places; i++)
        for (uint32_t k = 0; k < c->places[i].n_examples; k++)
            example_destroy(c->places[i].examples[k]);
    free(c->places);
    free(c);
}

struct capture_stats capture_get_stats(const struct capture *c)
{
    return c->stats;
}

static struct place *place_at(struct capture *c, uint32_t space, uint64_t pc)
{
    for (uint32_t i = 0; i < c->n_places; i++)
        if (c->places[i].at.space == space && c->places[i].at.pc == pc)
            return &c->places[i];
    return NULL;
}

/* ---- rules ---- */

static uint64_t number_at(const uint8_t *p, const struct source *s)
{
    uint64_t v = 0;
    memcpy(&v, p, s->bytes);
    unsigned unused = 64 - 8u * s->bytes;
    return s->is_signed ? (uint64_t)((int64_t)(v << unused) >> unused) : v;
}

static uint64_t source_value(const struct example *x, const struct source *s)
{
    if (!s->bytes)
        return 0;
    return number_at(s->load < 0 ? (const uint8_t *)&x->head + s->offset
                                 : x->reads[s->load].bytes.data + s->offset,
                     s);
}

/** The examples that have a load, and all numbers that are known before it. */
struct fitting {
    const struct example *examples[EXAMPLES];
    uint64_t addresses[EXAMPLES];
    uint32_t n;
    struct source sources[SOURCES];
    uint64_t (*values)[EXAMPLES]; /* of each source */
    uint32_t n_sources;
};

static void add_source(struct fitting *f, int load, size_t offset, uint8_t bytes, bool is_signed)
{
    if (f->n_sources == SOURCES)
        return;
    struct source s = {load, (uint16_t)offset, bytes, is_signed};
    for (uint32_t i = 0; i < f->n; i++)
        f->values[f->n_sources][i] = source_value(f->examples[i], &s);
    f->sources[f->n_sources++] = s;
}

static bool fits_at(const struct fitting *f, uint32_t source, int64_t low, int64_t high,
                    struct rule *ret)
{
    int64_t d = (int64_t)(f->addresses[0] - f->values[source][0]);
    if (f->sources[source].bytes != 8 || d < low || d >= high)
        return false;
    for (uint32_t i = 1; i < f->n; i++)
        if ((int64_t)(f->addresses[i] - f->values[source][i]) != d)
            return false;
    *ret = (struct rule){.base = f->sources[source], .disp = d};
    return true;
}

static bool is_constant(const struct fitting *f, struct rule *ret)
{
    for (uint32_t i = 1; i < f->n; i++)
        if (f->addresses[i] != f->addresses[0])
            return false;
    *ret = (struct rule){.disp = (int64_t)f->addresses[0]};
    return true;
}

/** addresses less those of `base` (NULL: nothing) are a multiple of the index, plus a constant within (-limit, limit); 0: any. */
static bool fits_scaled(const struct fitting *f, const uint64_t *base, uint32_t index,
                        int64_t limit, int64_t *ret_scale, int64_t *ret_disp)
{
    const uint64_t *v = f->values[index];
    uint64_t first = f->addresses[0] - (base ? base[0] : 0);
    int64_t scale = 0;
    for (uint32_t i = 1; i < f->n; i++) {
        int64_t by = (int64_t)(v[i] - v[0]);
        int64_t d = (int64_t)(f->addresses[i] - (base ? base[i] : 0) - first);
        if (!by && d)
            return false;
        if (!by)
            continue;
        if (!scale)
            scale = by == -1 ? -d : d / by;
        if (scale < 1 || scale > LARGEST_SCALE || (int64_t)((uint64_t)scale * (uint64_t)by) != d)
            return false;
    }
    int64_t disp = (int64_t)(first - (uint64_t)scale * v[0]);
    if (!scale || (limit && (disp <= -limit || disp >= limit)))
        return false;
    *ret_scale = scale;
    *ret_disp = disp;
    return true;
}

static bool two_terms(const struct fitting *f, struct rule *ret)
{
    int64_t scale, disp;
    for (uint32_t i = 0; i < f->n_sources; i++)
        if (fits_scaled(f, NULL, i, 0, &scale, &disp)) {
            *ret = (struct rule){.index = f->sources[i], .scale = scale, .disp = disp};
            return true;
        }
    for (uint32_t b = 0; b < f->n_sources; b++)
        for (uint32_t i = 0; f->sources[b].bytes == 8 && i < f->n_sources; i++)
            if (i != b && fits_scaled(f, f->values[b], i, FRAME, &scale, &disp)) {
                *ret = (struct rule){f->sources[b], f->sources[i], scale, disp, 0};
                return true;
            }
    return false;
}

#define HEAD(field) offsetof(struct urd_captured, field)

static void add_sources(struct fitting *f, uint32_t load)
{
    static const uint16_t registers[] = {
        HEAD(regs.rdi), HEAD(regs.rsi), HEAD(regs.rdx), HEAD(regs.rcx), HEAD(regs.r8),
        HEAD(regs.r9),  HEAD(regs.rax), HEAD(regs.rbx), HEAD(regs.r12), HEAD(regs.r13),
        HEAD(regs.r14), HEAD(regs.r15), HEAD(regs.r10), HEAD(regs.r11)};
    enum {
        N = sizeof registers / sizeof *registers,
        WORDS = 64 /* bytes of a load that are looked at */
    };
    static const uint16_t of_frames[] = {HEAD(rsp), HEAD(regs.rbp), HEAD(fs_base)};
    for (unsigned i = 0; i < 3; i++)
        add_source(f, -1, of_frames[i], 8, false);
    for (uint32_t k = 0; k < load; k++) {
        size_t size = WORDS;
        for (uint32_t i = 0; i < f->n; i++)
            if (f->examples[i]->reads[k].bytes.size < size)
                size = f->examples[i]->reads[k].bytes.size;
        for (size_t at = 0; at + 8 <= size; at += 8)
            add_source(f, (int)k, at, 8, false);
        for (uint8_t width = 4; width; width /= 2)
            for (size_t at = 0; at + width <= size && (width == 4 || size < 4); at += width) {
                add_source(f, (int)k, at, width, true);
                add_source(f, (int)k, at, width, false);
            }
    }
    for (unsigned i = 0; i < N; i++)
        add_source(f, -1, registers[i], 8, false);
    for (unsigned i = 0; i < N; i++) {
        add_source(f, -1, registers[i], 4, true);
        add_source(f, -1, registers[i], 4, false);
    }
}

/** The first rule that agrees with all examples. */
static bool find_rule(struct fitting *f, struct rule *ret)
{
    enum { FRAMES = 3 };
    for (uint32_t s = 0; s < FRAMES; s++)
        if (fits_at(f, s, -FRAME, FRAME, ret))
            return true;
    for (uint32_t s = FRAMES; s < f->n_sources; s++)
        if (fits_at(f, s, 0, NEAR, ret))
            return true;
    if (is_constant(f, ret))
        return true;
    for (uint32_t s = FRAMES; s < f->n_sources; s++)
        if (fits_at(f, s, -FRAME, FRAME, ret))
            return true;
    return two_terms(f, ret);
}

/** reads: only from examples with so many of them; 0: from all. */
static bool rule_for(const struct place *p, uint32_t load, uint32_t reads, struct rule *ret)
{
    struct fitting *f = urd_xcalloc(1, sizeof *f);
    uint32_t size = 0;
    f->values = urd_xcalloc(SOURCES, sizeof *f->values);
    for (uint32_t i = 0; i < p->n_examples; i++) {
        const struct example *x = p->examples[i];
        if (x->n <= load || (reads && x->n != reads))
            continue;
        f->addresses[f->n] = x->reads[load].address;
        f->examples[f->n++] = x;
        if (x->reads[load].bytes.size > size)
            size = (uint32_t)x->reads[load].bytes.size;
    }
    add_sources(f, load);
    bool found = size <= LARGEST && find_rule(f, ret);
    ret->size = size;
    free(f->values);
    free(f);
    return found;
}

static struct urd_capture_term term_of(const struct source *s, const uint32_t *offsets)
{
    return (struct urd_capture_term){
        .at = (uint16_t)(s->offset + (s->load < 0 ? 0 : offsets[s->load])),
        .bytes = s->bytes,
        .is_signed = s->is_signed};
}

/** What to note for evaluations of n reads, when all have rules; reads: as rule_for. */
static bool capture_of(struct place *p, uint32_t n, uint32_t reads)
{
    uint32_t at = sizeof(struct urd_captured), offsets[URD_CAPTURE_LOADS];
    struct urd_capture *c = &p->capture;
    *c = (struct urd_capture){
        .pc = p->at.pc, .space = p->at.space, .vectors = p->vectors, .n_loads = n};
    for (uint32_t i = 0; i < n; i++) {
        struct rule rule;
        if (!rule_for(p, i, reads, &rule)) {
            urd_log(1, "print at %#lx: read %u of %u has no rule", p->at.pc, i + 1, n);
            return false;
        }
        c->loads[i] = (struct urd_capture_load){.base = term_of(&rule.base, offsets),
                                                .index = term_of(&rule.index, offsets),
                                                .scale = rule.scale,
                                                .disp = rule.disp,
                                                .size = rule.size};
        offsets[i] = at + (uint32_t)sizeof(struct urd_captured_load);
        at += urd_capture_load_bytes(rule.size);
        if (at > URD_CAPTURE_BYTES)
            return false;
    }
    c->size = at;
    return true;
}

/** All examples have rules in common, or those do that have as many reads as most. */
static bool make_capture(struct place *p)
{
    uint32_t most = 0, counts[URD_CAPTURE_LOADS + 1] = {0}, usual = 0;
    for (uint32_t i = 0; i < p->n_examples; i++) {
        uint32_t n = p->examples[i]->n;
        counts[n]++;
        most = n > most ? n : most;
        usual = counts[n] > counts[usual] ? n : usual;
    }
    return capture_of(p, most, 0) || capture_of(p, usual, usual);
}

/** Takes x over. */
static void learn(struct capture *c, struct place *p, struct example *x)
{
    if (p->n_examples ==
        EXAMPLES) { /* a newer one for an old one; the first few are as good as any */
        uint32_t victim = ENOUGH + (uint32_t)(p->missed % (EXAMPLES - ENOUGH));
        example_destroy(p->examples[victim]);
        p->examples[victim] = x;
    } else {
        p->examples[p->n_examples++] = x;
    }
    if (p->n_examples < ENOUGH)
        return;
    bool found = make_capture(p);
    if (found)
        p->state = NOTING;
    else if (p->n_examples == EXAMPLES || p->state == NOTING)
        p->state = STOPPING;
    c->changed = true;
}

/* ---- a frame that is watched ---- */

struct watched {
    struct frame_state f;
    struct place *place;
    struct example *example;
    bool useless; /* it reads too much, or what is not there */
};

static bool watched_memory(void *data, uint64_t address, void *buf, size_t size)
{
    struct watched *w = data;
    struct example *x = w->example;
    if (!w->f.frame.read_memory(w->f.frame.data, address, buf, size)) {
        w->useless = true;
        return false;
    }
    uint32_t last = x->n - 1;
    if (x->n && address == x->reads[last].address + x->reads[last].bytes.size) {
        urd_buf_put(&x->reads[last].bytes, buf, size);
    } else if (x->n == URD_CAPTURE_LOADS) {
        w->place->state = STOPPING;
        w->useless = true;
    } else {
        x->reads[x->n].address = address;
        urd_buf_put(&x->reads[x->n++].bytes, buf, size);
    }
    return true;
}

static bool watched_register(void *data, unsigned reg, uint64_t *ret)
{
    struct watched *w = data;
    return w->f.frame.read_register(w->f.frame.data, reg, ret);
}

static bool watched_vector(void *data, unsigned reg, void *buf, size_t size)
{
    struct watched *w = data;
    if (reg < URD_DW_XMM0 + 16)
        w->place->vectors = true;
    else
        w->place->state = STOPPING;
    return w->f.frame.read_vector(w->f.frame.data, reg, buf, size);
}

static struct urd_captured head_of(const struct user_regs_struct *r)
{
    return (struct urd_captured){.pc = r->rip,
                                 .rsp = r->rsp,
                                 .fs_base = r->fs_base,
                                 .regs = {r->r15, r->r14, r->r13, r->r12, r->rbp, r->rbx, r->r11,
                                          r->r10, r->r9, r->r8, r->rax, r->rcx, r->rdx, r->rsi,
                                          r->rdi, r->eflags}};
}

/** In a replay that stands at the hit. teaches: it is to be learnt from. */
static urd_err *evaluate_live(struct capture *c, struct place *p, struct urd_session *s,
                              struct urd_task *t, uint64_t event, bool teaches)
{
    struct watched w = {.place = p};
    URD_TRY(frame_open(c->engine, s, t, event, &w.f));
    w.f.frame.data = &w.f;
    struct urd_frame frame = w.f.frame;
    if (p->state == STOPPING || !teaches) {
        urd_err *err = c->user.evaluate(c->user.data, &frame);
        frame_close(&w.f);
        return err;
    }
    w.example = urd_xcalloc(1, sizeof *w.example);
    w.example->head = head_of(&t->regs);
    frame.data = &w;
    frame.read_memory = watched_memory;
    frame.read_register = watched_register;
    frame.read_vector = watched_vector;
    urd_err *err = c->user.evaluate(c->user.data, &frame);
    if (err || w.useless || p->state == STOPPING)
        example_destroy(w.example);
    else
        learn(c, p, w.example);
    frame_close(&w.f);
    return err;
}

/* ---- a frame of notes ---- */

struct noted {
    const struct urd_captured *record;
    struct user_regs_struct regs;
    bool missed;
};

static bool noted_memory(void *data, uint64_t address, void *buf, size_t size)
{
    struct noted *n = data;
    const uint8_t *at = (const uint8_t *)(n->record + 1);
    const uint8_t *end = (const uint8_t *)n->record + n->record->size;
    while (at < end) {
        struct urd_captured_load l;
        memcpy(&l, at, sizeof l);
        if (address - l.address < l.size && size <= l.size - (address - l.address)) {
            memcpy(buf, at + sizeof l + (address - l.address), size);
            return true;
        }
        at += urd_capture_load_bytes((uint32_t)l.size);
    }
    n->missed = true;
    return false;
}

static bool noted_register(void *data, unsigned reg, uint64_t *ret)
{
    return frame_register(&((struct noted *)data)->regs, reg, ret);
}

static bool noted_vector(void *data, unsigned reg, void *buf, size_t size)
{
    struct noted *n = data;
    unsigned i = reg >= URD_DW_XMM0 ? reg - URD_DW_XMM0 : reg; /* as in a live frame */
    if (i >= 16 || size > 16 || !n->record->has_vectors) {
        n->missed = true;
        return false;
    }
    memcpy(buf, n->record->vectors[i], size);
    return true;
}

static void regs_of(const struct urd_captured *r, const struct urd_task *t,
                    struct user_regs_struct *ret)
{
    const struct urd_runtime_frame *f = &r->regs;
    *ret = (struct user_regs_struct){.r15 = f->r15,
                                     .r14 = f->r14,
                                     .r13 = f->r13,
                                     .r12 = f->r12,
                                     .rbp = f->rbp,
                                     .rbx = f->rbx,
                                     .r11 = f->r11,
                                     .r10 = f->r10,
                                     .r9 = f->r9,
                                     .r8 = f->r8,
                                     .rax = f->rax,
                                     .rcx = f->rcx,
                                     .rdx = f->rdx,
                                     .rsi = f->rsi,
                                     .rdi = f->rdi,
                                     .eflags = f->flags,
                                     .rip = r->pc,
                                     .rsp = r->rsp,
                                     .fs_base = r->fs_base ? r->fs_base : t->regs.fs_base,
                                     .gs_base = t->regs.gs_base};
}

/** In a replay of its own. */
static urd_err *evaluate_again(struct capture *c, struct place *p, const struct urd_task *t,
                               struct urd_moment m)
{
    struct urd_session *s;
    c->missed = true;
    c->stats.missed++;
    p->missed++;
    URD_TRY(engine_seek(c->engine, m, &s));
    struct urd_task *there = urd_session_task(s, t->tid);
    if (!there || there->regs.rip != p->at.pc)
        URD_FAIL("the replay to %llu:%llu is not where the hit was", (unsigned long long)m.event,
                 (unsigned long long)m.steps);
    URD_TRY(evaluate_live(c, p, s, there, m.event, true));
    if (p->missed > MOST_MISSED && p->missed * MISSED_PART > p->noted) {
        p->state = STOPPING;
        c->changed = true;
    }
    return NULL;
}

static urd_err *evaluate_noted(struct capture *c, const struct urd_captured *r,
                               const struct urd_task *t, struct urd_moment m)
{
    struct noted n = {.record = r};
    struct urd_image *image;
    struct place *p = place_at(c, t->space, r->pc);
    URD_TRY(engine_image(c->engine, t->space, m.event, &image));
    regs_of(r, t, &n.regs);
    struct urd_frame frame = {.image = image,
                              .pc = r->pc,
                              .data = &n,
                              .read_memory = noted_memory,
                              .read_register = noted_register,
                              .read_vector = noted_vector,
                              .fs_base = n.regs.fs_base};
    c->stats.noted++;
    p->noted++;
    URD_TRY(c->user.evaluate(c->user.data, &frame));
    return n.missed ? evaluate_again(c, p, t, m) : NULL;
}

/* ---- runs ---- */

void capture_prepare(struct capture *c, struct urd_runner *r)
{
    if (!c->changed)
        return;
    struct urd_capture *list = urd_xcalloc(URD_CAPTURES, sizeof *list);
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_places && n < URD_CAPTURES; i++)
        if (c->places[i].state == NOTING)
            list[n++] = c->places[i].capture;
    urd_runner_set_captures(r, list, n, c->batch);
    free(list);
    c->changed = false;
}

urd_err *capture_noted(struct capture *c, const struct urd_session *s, struct urd_task *t,
                       uint64_t budget, bool *ret_more)
{
    size_t bytes;
    const uint8_t *at = urd_runner_captured(t, &bytes), *end = at + bytes;
    c->missed = false;
    while (at < end && *ret_more) {
        const struct urd_captured *r = (const struct urd_captured *)at;
        struct urd_moment m = {s->event, budget - (uint64_t)r->steps_left};
        URD_TRY(evaluate_noted(c, r, t, m));
        *ret_more = c->user.give(c->user.data, t, m);
        at += r->size;
    }
    bool full = bytes + URD_CAPTURE_BYTES > c->batch;
    if (c->missed)
        c->batch = FIRST_BATCH;
    else if (full && c->batch < LAST_BATCH)
        c->batch *= 2;
    c->changed |= c->missed || full;
    return NULL;
}

urd_err *capture_stopped(struct capture *c, struct urd_session *s, struct urd_task *t,
                         struct urd_moment m, bool *ret_more)
{
    struct place *p = place_at(c, t->space, t->regs.rip);
    c->stats.stopped++;
    bool first = c->stats.stopped == 1; /* it also finds names, and whether the question is right */
    URD_TRY(evaluate_live(c, p, s, t, m.event, p->state == LEARNING && !first));
    *ret_more = c->user.give(c->user.data, t, m);
    return NULL;
}
