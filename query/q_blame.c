/* blame: the writes to an expression's memory. */
#include "query/engine.h"
#include "record/record.h"
#include <stdio.h>

struct target {
    uint64_t address, size;
    uint32_t space;
    const struct urd_type *type; /* NULL: raw bytes */
    unsigned bit_offset, bit_size;
    struct frame_state frame;
    struct urd_image *image;
};

/** A value as rows show it. */
struct shown {
    uint8_t bytes[8];   /* what it shows, of as many as the target has */
    json_t *text, *hex; /* NULL: nothing yet */
};

struct blaming {
    struct answer *a;
    struct target *t;
    struct shown shown[2]; /* what was shown last: most rows' old value is a neighbour's new one */
    unsigned next_shown;
    uint8_t *now; /* ascending order only: the target's bytes after the last write */
    bool all, have_now, done, now_known;
    int64_t at;                     /* the clock at which the target names its memory */
    int64_t last;                   /* clock of the write that was given last */
    struct urd_index_write *writes; /* descending order only: collected, their values are theirs */
    uint32_t n, capacity, batch;
    urd_err *err;
};

static json_t *value_text(struct target *t, const uint8_t *bytes)
{
    struct urd_buf text = {0};
    if (t->type) {
        struct urd_value v = {.type = t->type, .size = t->size};
        if (t->size > URD_VALUE_SMALL) {
            v.heap = urd_xrealloc(NULL, t->size);
            memcpy(v.heap, bytes, t->size);
        } else {
            memcpy(v.small, bytes, t->size);
        }
        if (t->bit_size && t->size <= 8) {
            uint64_t word = 0;
            memcpy(&word, bytes, t->size);
            word = word >> t->bit_offset & ((1ull << t->bit_size) - 1);
            memcpy(v.small, &word, 8);
        }
        struct urd_text_options o = {.no_strings = true};
        urd_debuginfo_value_text(&t->frame.frame, &v, &o, &text);
        urd_debuginfo_value_deinit(&v);
    } else if (t->size <= 8) {
        uint64_t word = 0;
        memcpy(&word, bytes, t->size);
        urd_buf_printf(&text, "0x%llx", (unsigned long long)word);
    }
    json_t *ret = text.size ? json_text((char *)text.data, text.size) : json_bytes(bytes, t->size);
    urd_buf_deinit(&text);
    return ret;
}

static void shown_deinit(struct shown *s)
{
    json_decref(s->text);
    json_decref(s->hex);
    *s = (struct shown){0};
}

static void show_value(struct blaming *b, const uint8_t *bytes, json_t *row, bool is_old)
{
    const char *field = is_old ? "old" : "new", *hex_field = is_old ? "old_bytes" : "new_bytes";
    uint64_t size = b->t->size;
    if (size > sizeof b->shown->bytes) {
        json_object_set_new(row, hex_field, json_bytes(bytes, size));
        json_object_set_new(row, field, value_text(b->t, bytes));
        return;
    }
    struct shown *s = b->shown;
    if (!s->text || memcmp(s->bytes, bytes, size) != 0)
        s++;
    if (!s->text || memcmp(s->bytes, bytes, size) != 0) {
        s = &b->shown[b->next_shown++ % 2];
        shown_deinit(s);
        memcpy(s->bytes, bytes, size);
        s->text = value_text(b->t, bytes);
        s->hex = json_bytes(bytes, size);
    }
    json_object_set(row, hex_field, s->hex);
    json_object_set(row, field, s->text);
}

/**
 * The event in which the kernel wrote: of the task that made it do so, which may not be the one that shows the memory. 0: somebody
 * did who is not recorded.
 */
static uint64_t writing_event(const struct urd_index *x, uint64_t event)
{
    int32_t writer = x->events[event].other;
    if (x->events[event].kind != URD_EVENT_MEMORY)
        return event;
    for (uint64_t e = event; e; e--)
        if (x->events[e].tid == writer && x->events[e].kind != URD_EVENT_MEMORY)
            return e;
    return 0;
}

static void set_when(struct urd_engine *e, const struct urd_index_write *w, json_t *row)
{
    json_object_set_new(row, "moment",
                        json_moment(urd_index_moment(e->index, w->clock < 0 ? 0 : w->clock)));
    json_object_set_new(row, "clock", json_integer(w->clock));
    json_object_set_new(row, "event", json_integer((json_int_t)w->event));
}

/** It was seen that the memory is another one; by whom it was written is what the recorder found out (record/outside.h). */
static urd_err *outside_row(struct urd_engine *e, const struct urd_index_write *w, json_t *row)
{
    int32_t pid = e->index->events[w->event].other;
    sqlite3_stmt *q;
    const char *name = NULL;
    set_when(e, w, row);
    json_object_set_new(row, "pid", json_integer(pid));
    json_object_set_new(row, "tid", json_integer(pid));
    json_object_set_new(row, "pc", json_null());
    json_set_place(row, &NO_PLACE);
    json_object_set_new(row, "address", json_hex(w->address));
    json_object_set_new(row, "size", json_integer((json_int_t)w->size));
    json_object_set_new(row, "syscall", json_string("outside"));
    if (sqlite3_prepare_v2(e->index->db, "SELECT text FROM events WHERE number = ?", -1, &q,
                           NULL) == SQLITE_OK) {
        sqlite3_bind_int64(q, 1, (int64_t)w->event);
        if (sqlite3_step(q) == SQLITE_ROW)
            name = (const char *)sqlite3_column_text(q, 0);
    }
    json_object_set_new(row, "process", json_text(name ? name : "", name ? strlen(name) : 0));
    sqlite3_finalize(q);
    return NULL;
}

urd_err *write_row(struct urd_engine *e, const struct urd_index_write *w, json_t *row)
{
    const char *syscall = NULL;
    uint64_t event = w->event ? writing_event(e->index, w->event) : 0;
    if (w->event && !event)
        return outside_row(e, w, row);
    if (w->event) {
        const struct urd_index_event *ev = &e->index->events[event];
        /* the kernel wrote when the call returned; what called is the instruction before */
        struct place_name n;
        sqlite3_stmt *q;
        uint64_t pc = 0;
        if (sqlite3_prepare_v2(e->index->db, "SELECT pc FROM events WHERE number = ?", -1, &q,
                               NULL) == SQLITE_OK) {
            sqlite3_bind_int64(q, 1, (int64_t)event);
            if (sqlite3_step(q) == SQLITE_ROW)
                pc = (uint64_t)sqlite3_column_int64(q, 0);
        }
        sqlite3_finalize(q);
        if (ev->syscall >= 0)
            pc -= 2;
        syscall = ev->kind == URD_EVENT_EXEC     ? "execve"
                  : ev->kind == URD_EVENT_SIGNAL ? "signal"
                  : ev->syscall >= 0             ? urd_record_syscall_name(ev->syscall)
                                                 : urd_event_kind_name(ev->kind);
        set_when(e, w, row);
        json_object_set_new(row, "pid", json_integer(ev->pid));
        json_object_set_new(row, "tid", json_integer(ev->tid));
        json_object_set_new(row, "pc", json_hex(pc));
        engine_name(e,
                    ev->kind == URD_EVENT_EXEC ? 0
                    : event != w->event        ? ev->space
                                               : w->space,
                    event, pc, false, &n);
        json_set_place(row, &n);
    } else {
        URD_TRY(json_set_clock_place(e, row, w->clock));
    }
    json_object_set_new(row, "address", json_hex(w->address));
    json_object_set_new(row, "size", json_integer((json_int_t)w->size));
    json_object_set_new(row, "syscall", syscall ? json_string(syscall) : json_null());
    json_object_set_new(row, "process",
                        json_string(engine_process_name(
                            e, (int32_t)json_integer_value(json_object_get(row, "tid")))));
    return NULL;
}

static void overlay(const struct target *t, uint8_t *bytes, const struct urd_index_write *w)
{
    for (uint64_t i = 0; i < w->size; i++)
        if (w->address + i >= t->address && w->address + i < t->address + t->size)
            bytes[w->address + i - t->address] = w->value[i];
}

/** What writes to the target with from <= clock < to need. */
static struct urd_index_need target_need(const struct target *t, int64_t at, int64_t from,
                                         int64_t to)
{
    return (struct urd_index_need){.from = from,
                                   .to = to,
                                   .kind = URD_NEEDS_WRITES,
                                   .space = t->space,
                                   .address = t->address,
                                   .size = t->size,
                                   .at = at};
}

/** May there be writes that are not indexed? */
static bool lacks(struct blaming *b, int64_t from, int64_t to)
{
    struct urd_index_need need = target_need(b->t, b->at, from, to);
    bool missing = true;
    if (!b->err)
        b->err = urd_index_lacks(b->a->engine->index, &need, &missing, NULL);
    return missing;
}

/** known: the bytes are those of the run, and not what a gap of the index leaves open. */
static urd_err *memory_before(struct blaming *b, int64_t clock, uint8_t *bytes, bool *ret_known)
{
    URD_AUTO_FREE bool *known = urd_xcalloc(b->t->size, sizeof *known);
    struct urd_engine *e = b->a->engine;
    URD_TRY(urd_index_memory(e->index, e->trace, b->t->space, b->t->address, b->t->size, clock,
                             bytes, known));
    *ret_known = true;
    bool gap = lacks(b, INT64_MIN, clock);
    for (uint64_t i = 0; i < b->t->size && gap; i++)
        *ret_known &= known[i];
    return NULL;
}

static bool covers(const struct target *t, const struct urd_index_write *w)
{
    return w->address <= t->address && w->address + w->size >= t->address + t->size;
}

static void show_unknown(json_t *row, const char *field)
{
    char hex_field[32];
    snprintf(hex_field, sizeof hex_field, "%s_bytes", field);
    json_object_set_new(row, field, json_null());
    json_object_set_new(row, hex_field, json_null());
}

static urd_err *give_row(struct blaming *b, int64_t clock, json_t *row)
{
    bool full;
    URD_TRY(answer_row(b->a, row, &full));
    b->last = clock;
    b->done = !b->all || full;
    b->a->truncated = b->all && full;
    return NULL;
}

/** bytes: the target's before the write, and after it when this returns; *known tells of both whether they are known. */
static urd_err *give_write(struct blaming *b, const struct urd_index_write *w, uint8_t *bytes,
                           bool *known)
{
    json_t *row = json_object();
    urd_err *err = write_row(b->a->engine, w, row);
    if (err) {
        json_decref(row);
        return err;
    }
    if (*known)
        show_value(b, bytes, row, true);
    else
        show_unknown(row, "old");
    overlay(b->t, bytes, w);
    *known |= covers(b->t, w);
    if (*known)
        show_value(b, bytes, row, false);
    else
        show_unknown(row, "new");
    return give_row(b, w->clock, row);
}

/** What was collected, newest first. Each needs the bytes before it, which only the older ones tell: those before the oldest are looked
 * up, and from there on the others follow. */
static urd_err *give_collected(struct blaming *b)
{
    uint64_t size = b->t->size;
    if (!b->n)
        return NULL;
    URD_AUTO_FREE uint8_t *before = urd_xrealloc(NULL, b->n * size); /* of the i-th at i * size */
    URD_AUTO_FREE bool *known = urd_xcalloc(b->n, sizeof *known);
    URD_TRY(
        memory_before(b, b->writes[b->n - 1].clock, before + (b->n - 1) * size, &known[b->n - 1]));
    for (uint32_t i = b->n - 1; i > 0; i--) {
        const struct urd_index_write *w = &b->writes[i];
        memcpy(before + (i - 1) * size, before + i * size, size);
        overlay(b->t, before + (i - 1) * size, w);
        known[i - 1] = (known[i] || covers(b->t, w)) && !lacks(b, w->clock, b->writes[i - 1].clock);
    }
    urd_err *err = NULL;
    for (uint32_t i = 0; i < b->n && !b->done && !err; i++)
        err = give_write(b, &b->writes[i], before + i * size, &known[i]);
    for (uint32_t i = 0; i < b->n; i++)
        free((void *)b->writes[i].value);
    b->n = 0;
    b->batch = b->batch < 1024 ? b->batch * 4 : b->batch; /* the first answers come at once */
    return err;
}

static bool on_write(void *data, const struct urd_index_write *w)
{
    struct blaming *b = data;
    if (w->event == URD_WRITE_INITIAL)
        return true;
    if (b->now) { /* in ascending order the bytes before are those after the last write */
        if (!b->have_now || lacks(b, b->last, w->clock))
            b->err = memory_before(b, w->clock, b->now, &b->now_known);
        b->have_now = true;
        if (!b->err)
            b->err = give_write(b, w, b->now, &b->now_known);
        return !b->err && !b->done;
    }
    struct urd_index_write copy = *w;
    uint8_t *value = urd_xrealloc(NULL, w->size);
    memcpy(value, w->value, w->size);
    copy.value = value;
    URD_PUSH(b->writes, b->n, b->capacity) = copy;
    if (b->n >= (b->all ? b->batch : 1))
        b->err = give_collected(b);
    return !b->err && !b->done;
}

/** A place in memory as a value; an error tells what else the value is. */
static urd_err *set_target(const char *text, struct urd_value *v, struct target *t)
{
    if (v->status == URD_VALUE_NOT_THERE)
        return urd_err_hint(
            URD_ERROR(URD_ERR_QUESTION, "'%s' is not there at this moment: %s", text, v->reason),
            "choose a moment with --at");
    if (v->status == URD_VALUE_OPTIMISED_OUT || !v->lvalue || !urd_debuginfo_value_in_memory(v)) {
        const char *why = v->status == URD_VALUE_OPTIMISED_OUT ? "is optimised out at this moment"
                          : v->lvalue ? "lives in a register at this moment, not in memory"
                                      : "is a computed value, not memory";
        return urd_err_hint(
            URD_ERROR(URD_ERR_QUESTION, "'%s' %s", text, why),
            "blame needs something in memory: a variable, a field, *pointer, or (type *)0xADDRESS; "
            "choose a moment with --at");
    }
    t->address = v->n_pieces ? v->pieces[0].address : v->address;
    t->size = v->size;
    t->type = v->type;
    t->bit_offset = v->bit_offset;
    t->bit_size = v->bit_size;
    if (!t->size || t->size > 1u << 24)
        URD_WRONG("'%s' has %llu bytes: blame a part of it", text, (unsigned long long)t->size);
    return NULL;
}

/** Memory that an expression may want to read, and of which nobody looked what it holds. */
static bool read_nothing(void *data, uint64_t address, void *buf, size_t size)
{
    *(bool *)data = true;
    return false;
}

/**
 * What is written as an address, `*(int *)0x1234`, names the same memory whatever the program's state is: in whose space is all there is to
 * be known, and the index tells it. *ret_done false: the expression needs the state, or who runs at the moment does not follow from its clock.
 */
static urd_err *resolve_plain(struct answer *a, struct urd_expr *expr, struct urd_moment at,
                              struct target *t, bool *ret_done)
{
    struct urd_engine *e = a->engine;
    struct urd_index_place runner;
    struct urd_image *image;
    struct urd_value v = {0};
    int64_t clock;
    bool needs_memory = false;
    *ret_done = false;
    if (!urd_expr_is_plain(expr) || question_number(a, "frame", -1) >= 0)
        return NULL;
    URD_TRY(urd_index_clock(e->index, at, &clock));
    struct urd_moment same = urd_index_moment(e->index, clock);
    if (same.event != at.event)
        return NULL;
    URD_TRY(urd_index_runner(e->index, clock, &runner));
    if (!runner.found)
        return NULL;
    URD_TRY(engine_image(e, runner.space, at.event, &image));
    struct urd_frame frame = {
        .image = image, .no_registers = true, .data = &needs_memory, .read_memory = read_nothing};
    URD_TRY(urd_expr_locate(expr, &frame, &v));
    if (!needs_memory) {
        t->space = runner.space;
        t->frame.frame = (struct urd_frame){.image = image, .no_registers = true};
        *ret_done = true;
    }
    urd_err *err = needs_memory ? NULL : set_target(urd_expr_text(expr), &v, t);
    urd_debuginfo_value_deinit(&v);
    return err;
}

/** The memory that an expression names at a moment. */
static urd_err *resolve(struct answer *a, const char *text, struct urd_moment at, struct target *t)
{
    struct urd_engine *e = a->engine;
    struct urd_expr *expr;
    URD_TRY(urd_expr_parse(text, &expr));
    struct urd_session *s = NULL;
    bool done;
    urd_err *err = resolve_plain(a, expr, at, t, &done);
    if (err || done) {
        urd_expr_free(expr);
        return err;
    }
    err = engine_seek(e, at, &s);
    struct urd_task *task = err ? NULL : live_task(s);
    if (!err && !task)
        err = URD_ERROR(URD_ERR_NOTHING, "no process exists at %llu:%llu",
                        (unsigned long long)at.event, (unsigned long long)at.steps);
    if (!err)
        err = frame_open(e, s, task, at.event, &t->frame);
    struct urd_value v = {0};
    if (!err) {
        t->frame.frame.data = &t->frame;
        int64_t number = question_number(a, "frame", -1);
        const struct urd_frame *frame = NULL;
        if (number < 0)
            frame = frame_default(&t->frame);
        else
            err = frame_numbered(e, &t->frame, at, (unsigned)number, &frame);
        if (!err && !frame)
            err = URD_ERROR(URD_ERR_QUESTION, "there is no such frame");
        else if (!err)
            err = urd_expr_locate(expr, frame, &v);
    }
    urd_expr_free(expr);
    URD_TRY(err);
    t->space = task->space;
    err = set_target(text, &v, t);
    urd_debuginfo_value_deinit(&v);
    return err;
}

/** Which event mapped the memory is then the answer. */
static void say_nothing_wrote(struct answer *a, const struct target *t, int64_t clock)
{
    struct urd_index *x = a->engine->index;
    uint64_t event = urd_index_life(x, t->space, t->address, clock)->origin.event;
    json_object_set_new(a->summary, "nothing",
                        json_string("nothing wrote it before this moment: it is as its mapping "
                                    "began (the program's file, or zeros)"));
    if (!event || event > x->n_events)
        return;
    const struct urd_index_event *e = &x->events[event];
    const char *call = e->kind == URD_EVENT_EXEC ? "execve"
                       : e->syscall >= 0         ? urd_record_syscall_name(e->syscall)
                                                 : urd_event_kind_name(e->kind);
    json_object_set_new(a->summary, "mapped",
                        json_pack("{s:o, s:s}", "moment",
                                  json_moment((struct urd_moment){event, 0}), "syscall", call));
}

/** The clock from which on writes to the target's memory are its history: when the oldest page of it was mapped. */
static int64_t mapped_since(struct urd_index *x, const struct target *t, int64_t clock)
{
    int64_t since = INT64_MAX;
    if (urd_index_shows(x, t->space, t->address, t->size, urd_index_moment(x, clock).event))
        return INT64_MIN; /* others may have written to it before it was mapped here */
    for (uint64_t page = t->address & ~4095ull; page < t->address + t->size; page += 4096) {
        uint64_t origin = urd_index_life(x, t->space, page, clock)->origin.event;
        int64_t at = origin ? x->events[origin].clock - 1 : INT64_MIN;
        since = at < since ? at : since;
    }
    return since;
}

urd_err *q_blame(struct answer *a)
{
    const char *text;
    struct urd_moment at;
    URD_TRY(need_index(a->engine));
    URD_TRY(question_need(a, "expr", &text));
    URD_TRY(question_moment(a, &at));
    struct target t = {0};
    URD_TRY(resolve(a, text, at, &t));
    struct urd_index *x = a->engine->index;
    struct blaming b = {
        .a = a, .t = &t, .at = INT64_MAX, .all = question_flag(a, "all"), .batch = 16};
    const char *order = question_text(a, "order");
    bool ascending = b.all && order && strcmp(order, "asc") == 0;
    int64_t until = x->end + 1, clock = x->end;
    urd_err *err = urd_index_clock(x, at, &clock);
    b.at = clock;
    bool whole =
        b.all &&
        question_flag(a, "after"); /* the name is that of `at`, the history that of the run */
    if (!whole && question_text(a, "at") && strcmp(question_text(a, "at"), "end") != 0)
        until = clock;
    if (ascending)
        b.now = urd_xrealloc(NULL, t.size);
    if (!err)
        err = urd_index_writes(x, t.space, t.address, t.size, clock, INT64_MIN, until, !ascending,
                               on_write, &b);
    if (!err)
        err = b.err;
    if (!err && !b.done)
        err = give_collected(&b);
    free(b.writes);
    free(b.now);
    shown_deinit(&b.shown[0]);
    shown_deinit(&b.shown[1]);
    json_object_set_new(a->summary, "address", json_hex(t.address));
    json_object_set_new(a->summary, "size", json_integer((json_int_t)t.size));
    /* what may be missing: writes after the one that was found, or any since the memory was mapped */
    a->needs =
        target_need(&t, clock, !b.all && a->rows ? b.last + 1 : mapped_since(x, &t, clock), until);
    bool missing = false;
    if (!err)
        err = urd_index_lacks(x, &a->needs, &missing, NULL);
    if (!err && !a->rows && !missing)
        say_nothing_wrote(a, &t, clock);
    else if (!err && !a->rows)
        json_object_set_new(a->summary, "nothing",
                            json_string("nothing that is indexed wrote it before this moment"));
    frame_close(&t.frame);
    return err;
}

/* ---- readers ---- */

/** Reads in the order of the answer, some at a time: what is asked about each asks the index, too. */
struct reading {
    struct urd_index_write *reads;
    uint32_t n, capacity, want;
};

static bool on_read(void *data, const struct urd_index_write *w)
{
    struct reading *r = data;
    if (r->n >= r->want && r->reads[r->n - 1].clock != w->clock)
        return false;
    URD_PUSH(r->reads, r->n, r->capacity) = *w;
    return true;
}

/** What reads that are neighbours saw, from the oldest to the newest: the memory before the oldest, and the writes since. */
struct seen {
    struct blaming *b;
    const struct urd_index_write *reads;
    uint32_t n, at; /* at: the next one, in that order */
    bool descending;
    uint8_t *now, *values; /* values: of the i-th read at i * size */
    bool now_known, *known;
};

/** Reads before the clock see what is there now. */
static void see_until(struct seen *s, int64_t clock)
{
    uint64_t size = s->b->t->size;
    for (; s->at < s->n; s->at++) {
        uint32_t i = s->descending ? s->n - 1 - s->at : s->at;
        if (s->reads[i].clock > clock)
            break;
        memcpy(s->values + i * size, s->now, size);
        s->known[i] = s->now_known;
    }
}

static bool see_write(void *data, const struct urd_index_write *w)
{
    struct seen *s = data;
    if (w->event == URD_WRITE_INITIAL)
        return true;
    see_until(s, w->clock); /* an instruction reads before it writes */
    overlay(s->b->t, s->now, w);
    s->now_known |= covers(s->b->t, w);
    return true;
}

/** A piece of the reads that has no gap of the index in it. */
static urd_err *see(struct seen *s, int64_t at)
{
    struct urd_index *x = s->b->a->engine->index;
    const struct target *t = s->b->t;
    while (s->at < s->n) {
        int64_t oldest = s->reads[s->descending ? s->n - 1 - s->at : s->at].clock;
        int64_t newest = s->reads[s->descending ? 0 : s->n - 1].clock;
        URD_TRY(memory_before(s->b, oldest, s->now, &s->now_known));
        if (lacks(s->b, oldest, newest)) { /* one by one */
            see_until(s, oldest);
            continue;
        }
        URD_TRY(urd_index_writes(x, t->space, t->address, t->size, at, oldest, newest, false,
                                 see_write, s));
        see_until(s, newest);
    }
    return NULL;
}

static urd_err *give_read(struct blaming *b, const struct urd_index_write *w, const uint8_t *value,
                          bool known)
{
    json_t *row = json_object();
    urd_err *err = write_row(b->a->engine, w, row);
    if (err) {
        json_decref(row);
        return err;
    }
    json_object_del(row, "syscall");
    json_object_del(row, "event");
    json_object_set_new(row, "value", known ? value_text(b->t, value) : json_null());
    return give_row(b, w->clock, row);
}

/** The reads of one batch, with what they saw. */
static urd_err *give_batch(struct blaming *b, const struct reading *r, int64_t at, bool descending)
{
    uint64_t size = b->t->size;
    URD_AUTO_FREE uint8_t *now = urd_xrealloc(NULL, size);
    URD_AUTO_FREE uint8_t *values = urd_xrealloc(NULL, r->n * size + 1);
    URD_AUTO_FREE bool *known = urd_xcalloc(r->n + 1, sizeof *known);
    struct seen s = {.b = b,
                     .reads = r->reads,
                     .n = r->n,
                     .descending = descending,
                     .now = now,
                     .values = values,
                     .known = known};
    URD_TRY(see(&s, at));
    for (uint32_t i = 0; i < r->n && !b->done; i++)
        URD_TRY(give_read(b, &r->reads[i], values + i * size, known[i]));
    return NULL;
}

static urd_err *give_reads(struct blaming *b, int64_t at, int64_t until, bool descending)
{
    enum { MOST_BYTES = 1 << 24 }; /* of values in a batch */
    struct reading r = {.want = b->all ? 16 : 1};
    int64_t from = INT64_MIN, to = until;
    urd_err *err = NULL;
    do {
        r.n = 0;
        err = urd_index_reads(b->a->engine->index, b->t->space, b->t->address, b->t->size, at, from,
                              to, descending, on_read, &r);
        if (r.n && descending)
            to = r.reads[r.n - 1].clock;
        else if (r.n)
            from = r.reads[r.n - 1].clock + 1;
        if (r.n && !err)
            err = give_batch(b, &r, at, descending);
        if (r.want < 65536 && r.want * b->t->size < MOST_BYTES / 4)
            r.want *= 4;
    } while (r.n && !err && !b->done);
    free(r.reads);
    return err;
}

urd_err *q_readers(struct answer *a)
{
    const char *text, *order = question_text(a, "order");
    struct urd_moment at;
    URD_TRY(need_index(a->engine));
    URD_TRY(urd_index_need_reads(a->engine->index));
    URD_TRY(question_need(a, "expr", &text));
    URD_TRY(question_moment(a, &at));
    struct target t = {0};
    URD_TRY(resolve(a, text, at, &t));
    struct urd_index *x = a->engine->index;
    struct blaming b = {.a = a, .t = &t, .all = question_flag(a, "all")};
    int64_t clock = x->end;
    urd_err *err = urd_index_clock(x, at, &clock);
    bool end = !question_text(a, "at") || strcmp(question_text(a, "at"), "end") == 0;
    b.at = clock;
    if (!err)
        err = give_reads(&b, clock, end ? x->end + 1 : clock,
                         !(b.all && order && strcmp(order, "asc") == 0));
    if (!err)
        err = b.err;
    json_object_set_new(a->summary, "address", json_hex(t.address));
    json_object_set_new(a->summary, "size", json_integer((json_int_t)t.size));
    a->needs = (struct urd_index_need){.from = INT64_MIN,
                                       .to = INT64_MIN}; /* reads are always of all of the run */
    if (!err && !a->rows)
        json_object_set_new(a->summary, "nothing",
                            json_string("no instruction read it before this moment"));
    frame_close(&t.frame);
    return err;
}
