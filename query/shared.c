/* Writes to memory that several mappings show, whoever made them.
 *
 * The index keeps writes by (space, page): a store is found under the address that its own process used. The table of mappings says
 * which object each mapping of shared memory shows, from which offset, from which event to which. So the history of a
 * place is put together from *sources*: for each mapping that ever showed the place, the writes that its process made there while
 * it did. They are merged by clock, one window of time after the other, as most questions end with the first answer.
 *
 * Example: parent and child map a page of object 3, at 0x7000 and 0x9000. `blame *(int *)0x7010` has the sources
 * (parent, 0x7010) and (child, 0x9010); a store of the child's comes out as one to 0x7010.
 */
#include "query/index.h"

enum {
    WINDOW_FIRST = 1 << 20, /* instructions; twice as many in the next one ... */
    WINDOW_FULL = 10000,    /* ... unless there were that many writes */
    SAME_CLOCK = 64,        /* kernel writes of one clock that are compared with one another */
};

urd_err *urd_index_load_shown(struct urd_index *x)
{
    sqlite3_stmt *q;
    uint32_t capacity = 0;
    if (sqlite3_prepare_v2(
            x->db,
            "SELECT space, object, file, start, size, file_offset, from_event, to_event "
            "FROM mappings WHERE object > 0 ORDER BY from_event",
            -1, &q, NULL) != SQLITE_OK)
        URD_FAIL("cannot read the index: %s", sqlite3_errmsg(x->db));
    while (sqlite3_step(q) == SQLITE_ROW)
        URD_PUSH(x->shown, x->n_shown, capacity) =
            (struct urd_index_shown){.space = (uint32_t)sqlite3_column_int64(q, 0),
                                     .object = (uint32_t)sqlite3_column_int64(q, 1),
                                     .file = (uint32_t)sqlite3_column_int64(q, 2),
                                     .address = (uint64_t)sqlite3_column_int64(q, 3),
                                     .size = (uint64_t)sqlite3_column_int64(q, 4),
                                     .offset = (uint64_t)sqlite3_column_int64(q, 5),
                                     .from = (uint64_t)sqlite3_column_int64(q, 6),
                                     .to = (uint64_t)sqlite3_column_int64(q, 7)};
    sqlite3_finalize(q);
    return NULL;
}

static bool shows(const struct urd_index_shown *s, uint32_t space, uint64_t address, uint64_t size,
                  uint64_t event)
{
    return s->space == space && s->from <= event && event < s->to &&
           address < s->address + s->size && s->address < address + size;
}

bool urd_index_shows(const struct urd_index *x, uint32_t space, uint64_t address, uint64_t size,
                     uint64_t event)
{
    for (uint32_t i = 0; i < x->n_shown; i++)
        if (shows(&x->shown[i], space, address, size, event))
            return true;
    return false;
}

const struct urd_index_shown *urd_index_shown_at(const struct urd_index *x, uint32_t space,
                                                 uint64_t address, uint64_t event)
{
    for (uint32_t i = 0; i < x->n_shown; i++)
        if (shows(&x->shown[i], space, address, 1, event))
            return &x->shown[i];
    return NULL;
}

/** Writes of one space to one range while it shows what is asked about. */
struct source {
    uint32_t space;
    uint64_t address, size;
    uint64_t shift;    /* plus an address of the space: the asking space's */
    uint64_t from, to; /* events */
    bool is_private;   /* what is asked about is the space's own memory there, from of old */
};

struct merging {
    struct urd_index *x;
    struct source *sources;
    uint32_t n_sources, cap_sources;
    int64_t at;                  /* the clock of the question */
    const struct source *source; /* that is being read */
    struct urd_index_write *writes;
    uint32_t n, capacity;
};

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/** All mappings of [from, to) of the object; the asking space shows `from` at `address`. */
static void add_object(struct merging *m, uint32_t object, uint64_t from, uint64_t to,
                       uint64_t address)
{
    for (uint32_t i = 0; i < m->x->n_shown; i++) {
        const struct urd_index_shown *s = &m->x->shown[i];
        if (s->object != object || s->offset >= to || s->offset + s->size <= from)
            continue;
        uint64_t first = max_u64(from, s->offset), last = min_u64(to, s->offset + s->size);
        uint64_t at = s->address + (first - s->offset);
        URD_PUSH(m->sources, m->n_sources, m->cap_sources) =
            (struct source){.space = s->space,
                            .address = at,
                            .size = last - first,
                            .shift = address + (first - from) - at,
                            .from = s->from,
                            .to = s->to};
    }
}

static void find_sources(struct merging *m, uint32_t space, uint64_t address, uint64_t size,
                         uint64_t event)
{
    for (uint64_t at = address, end = address + size, next; at < end; at = next) {
        const struct urd_index_shown *s = urd_index_shown_at(m->x, space, at, event);
        next = end;
        if (s) {
            next = min_u64(end, s->address + s->size);
            uint64_t offset = s->offset + (at - s->address);
            add_object(m, s->object, offset, offset + (next - at), at);
            continue;
        }
        for (uint32_t i = 0; i < m->x->n_shown; i++)
            if (m->x->shown[i].address > at && shows(&m->x->shown[i], space, at, next - at, event))
                next = m->x->shown[i].address;
        URD_PUSH(m->sources, m->n_sources, m->cap_sources) = (struct source){
            .space = space, .address = at, .size = next - at, .to = UINT64_MAX, .is_private = true};
    }
}

static int64_t event_clock(const struct urd_index *x, uint64_t event)
{
    return event > x->n_events ? x->end + 1 : x->events[event].clock;
}

static bool collect(void *data, const struct urd_index_write *w)
{
    struct merging *m = data;
    const struct source *s = m->source;
    bool in = s->is_private || (w->event ? w->event >= s->from && w->event < s->to
                                         : w->clock >= event_clock(m->x, s->from));
    if (!in)
        return true;
    uint64_t first = max_u64(w->address, s->address),
             last = min_u64(w->address + w->size, s->address + s->size);
    struct urd_index_write copy =
        *w; /* of what lies in the source, as its neighbours may be elsewhere */
    uint8_t *bytes = urd_xrealloc(NULL, last - first);
    memcpy(bytes, w->value + (first - w->address), last - first);
    copy.value = bytes;
    copy.address = first + s->shift;
    copy.size = last - first;
    URD_PUSH(m->writes, m->n, m->capacity) = copy;
    return true;
}

static int by_time(const void *a, const void *b)
{
    const struct urd_index_write *x = a, *y = b;
    if (x->clock != y->clock)
        return x->clock < y->clock ? -1 : 1;
    if (x->event != y->event) /* the kernel's come after a store */
        return x->event < y->event ? -1 : 1;
    return x->address < y->address ? -1 : x->address > y->address;
}

/** A call that changed the object is written down once for each mapping that shows it: in its event, and in those of others. */
static bool is_told_already(const struct merging *m, uint32_t i)
{
    const struct urd_index_write *w = &m->writes[i];
    if (!w->event || w->event > m->x->n_events)
        return false;
    bool of_another = m->x->events[w->event].kind == URD_EVENT_MEMORY;
    for (uint32_t k = i; k > 0 && i - k < SAME_CLOCK; k--) {
        const struct urd_index_write *other = &m->writes[k - 1];
        if (other->clock != w->clock)
            return false;
        if ((other->event == w->event || (of_another && other->event)) &&
            other->address == w->address && other->size == w->size &&
            memcmp(other->value, w->value, w->size) == 0)
            return true;
    }
    return false;
}

static void forget_writes(struct merging *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        free((void *)m->writes[i].value);
    m->n = 0;
}

/** All writes with from <= clock < to, in order. */
static urd_err *read_window(struct merging *m, int64_t from, int64_t to)
{
    for (uint32_t i = 0; i < m->n_sources; i++) {
        const struct source *s = m->source = &m->sources[i];
        if (s->is_private) {
            URD_TRY(urd_index_writes_private(m->x, s->space, s->address, s->size, m->at, from, to,
                                             false, collect, m));
            continue;
        }
        int64_t first = event_clock(m->x, s->from) - 1, last = event_clock(m->x, s->to);
        first = first > from ? first : from;
        last = last < to ? last : to;
        if (first < last)
            URD_TRY(urd_index_writes_own(m->x, s->space, s->address, s->size, first, last, false,
                                         collect, m));
    }
    qsort(m->writes, m->n, sizeof *m->writes, by_time);
    return NULL;
}

static urd_err *merge(struct merging *m, int64_t from, int64_t to, bool descending,
                      urd_index_write_fn fn, void *data)
{
    bool more = true;
    from = from < -1 ? -1 : from; /* nothing is earlier */
    to = to > m->x->end + 1 ? m->x->end + 1 : to;
    for (int64_t window = WINDOW_FIRST; from < to && more;) {
        int64_t n = window < to - from ? window : to - from;
        int64_t first = descending ? to - n : from;
        URD_TRY(read_window(m, first, first + n));
        for (uint32_t i = 0; i < m->n && more; i++) {
            uint32_t k = descending ? m->n - 1 - i : i;
            if (!is_told_already(m, k))
                more = fn(data, &m->writes[k]);
        }
        window = m->n > WINDOW_FULL ? WINDOW_FIRST : window * 2;
        forget_writes(m);
        if (descending)
            to -= n;
        else
            from += n;
    }
    return NULL;
}

urd_err *urd_index_writes_shared(struct urd_index *x, uint32_t space, uint64_t address,
                                 uint64_t size, int64_t from, int64_t to, uint64_t event,
                                 bool descending, urd_index_write_fn fn, void *data)
{
    struct merging m = {.x = x, .at = event_clock(x, event)};
    find_sources(&m, space, address, size, event);
    urd_err *err = merge(&m, from, to, descending, fn, data);
    forget_writes(&m);
    free(m.writes);
    free(m.sources);
    return err;
}
