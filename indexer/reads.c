/* Reads become rows as writes are, without bytes. The pass follows no paths and has no hot loop of its own: it is asked for seldom. */
#include "indexer/reads.h"
#include "indexer/writes.h"

struct urd_reads {
    struct urd_store_segment *out;
    struct urd_writes *columns;
    uint64_t clock; /* steps so far */
};

static const uint8_t zeros[4096];

struct urd_reads *urd_reads_create(struct urd_store_segment *out)
{
    struct urd_reads *r = urd_xcalloc(1, sizeof *r);
    *r = (struct urd_reads){.out = out, .columns = urd_writes_create(urd_store_keep_page_row, out)};
    return r;
}

void urd_reads_destroy(struct urd_reads *r)
{
    urd_writes_destroy(r->columns);
    free(r);
}

uint64_t urd_reads_steps(const struct urd_reads *r)
{
    return r->clock;
}

/** A read that lies in several pages is one in each. */
static void add(struct urd_reads *r, uint32_t space, uint64_t clock, uint64_t address,
                uint64_t size)
{
    uint64_t left = 4096 - (address & 4095);
    if (size <= left && size <= 8 && !(size & (size - 1)) && size) {
        urd_writes_add_small(r->columns, space, clock, address, (unsigned)__builtin_ctzll(size),
                             zeros);
        return;
    }
    for (uint64_t n; size; address += n, size -= n, left = 4096) {
        n = size < left ? size : left;
        urd_writes_add(r->columns, space, clock, address, n, zeros, 0);
    }
}

/** Slots of the first n_insns instructions. Returns behind the record. */
static const uint8_t *take_slots(struct urd_reads *r, uint32_t space, const struct urd_block *b,
                                 const uint8_t *at, unsigned n_insns)
{
    for (unsigned i = 0; i < b->n_slots && b->slots[i].insn < n_insns; i++) {
        const struct urd_slot *s = &b->slots[i];
        uint64_t clock = r->clock + s->insn, from, to;
        memcpy(&from, at, 8);
        at += 8;
        if (s->kind == URD_SLOT_READ) {
            add(r, space, clock, from, s->size);
            continue;
        }
        memcpy(&to, at, 8);
        at += 8;
        if (from < to)
            add(r, space, clock, from, to - from);
        else if (to < from)
            add(r, space, clock, to + s->size, from - to);
    }
    r->clock += n_insns;
    return at;
}

static void on_records(void *data, struct urd_task *t, const struct urd_code *code,
                       const uint8_t *log, size_t bytes)
{
    for (const uint8_t *at = log; at < log + bytes;) {
        uint64_t id;
        memcpy(&id, at, 8);
        const struct urd_block *b = urd_translate_block_by_id(code->translator, (uint32_t)id);
        at = take_slots(data, t->space, b, at + 8, b->n_insns);
    }
}

static void on_partial(void *data, struct urd_task *t, const struct urd_code *code,
                       const struct urd_block *b, const uint8_t *record, unsigned n_insns)
{
    take_slots(data, t->space, b, record + 8, n_insns);
}

static void on_single(void *data, struct urd_task *t, const struct urd_code *code,
                      const struct urd_block *b)
{
    ((struct urd_reads *)data)->clock++;
}

/** After on_single. */
static void on_stepped_read(void *data, struct urd_task *t, uint64_t address, uint64_t size)
{
    struct urd_reads *r = data;
    add(r, t->space, r->clock - 1, address, size);
}

struct urd_sink urd_reads_sink(struct urd_reads *r)
{
    return (struct urd_sink){.data = r,
                             .records = on_records,
                             .partial = on_partial,
                             .single = on_single,
                             .stepped_read = on_stepped_read};
}

urd_err *urd_reads_finish(struct urd_reads *r)
{
    URD_TRY(urd_writes_flush(r->columns));
    r->out->steps = r->clock;
    r->out->n_writes = urd_writes_count(r->columns);
    return NULL;
}
