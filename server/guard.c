#include "server/guard.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_TARGET_BYTES 16384

bool urd_guard_host(const char *host, int port)
{
    static const char *const names[] = {"127.0.0.1", "localhost"};
    if (!host)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char right[64];
        snprintf(right, sizeof right, "%s:%d", names[i], port);
        if (strcasecmp(host, right) == 0 || (port == 80 && strcasecmp(host, names[i]) == 0))
            return true;
    }
    return false;
}

bool urd_guard_origin(const char *origin, int port)
{
    if (!origin)
        return true;
    return strncasecmp(origin, "http://", 7) == 0 && urd_guard_host(origin + 7, port);
}

bool urd_guard_fetch_site(const char *site)
{
    return !site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
}

bool urd_guard_target(const char *target)
{
    if (target[0] != '/')
        return false;
    size_t size = strlen(target);
    if (size > MAX_TARGET_BYTES || strstr(target, "%00"))
        return false;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)target[i] < 0x20 || target[i] == 0x7f)
            return false;
    return true;
}

bool urd_guard_path(const char *path)
{
    if (path[0] != '/' || strstr(path, "..") || strstr(path, "//") || strchr(path, '\\') ||
        strchr(path, '%'))
        return false;
    for (const char *c = path; *c; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            return false;
    return true;
}
