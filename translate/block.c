/*
 * One block: from decoded instructions to code in the cache.
 *
 * A block is decoded first, and ends early where it would run out of registers: every register that
 * instrumentation needs over the whole block (log pointer, scratch, anchor of RIP-relative operands)
 * must be one that no instruction of it mentions. Then code is written straight into the cache:
 *
 *     entry:  [stop]  [cut test]           exits that resume right behind themselves
 *             mov gs:[home r11], r11       \
 *             mov r11, gs:[log_pos]         | LOG: r11 is the record
 *             mov [r11+size-8], r11         | faults in the guard: the record does not fit
 *             mov qword [r11], id          /
 *             mov gs:[home rcx], rcx; mov rcx, gs:[steps_left]; lea rcx, [rcx-n]     \
 *             mov gs:[steps_left], rcx; movzx ecx, byte gs:[steps_left+7]             | COUNT
 *             lea rcx, [rcx-255]; jrcxz out_of_budget; mov rcx, gs:[home rcx]        /
 *     body:   the instructions, each followed by the stores of its slot
 *             lea r11, [r11+size]; mov gs:[log_pos], r11; mov r11, gs:[home r11]
 *             jcc taken                    rel32s that lie within 8 aligned bytes and are patched
 *             jmp fall-through             left out when that block follows right here
 *
 * steps_left is negative when its top byte is 0xff, which lea and jrcxz can test without flags.
 */
#include "translate/internal.h"

/* Registers nothing mentions much in compiled code come first. */
static const int8_t preference[] = {R11, R10, R15, R14, R13, R9, R12, R8, RBP, RBX, RDI, RSI, RDX, RAX};
static const int8_t low_preference[] = {RBP, RBX, RDI, RSI, RDX, RAX};

static bool needs_temp2(const struct insn *in, bool log)
{
    if (in->kind == INSN_JUMP_INDIRECT || in->kind == INSN_CALL_INDIRECT || in->kind == INSN_RET)
        return !log;
    if (!log || in->write == WRITE_NONE)
        return false;
    return in->write == WRITE_BIT || in->write == WRITE_MASK_K || in->write == WRITE_MASK_VECTOR ||
           in->write == WRITE_COMPRESS || (in->write == WRITE_READBACK && in->write_bytes > 128) ||
           (in->written && in->written->mem.segment == ZYDIS_REGISTER_FS);
}

/* What the block needs beyond the registers in use. */
struct demand {
    uint16_t used;
    bool anchor, temp, temp2;
};

static struct demand demand_of(struct demand d, const struct insn *in, bool log)
{
    d.used |= in->used;
    d.anchor |= in->rip_relative;
    d.temp2 |= needs_temp2(in, log);
    d.temp |= d.temp2 || log || in->kind == INSN_JUMP_INDIRECT || in->kind == INSN_CALL_INDIRECT ||
              in->kind == INSN_RET;
    return d;
}

static int take(uint16_t *used, const int8_t *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!(*used >> from[i] & 1)) {
            *used |= (uint16_t)(1 << from[i]);
            return from[i];
        }
    return -1;
}

struct allocation {
    int log, temp, temp2, anchor;
};

static bool allocate(struct demand d, bool log, struct allocation *ret)
{
    uint16_t used = d.used | 1 << RSP | 1 << RCX;
    *ret = (struct allocation){-1, -1, -1, -1};
    if (d.anchor && (ret->anchor = take(&used, low_preference, sizeof low_preference)) < 0)
        return false;
    if (log && (ret->log = take(&used, preference, sizeof preference)) < 0)
        return false;
    if (d.temp && (ret->temp = take(&used, preference, sizeof preference)) < 0)
        return false;
    if (d.temp2 && (ret->temp2 = take(&used, preference, sizeof preference)) < 0)
        return false;
    return true;
}

/* ---- decoding ---- */

static size_t read_code(struct urd_translator *t, uint64_t pc, const struct urd_code_reader *reader,
                        uint8_t *buffer, size_t size)
{
    size_t done = 0;
    while (done < size) {
        uint64_t number = (pc + done) >> 12, at = (pc + done) & 0xfff;
        size_t slot = number % (sizeof t->code / sizeof *t->code);
        if (t->code[slot].number != number + 1) {
            t->code[slot].got = 0;
            reader->read(reader->data, number << 12, t->code[slot].bytes, 4096, &t->code[slot].got);
            t->code[slot].number = number + 1;
        }
        if (at >= t->code[slot].got)
            break;
        size_t n = t->code[slot].got - at < size - done ? t->code[slot].got - at : size - done;
        memcpy(buffer + done, t->code[slot].bytes + at, n);
        done += n;
    }
    return done;
}

unsigned urd_block_decode(struct urd_translator *t, uint64_t pc,
                          const struct urd_code_reader *reader, struct insn *insns,
                          bool *ret_unreadable, bool *ret_step_next)
{
    bool log = t->probes & URD_PROBE_LOG;
    struct demand demand = {0};
    struct allocation unused;
    unsigned n = 0, record = 8;
    *ret_unreadable = *ret_step_next = false;
    for (uint64_t at = pc; n < MAX_INSNS; n++) {
        struct insn *in = &insns[n];
        uint8_t bytes[15];
        if (n && (urd_map_get(&t->stops, at) || at == t->cut))
            break;
        size_t got = read_code(t, at, reader, bytes, sizeof bytes);
        if (!urd_insn_decode(bytes, got, at, t->probes, in)) {
            *ret_unreadable = true;
            break;
        }
        if (in->kind == INSN_STEP) {
            *ret_step_next = true;
            break;
        }
        struct urd_slot slot;
        unsigned more = urd_insn_slot(in, &slot) ? urd_slot_bytes(&slot) : 0;
        struct demand next = demand_of(demand, in, log);
        if (n && (record + more > MAX_RECORD_BYTES || !allocate(next, log, &unused)))
            break;
        demand = next;
        record += more;
        at += in->length;
        if (in->kind != INSN_COPY)
            return n + 1;
    }
    return n;
}

static enum urd_block_end end_of(const struct insn *last)
{
    switch (last->kind) {
    case INSN_JUMP: return URD_END_JUMP;
    case INSN_BRANCH: return URD_END_BRANCH;
    case INSN_CALL: return URD_END_CALL;
    case INSN_JUMP_INDIRECT: return URD_END_JUMP_INDIRECT;
    case INSN_CALL_INDIRECT: return URD_END_CALL_INDIRECT;
    case INSN_RET: return URD_END_RET;
    case INSN_SYSCALL: return URD_END_SYSCALL;
    default: return URD_END_FALL;
    }
}

void urd_block_describe(struct block *b, const struct insn *insns, unsigned n)
{
    uint8_t *lengths = urd_xcalloc(n ? n : 1, 1);
    struct urd_slot *slots = urd_xcalloc(n ? n : 1, sizeof *slots);
    b->pub.n_insns = (uint8_t)n;
    for (unsigned i = 0; i < n; i++) {
        lengths[i] = insns[i].length;
        b->pub.bytes += insns[i].length;
        if (urd_insn_slot(&insns[i], &slots[b->pub.n_slots]))
            slots[b->pub.n_slots++].insn = (uint8_t)i;
    }
    b->pub.end = n ? (uint8_t)end_of(&insns[n - 1]) : URD_END_FALL;
    b->pub.insn_lengths = lengths;
    b->pub.slots = slots;
}

/* ---- the entry ---- */

static void emit_cut_test(struct gen *g)
{
    struct emit *e = &g->hot;
    uint8_t *unequal[16];
    uint16_t before = g->spilled;
    urd_gen_spill(g, RCX);
    urd_gen_spill(g, RDX);
    for (int r = 0; r < 16; r++) {
        int value = r;
        if (r == RCX) {
            emit_ctx_load(e, RDX, (unsigned)offsetof(struct urd_context, scratch) + 8 * RCX);
            value = RDX;
        } else if (r == RDX) {
            emit_ctx_load(e, RDX, (unsigned)offsetof(struct urd_context, scratch) + 8 * RDX);
        }
        emit_ctx_load(e, RCX, (unsigned)offsetof(struct urd_context, cut_regs) + 8u * (unsigned)r);
        emit_bytes(e, "\x48\xf7\xd1", 3); /* not rcx */
        emit_lea(e, RCX, (struct emit_mem){value, RCX, 1, 1});
        uint8_t *equal = emit_jump8(e, 0xe3);
        emit_u8(e, 0xe9);
        emit_u32(e, 0);
        unequal[r] = e->at;
        emit_here(e, equal);
    }
    urd_gen_unspill(g, RDX);
    urd_gen_unspill(g, RCX);
    urd_gen_exit(g, e, URD_EXIT_CUT, g->b->pub.pc, true);
    uint8_t *over = emit_jump8(e, 0xeb);
    for (int r = 0; r < 16; r++) {
        uint32_t distance = (uint32_t)(e->at - unequal[r]);
        memcpy(unequal[r] - 4, &distance, 4);
    }
    g->spilled = before | 1 << RCX | 1 << RDX;
    urd_gen_note(g);
    urd_gen_unspill(g, RDX);
    urd_gen_unspill(g, RCX);
    emit_here(e, over);
}

static void emit_log_entry(struct gen *g, unsigned record_bytes)
{
    struct emit *e = &g->hot;
    urd_gen_spill(g, g->reg_log);
    emit_ctx_load(e, g->reg_log, offsetof(struct urd_context, log_pos));
    g->b->touch = urd_gen_offset(g, e->at);
    if (record_bytes > 8)
        emit_store(e, g->reg_log, EMIT_AT(g->reg_log, record_bytes - 8));
    emit_store_imm(e, (int32_t)g->b->pub.id, EMIT_AT(g->reg_log, 0));
    g->b->body = urd_gen_offset(g, e->at);
    g->log_at = 8;
}

/* A rel32 jump to where the cold part goes on; jrcxz only reaches 127 bytes. */
static uint8_t *emit_out_of_budget(struct gen *g)
{
    uint8_t *at = g->hot.at;
    emit_u8(&g->hot, 0xe9);
    emit_u32(&g->hot, urd_gen_offset(g, g->cold.at) - (urd_gen_offset(g, g->hot.at) + 4));
    return at;
}

/* out: emit_out_of_budget's jump, when it is near. */
static void emit_count(struct gen *g, uint8_t *out)
{
    struct emit *e = &g->hot;
    unsigned steps = offsetof(struct urd_context, steps_left);
    unsigned home = (unsigned)offsetof(struct urd_context, scratch);
    if (!out) {
        uint8_t *over = emit_jump8(e, 0xeb);
        out = emit_out_of_budget(g);
        emit_here(e, over);
    }
    urd_gen_spill(g, RCX);
    emit_ctx_load(e, RCX, steps);
    emit_lea(e, RCX, EMIT_AT(RCX, -(int)g->n_insns));
    emit_ctx_store(e, RCX, steps);
    g->b->counted = urd_gen_offset(g, e->at);
    emit_op_mem(e, 0x65, 0x0fb6, 4, RCX, EMIT_AT(-1, steps + 7));
    emit_lea(e, RCX, EMIT_AT(RCX, -255));
    emit_u8(e, 0xe3);
    emit_u8(e, (uint8_t)(out - (e->at + 1)));
    /* The budget's end, cold. */
    struct emit *c = &g->cold;
    emit_ctx_load(c, RCX, steps);
    emit_lea(c, RCX, EMIT_AT(RCX, g->n_insns));
    emit_ctx_store(c, RCX, steps);
    for (int r = 0; r < 16; r++)
        if (g->spilled >> r & 1)
            emit_ctx_load(c, r, home + 8u * (unsigned)r);
    urd_gen_exit(g, c, URD_EXIT_BUDGET, g->b->pub.pc, false);
    urd_gen_unspill(g, RCX);
}

/* ---- the end ---- */

static void unspill_all(struct gen *g)
{
    for (int r = 0; r < 16; r++)
        urd_gen_unspill(g, r);
}

/* Hand the record over. */
static void finish_log(struct gen *g)
{
    if (!g->log || !(g->spilled >> g->reg_log & 1))
        return;
    emit_lea(&g->hot, g->reg_log, EMIT_AT(g->reg_log, g->log_at));
    emit_ctx_store(&g->hot, g->reg_log, offsetof(struct urd_context, log_pos));
}

static void edge(struct gen *g, int condition, uint64_t pc)
{
    uint32_t branch = urd_gen_branch(g, &g->hot, condition);
    g->edges[g->n_edges].pc = pc;
    g->edges[g->n_edges++].branch = branch;
}

/* The return address onto the subject's stack. */
static void emit_call(struct gen *g, const struct insn *in)
{
    struct emit *e = &g->hot;
    uint64_t back = in->pc + in->length;
    static const uint8_t push[1] = {0xff}; /* push [rip + constant] is ff /6 */
    urd_gen_load_constant_op(g, e, push, 1, 6, back);
    g->b->done_offsets[in - g->insns] = urd_gen_offset(g, e->at);
    if (!g->log)
        return;
    emit_store(e, RSP, EMIT_AT(g->reg_log, g->log_at));
    if ((int64_t)back == (int32_t)back) {
        emit_store_imm(e, (int32_t)back, EMIT_AT(g->reg_log, g->log_at + 8));
    } else {
        /* rcx if the target is in temp */
        int t = in->kind == INSN_CALL_INDIRECT ? RCX : g->reg_temp;
        urd_gen_spill(g, t);
        emit_mov_imm(e, t, back);
        emit_store(e, t, EMIT_AT(g->reg_log, g->log_at + 8));
    }
    g->log_at += 16;
}

/* temp = the target of an indirect jump or call. */
static void emit_target(struct gen *g, const struct insn *in)
{
    struct emit *e = &g->hot;
    const ZydisDecodedOperand *op = &in->ops[0];
    urd_gen_spill(g, g->reg_temp);
    if (op->type == ZYDIS_OPERAND_TYPE_REGISTER) {
        emit_mov(e, g->reg_temp, urd_insn_register(op->reg.value));
        return;
    }
    struct mem_parts p = urd_gen_parts(g, in, op);
    unsigned prefix = p.segment | (p.address32 ? 0x67 << 8 : 0);
    if (p.disp != (int32_t)p.disp) {
        emit_mov_imm(e, g->reg_temp, urd_insn_rip_target(in));
        p = (struct mem_parts){g->reg_temp, -1, 1, 0, p.segment, false};
    }
    emit_op_mem(e, prefix, 0x8b, 8, g->reg_temp,
                (struct emit_mem){p.base, p.index, p.scale, (int32_t)p.disp});
}

static void emit_ret(struct gen *g, const struct insn *in)
{
    struct emit *e = &g->hot;
    urd_gen_spill(g, g->reg_temp);
    if (g->log) {
        emit_store(e, RSP, EMIT_AT(g->reg_log, g->log_at));
        g->log_at += 8;
    }
    if (g->reg_temp >= 8)
        emit_u8(e, 0x41);
    emit_u8(e, 0x58 | (unsigned)(g->reg_temp & 7)); /* pop temp */
    g->b->done_offsets[in - g->insns] = urd_gen_offset(g, e->at);
    if (in->ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && in->ops[0].imm.value.u)
        emit_lea(e, RSP, EMIT_AT(RSP, in->ops[0].imm.value.u));
}

static void emit_branch(struct gen *g, const struct insn *in)
{
    struct emit *e = &g->hot;
    uint64_t next = in->pc + in->length;
    uint8_t opcode = in->z.opcode;
    if (in->z.opcode_map == ZYDIS_OPCODE_MAP_0F || (opcode & 0xf0) == 0x70) {
        edge(g, opcode & 15, in->target);
        edge(g, -1, next);
        return;
    }
    /* loop, loope, loopne, jrcxz, jecxz */
    if (in->z.address_width == 32)
        emit_u8(e, 0x67);
    uint8_t *taken = emit_jump8(e, opcode);
    edge(g, -1, next);
    emit_here(e, taken);
    edge(g, -1, in->target);
}

static void emit_end(struct gen *g, const struct insn *in, uint64_t next)
{
    switch (in ? in->kind : INSN_COPY) {
    case INSN_JUMP:
        finish_log(g);
        unspill_all(g);
        edge(g, -1, in->target);
        break;
    case INSN_BRANCH:
        finish_log(g);
        unspill_all(g);
        emit_branch(g, in);
        break;
    case INSN_CALL:
        emit_call(g, in);
        finish_log(g);
        unspill_all(g);
        edge(g, -1, in->target);
        break;
    case INSN_CALL_INDIRECT:
        emit_target(g, in);
        emit_call(g, in);
        finish_log(g);
        urd_gen_indirect(g, g->reg_temp);
        break;
    case INSN_JUMP_INDIRECT:
        emit_target(g, in);
        g->b->done_offsets[in - g->insns] = urd_gen_offset(g, g->hot.at);
        finish_log(g);
        urd_gen_indirect(g, g->reg_temp);
        break;
    case INSN_RET:
        emit_ret(g, in);
        finish_log(g);
        urd_gen_indirect(g, g->reg_temp);
        break;
    case INSN_SYSCALL:
        finish_log(g);
        unspill_all(g);
        urd_gen_exit(g, &g->hot, URD_EXIT_SYSCALL, in->pc, false);
        break;
    default:
        finish_log(g);
        unspill_all(g);
        edge(g, -1, next);
    }
}

static void emit_body(struct gen *g)
{
    struct block *b = g->b;
    for (unsigned i = 0; i < g->n_insns; i++) {
        const struct insn *in = &g->insns[i];
        b->insn_offsets[i] = urd_gen_offset(g, g->hot.at);
        struct urd_slot slot;
        if (in->kind == INSN_REP) {
            urd_gen_rep(g, in);
        } else if (in->kind == INSN_COPY && g->log && urd_insn_slot(in, &slot)) {
            urd_gen_spill(g, g->reg_temp);
            if (needs_temp2(in, true))
                urd_gen_spill(g, g->reg_temp2);
            urd_gen_logged(g, in);
            g->log_at += urd_slot_bytes(&slot);
        } else if (in->kind == INSN_COPY) {
            urd_gen_copy(g, in);
        }
        if (!b->done_offsets[i])
            b->done_offsets[i] = urd_gen_offset(g, g->hot.at);
    }
}

static unsigned record_bytes(const struct block *b)
{
    unsigned bytes = 8;
    for (unsigned i = 0; i < b->pub.n_slots; i++) {
        bytes += urd_slot_bytes(&b->pub.slots[i]);
        if (b->pub.slots[i].kind == URD_SLOT_REP)
            bytes += MAX_REP_BYTES;
    }
    return bytes;
}

static void start(struct gen *g, const struct insn *insns, unsigned n)
{
    struct demand d = {0};
    struct allocation a;
    for (unsigned i = 0; i < n; i++)
        d = demand_of(d, &insns[i], g->log);
    /* Every anchor and temp2 is spilled where it is first used. */
    bool enough = allocate(d, g->log, &a);
    urd_check(enough, "one instruction uses every register");
    g->reg_log = a.log;
    g->reg_temp = a.temp;
    g->reg_temp2 = a.temp2;
    g->reg_anchor = a.anchor;
    g->b->insn_offsets = urd_xcalloc(n + 1, sizeof *g->b->insn_offsets);
    g->b->done_offsets = urd_xcalloc(n + 1, sizeof *g->b->done_offsets);
}

static void keep_going_edges(struct gen *g, uint64_t *next, unsigned *n_next)
{
    /* The last jump's target first: if it is translated next the jump is left out. */
    *n_next = 0;
    for (unsigned i = g->n_edges; i-- > 0;)
        next[(*n_next)++] = g->edges[i].pc;
}

struct block *urd_block_build(struct urd_translator *t, uint64_t pc,
                              const struct urd_code_reader *reader, uint64_t ret_next[3],
                              unsigned *ret_n_next)
{
    static __thread struct insn insns[MAX_INSNS];
    bool unreadable, step_next;
    unsigned n = urd_block_decode(t, pc, reader, insns, &unreadable, &step_next);
    if (!n && unreadable)
        return NULL;
    struct block *b = urd_xcalloc(1, sizeof *b);
    struct gen g = {.t = t, .b = b, .insns = insns, .n_insns = n, .n_edges = 0,
                    .log = t->probes & URD_PROBE_LOG, .count = t->probes & URD_PROBE_COUNT,
                    .hot = {t->map + t->hot}, .cold = {t->map + t->cold}};
    b->pub.pc = pc;
    b->pub.id = t->n_blocks;
    urd_block_describe(b, insns, n);
    if (t->last_fall && t->last_fall_pc == pc && t->last_fall + 4 == t->hot && !g.count) {
        /* The block before ends with a jump to here, and nobody runs it yet. */
        g.hot.at -= 5;
        urd_cache_forget_edge(t, pc, t->last_fall);
    }
    start(&g, insns, n);
    bool stop = urd_map_get(&t->stops, pc), cut = t->cut && t->cut == pc;
    uint8_t *out = g.count && n && !stop && !cut ? emit_out_of_budget(&g) : NULL;
    emit_align_patch(&g.hot, 0, 5);
    b->hot = urd_gen_offset(&g, g.hot.at);
    b->pub.cache = URD_CACHE_BASE + b->hot;
    if (stop)
        urd_gen_exit(&g, &g.hot, URD_EXIT_STOP, pc, true);
    if (cut)
        emit_cut_test(&g);
    if (n) {
        if (g.log)
            emit_log_entry(&g, record_bytes(b));
        if (g.count)
            emit_count(&g, out);
        /* An entry is patched to a 5-byte jump when the block is invalidated. */
        bool long_first = insns[0].kind == INSN_COPY && !insns[0].rip_relative && insns[0].length >= 5;
        if (g.hot.at == t->map + b->hot && !long_first)
            emit_nop(&g.hot, 5);
        emit_body(&g);
    }
    if (n) {
        const struct insn *last = &insns[n - 1];
        emit_end(&g, last, last->pc + last->length);
        keep_going_edges(&g, ret_next, ret_n_next);
        if (last->kind == INSN_CALL || last->kind == INSN_CALL_INDIRECT || last->kind == INSN_SYSCALL)
            ret_next[(*ret_n_next)++] = last->pc + last->length;
    } else {
        urd_gen_exit(&g, &g.hot, URD_EXIT_STEP, pc, false);
        t->stats.unknown_insns++;
        *ret_n_next = 0;
    }
    b->insn_offsets[n] = n ? b->done_offsets[n - 1] : b->hot;
    b->hot_end = urd_gen_offset(&g, g.hot.at);
    if (!g.count)
        b->counted = n ? b->insn_offsets[0] : b->hot_end;
    b->n_events = g.n_events;
    b->events = urd_xcalloc(g.n_events + 1, sizeof *b->events);
    memcpy(b->events, g.events, g.n_events * sizeof *b->events);
    for (unsigned i = 0; i < g.n_edges; i++)
        urd_cache_edge(&g, g.edges[i].pc, g.edges[i].branch);
    t->last_fall = g.n_edges ? g.edges[g.n_edges - 1].branch : 0;
    t->last_fall_pc = g.n_edges ? g.edges[g.n_edges - 1].pc : 0;
    t->hot = urd_gen_offset(&g, g.hot.at);
    t->cold = urd_gen_offset(&g, g.cold.at);
    return b;
}
