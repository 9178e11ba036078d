/* print, lines: what happened at a location, every time. */
#include "query/format.h"
#include "query/stops.h"

struct printing {
    struct answer *a;
    struct urd_format *format;
    struct urd_expr *condition;
    const struct location *location;
    struct urd_map levels; /* pc -> urd_frame.level there + 1 */
    uint64_t hits;
    bool checked;
    bool yes;            /* of the hit that was evaluated last: the condition is true, */
    struct urd_buf text; /* and then this is printed */
    urd_err *err;
};

static json_t *row_at(struct printing *p, const struct urd_task *t, struct urd_moment m)
{
    json_t *row = json_object();
    struct urd_engine *e = p->a->engine;
    json_object_set_new(row, "moment", json_moment(m));
    json_object_set_new(row, "clock",
                        json_integer(e->index->events[m.event].clock + (int64_t)m.steps));
    json_object_set_new(row, "pid", json_integer(t->pid));
    json_object_set_new(row, "tid", json_integer(t->tid));
    return row;
}

/** At a ret, $retval is what it returns. True when it returns something that is not known, or not one value. */
static bool set_retval(struct urd_frame *f, struct urd_value *value)
{
    struct urd_place place;
    const struct urd_variable *result;
    if (!urd_debuginfo_image_find(f->image, f->pc, &place))
        return false;
    const struct urd_function *function = urd_debuginfo_function_at(place.module, place.address);
    const struct urd_type *type =
        function && function->typed ? urd_debuginfo_return_type(place.module, function) : NULL;
    size_t n = function && !type ? urd_debuginfo_results_of(place.module, function, &result) : 0;
    if (type)
        urd_debuginfo_return_value(type, f, value);
    else if (n == 1)
        urd_debuginfo_variable_read(result, f, place.bias, value);
    if (type || (n == 1 && value->status == URD_VALUE_OK))
        f->retval = value;
    return n && !f->retval;
}

/** Which of the functions that were inlined at the frame's pc the location means: code of several may begin there. */
static unsigned level_of(struct urd_engine *e, const struct location *l,
                         const struct urd_frame *frame)
{
    struct place_name n = NO_PLACE;
    for (unsigned k = 0; k <= n.levels; k++) {
        engine_name_in(e, frame->image, frame->pc, k, &n);
        if (l->function ? strcmp(n.function, l->function) == 0 : l->line && n.line == l->line)
            return k;
    }
    return 0;
}

static urd_err *evaluate_print(void *data, struct urd_frame *frame)
{
    struct printing *p = data;
    struct urd_value retval = {0};
    urd_err *err = NULL;
    p->yes = true;
    uint64_t *level = urd_map_put(&p->levels, frame->pc);
    if (!*level)
        *level = level_of(p->a->engine, p->location, frame) + 1u;
    frame->level = (unsigned)*level - 1;
    if (p->location->is_return)
        set_retval(frame, &retval);
    if (p->condition)
        err = urd_expr_condition(p->condition, frame, &p->yes, NULL);
    if (!err && !p->checked)
        err = urd_format_check(p->format, frame);
    p->checked = true;
    p->text.size = 0;
    if (!err && p->yes)
        urd_format_render(p->format, frame, &p->text);
    urd_debuginfo_value_deinit(&retval);
    return err;
}

static bool give_print(void *data, const struct urd_task *t, struct urd_moment m)
{
    struct printing *p = data;
    bool full = false;
    p->hits++;
    if (!p->yes)
        return true;
    json_t *row = row_at(p, t, m);
    json_object_set_new(row, "text",
                        json_text(p->text.data ? (char *)p->text.data : "", p->text.size));
    p->err = answer_row(p->a, row, &full);
    p->a->truncated |= full;
    return !p->err && !full;
}

struct extent {
    uint32_t space;
    uint64_t low, high;
};

static uint32_t extents_of(struct urd_engine *e, const struct location *l, struct extent *ret)
{
    for (uint32_t i = 0; i < l->n; i++) {
        ret[i].space = l->pcs[i].space;
        engine_extent(e, &l->pcs[i], &ret[i].low, &ret[i].high);
    }
    return l->n;
}

/** Entries become the ret instructions of their functions, as far as they ran. */
static urd_err *returns_of(struct urd_engine *e, struct location *l)
{
    struct urd_index_pc *rets = NULL;
    uint32_t n = 0, capacity = 0;
    URD_AUTO_FREE struct extent *extents = urd_xcalloc(l->n + 1, sizeof *extents);
    uint32_t n_extents = extents_of(e, l, extents);
    struct urd_map known = {0};
    for (uint32_t k = 0; k < e->index->n_segments; k++) {
        const struct urd_flow_block *blocks;
        uint32_t n_blocks;
        URD_TRY(urd_index_blocks(e->index, k, &blocks, &n_blocks));
        for (uint32_t d = 0; d < n_blocks; d++) {
            const struct urd_flow_block *b = &blocks[d];
            uint64_t pc = b->pc;
            if (b->end != URD_END_RET)
                continue;
            for (unsigned j = 0; j + 1 < b->n_insns; j++)
                pc += b->lengths[j];
            for (uint32_t i = 0; i < n_extents; i++) {
                if (pc < extents[i].low || pc >= extents[i].high)
                    continue;
                uint64_t *seen = urd_map_put(&known, pc ^ (uint64_t)extents[i].space << 48);
                if (!*seen)
                    URD_PUSH(rets, n, capacity) = (struct urd_index_pc){extents[i].space, pc};
                *seen = 1;
            }
        }
    }
    urd_map_deinit(&known);
    free(l->pcs);
    l->pcs = rets;
    l->n = n;
    return NULL;
}

static urd_err *parse_condition(const char *text, struct urd_expr **ret)
{
    *ret = NULL;
    return text ? urd_expr_parse(text, ret) : NULL;
}

/** Says that a location leaves copies of its function out. */
static void note_inlined(struct answer *a, const struct location *l)
{
    if (l->inlined && l->function)
        json_object_set_new(
            a->summary, "inlined",
            json_sprintf("%s is also inlined, and what is inlined is not called and does not "
                         "return: urd print %s 'TEXT' has every execution",
                         l->function, l->function));
}

urd_err *q_print(struct answer *a)
{
    const char *location, *text;
    URD_TRY(need_index(a->engine));
    URD_TRY(question_need(a, "location", &location));
    URD_TRY(question_need(a, "text", &text));
    struct printing p = {.a = a};
    struct capture_stats stats = {0};
    struct location l;
    URD_TRY(urd_format_parse(text, &p.format));
    urd_err *err = parse_condition(question_text(a, "if"), &p.condition);
    if (err) {
        urd_format_free(p.format);
        return err;
    }
    err = engine_location(a->engine, location, true, &l);
    if (!err) {
        p.location = &l;
        note_inlined(a, &l);
        err = question_needs_code(a, &l, l.is_return);
        if (!err && l.is_return)
            err = returns_of(a->engine, &l);
        if (!err)
            err = stops_evaluate(a->engine, l.pcs, l.n,
                                 &(struct capture_user){&p, evaluate_print, give_print},
                                 question_flag(a, "stop"), &stats);
        if (!err)
            err = p.err;
        else
            urd_err_free(p.err);
        if (l.line)
            json_object_set_new(a->summary, "line", json_integer(l.line));
        location_deinit(&l);
    }
    json_object_set_new(a->summary, "hits", json_integer((json_int_t)p.hits));
    json_object_set_new(a->summary, "stops", json_integer((json_int_t)stats.stopped));
    json_object_set_new(a->summary, "again", json_integer((json_int_t)stats.missed));
    urd_buf_deinit(&p.text);
    urd_map_deinit(&p.levels);
    urd_format_free(p.format);
    if (p.condition)
        urd_expr_free(p.condition);
    return err;
}

/* ---- lines ---- */

struct lining {
    struct answer *a;
    uint64_t hits;
    urd_err *err;
};

static bool on_line(void *data, int64_t clock, int32_t tid, uint32_t which)
{
    struct lining *l = data;
    bool full = false;
    json_t *row = json_object();
    l->hits++;
    l->err = json_set_clock_place(l->a->engine, row, clock);
    if (l->err)
        json_decref(row);
    else
        l->err = answer_row(l->a, row, &full);
    l->a->truncated |= full;
    return !l->err && !full;
}

urd_err *q_lines(struct answer *a)
{
    const char *text;
    URD_TRY(question_need(a, "location", &text));
    struct location l;
    URD_TRY(engine_location(a->engine, text, false, &l));
    struct lining lining = {.a = a};
    urd_err *err = question_needs_code(a, &l, l.is_return);
    if (!err && l.is_return)
        err = returns_of(a->engine, &l);
    if (!err)
        err = urd_index_executions(a->engine->index, l.pcs, l.n, INT64_MIN, INT64_MAX, false,
                                   on_line, &lining);
    json_object_set_new(a->summary, "hits", json_integer((json_int_t)lining.hits));
    if (l.line)
        json_object_set_new(a->summary, "line", json_integer(l.line));
    location_deinit(&l);
    if (!err)
        err = lining.err;
    return err;
}

/* ---- calls ---- */

struct call_row {
    struct urd_call call;
    uint32_t space;
    json_t *args;   /* once evaluated */
    json_t *result; /* text */
    json_t *result_value;
};

struct calling {
    struct answer *a;
    const char *function;
    struct call_row *calls; /* by entry */
    uint32_t n, capacity;
    uint32_t given; /* the first so many went out */
    struct call_end {
        int64_t clock;
        uint32_t call; /* index */
    } * ends;          /* by clock, inner calls of those that end together last */
    bool full;
    urd_err *err;
};

static bool on_call(void *data, uint32_t space, const struct urd_call *call)
{
    struct calling *c = data;
    URD_PUSH(c->calls, c->n, c->capacity) = (struct call_row){*call, space, NULL, NULL, NULL};
    return true;
}

static int by_entry(const void *a, const void *b)
{
    const struct call_row *x = a, *y = b;
    if (x->call.entry != y->call.entry)
        return x->call.entry < y->call.entry ? -1 : 1;
    return 0;
}

static int by_clock(const void *a, const void *b)
{
    const struct call_end *x = a, *y = b;
    if (x->clock != y->clock)
        return x->clock < y->clock ? -1 : 1;
    return x->call < y->call ? -1 : 1;
}

static struct call_row *call_ending_at(struct calling *c, int64_t clock, int32_t tid)
{
    uint32_t low = 0, high = c->n; /* the first that ends later */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (c->ends[middle].clock <= clock + 1)
            low = middle + 1;
        else
            high = middle;
    }
    for (uint32_t i = low; i-- > 0 && c->ends[i].clock == clock + 1;) {
        struct call_row *r = &c->calls[c->ends[i].call];
        if (r->call.entry <= clock && r->call.tid == tid)
            return r;
    }
    return NULL;
}

/** The newest call that began at or before clock and has no arguments yet. */
static struct call_row *call_begun_at(struct calling *c, int64_t clock, int32_t tid)
{
    uint32_t low = 0, high = c->n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (c->calls[middle].call.entry <= clock)
            low = middle + 1;
        else
            high = middle;
    }
    for (uint32_t i = low; i-- > 0;)
        if (c->calls[i].call.tid == tid)
            return c->calls[i].args ? NULL : &c->calls[i];
    return NULL;
}

static json_t *value_json(const struct urd_frame *frame, struct urd_value *v)
{
    struct urd_buf text = {0};
    urd_debuginfo_value_text(frame, v, NULL, &text);
    json_t *j = json_text(text.data ? (char *)text.data : "", text.size);
    urd_buf_deinit(&text);
    return j;
}

static json_t *arguments(struct frame_state *f)
{
    json_t *args = json_array();
    struct urd_place place;
    if (urd_debuginfo_image_find(f->frame.image, f->frame.pc, &place)) {
        const struct urd_function *function =
            urd_debuginfo_function_at(place.module, place.address);
        if (function && function->typed) {
            const struct urd_variable **parameters;
            size_t n;
            urd_debuginfo_parameters_of(place.module, function, &parameters, &n);
            for (size_t i = 0; i < n; i++) {
                struct urd_value v = {0};
                urd_debuginfo_variable_read(parameters[i], &f->frame, place.bias, &v);
                json_array_append_new(args,
                                      json_pack("{s:s, s:o}", "name",
                                                parameters[i]->name ? parameters[i]->name : "",
                                                "value", value_json(&f->frame, &v)));
                urd_debuginfo_value_deinit(&v);
            }
            free(parameters);
            return args;
        }
    }
    static const struct {
        const char *name;
        unsigned reg;
    } registers[] = {{"rdi", URD_DW_RDI}, {"rsi", URD_DW_RSI}, {"rdx", URD_DW_RDX},
                     {"rcx", URD_DW_RCX}, {"r8", URD_DW_R8},   {"r9", URD_DW_R9}};
    for (unsigned i = 0; i < 6; i++) {
        uint64_t v = 0;
        f->frame.read_register(f, registers[i].reg, &v);
        json_array_append_new(
            args, json_pack("{s:s, s:o}", "name", registers[i].name, "value", json_hex(v)));
    }
    return args;
}

static urd_err *give_call(struct calling *c, struct call_row *r)
{
    struct urd_engine *e = c->a->engine;
    struct place_name caller, called;
    struct urd_moment m = urd_index_moment(e->index, r->call.entry);
    URD_TRY(engine_caller(e, r->space, &r->call, &caller));
    engine_name_level(e, r->space, m.event, r->call.callee, false, NAMED_CALLED, &called);
    json_t *row = json_object();
    json_object_set_new(row, "moment", json_moment(m));
    json_object_set_new(row, "clock", json_integer(r->call.entry));
    json_object_set_new(row, "pid", json_integer(e->index->spaces[r->space].pid));
    json_object_set_new(row, "tid", json_integer(r->call.tid));
    json_object_set_new(row, "function",
                        json_string(called.function[0] ? called.function : c->function));
    json_object_set_new(row, "args", r->args ? r->args : json_array());
    json_object_set_new(row, "returned", r->result ? r->result : json_null());
    json_object_set_new(row, "return_moment",
                        r->call.abandoned ? json_null()
                                          : json_moment(urd_index_moment(e->index, r->call.end)));
    json_object_set_new(row, "steps", json_integer(r->call.end - r->call.entry));
    json_object_set_new(row, "depth",
                        urd_index_knows_depth(e->index, r->call.entry) ? json_integer(r->call.depth)
                                                                       : json_null());
    json_object_set_new(row, "caller",
                        caller.function[0] ? json_string(caller.function) : json_null());
    json_object_set_new(row, "file", caller.file[0] ? json_string(caller.file) : json_null());
    json_object_set_new(row, "line", caller.line ? json_integer(caller.line) : json_null());
    r->args = r->result = NULL;
    return answer_row(c->a, row, &c->full);
}

/** Those that end at or before clock go out, as far as no earlier one is still missing. */
static urd_err *give_calls(struct calling *c, int64_t clock)
{
    while (c->given < c->n && !c->full && c->calls[c->given].call.end <= clock)
        URD_TRY(give_call(c, &c->calls[c->given++]));
    return NULL;
}

static bool on_call_stop(void *data, struct urd_session *s, struct urd_task *t, struct urd_moment m,
                         uint64_t pc)
{
    struct calling *c = data;
    int64_t clock = c->a->engine->index->events[m.event].clock + (int64_t)m.steps;
    c->err = give_calls(c, clock);
    if (c->err || c->full)
        return false;
    struct call_row *ending = call_ending_at(c, clock, t->tid);
    struct call_row *begun = ending ? NULL : call_begun_at(c, clock, t->tid);
    if (!ending && !begun)
        return true;
    struct frame_state f;
    c->err = frame_open(c->a->engine, s, t, m.event, &f);
    if (c->err)
        return false;
    f.frame.data = &f;
    if (begun)
        begun->args = arguments(&f);
    if (ending && !ending->args) /* a function of one instruction */
        ending->args = arguments(&f);
    if (ending) {
        struct urd_value v = {0};
        struct urd_place place;
        const struct urd_function *function = NULL;
        bool unknown = set_retval(&f.frame, &v);
        if (f.frame.retval) {
            ending->result = value_json(&f.frame, &v);
        } else if (!unknown) {
            if (urd_debuginfo_image_find(f.frame.image, f.frame.pc, &place))
                function = urd_debuginfo_function_at(place.module, place.address);
            ending->result =
                function && function->typed ? json_string("void") : json_hex(t->regs.rax);
        }
        urd_debuginfo_value_deinit(&v);
    }
    frame_close(&f);
    return true;
}

static urd_err *evaluate_calls(struct calling *c, const char *name, const struct location *entries)
{
    struct urd_engine *e = c->a->engine;
    struct location args, rets = {0};
    if (!c->n)
        return NULL;
    URD_TRY(engine_location(e, name, true, &args));
    uint32_t capacity = 0;
    for (uint32_t i = 0; i < entries->n; i++)
        URD_PUSH(rets.pcs, rets.n, capacity) = entries->pcs[i];
    urd_err *err = returns_of(e, &rets);
    uint32_t n = args.n + rets.n;
    struct urd_index_pc *all = urd_xcalloc(n, sizeof *all);
    memcpy(all, args.pcs, args.n * sizeof *all);
    if (rets.n)
        memcpy(all + args.n, rets.pcs, rets.n * sizeof *all);
    c->ends = urd_xcalloc(c->n, sizeof *c->ends);
    for (uint32_t i = 0; i < c->n; i++)
        c->ends[i] = (struct call_end){c->calls[i].call.end, i};
    qsort(c->ends, c->n, sizeof *c->ends, by_clock);
    int64_t last = c->ends[c->n - 1].clock;
    if (!err)
        err = stops_run(e, all, n, c->calls[0].call.entry, last + 1, on_call_stop, c);
    free(all);
    location_deinit(&args);
    location_deinit(&rets);
    if (!err)
        err = c->err;
    return err;
}

urd_err *q_calls(struct answer *a)
{
    const char *name;
    URD_TRY(question_need(a, "function", &name));
    struct location l;
    URD_TRY(engine_location(a->engine, name, false, &l));
    struct calling c = {.a = a, .function = l.function ? l.function : name};
    urd_err *err = question_needs_code(a, &l, true);
    for (uint32_t i = 0; i < l.n && !err; i++)
        err = urd_index_calls(a->engine->index, l.pcs[i].space, l.pcs[i].pc, on_call, &c);
    if (c.n)
        qsort(c.calls, c.n, sizeof *c.calls, by_entry);
    json_object_set_new(a->summary, "calls", json_integer(c.n));
    note_inlined(a, &l);
    if (a->limit && c.n > a->limit) {
        c.n = (uint32_t)a->limit;
        a->truncated = true;
    }
    if (!err && !question_flag(a, "fast"))
        err = evaluate_calls(&c, name, &l);
    if (!err)
        err = give_calls(&c, INT64_MAX);
    for (uint32_t i = 0; i < c.n; i++) {
        json_decref(c.calls[i].args);
        json_decref(c.calls[i].result);
    }
    free(c.calls);
    free(c.ends);
    location_deinit(&l);
    return err;
}
