/*
 * query/ask.h over the made-up run. The trace "directory" chooses its manners, joined by '+':
 *   mock:isqrt  the plain run            mock:hostile  names and outputs that try to be markup
 *   mock:huge   very long answers        mock:noindex  not indexed yet
 *   mock:nodebug no debug information    mock:nosource the source file is not there
 *   mock:slow   0.4 s a question         mock:broken   every question fails inside
 */
#include "base/buf.h"
#include "query/ask.h"
#include "tests/server_mock.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define FILE_NAME "isqrt.c"

struct urd_engine {
    struct mock_run run;
    bool hostile, huge, noindex, nodebug, nosource, slow, broken;
};

struct ask {
    struct urd_engine *e;
    const json_t *q;
    urd_row_fn row;
    void *data;
    json_t *summary;
};

/** What an expression names. */
struct object {
    uint64_t address;
    int size, value;
    bool is_cache, is_array, is_name, is_constant;
};

urd_err *urd_query_open(const char *directory, struct urd_engine **ret)
{
    if (strncmp(directory, "mock:", 5) != 0)
        return urd_err_hint(URD_ERROR(URD_ERR_FAILED, "there is no trace in %s", directory),
                            "this is the mock");
    struct urd_engine *e = urd_xcalloc(1, sizeof *e);
    mock_run_init(&e->run);
    e->hostile = strstr(directory, "hostile");
    e->huge = strstr(directory, "huge");
    e->noindex = strstr(directory, "noindex");
    e->nodebug = strstr(directory, "nodebug");
    e->nosource = strstr(directory, "nosource");
    e->slow = strstr(directory, "slow");
    e->broken = strstr(directory, "broken");
    *ret = e;
    return NULL;
}

void urd_query_close(struct urd_engine *e)
{
    mock_run_deinit(&e->run);
    free(e);
}

/* ---- small helpers ---- */

static const char *field(const struct ask *a, const char *key)
{
    return json_string_value(json_object_get(a->q, key));
}

static json_int_t number(const struct ask *a, const char *key, json_int_t otherwise)
{
    json_t *v = json_object_get(a->q, key);
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

/** Give one row away. */
static urd_err *give(struct ask *a, json_t *row)
{
    urd_err *err = a->row(a->data, row);
    json_decref(row);
    return err;
}

static json_t *hex(uint64_t v)
{
    char text[32];
    snprintf(text, sizeof text, "0x%" PRIx64, v);
    return json_string(text);
}

static json_t *moment_of(const struct mock_moment *m, int steps)
{
    char text[48];
    snprintf(text, sizeof text, "%" PRIu64 ":%" PRIu64, m->event, m->steps + (uint64_t)steps);
    return json_string(text);
}

static const char *function_name(const struct ask *a, enum mock_function f)
{
    return a->e->hostile && f == MOCK_STORE ? "<script>alert(1)</script>" : mock_function_names[f];
}

static const char *local_name(const struct ask *a, enum mock_function f, int slot)
{
    const char *name = mock_local_names[f][slot];
    return a->e->hostile && name && strcmp(name, "n") == 0
               ? "<img src=x onerror=alert(2)>\xe2\x80\xae"
                 "evil"
               : name;
}

static json_t *file_name(const struct ask *a)
{
    return a->e->nodebug ? json_null() : json_string(FILE_NAME);
}

static struct mock_moment *moment_at(struct ask *a, int index)
{
    struct mock_run *r = &a->e->run;
    return &r->moments[index < 0 ? 0 : index >= r->n_moments ? r->n_moments - 1 : index];
}

/** Index of the last moment at or before `at`; *steps: instructions past it. */
static urd_err *find_moment(struct ask *a, int *ret, int *steps)
{
    struct mock_run *r = &a->e->run;
    const char *at = field(a, "at");
    *steps = 0;
    *ret = r->n_moments - 1;
    if (!at || strcmp(at, "end") == 0)
        return NULL;
    *ret = 0;
    if (strcmp(at, "start") == 0)
        return NULL;
    uint64_t event = 0, step = 0;
    int used = 0;
    bool by_clock = at[0] == '@';
    if (by_clock ? sscanf(at, "@%" SCNu64 "%n", &event, &used) != 1 || at[used]
                 : sscanf(at, "%" SCNu64 "%n:%" SCNu64 "%n", &event, &used, &step, &used) < 1 ||
                       at[used])
        return urd_err_hint(
            urd_err_at(URD_ERROR(URD_ERR_QUESTION, "'%s' is not a moment", at), 0, NULL),
            "a moment is EVENT:STEPS, for example 12:7");
    for (int i = 0; i < r->n_moments; i++) {
        struct mock_moment *m = &r->moments[i];
        if (by_clock ? m->clock > event
                     : m->event > event || (m->event == event && m->steps > step))
            break;
        *ret = i;
    }
    struct mock_moment *m = &r->moments[*ret];
    uint64_t past = by_clock ? event - m->clock : m->event == event ? step - m->steps : 0;
    *steps = past < MOCK_LINE_STEPS ? (int)past : MOCK_LINE_STEPS - 1;
    return NULL;
}

static const struct mock_frame *frame_of(struct ask *a, const struct mock_moment *m)
{
    json_int_t up = number(a, "frame", 0);
    return &m->frames[up < m->depth ? m->depth - 1 - up : 0];
}

static json_t *pc_of(const struct mock_frame *f, int steps)
{
    return hex(0x401000 + (uint64_t)f->line * 32 + (uint64_t)steps * 4);
}

static urd_err *need_index(struct ask *a)
{
    if (a->e->noindex)
        return urd_err_hint(URD_ERROR(URD_ERR_FAILED, "the trace is not indexed yet"),
                            "run: urd index");
    return NULL;
}

/* ---- expressions: a name, cache.value[i], a constant ---- */

static urd_err *resolve(struct ask *a, const struct mock_moment *m, const struct mock_frame *f,
                        const char *text, struct object *ret)
{
    *ret = (struct object){.size = 4};
    char *end;
    long constant = strtol(text, &end, 0);
    if (*text && !*end) {
        ret->value = (int)constant;
        ret->is_constant = true;
        return NULL;
    }
    for (int i = 0; i < MOCK_LOCALS; i++) {
        const char *name = local_name(a, f->function, i);
        if (name && strcmp(name, text) == 0) {
            ret->address = mock_local_address((int)(f - m->frames), i);
            ret->value = f->locals[i];
            return NULL;
        }
    }
    int index = -1;
    char inner[32];
    if (strcmp(text, "cache") == 0) {
        *ret = (struct object){mock_cache_address, 272, 0, .is_cache = true};
        return NULL;
    }
    if (strcmp(text, "cache.name") == 0) {
        *ret = (struct object){mock_cache_address + 264, 8, 0, .is_name = true};
        return NULL;
    }
    if (strcmp(text, "cache.value") == 0) {
        *ret = (struct object){mock_cache_address, 256, 0, .is_array = true};
        return NULL;
    }
    if (strcmp(text, "cache.hits") == 0)
        index = 64;
    else if (strcmp(text, "cache.misses") == 0)
        index = 65;
    else if (sscanf(text, "cache.value[%31[^]]]", inner) == 1) {
        struct object i;
        URD_TRY(resolve(a, m, f, inner, &i));
        index = i.value;
        if (index < 0 || index > 63)
            return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "value has 64 elements"), 12, NULL);
    }
    if (index >= 0) {
        ret->address = mock_cache_address + 4 * (uint64_t)index;
        ret->value = m->cache[index];
        return NULL;
    }
    const char *dot = strchr(text, '.');
    return urd_err_hint(
        urd_err_at(URD_ERROR(URD_ERR_QUESTION, "there is no '%s' here", dot ? dot + 1 : text),
                   dot ? dot + 1 - text : 0,
                   text[0] == 'c' && !dot ? "cache"
                   : dot                  ? "value"
                                          : NULL),
        "names of the frame and globals can be used");
}

static json_t *value_text(const struct object *o, const struct mock_moment *m)
{
    char text[128];
    if (o->is_cache)
        snprintf(text, sizeof text,
                 "{value = {%d, %d, %d, ...}, hits = %d, misses = %d, name = \"roots\"}",
                 m->cache[0], m->cache[1], m->cache[2], m->cache[64], m->cache[65]);
    else if (o->is_array)
        snprintf(text, sizeof text, "{%d, %d, %d, %d, ...}", m->cache[0], m->cache[1], m->cache[2],
                 m->cache[3]);
    else if (o->is_name)
        snprintf(text, sizeof text, "0x402010 \"roots\"");
    else
        snprintf(text, sizeof text, "%d", o->value);
    return json_string(text);
}

static const char *type_text(const struct object *o)
{
    return o->is_cache   ? "struct cache"
           : o->is_array ? "int [64]"
           : o->is_name  ? "const char *"
                         : "int";
}

static json_t *value_row(const char *name, const char *expr, const char *kind,
                         const struct object *o, const struct mock_moment *m, bool changed)
{
    return json_pack("{s:s,s:s,s:o,s:s,s:s,s:o,s:i,s:b,s:b,s:s,s:n}", "name", name, "type",
                     type_text(o), "value", value_text(o, m), "status", "ok", "kind", kind,
                     "address", hex(o->address), "size", o->size, "changed", changed,
                     "has_children", o->is_cache || o->is_array, "expr", expr, "reason");
}

/* ---- questions ---- */

static urd_err *ask_info(struct ask *a)
{
    struct mock_run *r = &a->e->run;
    struct mock_moment *last = &r->moments[r->n_moments - 1];
    json_object_set_new(a->summary, "name",
                        json_string(a->e->hostile ? "<b>isqrt</b>-7" : "isqrt-7"));
    json_object_set_new(a->summary, "argv", json_pack("[s,s]", "./isqrt", "40"));
    json_object_set_new(a->summary, "cwd", json_string("/home/ada/isqrt"));
    json_object_set_new(a->summary, "core", json_integer(1));
    json_object_set_new(a->summary, "events", json_integer(r->n_events));
    json_object_set_new(a->summary, "tasks", json_integer(1));
    json_object_set_new(a->summary, "indexed", json_boolean(!a->e->noindex));
    json_object_set_new(a->summary, "end", moment_of(last, 0));
    json_object_set_new(a->summary, "clock_end", json_integer((json_int_t)last->clock));
    json_object_set_new(a->summary, "finding",
                        json_pack("{s:s,s:s,s:o}", "kind", "signal", "text",
                                  "SIGABRT: assertion failed in check, isqrt.c:51", "at",
                                  moment_of(last, 0)));
    json_object_set_new(a->summary, "torn", json_false());
    return NULL;
}

static json_t *event_row(struct ask *a, const struct mock_event *e)
{
    char at[32];
    snprintf(at, sizeof at, "%" PRIu64 ":0", e->number);
    json_t *row =
        json_pack("{s:I,s:s,s:i,s:i,s:s?,s:I,s:s,s:I,s:s,s:I}", "number", (json_int_t)e->number,
                  "kind", e->kind, "pid", 4711, "tid", 4711, "syscall", e->syscall, "result",
                  (json_int_t)e->result, "moment", at, "time_ns", (json_int_t)(e->clock * 3),
                  "text", e->text, "clock", (json_int_t)e->clock);
    json_object_set_new(row, "signal",
                        strcmp(e->kind, "signal") == 0 ? json_string(e->text) : json_null());
    return row;
}

static urd_err *ask_events(struct ask *a)
{
    json_int_t from = number(a, "from", 0), limit = number(a, "limit", 1 << 30);
    int repeat = a->e->huge ? 3000 : 1;
    for (int k = 0; k < repeat; k++)
        for (int i = 0; i < a->e->run.n_events && limit > 0; i++)
            if ((json_int_t)a->e->run.events[i].number >= from) {
                URD_TRY(give(a, event_row(a, &a->e->run.events[i])));
                limit--;
            }
    return NULL;
}

static urd_err *ask_outputs(struct ask *a)
{
    int repeat = a->e->huge ? 2000 : 1;
    for (int k = 0; k < repeat; k++)
        for (int i = 0; i < a->e->run.n_events; i++) {
            const struct mock_event *e = &a->e->run.events[i];
            if (!e->fd)
                continue;
            const char *text =
                a->e->hostile ? "<script>alert(3)</script>\x1b[31m\xe2\x80\xae\n" : e->output;
            char at[32];
            snprintf(at, sizeof at, "%" PRIu64 ":0", e->number);
            URD_TRY(give(a, json_pack("{s:s,s:I,s:i,s:i,s:i,s:s,s:i,s:I}", "moment", at, "clock",
                                      (json_int_t)e->clock, "fd", e->fd, "pid", 4711, "tid", 4711,
                                      "text", text, "size", (int)strlen(text), "event",
                                      (json_int_t)e->number)));
        }
    return NULL;
}

static urd_err *ask_tasks(struct ask *a)
{
    struct mock_moment *last = moment_at(a, 1 << 30);
    return give(a, json_pack("{s:i,s:i,s:n,s:s,s:o,s:o,s:i,s:I,s:s}", "pid", 4711, "tid", 4711,
                             "parent", "name", "isqrt", "start", moment_of(moment_at(a, 0), 0),
                             "end", moment_of(last, 0), "start_clock", 1, "end_clock",
                             (json_int_t)last->clock, "status", "killed by SIGABRT"));
}

static urd_err *ask_moment(struct ask *a)
{
    int index, steps;
    URD_TRY(find_moment(a, &index, &steps));
    struct mock_moment *m = moment_at(a, index), *last = moment_at(a, 1 << 30);
    const struct mock_frame *f = frame_of(a, m);
    json_t *s = a->summary;
    json_object_set_new(s, "at", moment_of(m, steps));
    json_object_set_new(s, "clock", json_integer((json_int_t)m->clock + steps));
    json_object_set_new(s, "tid", json_integer(4711));
    json_object_set_new(s, "pid", json_integer(4711));
    json_object_set_new(s, "pc", pc_of(f, steps));
    json_object_set_new(s, "function",
                        a->e->nodebug ? json_null() : json_string(function_name(a, f->function)));
    json_object_set_new(s, "file", file_name(a));
    json_object_set_new(s, "line", a->e->nodebug ? json_null() : json_integer(f->line));
    json_object_set_new(s, "module", json_string("isqrt"));
    json_object_set_new(
        s, "percent",
        json_real(100.0 * (double)(m->clock + (uint64_t)steps) / (double)last->clock));
    json_object_set_new(s, "event", json_integer((json_int_t)m->event));
    return NULL;
}

static urd_err *ask_move(struct ask *a)
{
    int index, steps;
    URD_TRY(find_moment(a, &index, &steps));
    const char *kind = field(a, "kind");
    bool back = json_is_true(json_object_get(a->q, "back"));
    struct mock_moment *m = moment_at(a, index);
    int way = back ? -1 : 1, to = index, n = a->e->run.n_moments;
    const char *reason = "";
    if (strcmp(kind, "insn") == 0) {
        steps += way;
        if (steps < 0 || steps >= MOCK_LINE_STEPS) {
            to += way;
            steps = back && to >= 0 ? MOCK_LINE_STEPS - 1 : 0;
        }
        index = to;
    } else if (strcmp(kind, "start") == 0 || strcmp(kind, "end") == 0) {
        to = kind[0] == 's' ? 0 : n - 1;
        steps = 0;
    } else {
        steps = 0;
        for (to += way; to >= 0 && to < n; to += way) {
            struct mock_moment *t = moment_at(a, to);
            if (strcmp(kind, "into") == 0 || (strcmp(kind, "line") == 0 && t->depth <= m->depth) ||
                (strcmp(kind, "out") == 0 && t->depth < m->depth) ||
                (strcmp(kind, "event") == 0 && t->event != m->event))
                break;
        }
    }
    if (to < 0 || to >= n) {
        reason = back ? "the start of the run" : "the end of the run";
        to = to < 0 ? 0 : n - 1;
        steps = 0;
    }
    json_object_set_new(a->summary, "at", moment_of(moment_at(a, to), steps));
    json_object_set_new(a->summary, "reason", json_string(reason));
    return NULL;
}

static urd_err *ask_stack(struct ask *a)
{
    int index, steps;
    URD_TRY(find_moment(a, &index, &steps));
    struct mock_moment *m = moment_at(a, index);
    for (int i = m->depth - 1; i >= 0; i--) {
        const struct mock_frame *f = &m->frames[i];
        struct urd_buf args = {0};
        const struct mock_frame *entry = &moment_at(a, f->call + 1)->frames[i];
        for (int k = 0; k < mock_arguments[f->function]; k++)
            urd_buf_printf(&args, "%s%s=%d", k ? ", " : "", local_name(a, f->function, k),
                           entry->locals[k]);
        urd_buf_u8(&args, 0);
        json_t *row =
            json_pack("{s:i,s:s,s:o,s:i,s:o,s:s}", "depth", m->depth - 1 - i, "function",
                      function_name(a, f->function), "file", file_name(a), "line", f->line, "pc",
                      pc_of(f, i == m->depth - 1 ? steps : 0), "args", (char *)args.data);
        json_object_set_new(row, "moment", i ? moment_of(moment_at(a, f->call), 0) : json_null());
        urd_buf_deinit(&args);
        URD_TRY(give(a, row));
    }
    json_object_set_new(a->summary, "tid", json_integer(4711));
    return NULL;
}

/** Place and moment of the last write before a moment, or null. */
static json_t *last_write(struct ask *a, const struct object *o, int before)
{
    json_t *found = json_null();
    for (int i = 0; i < a->e->run.n_writes && a->e->run.writes[i].moment < before; i++) {
        const struct mock_write *w = &a->e->run.writes[i];
        struct mock_moment *m = moment_at(a, w->moment);
        const struct mock_frame *f = &m->frames[m->depth - 1];
        if (w->address + 4 <= o->address || w->address >= o->address + (uint64_t)o->size)
            continue;
        json_decref(found);
        found = json_pack("{s:o,s:s,s:o,s:i}", "moment", moment_of(m, 5), "function",
                          function_name(a, f->function), "file", file_name(a), "line", f->line);
    }
    return found;
}

static urd_err *ask_values(struct ask *a)
{
    int index, steps;
    URD_TRY(find_moment(a, &index, &steps));
    struct mock_moment *m = moment_at(a, index), *before = moment_at(a, index - 1);
    const struct mock_frame *f = frame_of(a, m);
    int depth = (int)(f - m->frames);
    if (a->e->nodebug)
        return NULL;
    for (int i = 0; i < MOCK_LOCALS && mock_local_names[f->function][i]; i++) {
        const char *name = local_name(a, f->function, i);
        struct object o = {mock_local_address(depth, i), 4, f->locals[i], 0};
        bool changed = before->depth == m->depth && before->frames[depth].locals[i] != f->locals[i];
        json_t *row = value_row(name, name, i < mock_arguments[f->function] ? "argument" : "local",
                                &o, m, changed);
        if (changed)
            json_object_set_new(row, "last", last_write(a, &o, index));
        URD_TRY(give(a, row));
    }
    if (f->function == MOCK_STORE) {
        URD_TRY(give(a, json_pack("{s:s,s:s,s:n,s:s,s:s,s:s,s:b,s:b,s:s}", "name", "key", "type",
                                  "long", "value", "status", "optimised_out", "reason",
                                  "its register is used for something else here", "kind", "local",
                                  "changed", 0, "has_children", 0, "expr", "key")));
        URD_TRY(give(a, json_pack("{s:s,s:s,s:n,s:s,s:s,s:s,s:b,s:b,s:s}", "name", "buf", "type",
                                  "char *", "value", "status", "not_recorded", "reason",
                                  "the page is not mapped yet", "kind", "local", "changed", 0,
                                  "has_children", 0, "expr", "buf")));
    }
    struct object cache = {mock_cache_address, 272, 0, .is_cache = true};
    bool changed = memcmp(before->cache, m->cache, sizeof m->cache) != 0;
    json_t *row = value_row("cache", "cache", "global", &cache, m, changed);
    json_object_set_new(row, "last", last_write(a, &cache, index));
    return give(a, row);
}

static urd_err *ask_reg(struct ask *a)
{
    static const char *const names[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"};
    int index, steps;
    URD_TRY(find_moment(a, &index, &steps));
    for (unsigned i = 0; i < 8; i++)
        URD_TRY(give(a, json_pack("{s:s,s:o}", "name", names[i], "value",
                                  hex(0x7ffe0000u + (uint64_t)index * i))));
    return NULL;
}

static urd_err *ask_children(struct ask *a)
{
    int index, steps;
    URD_TRY(find_moment(a, &index, &steps));
    struct mock_moment *m = moment_at(a, index), *before = moment_at(a, index - 1);
    const char *expr = field(a, "expr");
    struct object o;
    URD_TRY(resolve(a, m, frame_of(a, m), expr ? expr : "", &o));
    static const char *const members[] = {"value", "hits", "misses", "name"};
    for (int i = 0; i < (o.is_cache ? 4 : o.is_array ? 64 : 0); i++) {
        char name[16], full[64];
        snprintf(name, sizeof name, "[%d]", i);
        snprintf(full, sizeof full, o.is_cache ? "%s.%s" : "%s%s", expr,
                 o.is_cache ? members[i] : name);
        struct object c, old;
        URD_TRY(resolve(a, m, frame_of(a, m), full, &c));
        URD_TRY(resolve(a, before, &before->frames[before->depth - 1], full, &old));
        URD_TRY(give(a, value_row(o.is_cache ? members[i] : name, full, "member", &c, m,
                                  c.value != old.value)));
    }
    return NULL;
}

static urd_err *ask_eval(struct ask *a)
{
    int index, steps;
    URD_TRY(find_moment(a, &index, &steps));
    struct mock_moment *m = moment_at(a, index);
    struct object o;
    URD_TRY(resolve(a, m, frame_of(a, m), field(a, "expr") ? field(a, "expr") : "", &o));
    json_t *row = value_row("", field(a, "expr"), "", &o, m, false);
    json_object_update(a->summary, row);
    json_decref(row);
    return NULL;
}

static urd_err *give_write(struct ask *a, const struct mock_write *w, int shift)
{
    struct mock_moment *m = moment_at(a, w->moment);
    const struct mock_frame *f = &m->frames[m->depth - 1];
    char old[16], new_[16], at[48];
    snprintf(old, sizeof old, "%d", w->old + shift);
    snprintf(new_, sizeof new_, "%d", w->new_ + shift);
    snprintf(at, sizeof at, "%" PRIu64 ":%" PRIu64, m->event, m->steps + 5);
    return give(a, json_pack("{s:s,s:I,s:i,s:i,s:o,s:i,s:s,s:s,s:o,s:s,s:o,s:i,s:s?,s:s}", "moment",
                             at, "clock", (json_int_t)m->clock + 5, "pid", 4711, "tid", 4711,
                             "address", hex(w->address), "size", 4, "old", old, "new", new_, "pc",
                             pc_of(f, 5), "function", function_name(a, f->function), "file",
                             file_name(a), "line", f->line, "syscall", w->syscall, "process",
                             "isqrt"));
}

static urd_err *ask_blame(struct ask *a)
{
    URD_TRY(need_index(a));
    int index, steps;
    URD_TRY(find_moment(a, &index, &steps));
    struct mock_moment *m = moment_at(a, index);
    struct object o;
    URD_TRY(resolve(a, m, frame_of(a, m), field(a, "expr") ? field(a, "expr") : "", &o));
    if (o.is_constant)
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "a constant is not in memory"), 0, NULL);
    bool all = json_is_true(json_object_get(a->q, "all")),
         after = json_is_true(json_object_get(a->q, "after"));
    json_int_t limit = number(a, "limit", 1 << 30);
    const struct mock_write *last = NULL;
    for (int i = 0; i < a->e->run.n_writes && limit > 0; i++) {
        const struct mock_write *w = &a->e->run.writes[i];
        if (w->address + 4 <= o.address || w->address >= o.address + (uint64_t)o.size)
            continue;
        for (int k = 0;
             all && (after || w->moment < index) && k < (a->e->huge ? 60000 : 1) && limit > 0;
             k++, limit--)
            URD_TRY(give_write(a, w, k));
        if (w->moment < index)
            last = w;
    }
    if (!all && last)
        URD_TRY(give_write(a, last, 0));
    json_object_set_new(a->summary, "address", hex(o.address));
    json_object_set_new(a->summary, "size", json_integer(o.size));
    json_object_set_new(a->summary, "value", value_text(&o, m));
    return NULL;
}

/** isqrt.c:42, 42, f, f$return: which moments? */
struct place {
    int line, function; /* -1 when not given */
    bool at_return;
};

static urd_err *find_place(struct ask *a, const char *text, struct place *ret)
{
    *ret = (struct place){-1, -1, false};
    const char *colon = strrchr(text, ':');
    if (colon || isdigit((unsigned char)*text)) {
        if (colon && strncmp(text, FILE_NAME, (size_t)(colon - text)) != 0)
            return urd_err_hint(
                urd_err_at(URD_ERROR(URD_ERR_QUESTION, "there is no source file %.*s",
                                     (int)(colon - text), text),
                           0, FILE_NAME),
                "urd knows isqrt.c");
        ret->line = atoi(colon ? colon + 1 : text);
        return NULL;
    }
    size_t n = strcspn(text, "$");
    ret->at_return = text[n];
    for (int f = 0; f < MOCK_FUNCTIONS; f++)
        if (strlen(mock_function_names[f]) == n && strncmp(mock_function_names[f], text, n) == 0)
            ret->function = f;
    if (ret->function < 0)
        return urd_err_hint(
            urd_err_at(URD_ERROR(URD_ERR_QUESTION, "there is no function %s", text), 0, "store"),
            "a location is file.c:LINE, a function, or function$return");
    return NULL;
}

static bool is_there(struct ask *a, int i, const struct place *p)
{
    struct mock_moment *m = moment_at(a, i);
    const struct mock_frame *f = &m->frames[m->depth - 1];
    if (p->line >= 0)
        return f->line == p->line;
    if ((int)f->function != p->function)
        return false;
    if (p->at_return)
        return i + 1 < a->e->run.n_moments && moment_at(a, i + 1)->depth < m->depth;
    return f->call + 1 == i;
}

static urd_err *expand(struct ask *a, struct mock_moment *m, const char *text, struct urd_buf *to)
{
    for (const char *at = text; *at; at++) {
        const char *close = *at == '{' ? strchr(at, '}') : NULL;
        if (*at == '{' && !close)
            return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "'{' is not closed"), at - text, NULL);
        if (!close) {
            urd_buf_u8(to, (uint8_t)*at);
            continue;
        }
        char expr[64];
        snprintf(expr, sizeof expr, "%.*s", (int)(close - at - 1), at + 1);
        char *format = strchr(expr, ':');
        if (format)
            *format++ = 0;
        struct object o;
        urd_err *err = resolve(a, m, &m->frames[m->depth - 1], expr, &o);
        if (err)
            return urd_err_at(err, at + 1 - text, err->suggest ? NULL : "n");
        json_t *v = value_text(&o, m);
        if (format && *format == 'x')
            urd_buf_printf(to, "0x%x", (unsigned)o.value);
        else
            urd_buf_printf(to, "%s", json_string_value(v));
        json_decref(v);
        at = close;
    }
    return NULL;
}

static urd_err *holds(struct ask *a, struct mock_moment *m, const char *condition, bool *ret)
{
    char left[64], op[3], right[64];
    *ret = true;
    if (!condition || !*condition)
        return NULL;
    if (sscanf(condition, " %63[^<>=! ] %2[<>=!] %63s", left, op, right) != 3)
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "'%s' is not a condition", condition), 0,
                          "n == 3");
    struct object l, r;
    URD_TRY(resolve(a, m, &m->frames[m->depth - 1], left, &l));
    URD_TRY(resolve(a, m, &m->frames[m->depth - 1], right, &r));
    *ret = op[0] == '<'   ? (op[1] ? l.value <= r.value : l.value < r.value)
           : op[0] == '>' ? (op[1] ? l.value >= r.value : l.value > r.value)
           : op[0] == '!' ? l.value != r.value
                          : l.value == r.value;
    return NULL;
}

static urd_err *ask_print(struct ask *a)
{
    URD_TRY(need_index(a));
    struct place p;
    URD_TRY(find_place(a, field(a, "location") ? field(a, "location") : "", &p));
    json_int_t hits = 0, limit = number(a, "limit", 1 << 30);
    for (int k = 0; k < (a->e->huge ? 3000 : 1); k++)
        for (int i = 0; i < a->e->run.n_moments && limit > 0; i++) {
            struct mock_moment *m = moment_at(a, i);
            bool yes;
            if (!is_there(a, i, &p))
                continue;
            URD_TRY(holds(a, m, field(a, "if"), &yes));
            if (!yes)
                continue;
            URD_CLEANUP(urd_buf_deinit) struct urd_buf text = {0};
            URD_TRY(expand(a, m, field(a, "text") ? field(a, "text") : "", &text));
            urd_buf_u8(&text, 0);
            URD_TRY(give(a, json_pack("{s:o,s:I,s:i,s:i,s:s}", "moment", moment_of(m, 0), "clock",
                                      (json_int_t)m->clock, "pid", 4711, "tid", 4711, "text",
                                      (char *)text.data)));
            hits++;
            limit--;
        }
    json_object_set_new(a->summary, "hits", json_integer(hits));
    return NULL;
}

static urd_err *ask_lines(struct ask *a)
{
    URD_TRY(need_index(a));
    struct place p;
    URD_TRY(find_place(a, field(a, "location") ? field(a, "location") : "", &p));
    json_int_t hits = 0;
    for (int i = 0; i < a->e->run.n_moments; i++) {
        struct mock_moment *m = moment_at(a, i);
        const struct mock_frame *f = &m->frames[m->depth - 1];
        if (!is_there(a, i, &p))
            continue;
        URD_TRY(give(a, json_pack("{s:o,s:I,s:i,s:i,s:o,s:s,s:s,s:i}", "moment", moment_of(m, 0),
                                  "clock", (json_int_t)m->clock, "pid", 4711, "tid", 4711, "pc",
                                  pc_of(f, 0), "function", function_name(a, f->function), "file",
                                  FILE_NAME, "line", f->line)));
        hits++;
    }
    json_object_set_new(a->summary, "hits", json_integer(hits));
    json_object_set_new(a->summary, "lines", json_pack("[i]", p.line));
    return NULL;
}

static urd_err *ask_calls(struct ask *a)
{
    URD_TRY(need_index(a));
    struct place p;
    URD_TRY(find_place(a, field(a, "function") ? field(a, "function") : "", &p));
    for (int i = 0; i < a->e->run.n_calls; i++) {
        const struct mock_call *c = &a->e->run.calls[i];
        struct mock_moment *m = moment_at(a, c->from);
        const struct mock_frame *f = &m->frames[m->depth - 1];
        if ((int)f->function != p.function)
            continue;
        json_t *args = json_array();
        for (int k = 0; k < mock_arguments[f->function]; k++) {
            char value[16];
            snprintf(value, sizeof value, "%d", f->locals[k]);
            json_array_append_new(args, json_pack("{s:s,s:s}", "name",
                                                  local_name(a, f->function, k), "value", value));
        }
        char returned[16];
        snprintf(returned, sizeof returned, "%d", c->returned);
        json_t *row =
            json_pack("{s:o,s:I,s:i,s:i,s:s,s:o,s:s,s:s,s:i}", "moment", moment_of(m, 0), "clock",
                      (json_int_t)m->clock, "pid", 4711, "tid", 4711, "function",
                      function_name(a, f->function), "args", args, "caller",
                      m->depth > 1 ? function_name(a, m->frames[m->depth - 2].function) : "_start",
                      "file", FILE_NAME, "line", m->depth > 1 ? m->frames[m->depth - 2].line : 0);
        json_object_set_new(row, "returned", c->has_result ? json_string(returned) : json_null());
        json_object_set_new(row, "return_moment",
                            c->to >= 0 ? moment_of(moment_at(a, c->to), 6) : json_null());
        json_object_set_new(
            row, "steps",
            c->to >= 0 ? json_integer((json_int_t)(moment_at(a, c->to)->clock - m->clock + 7))
                       : json_null());
        URD_TRY(give(a, row));
    }
    return NULL;
}

static urd_err *ask_source(struct ask *a)
{
    int index, steps;
    URD_TRY(find_moment(a, &index, &steps));
    struct mock_moment *m = moment_at(a, index);
    const struct mock_frame *f = frame_of(a, m);
    int depth = (int)(f - m->frames), counts[128] = {0};
    bool in_call[128] = {false}, has_code[128] = {false};
    for (int i = 0; i < a->e->run.n_moments; i++) {
        struct mock_moment *t = moment_at(a, i);
        counts[t->frames[t->depth - 1].line]++;
        if (t->depth > depth && t->frames[depth].call == f->call && i <= index)
            in_call[t->frames[depth].line] = true;
    }
    for (int i = 1; i < 62; i++) /* lines that start with blanks have code, more or less */
        has_code[i] = counts[i] || (mock_source[i - 1][0] == ' ' && i > 12);
    bool found = !a->e->nosource;
    const char *file = field(a, "file");
    if (!file)
        file = FILE_NAME;
    if (strcmp(file, FILE_NAME) != 0)
        found = false;
    int repeat = a->e->huge ? 1600 : 1, n = 1;
    for (int k = 0; found && k < repeat; k++)
        for (int i = 0; mock_source[i]; i++, n++) {
            json_t *row = json_pack("{s:i,s:s,s:b}", "line", n, "text", mock_source[i], "in_call",
                                    !k && in_call[i + 1]);
            json_object_set_new(row, "count",
                                !a->e->noindex && has_code[i + 1]
                                    ? json_integer(counts[i + 1] * (json_int_t)(k ? 1000003 : 1))
                                    : json_null());
            URD_TRY(give(a, row));
        }
    json_object_set_new(a->summary, "file", json_string(file));
    json_object_set_new(a->summary, "path", json_sprintf("/home/ada/isqrt/%s", file));
    json_object_set_new(a->summary, "found", json_boolean(found));
    json_object_set_new(a->summary, "language", json_string("c"));
    json_object_set_new(a->summary, "current_line", json_integer(f->line));
    json_object_set_new(a->summary, "differs", json_false());
    return NULL;
}

static urd_err *ask_disassemble(struct ask *a)
{
    int index, steps;
    URD_TRY(find_moment(a, &index, &steps));
    struct mock_moment *m = moment_at(a, index);
    const struct mock_frame *f = frame_of(a, m);
    static const char *const text[] = {"push %rbp",
                                       "mov %rsp,%rbp",
                                       "mov %edi,-0x14(%rbp)",
                                       "mov -0x14(%rbp),%eax",
                                       "cltq",
                                       "mov %edx,0x404060(,%rax,4)",
                                       "pop %rbp",
                                       "ret"};
    for (int i = -20; i < 60; i++) {
        uint64_t pc = 0x401000 + (uint64_t)f->line * 32 + (uint64_t)(int64_t)(i * 4);
        URD_TRY(give(a, json_pack("{s:o,s:s,s:s,s:s,s:b,s:i}", "pc", hex(pc), "bytes", "48 89 e5",
                                  "text", text[(i + 24) % 8], "function", "store", "current",
                                  i == steps, "count", i + 21)));
    }
    return NULL;
}

static urd_err *ask_timeline(struct ask *a)
{
    struct mock_moment *last = moment_at(a, 1 << 30);
    json_int_t from = number(a, "from", 0), to = number(a, "to", (json_int_t)last->clock);
    json_int_t n = number(a, "buckets", 200);
    json_t *outputs = json_array(), *events = json_array(), *buckets = json_array();
    for (int i = 0; i < a->e->run.n_events; i++) {
        const struct mock_event *e = &a->e->run.events[i];
        char at[32];
        snprintf(at, sizeof at, "%" PRIu64 ":0", e->number);
        if ((json_int_t)e->clock < from || (json_int_t)e->clock > to)
            continue;
        json_array_append_new(events, json_pack("{s:I,s:s,s:s,s:s,s:i}", "clock",
                                                (json_int_t)e->clock, "moment", at, "kind", e->kind,
                                                "text", e->text, "count", 1));
        if (e->fd)
            json_array_append_new(outputs,
                                  json_pack("{s:I,s:s,s:i,s:s,s:i}", "clock", (json_int_t)e->clock,
                                            "moment", at, "fd", e->fd, "text",
                                            a->e->hostile ? "<script>alert(4)</script>" : e->output,
                                            "count", 1));
    }
    for (json_int_t i = 0; i < n && !a->e->noindex; i++)
        json_array_append_new(buckets, json_integer(20 + (i * 37) % 60 + (i / 9 % 2) * 20));
    json_object_set_new(a->summary, "from", json_integer(from));
    json_object_set_new(a->summary, "to", json_integer(to));
    json_object_set_new(a->summary, "tasks",
                        json_pack("[{s:i,s:i,s:s,s:[[I,I]]}]", "pid", 4711, "tid", 4711, "name",
                                  "isqrt", "spans", (json_int_t)1, (json_int_t)last->clock));
    json_object_set_new(a->summary, "outputs", outputs);
    json_object_set_new(a->summary, "events", events);
    json_object_set_new(a->summary, "buckets", buckets);
    return NULL;
}

static urd_err *ask_sql(struct ask *a)
{
    const char *sql = field(a, "sql");
    if (!sql || strncasecmp(sql, "select", 6) != 0)
        return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "near \"%s\": syntax error", sql ? sql : ""),
                          0, "SELECT");
    for (int i = 0; i < a->e->run.n_events; i++)
        URD_TRY(give(a, json_pack("{s:I,s:I,s:s}", "number", (json_int_t)a->e->run.events[i].number,
                                  "clock", (json_int_t)a->e->run.events[i].clock, "kind",
                                  a->e->run.events[i].kind)));
    json_object_set_new(a->summary, "columns", json_pack("[s,s,s]", "number", "clock", "kind"));
    return NULL;
}

static urd_err *ask_search(struct ask *a)
{
    const char *text = field(a, "text") ? field(a, "text") : "";
    for (int f = 0; f < MOCK_FUNCTIONS; f++)
        if (strstr(mock_function_names[f], text))
            URD_TRY(give(a, json_pack("{s:s,s:s,s:s,s:i}", "kind", "function", "name",
                                      function_name(a, f), "file", FILE_NAME, "line", 13 + 8 * f)));
    if (strstr("cache", text))
        URD_TRY(give(a, json_pack("{s:s,s:s,s:s,s:i}", "kind", "global", "name", "cache", "file",
                                  FILE_NAME, "line", 11)));
    if (strstr(FILE_NAME, text))
        URD_TRY(give(a, json_pack("{s:s,s:s,s:s,s:i}", "kind", "file", "name", FILE_NAME, "file",
                                  FILE_NAME, "line", 1)));
    return NULL;
}

static urd_err *ask_files(struct ask *a)
{
    return give(a, json_pack("{s:s,s:s,s:b}", "file", FILE_NAME, "path",
                             "/home/ada/isqrt/" FILE_NAME, "executed", 1));
}

urd_err *urd_query_ask(struct urd_engine *e, const json_t *question, urd_row_fn row, void *data,
                       json_t **ret_summary)
{
    static const struct {
        const char *name;
        urd_err *(*ask)(struct ask *);
    } questions[] = {
        {"info", ask_info},
        {"events", ask_events},
        {"syscalls", ask_events},
        {"outputs", ask_outputs},
        {"tasks", ask_tasks},
        {"moment", ask_moment},
        {"move", ask_move},
        {"stack", ask_stack},
        {"values", ask_values},
        {"children", ask_children},
        {"eval", ask_eval},
        {"blame", ask_blame},
        {"print", ask_print},
        {"lines", ask_lines},
        {"calls", ask_calls},
        {"source", ask_source},
        {"disassemble", ask_disassemble},
        {"timeline", ask_timeline},
        {"sql", ask_sql},
        {"search", ask_search},
        {"files", ask_files},
        {"reg", ask_reg},
    };
    const char *q = json_string_value(json_object_get(question, "q"));
    if (e->slow)
        nanosleep(&(struct timespec){0, 400000000}, NULL);
    if (e->broken)
        URD_FAIL("the replay diverged at event 12: rax is 0x1, recorded 0x0");
    for (size_t i = 0; q && i < sizeof questions / sizeof *questions; i++)
        if (strcmp(questions[i].name, q) == 0) {
            struct ask a = {e, question, row, data, json_object()};
            urd_err *err = questions[i].ask(&a);
            if (err) {
                json_decref(a.summary);
                return urd_err_hop(err, __func__, __FILE__, __LINE__);
            }
            json_object_set_new(a.summary, "complete",
                                json_pack("{s:s,s:b}", "covers", "all of the run", "truncated", 0));
            *ret_summary = a.summary;
            return NULL;
        }
    return urd_err_at(URD_ERROR(URD_ERR_QUESTION, "there is no question '%s'", q ? q : ""), 0,
                      "info");
}
