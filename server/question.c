#include "server/question.h"
#include "base/buf.h"
#include <errno.h>
#include <stdio.h>

enum field_type { TEXT, NUMBER, FLAG };

static const struct {
    const char *name;
    enum urd_desk_lane lane;
    const char *fields;
} questions[] = {
#define QUESTION(name, lane, fields) {#name, URD_LANE_##lane, fields},
#define FIELD(name, type)
#include "server/questions.def"
#undef QUESTION
#undef FIELD
};

static const struct {
    const char *name;
    enum field_type type;
} fields[] = {
#define QUESTION(name, lane, fields)
#define FIELD(name, type) {#name, type},
#include "server/questions.def"
#undef QUESTION
#undef FIELD
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static enum field_type type_of(const char *key)
{
    for (size_t i = 0; i < COUNT(fields); i++)
        if (strcmp(fields[i].name, key) == 0)
            return fields[i].type;
    return TEXT;
}

/** The value in its field's type, or NULL when it is not of that type. */
static json_t *typed(const char *key, const char *value, size_t size)
{
    enum field_type type = type_of(key);
    if (type == FLAG) {
        if (strcmp(value, "1") == 0 || strcmp(value, "true") == 0)
            return json_true();
        return strcmp(value, "0") == 0 || strcmp(value, "false") == 0 ? json_false() : NULL;
    }
    if (type == NUMBER) {
        char *end;
        errno = 0;
        long long n = strtoll(value, &end, 10);
        if (*value && !*end && !errno)
            return json_integer(n);
        /* "from" of events and outputs may be a moment */
        return strcmp(key, "from") == 0 || strcmp(key, "to") == 0 ? json_stringn(value, size)
                                                                  : NULL;
    }
    return json_stringn(value, size);
}

urd_err *urd_question_parameter(json_t *question, const char *key, size_t key_size,
                                const char *value, size_t size)
{
    static const char *const wanted[] = {"text", "a whole number", "0 or 1"};
    if (!key || strlen(key) != key_size || (value && strlen(value) != size))
        URD_WRONG("a parameter holds a NUL byte");
    value = value ? value : "";
    if (json_object_get(question, key))
        URD_WRONG("the parameter %s is given twice", key);
    json_t *v = typed(key, value, size);
    if (!v)
        URD_WRONG("the parameter %s should be %s", key, wanted[type_of(key)]);
    if (json_object_set_new(question, key, v) != 0)
        URD_WRONG("a parameter's name is not UTF-8");
    return NULL;
}

urd_err *urd_question_body(const char *bytes, size_t size, json_t **ret)
{
    json_error_t error;
    json_t *q = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &error);
    if (!q)
        return urd_err_hint(
            urd_err_at(URD_ERROR(URD_ERR_QUESTION, "the body is not JSON: %s", error.text),
                       error.position, NULL),
            "send one object, for example {\"q\": \"info\"}");
    if (!json_is_object(q) || !json_is_string(json_object_get(q, "q"))) {
        json_decref(q);
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "the body is not a question"),
                            "send an object with \"q\", for example {\"q\": \"info\"}");
    }
    *ret = q;
    return NULL;
}

static size_t distance(const char *a, const char *b)
{
    size_t row[64];
    size_t n = strlen(b);
    if (strlen(a) > 32 || n > 32)
        return 99;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

bool urd_question_known(const char *name, const char **suggest)
{
    size_t best = 3;
    *suggest = NULL;
    for (size_t i = 0; i < COUNT(questions); i++) {
        size_t d = distance(name, questions[i].name);
        if (d == 0)
            return true;
        if (d < best) {
            best = d;
            *suggest = questions[i].name;
        }
    }
    return false;
}

enum urd_desk_lane urd_question_lane(const json_t *question)
{
    const char *q = json_string_value(json_object_get(question, "q"));
    for (size_t i = 0; q && i < COUNT(questions); i++)
        if (strcmp(questions[i].name, q) == 0)
            return questions[i].lane;
    return URD_LANE_LONG;
}

json_t *urd_question_list(void)
{
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT(questions); i++) {
        json_t *names = json_array();
        const char *at = questions[i].fields;
        while (*at) {
            size_t n = strcspn(at, " ");
            json_array_append_new(names, json_stringn(at, n));
            at += n + (at[n] == ' ');
        }
        char path[64];
        snprintf(path, sizeof path, "/api/v1/%s", questions[i].name);
        json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "q", questions[i].name, "path", path,
                                              "fields", names));
    }
    json_array_append_new(
        list, json_pack("{s:s,s:s,s:[s]}", "q", "any", "path", "/api/v1/ask", "fields", "q"));
    json_array_append_new(list, json_pack("{s:s,s:s,s:[s,s,s,s,s,s]}", "q", "moment-all", "path",
                                          "/api/v1/moment-all", "fields", "at", "frame", "with",
                                          "file", "have", "expand"));
    return json_pack("{s:i,s:o}", "version", 1, "endpoints", list);
}
