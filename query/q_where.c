/* In which parts of the run code of a function or a module ran, as far as they are not indexed: what `urd index --function --module` adds. */
#include "query/engine.h"
#include <stdio.h>
#include <sys/mman.h>

struct code {
    struct urd_coarse_range *ranges;
    uint32_t n, capacity;
};

static void add_code(struct code *c, uint32_t space, uint64_t start, uint64_t end)
{
    URD_PUSH(c->ranges, c->n, c->capacity) = (struct urd_coarse_range){space, start, end};
}

static urd_err *code_of_function(struct answer *a, const char *name, struct code *ret)
{
    struct urd_engine *e = a->engine;
    struct location l;
    URD_TRY(engine_location(e, name, false, &l));
    urd_err *err = question_needs_ends(a, &l);
    for (uint32_t i = 0; i < l.n; i++) {
        uint64_t start, end;
        engine_extent(e, &l.pcs[i], &start, &end);
        add_code(ret, l.pcs[i].space, start, end);
    }
    location_deinit(&l);
    return err;
}

/** `libc` and `libc.so.6` name /usr/lib/libc.so.6, too. */
static bool is_named(const char *path, const char *name)
{
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t n = strlen(name);
    return strcmp(path, name) == 0 || strcmp(base, name) == 0 ||
           (strncmp(base, name, n) == 0 && base[n] == '.');
}

static urd_err *code_of_module(struct urd_engine *e, const char *name, struct code *ret)
{
    sqlite3_stmt *q;
    struct urd_buf names = {0};
    if (sqlite3_prepare_v2(e->index->db,
                           "SELECT space, start, size, name FROM mappings WHERE prot & ? AND "
                           "name <> '' ORDER BY name",
                           -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(e->index->db, "cannot read the index");
    sqlite3_bind_int(q, 1, PROT_EXEC);
    URD_AUTO_FREE char *last = NULL;
    while (sqlite3_step(q) == SQLITE_ROW) {
        uint64_t start = (uint64_t)sqlite3_column_int64(q, 1);
        const char *path = (const char *)sqlite3_column_text(q, 3);
        if (is_named(path, name))
            add_code(ret, (uint32_t)sqlite3_column_int64(q, 0), start,
                     start + (uint64_t)sqlite3_column_int64(q, 2));
        if (last && strcmp(last, path) == 0)
            continue;
        urd_buf_printf(&names, "%s%s", last ? ", " : "", path);
        free(last);
        last = strdup(path);
    }
    sqlite3_finalize(q);
    urd_err *err = NULL;
    if (!ret->n)
        err = urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "no code of '%s' was ever mapped", name),
                           "there was code of: %.*s", (int)names.size, (char *)names.data);
    urd_buf_deinit(&names);
    return err;
}

urd_err *q_where(struct answer *a)
{
    const char *function = question_text(a, "function"), *module = question_text(a, "module");
    struct code code = {0};
    URD_TRY(need_index(a->engine));
    if (!function && !module)
        URD_WRONG("the question 'where' needs 'function' or 'module'");
    urd_err *err = function ? code_of_function(a, function, &code) : NULL;
    if (!err && module)
        err = code_of_module(a->engine, module, &code);
    a->needed_code = code.ranges;
    a->needs.kind = URD_NEEDS_CODE;
    a->needs.code = code.ranges;
    a->needs.n_code = code.n;
    return err;
}
