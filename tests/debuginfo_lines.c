/*
 * FILE:LINE and FUNCTION to addresses, against the places where gdb would put a breakpoint.
 * One difference is meant: where gdb stops once in each block of a line, we stop once in each
 * function or inlined copy, at the first of those places.
 */
#include "base/buf.h"
#include "debuginfo/module.h"
#include <stdio.h>
#include <unistd.h>

static int checked, different;

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static size_t parse(char *text, uint64_t list[64])
{
    size_t n = 0;
    for (char *save, *w = strtok_r(text, " \n", &save); w && n < 64;
         w = strtok_r(NULL, " \n", &save))
        list[n++] = strtoull(w, NULL, 16);
    qsort(list, n, sizeof *list, compare);
    return n;
}

/** The function or inlined copy of an address, as a number. */
static uint64_t copy_of(struct urd_module *m, uint64_t address)
{
    struct urd_inlined i;
    const struct urd_function *f;
    if (urd_debuginfo_inlined_at(m, address, &i, 1))
        return i.die;
    f = urd_debuginfo_function_at(m, address);
    return f ? f->die : address;
}

static void check(struct urd_module *m, const char *what, const char *name, uint64_t *gdb,
                  size_t n_gdb, uint64_t *urd, size_t n_urd)
{
    size_t kept = 0; /* gdb's, one for each copy */
    for (size_t i = 0; i < n_gdb; i++) {
        bool seen = false;
        for (size_t k = 0; k < kept; k++)
            seen |= copy_of(m, gdb[k]) == copy_of(m, gdb[i]);
        if (!seen)
            gdb[kept++] = gdb[i];
    }
    checked++;
    bool same = kept == n_urd;
    /* an inlined copy begins at its DW_AT_entry_pc for us, at its lowest range for gdb 13 */
    for (size_t i = 0; i < kept && same; i++) {
        bool found = false;
        for (size_t k = 0; k < n_urd; k++)
            found |= urd[k] == gdb[i] || (urd_debuginfo_inlined_at(m, gdb[i], NULL, 0) &&
                                          copy_of(m, urd[k]) == copy_of(m, gdb[i]));
        same = found;
    }
    if (same)
        return;
    different++;
    printf("%s: %s:\n    gdb:", what, name);
    for (size_t i = 0; i < kept; i++)
        printf(" %lx", gdb[i]);
    printf("\n    urd:");
    for (size_t i = 0; i < n_urd; i++)
        printf(" %lx", urd[i]);
    printf("\n");
}

static void check_binary(const char *what, const char *binary, const char *source)
{
    struct urd_module *m;
    char *line = NULL, name[128];
    size_t cap = 0;
    urd_err *err = urd_debuginfo_module_open(binary, NULL, &m);
    if (err) {
        printf("%s: %s\n", what, err->message);
        urd_err_free(err);
        different++;
        return;
    }
    char *command =
        urd_xprintf("SUBJECT_SOURCE=%s gdb -nx -batch -x %s/tests/debuginfo_lines.py %s "
                    "2>/dev/null </dev/null",
                    source, URD_SOURCE_DIR, binary);
    FILE *f = popen(command, "re");
    free(command);
    while (f && getline(&line, &cap, f) > 0) {
        uint64_t gdb[64], urd[64];
        size_t n_urd = 0, n;
        int used = 0;
        unsigned number;
        char *at = strchr(line, '\1');
        if (at && sscanf(at + 1, "line %u %n", &number, &used) == 1) {
            struct urd_line_place *places;
            snprintf(name, sizeof name, "%u", number);
            urd_debuginfo_line_places(m, strrchr(source, '/') + 1, number, &places, &n);
            for (size_t i = 0; i < n && i < 64; i++)
                urd[n_urd++] = places[i].address;
            free(places);
        } else if (at && sscanf(at + 1, "function %127s %n", name, &used) == 1) {
            const struct urd_function **list;
            urd_debuginfo_functions_named(m, name, &list, &n);
            for (size_t i = 0; i < n && i < 64; i++)
                if (list[i]->die || n == 1)
                    urd[n_urd++] = list[i]->after_prologue;
            free(list);
        } else {
            continue;
        }
        qsort(urd, n_urd, sizeof *urd, compare);
        n = parse(at + 1 + used, gdb);
        const struct urd_symbol *stub = n ? urd_debuginfo_symbol_at(m, gdb[0]) : NULL;
        if (stub && stub->kind == URD_SYMBOL_PLT) /* a library's function, not this module's */
            continue;
        check(m, what, name, gdb, n, urd, n_urd);
    }
    free(line);
    if (f)
        pclose(f);
    urd_debuginfo_module_close(m);
}

int main(int argc, char **argv)
{
    static const char *const subjects[] = {"debuginfo_types.c", "debuginfo_inline.c",
                                           "debuginfo_classes.cc"};
    static const char *const levels[] = {"-O0", "-O1", "-O2"};
    static const char *const versions[] = {"-gdwarf-5", "-gdwarf-4"};
    if (system("gdb --version >/dev/null 2>&1")) {
        printf("skipped: no gdb on this machine\n");
        return 77;
    }
    for (size_t i = 0; i < 3 * 2 * 3 * 2; i++) {
        size_t s = i / 12, c = i / 6 % 2, o = i / 2 % 3, v = i % 2;
        bool cc = strstr(subjects[s], ".cc");
        const char *compiler = c ? cc ? "clang++" : "clang" : cc ? "g++" : "gcc";
        char *source = urd_xprintf("%s/tests/subjects/%s", URD_SOURCE_DIR, subjects[s]);
        char *binary = urd_xprintf("/tmp/urd-lines-%d", getpid());
        char *what = urd_xprintf("%s %s %s %s", subjects[s], compiler, levels[o], versions[v]);
        char *command = urd_xprintf("%s -w %s %s -o %s %s 2>/dev/null", compiler, levels[o],
                                    versions[v], binary, source);
        int before = different, had = checked;
        if (argc > 1 && !strstr(what, argv[1]))
            ;
        else if (system(command))
            printf("skipped: %s cannot build %s\n", compiler, subjects[s]);
        else {
            check_binary(what, binary, source);
            printf("%s: %d checked, %d different\n", what, checked - had, different - before);
        }
        fflush(stdout);
        unlink(binary);
        free(source);
        free(binary);
        free(what);
        free(command);
    }
    printf("%d checked, %d different\n", checked, different);
    return different ? 1 : 0;
}
