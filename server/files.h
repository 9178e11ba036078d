/**
 * The files of the UI, read once.
 *
 * PURPOSE  A fixed table from path to bytes: a request can name what is in the table and nothing
 * else, so there is no path to escape by. NOT      Sources of the subject: those are answers of the
 * engine. OWNS     The bytes.
 */
#ifndef URD_SERVER_FILES_H
#define URD_SERVER_FILES_H
#include "base/err.h"

struct urd_file {
    char *path; /* "/lib/url.js" */
    char *bytes;
    size_t size;
    const char *type; /* Content-Type */
    char etag[24];    /* of the content, with its quotes */
};

struct urd_files {
    struct urd_file *files;
    int n, capacity;
};

/** Regular files of known types below directory; symbolic links and hidden files are left out. */
urd_err *urd_files_read(const char *directory, struct urd_files *ret) URD_MUST_USE;
void urd_files_deinit(struct urd_files *f);
/** "/" is "/index.html". NULL: no such file. */
const struct urd_file *urd_files_find(const struct urd_files *f, const char *path);
#endif
