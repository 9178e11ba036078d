/* Which writes belong to the memory that an address names.
 *
 * An address may name one piece of memory after another: a heap that shrinks and grows again, malloc's large blocks, which
 * mmap and munmap put at the same place time and again, pages that madvise discards. What was written to the one is no
 * history of the next. And mremap moves memory: its history goes on at its old address.
 *
 * So the history of a range within one page is a list of *spans*: (space, address, from event, to event), the newest first. They are
 * found backwards from a moment: the last of the table `remaps` that covers the page ends the search, or, when it is a move,
 * sends it to the old address; where nothing does, the search goes on in the space from which this one was forked.
 *
 * Example: mmap gives 0x7000 at event 10, mremap moves it to 0x9000 at 20, and at 30 something is mapped at 0x7000. At 40 the
 * history of 0x9010 is (0x9010, 20..40), (0x7010, 10..20), that of 0x7010 is (0x7010, 30..40).
 */
#include "query/index.h"
#include "indexer/store.h"

struct urd_index_remap {
    uint64_t start, size, event, old_start, old_size;
    uint8_t kind; /* enum urd_map_op_kind */
};

urd_err *urd_index_load_remaps(struct urd_index *x)
{
    sqlite3_stmt *q;
    uint32_t n = 0, capacity = 0, space = 0;
    x->first_remap = urd_xcalloc(x->n_spaces + 2, sizeof *x->first_remap);
    if (sqlite3_prepare_v2(
            x->db,
            "SELECT space, start, size, event, old_start, old_size, kind FROM remaps "
            "WHERE space BETWEEN 1 AND ? ORDER BY space, event, rowid",
            -1, &q, NULL) != SQLITE_OK)
        return urd_store_failed(x->db, "cannot read the index");
    sqlite3_bind_int64(q, 1, x->n_spaces);
    while (sqlite3_step(q) == SQLITE_ROW) {
        for (uint32_t at = (uint32_t)sqlite3_column_int64(q, 0); space < at;)
            x->first_remap[++space] = n;
        URD_PUSH(x->remaps, n, capacity) =
            (struct urd_index_remap){.start = (uint64_t)sqlite3_column_int64(q, 1),
                                     .size = (uint64_t)sqlite3_column_int64(q, 2),
                                     .event = (uint64_t)sqlite3_column_int64(q, 3),
                                     .old_start = (uint64_t)sqlite3_column_int64(q, 4),
                                     .old_size = (uint64_t)sqlite3_column_int64(q, 5),
                                     .kind = (uint8_t)sqlite3_column_int(q, 6)};
    }
    sqlite3_finalize(q);
    while (space <= x->n_spaces)
        x->first_remap[++space] = n;
    return NULL;
}

bool urd_index_remapped(const struct urd_index *x, uint32_t space, uint64_t from, uint64_t to)
{
    uint32_t low = x->first_remap[space], high = x->first_remap[space + 1], end = high;
    while (low < high) { /* the first one after `from` */
        uint32_t middle = (low + high) / 2;
        if (x->remaps[middle].event <= from)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end && x->remaps[low].event <= to;
}

static bool within(uint64_t address, uint64_t start, uint64_t size)
{
    return address - start < size;
}

/** Does it replace what is at the address, or take it away? */
static bool concerns(const struct urd_index_remap *m, uint64_t address)
{
    return within(address, m->start, m->size) ||
           (m->kind == URD_MAP_MOVE && within(address, m->old_start, m->old_size));
}

/** The last one before the event that concerns the address, or NULL. */
static const struct urd_index_remap *last_before(const struct urd_index *x, uint32_t space,
                                                 uint64_t address, uint64_t event)
{
    uint32_t low = x->first_remap[space], first = low, high = x->first_remap[space + 1];
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (x->remaps[middle].event < event)
            low = middle + 1;
        else
            high = middle;
    }
    while (low > first)
        if (concerns(&x->remaps[--low], address))
            return &x->remaps[low];
    return NULL;
}

static const struct urd_index_remap *first_after(const struct urd_index *x, uint32_t space,
                                                 uint64_t address, uint64_t event)
{
    for (uint32_t i = x->first_remap[space]; i < x->first_remap[space + 1]; i++)
        if (x->remaps[i].event > event && concerns(&x->remaps[i], address))
            return &x->remaps[i];
    return NULL;
}

static void add_span(struct urd_index_life *life, struct urd_index_span span)
{
    URD_PUSH(life->spans, life->n, life->capacity) = span;
}

static void find_life(const struct urd_index *x, uint32_t space, uint64_t address, int64_t at,
                      struct urd_index_life *life)
{
    uint64_t event = urd_index_moment(x, at > x->end ? x->end : at).event;
    const struct urd_index_remap *end = first_after(x, space, address, event);
    uint64_t to = end ? end->event : UINT64_MAX, shift = 0;
    event++; /* what happened in it did happen */
    life->origin = (struct urd_index_origin){.space = space, .address = address};
    while (space) {
        const struct urd_index_remap *m = last_before(x, space, address, event);
        if (!m) {
            add_span(life, (struct urd_index_span){space, shift, 0, to});
            to = x->spaces[space].event;
            event = to < event ? to : event;
            life->origin.space = space;
            uint32_t parent = x->spaces[space].parent;
            space =
                parent < space ? parent : 0; /* spaces are numbered in the order of their making */
            continue;
        }
        uint64_t offset = address - m->start;
        bool moved =
            m->kind == URD_MAP_MOVE && within(address, m->start, m->size) && offset < m->old_size;
        if (moved &&
            m->start == m->old_start) { /* it grew where it was, as often as realloc likes */
            event = m->event;
            continue;
        }
        add_span(life, (struct urd_index_span){space, shift, m->event, to});
        if (!moved) {
            life->origin = (struct urd_index_origin){space, address, m->event};
            return;
        }
        to = event = m->event;
        shift += m->start - m->old_start;
        address = m->old_start + offset;
        life->origin = (struct urd_index_origin){.space = space, .address = address};
    }
}

const struct urd_index_life *urd_index_life(struct urd_index *x, uint32_t space, uint64_t address,
                                            int64_t at)
{
    struct urd_index_life *life = &x->life; /* most questions are about one place, piece by piece */
    uint64_t page = address & ~4095ull;
    if (life->n && life->space == space && life->page == page && life->at == at)
        return life;
    *life = (struct urd_index_life){
        .space = space, .page = page, .at = at, .spans = life->spans, .capacity = life->capacity};
    find_life(x, space, page, at, life);
    return life;
}
