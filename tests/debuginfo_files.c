/*
 * Real files and damaged ones: opening, listing and asking everything must end, whatever the bytes.
 * debuginfo_files FILE...: everything is asked of each. debuginfo_files --mutate N FILE...: N
 * damaged copies of each, seeds printed when a run is asked for with --seed.
 */
#include "base/buf.h"
#include "base/log.h"
#include "debuginfo/cfi.h"
#include "debuginfo/value_text.h"
#include "debuginfo/variable.h"
#include "query/expr.h"
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static bool read_memory(void *data, uint64_t address, void *buf, size_t size)
{
    return urd_debuginfo_module_read(data, address - 0x555555554000, buf, size);
}

static bool read_register(void *data, unsigned reg, uint64_t *ret)
{
    *ret = 0x555555554000 + reg * 4096;
    return reg < 17;
}

static size_t sum;

static void ask_at(struct urd_module *m, const struct urd_image *image, uint64_t address)
{
    struct urd_frame frame = {.image = image,
                              .pc = address + 0x555555554000,
                              .data = m,
                              .read_memory = read_memory,
                              .read_register = read_register};
    struct urd_line line;
    struct urd_inlined inlined[8];
    const struct urd_variable **list;
    struct urd_caller caller;
    size_t n;
    urd_debuginfo_line_at(m, address, &line);
    urd_debuginfo_inlined_at(m, address, inlined, 8);
    urd_debuginfo_symbol_at(m, address);
    urd_debuginfo_unwind(&frame, &caller);
    urd_debuginfo_variables_at(m, address, &list, &n);
    for (size_t i = 0; i < n && i < 30; i++) {
        struct urd_value v;
        struct urd_buf out = {0};
        struct urd_child *children;
        size_t count, total;
        urd_debuginfo_variable_read(list[i], &frame, 0x555555554000, &v);
        struct urd_text_options o = {.max_bytes = 2000};
        urd_debuginfo_value_text(&frame, &v, &o, &out);
        urd_debuginfo_children(&frame, &v, list[i]->name, 0, 5, &children, &count, &total);
        urd_debuginfo_children_free(children, count);
        sum += out.size;
        urd_buf_deinit(&out);
        urd_debuginfo_value_deinit(&v);
    }
    free(list);
}

static void ask_all(struct urd_module *m, size_t limit, bool report)
{
    size_t n, i;
    uint64_t t0 = urd_now_ns();
    const struct urd_symbol *symbols = urd_debuginfo_symbols(m, &n);
    uint64_t t1 = urd_now_ns();
    if (report)
        printf("  %zu symbols %.1f ms", n, (double)(t1 - t0) / 1e6);
    struct urd_image *image = urd_debuginfo_image_create();
    uint64_t low, high;
    urd_debuginfo_module_extent(m, &low, &high);
    for (uint64_t a = 0; a < 16; a++) { /* wherever its code is mapped from */
        uint64_t address;
        if (urd_debuginfo_module_offset_to_address(m, a * 4096, &address))
            urd_debuginfo_image_add(image, m, 0x555555554000 + address, 4096, a * 4096, NULL);
    }
    size_t step = n / limit + 1;
    for (i = 0; i < n; i += step)
        ask_at(m, image, symbols[i].address);
    t0 = urd_now_ns();
    const struct urd_function *functions = urd_debuginfo_functions(m, &n);
    t1 = urd_now_ns();
    if (report)
        printf(", %zu functions %.1f ms", n, (double)(t1 - t0) / 1e6);
    step = n / limit + 1;
    for (i = 0; i < n; i += step) {
        ask_at(m, image, functions[i].entry);
        ask_at(m, image, (functions[i].entry + functions[i].end) / 2);
        urd_debuginfo_return_type(m, &functions[i]);
    }
    size_t files;
    const struct urd_source *sources = urd_debuginfo_sources(m, &files);
    for (i = 0; i < files && i < 5; i++) {
        struct urd_line_place *places;
        struct urd_line *lines;
        urd_debuginfo_line_places(m, sources[i].path, 10, &places, &n);
        free(places);
        urd_debuginfo_file_lines(m, sources[i].path, &lines, &n);
        free(lines);
    }
    t0 = urd_now_ns();
    const struct urd_variable *const *globals = urd_debuginfo_globals(m, &n);
    t1 = urd_now_ns();
    if (report)
        printf(", %zu files, %zu globals %.1f ms\n", files, n, (double)(t1 - t0) / 1e6);
    struct urd_frame frame = {
        .image = image, .no_registers = true, .data = m, .read_memory = read_memory};
    step = n / limit + 1;
    for (i = 0; i < n; i += step) {
        struct urd_value v;
        struct urd_buf out = {0};
        urd_debuginfo_variable_read(globals[i], &frame, 0x555555554000, &v);
        struct urd_text_options o = {.max_bytes = 2000};
        urd_debuginfo_value_text(&frame, &v, &o, &out);
        sum += out.size;
        urd_buf_deinit(&out);
        urd_debuginfo_value_deinit(&v);
        char *text = urd_debuginfo_type_text(globals[i]->type);
        sum += strlen(text);
        free(text);
    }
    urd_debuginfo_nearest_function(m, "mian");
    urd_debuginfo_type_named(m, "struct nothing");
    struct urd_expr *e;
    urd_err *err = urd_expr_parse("nothing_of_that_name + 1", &e);
    if (!err) {
        struct urd_value v;
        err = urd_expr_evaluate(e, &frame, &v);
        urd_err_free(err);
        urd_expr_free(e);
    }
    urd_debuginfo_image_destroy(image);
}

static void ask_file(const char *path)
{
    struct urd_module *m;
    uint64_t t0 = urd_now_ns();
    urd_err *err = urd_debuginfo_module_open(path, NULL, &m);
    if (err) {
        printf("%s: %s\n", path, err->message);
        urd_err_free(err);
        return;
    }
    printf("%s: open %.2f ms\n", path, (double)(urd_now_ns() - t0) / 1e6);
    ask_all(m, 2000, true);
    urd_debuginfo_module_close(m);
    fflush(stdout);
}

/** Offsets that matter: sections in turn, their headers, seldom the file header. */
static size_t pick(const uint8_t *data, size_t size)
{
    Elf64_Ehdr h;
    memcpy(&h, data, sizeof h);
    unsigned what = next() % 100;
    if (what == 0)
        return 16 + next() % 48;
    if (what < 8)
        return h.e_shoff + next() % (h.e_shnum * sizeof(Elf64_Shdr));
    Elf64_Shdr s;
    memcpy(&s, data + h.e_shoff + (next() % h.e_shnum) * sizeof s, sizeof s);
    if (s.sh_type == SHT_NOBITS || !s.sh_size || s.sh_offset + s.sh_size > size)
        return next() % size;
    /* near the front, where headers and tables are, as often as anywhere */
    uint64_t span = next() % 2 && s.sh_size > 200 ? 200 : s.sh_size;
    return s.sh_offset + next() % span;
}

static void mutate(const char *path, int times, uint64_t seed)
{
    char copy[64];
    snprintf(copy, sizeof copy, "/tmp/urd-mutate-%d", getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        return;
    size_t size = (size_t)st.st_size;
    uint8_t *whole = urd_xcalloc(1, size), *data = urd_xcalloc(1, size);
    if (read(fd, whole, size) != (ssize_t)size)
        return;
    close(fd);
    int opened = 0;
    for (int i = 0; i < times; i++) {
        state = (seed + (uint64_t)i) * 0x9e3779b97f4a7c15ull + 1;
        for (int k = 0; k < 5; k++)
            next();
        memcpy(data, whole, size);
        size_t length = next() % 8 ? size : 64 + next() % (size - 64);
        int damages = 1 + (int)(next() % 40);
        for (int k = 0; k < damages; k++) {
            static const uint8_t values[] = {0, 0xff, 0x7f, 0x80, 1};
            size_t at = pick(whole, size);
            data[at] = next() % 2 ? (uint8_t)next() : values[next() % sizeof values];
        }
        FILE *f = fopen(copy, "we");
        if (!f || fwrite(data, 1, length, f) != length)
            return;
        fclose(f);
        struct urd_module *m;
        alarm(60);
        urd_err *err = urd_debuginfo_module_open(copy, NULL, &m);
        if (!err) {
            ask_all(m, 100, false);
            urd_debuginfo_module_close(m);
            opened++;
        }
        urd_err_free(err);
        alarm(0);
    }
    unlink(copy);
    free(whole);
    free(data);
    printf("%s: %d damaged copies, %d could be opened\n", path, times, opened);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int times = 0;
    uint64_t seed = 1;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--mutate") && i + 1 < argc)
            times = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 0);
        else if (times)
            mutate(argv[i], times, seed);
        else
            ask_file(argv[i]);
    }
    return sum == SIZE_MAX;
}
