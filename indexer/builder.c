/* What one segment's log becomes: everything but the hot loop (consume.c).
 *
 * Blocks are known to the translator by (code space, id) and to the segment by a dense id, which indexes flow.nodes.
 */
#include "indexer/builder_state.h"

static const struct urd_consumer *consumer_for(const char *processor)
{
    if ((processor && !strcmp(processor, "plain")) || !__builtin_cpu_supports("avx2") ||
        !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("lzcnt"))
        return &urd_consumer_plain;
    bool wide = !processor && __builtin_cpu_supports("avx512vbmi2") &&
                __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl");
    return wide ? &urd_consumer_wide : &urd_consumer_v3;
}

struct urd_builder *urd_builder_create(struct urd_trace *trace, const char *processor,
                                       unsigned follow_after, struct urd_store_segment *out)
{
    struct urd_builder *b = urd_xcalloc(1, sizeof *b);
    b->trace = trace;
    b->out = out;
    b->writes = urd_writes_create(urd_store_keep_page_row, out);
    b->modules = urd_xcalloc(urd_trace_file_count(trace) + 1, sizeof *b->modules);
    urd_flow_begin(&b->flow);
    urd_stores_init(&b->stores);
    urd_paths_init(&b->paths, follow_after);
    b->consumer = consumer_for(processor);
    return b;
}

void urd_builder_destroy(struct urd_builder *b)
{
    if (!b)
        return;
    urd_writes_destroy(b->writes);
    urd_flow_deinit(&b->flow);
    urd_stores_deinit(&b->stores);
    urd_paths_deinit(&b->paths);
    urd_flow_dictionary_deinit(&b->dictionary);
    for (uint32_t i = 0; i < b->n_codes; i++)
        free(b->codes[i].dense);
    free(b->codes);
    for (uint32_t i = 0; i < b->n_tasks; i++)
        free(b->tasks[i].stack.frames);
    free(b->tasks);
    for (uint32_t i = 0; i < b->n_callees; i++) {
        urd_words_deinit(&b->callees[i]->columns);
        free(b->callees[i]);
    }
    free(b->callees);
    urd_map_deinit(&b->callee_index);
    for (uint32_t i = 0; i < b->n_images; i++)
        if (b->images[i].image)
            urd_debuginfo_image_destroy(b->images[i].image);
    free(b->images);
    for (uint32_t i = 0; i < urd_trace_file_count(b->trace); i++)
        if (b->modules[i])
            urd_debuginfo_module_close(b->modules[i]);
    free(b->modules);
    urd_buf_deinit(&b->stack);
    urd_buf_deinit(&b->irregular);
    urd_buf_deinit(&b->changes);
    urd_buf_deinit(&b->event_steps);
    urd_buf_deinit(&b->data);
    urd_buf_deinit(&b->cover);
    free(b);
}

uint64_t urd_builder_steps(const struct urd_builder *b)
{
    return (uint64_t)b->clock;
}

/* ---- tasks and rows of flow ---- */

static struct task_state *task_state(struct urd_builder *b, int32_t tid)
{
    for (uint32_t i = 0; i < b->n_tasks; i++)
        if (b->tasks[i].tid == tid)
            return &b->tasks[i];
    if (b->n_tasks == b->cap_tasks && b->current) { /* current points into the array */
        uint32_t at = (uint32_t)(b->current - b->tasks);
        URD_PUSH(b->tasks, b->n_tasks, b->cap_tasks) =
            (struct task_state){.tid = tid, .last = URD_FLOW_NONE};
        b->current = &b->tasks[at];
    } else {
        URD_PUSH(b->tasks, b->n_tasks, b->cap_tasks) =
            (struct task_state){.tid = tid, .last = URD_FLOW_NONE};
    }
    return &b->tasks[b->n_tasks - 1];
}

static unsigned n_stores(const struct urd_store_shape *shapes, unsigned n)
{
    unsigned stores = 0;
    for (unsigned i = 0; i < n; i++)
        stores += urd_store_bytes(shapes[i].code) != 0;
    return stores;
}

static void close_row(struct urd_builder *b)
{
    if (!b->current || !b->flow.n_blocks) {
        b->current = NULL;
        return;
    }
    for (uint32_t i = 0; i < b->flow.n_used; i++) {
        struct urd_flow_trace *t = &b->dictionary.traces[b->flow.used[i]];
        uint32_t times = b->flow.nodes[b->flow.used[i]].times;
        t->count += times;
        b->n_stores += (int64_t)t->n_kept * times;
    }
    struct urd_store_flow f = {.tid = b->current->tid,
                               .space = b->current_space,
                               .blocks = b->flow.n_blocks,
                               .first = b->row_first,
                               .steps = (uint64_t)b->clock - b->row_first};
    urd_flow_finish(&b->flow, &b->data, &b->cover);
    f.data = urd_store_keep(b->out, b->data.data, b->data.size);
    f.cover = urd_store_keep(b->out, b->cover.data, b->cover.size);
    urd_stores_finish(&b->stores, &b->data);
    f.stores = urd_store_keep(b->out, b->data.data, b->data.size);
    urd_buf_put(&b->stack, b->irregular.data, b->irregular.size);
    urd_blob_pack(b->stack.data, b->stack.size, &b->data);
    f.stack = urd_store_keep(b->out, b->data.data, b->data.size);
    URD_PUSH(b->out->flow, b->out->n_flow, b->out->cap_flow) = f;
    b->current = NULL;
}

/** The stack with which the row begins. */
static void note_stack(struct urd_builder *b, const struct task_state *ts)
{
    b->irregular.size = b->stack.size = 0;
    urd_buf_varint(&b->stack, b->n_changes);
    urd_calls_stack_encode(&ts->stack, &b->stack);
}

static void open_row(struct urd_builder *b, struct task_state *ts, uint32_t space)
{
    b->current = ts;
    b->current_space = ts->space = space;
    b->row_first = (uint64_t)b->clock;
    urd_flow_begin(&b->flow);
    urd_stores_begin(&b->stores, space, b->out->n_flow);
    note_stack(b, ts);
}

/* ---- symbols: where functions begin ---- */

static struct urd_module *module_of(struct urd_builder *b, const char *stored_path)
{
    const char *hash = strrchr(stored_path, '/');
    for (uint32_t i = 0; hash && i < urd_trace_file_count(b->trace); i++) {
        const struct urd_trace_file *f = urd_trace_file(b->trace, i);
        if (strcmp(f->hash, hash + 1) != 0)
            continue;
        if (!b->modules[i]) {
            urd_err *err = urd_debuginfo_module_open(stored_path, f->path, &b->modules[i]);
            if (err) {
                urd_err_free(err);
                b->modules[i] = NULL;
            }
        }
        return b->modules[i];
    }
    return NULL;
}

static struct urd_image *image_of(struct urd_builder *b, uint32_t space, pid_t real_pid)
{
    for (uint32_t i = 0; i < b->n_images; i++)
        if (b->images[i].space == space && b->images[i].image)
            return b->images[i].image;
    struct urd_image *image = urd_debuginfo_image_create();
    FILE *maps = urd_tracee_open_maps(real_pid);
    struct urd_map_line m;
    while (maps && urd_tracee_next_map(maps, &m)) {
        struct urd_module *module = m.prot & 4 && m.inode ? module_of(b, m.name) : NULL;
        if (module)
            urd_debuginfo_image_add(image, module, m.start, m.end - m.start, m.offset, NULL);
    }
    if (maps)
        fclose(maps);
    URD_PUSH(b->images, b->n_images, b->cap_images) = (struct space_image){space, image};
    return image;
}

static void forget_image(struct urd_builder *b, uint32_t space)
{
    for (uint32_t i = 0; i < b->n_images; i++)
        if (b->images[i].space == space && b->images[i].image) {
            urd_debuginfo_image_destroy(b->images[i].image);
            b->images[i] = b->images[--b->n_images];
            i--;
        }
}

static struct urd_flow_place find_place(struct urd_builder *b, struct urd_task *t, uint64_t pc)
{
    struct urd_flow_place ret = {.pc = pc};
    struct urd_image *image = image_of(b, t->space, t->process->pid);
    struct urd_place place;
    if (!urd_debuginfo_image_find(image, pc, &place))
        return ret;
    const struct urd_symbol *s = urd_debuginfo_symbol_at(place.module, place.address);
    if (!s || s->kind == URD_SYMBOL_OBJECT || s->kind == URD_SYMBOL_TLS)
        return ret;
    ret.function = s->address + place.bias;
    if (s->address == place.address && s->kind == URD_SYMBOL_FUNCTION)
        ret.flags |= URD_BLOCK_ENTRY;
    return ret;
}

/* ---- blocks ---- */

static uint64_t padded(uint64_t size)
{
    return (size + 7) & ~7ull;
}

static enum urd_flow_slot_how how_of(const struct urd_slot *slot)
{
    switch (slot->kind) {
    case URD_SLOT_WRITE:
        return urd_slot_is_store(slot) ? URD_HOW_WORDS : URD_HOW_WRITE;
    case URD_SLOT_COND:
        return URD_HOW_COND;
    case URD_SLOT_REP:
        return URD_HOW_REP;
    default:
        return URD_HOW_WORDS;
    }
}

/** shape_of: by slot, those that have one. */
static struct urd_store_shape shape_from(const struct urd_slot *slot, const uint8_t *shape_of)
{
    unsigned size =
        slot->kind == URD_SLOT_SP ? URD_STORE_NONE : (unsigned)__builtin_ctz(slot->size);
    return (struct urd_store_shape){.insn = slot->insn,
                                    .code = (uint8_t)(size | (slot->by_sp ? URD_STORE_BY_SP : 0) |
                                                      (slot->derived ? URD_STORE_DERIVED : 0) |
                                                      (slot->known ? URD_STORE_KNOWN : 0)),
                                    .root = slot->derived ? shape_of[slot->root] : 0,
                                    .delta = slot->delta,
                                    .value = slot->value};
}

/** What the hot loop, or urd_builder_any_record, makes of the block's record; its stores for the dictionary. The translator's
 * slots go with its code space. */
static void take_slots(struct urd_builder *b, const struct urd_block *block,
                       struct urd_flow_node *node, struct urd_flow_trace *trace,
                       struct urd_stores_layout *layout)
{
    struct urd_flow_encoder *f = &b->flow;
    struct urd_flow_dictionary *d = &b->dictionary;
    uint8_t shape_of[URD_FLOW_INSNS];
    node->flags |= URD_NODE_PLAIN;
    node->slots = f->n_slots;
    trace->shapes = d->n_shapes;
    for (unsigned i = 0; i < block->n_slots; i++) {
        const struct urd_slot *from = &block->slots[i];
        struct urd_flow_slot slot = {.how = how_of(from), .insn = from->insn, .size = from->size};
        if (slot.how == URD_HOW_WORDS) {
            struct urd_store_shape shape = shape_from(from, shape_of);
            slot.size = (uint16_t)(8 * urd_store_words(shape.code));
            shape_of[i] = trace->n_shapes++;
            trace->n_kept += urd_store_bytes(shape.code) != 0;
            URD_PUSH(d->shapes, d->n_shapes, d->cap_shapes) = shape;
        } else {
            node->flags &= (uint8_t)~URD_NODE_PLAIN;
        }
        URD_PUSH(f->slots, f->n_slots, f->cap_slots) = slot;
    }
    URD_PUSH(f->slots, f->n_slots, f->cap_slots) = (struct urd_flow_slot){.how = URD_HOW_END};
    urd_stores_lay_out(urd_flow_shapes(d, trace), trace->n_shapes, layout);
    node->groups = f->n_groups;
    node->n_groups = (uint8_t)layout->n_groups;
    node->words = (uint16_t)layout->n_words;
    for (unsigned i = 0; i < layout->n_groups; i++) {
        URD_PUSH(f->groups, f->n_groups, f->cap_groups) = layout->groups[i];
        f->groups[f->n_groups - 1].marks += f->n_marks;
    }
    for (unsigned i = 0; i < layout->n_marks; i++)
        URD_PUSH(f->marks, f->n_marks, f->cap_marks) = layout->marks[i];
    if (layout->first_sp < 0)
        return;
    node->flags |= URD_NODE_SP;
    node->first_sp = (uint16_t)layout->first_sp;
    node->last_sp = (uint16_t)layout->last_sp;
    node->last_delta = layout->last_delta;
}

static uint8_t transfer_of(unsigned end)
{
    switch (end) {
    case URD_END_CALL:
    case URD_END_CALL_INDIRECT:
        return URD_TRANSFER_CALL;
    case URD_END_JUMP:
        return URD_TRANSFER_JUMP;
    case URD_END_JUMP_INDIRECT:
        return URD_TRANSFER_JUMP_INDIRECT;
    case URD_END_RET:
        return URD_TRANSFER_RET;
    default:
        return URD_TRANSFER_NONE;
    }
}

/** A block's stores, and where their words lie. */
struct block_stores {
    const struct urd_store_shape *shapes;
    unsigned n;
    const struct urd_stores_layout *layout;
};

/** Where the address of the instruction's store, or the stack pointer, is told: a word, and what is to be added. */
static void find_word(const struct block_stores *stores, unsigned insn, uint16_t *ret_word,
                      int32_t *ret_delta)
{
    for (unsigned i = 0; i < stores->n; i++)
        if (stores->shapes[i].insn == insn) {
            *ret_word = stores->layout->root_word[i];
            *ret_delta = stores->shapes[i].delta;
            return;
        }
}

/** The transfer behind instruction `insn` of a block, where one piece of it ends and the next one begins. */
static void take_transfer(struct urd_builder *b, const struct urd_block *block,
                          struct urd_flow_node *node, const struct block_stores *stores,
                          unsigned insn, uint8_t transfer, uint64_t function,
                          const struct urd_flow_place *to)
{
    struct urd_flow_encoder *f = &b->flow;
    bool jump_within = transfer == URD_TRANSFER_JUMP && to->function == function;
    if (transfer == URD_TRANSFER_NONE || jump_within)
        return;
    struct urd_flow_op op = {.transfer = transfer,
                             .insn = (uint8_t)insn,
                             .site = urd_block_pc(block, insn),
                             .function = function,
                             .to = *to};
    op.behind = op.site + block->insn_lengths[insn];
    if (transfer != URD_TRANSFER_JUMP)
        find_word(stores, insn, &op.word, &op.delta);
    URD_PUSH(f->ops, f->n_ops, f->cap_ops) = op;
    node->n_ops++;
}

static void take_pieces(struct urd_builder *b, struct urd_task *t, const struct urd_block *block,
                        const struct block_stores *stores, struct urd_flow_node *node,
                        struct urd_flow_trace *trace)
{
    const uint8_t *lengths = block->insn_lengths;
    struct urd_flow_dictionary *d = &b->dictionary;
    unsigned insn = 0;
    trace->first = d->n_blocks;
    trace->n_blocks = block->n_pieces;
    node->ops = b->flow.n_ops;
    for (unsigned i = 0; i < block->n_pieces; i++) {
        const struct urd_block_piece *p = &block->pieces[i];
        struct urd_flow_place place = find_place(b, t, p->pc);
        if (i)
            take_transfer(b, block, node, stores, insn - 1, transfer_of(p[-1].end), node->function,
                          &place);
        else
            node->start = place;
        node->function = place.function;
        struct urd_flow_block one = {
            .pc = p->pc, .n_insns = p->n_insns, .end = p->end, .flags = place.flags};
        one.lengths = urd_flow_keep_lengths(d, lengths + insn, p->n_insns);
        URD_PUSH(d->blocks, d->n_blocks, d->cap_blocks) = one;
        insn += p->n_insns;
    }
    node->site = urd_block_pc(block, insn - 1);
    node->behind = node->site + lengths[insn - 1];
    if (node->transfer >= URD_TRANSFER_RET && node->transfer != URD_TRANSFER_JUMP)
        find_word(stores, insn - 1, &node->end_word, &node->end_delta);
}

static uint32_t new_block(struct urd_builder *b, struct urd_task *t, const struct urd_block *block,
                          bool stepped)
{
    struct urd_flow_node node = {.n_insns = block->n_insns,
                                 .flags = block->followed ? URD_NODE_FOLLOWED : 0,
                                 .transfer = stepped ? URD_TRANSFER_NONE : transfer_of(block->end)};
    struct urd_flow_trace trace = {.n_insns = block->n_insns};
    struct urd_flow_dictionary *d = &b->dictionary;
    struct urd_stores_layout layout;
    if (!stepped)
        take_slots(b, block, &node, &trace, &layout);
    struct block_stores stores = {urd_flow_shapes(d, &trace), trace.n_shapes, &layout};
    take_pieces(b, t, block, &stores, &node, &trace);
    URD_PUSH(d->traces, d->n_traces, d->cap_traces) = trace;
    return urd_flow_add(&b->flow, &node);
}

const uint32_t *urd_builder_ids(struct urd_builder *b, const struct urd_code *code)
{
    if (code->serial >= b->n_codes) {
        b->codes = urd_xrealloc(b->codes, (code->serial + 16) * sizeof *b->codes);
        memset(b->codes + b->n_codes, 0, (code->serial + 16 - b->n_codes) * sizeof *b->codes);
        b->n_codes = code->serial + 16;
    }
    struct code_ids *c = &b->codes[code->serial];
    uint32_t blocks = urd_translate_block_count(code->translator);
    if (blocks > c->n) {
        uint32_t n = blocks + blocks / 2 + 1024;
        c->dense = urd_xrealloc(c->dense, n * sizeof *c->dense);
        memset(c->dense + c->n, 0, (n - c->n) * sizeof *c->dense);
        c->n = n;
    }
    return c->dense;
}

uint32_t urd_builder_dense(struct urd_builder *b, struct urd_task *t, const struct urd_code *code,
                           uint32_t id, const struct urd_block *block, bool stepped)
{
    urd_builder_ids(b, code);
    uint32_t *dense = &b->codes[code->serial].dense[id];
    if (!*dense)
        *dense = new_block(b, t, block ? block : urd_translate_block_by_id(code->translator, id),
                           stepped) +
                 1;
    return *dense - 1;
}

/* ---- calls ---- */

static struct callee *callee_of(struct urd_builder *b, uint32_t space, uint64_t entry)
{
    struct callee **near = &b->near_callees[(entry >> 4) % CALLEES_NEAR];
    if (__builtin_expect(*near && (*near)->entry == entry && (*near)->space == space, 1))
        return *near;
    uint64_t *slot = urd_map_put(&b->callee_index, entry ^ (uint64_t)space << 48);
    if (!*slot) {
        struct callee *c = urd_xcalloc(1, sizeof *c);
        c->space = space;
        c->entry = entry;
        URD_PUSH(b->callees, b->n_callees, b->cap_callees) = c;
        *slot = b->n_callees;
    }
    return *near = b->callees[*slot - 1];
}

static void flush_callee(struct urd_builder *b, struct callee *c)
{
    if (!c->n)
        return;
    b->consumer->pack_calls(c);
    struct urd_buf raw = {0};
    urd_words_finish(&c->columns, &raw);
    urd_blob_pack(raw.data, raw.size, &b->data);
    urd_buf_deinit(&raw);
    URD_PUSH(b->out->calls, b->out->n_calls, b->out->cap_calls) =
        (struct urd_store_calls){.space = c->space,
                                 .n = c->n,
                                 .entry = c->entry,
                                 .data = urd_store_keep(b->out, b->data.data, b->data.size)};
    c->n = 0;
    memset(c->memory, 0, sizeof c->memory);
    urd_words_clear(&c->columns);
}

static void count_call(struct urd_builder *b, struct callee *c)
{
    c->n++;
    if (__builtin_expect(++c->n_raw == CALLEE_RAW, 0)) {
        b->consumer->pack_calls(c);
        if (c->n >= CALLEE_ROW)
            flush_callee(b, c);
    }
}

static void call_done(void *data, const struct urd_call *call)
{
    struct urd_builder *b = data;
    struct callee *c = callee_of(b, b->done_space, call->callee);
    urd_call_to_words(call, c->raw + c->n_raw * URD_CALL_WORDS);
    count_call(b, c);
}

/** Frames of the row's task came or went before its block that begins at `at`, which its readers cannot tell by themselves. */
static void note(struct urd_builder *b, const struct task_state *ts, int64_t at, uint64_t what)
{
    if (b->current != ts || (uint64_t)at == b->row_first) /* that block is told of by note_stack */
        return;
    urd_buf_varint(&b->irregular, (uint64_t)at - b->row_first);
    urd_buf_varint(&b->irregular, what);
}

/** Frames were left. */
static void note_left(struct urd_builder *b, const struct task_state *ts, int64_t at)
{
    const struct urd_call_stack *s = &ts->stack;
    note(b, ts, at, s->n ? 2 + (uint64_t)s->frames[s->n - 1].entry : 1);
}

/** What the frames of one task in this segment do not tell is told by those who know all: they get the frames (of the task
 * `from`), too. */
static void hand_over(struct urd_builder *b, struct task_state *from,
                      const struct urd_call_change *change)
{
    urd_calls_change_encode(change, &b->changes);
    urd_calls_stack_encode(&from->stack, &b->changes);
    b->n_changes++;
    from->stack.n = 0;
    from->outer_sp = 0;
}

static __attribute__((noinline)) void end_dead(struct urd_builder *b, struct task_state *ts,
                                               uint64_t slot, int64_t clock)
{
    switch (urd_calls_call(&ts->stack, slot, clock, ts->tid, call_done, b)) {
    case URD_CALLS_SETTLED:
        return;
    case URD_CALLS_LEFT:
        note_left(b, ts, clock);
        return;
    case URD_CALLS_UNSETTLED:
        hand_over(b, ts,
                  &(struct urd_call_change){.kind = URD_CALLS_CALLED,
                                            .tid = ts->tid,
                                            .space = ts->space,
                                            .clock = clock,
                                            .sp = slot});
        note(b, ts, clock, 0);
    }
}

/** A call put its return address to `slot`; the callee begins at clock. */
static void enter(struct urd_builder *b, struct task_state *ts, uint64_t slot, uint64_t return_pc,
                  uint64_t site, uint64_t callee, int64_t clock)
{
    struct urd_call_stack *s = &ts->stack;
    if (__builtin_expect(s->n && s->frames[s->n - 1].sp <= slot, 0))
        end_dead(b, ts, slot, clock);
    struct urd_call_frame *f = urd_calls_new(s);
    f->callee = callee;
    f->return_pc = return_pc;
    f->sp = slot;
    f->site = site;
    f->entry = clock;
    f->tid = 0;
    f->inherited = f->signal = false;
}

/** What is leaving goes to `to`. clock: behind it; at: before the block there. */
static void leave(struct urd_builder *b, struct task_state *ts, bool by_return,
                  const struct urd_call_jump *j, uint64_t sp, int64_t clock)
{
    enum urd_calls_verdict v =
        by_return ? URD_CALLS_UNSETTLED
                  : urd_calls_go(&ts->stack, j, ts->outer_sp, ts->tid, call_done, b);
    if (v == URD_CALLS_LEFT)
        note_left(b, ts, j->clock);
    if (v != URD_CALLS_UNSETTLED)
        return;
    hand_over(b, ts,
              &(struct urd_call_change){.kind = by_return ? URD_CALLS_RETURNED : URD_CALLS_JUMPED,
                                        .tid = ts->tid,
                                        .space = ts->space,
                                        .clock = clock,
                                        .sp = sp,
                                        .jump = *j});
    note(b, ts, j->clock, 0);
    ts->outer_sp = by_return ? sp + 8 : sp;
}

/** A jump, perhaps a tail call. function, site: of the jump. */
static struct urd_call_jump jump_to(const struct urd_flow_place *to, uint64_t site,
                                    uint64_t function, int64_t clock)
{
    return (struct urd_call_jump){.site = site,
                                  .function = function,
                                  .to = to->pc,
                                  .to_function = to->function,
                                  .sp = URD_CALLS_OUTER,
                                  .clock = clock,
                                  .to_entry = to->flags & URD_BLOCK_ENTRY};
}

static __attribute__((noinline)) void arrive_by_jump(struct urd_builder *b, struct task_state *ts,
                                                     const struct urd_flow_node *from,
                                                     const struct urd_flow_place *to)
{
    struct urd_call_jump j = jump_to(to, from->site, from->function, b->clock);
    if (ts->pending == URD_TRANSFER_JUMP) {
        urd_calls_jump(&ts->stack, &j);
        return;
    }
    j.indirect = true;
    j.sp = ts->leaving_sp;
    if (ts->pending == URD_TRANSFER_LEAVING)
        leave(b, ts, ts->leaves_by_return, &j, ts->leaving_sp, ts->leaving_clock);
    else if (to->function != from->function)
        leave(b, ts, false, &j, ts->leaving_sp, b->clock);
}

void urd_builder_after_transfer(struct urd_builder *b, struct task_state *ts, uint32_t dense)
{
    const struct urd_flow_node *to = &b->flow.nodes[dense], *from = &b->flow.nodes[ts->last];
    if (__builtin_expect(ts->pending == URD_TRANSFER_CALL, 1))
        enter(b, ts, ts->return_slot, from->behind, from->site, to->start.pc, b->clock);
    else
        arrive_by_jump(b, ts, from, &to->start);
    if ((uint64_t)b->clock == b->row_first) /* the row before ended with the call or jump */
        note_stack(b, ts);
}

/** Not from the newest frame. */
static __attribute__((noinline)) uint8_t
return_elsewhere(struct urd_builder *b, struct task_state *ts, uint64_t sp, int64_t clock)
{
    enum urd_calls_verdict v = urd_calls_return(&ts->stack, sp, clock, ts->tid, call_done, b);
    if (v == URD_CALLS_LEFT)
        note_left(b, ts, clock);
    if (v != URD_CALLS_UNSETTLED)
        return URD_TRANSFER_RET;
    ts->leaves_by_return = true;
    ts->leaving_sp = sp;
    ts->leaving_clock = clock;
    return URD_TRANSFER_LEAVING;
}

uint8_t urd_builder_return(struct urd_builder *b, struct task_state *ts, uint64_t sp, int64_t clock)
{
    struct urd_call_stack *s = &ts->stack;
    const struct urd_call_frame *top = s->n ? &s->frames[s->n - 1] : NULL;
    if (__builtin_expect(top && top->sp == sp && !top->inherited && (s->n < 2 || top[-1].sp != sp),
                         1)) {
        /* the usual one: what urd_calls_return does with a single frame */
        struct callee *c = callee_of(b, b->done_space, top->callee);
        uint64_t *words = c->raw + c->n_raw * URD_CALL_WORDS;
        words[0] = (uint64_t)top->entry;
        words[1] = (uint64_t)(clock - top->entry);
        words[2] = top->site;
        words[3] = (uint64_t)((int64_t)ts->tid * 2);
        words[4] = --s->n;
        count_call(b, c);
        return URD_TRANSFER_RET;
    }
    return return_elsewhere(b, ts, sp, clock);
}

/** A return or an indirect jump in the middle of a block leaves, or a jump there, direct or not, goes to another function. */
static __attribute__((noinline)) void leave_within(struct urd_builder *b, struct task_state *ts,
                                                   const struct urd_flow_op *op, uint64_t sp,
                                                   int64_t behind)
{
    struct urd_call_jump j = jump_to(&op->to, op->site, op->function, behind);
    if (op->transfer == URD_TRANSFER_JUMP) {
        urd_calls_jump(&ts->stack, &j);
        return;
    }
    j.indirect = true;
    j.sp = sp;
    leave(b, ts, op->transfer == URD_TRANSFER_RET, &j, sp, behind);
}

void urd_builder_transfers(struct urd_builder *b, struct task_state *ts,
                           const struct urd_flow_node *node, const uint8_t *words, int64_t clock,
                           unsigned n_insns)
{
    const struct urd_flow_op *op = b->flow.ops + node->ops;
    for (unsigned i = 0; i < node->n_ops && op->insn < n_insns; i++, op++) {
        uint64_t slot = 0;
        int64_t behind = clock + op->insn + 1;
        if (op->transfer != URD_TRANSFER_JUMP) /* that has none: the log may end there */
            slot = urd_builder_slot(words, op->word, op->delta);
        if (op->transfer == URD_TRANSFER_CALL) {
            enter(b, ts, slot, op->behind, op->site, op->to.pc, behind);
        } else if (op->transfer == URD_TRANSFER_RET) {
            if (urd_builder_return(b, ts, slot, behind) == URD_TRANSFER_LEAVING)
                leave_within(b, ts, op, slot, behind);
        } else {
            bool leaving = op->transfer == URD_TRANSFER_JUMP_INDIRECT &&
                           urd_builder_jump(ts, slot, behind) == URD_TRANSFER_LEAVING;
            if (leaving || op->to.function != op->function)
                leave_within(b, ts, op, slot, behind);
        }
    }
}

/* ---- the log: what the hot loop leaves ---- */

/** A REP store: its bytes are in the log, or in the process's memory. */
static const uint8_t *rep_slot(struct urd_builder *b, struct urd_task *t, const uint8_t *p,
                               int64_t clock)
{
    uint64_t address, bytes;
    memcpy(&address, p, 8);
    memcpy(&bytes, p + 8, 8);
    p += 16;
    if (!(bytes >> 63)) {
        urd_writes_add(b->writes, t->space, (uint64_t)clock, address, bytes, p, 0);
        return p + padded(bytes);
    }
    bytes &= ~(1ull << 63);
    static __thread uint8_t data[65536];
    for (uint64_t done = 0; done < bytes;) {
        uint64_t n = bytes - done < sizeof data ? bytes - done : sizeof data;
        if (urd_tracee_read(t->process->mem, address + done, data, n) != n)
            break;
        urd_writes_add(b->writes, t->space, (uint64_t)clock, address + done, n, data, 0);
        done += n;
    }
    return p;
}

/** A conditional store: the runs of bytes whose bits are set. */
static const uint8_t *cond_slot(struct urd_builder *b, struct urd_task *t, const uint8_t *p,
                                unsigned size, int64_t clock)
{
    uint64_t address, mask;
    memcpy(&address, p, 8);
    memcpy(&mask, p + 8, 8);
    p += 16;
    for (unsigned i = 0; i < size;) {
        if (!(mask >> i & 1)) {
            i++;
            continue;
        }
        unsigned end = i;
        while (end < size && mask >> end & 1)
            end++;
        urd_writes_add(b->writes, t->space, (uint64_t)clock, address + i, end - i, p + i, 0);
        i = end;
    }
    return p + padded(size);
}

/** A slot that is no store. */
static const uint8_t *rare_slot(struct urd_builder *b, struct urd_task *t, const uint8_t *p,
                                const struct urd_flow_slot *slot, int64_t clock)
{
    uint64_t address;
    memcpy(&address, p, 8);
    switch ((enum urd_flow_slot_how)slot->how) {
    case URD_HOW_COND:
        return cond_slot(b, t, p, slot->size, clock);
    case URD_HOW_REP:
        return rep_slot(b, t, p, clock);
    default:
        urd_writes_add(b->writes, t->space, (uint64_t)clock, address, slot->size, p + 8, 0);
        return p + 8 + padded(slot->size);
    }
}

const uint8_t *urd_builder_any_record(struct urd_builder *b, struct urd_task *t,
                                      struct task_state *ts, uint32_t dense, const uint8_t *p,
                                      int64_t clock, unsigned n_insns)
{
    static __thread uint8_t words[URD_STORES_MAX_GROUPS * 64];
    static __thread struct urd_stores_layout layout;
    struct urd_flow_node *node = &b->flow.nodes[dense];
    const struct urd_flow_trace *trace = &b->dictionary.traces[dense];
    const struct urd_store_shape *shapes = urd_flow_shapes(&b->dictionary, trace);
    const struct urd_flow_slot *slot = b->flow.slots + node->slots;
    unsigned n = 0, n_shapes = 0;
    for (; slot->how != URD_HOW_END && slot->insn < n_insns; slot++) {
        if (slot->how != URD_HOW_WORDS) {
            p = rare_slot(b, t, p, slot, clock + slot->insn);
            continue;
        }
        memcpy(words + n, p, slot->size);
        n += slot->size;
        n_shapes++;
        p += slot->size;
    }
    urd_builder_transfers(b, ts, node, words, clock, n_insns);
    struct urd_stores_groups groups = {.groups = b->flow.groups + node->groups,
                                       .marks = b->flow.marks,
                                       .n = node->n_groups,
                                       .first_sp = node->flags & URD_NODE_SP ? node->first_sp : -1,
                                       .last_sp = node->last_sp,
                                       .last_delta = node->last_delta};
    if (n_shapes < trace->n_shapes) {
        urd_stores_lay_out(shapes, n_shapes, &layout);
        groups = urd_stores_groups_of(&layout);
    }
    urd_stores_put(&b->stores, &groups, b->flow.memory + node->memory, words);
    node->sp = 0; /* the hot loop cannot know what was marked */
    if (n_insns >= node->n_insns)
        ts->pending = urd_builder_end(b, ts, node, node->transfer, words, clock + node->n_insns);
    /* close_row counts whole blocks */
    b->n_stores -= trace->n_kept - n_stores(shapes, n_shapes);
    return p;
}

struct task_state *urd_builder_begin_records(struct urd_builder *b, struct urd_task *t)
{
    struct task_state *ts = b->current;
    if (!ts || ts->tid != t->tid || b->current_space != t->space) {
        close_row(b);
        ts = task_state(b, t->tid);
        open_row(b, ts, t->space);
    }
    b->done_tid = t->tid;
    b->done_space = t->space;
    return ts;
}

void urd_builder_next_row(struct urd_builder *b, struct task_state *ts, uint32_t space)
{
    close_row(b);
    open_row(b, ts, space);
}

void urd_builder_reserve(struct urd_builder *b, size_t log_bytes)
{
    /* a block with stores has an id and an address at least; beyond that a group takes up eight words */
    urd_words_reserve(&b->stores.columns, log_bytes / 16 + 1);
}

static void end_row_if_full(struct urd_builder *b)
{
    if (b->flow.n_blocks >= URD_FLOW_CHUNK || b->flow.n_blocks % URD_FLOW_CHUNK_MIN == 0)
        close_row(b); /* at such a number, too, as the hot loop does not look in between */
}

/** One block that is not in the log's usual order came. */
static struct task_state *on_block(struct urd_builder *b, struct urd_task *t,
                                   const struct urd_code *code, const struct urd_block *block,
                                   bool stepped, uint32_t *ret_dense)
{
    struct task_state *ts = urd_builder_begin_records(b, t);
    *ret_dense = urd_builder_dense(b, t, code, block->id, block, stepped);
    if (ts->pending >= URD_TRANSFER_CALL && ts->last != URD_FLOW_NONE)
        urd_builder_after_transfer(b, ts, *ret_dense);
    if (!ts->first.pc) {
        ts->first = b->flow.nodes[*ret_dense].start;
        ts->first_clock = b->clock;
    }
    ts->pending = URD_TRANSFER_NONE;
    ts->last = *ret_dense;
    return ts;
}

static void on_partial(void *data, struct urd_task *t, const struct urd_code *code,
                       const struct urd_block *block, const uint8_t *record, unsigned n_insns)
{
    struct urd_builder *b = data;
    uint32_t dense;
    struct task_state *ts = on_block(b, t, code, block, false, &dense);
    urd_flow_put_partial(&b->flow, dense, n_insns);
    urd_builder_reserve(b, URD_LOG_SLACK);
    urd_builder_any_record(b, t, ts, dense, record + 8, b->clock, n_insns);
    b->clock += n_insns;
    end_row_if_full(b);
}

/** Where a `ret` that has run took its target from: below that and what `ret imm16` drops. */
static uint64_t slot_of_return(const struct urd_task *t, const struct urd_block *block)
{
    uint16_t drops = 0;
    if (block->insn_lengths[0] >= 3)
        urd_tracee_read(t->process->mem, urd_block_pc(block, 1) - 2u, &drops, sizeof drops);
    return t->regs.rsp - 8 - drops;
}

/** t->regs are those behind it. */
static void on_single(void *data, struct urd_task *t, const struct urd_code *code,
                      const struct urd_block *block)
{
    struct urd_builder *b = data;
    uint32_t dense;
    struct task_state *ts = on_block(b, t, code, block, true, &dense);
    urd_flow_put(&b->flow, dense);
    b->clock++;
    uint8_t transfer = transfer_of(block->end);
    if (transfer == URD_TRANSFER_CALL) {
        ts->pending = transfer;
        ts->return_slot = t->regs.rsp;
    } else if (transfer == URD_TRANSFER_RET) {
        ts->pending = urd_builder_return(b, ts, slot_of_return(t, block), b->clock);
    }
    end_row_if_full(b);
}

static void on_stepped_write(void *data, struct urd_task *t, uint64_t address, uint64_t size,
                             const void *value)
{
    struct urd_builder *b = data; /* the instruction was counted by on_single just before */
    urd_writes_add(b->writes, t->space, (uint64_t)b->clock - 1, address, size, value, 0);
}

static void on_event(void *data, const struct urd_session *s, const struct urd_event *e)
{
    urd_builder_event(data, s, e);
}

struct urd_sink urd_builder_sink(struct urd_builder *b)
{
    return (struct urd_sink){b,         b->consumer->records, on_partial,
                             on_single, on_stepped_write,     on_event};
}

/* ---- events ---- */

static void end_stack(struct urd_builder *b, struct task_state *ts, uint32_t space)
{
    b->done_space = space;
    urd_calls_cut(&ts->stack, 0, false, b->clock, ts->tid, call_done, b);
    hand_over(b, ts,
              &(struct urd_call_change){
                  .kind = URD_CALLS_ENDED, .tid = ts->tid, .space = space, .clock = b->clock});
    ts->pending = URD_TRANSFER_NONE;
    ts->last = URD_FLOW_NONE;
}

static void start_child(struct urd_builder *b, const struct urd_event *e, uint64_t parent_sp,
                        uint32_t space)
{
    task_state(b, e->other_tid);
    struct task_state *child = task_state(b, e->tid), *parent = task_state(b, e->other_tid);
    child->pending = URD_TRANSFER_NONE;
    child->last = URD_FLOW_NONE;
    child->stack.n = 0;
    close_row(b);
    hand_over(b, parent,
              &(struct urd_call_change){.kind = URD_CALLS_STARTED,
                                        .inherits = e->after.rsp ==
                                                    parent_sp, /* a thread has a stack of its own */
                                        .tid = e->tid,
                                        .other = e->other_tid,
                                        .space = space,
                                        .clock = b->clock});
}

/** Of what exec leaves behind only the arguments, environment and auxiliary vector are written by it. */
static void add_kernel_write(struct urd_builder *b, const struct urd_event *e, uint32_t space,
                             const struct urd_mem_write *w)
{
    uint64_t skip = 0, event = e->number, sp = e->after.rsp;
    if (e->kind == URD_EVENT_MEMORY && e->status) /* nobody did now */
        event = URD_WRITE_INITIAL;
    if (e->kind == URD_EVENT_EXEC) {
        bool stack = false;
        for (uint32_t i = 0; i < e->n_map_ops && !stack; i++)
            stack = e->map_ops[i].grows_down && w->address >= e->map_ops[i].start &&
                    w->address < e->map_ops[i].start + e->map_ops[i].size;
        if (!stack)
            event = URD_WRITE_INITIAL;
        else if (w->address < sp)
            skip = sp - w->address < w->size ? sp - w->address : w->size;
    }
    urd_writes_add(b->writes, space, (uint64_t)b->clock, w->address + skip, w->size - skip,
                   w->data + skip, event);
}

/** The task goes somewhere else before what it called or jumped to has begun, which goes on afterwards. */
static void interrupt(struct urd_builder *b, struct urd_task *t, const struct urd_event *e)
{
    struct task_state *ts = task_state(b, e->tid);
    bool pending = ts->pending >= URD_TRANSFER_CALL && ts->last != URD_FLOW_NONE;
    if (pending || !ts->first.pc) {
        struct urd_flow_place to = find_place(b, t, e->before.rip);
        const struct urd_flow_node *from = pending ? &b->flow.nodes[ts->last] : NULL;
        if (pending && ts->pending == URD_TRANSFER_CALL)
            enter(b, ts, ts->return_slot, from->behind, from->site, to.pc, b->clock);
        else if (pending)
            arrive_by_jump(b, ts, from, &to);
        if (!ts->first.pc) { /* the segment before may have ended with a call */
            ts->first = to;
            ts->first_clock = b->clock;
        }
    }
    ts->pending = URD_TRANSFER_NONE;
}

/** A tracer has moved the stack pointer down and put the task somewhere else: so debuggers call functions. The callee returns to
 * what lies there. */
static void start_of_tracers_call(struct urd_builder *b, struct urd_task *t,
                                  const struct urd_event *e)
{
    uint64_t return_pc = 0;
    interrupt(b, t, e);
    urd_tracee_read(t->process->mem, e->after.rsp, &return_pc, sizeof return_pc);
    urd_calls_push(&task_state(b, e->tid)->stack, (struct urd_call_frame){.callee = e->after.rip,
                                                                          .return_pc = return_pc,
                                                                          .sp = e->after.rsp,
                                                                          .site = e->before.rip,
                                                                          .entry = b->clock});
    close_row(b);
}

void urd_builder_event(struct urd_builder *b, const struct urd_session *s,
                       const struct urd_event *e)
{
    urd_buf_varint(&b->event_steps, (uint64_t)(b->clock - b->last_event_clock));
    b->last_event_clock = b->clock;
    struct urd_task *t = urd_session_task((struct urd_session *)s, e->tid);
    bool makes_space =
        e->kind == URD_EVENT_EXEC || (e->kind == URD_EVENT_START && !(e->flags & URD_EVENT_SHARES));
    uint32_t space = makes_space ? s->n_spaces + 1 : t ? t->space : 0;
    if (!space && e->kind == URD_EVENT_START)
        space = urd_session_task((struct urd_session *)s, e->other_tid)->space;
    if (e->kind == URD_EVENT_EXEC || e->kind == URD_EVENT_EXIT) {
        if (t)
            end_stack(b, task_state(b, e->tid), t->space);
        close_row(b);
    } else if (e->kind == URD_EVENT_SIGNAL) {
        uint64_t restorer = 0;
        if (e->n_writes && e->writes[0].size >= 8)
            memcpy(&restorer, e->writes[0].data, 8);
        if (t)
            interrupt(b, t, e);
        urd_calls_push(&task_state(b, e->tid)->stack,
                       (struct urd_call_frame){.callee = e->after.rip,
                                               .return_pc = restorer,
                                               .sp = e->after.rsp,
                                               .site = e->before.rip,
                                               .signal = true,
                                               .entry = b->clock});
        close_row(b); /* the next row begins with the handler's frame: readers see no call for it */
    } else if (e->flags & URD_EVENT_REGISTERS && e->after.rsp < e->before.rsp) {
        start_of_tracers_call(b, t, e);
    } else if (e->kind == URD_EVENT_START) {
        start_child(b, e, urd_session_task((struct urd_session *)s, e->other_tid)->regs.rsp, space);
    }
    for (uint32_t i = 0; t && i < e->n_map_ops; i++)
        if (e->map_ops[i].prot & 4 || e->map_ops[i].kind == URD_MAP_UNMAP)
            forget_image(b, t->space);
    for (uint32_t i = 0; space && i < e->n_writes; i++)
        add_kernel_write(b, e, space, &e->writes[i]);
    struct task_state *ts = b->current;
    if (ts && ts->tid == e->tid)
        ts->pending = e->kind == URD_EVENT_SIGNAL ? URD_TRANSFER_NONE : ts->pending;
}

static void encode_joins(struct urd_builder *b, struct urd_buf *raw)
{
    urd_buf_varint(raw, b->n_tasks);
    for (uint32_t i = 0; i < b->n_tasks; i++) {
        const struct task_state *ts = &b->tasks[i];
        /* the segment may end between a call, or a jump, and the first instruction there */
        bool pending = ts->pending >= URD_TRANSFER_CALL && ts->last != URD_FLOW_NONE;
        const struct urd_flow_node *last = pending ? &b->flow.nodes[ts->last] : NULL;
        bool calls = ts->pending == URD_TRANSFER_CALL;
        urd_buf_varint(raw, (uint32_t)ts->tid);
        urd_buf_varint(raw, ts->space);
        urd_buf_varint(raw, ts->first.pc);
        urd_buf_varint(raw, ts->first.function);
        urd_buf_u8(raw, ts->first.flags);
        urd_buf_varint(raw, (uint64_t)ts->first_clock);
        urd_buf_u8(raw, pending ? ts->pending : URD_TRANSFER_NONE);
        urd_buf_u8(raw, ts->leaves_by_return);
        urd_buf_varint(raw, pending ? last->site : 0);
        urd_buf_varint(raw, pending ? last->function : 0);
        urd_buf_varint(raw, calls ? ts->return_slot : ts->leaving_sp);
        urd_buf_varint(raw, calls ? last->behind : 0);
        urd_buf_varint(raw, urd_zigzag(ts->leaving_clock));
    }
    urd_buf_varint(raw, b->n_changes);
    urd_buf_put(raw, b->changes.data, b->changes.size);
    for (uint32_t i = 0; i < b->n_tasks; i++)
        urd_calls_stack_encode(&b->tasks[i].stack, raw);
}

static void keep_touched(struct urd_builder *b)
{
    for (uint32_t i = 0; i < b->stores.n_pages; i++) {
        struct urd_stores_page *p = b->stores.pages[i];
        urd_stores_pack_page(p, &b->data);
        URD_PUSH(b->out->touched, b->out->n_touched, b->out->cap_touched) =
            (struct urd_store_touched){.space = (uint32_t)(p->key >> 36),
                                       .page = p->key & ((1ull << 36) - 1),
                                       .data = urd_store_keep(b->out, b->data.data, b->data.size)};
    }
}

urd_err *urd_builder_finish(struct urd_builder *b)
{
    close_row(b);
    URD_TRY(urd_writes_flush(b->writes));
    for (uint32_t i = 0; i < b->n_callees; i++)
        flush_callee(b, b->callees[i]);
    keep_touched(b);
    struct urd_store_segment *g = b->out;
    g->steps = (uint64_t)b->clock;
    g->n_writes = urd_writes_count(b->writes) + (uint64_t)b->n_stores;
    urd_blob_pack(b->event_steps.data, b->event_steps.size, &b->data);
    g->event_steps = urd_store_keep(g, b->data.data, b->data.size);
    urd_flow_dictionary_encode(&b->dictionary, &b->data);
    g->blocks = urd_store_keep(g, b->data.data, b->data.size);
    struct urd_buf raw = {0};
    encode_joins(b, &raw);
    urd_blob_pack(raw.data, raw.size, &b->data);
    g->joins = urd_store_keep(g, b->data.data, b->data.size);
    urd_buf_deinit(&raw);
    return NULL;
}
