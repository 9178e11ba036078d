/*
 * What gdb cannot judge: errors with their places and suggestions, print formats, expressions
 * without debug information or without a frame, return values, outer frames, children, speed.
 */
#include "base/buf.h"
#include "base/log.h"
#include "debuginfo/cfi.h"
#include "debuginfo/value_text.h"
#include "debuginfo/variable.h"
#include "query/format.h"
#include "tests/debuginfo_live.h"
#include <stdio.h>
#include <unistd.h>

static int checked, failed;

static void expect(const char *what, const char *want, const char *got)
{
    checked++;
    if (strcmp(want, got)) {
        failed++;
        printf("%s\n    want: %s\n    got:  %s\n", what, want, got);
    }
}

static const char *ask(const struct urd_frame *frame, const char *text)
{
    static char answer[2000];
    struct urd_expr *e = NULL;
    struct urd_buf out = {0};
    struct urd_value v = {0};
    urd_err *err = urd_expr_parse(text, &e);
    if (!err)
        err = urd_expr_evaluate(e, frame, &v);
    if (err)
        snprintf(answer, sizeof answer, "%ld: %s (%s)", err->offset, err->message,
                 err->suggest ? err->suggest : "-");
    else {
        urd_debuginfo_value_text(frame, &v, NULL, &out);
        snprintf(answer, sizeof answer, "%.*s", (int)out.size, out.size ? (char *)out.data : "");
    }
    urd_buf_deinit(&out);
    urd_debuginfo_value_deinit(&v);
    urd_expr_free(e);
    urd_err_free(err);
    return answer;
}

static void check(const struct urd_frame *frame, const char *text, const char *want)
{
    expect(text, want, ask(frame, text));
}

static const char *render(const struct urd_frame *frame, const char *text)
{
    static char answer[2000];
    struct urd_format *f = NULL;
    struct urd_buf out = {0};
    urd_err *err = urd_format_parse(text, &f);
    if (!err)
        err = urd_format_check(f, frame);
    if (err)
        snprintf(answer, sizeof answer, "%ld: %s", err->offset, err->message);
    else {
        urd_format_render(f, frame, &out);
        snprintf(answer, sizeof answer, "%.*s", (int)out.size, out.size ? (char *)out.data : "");
    }
    urd_buf_deinit(&out);
    urd_format_free(f);
    urd_err_free(err);
    return answer;
}

static bool build(const char *subject, const char *options, const char *binary)
{
    char *command = urd_xprintf("gcc -w %s -o %s %s/tests/subjects/%s", options, binary,
                                URD_SOURCE_DIR, subject);
    bool ok = !system(command);
    free(command);
    if (!ok) {
        failed++;
        printf("cannot build %s\n", subject);
    }
    return ok;
}

/** Runs to the first place of FILE:LINE, or to a function after its prologue. */
static bool run_to(struct live *l, const char *file, unsigned line, const char *function)
{
    struct urd_line_place *places = NULL;
    const struct urd_function **list = NULL;
    size_t n, k = 0;
    urd_debuginfo_line_places(l->modules[0], file, line, &places, &n);
    if (function)
        urd_debuginfo_functions_named(l->modules[0], function, &list, &k);
    for (size_t i = 0; !function && i < n; i++)
        live_break(l, places[i].address + l->bias[0], 1);
    for (size_t i = 0; i < k; i++)
        live_break(l, list[i]->after_prologue + l->bias[0], 1);
    free(places);
    free(list);
    bool hit = live_continue(l) == 1;
    live_unbreak(l, 1);
    return hit;
}

/* ---- errors ---- */

static void check_errors(const struct urd_frame *f)
{
    check(f, "", "0: an operand is missing, but the expression ends here (-)");
    check(f, "1 +", "3: an operand is missing, but the expression ends here (-)");
    check(f, "(1", "2: a ) is missing, but the expression ends here (-)");
    check(f, "n = 1", "2: a recording cannot be changed (==)");
    check(f, "n++", "1: a recording cannot be changed (-)");
    check(f, "twice(3)", "5: functions cannot be called in a recording (-)");
    check(f, "$raxx", "0: there is no register $raxx ($rax)");
    check(f, "1 + secnd->x", "4: no variable named secnd here (second)");
    check(f, "second->yy", "8: struct point has no member named yy (y)");
    check(f, "global_int.x", "11: only a struct has members, not int (-)");
    check(f, "*second + 1", "8: this operator does not take struct point (-)");
    check(f, "sizeof(struct nothing)", "7: there is no type named struct nothing (-)");
    check(f, "(struct poin *)0", "1: there is no type named struct poin (-)");
    check(f, "&(1 + 2)", "0: this value has no address (-)");
    check(f, "&bits.a", "0: a bit-field has no address (-)");
    check(f, "$retval",
          "0: $retval is known only where a function returns whose type is known; $rax holds what "
          "others return (-)");
    check(f, "points[1.5]", "7: an index must be an integer, not double (-)");
    check(f, "*1.5", "0: cannot look behind double (-)");
    check(f, "\"abc", "0: a string without its end at '\"abc' (-)");
    check(f, "08x", "1: not a number at '8x' (-)");
    check(f, "*(int *)8", "<unreadable 0x8>");
    check(f, "1 / 0", "<unreadable: division by zero>");
}

static void check_formats(const struct urd_frame *f)
{
    expect("format", "x=3 0x3 {} 3", render(f, "x={second->x} {second->x:x} {{}} {second->x:d}"));
    expect("format", "a\tb\n", render(f, "a\\tb\\n"));
    expect("format", "5: a } without its {", render(f, "text }"));
    expect("format", "2: a { without its }", render(f, "a {b"));
    expect("format", "3: a format is one of x d u c s f b p o r, not 'q'", render(f, "{1:q}"));
    expect("format", "5: no variable named nope here", render(f, "a {1+nope}"));
    expect("format", "7", render(f, "{1 ? 7 : 8}"));
    expect("format", "0x8", render(f, "{0 ? 7 : 8:x}"));
    expect("format", "hello \"world\"\n", render(f, "{global_text:s}"));
    expect("format", "first", render(f, "{first.text:s}"));
    expect("format", "0b101 05 a 2.500000",
           render(f, "{bits.a:b} {bits.a:o} {'a':c} {first.values[1]:f}"));
    expect("format", "-7", render(f, "{'debuginfo_types.c'::static_long}"));
    expect("format", "<unreadable 0x10> then", render(f, "{*(int *)16} then"));
    expect("format", "{x = 0x3, y = 0x4}", render(f, "{*second:x}"));
    expect("format", "4294967295 18446744073709551615", render(f, "{(unsigned)-1} {-1l:u}"));
    expect("format", "a}b", render(f, "{\"a}b\":s}"));
}

static void check_values(const struct urd_frame *f)
{
    check(f, "global_text == \"hello \\\"world\\\"\\n\"", "1");
    check(f, "first.text == \"first\" && first.name != \"two\"", "1");
    check(f, "*(int *)0 == 3 || 1", "<unreadable 0x0>");
    check(f, "0 && *(int *)0", "0");
    check(f, "1 || *(int *)0", "1");
    check(f, "BLUE + 1", "7");
    check(f, "sizeof(point)", "8");
    check(f, "sizeof(unsigned long long int)", "8");
    check(f, "(uint8_t)-1", "255 '\\377'");
    check(f, "(unsigned char)global_int & 0xf", "10");
    check(f, "-1 < 1u", "0");
    check(f, "-1 < 1", "1");
    check(f, "1 ? 2 : 3", "2");
    check(f, "3 > 2 > 1", "0");
    check(f, "2 + 3 * 4 == 14", "1");
    check(f, "1 << 3 | 1", "9");
    check(f, "~0", "-1");
    check(f, "!second", "0");
    check(f, "second[1].y", "6");
    check(f, "&second[1] - points", "2");
    check(f, "points[1]@2", "{{x = 3, y = 4}, {x = 5, y = 6}}");
    check(f, "((node_t *)&first)->next->name[1]", "119 'w'");
    check(f, "first.function == twice", "1");
    check(f, "0x7fffffffffffffff + 1", "-9223372036854775808");
    check(f, "18446744073709551615", "18446744073709551615");
    check(f, "1.5e3 + .5", "1500.5");
    check(f, "0.1f", "0.1");
    check(f, "0.1 + 0.2", "0.30000000000000004");
    check(f, "(int)2.9", "2");
    check(f, "'\\n'", "10 '\\n'");
    check(f, "\"abc\"[1]", "98 'b'");
    check(f, "(bool)7", "true");
    check(f, "(enum colour)5", "GREEN");
    check(f, "(long)&((struct node *)0)->text", "24");
    check(f, "$xmm0.v2_double[0] == $xmm0.v2_double[0] || 1", "1");
    check(f, "zeroes", "{0, 0, 0, 9, 0 <repeats 26 times>}");
}

static void check_children(const struct urd_frame *f)
{
    struct urd_expr *e;
    struct urd_value v;
    struct urd_child *c;
    size_t n, total;
    urd_err_free(urd_expr_parse("second", &e));
    urd_err_free(urd_expr_evaluate(e, f, &v));
    urd_debuginfo_children(f, &v, "second", 0, 10, &c, &n, &total);
    expect("children", "second->y", n == 2 ? c[1].expression : "?");
    expect("children", "4", n == 2 ? c[1].text : "?");
    expect("children", "int", n == 2 ? c[1].type : "?");
    urd_debuginfo_children_free(c, n);
    urd_debuginfo_value_deinit(&v);
    urd_expr_free(e);
    urd_err_free(urd_expr_parse("points", &e));
    urd_err_free(urd_expr_evaluate(e, f, &v));
    urd_debuginfo_children(f, &v, "points", 2, 1, &c, &n, &total);
    expect("children", "points[2]", n == 1 && total == 4 ? c[0].expression : "?");
    expect("children", "{x = 5, y = 6}", n == 1 ? c[0].text : "?");
    expect("children", "yes", n == 1 && c[0].has_children ? "yes" : "no");
    urd_debuginfo_children_free(c, n);
    urd_debuginfo_value_deinit(&v);
    urd_expr_free(e);
}

static void check_places(const struct urd_frame *f, struct live *l)
{
    struct urd_frame none = {
        .image = l->image, .no_registers = true, .data = l, .read_memory = f->read_memory};
    struct urd_expr *e;
    struct urd_value v = {0};
    char text[64];
    check(&none, "global_int + 1", "43");
    check(&none, "matrix[1]", "{4, 5, 6}");
    check(&none, "second", "0: no variable named second (-)");
    check(&none, "$rax", "<not recorded>");
    check(&none, "thread_int", "<not recorded>");
    urd_err_free(urd_expr_parse("global_node.at.y", &e));
    urd_err *err = urd_expr_locate(e, &none, &v);
    snprintf(text, sizeof text, "%d %d %lu", v.lvalue, v.n_pieces,
             v.n_pieces ? v.pieces[0].size : 0);
    expect("place", "1 1 4", text);
    uint64_t address;
    snprintf(text, sizeof text, "&global_node.at.y == (int *)0x%lx", v.address);
    check(f, text, "1");
    urd_err_free(err);
    urd_expr_free(e);
    (void)address;
    /* a raw address is 8 bytes */
    snprintf(text, sizeof text, "*0x%lx", v.address - 4);
    err = urd_expr_parse(text, &e);
    urd_err_free(err);
    err = urd_expr_locate(e, &none, &v);
    snprintf(text, sizeof text, "%lu", v.pieces[0].size);
    expect("raw address", "8", text);
    urd_err_free(err);
    urd_expr_free(e);
}

static void check_speed(const struct urd_frame *f)
{
    struct urd_format *format;
    struct urd_buf out = {0};
    urd_err_free(urd_format_parse("x={second->x} i={global_int:x} {first.next->name}", &format));
    uint64_t start = urd_now_ns();
    for (int i = 0; i < 20000; i++) {
        out.size = 0;
        urd_format_render(format, f, &out);
    }
    double each = (double)(urd_now_ns() - start) / 20000;
    printf("a print of three expressions: %.1f us (with a system call for each read)\n",
           each / 1000);
    urd_buf_deinit(&out);
    urd_format_free(format);
}

static void check_types_subject(const char *binary)
{
    struct live l;
    if (!build("debuginfo_types.c", "-g -O0", binary) || !live_start(&l, binary))
        return;
    char *line = NULL, *source = urd_xprintf("%s/tests/subjects/debuginfo_types.c", URD_SOURCE_DIR);
    size_t cap = 0;
    unsigned number = 0, found = 0;
    FILE *f = fopen(source, "re");
    while (f && getline(&line, &cap, f) > 0 && !found)
        if (++number && strstr(line, "sink = bits.a + second->x"))
            found = number;
    if (f)
        fclose(f);
    free(line);
    free(source);
    if (!run_to(&l, "debuginfo_types.c", found, NULL)) {
        failed++;
        printf("the line is not reached\n");
    } else {
        check_errors(&l.frame);
        check_formats(&l.frame);
        check_values(&l.frame);
        check_children(&l.frame);
        check_places(&l.frame, &l);
        check_speed(&l.frame);
    }
    live_stop(&l);
}

/* ---- return values, outer frames, no debug information ---- */

static void check_returns(const char *binary, const char *options)
{
    int before = failed;
    static const char *const answers[][2] = {{"return_char", "113 'q'"},
                                             {"return_bool", "true"},
                                             {"return_int", "-5"},
                                             {"return_double", "2.5"},
                                             {"return_float", "0.1"},
                                             {"return_long_double", "1.25"},
                                             {"return_text", "\"text\""},
                                             {"return_small", "{a = 1, b = 2}"},
                                             {"return_mixed", "{n = 3, d = 4.5}"},
                                             {"return_floats", "{a = 1, b = 2, c = 3}"},
                                             {"return_large", "{values = {1, 2, 3, 4, 5}}"},
                                             {"return_int128", "1180591620717411303424"}};
    struct live l;
    if (!build("debuginfo_returns.c", options, binary) || !live_start(&l, binary))
        return;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const struct urd_function **list;
        struct urd_caller caller;
        struct urd_value v;
        struct urd_buf out = {0};
        size_t n;
        urd_debuginfo_functions_named(l.modules[0], answers[i][0], &list, &n);
        live_break(&l, list[0]->entry + l.bias[0], 1);
        bool ok = live_continue(&l) == 1;
        live_unbreak(&l, 1);
        ok = ok && urd_debuginfo_unwind(&l.frame, &caller);
        live_break(&l, caller.frame.pc, 2);
        ok = ok && live_continue(&l) == 2;
        live_unbreak(&l, 2);
        const struct urd_type *t = urd_debuginfo_return_type(l.modules[0], list[0]);
        urd_debuginfo_return_value(t, &l.frame, &v);
        l.frame.retval = &v;
        expect(answers[i][0], "1", ask(&l.frame, "sizeof($retval) > 0"));
        urd_debuginfo_value_text(&l.frame, &v, NULL, &out);
        urd_buf_u8(&out, 0);
        const char *text = (char *)out.data;
        if (i == 6)
            text = strchr(text, '"') ? strchr(text, '"') : text;
        expect(answers[i][0], answers[i][1], ok ? text : "not reached");
        urd_debuginfo_value_deinit(&v);
        urd_buf_deinit(&out);
        free(list);
    }
    if (run_to(&l, "debuginfo_returns.c", 0, "inner")) {
        struct urd_caller outer, main_frame;
        check(&l.frame, "n", "105");
        check(&l.frame, "own", "99");
        if (urd_debuginfo_unwind(&l.frame, &outer)) {
            check(&outer.frame, "local", "105");
            if (strstr(options, "-O0"))
                check(&outer.frame, "n", "5");
            check(&outer.frame, "before[1]", "2");
            char name[100];
            urd_debuginfo_image_name_address(l.image, outer.frame.pc, name, sizeof name);
            name[strcspn(name, "+")] = 0;
            expect("caller", "outer", name);
            urd_debuginfo_unwind(&outer.frame, &main_frame);
            urd_debuginfo_image_name_address(l.image, main_frame.frame.pc, name, sizeof name);
            name[strcspn(name, "+")] = 0;
            expect("caller's caller", "main", name);
        } else {
            expect("unwinding", "works", "fails");
        }
    } else {
        expect("inner", "reached", "not reached");
    }
    if (failed > before)
        printf("  (built with %s)\n", options);
    live_stop(&l);
}

static void check_without_dwarf(const char *binary)
{
    struct live l;
    if (!build("debuginfo_returns.c", "-O0", binary) || !live_start(&l, binary))
        return;
    check(&l.frame, "global", "7");
    check(&l.frame, "*(char *)&global", "7 '\\a'");
    check(&l.frame, "(char)bytes[0]", "104 'h'");
    check(&l.frame, "own", "99");
    check(&l.frame, "sizeof bytes", "12");
    check(&l.frame, "globl", "0: no variable named globl here (global)");
    live_stop(&l);
    /* nothing but .eh_frame: functions without names */
    char *command = urd_xprintf("strip %s", binary);
    struct urd_module *m;
    size_t n, frames = 0;
    if (!system(command)) {
        urd_err *err = urd_debuginfo_module_open(binary, "/bin/subject", &m);
        if (!err) {
            const struct urd_symbol *s = urd_debuginfo_symbols(m, &n);
            for (size_t i = 0; i < n; i++)
                frames += s[i].kind == URD_SYMBOL_FRAME && !strncmp(s[i].name, "subject+0x", 10);
            expect("stripped", "found", frames > 10 ? "found" : "not found");
            urd_debuginfo_module_close(m);
        }
        urd_err_free(err);
    }
    free(command);
}

/** Thread-local storage of a library, and a variable that the executable holds a copy of. */
static void check_library(const char *binary)
{
    struct live l;
    char *options = urd_xprintf("-g -O0 -shared -fPIC -Wl,-soname,%s.so", binary);
    char *library = urd_xprintf("%s.so", binary);
    bool ok = build("debuginfo_library.c", options, library);
    char *command =
        urd_xprintf("gcc -w -g -DMAIN -no-pie -o %s %s/tests/subjects/debuginfo_library.c %s",
                    binary, URD_SOURCE_DIR, library);
    ok = ok && !system(command) && live_start(&l, binary);
    if (ok) {
        int k = 0;
        while (k < l.n_modules && strcmp(urd_debuginfo_module_path(l.modules[k]), library))
            k++;
        struct urd_line_place *places = NULL;
        size_t n = 0;
        if (k < l.n_modules)
            urd_debuginfo_line_places(l.modules[k], "debuginfo_library.c", 18, &places, &n);
        if (n)
            live_break(&l, places[0].address + l.bias[k], 1);
        free(places);
        expect("library", "reached", n && live_continue(&l) == 1 ? "reached" : "not reached");
        check(&l.frame, "library_thread", "32");
        check(&l.frame, "library_static_thread", "65");
        check(&l.frame, "library_global", "34");
        check(&l.frame, "n", "33");
        live_stop(&l);
    } else {
        expect("library", "built", "not built");
    }
    unlink(library);
    free(options);
    free(library);
    free(command);
}

int main(void)
{
    char *binary = urd_xprintf("/tmp/urd-expr-test-%d", getpid());
    check_types_subject(binary);
    check_returns(binary, "-g -O0");
    check_returns(binary, "-g -O2");
    check_returns(binary, "-g -O0 -static");
    check_returns(binary, "-g -O0 -static-pie");
    check_returns(binary, "-g -O0 -no-pie -fcf-protection=full");
    check_without_dwarf(binary);
    check_library(binary);
    unlink(binary);
    free(binary);
    printf("%d checked, %d failed\n", checked, failed);
    return failed ? 1 : 0;
}
