#include "trace/event.h"
#include <errno.h>
#include <stdlib.h>

const char *urd_event_kind_name(enum urd_event_kind kind)
{
    static const char *const names[URD_EVENT_KINDS] = {
        "none", "exec", "syscall", "enter", "leave", "signal", "insn", "start", "exit", "end",
        "preempt", "memory"};
    return kind < URD_EVENT_KINDS ? names[kind] : "unknown";
}

static bool parse_number(const char **at, uint64_t *ret)
{
    if (**at < '0' || **at > '9')
        return false;
    char *end;
    errno = 0;
    *ret = strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

urd_err *urd_moment_parse(const char *text, struct urd_moment *ret)
{
    struct urd_moment m = {0};
    const char *at = text;
    bool ok = parse_number(&at, &m.event);
    if (ok && *at == ':') {
        at++;
        ok = parse_number(&at, &m.steps);
    }
    if (!ok || *at)
        return urd_err_hint(
            urd_err_at(URD_ERROR(URD_ERR_QUESTION, "'%s' is not a moment", text), at - text, NULL),
            "a moment is EVENT:STEPS, for example 1042:318");
    *ret = m;
    return NULL;
}

int urd_moment_compare(struct urd_moment a, struct urd_moment b)
{
    if (a.event != b.event)
        return a.event < b.event ? -1 : 1;
    return a.steps < b.steps ? -1 : a.steps > b.steps;
}
