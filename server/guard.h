/**
 * Who may ask: checks of a request before anything is done for it. Pure functions.
 *
 * PURPOSE  A page of another site that is open in the same browser must not reach the trace: by DNS
 * rebinding (the Host header is then the other site's name), nor by a request across origins
 * (Origin, Sec-Fetch-Site: https://www.w3.org/TR/fetch-metadata/). NOT      Authentication: another
 * user of this machine can connect to the port.
 */
#ifndef URD_SERVER_GUARD_H
#define URD_SERVER_GUARD_H
#include <stdbool.h>
#include <stddef.h>

/** 127.0.0.1:PORT or localhost:PORT, nothing else. NULL (no header) is refused. */
bool urd_guard_host(const char *host, int port);
/** NULL (no header) or http:// and one of the hosts above. */
bool urd_guard_origin(const char *origin, int port);
/** NULL, "same-origin" or "none" (typed by the user). */
bool urd_guard_fetch_site(const char *site);
/** A target as it came, before unescaping: no %00, no control characters, starts with '/', not too
 * long. */
bool urd_guard_target(const char *target);
/** A path after unescaping that may be looked up: no "..", "//", backslash or control characters.
 */
bool urd_guard_path(const char *path);
#endif
