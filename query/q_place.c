/* What is at a moment: place, stack, values, memory, registers; and moving from it. */
#include "query/engine.h"
#include "replay/disassemble.h"
#include <stdio.h>

static urd_err *at_moment(struct answer *a, struct urd_moment *m, struct urd_session **s,
                          struct urd_task **t)
{
    URD_TRY(question_moment(a, m));
    URD_TRY(engine_seek(a->engine, *m, s));
    *t = live_task(*s);
    if (!*t)
        URD_NOTHING("no process exists at %llu:%llu", (unsigned long long)m->event,
                    (unsigned long long)m->steps);
    return NULL;
}

urd_err *q_moment(struct answer *a)
{
    struct urd_engine *e = a->engine;
    struct urd_moment m;
    struct urd_session *s;
    struct urd_task *t;
    URD_TRY(at_moment(a, &m, &s, &t));
    struct place_name n;
    engine_name(e, t->space, m.event, t->regs.rip, false, &n);
    json_object_set_new(a->summary, "at", json_moment(m));
    json_object_set_new(a->summary, "tid", json_integer(t->tid));
    json_object_set_new(a->summary, "pid", json_integer(t->pid));
    json_object_set_new(a->summary, "pc", json_hex(t->regs.rip));
    json_set_place(a->summary, &n);
    json_object_set_new(a->summary, "event", json_integer((json_int_t)m.event));
    if (e->index) {
        int64_t clock;
        URD_TRY(urd_index_clock(e->index, m, &clock));
        json_object_set_new(a->summary, "clock", json_integer(clock));
        json_object_set_new(
            a->summary, "percent",
            json_real(e->index->end ? 100.0 * (double)clock / (double)e->index->end : 0));
    }
    return NULL;
}

/** Those of the frame's function, as they are now. */
static void add_arguments(const struct urd_frame *frame, struct urd_buf *args)
{
    struct urd_place place;
    const struct urd_variable **variables = NULL;
    size_t count = 0, written = 0;
    if (!urd_debuginfo_image_find(frame->image, frame->pc - frame->is_caller, &place))
        return;
    unsigned nesting = urd_debuginfo_nesting(frame, place.module, place.address);
    urd_debuginfo_variables_at(place.module, place.address, &variables, &count);
    for (size_t i = 0; i < count; i++) {
        const struct urd_variable *p = variables[i];
        struct urd_value v = {0};
        if (p->nesting != nesting || p->kind != URD_VARIABLE_PARAMETER)
            continue;
        urd_debuginfo_variable_read(p, frame, place.bias, &v);
        urd_buf_printf(args, "%s%s=", written++ ? ", " : "", p->name ? p->name : "");
        struct urd_text_options o = {.max_elements = 40, .max_depth = 1, .max_bytes = 120};
        urd_debuginfo_value_text(frame, &v, &o, args);
        urd_debuginfo_value_deinit(&v);
    }
    free(variables);
}

/** One row of the stack, its arguments as they are now in that frame when they can be had. */
static json_t *frame_row(struct urd_engine *e, const struct stack_frame *f, unsigned depth)
{
    json_t *row = json_object();
    struct urd_buf args = {0};
    json_object_set_new(row, "depth", json_integer(depth));
    json_set_place(row, &f->name);
    json_object_set_new(row, "pc", json_hex(f->pc));
    json_object_set_new(row, "inlined", json_boolean(f->level < f->name.levels));
    json_object_set_new(row, "moment",
                        f->entry >= 0 ? json_moment(urd_index_moment(e->index, f->entry))
                                      : json_null());
    add_arguments(&f->registers, &args);
    json_object_set_new(row, "args", json_text(args.data ? (char *)args.data : "", args.size));
    urd_buf_deinit(&args);
    return row;
}

struct stack_rows {
    struct answer *a;
    unsigned depth;
    urd_err *err;
};

static bool on_frame(void *data, const struct stack_frame *f)
{
    struct stack_rows *r = data;
    bool full;
    r->err = answer_row(r->a, frame_row(r->a->engine, f, r->depth++), &full);
    r->a->truncated |= !r->err && full;
    return !r->err && !full;
}

urd_err *q_stack(struct answer *a)
{
    struct urd_moment m;
    struct urd_session *s;
    struct urd_task *t;
    struct frame_state f;
    URD_TRY(at_moment(a, &m, &s, &t));
    URD_TRY(frame_open(a->engine, s, t, m.event, &f));
    json_object_set_new(a->summary, "tid", json_integer(t->tid));
    json_object_set_new(a->summary, "at", json_moment(m));
    json_object_set_new(a->summary, "unwound", json_boolean(!frames_have_history(a->engine, m)));
    struct stack_rows rows = {.a = a};
    urd_err *err = frames_walk(a->engine, &f, m, on_frame, &rows);
    frame_close(&f);
    return err ? err : rows.err;
}

/* ---- values ---- */

static const char *const status_names[] = {
    [URD_VALUE_OK] = "ok",
    [URD_VALUE_OPTIMISED_OUT] = "optimised_out",
    [URD_VALUE_NOT_RECORDED] = "not_recorded",
    [URD_VALUE_UNREADABLE] = "unreadable",
    [URD_VALUE_NOT_THERE] = "not_there",
    [URD_VALUE_TOO_LARGE] = "too_large",
};

static json_t *value_row(const struct urd_frame *frame, const char *name, const char *kind,
                         const char *expr, struct urd_value *v)
{
    json_t *row = json_object();
    struct urd_buf text = {0};
    struct urd_text_options o = {.max_elements = 100, .max_bytes = 500};
    urd_debuginfo_value_fetch(frame, v);
    urd_debuginfo_value_text(frame, v, &o, &text);
    URD_AUTO_FREE char *type = v->type ? urd_debuginfo_type_text(v->type) : strdup("");
    json_object_set_new(row, "name", json_string(name));
    json_object_set_new(row, "type", json_text(type, strlen(type)));
    json_object_set_new(row, "value", json_text(text.data ? (char *)text.data : "", text.size));
    json_object_set_new(row, "status", json_string(status_names[v->status]));
    json_object_set_new(row, "reason", v->reason[0] ? json_string(v->reason) : json_null());
    json_object_set_new(row, "kind", json_string(kind));
    bool memory = v->lvalue && urd_debuginfo_value_in_memory(v);
    json_object_set_new(row, "address", memory ? json_hex(v->pieces[0].address) : json_null());
    json_object_set_new(row, "size", json_integer((json_int_t)v->size));
    json_object_set_new(row, "has_children", json_boolean(urd_debuginfo_has_children(v)));
    json_object_set_new(row, "expr", json_string(expr));
    urd_buf_deinit(&text);
    return row;
}

struct last_write {
    int64_t clock;
};

static bool on_last_write(void *data, const struct urd_index_write *w)
{
    if (w->event == URD_WRITE_INITIAL)
        return true;
    ((struct last_write *)data)->clock = w->clock;
    return false;
}

/** Did the call or line that the task is in change this value last? And when was that. */
static urd_err *add_last_write(struct urd_engine *e, json_t *row, uint32_t space, int64_t clock,
                               int64_t since)
{
    const char *address = json_string_value(json_object_get(row, "address"));
    json_int_t size = json_integer_value(json_object_get(row, "size"));
    json_object_set_new(row, "changed", json_false());
    if (!e->index || !address || size <= 0 || size > 4096)
        return NULL;
    struct last_write last = {INT64_MIN};
    URD_TRY(urd_index_writes(e->index, space, strtoull(address, NULL, 16), (uint64_t)size, clock,
                             INT64_MIN, clock, true, on_last_write, &last));
    if (last.clock == INT64_MIN)
        return NULL;
    json_t *where = json_object();
    urd_err *err = json_set_clock_place(e, where, last.clock < 0 ? 0 : last.clock);
    if (err) {
        json_decref(where);
        return err;
    }
    json_object_set_new(row, "last", where);
    json_object_set_new(row, "changed", json_boolean(last.clock >= since));
    return NULL;
}

/** The clock at which the line that the moment is in was entered: values written since have changed. */
static int64_t line_start(struct urd_engine *e, int64_t clock)
{
    struct urd_index_place now, then;
    struct place_name here, there;
    urd_err *err = urd_index_place(e->index, clock - 1, &now);
    if (err || !now.found) {
        urd_err_free(err);
        return clock;
    }
    engine_name(e, now.space, urd_index_moment(e->index, clock - 1).event, now.pc, false, &here);
    for (int64_t at = clock - 2; at > clock - 200 && at >= 0; at--) {
        err = urd_index_place(e->index, at, &then);
        if (err || !then.found || then.tid != now.tid) {
            urd_err_free(err);
            return at + 1;
        }
        engine_name(e, then.space, urd_index_moment(e->index, at).event, then.pc, false, &there);
        if (there.line != here.line || strcmp(there.file, here.file) != 0)
            return at + 1;
    }
    return clock - 1;
}

/** The frame that the question names; otherwise the innermost one, or that of the program itself. */
static urd_err *open_frame(struct answer *a, bool innermost, struct urd_moment *m,
                           struct frame_state *f, const struct urd_frame **ret)
{
    struct urd_session *s;
    struct urd_task *t;
    URD_TRY(at_moment(a, m, &s, &t));
    URD_TRY(frame_open(a->engine, s, t, m->event, f));
    int64_t number = question_number(a, "frame", innermost ? 0 : -1);
    urd_err *err = NULL;
    if (number < 0)
        *ret = frame_default(f);
    else
        err = frame_numbered(a->engine, f, *m, (unsigned)number, ret);
    if (!err && *ret)
        return NULL;
    frame_close(f);
    URD_TRY(err);
    return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "there is no frame %lld at this moment",
                                  (long long)question_number(a, "frame", 0)),
                        "the question 'stack' numbers them");
}

urd_err *q_values(struct answer *a)
{
    struct urd_engine *e = a->engine;
    struct urd_moment m;
    struct frame_state f;
    const struct urd_frame *frame;
    URD_TRY(open_frame(a, false, &m, &f, &frame));
    struct urd_place place = {0};
    int64_t clock = 0, since = 0;
    urd_err *err = NULL;
    if (e->index) {
        err = urd_index_clock(e->index, m, &clock);
        since = err ? 0 : line_start(e, clock);
    }
    const struct urd_variable **variables = NULL;
    size_t n = 0;
    unsigned nesting = 0;
    if (urd_debuginfo_image_find(frame->image, frame->pc - (frame->is_caller ? 1 : 0), &place)) {
        urd_debuginfo_variables_at(place.module, place.address, &variables, &n);
        nesting = urd_debuginfo_nesting(frame, place.module, place.address);
    }
    for (size_t i = 0; i < n && !err; i++) {
        const struct urd_variable *v = variables[i];
        struct urd_value value = {0};
        if (!v->name || v->nesting != nesting)
            continue;
        urd_debuginfo_variable_read(v, frame, place.bias, &value);
        json_t *row = value_row(frame, v->name,
                                v->kind == URD_VARIABLE_PARAMETER ? "argument"
                                : v->kind == URD_VARIABLE_LOCAL   ? "local"
                                                                  : "global",
                                v->name, &value);
        urd_debuginfo_value_deinit(&value);
        err = add_last_write(e, row, f.task->space, clock, since);
        if (err)
            json_decref(row);
        else
            err = answer_row(a, row, NULL);
    }
    const char *split =
        n || !place.module ? NULL : urd_debuginfo_missing_split(place.module, place.address);
    if (split && !err)
        err = urd_err_hint(
            URD_ERROR(
                URD_ERR_NOTHING,
                "the variables of this code are in %s, which is not there or is of another build",
                split),
            "put it where the compiler wrote it, or beside the program");
    json_object_set_new(a->summary, "debug_information", json_boolean(n > 0));
    json_object_set_new(a->summary, "at", json_moment(m));
    free(variables);
    frame_close(&f);
    return err;
}

static urd_err *evaluate(struct answer *a, const struct urd_frame *frame, const char *text,
                         struct urd_value *v)
{
    struct urd_expr *expr;
    URD_TRY(urd_expr_parse(text, &expr));
    urd_err *err = urd_expr_evaluate(expr, frame, v);
    urd_expr_free(expr);
    return err;
}

urd_err *q_eval(struct answer *a)
{
    struct urd_moment m;
    struct frame_state f;
    const struct urd_frame *frame;
    const char *text;
    URD_TRY(question_need(a, "expr", &text));
    URD_TRY(open_frame(a, false, &m, &f, &frame));
    struct urd_value v = {0};
    urd_err *err = evaluate(a, frame, text, &v);
    if (!err) {
        json_t *row = value_row(frame, text, "expression", text, &v);
        json_object_update(a->summary, row);
        json_object_set_new(a->summary, "at", json_moment(m));
        json_decref(row);
        urd_debuginfo_value_deinit(&v);
    }
    frame_close(&f);
    return err;
}

urd_err *q_children(struct answer *a)
{
    struct urd_moment m;
    struct frame_state f;
    const struct urd_frame *frame;
    const char *text;
    URD_TRY(question_need(a, "expr", &text));
    URD_TRY(open_frame(a, false, &m, &f, &frame));
    struct urd_value v = {0};
    urd_err *err = evaluate(a, frame, text, &v);
    if (!err) {
        struct urd_child *children;
        size_t n, total;
        urd_debuginfo_children(frame, &v, text, (size_t)question_number(a, "first", 0), 200,
                               &children, &n, &total);
        for (size_t i = 0; i < n && !err; i++)
            err = answer_row(a,
                             value_row(frame, children[i].name, "member", children[i].expression,
                                       &children[i].value),
                             NULL);
        json_object_set_new(a->summary, "total", json_integer((json_int_t)total));
        a->truncated = n < total;
        urd_debuginfo_children_free(children, n);
        urd_debuginfo_value_deinit(&v);
    }
    frame_close(&f);
    return err;
}

/* ---- memory and registers ---- */

urd_err *q_mem(struct answer *a)
{
    struct urd_moment m;
    struct frame_state f;
    const struct urd_frame *frame;
    const char *where;
    URD_TRY(question_need(a, "address", &where));
    URD_TRY(open_frame(a, false, &m, &f, &frame));
    uint64_t size = (uint64_t)question_number(a, "size", 64), address = 0;
    struct urd_value v = {0};
    urd_err *err = evaluate(a, frame, where, &v);
    if (!err && v.lvalue && urd_debuginfo_value_in_memory(&v) &&
        !(where[0] >= '0' && where[0] <= '9')) {
        address = v.pieces[0].address;
        if (!question_number(a, "size", 0))
            size = v.size;
    } else if (!err && !urd_debuginfo_value_to_u64(&v, &address)) {
        err = URD_ERROR(URD_ERR_QUESTION, "'%s' is no address", where);
    }
    urd_debuginfo_value_deinit(&v);
    if (!err && size > 1u << 20)
        err = URD_ERROR(URD_ERR_QUESTION, "at most 1 MiB of memory at once");
    bool any = false;
    for (uint64_t at = 0; at < size && !err; at += 16) {
        uint8_t bytes[16];
        size_t want = size - at < 16 ? size - at : 16,
               got = urd_tracee_read(f.task->process->mem, address + at, bytes, want);
        if (!got)
            break;
        any = true;
        char text[17] = "";
        for (size_t i = 0; i < got; i++)
            text[i] = bytes[i] >= 32 && bytes[i] < 127 ? (char)bytes[i] : '.';
        err = answer_row(a,
                         json_pack("{s:o, s:o, s:s#}", "address", json_hex(address + at), "hex",
                                   json_bytes(bytes, got), "text", text, (int)got),
                         NULL);
        if (got < want)
            break;
    }
    if (!err && !any)
        err = URD_ERROR(URD_ERR_NOTHING, "nothing is mapped at 0x%llx at %llu:%llu",
                        (unsigned long long)address, (unsigned long long)m.event,
                        (unsigned long long)m.steps);
    json_object_set_new(a->summary, "at", json_moment(m));
    frame_close(&f);
    return err;
}

urd_err *question_address(struct answer *a, const char *text, struct urd_moment *ret_at,
                          struct urd_task **ret_task, uint64_t *ret)
{
    struct frame_state f;
    const struct urd_frame *frame;
    URD_TRY(open_frame(a, false, ret_at, &f, &frame));
    struct urd_value v = {0};
    urd_err *err = evaluate(a, frame, text, &v);
    bool aggregate =
        !err && v.type && urd_debuginfo_type_is_aggregate(urd_debuginfo_type_strip(v.type));
    *ret_task = f.task;
    if (!err && aggregate && v.lvalue && urd_debuginfo_value_in_memory(&v))
        *ret = v.pieces[0].address;
    else if (!err && !urd_debuginfo_value_to_u64(&v, ret))
        err = URD_ERROR(URD_ERR_QUESTION, "'%s' is no address", text);
    urd_debuginfo_value_deinit(&v);
    frame_close(&f);
    return err;
}

urd_err *q_reg(struct answer *a)
{
    static const struct {
        const char *name;
        unsigned reg;
    } registers[] = {{"rax", 0},
                     {"rbx", 3},
                     {"rcx", 2},
                     {"rdx", 1},
                     {"rsi", 4},
                     {"rdi", 5},
                     {"rbp", 6},
                     {"rsp", 7},
                     {"r8", 8},
                     {"r9", 9},
                     {"r10", 10},
                     {"r11", 11},
                     {"r12", 12},
                     {"r13", 13},
                     {"r14", 14},
                     {"r15", 15},
                     {"rip", 16},
                     {"eflags", URD_DW_EFLAGS},
                     {"fs_base", URD_DW_FS_BASE},
                     {"gs_base", URD_DW_GS_BASE}};
    struct urd_moment m;
    struct frame_state f;
    const struct urd_frame *frame;
    URD_TRY(open_frame(a, true, &m, &f, &frame));
    urd_err *err = NULL;
    for (unsigned i = 0; i < sizeof registers / sizeof *registers && !err; i++) {
        uint64_t v;
        if (frame->read_register(frame->data, registers[i].reg, &v))
            err = answer_row(
                a, json_pack("{s:s, s:o}", "name", registers[i].name, "value", json_hex(v)), NULL);
    }
    for (unsigned i = 0; i < 16 && !err && frame->read_vector; i++) {
        uint8_t bytes[16];
        char name[8];
        snprintf(name, sizeof name, "xmm%u", i);
        if (frame->read_vector(frame->data, 17 + i, bytes, 16))
            err = answer_row(
                a, json_pack("{s:s, s:o}", "name", name, "value", json_bytes(bytes, 16)), NULL);
    }
    json_object_set_new(a->summary, "at", json_moment(m));
    frame_close(&f);
    return err;
}

urd_err *q_disassemble(struct answer *a)
{
    struct urd_moment m;
    struct frame_state f;
    const struct urd_frame *frame;
    URD_TRY(open_frame(a, true, &m, &f, &frame));
    uint64_t pc = frame->pc, start = pc;
    const char *from = question_text(a, "pc");
    if (from)
        pc = start = strtoull(from, NULL, 0);
    struct urd_place place;
    const struct urd_symbol *symbol;
    if (urd_debuginfo_image_find(frame->image, pc, &place) &&
        (symbol = urd_debuginfo_symbol_at(place.module, place.address)) &&
        pc - (symbol->address + place.bias) < 4096)
        start = symbol->address +
                place.bias; /* instructions before pc can only be told from a known start */
    uint8_t code[8192];
    size_t n = urd_tracee_read(f.task->process->mem, start, code, sizeof code);
    cs_insn *insns;
    size_t count, at = 0;
    urd_err *err = urd_disassemble(code, n, start, 0, &insns, &count);
    if (err) {
        frame_close(&f);
        return urd_err_hop(err, __func__, __FILE__, __LINE__);
    }
    while (at < count && insns[at].address < pc)
        at++;
    for (size_t i = at > 30 ? at - 30 : 0; i < count && i < at + 60 && !err; i++) {
        struct place_name name;
        engine_name(a->engine, f.task->space, m.event, insns[i].address, false, &name);
        char text[256];
        snprintf(text, sizeof text, "%s %s", insns[i].mnemonic, insns[i].op_str);
        json_t *row = json_pack("{s:o, s:o, s:s, s:b}", "pc", json_hex(insns[i].address), "bytes",
                                json_bytes(insns[i].bytes, insns[i].size), "text", text, "current",
                                insns[i].address == pc);
        json_set_place(row, &name);
        err = answer_row(a, row, NULL);
    }
    urd_disassembly_free(insns, count);
    json_object_set_new(a->summary, "at", json_moment(m));
    frame_close(&f);
    return err;
}

/* ---- moving ---- */

struct mover {
    struct urd_engine *e;
    int64_t clock; /* now */
    int32_t tid;
    uint32_t depth; /* frames at the start */
    struct place_name here;
};

static int64_t clamp(const struct urd_engine *e, int64_t clock)
{
    return clock < 0 ? 0 : clock > e->index->end ? e->index->end : clock;
}

/** By one instruction of the same task. */
static urd_err *step_task(struct mover *v, bool back, int64_t *clock, struct urd_index_place *place,
                          bool *ret_ok)
{
    *ret_ok = false;
    for (int64_t at = *clock + (back ? -1 : 1), tries = 0;
         at >= 0 && at < v->e->index->end && tries < 4000000; tries++) {
        URD_TRY(urd_index_place(v->e->index, at, place));
        if (place->found && place->tid == v->tid) {
            *clock = at;
            *ret_ok = true;
            return NULL;
        }
        /* another task runs here: skip to the edge of its interval */
        struct urd_moment m = urd_index_moment(v->e->index, at);
        const struct urd_index_event *ev = v->e->index->events;
        if (back)
            at = ev[m.event].clock < at ? ev[m.event].clock - 1 : at - 1;
        else
            at = m.event < v->e->index->n_events && ev[m.event + 1].clock > at
                     ? ev[m.event + 1].clock
                     : at + 1;
    }
    return NULL;
}

static urd_err *depth_at(struct mover *v, int64_t clock, uint32_t *ret)
{
    struct urd_call_stack s;
    URD_TRY(urd_index_stack(v->e->index, clock, v->tid, &s));
    *ret = s.n;
    free(s.frames);
    return NULL;
}

/** To the next (or former) line: `into` stops in callees too, otherwise calls are passed over. */
static urd_err *move_line(struct mover *v, bool back, bool into, int64_t *ret, const char **reason)
{
    int64_t clock = v->clock;
    struct urd_index_place place;
    for (unsigned tries = 0; tries < 200000; tries++) {
        bool ok;
        URD_TRY(step_task(v, back, &clock, &place, &ok));
        if (!ok) {
            *reason = back ? "the task begins here" : "the task ends here";
            break;
        }
        struct place_name n;
        engine_name(v->e, place.space, urd_index_moment(v->e->index, clock).event, place.pc, false,
                    &n);
        bool same = n.line == v->here.line && strcmp(n.file, v->here.file) == 0 &&
                    strcmp(n.function, v->here.function) == 0;
        if (same)
            continue;
        if (!into || !n.line) {
            uint32_t depth;
            URD_TRY(depth_at(v, clock, &depth));
            if (depth > v->depth) { /* in a callee: to its other end */
                struct urd_call_stack s;
                URD_TRY(urd_index_stack(v->e->index, clock, v->tid, &s));
                const struct urd_call_frame f = s.frames[v->depth];
                free(s.frames);
                struct urd_index_pc pc = {place.space, f.return_pc};
                int64_t to = clock;
                if (back) {
                    to = f.entry;
                } else {
                    URD_TRY(urd_index_place(v->e->index, clock, &place));
                    uint32_t d = depth;
                    (void)pc;
                    /* gallop, then close in: depth falls to ours where the call returns */
                    int64_t jump = 1;
                    while (d > v->depth && clock + jump < v->e->index->end) {
                        URD_TRY(depth_at(v, clock + jump, &d));
                        if (d > v->depth)
                            jump *= 2;
                    }
                    int64_t low = clock + jump / 2, high = clamp(v->e, clock + jump);
                    while (low + 1 < high) {
                        int64_t middle = low + (high - low) / 2;
                        URD_TRY(depth_at(v, middle, &d));
                        if (d > v->depth)
                            low = middle;
                        else
                            high = middle;
                    }
                    to = high - 1;
                }
                clock = to;
                continue;
            }
        }
        if (n.line) {
            *ret = clock;
            *reason = NULL;
            return NULL;
        }
    }
    *ret = clock;
    return NULL;
}

static urd_err *move_out(struct mover *v, bool back, int64_t *ret, const char **reason)
{
    struct urd_call_stack s;
    URD_TRY(urd_index_stack(v->e->index, v->clock, v->tid, &s));
    uint32_t n = s.n;
    int64_t entry = n ? s.frames[n - 1].entry : -1;
    free(s.frames);
    if (!n) {
        *reason = "this is the outermost frame";
        *ret = v->clock;
        return NULL;
    }
    if (back) {
        *ret = entry > 0 ? entry - 1 : 0;
        return NULL;
    }
    int64_t jump = 1;
    uint32_t d = n;
    while (d >= n && v->clock + jump < v->e->index->end) {
        URD_TRY(depth_at(v, v->clock + jump, &d));
        if (d >= n)
            jump *= 2;
    }
    int64_t low = v->clock + jump / 2, high = clamp(v->e, v->clock + jump);
    while (low + 1 < high) {
        int64_t middle = low + (high - low) / 2;
        URD_TRY(depth_at(v, middle, &d));
        if (d >= n)
            low = middle;
        else
            high = middle;
    }
    *ret = high;
    return NULL;
}

urd_err *q_move(struct answer *a)
{
    struct urd_engine *e = a->engine;
    struct urd_moment m;
    const char *kind, *reason = NULL;
    URD_TRY(need_index(e));
    URD_TRY(question_need(a, "kind", &kind));
    URD_TRY(question_moment(a, &m));
    bool back = question_flag(a, "back");
    struct mover v = {.e = e};
    URD_TRY(urd_index_clock(e->index, m, &v.clock));
    struct urd_index_place place;
    if (strcmp(kind, "line") == 0 || strcmp(kind, "into") == 0 || strcmp(kind, "out") == 0 ||
        strcmp(kind, "insn") == 0)
        URD_TRY(need_whole_index(e, "moving through code needs all of it"));
    URD_TRY(urd_index_place(e->index, v.clock, &place));
    if (!place.found && v.clock > 0)
        URD_TRY(urd_index_place(e->index, v.clock - 1, &place));
    v.tid = (int32_t)question_number(a, "tid", place.tid);
    engine_name(e, place.space, m.event, place.pc, false, &v.here);
    int64_t to = v.clock;
    struct urd_moment target;
    bool have_target = false, ok;
    if (strcmp(kind, "insn") == 0) {
        URD_TRY(step_task(&v, back, &to, &place, &ok));
        reason = ok ? NULL : "there is no further instruction";
    } else if (strcmp(kind, "line") == 0 || strcmp(kind, "into") == 0) {
        URD_TRY(depth_at(&v, v.clock, &v.depth));
        URD_TRY(move_line(&v, back, strcmp(kind, "into") == 0, &to, &reason));
    } else if (strcmp(kind, "out") == 0) {
        URD_TRY(move_out(&v, back, &to, &reason));
    } else if (strcmp(kind, "event") == 0) {
        target = m;
        if (back)
            target.event -= m.steps == 0 && m.event > 1;
        else
            target.event += m.event < urd_trace_event_count(e->trace);
        target.steps = 0;
        have_target = true;
    } else if (strcmp(kind, "start") == 0) {
        target = (struct urd_moment){1, 0};
        have_target = true;
    } else if (strcmp(kind, "end") == 0) {
        URD_TRY(engine_default_moment(e, &target));
        have_target = true;
    } else {
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "there is no move '%s'", kind),
                            "one of line, into, out, insn, event, start, end");
    }
    if (!have_target)
        target = urd_index_moment(e->index, clamp(e, to));
    json_object_set_new(a->summary, "at", json_moment(target));
    json_object_set_new(a->summary, "reason", reason ? json_string(reason) : json_null());
    return NULL;
}
