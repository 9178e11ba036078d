#include "query/engine.h"
#include "indexer/store.h"
#include <stdio.h>

struct urd_module *engine_module(struct urd_engine *e, uint32_t file)
{
    if (file >= urd_trace_file_count(e->trace) || e->module_failed[file])
        return NULL;
    if (!e->modules[file]) {
        URD_AUTO_FREE char *path = urd_trace_file_path(e->trace, file);
        urd_err *err = urd_debuginfo_module_open(path, urd_trace_file(e->trace, file)->path,
                                                 &e->modules[file]);
        if (err) {
            urd_err_free(err);
            e->module_failed[file] = true;
            e->modules[file] = NULL;
        }
    }
    return e->modules[file];
}

/** Without an index the mappings come from the trace itself. */
static urd_err *image_from_trace(struct urd_engine *e, uint32_t space, uint64_t event,
                                 struct urd_image *image)
{
    struct urd_trace_reader *r;
    URD_TRY(urd_trace_read_from(e->trace, 1, &r));
    const struct urd_event *ev = NULL;
    urd_err *err = NULL;
    uint32_t n_spaces = 0;
    struct urd_map spaces = {0};
    while (!(err = urd_trace_next(r, &ev)) && ev && ev->number <= event) {
        if (ev->kind == URD_EVENT_EXEC ||
            (ev->kind == URD_EVENT_START && !(ev->flags & URD_EVENT_SHARES)))
            *urd_map_put(&spaces, (uint32_t)ev->tid) = ++n_spaces;
        uint64_t *in = urd_map_get(&spaces, (uint32_t)ev->tid);
        for (uint32_t i = 0; in && *in <= space && i < ev->n_map_ops; i++) {
            const struct urd_map_op *op = &ev->map_ops[i];
            struct urd_module *m = op->kind == URD_MAP_MAP && op->prot & 4 && op->file
                                       ? engine_module(e, op->file - 1)
                                       : NULL;
            if (m)
                urd_debuginfo_image_add(image, m, op->start, op->size, op->offset, NULL);
        }
    }
    urd_map_deinit(&spaces);
    urd_trace_reader_close(r);
    return err;
}

static urd_err *image_from_index(struct urd_engine *e, uint32_t space, struct image_entry *entry,
                                 uint64_t event)
{
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(
            e->index->db,
            "SELECT start, size, file, file_offset, from_event, to_event FROM mappings "
            "WHERE space = ? AND prot & 4 AND file > 0 ORDER BY from_event",
            -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(e->index->db, "cannot read the index");
    sqlite3_bind_int64(q, 1, space);
    while (sqlite3_step(q) == SQLITE_ROW) {
        uint64_t from = (uint64_t)sqlite3_column_int64(q, 4),
                 to = (uint64_t)sqlite3_column_int64(q, 5);
        if (from > event && from < entry->to)
            entry->to = from;
        if (to <= event && to > entry->from)
            entry->from = to;
        if (from > event || to <= event)
            continue;
        if (from > entry->from)
            entry->from = from;
        if (to < entry->to)
            entry->to = to;
        struct urd_module *m = engine_module(e, (uint32_t)sqlite3_column_int64(q, 2) - 1);
        if (m)
            urd_debuginfo_image_add(entry->image, m, (uint64_t)sqlite3_column_int64(q, 0),
                                    (uint64_t)sqlite3_column_int64(q, 1),
                                    (uint64_t)sqlite3_column_int64(q, 3), NULL);
    }
    sqlite3_finalize(q);
    return NULL;
}

urd_err *engine_image(struct urd_engine *e, uint32_t space, uint64_t event, struct urd_image **ret)
{
    for (unsigned i = 0; i < e->n_images; i++) {
        struct image_entry *x = &e->images[i];
        if (x->space == space && x->from <= event && event < x->to) {
            *ret = x->image;
            return NULL;
        }
    }
    struct image_entry entry = {space, 0, UINT64_MAX, urd_debuginfo_image_create()};
    urd_err *err;
    if (e->index) {
        err = image_from_index(e, space, &entry, event);
    } else {
        err = image_from_trace(e, space, event, entry.image);
        entry.from = event;
        entry.to = event + 1;
    }
    if (err) {
        urd_debuginfo_image_destroy(entry.image);
        return err;
    }
    unsigned n = sizeof e->images / sizeof *e->images;
    if (e->n_images == n) {
        urd_debuginfo_image_destroy(e->images[0].image);
        memmove(e->images, e->images + 1, (n - 1) * sizeof *e->images);
        e->n_images--;
    }
    e->images[e->n_images++] = entry;
    *ret = entry.image;
    return NULL;
}

bool engine_place(struct urd_engine *e, uint32_t space, uint64_t pc, struct urd_place *ret)
{
    sqlite3_stmt *q;
    bool found = false;
    if (sqlite3_prepare_v2(e->index->db,
                           "SELECT from_event FROM mappings WHERE space = ? AND start <= ? AND "
                           "start + size > ? AND prot & 4 LIMIT 1",
                           -1, &q, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_int64(q, 1, space);
    sqlite3_bind_int64(q, 2, (int64_t)pc);
    sqlite3_bind_int64(q, 3, (int64_t)pc);
    if (sqlite3_step(q) == SQLITE_ROW) {
        struct urd_image *image;
        urd_err *err = engine_image(e, space, (uint64_t)sqlite3_column_int64(q, 0), &image);
        found = !err && urd_debuginfo_image_find(image, pc, ret);
        urd_err_free(err);
    }
    sqlite3_finalize(q);
    return found;
}

/** A symbol's name as its language has it, with what is behind an @ as it is. */
static const char *demangled(struct urd_engine *e, const char *name)
{
    if (name[0] != '_' || (name[1] != 'Z' && name[1] != 'R'))
        return name;
    uint64_t *slot = urd_map_put(&e->demangled, (uintptr_t)name);
    if (!*slot) {
        const char *version = strchrnul(name, '@');
        char *linkage = urd_xprintf("%.*s", (int)(version - name), name);
        char *plain = urd_debuginfo_demangle(linkage);
        *slot = (uintptr_t)(plain ? urd_xprintf("%s%s", plain, version) : name);
        free(plain);
        free(linkage);
    }
    return (const char *)(uintptr_t)*slot;
}

/** The name by which a function that begins at entry is known: malloc, not __libc_malloc. */
static const char *public_name(struct urd_module *m, uint64_t entry, const char *name)
{
    const char *public = name[0] == '_' ? urd_debuginfo_public_name(m, entry) : NULL;
    return public ? public : name;
}

void engine_name(struct urd_engine *e, uint32_t space, uint64_t event, uint64_t pc, bool is_caller,
                 struct place_name *ret)
{
    engine_name_level(e, space, event, pc, is_caller, 0, ret);
}

void engine_name_level(struct urd_engine *e, uint32_t space, uint64_t event, uint64_t pc,
                       bool is_caller, unsigned level, struct place_name *ret)
{
    struct urd_image *image;
    *ret = NO_PLACE;
    urd_err *err = engine_image(e, space, event, &image);
    if (!err)
        engine_name_in(e, image, pc - (is_caller ? 1 : 0), level, ret);
    urd_err_free(err);
}

void engine_name_in(struct urd_engine *e, const struct urd_image *image, uint64_t pc,
                    unsigned level, struct place_name *ret)
{
    struct urd_place place;
    *ret = NO_PLACE;
    if (!urd_debuginfo_image_find(image, pc, &place))
        return;
    ret->module = urd_debuginfo_module_name(place.module);
    enum { LEVELS = 32 };
    struct urd_inlined inlined[LEVELS];
    struct urd_line line;
    const struct urd_symbol *symbol;
    const struct urd_function *function = NULL;
    uint64_t entry = 0; /* of the function whose own name it is */
    if (urd_debuginfo_module_has_lines(place.module)) {
        size_t levels = urd_debuginfo_inlined_at(place.module, place.address, inlined, LEVELS);
        ret->levels = levels < LEVELS ? (unsigned)levels : LEVELS - 1;
        level = level < ret->levels ? level : ret->levels;
        if (level < ret->levels)
            ret->function = inlined[level].name ? inlined[level].name : "";
        else if ((function = urd_debuginfo_function_at(place.module, place.address)) &&
                 function->qualified) {
            ret->function = demangled(e, function->qualified);
            entry = function->entry;
        }
        if (level) {
            const struct urd_inlined *callee = &inlined[level - 1];
            ret->file = callee->call_file ? callee->call_file : "";
            ret->line = callee->call_line;
        } else if (urd_debuginfo_line_at(place.module, place.address, &line) && line.line) {
            ret->file = line.file;
            ret->line = line.line;
        }
    }
    if (!ret->function[0] && (symbol = urd_debuginfo_symbol_at(place.module, place.address))) {
        ret->function = demangled(e, symbol->name);
        entry = symbol->address;
    }
    if (entry)
        ret->function = public_name(place.module, entry, ret->function);
}

void json_set_place(json_t *row, const struct place_name *n)
{
    json_object_set_new(row, "function",
                        n->function[0] ? json_text(n->function, strlen(n->function)) : json_null());
    json_object_set_new(row, "file",
                        n->file[0] ? json_text(n->file, strlen(n->file)) : json_null());
    json_object_set_new(row, "line", n->line ? json_integer(n->line) : json_null());
    json_object_set_new(row, "module",
                        n->module[0] ? json_text(n->module, strlen(n->module)) : json_null());
}

static int32_t pid_of(struct urd_engine *e, int32_t tid)
{
    if (tid && e->last_task.pid_tid == tid)
        return e->last_task.pid;
    int32_t pid = tid;
    for (uint64_t i = 1; i <= e->index->n_events; i++)
        if (e->index->events[i].tid == tid) {
            pid = e->index->events[i].pid;
            break;
        }
    e->last_task.pid_tid = tid;
    return e->last_task.pid = pid;
}

urd_err *json_set_clock_place(struct urd_engine *e, json_t *row, int64_t clock)
{
    struct urd_index_place p;
    URD_TRY(urd_index_place(e->index, clock, &p));
    struct urd_moment m = urd_index_moment(e->index, clock);
    json_object_set_new(row, "moment", json_moment(m));
    json_object_set_new(row, "clock", json_integer(clock));
    if (!p.found)
        return NULL;
    struct place_name n;
    engine_name(e, p.space, m.event, p.pc, false, &n);
    json_object_set_new(row, "pid", json_integer(pid_of(e, p.tid)));
    json_object_set_new(row, "tid", json_integer(p.tid));
    json_object_set_new(row, "pc", json_hex(p.pc));
    json_set_place(row, &n);
    return NULL;
}

/* ---- locations ---- */

struct found_place {
    struct urd_module *module;
    uint64_t address;
    bool chooses; /* it gives the address of the function that is meant */
};

struct finding {
    struct found_place *places;
    uint32_t n, capacity;
    const char *nearest;
    bool inlined; /* copies of it that are inlined were left out */
    unsigned line;
    char *function;
};

static struct found_place *add_place(struct finding *f, struct urd_module *m, uint64_t address)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (f->places[i].module == m && f->places[i].address == address)
            return &f->places[i];
    URD_PUSH(f->places, f->n, f->capacity) = (struct found_place){.module = m, .address = address};
    return &f->places[f->n - 1];
}

static void find_line(struct finding *f, struct urd_module *m, const char *file, unsigned line)
{
    struct urd_line_place *places;
    size_t n;
    urd_debuginfo_line_places(m, file, line, &places, &n);
    for (size_t i = 0; i < n; i++) {
        add_place(f, m, places[i].address);
        f->line = places[i].line;
    }
    free(places);
    if (!n && !f->nearest)
        f->nearest = urd_debuginfo_nearest_source(m, file);
}

static uint64_t prologue_bytes(const struct urd_function *f)
{
    return !f->inlined && f->after_prologue > f->entry ? f->after_prologue - f->entry : 0;
}

static void find_function(struct finding *f, struct urd_module *m, const char *name,
                          bool for_arguments, bool out_of_line)
{
    const struct urd_function **functions;
    size_t n;
    urd_debuginfo_functions_named(m, name, &functions, &n);
    for (size_t i = 0; i < n; i++) {
        if (functions[i]->inlined && out_of_line) {
            f->inlined = true;
            continue;
        }
        add_place(f, m, functions[i]->entry + (for_arguments ? prologue_bytes(functions[i]) : 0));
        const char *called = functions[i]->qualified ? functions[i]->qualified : name;
        if (!f->function)
            f->function = strdup(
                functions[i]->inlined ? called : public_name(m, functions[i]->entry, called));
    }
    free(functions);
    size_t n_symbols;
    const struct urd_symbol *symbols = urd_debuginfo_symbols(m, &n_symbols);
    for (size_t i = 0; i < n_symbols; i++)
        if (symbols[i].indirect && strcmp(symbols[i].name, name) == 0)
            add_place(f, m, symbols[i].address)->chooses = true; /* DWARF calls it otherwise */
    if (!n && !f->nearest)
        f->nearest = urd_debuginfo_nearest_function(m, name);
}

bool engine_code_mapping(struct urd_engine *e, sqlite3_stmt *row, struct code_mapping *ret)
{
    *ret = (struct code_mapping){.space = (uint32_t)sqlite3_column_int64(row, 0),
                                 .start = (uint64_t)sqlite3_column_int64(row, 1),
                                 .size = (uint64_t)sqlite3_column_int64(row, 2),
                                 .module =
                                     engine_module(e, (uint32_t)sqlite3_column_int64(row, 3) - 1)};
    if (!ret->module)
        return false;
    struct urd_image *image = urd_debuginfo_image_create();
    urd_debuginfo_image_add(image, ret->module, ret->start, ret->size,
                            (uint64_t)sqlite3_column_int64(row, 4), &ret->bias);
    urd_debuginfo_image_destroy(image);
    return true;
}

/** Addresses in modules to addresses in every space that has the module mapped. */
static urd_err *spread(struct urd_engine *e, struct finding *f, struct location *ret)
{
    uint32_t capacity = ret->n; /* what is there is full */
    sqlite3_stmt *q;
    struct code_mapping c;
    if (sqlite3_prepare_v2(e->index->db, ENGINE_CODE_MAPPINGS, -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(e->index->db, "cannot read the index");
    while (sqlite3_step(q) == SQLITE_ROW) {
        if (!engine_code_mapping(e, q, &c))
            continue;
        for (uint32_t i = 0; i < f->n; i++) {
            uint64_t pc = f->places[i].address + c.bias;
            if (f->places[i].module != c.module || pc - c.start >= c.size)
                continue;
            bool known = false;
            for (uint32_t k = 0; k < ret->n && !known; k++)
                known = ret->pcs[k].space == c.space && ret->pcs[k].pc == pc;
            if (!known)
                URD_PUSH(ret->pcs, ret->n, capacity) = (struct urd_index_pc){c.space, pc};
        }
    }
    sqlite3_finalize(q);
    return NULL;
}

static bool take_first_call(void *data, uint32_t space, const struct urd_call *call)
{
    struct urd_call *first = data;
    if (!first->end || call->end < first->end)
        *first = *call;
    return true;
}

/** What the resolver at pc chose: its result, where it returned first. 0 in *ret: it was not called. */
static urd_err *find_chosen(struct urd_engine *e, const struct urd_index_pc *pc, uint64_t *ret)
{
    struct urd_call first = {0};
    struct urd_session *s;
    *ret = 0;
    URD_TRY(urd_index_calls(e->index, pc->space, pc->pc, take_first_call, &first));
    if (!first.end || first.abandoned)
        return NULL;
    URD_TRY(engine_seek(e, urd_index_moment(e->index, first.end), &s));
    struct urd_task *t = live_task(s);
    *ret = t ? t->regs.rax : 0;
    return NULL;
}

/**
 * `strlen` of libc is a function that chooses, once in a process, the one for its processor. Who asks for calls of strlen means that
 * one. The choice is what the resolver gave in the run; all processes of a file have the same.
 */
static urd_err *follow_choice(struct urd_engine *e, const struct found_place *place,
                              bool for_arguments, struct urd_index_pc *pcs, uint32_t n)
{
    uint64_t chosen = 0, by = 0;
    for (uint32_t i = 0; i < n && !chosen; i++) {
        by = pcs[i].pc;
        URD_TRY(find_chosen(e, &pcs[i], &chosen));
    }
    const struct urd_function *function =
        chosen ? urd_debuginfo_function_at(place->module, place->address + (chosen - by)) : NULL;
    if (for_arguments && function && function->entry == place->address + (chosen - by))
        chosen += prologue_bytes(function);
    for (uint32_t i = 0; i < n && chosen; i++)
        pcs[i].pc += chosen - by;
    return NULL;
}

/** spread, place by place. */
static urd_err *spread_functions(struct urd_engine *e, struct finding *f, bool for_arguments,
                                 struct location *ret)
{
    for (uint32_t i = 0; i < f->n; i++) {
        struct finding one = {.places = &f->places[i], .n = 1};
        uint32_t before = ret->n;
        URD_TRY(spread(e, &one, ret));
        if (f->places[i].chooses)
            URD_TRY(
                follow_choice(e, &f->places[i], for_arguments, ret->pcs + before, ret->n - before));
    }
    return NULL;
}

static bool is_mapped_executable(struct urd_engine *e, uint32_t file)
{
    sqlite3_stmt *q;
    bool is = false;
    if (sqlite3_prepare_v2(e->index->db,
                           "SELECT 1 FROM mappings WHERE file = ? AND prot & 4 LIMIT 1", -1, &q,
                           NULL) == SQLITE_OK) {
        sqlite3_bind_int64(q, 1, file + 1);
        is = sqlite3_step(q) == SQLITE_ROW;
    }
    sqlite3_finalize(q);
    return is;
}

urd_err *engine_location(struct urd_engine *e, const char *text, bool for_arguments,
                         struct location *ret)
{
    URD_TRY(need_index(e));
    struct finding f = {0};
    URD_AUTO_FREE char *name = strdup(text);
    *ret = (struct location){0};
    char *dollar = strstr(name, "$return");
    if (dollar && dollar[7] == 0) {
        ret->is_return = true;
        *dollar = 0;
    }
    if (name[0] == '0' && name[1] == 'x') {
        uint64_t pc = strtoull(name, NULL, 16);
        uint32_t capacity = 0;
        for (uint32_t s = 1; s <= e->index->n_spaces; s++)
            URD_PUSH(ret->pcs, ret->n, capacity) = (struct urd_index_pc){s, pc};
        return NULL;
    }
    char *colon = strrchr(name, ':');
    bool is_line = colon && colon != name && colon[-1] != ':' && colon[1] &&
                   strspn(colon + 1, "0123456789") == strlen(colon + 1);
    if (is_line)
        *colon = 0;
    for (uint32_t i = 0; i < urd_trace_file_count(e->trace); i++) {
        struct urd_module *m = is_mapped_executable(e, i) ? engine_module(e, i) : NULL;
        if (m && is_line)
            find_line(&f, m, name, (unsigned)strtoul(colon + 1, NULL, 10));
        else if (m)
            find_function(&f, m, name, for_arguments && !ret->is_return,
                          ret->is_return || !for_arguments);
    }
    ret->line = f.line;
    ret->function = f.function;
    ret->inlined = f.inlined;
    urd_err *err = NULL;
    if (!f.n && f.inlined)
        err = urd_err_hint(URD_ERROR(URD_ERR_QUESTION,
                                     "'%s' was inlined wherever it is used: it has no calls", text),
                           "urd print %s 'text' stops where its inlined copies begin; urd lines "
                           "FILE:LINE works too",
                           text);
    else if (!f.n)
        err = urd_err_hint(urd_err_at(URD_ERROR(URD_ERR_QUESTION,
                                                is_line ? "no code of this run belongs to '%s'"
                                                        : "there is no function '%s' in this run",
                                                text),
                                      0, f.nearest),
                           is_line
                               ? "a location is FILE:LINE, FUNCTION, FUNCTION$return or 0xADDRESS; "
                                 "was it compiled with -g?"
                               : "a location is FILE:LINE, FUNCTION, FUNCTION$return or 0xADDRESS");
    else if (is_line)
        err = spread(e, &f, ret);
    else
        err = spread_functions(e, &f, for_arguments && !ret->is_return, ret);
    free(f.places);
    if (err)
        location_deinit(ret);
    return err;
}

void location_deinit(struct location *l)
{
    free(l->pcs);
    free(l->function);
    *l = (struct location){0};
}

const char *engine_process_name(struct urd_engine *e, int32_t tid)
{
    char *name = e->last_task.name;
    if (tid && e->last_task.tid == tid)
        return name;
    e->last_task.tid = tid;
    name[0] = 0;
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(e->index->db, "SELECT name, parent FROM tasks WHERE tid = ?", -1, &q,
                           NULL) != SQLITE_OK)
        return name;
    for (int depth = 0; depth < 64 && !name[0] && tid;
         depth++) { /* a fork without exec has its parent's name */
        sqlite3_bind_int64(q, 1, tid);
        if (sqlite3_step(q) != SQLITE_ROW)
            break;
        snprintf(name, sizeof e->last_task.name, "%s", (const char *)sqlite3_column_text(q, 0));
        tid = sqlite3_column_int(q, 1);
        sqlite3_reset(q);
    }
    sqlite3_finalize(q);
    return name;
}

void engine_extent(struct urd_engine *e, const struct urd_index_pc *pc, uint64_t *ret_start,
                   uint64_t *ret_end)
{
    struct urd_place place;
    *ret_start = pc->pc;
    *ret_end = pc->pc + 1;
    if (!engine_place(e, pc->space, pc->pc, &place))
        return;
    const struct urd_function *f = urd_debuginfo_function_at(place.module, place.address);
    const struct urd_symbol *y = urd_debuginfo_symbol_at(place.module, place.address);
    uint64_t end = f ? f->end + place.bias : y ? y->address + y->size + place.bias : 0;
    *ret_end = end > *ret_end ? end : *ret_end;
}
