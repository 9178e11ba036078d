#include "query/before.h"
#include "base/map.h"

struct shadow_page {
    uint8_t bytes[4096];
    bool known[4096];
};

struct pending { /* a write at the clock that the walk is at: it is none before that */
    uint64_t address, size;
    uint8_t *value;
};

struct before {
    struct urd_index *x;
    struct urd_trace *trace;
    uint32_t space;
    struct urd_map pages; /* page number -> struct shadow_page * */
    int64_t clock;        /* of the last write */
    bool begun;
    struct pending *pending;
    uint32_t n_pending, cap_pending;
};

struct before *before_create(struct urd_index *x, struct urd_trace *trace, uint32_t space)
{
    struct before *b = urd_xcalloc(1, sizeof *b);
    *b = (struct before){.x = x, .trace = trace, .space = space};
    return b;
}

static void forget_pages(struct before *b)
{
    for (size_t i = 0; i < b->pages.capacity; i++)
        if (b->pages.slots[i].used == 1)
            free((void *)(uintptr_t)b->pages.slots[i].value);
    urd_map_deinit(&b->pages);
    b->pages = (struct urd_map){0};
}

void before_destroy(struct before *b)
{
    if (!b)
        return;
    forget_pages(b);
    for (uint32_t i = 0; i < b->n_pending; i++)
        free(b->pending[i].value);
    free(b->pending);
    free(b);
}

static struct shadow_page *page_of(struct before *b, uint64_t address)
{
    uint64_t *at = urd_map_put(&b->pages, address >> 12);
    if (!*at)
        *at = (uint64_t)(uintptr_t)urd_xcalloc(1, sizeof(struct shadow_page));
    return (struct shadow_page *)(uintptr_t)*at;
}

static void put_bytes(struct before *b, uint64_t address, const uint8_t *bytes, uint64_t size)
{
    for (uint64_t done = 0, n; done < size; done += n) {
        uint64_t at = (address + done) & 4095;
        struct shadow_page *p = page_of(b, address + done);
        n = size - done < 4096 - at ? size - done : 4096 - at;
        memcpy(p->bytes + at, bytes + done, n);
        memset(p->known + at, true, n);
    }
}

static bool get_bytes(struct before *b, uint64_t address, uint8_t *ret, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        const struct shadow_page *p = page_of(b, address + i);
        if (!p->known[(address + i) & 4095])
            return false;
        ret[i] = p->bytes[(address + i) & 4095];
    }
    return true;
}

static bool gap_between(const struct urd_index *x, int64_t from, int64_t to)
{
    for (uint32_t i = 0; i < x->n_gaps; i++)
        if (x->gaps[i].first < to && x->gaps[i].end > from)
            return true;
    return false;
}

/** May what was written at b->clock not be there at `clock`? */
static bool memory_changed(const struct before *b, int64_t clock)
{
    uint64_t from = urd_index_moment(b->x, b->clock).event,
             to = urd_index_moment(b->x, clock).event;
    return urd_index_remapped(b->x, b->space, from, to) || gap_between(b->x, b->clock, clock);
}

static urd_err *look_up(struct before *b, const struct urd_index_write *w, uint8_t *ret,
                        bool *ret_known)
{
    URD_AUTO_FREE bool *known = urd_xcalloc(w->size, sizeof *known);
    URD_TRY(urd_index_memory(b->x, b->trace, w->space, w->address, w->size, w->clock, ret, known));
    for (uint64_t i = 0; i < w->size; i++)
        *ret_known &= known[i];
    if (*ret_known)
        return NULL;
    bool lacks;
    URD_TRY(urd_index_lacks(b->x,
                            &(struct urd_index_need){.from = INT64_MIN,
                                                     .to = w->clock,
                                                     .kind = URD_NEEDS_WRITES,
                                                     .space = w->space,
                                                     .address = w->address,
                                                     .size = w->size,
                                                     .at = w->clock},
                            &lacks, NULL));
    *ret_known = !lacks;
    return NULL;
}

urd_err *before_write(struct before *b, const struct urd_index_write *w, uint8_t *ret,
                      bool *ret_known)
{
    if (!b->begun || w->clock != b->clock) {
        for (uint32_t i = 0; i < b->n_pending; i++) {
            put_bytes(b, b->pending[i].address, b->pending[i].value, b->pending[i].size);
            free(b->pending[i].value);
        }
        b->n_pending = 0;
        if (b->begun && memory_changed(b, w->clock))
            forget_pages(b);
    }
    b->begun = true;
    b->clock = w->clock;
    *ret_known = true;
    uint64_t event = urd_index_moment(b->x, w->clock).event;
    bool walked =
        w->size <= BEFORE_LARGEST && !urd_index_shows(b->x, w->space, w->address, w->size, event);
    if (ret && !(walked && get_bytes(b, w->address, ret, w->size)))
        URD_TRY(look_up(b, w, ret, ret_known));
    uint8_t *value = urd_xrealloc(NULL, w->size);
    memcpy(value, w->value, w->size);
    URD_PUSH(b->pending, b->n_pending, b->cap_pending) =
        (struct pending){w->address, w->size, value};
    return NULL;
}
