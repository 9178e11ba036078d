/*
 * The code cache: blocks by address, branches between them, invalidation, flushing.
 *
 * All code lies in one memory file that other processes execute while it grows. So nothing that can
 * be reached is ever half written: a block's incoming branches are set when it is complete, a
 * branch's rel32 lies within 8 aligned bytes, and an invalidated block stays where it is with a jump
 * at its entry. That jump is an ordinary unlinked branch: it leaves for the tool as a miss until a new
 * block for the address exists, and goes there from then on.
 *
 * INV-T1  Every live block is in by_pc, and in pages under each page it has a byte of.
 * INV-T2  order has the blocks since the last flush by ascending cache offset.
 * INV-T3  A branch to an address, with a block or without, is in edges_to under that address.
 */
#include "translate/internal.h"
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static void add_common_code(struct urd_translator *t)
{
    struct gen g = {.t = t, .hot = {t->map + HOT_START}, .cold = {t->map + COLD_START}};
    t->trap = urd_gen_offset(&g, g.cold.at);
    emit_u8(&g.cold, 0xcc);
    t->miss_tail = urd_gen_offset(&g, g.cold.at);
    emit_ctx_imm(&g.cold, offsetof(struct urd_context, exit_link), 0);
    emit_ctx_imm(&g.cold, offsetof(struct urd_context, exit_reason), URD_EXIT_MISS);
    emit_u8(&g.cold, 0xcc);
    t->probe = urd_gen_offset(&g, g.cold.at);
    urd_gen_probe(&g);
    t->hot = HOT_START;
    t->cold = urd_gen_offset(&g, g.cold.at);
    urd_table_reset(t);
}

void urd_translate_set_calls(struct urd_translator *t, const void *code, size_t size)
{
    urd_check(size <= URD_CALLS_BYTES, "%zu bytes of code for calls", size);
    memcpy(t->map + COLD_END, code, size);
}

void urd_translate_set_stop_code(struct urd_translator *t, const void *code, size_t size)
{
    urd_check(size <= URD_STOPS_BYTES, "%zu bytes of code for stops", size);
    memcpy(t->map + STOPS_AT, code, size);
}

urd_err *urd_translate_create(unsigned probes, struct urd_translator **ret)
{
    struct urd_translator *t = urd_xcalloc(1, sizeof *t);
    t->probes = probes;
    t->standard.log = probes & URD_PROBE_LOG ? R11 : -1;
    t->standard.count = !(probes & URD_PROBE_COUNT) ? -1 : probes & URD_PROBE_LOG ? R15 : R11;
    t->standard.temp = R10;
    t->hash_mask = urd_translate_features()->fast_pext ? (1u << DIRECT_BITS) - 1 : 0xffff;
    t->fd = memfd_create("urd-code-cache", MFD_CLOEXEC);
    t->map = MAP_FAILED;
    if (t->fd >= 0 && ftruncate(t->fd, URD_CACHE_BYTES) == 0)
        t->map = mmap(NULL, URD_CACHE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
    if (t->map == MAP_FAILED) {
        int e = errno;
        if (t->fd >= 0)
            close(t->fd);
        free(t);
        errno = e;
        URD_FAIL_ERRNO("making a code cache of %u MB", URD_CACHE_BYTES >> 20);
    }
    t->map[COLD_END] = t->map[STOPS_AT] = 0xcc;
    add_common_code(t);
    *ret = t;
    return NULL;
}

void urd_translate_destroy(struct urd_translator *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->n_blocks; i++) {
        free((void *)t->blocks[i]->pub.pieces);
        if (!t->blocks[i]->side) {
            free((void *)t->blocks[i]->pub.insn_lengths);
            free((void *)t->blocks[i]->pub.slots);
        }
        free(t->blocks[i]->insn_offsets);
        free(t->blocks[i]->done_offsets);
        free(t->blocks[i]->events);
        free(t->blocks[i]);
    }
    for (uint32_t i = 0; i < t->n_pages; i++)
        free(t->pages[i].ids);
    free(t->blocks);
    free(t->order);
    free(t->edges);
    free(t->pages);
    urd_map_deinit(&t->by_pc);
    urd_map_deinit(&t->edges_to);
    urd_map_deinit(&t->code_hashes);
    urd_map_deinit(&t->page_of);
    for (uint32_t i = 0; i < t->n_paths; i++)
        free(t->paths[i].pieces);
    free(t->paths);
    urd_map_deinit(&t->path_of);
    urd_map_deinit(&t->stops);
    urd_map_deinit(&t->constants);
    urd_map_deinit(&t->singles);
    munmap(t->map, URD_CACHE_BYTES);
    close(t->fd);
    free(t);
}

int urd_translate_fd(const struct urd_translator *t)
{
    return t->fd;
}

/* ---- branches ---- */


/* Cold code: give up what is carried, then a jump; where to is the caller's business. */
static uint32_t emit_leave(struct urd_translator *t, struct emit *cold, struct carried carries,
                           uint32_t *ret_at)
{
    struct gen g = {.t = t};
    *ret_at = urd_gen_offset(&g, cold->at);
    urd_gen_leave(cold, carries);
    return urd_gen_branch(&g, cold, -1);
}

static void link_edge(struct urd_translator *t, struct emit *cold, struct edge *e,
                      const struct block *b)
{
    if (carried_any(e->carries) && !carried_same(e->carries, b->accepts)) {
        if (!e->leave && cold->at > t->map + COLD_END - HEADROOM_BYTES / 2)
            return; /* a former block leads there as well */
        e->leave = e->leave ? e->leave : emit_leave(t, cold, e->carries, &e->leave_at);
        urd_gen_branch_to(t, e->leave, b->entry);
        urd_gen_branch_to(t, e->branch, e->leave_at);
    } else {
        urd_gen_branch_to(t, e->branch, carried_any(e->carries) ? b->hot : b->entry);
    }
}

static struct edge *add_edge(struct urd_translator *t, uint64_t pc, struct edge e)
{
    uint64_t *head = urd_map_put(&t->edges_to, pc);
    e.next = (uint32_t)*head;
    URD_PUSH(t->edges, t->n_edges, t->edges_capacity) = e;
    *head = t->n_edges;
    return &t->edges[t->n_edges - 1];
}

void urd_cache_edge(struct urd_translator *t, struct emit *cold, uint64_t pc, uint32_t branch,
                    struct carried carries)
{
    struct gen g = {.t = t};
    struct edge *e = add_edge(t, pc, (struct edge){.branch = branch, .carries = carries});
    uint64_t *id = urd_map_get(&t->by_pc, pc);
    if (id) {
        link_edge(t, cold, e, t->blocks[*id - 1]);
        return;
    }
    urd_gen_branch_to(t, branch, urd_gen_offset(&g, cold->at));
    if (carried_any(carries)) {
        e->leave = emit_leave(t, cold, carries, &e->leave_at);
        urd_gen_branch_to(t, e->leave, urd_gen_offset(&g, cold->at));
    }
    emit_ctx_imm(cold, offsetof(struct urd_context, exit_pc), pc);
    urd_gen_jump(&g, cold, t->miss_tail);
}

void urd_cache_forget_edge(struct urd_translator *t, uint64_t pc, uint32_t branch)
{
    uint64_t *head = urd_map_get(&t->edges_to, pc);
    for (uint64_t i = head ? *head : 0; i; i = t->edges[i - 1].next)
        if (t->edges[i - 1].branch == branch)
            t->edges[i - 1].branch = 0;
}

/* A new block is complete: let all that lead there find it, those that led to a former one as well. */
static void publish(struct urd_translator *t, struct block *b)
{
    uint64_t *head = urd_map_get(&t->edges_to, b->pub.pc);
    struct emit cold = {t->map + t->cold};
    for (uint64_t i = head ? *head : 0; i; i = t->edges[i - 1].next)
        if (t->edges[i - 1].branch)
            link_edge(t, &cold, &t->edges[i - 1], b);
    t->cold = (uint32_t)(cold.at - t->map);
}

void urd_translate_link(struct urd_translator *t, uint64_t exit_link, uint64_t cache)
{
    /* Blocks are linked when they are published; exit_link is always 0. */
    (void)t, (void)exit_link, (void)cache;
}

/* ---- blocks ---- */

static struct page *page_at(const struct urd_translator *t, uint64_t number)
{
    uint64_t *index = urd_map_get(&t->page_of, number);
    return index ? &t->pages[*index - 1] : NULL;
}

static void add_to_pages(struct urd_translator *t, const struct block *b, const struct urd_block_piece *p)
{
    uint64_t last = p->pc + (p->bytes ? p->bytes - 1 : 0);
    for (uint64_t number = p->pc >> 12; number <= last >> 12; number++) {
        uint64_t *index = urd_map_put(&t->page_of, number);
        if (!*index) {
            URD_PUSH(t->pages, t->n_pages, t->pages_capacity) = (struct page){.number = number};
            *index = t->n_pages;
        }
        struct page *page = &t->pages[*index - 1];
        const uint64_t *read = urd_map_get(&t->code_hashes, number), hash = read ? *read : 0;
        page->hash = !page->n_ids || page->hash == hash ? hash : 0;
        if (!page->n_ids || page->ids[page->n_ids - 1] != b->pub.id)
            URD_PUSH(page->ids, page->n_ids, page->capacity) = b->pub.id;
    }
    t->stats.subject_bytes += p->bytes;
}

static void add_block(struct urd_translator *t, struct block *b)
{
    b->live = true;
    URD_PUSH(t->order, t->n_order, t->order_capacity) = b->pub.id;
    *urd_map_put(&t->by_pc, b->pub.pc) = b->pub.id + 1;
    for (unsigned i = 0; i < b->pub.n_pieces; i++)
        add_to_pages(t, b, &b->pub.pieces[i]);
    t->stats.blocks++;
}

static bool touches(const struct block *b, uint64_t start, uint64_t size)
{
    for (unsigned i = 0; b->live && i < b->pub.n_pieces; i++) {
        const struct urd_block_piece *p = &b->pub.pieces[i];
        if (p->pc < start + size && start < p->pc + (p->bytes ? p->bytes : 1))
            return true;
    }
    return false;
}

/* A jump over the instruction at `at`, with its rel32 written in one go, that waits for pc. */
static void replace_by_jump(struct urd_translator *t, uint32_t at, uint64_t pc,
                            struct carried carries)
{
    uint8_t jump[5] = {0xe9};
    uint64_t *word = (uint64_t *)(void *)(t->map + (at & ~7u)), value = *word;
    struct emit cold = {t->map + t->cold};
    /* The edge is made on a copy of the jump, where nothing runs yet. */
    emit_align_patch(&cold, 1, 4);
    uint32_t copy = (uint32_t)(cold.at - t->map);
    emit_bytes(&cold, jump, 5);
    urd_cache_edge(t, &cold, pc, copy + 1, carries);
    t->cold = (uint32_t)(cold.at - t->map);
    uint32_t rel = copy - (at + 5);
    memcpy(jump + 1, &rel, 4);
    memcpy((uint8_t *)&value + (at & 7), jump, 5);
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static void kill_block(struct urd_translator *t, struct block *b)
{
    b->live = false;
    urd_map_remove(&t->by_pc, b->pub.pc);
    urd_table_remove(t, b);
    if (b->entry != b->hot)
        replace_by_jump(t, b->entry, b->pub.pc, CARRIED_NONE);
    if (b->hot != b->hot_end)
        replace_by_jump(t, b->hot, b->pub.pc, b->carries);
}

static void flush(struct urd_translator *t)
{
    for (uint32_t i = 0; i < t->n_order; i++)
        t->blocks[t->order[i]]->live = false;
    t->n_order = 0;
    t->n_edges = 0;
    urd_map_clear(&t->by_pc);
    urd_map_clear(&t->edges_to);
    urd_map_clear(&t->constants);
    for (uint32_t i = 0; i < t->n_pages; i++)
        t->pages[i].n_ids = 0;
    t->stats.flushes++;
    add_common_code(t);
}

/* Calls f for each page of the range that ever had a block, until it says no. A range may be far larger than what was
 * translated: 64 TB of reserved address space. */
static bool for_pages(struct urd_translator *t, uint64_t start, uint64_t size,
                      bool (*f)(struct urd_translator *t, struct page *page, uint64_t start,
                                uint64_t size))
{
    if (!size)
        return true;
    uint64_t first = start >> 12, last = (start + size - 1) >> 12;
    if (last - first > t->n_pages) {
        for (uint32_t i = 0; i < t->n_pages; i++)
            if (t->pages[i].number >= first && t->pages[i].number <= last &&
                !f(t, &t->pages[i], start, size))
                return false;
        return true;
    }
    for (uint64_t number = first; number <= last; number++) {
        struct page *page = page_at(t, number);
        if (page && !f(t, page, start, size))
            return false;
    }
    return true;
}

static bool invalidate_page(struct urd_translator *t, struct page *page, uint64_t start,
                            uint64_t size)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < page->n_ids; i++) {
        struct block *b = t->blocks[page->ids[i]];
        if (touches(b, start, size)) {
            if (t->cold + HEADROOM_BYTES / 2 > COLD_END) { /* its jumps need room */
                flush(t);
                return false;
            }
            kill_block(t, b);
        }
        if (b->live)
            page->ids[kept++] = page->ids[i];
    }
    page->n_ids = kept;
    return true;
}

void urd_translate_invalidate(struct urd_translator *t, uint64_t start, uint64_t size)
{
    for_pages(t, start, size, invalidate_page);
}

void urd_translate_adopt(struct urd_translator *t, const struct urd_code_reader *reader,
                         bool (*usable)(void *data, uint64_t page), void *data)
{
    for (uint32_t i = 0; i < t->n_pages; i++) {
        uint8_t bytes[4096];
        size_t got = 0;
        uint64_t start = t->pages[i].number << 12;
        if (!t->pages[i].n_ids)
            continue;
        if (t->pages[i].hash && usable(data, start))
            reader->read(reader->data, start, bytes, sizeof bytes, &got);
        if (got != sizeof bytes || urd_plan_page_hash(bytes) != t->pages[i].hash)
            urd_translate_invalidate(t, start, 4096);
    }
}

static bool page_is_free(struct urd_translator *t, struct page *page, uint64_t start, uint64_t size)
{
    for (uint32_t i = 0; i < page->n_ids; i++)
        if (touches(t->blocks[page->ids[i]], start, size))
            return false;
    return true;
}

bool urd_translate_has(struct urd_translator *t, uint64_t start, uint64_t size)
{
    return !for_pages(t, start, size, page_is_free);
}

static bool nearly_full(const struct urd_translator *t)
{
    return t->hot + HEADROOM_BYTES > HOT_END || t->cold + HEADROOM_BYTES > COLD_END ||
           t->n_table + EAGER_BLOCKS > BUCKETS_LIMIT;
}

/* What one call makes. */
struct batch {
    struct block *made[EAGER_BLOCKS + 1];
    uint64_t returns[EAGER_BLOCKS + 1]; /* where calls among them return to */
    unsigned n_made, n_returns;
};

/* Translate from pc on, depth first, fall-throughs before jump targets, so that code follows where
 * it falls. */
static void translate_from(struct urd_translator *t, uint64_t pc, bool indirect,
                           const struct urd_code_reader *reader, struct batch *batch)
{
    struct {
        uint64_t pc;
        struct carried hint;
        bool indirect; /* likely to be reached by an indirect branch */
    } todo[(EAGER_BLOCKS + 1) * MAX_NEXT + 1];
    unsigned n_todo = 0;
    todo[n_todo].hint = CARRIED_NONE;
    todo[n_todo].indirect = indirect;
    todo[n_todo++].pc = pc;
    while (n_todo && batch->n_made <= EAGER_BLOCKS && !(batch->n_made && nearly_full(t))) {
        uint64_t at = todo[--n_todo].pc, next[MAX_NEXT];
        struct carried hint = todo[n_todo].hint;
        bool wanted = todo[n_todo].indirect;
        unsigned n_next = 0;
        if (urd_map_get(&t->by_pc, at))
            continue;
        struct block *b = urd_block_build(t, at, reader, hint, wanted, next, &n_next);
        if (!b && at == pc)
            return;
        if (!b)
            continue;
        add_block(t, b);
        batch->made[batch->n_made++] = b;
        bool calls = b->pub.end == URD_END_CALL || b->pub.end == URD_END_CALL_INDIRECT;
        uint64_t behind = urd_block_pc(&b->pub, b->pub.n_insns);
        if (calls)
            batch->returns[batch->n_returns++] = behind;
        for (unsigned i = n_next; i-- > 0;) {
            todo[n_todo].hint = b->carries;
            todo[n_todo].indirect = calls && next[i] == behind;
            todo[n_todo++].pc = next[i];
        }
    }
}

urd_err *urd_translate_block(struct urd_translator *t, uint64_t pc,
                             const struct urd_code_reader *reader, uint64_t *ret_cache)
{
    uint64_t out_of_budget = t->out_of_budget;
    t->out_of_budget = 0;
    if (out_of_budget == pc && pc) {
        *ret_cache = URD_CACHE_BASE + t->trap; /* ctx has the exit already */
        return NULL;
    }
    uint64_t *known = urd_map_get(&t->by_pc, pc);
    if (known) {
        urd_table_put(t, t->blocks[*known - 1], true);
        *ret_cache = t->blocks[*known - 1]->pub.cache;
        return NULL;
    }
    if (nearly_full(t))
        flush(t);
    for (size_t i = 0; i < CODE_PAGES; i++)
        t->code[i].number = 0;
    urd_map_clear(&t->code_hashes);
    t->last_fall.branch = 0;
    /* A direct branch leads here; otherwise an indirect one has asked. */
    bool indirect = !urd_map_get(&t->edges_to, pc);
    struct batch batch = {.n_made = 0};
    translate_from(t, pc, indirect, reader, &batch);
    for (unsigned i = 0; i < batch.n_made; i++)
        publish(t, batch.made[i]);
    if (batch.n_made && indirect)
        urd_table_put(t, batch.made[0], true);
    for (unsigned i = 0; i < batch.n_returns; i++) {
        uint64_t *id = urd_map_get(&t->by_pc, batch.returns[i]);
        if (id)
            urd_table_put(t, t->blocks[*id - 1], false);
    }
    *ret_cache = batch.n_made ? batch.made[0]->pub.cache : 0;
    return NULL;
}

static void forget_at(struct urd_translator *t, uint64_t pc)
{
    if (pc)
        urd_translate_invalidate(t, pc, 1);
}

void urd_translate_follow(struct urd_translator *t, const struct urd_block_piece *pieces, unsigned n)
{
    if (t->probes != URD_PROBE_LOG)
        return;
    uint64_t *index = urd_map_put(&t->path_of, pieces[0].pc);
    uint64_t *id = urd_map_get(&t->by_pc, pieces[0].pc);
    if (!*index) {
        URD_PUSH(t->paths, t->n_paths, t->paths_capacity) = (struct path){.pieces = NULL};
        *index = t->n_paths;
    }
    struct path *path = &t->paths[*index - 1];
    path->pieces = urd_xrealloc(path->pieces, n * sizeof *pieces);
    memcpy(path->pieces, pieces, n * sizeof *pieces);
    path->n = n;
    path->hint = id ? t->blocks[*id - 1]->carries : CARRIED_NONE;
    if (id && t->cold + HEADROOM_BYTES / 2 <= COLD_END)
        kill_block(t, t->blocks[*id - 1]);
}

void urd_translate_set_stops(struct urd_translator *t, const uint64_t *pcs, size_t n)
{
    struct urd_map old = t->stops;
    t->stops = (struct urd_map){0};
    for (size_t i = 0; i < n; i++)
        *urd_map_put(&t->stops, pcs[i]) = 1;
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].used == 1 && !urd_map_get(&t->stops, old.slots[i].key))
            forget_at(t, old.slots[i].key);
    for (size_t i = 0; i < n; i++)
        if (!urd_map_get(&old, pcs[i]))
            forget_at(t, pcs[i]);
    urd_map_deinit(&old);
}

void urd_translate_set_cut(struct urd_translator *t, uint64_t pc, unsigned n_words)
{
    if (pc == t->cut && n_words == t->cut_words)
        return;
    forget_at(t, t->cut);
    t->cut = pc;
    t->cut_words = n_words;
    forget_at(t, pc);
}

/* ---- what the tool asks ---- */

const struct urd_block *urd_translate_block_by_id(const struct urd_translator *t, uint32_t id)
{
    return id < t->n_blocks ? &t->blocks[id]->pub : NULL;
}

uint32_t urd_translate_block_count(const struct urd_translator *t)
{
    return t->n_blocks;
}

struct urd_translate_stats urd_translate_get_stats(const struct urd_translator *t)
{
    struct urd_translate_stats stats = t->stats;
    stats.cache_bytes = t->hot - HOT_START + t->cold - COLD_START;
    return stats;
}

urd_err *urd_translate_single(struct urd_translator *t, uint64_t pc,
                              const struct urd_code_reader *reader, const struct urd_block **ret)
{
    struct insn in;
    uint8_t bytes[15] = {0};
    size_t got = 0;
    reader->read(reader->data, pc, bytes, sizeof bytes, &got);
    uint64_t *known = urd_map_get(&t->singles, pc);
    if (known && !memcmp(t->blocks[*known - 1]->single, bytes, sizeof bytes)) {
        *ret = &t->blocks[*known - 1]->pub;
        return NULL;
    }
    if (!urd_insn_decode(bytes, got, pc, t->probes, &in))
        URD_FAIL("no instruction at %#lx", (unsigned long)pc);
    struct block *b = urd_xcalloc(1, sizeof *b);
    b->pub.pc = pc;
    b->pub.id = t->n_blocks;
    memcpy(b->single, bytes, sizeof bytes);
    urd_block_describe(b, &in, 1, t->probes);
    URD_PUSH(t->blocks, t->n_blocks, t->blocks_capacity) = b;
    *urd_map_put(&t->singles, pc) = b->pub.id + 1;
    *ret = &b->pub;
    return NULL;
}
