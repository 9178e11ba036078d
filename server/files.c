#include "server/files.h"
#include "base/buf.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define MAX_DEPTH 6
#define MAX_BYTES (16 << 20)

static const char *type_of(const char *name)
{
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".txt", "text/plain; charset=utf-8"},
        {".json", "application/json"},
    };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (strcmp(dot, types[i].ending) == 0)
            return types[i].type;
    return NULL;
}

static urd_err *read_file(int fd, const char *path, const char *type, size_t size,
                          struct urd_files *to)
{
    URD_AUTO_FREE char *bytes = urd_xrealloc(NULL, size + 1);
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, bytes + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            URD_FAIL_ERRNO("reading %s of the UI", path);
        done += (size_t)n;
    }
    struct urd_file *f = &URD_PUSH(to->files, to->n, to->capacity);
    *f = (struct urd_file){.path = strdup(path), .bytes = bytes, .size = size, .type = type};
    snprintf(f->etag, sizeof f->etag, "\"%016llx\"", (unsigned long long)XXH3_64bits(bytes, size));
    bytes = NULL;
    return NULL;
}

static void close_dir(DIR **d)
{
    if (*d)
        closedir(*d);
}

static urd_err *read_dir(int dir_fd, const char *path, int depth, struct urd_files *to)
{
    URD_CLEANUP(close_dir) DIR *d = fdopendir(dir_fd);
    if (!d) {
        close(dir_fd);
        URD_FAIL_ERRNO("listing %s of the UI", path);
    }
    struct dirent *e;
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        URD_AUTO_CLOSE int fd =
            openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) != 0)
            continue; /* a symbolic link, or not ours to read */
        URD_AUTO_FREE char *name = urd_xprintf("%s/%s", path, e->d_name);
        const char *type = type_of(e->d_name);
        if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH) {
            int sub = fd;
            fd = -1;
            URD_TRY(read_dir(sub, name, depth + 1, to));
        } else if (S_ISREG(st.st_mode) && type && st.st_size <= MAX_BYTES) {
            URD_TRY(read_file(fd, name, type, (size_t)st.st_size, to));
        }
    }
    return NULL;
}

urd_err *urd_files_read(const char *directory, struct urd_files *ret)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return urd_err_hint(
            URD_ERROR(URD_ERR_FAILED, "the UI is not in %s: %s", directory, strerror(errno)),
            "it is the folder ui-static of urd");
    struct urd_files f = {0};
    urd_err *err = read_dir(fd, "", 0, &f);
    if (!err && !urd_files_find(&f, "/index.html"))
        err = urd_err_hint(URD_ERROR(URD_ERR_FAILED, "%s has no index.html", directory),
                           "it should be the folder ui-static of urd");
    if (err) {
        urd_files_deinit(&f);
        return urd_err_hop(err, __func__, __FILE__, __LINE__);
    }
    *ret = f;
    return NULL;
}

void urd_files_deinit(struct urd_files *f)
{
    for (int i = 0; i < f->n; i++) {
        free(f->files[i].path);
        free(f->files[i].bytes);
    }
    free(f->files);
    *f = (struct urd_files){0};
}

const struct urd_file *urd_files_find(const struct urd_files *f, const char *path)
{
    if (strcmp(path, "/") == 0)
        path = "/index.html";
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->files[i].path, path) == 0)
            return &f->files[i];
    return NULL;
}
