/* The checks that stand between a request and everything else, as a table. */
#include "server/guard.h"
#include "server/question.h"
#include <stdio.h>
#include <string.h>

static int failures;

static void expect(const char *what, const char *input, bool got, bool wanted)
{
    if (got == wanted)
        return;
    printf("FAILED: %s of '%s' is %d\n", what, input ? input : "(none)", got);
    failures++;
}

int main(void)
{
    static const struct {
        const char *text;
        bool ok;
    } hosts[] = {
        {"127.0.0.1:8080", true},
        {"localhost:8080", true},
        {"LOCALHOST:8080", true},
        {NULL, false},
        {"", false},
        {"127.0.0.1", false},
        {"127.0.0.1:80", false},
        {"127.0.0.1:8080.evil.example", false},
        {"evil.example:8080", false},
        {"localhost.evil.example:8080", false},
        {"[::1]:8080", false},
        {"127.0.0.1:08080", false},
        {"127.0.0.1:8080 ", false},
        {"0.0.0.0:8080", false},
    };
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        expect("host", hosts[i].text, urd_guard_host(hosts[i].text, 8080), hosts[i].ok);
    static const struct {
        const char *text;
        bool ok;
    } origins[] = {
        {NULL, true},
        {"http://127.0.0.1:8080", true},
        {"null", false},
        {"http://evil.example", false},
        {"https://127.0.0.1:8080", false},
        {"http://127.0.0.1:8081", false},
        {"http://127.0.0.1:8080/", false},
    };
    for (size_t i = 0; i < sizeof origins / sizeof *origins; i++)
        expect("origin", origins[i].text, urd_guard_origin(origins[i].text, 8080), origins[i].ok);
    expect("site", "cross-site", urd_guard_fetch_site("cross-site"), false);
    expect("site", "same-site", urd_guard_fetch_site("same-site"), false);
    expect("site", "same-origin", urd_guard_fetch_site("same-origin"), true);
    expect("site", NULL, urd_guard_fetch_site(NULL), true);
    static const struct {
        const char *text;
        bool ok;
    } paths[] = {
        {"/", true},
        {"/lib/url.js", true},
        {"/..", false},
        {"/lib/../../etc/passwd", false},
        {"//etc/passwd", false},
        {"/lib\\..\\x", false},
        {"relative", false},
        {"/%2e%2e/x", false},
        {"/a\nb", false},
        {"/\xc3\xa4", false},
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        expect("path", paths[i].text, urd_guard_path(paths[i].text), paths[i].ok);
    expect("target", "/a%00b", urd_guard_target("/a%00b"), false);
    expect("target", "http://x/", urd_guard_target("http://x/"), false);
    expect("target", "*", urd_guard_target("*"), false);
    expect("target", "/?at=1:2", urd_guard_target("/?at=1:2"), true);

    json_t *q = json_object();
    urd_err *err = urd_question_parameter(q, "limit", 5, "abc", 3);
    expect("limit", "abc", !err, false);
    urd_err_free(err);
    err = urd_question_parameter(q, "expr", 4, "a\0b", 3);
    expect("expr", "a\\0b", !err, false);
    urd_err_free(err);
    err = urd_question_parameter(q, "expr", 4, "\xff", 1);
    expect("expr", "\\xff", !err, false);
    urd_err_free(err);
    err = urd_question_parameter(q, "all", 3, "1", 1);
    expect("all", "1", !err && json_is_true(json_object_get(q, "all")), true);
    json_decref(q);
    const char *suggest;
    expect("known", "blame", urd_question_known("blame", &suggest), true);
    expect("known", "blme", urd_question_known("blme", &suggest), false);
    expect("suggest", "blme", suggest && strcmp(suggest, "blame") == 0, true);
    printf(failures ? "%d checks failed\n" : "server guard: all checks passed\n", failures);
    return failures != 0;
}
