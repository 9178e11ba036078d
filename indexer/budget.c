#include "indexer/budget.h"
#include "base/buf.h"
#include "base/log.h"
#include <ctype.h>
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

enum { LOOK_EVERY_NS = 50000000 };

void urd_budget_init(struct urd_budget *b, uint64_t limit_bytes)
{
    *b = (struct urd_budget){.limit_bytes = limit_bytes};
    pthread_mutex_init(&b->lock, NULL);
}

void urd_budget_deinit(struct urd_budget *b)
{
    pthread_mutex_destroy(&b->lock);
}

static uint64_t proportional_bytes(const char *pid)
{
    char path[64], line[128];
    unsigned long long kb = 0;
    snprintf(path, sizeof path, "/proc/%.20s/smaps_rollup", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Pss: %llu", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb << 10; /* 0: it ended meanwhile */
}

static bool is_child(const char *pid)
{
    char path[64], text[512];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    const char *behind_name = strrchr(text, ')');
    return behind_name && sscanf(behind_name + 1, " %*c %d", &parent) == 1 && parent == getpid();
}

/** Replays are children of this process, checkpoints too (CLONE_PARENT). */
static uint64_t all_bytes(void)
{
    uint64_t sum = proportional_bytes("self");
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && (e = readdir(d));)
        if (isdigit((unsigned char)e->d_name[0]) && is_child(e->d_name))
            sum += proportional_bytes(e->d_name);
    if (d)
        closedir(d);
    return sum;
}

/** With b->lock. */
static void look(struct urd_budget *b, unsigned n_running)
{
    uint64_t now = urd_now_ns();
    if (now - b->looked_ns <= LOOK_EVERY_NS)
        return;
    b->used_bytes = all_bytes();
    if (b->used_bytes > b->limit_bytes) { /* buffers that were kept for the next segment */
        malloc_trim(0);
        b->used_bytes = all_bytes();
    }
    if (b->used_bytes > b->most_bytes)
        b->most_bytes = b->used_bytes;
    if (n_running < URD_BUDGET_RUNNING && b->used_bytes > b->most_with[n_running])
        b->most_with[n_running] = b->used_bytes;
    b->looked_ns = now;
}

void urd_budget_look(struct urd_budget *b, unsigned n_running)
{
    pthread_mutex_lock(&b->lock);
    look(b, n_running);
    pthread_mutex_unlock(&b->lock);
}

bool urd_budget_allows(struct urd_budget *b, unsigned n_running)
{
    pthread_mutex_lock(&b->lock);
    look(b, n_running);
    uint64_t used = b->used_bytes, with_next = 0;
    uint64_t expected = used + (n_running ? used / n_running : 0);
    if (n_running + 1 < URD_BUDGET_RUNNING)
        with_next = b->most_with[n_running + 1];
    if (with_next && with_next < expected)
        expected = with_next > used ? with_next : used;
    pthread_mutex_unlock(&b->lock);
    return !n_running ||
           expected <= b->limit_bytes - b->limit_bytes / 8; /* it grows until the next look */
}
