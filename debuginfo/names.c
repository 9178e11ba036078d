/* Nearest spellings, for errors that suggest. */
#include "debuginfo/private.h"
#include <ctype.h>

bool urd_debuginfo_path_matches(const char *path, const char *suffix)
{
    if (!path)
        return false;
    while (!strncmp(suffix, "./", 2))
        suffix += 2;
    size_t n = strlen(path), k = strlen(suffix);
    return k && k <= n && !strcmp(path + n - k, suffix) &&
           (k == n || path[n - k - 1] == '/' || suffix[0] == '/');
}

/** Optimal string alignment distance: insert, delete, replace, swap neighbours. */
unsigned urd_debuginfo_edit_distance(const char *a, const char *b, unsigned limit)
{
    enum { MAX = 96 };
    size_t n = strlen(a), k = strlen(b);
    unsigned rows[3][MAX + 1];
    if (n > MAX || k > MAX || (n > k ? n - k : k - n) > limit)
        return limit + 1;
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= k; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned least = now[0] = (unsigned)i;
        for (size_t j = 1; j <= k; j++) {
            unsigned cost = a[i - 1] == b[j - 1]                     ? 0
                            : tolower(a[i - 1]) == tolower(b[j - 1]) ? 1
                                                                     : 2;
            unsigned v = last[j - 1] + (cost ? 1 : 0);
            if (last[j] + 1 < v)
                v = last[j] + 1;
            if (now[j - 1] + 1 < v)
                v = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < v)
                v = before[j - 2] + 1;
            now[j] = v;
            if (v < least)
                least = v;
        }
        if (least > limit)
            return limit + 1;
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[k];
}

static unsigned allowed(const char *name)
{
    size_t n = strlen(name);
    return n <= 2 ? 1 : n <= 5 ? 2 : 3;
}

static void consider(const char *candidate, const char *name, unsigned *best, const char **ret)
{
    if (!candidate || !*best)
        return;
    unsigned d = urd_debuginfo_edit_distance(name, candidate, *best - 1);
    if (d < *best && d < strlen(name)) {
        *best = d;
        *ret = candidate;
    }
}

const char *urd_debuginfo_nearest_function(struct urd_module *m, const char *name)
{
    unsigned best = allowed(name) + 1;
    const char *ret = NULL;
    size_t n;
    const struct urd_function *f = urd_debuginfo_functions(m, &n);
    for (size_t i = 0; i < n; i++) {
        consider(f[i].name, name, &best, &ret);
        if (f[i].qualified != f[i].name)
            consider(f[i].qualified, name, &best, &ret);
    }
    return ret;
}

const char *urd_debuginfo_nearest_source(struct urd_module *m, const char *name)
{
    unsigned best = allowed(name) + 1;
    const char *ret = NULL, *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    size_t n;
    const struct urd_source *s = urd_debuginfo_sources(m, &n);
    for (size_t i = 0; i < n; i++) {
        const char *end = strrchr(s[i].path, '/');
        consider(end ? end + 1 : s[i].path, base, &best, &ret);
    }
    return ret;
}

const char *urd_debuginfo_nearest_variable(struct urd_module *m, uint64_t address, const char *name)
{
    unsigned best = allowed(name) + 1;
    const char *ret = NULL;
    const struct urd_variable **list;
    size_t n;
    urd_debuginfo_variables_at(m, address, &list, &n);
    for (size_t i = 0; i < n; i++)
        consider(list[i]->name, name, &best, &ret);
    free(list);
    const struct urd_variable *const *globals = urd_debuginfo_globals(m, &n);
    for (size_t i = 0; i < n; i++)
        consider(globals[i]->name, name, &best, &ret);
    if (ret || n)
        return ret;
    const struct urd_symbol *s = urd_debuginfo_symbols(m, &n);
    for (size_t i = 0; i < n; i++)
        if (s[i].kind == URD_SYMBOL_OBJECT || s[i].kind == URD_SYMBOL_TLS)
            consider(s[i].name, name, &best, &ret);
    return ret;
}
