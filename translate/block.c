/*
 * One block: from decoded instructions to code in the cache.
 *
 * A block is decoded first, and ends early where it would run out of registers: every register that
 * instrumentation needs over the whole block must be one that no instruction of it mentions. The log
 * pointer, the steps left and one scratch register are carried from block to block; their application
 * values stay in their homes all the while. Two blocks that chose the same registers are linked
 * body to body; otherwise a branch leaves through cold code that gives up what is carried, and comes
 * in by the target's entry, which takes up its own.
 *
 *     entry (cold):  [cut test]  [stop]           exits that resume right behind themselves
 *                    mov gs:[home r11], r11;  mov gs:[home r10], r10;  mov r11, gs:[log_pos]
 *                    jmp body
 *     body (hot):    mov qword [r11], id          LOG: r11 is the record
 *                    mov r10, [r11+size-8]        faults in the guard when the record does not fit
 *                    lea r15, [r15-n]             COUNT: r15 is the steps left
 *                    mov r10, r15; bswap r10; movsx r10, r10b     its sign, and (not with COVER)
 *                    mov r10, gs:[r10*8]          a fault below the context when that is negative
 *                    mov byte gs:[cover+id], 1    COVER
 *                    the instructions, each followed by the stores of its slot
 *                    jcc side                     a branch in the middle; LOG only
 *                    lea r11, [r11+size]
 *                    jcc taken                    rel32s that lie within 8 aligned bytes and are patched
 *                    jmp fall-through             left out when that block's body follows right here
 *     leave (cold):  mov gs:[log_pos], r11; mov r11, gs:[home r11]; mov r10, gs:[home r10]
 *                    jmp entry of another block, or to the tool
 *     side (cold):   mov qword [r11], id          of the block that ends with this branch
 *                    lea r11, [r11+size so far];  jmp taken
 *
 * So a block runs past forward branches that are not taken, and what ran is told by the id at its end: each branch that is
 * taken has one of its own, that of a block which is the beginning of this one (struct block.side).
 *
 * A block that follows pieces (urd_translate_follow) goes on behind transfers, too: a branch that is to be taken has its opposite
 * for the way out; behind a return, or an indirect jump or call, r10 has the target and
 *
 *                    mov rcx, -expected;  lea rcx, [rcx+r10];  jrcxz on;  jmp side;  on: mov rcx, gs:[home rcx]
 *
 * and that side ends as such a block would. Where the instructions need the registers that instrumentation has, it moves to others:
 *
 *                    mov gs:[home r15], r15;  mov gs:[home r14], r14;  mov r15, r11
 *                    mov r11, gs:[home r11];  mov r10, gs:[home r10]
 *
 * Both faults are turned into exits by urd_translate_log_full. Rejected: compares and branches, for they
 * need the flags or rcx; keeping log_pos in memory (four more instructions and three more stores a
 * block, half as fast on bzip2).
 */
#include "translate/internal.h"

/* ---- the entry and the beginning of the body ---- */

/* Leave the test unless rcx == rdx: with ~rcx in rcx, rdx + ~rcx + 1 is 0 then. */
static uint8_t *emit_unequal(struct emit *e, int reg)
{
    emit_bytes(e, "\x48\xf7\xd1", 3); /* not rcx */
    emit_lea(e, RCX, (struct emit_mem){reg, RCX, 1, 1});
    uint8_t *equal = emit_jump8(e, 0xe3);
    emit_u8(e, 0xe9);
    emit_u32(e, 0);
    uint8_t *unequal = e->at;
    emit_here(e, equal);
    return unequal;
}

static uint8_t *emit_word_unequal(struct emit *e, unsigned i)
{
    emit_ctx_load(e, RDX, (unsigned)offsetof(struct urd_context, cut_words[0].address) + 16 * i);
    emit_load(e, RDX, EMIT_AT(RDX, 0));
    emit_ctx_load(e, RCX, (unsigned)offsetof(struct urd_context, cut_words[0].value) + 16 * i);
    return emit_unequal(e, RDX);
}

/* All registers are the subject's, and are again afterwards. The first words tell most states apart, where there are any
 * that the next instructions write; then the registers do. */
static void emit_cut_test(struct gen *g)
{
    struct emit *e = &g->cold;
    enum { FIRST_WORDS = 2 };
    unsigned n_words = g->t->cut_words, n = 0;
    uint8_t *unequal[16 + sizeof((struct urd_context *)0)->cut_words / 16];
    emit_ctx_store(e, RCX, urd_ctx_scratch(RCX));
    emit_ctx_store(e, RDX, urd_ctx_scratch(RDX));
    for (unsigned i = 0; i < n_words && i < FIRST_WORDS; i++)
        unequal[n++] = emit_word_unequal(e, i);
    for (int r = 0; r < 16; r++) {
        if (r == RCX || r == RDX)
            emit_ctx_load(e, RDX, urd_ctx_scratch(r));
        emit_ctx_load(e, RCX, (unsigned)offsetof(struct urd_context, cut_regs) + 8u * (unsigned)r);
        unequal[n++] = emit_unequal(e, r == RCX ? RDX : r);
    }
    for (unsigned i = FIRST_WORDS; i < n_words; i++)
        unequal[n++] = emit_word_unequal(e, i);
    emit_ctx_load(e, RDX, urd_ctx_scratch(RDX));
    emit_ctx_load(e, RCX, urd_ctx_scratch(RCX));
    urd_gen_exit(g, e, URD_EXIT_CUT, g->b->pub.pc, true);
    uint8_t *over = emit_jump8(e, 0xeb);
    while (n--) {
        uint32_t distance = (uint32_t)(e->at - unequal[n]);
        memcpy(unequal[n] - 4, &distance, 4);
    }
    emit_ctx_load(e, RDX, urd_ctx_scratch(RDX));
    emit_ctx_load(e, RCX, urd_ctx_scratch(RCX));
    emit_here(e, over);
}

/* Nothing in it can be interrupted by a fault. */
static void emit_entry(struct gen *g, bool stop, bool cut)
{
    struct emit *e = &g->cold;
    struct block *b = g->b;
    while ((uintptr_t)e->at & 7)
        emit_u8(e, 0xcc);
    b->entry = urd_gen_offset(g, e->at);
    if (cut) /* first: an interval that ends here does not run the instruction at which others want to stop */
        emit_cut_test(g);
    if (stop)
        urd_gen_exit_stop(g, e, b->pub.pc);
    if (!g->n_insns) {
        urd_gen_exit(g, e, URD_EXIT_STEP, b->pub.pc, false);
        return;
    }
    urd_gen_enter(e, g->carries);
    urd_gen_jump(g, e, b->hot);
}

/* The first instruction has at least 5 bytes: a jump takes its place when the block is invalidated.
 */
static void emit_log_start(struct gen *g, unsigned record_bytes)
{
    struct emit *e = &g->hot;
    emit_store_imm(e, (int32_t)g->b->pub.id, EMIT_AT(g->reg_log, 0));
    if (record_bytes > 8)
        emit_load(e, g->reg_temp, EMIT_AT(g->reg_log, record_bytes - 8));
    g->log_at = 8;
}

static void emit_count(struct gen *g)
{
    struct emit *e = &g->hot;
    int c = g->reg_count, t = g->reg_temp;
    /* lea c, [c - n] with a disp32: see above */
    emit_u8(e, 0x48 | (c >= 8 ? 5 : 0));
    emit_u8(e, 0x8d);
    emit_u8(e, 0x80 | (unsigned)(c & 7) << 3 | (unsigned)(c & 7));
    if ((c & 7) == 4)
        emit_u8(e, 0x24);
    emit_u32(e, (uint32_t) - (int)g->n_insns);
    g->b->counted = urd_gen_offset(g, e->at);
    if (g->t->probes & URD_PROBE_COVER)
        return;
    emit_mov(e, t, c);
    emit_u8(e, 0x48 | (t >= 8)); /* bswap t */
    emit_u8(e, 0x0f);
    emit_u8(e, 0xc8 | (unsigned)(t & 7));
    emit_u8(e, 0x48 | (t >= 8 ? 5 : 0)); /* movsx t, t(8) */
    emit_u8(e, 0x0f);
    emit_u8(e, 0xbe);
    emit_u8(e, 0xc0 | (unsigned)(t & 7) << 3 | (unsigned)(t & 7));
    emit_op_mem(e, 0x65, 0x8b, 8, t, (struct emit_mem){-1, t, 8, 0});
}

static void emit_cover(struct gen *g)
{
    struct emit *e = &g->hot;
    uint32_t id = g->b->pub.id < URD_COVER_BYTES ? g->b->pub.id : URD_COVER_BYTES - 1;
    emit_bytes(e, "\x65\xc6\x04\x25", 4); /* mov byte gs:[disp32], 1 */
    emit_u32(e, (uint32_t)(URD_COVER_BASE - URD_CONTEXT_BASE) + id);
    emit_u8(e, 1);
}

/* ---- the end ---- */

/* All but what is carried becomes the subject's; the record is complete. */
static void finish(struct gen *g)
{
    if (g->carries.log >= 0)
        emit_lea(&g->hot, g->reg_log, EMIT_AT(g->reg_log, g->log_at));
    for (int r = 0; r < 16; r++)
        if (!(urd_carried_mask(g->carries) >> r & 1))
            urd_gen_unspill(g, r);
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
    if (g->log && !g->reads)
        urd_gen_log_sp(g);
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
    if (g->log)
        urd_gen_log_sp(g);
    if (g->reg_temp >= 8)
        emit_u8(e, 0x41);
    emit_u8(e, 0x58 | (unsigned)(g->reg_temp & 7)); /* pop temp */
    g->b->done_offsets[in - g->insns] = urd_gen_offset(g, e->at);
    if (in->ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && in->ops[0].imm.value.u)
        emit_lea(e, RSP, EMIT_AT(RSP, in->ops[0].imm.value.u));
}

/* Behind emit_target. */
static void emit_jump_indirect(struct gen *g, const struct insn *in)
{
    g->b->done_offsets[in - g->insns] = urd_gen_offset(g, g->hot.at);
    if (g->log && !g->reads)
        urd_gen_log_sp(g);
}

/* Before a conditional branch, which cannot fault, so the count is exact wherever the subject may stop. Nothing else counts:
 * trace/counter.h. It is in memory: a register for it would make blocks shorter, in traces that have no use for it as well. */
static void emit_branch_count(struct gen *g)
{
    struct emit *e = &g->hot;
    int t = g->reg_temp;
    unsigned at = offsetof(struct urd_context, branches);
    if (!(g->t->probes & URD_PROBE_BRANCHES))
        return;
    if (!carried_any(g->carries))
        emit_ctx_store(e, t, urd_ctx_scratch(t));
    emit_ctx_load(e, t, at);
    emit_lea(e, t, EMIT_AT(t, 1));
    emit_ctx_store(e, t, at);
    if (!carried_any(g->carries))
        emit_ctx_load(e, t, urd_ctx_scratch(t));
}

static void emit_branch(struct gen *g, const struct insn *in)
{
    struct emit *e = &g->hot;
    uint64_t next = in->pc + in->length;
    uint8_t opcode = in->z.opcode;
    emit_branch_count(g);
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
    switch (in->kind) {
    case INSN_JUMP:
        finish(g);
        edge(g, -1, in->target);
        break;
    case INSN_BRANCH:
        finish(g);
        emit_branch(g, in);
        break;
    case INSN_CALL:
        emit_call(g, in);
        finish(g);
        edge(g, -1, in->target);
        break;
    case INSN_CALL_INDIRECT:
    case INSN_JUMP_INDIRECT:
    case INSN_RET:
        if (in->kind != INSN_RET && g->reads)
            urd_gen_reads_before(g, in);
        if (in->kind == INSN_RET)
            emit_ret(g, in);
        else
            emit_target(g, in);
        if (in->kind == INSN_CALL_INDIRECT)
            emit_call(g, in);
        if (in->kind == INSN_JUMP_INDIRECT)
            emit_jump_indirect(g, in);
        if (g->log)
            emit_lea(&g->hot, g->reg_log, EMIT_AT(g->reg_log, g->log_at));
        urd_gen_indirect(g);
        break;
    case INSN_SYSCALL:
        finish(g);
        urd_gen_leave(&g->hot, g->carries);
        urd_gen_exit_call(g, &g->hot, in->pc);
        urd_gen_enter(&g->hot, g->carries);
        edge(g, -1, next);
        break;
    default:
        finish(g);
        edge(g, -1, next);
    }
}

/* A way out of the middle of the block, by a branch that is there now. */
static void add_side(struct gen *g, const struct insn *in, uint64_t pc, uint32_t branch)
{
    g->sides[g->n_sides++] = (struct side){.pc = pc,
                                           .branch = branch,
                                           .n_insns = (unsigned)(in - g->insns) + 1,
                                           .log_at = g->log_at,
                                           .spilled = g->spilled,
                                           .carries = g->carries,
                                           .indirect = in->kind != INSN_BRANCH};
}

/* Leave unless the address in temp is where the block goes on. */
static void emit_guard(struct gen *g, const struct insn *in)
{
    struct emit *e = &g->hot;
    urd_gen_spill(g, RCX);
    emit_mov_imm(e, RCX, -in->to);
    emit_lea(e, RCX, (struct emit_mem){g->reg_temp, RCX, 1, 0});
    uint8_t *same = emit_jump8(e, 0xe3);
    add_side(g, in, 0, urd_gen_branch(g, e, -1));
    emit_here(e, same);
    urd_gen_unspill(g, RCX);
}

/* A transfer in the middle of the block. */
static void emit_followed(struct gen *g, const struct insn *in)
{
    bool taken = in->to != in->pc + in->length;
    switch (in->kind) {
    case INSN_BRANCH:
        emit_branch_count(g);
        add_side(g, in, taken ? in->pc + in->length : in->target,
                 urd_gen_branch(g, &g->hot, (in->z.opcode & 15) ^ taken));
        break;
    case INSN_CALL:
        emit_call(g, in);
        break;
    case INSN_CALL_INDIRECT:
        emit_target(g, in);
        emit_call(g, in);
        emit_guard(g, in);
        break;
    case INSN_JUMP_INDIRECT:
        emit_target(g, in);
        emit_jump_indirect(g, in);
        emit_guard(g, in);
        break;
    case INSN_RET:
        emit_ret(g, in);
        emit_guard(g, in);
        break;
    default: /* a jump: what it leads to follows */
        break;
    }
}

/* The pieces of the first n_insns. */
static void cut_pieces(struct urd_block *b, enum urd_block_end end)
{
    struct urd_block_piece *pieces = urd_xcalloc(b->n_pieces, sizeof *pieces);
    unsigned n = 0, left = b->n_insns, at = 0;
    for (; left; n++) {
        struct urd_block_piece *p = &pieces[n];
        *p = b->pieces[n];
        p->n_insns = (uint8_t)(p->n_insns < left ? p->n_insns : left);
        p->bytes = 0;
        for (unsigned i = 0; i < p->n_insns; i++)
            p->bytes += b->insn_lengths[at++];
        left -= p->n_insns;
    }
    pieces[n - 1].end = (uint8_t)end;
    b->pieces = pieces;
    b->n_pieces = (uint8_t)n;
}

static uint32_t add_side_block(struct gen *g, unsigned n_insns)
{
    struct urd_translator *t = g->t;
    struct block *b = urd_xcalloc(1, sizeof *b);
    b->pub = g->b->pub;
    b->side = true;
    b->pub.id = t->n_blocks;
    b->pub.n_insns = (uint8_t)n_insns;
    b->pub.end = (uint8_t)urd_plan_end(&g->insns[n_insns - 1]);
    cut_pieces(&b->pub, b->pub.end);
    while (b->pub.n_slots && b->pub.slots[b->pub.n_slots - 1].insn >= n_insns)
        b->pub.n_slots--;
    URD_PUSH(t->blocks, t->n_blocks, t->blocks_capacity) = b;
    return b->pub.id;
}

/* To the address in temp, from cold code: as at the block's end, but for the place. */
static void emit_side_indirect(struct gen *g, const struct side *s)
{
    struct emit hot = g->hot;
    g->hot = g->cold;
    g->cold = hot;
    g->cold_only = true;
    g->spilled = s->spilled;
    urd_gen_indirect(g);
    hot = g->cold;
    g->cold = g->hot;
    g->hot = hot;
    g->cold_only = false;
}

/* Where the block is left in the middle. */
static void emit_sides(struct gen *g)
{
    struct emit *e = &g->cold;
    for (unsigned i = 0; i < g->n_sides; i++) {
        const struct side *s = &g->sides[i];
        g->carries = s->carries;
        g->reg_log = s->carries.log;
        g->reg_temp = s->carries.temp;
        urd_gen_branch_to(g->t, s->branch, urd_gen_offset(g, e->at));
        emit_store_imm(e, (int32_t)add_side_block(g, s->n_insns), EMIT_AT(g->reg_log, 0));
        emit_lea(e, g->reg_log, EMIT_AT(g->reg_log, s->log_at));
        if (s->indirect) {
            emit_side_indirect(g, s);
            continue;
        }
        uint16_t homes = s->spilled & (uint16_t)~urd_carried_mask(s->carries);
        for (int r = 0; r < 16; r++)
            if (homes >> r & 1)
                emit_ctx_load(e, r, urd_ctx_scratch(r));
        uint32_t branch = urd_gen_branch(g, e, -1);
        urd_cache_edge(g->t, e, s->pc, branch, s->carries);
    }
}

/* ---- the body ---- */

static struct allocation allocate(const struct gen *g, unsigned first, struct carried hint)
{
    struct demand d = {0};
    struct allocation a;
    unsigned i = first;
    do {
        d = urd_plan_demand(d, &g->insns[i], g->log);
    } while (++i < g->n_insns && !g->insns[i].window);
    bool enough = urd_plan_allocate(d, g->t->probes, hint, g->t->standard, &a);
    urd_check(enough, "one instruction uses every register");
    return a;
}

static void use(struct gen *g, struct allocation a)
{
    g->reg_log = a.log;
    g->reg_count = a.count;
    g->reg_temp = a.temp;
    g->reg_temp2 = a.temp2;
    g->reg_anchor = a.anchor;
    g->carries = CARRIED_NONE;
    if (g->log || g->count)
        g->carries = (struct carried){(int8_t)a.log, (int8_t)a.count, (int8_t)a.temp};
}

/* Other registers for instrumentation, from this instruction on. Only where nothing but the log pointer is kept. */
static void emit_window(struct gen *g, unsigned first)
{
    struct allocation a = allocate(g, first, g->carries);
    int log = g->reg_log;
    urd_gen_spill(g, a.log);
    urd_gen_spill(g, a.temp);
    if (a.log != log)
        emit_mov(&g->hot, a.log, log);
    use(g, a);
    urd_gen_note(g);
    for (int r = 0; r < 16; r++)
        if (!(urd_carried_mask(g->carries) >> r & 1))
            urd_gen_unspill(g, r);
    g->anchor_loaded = false;
}

static void emit_body(struct gen *g)
{
    struct block *b = g->b;
    for (unsigned i = 0; i < g->n_insns; i++) {
        const struct insn *in = &g->insns[i];
        b->insn_offsets[i] = urd_gen_offset(g, g->hot.at);
        if (in->window && i)
            emit_window(g, i);
        while (g->slot < b->pub.slots + b->pub.n_slots && g->slot->insn < i)
            g->slot++;
        struct urd_slot unused;
        if (g->reads && (in->kind == INSN_COPY || in->kind == INSN_REP)) {
            urd_gen_reads_before(g, in);
            urd_gen_copy(g, in);
            b->done_offsets[i] = urd_gen_offset(g, g->hot.at);
            urd_gen_reads_after(g, in);
        } else if (in->kind == INSN_REP) {
            urd_gen_rep(g, in);
        } else if (in->kind == INSN_COPY && g->log && urd_insn_slot(in, &unused)) {
            if (urd_plan_needs_temp2(in, true))
                urd_gen_spill(g, g->reg_temp2);
            urd_gen_logged(g, in);
            g->log_at += urd_slot_bytes(g->slot);
        } else if (in->kind == INSN_COPY) {
            urd_gen_copy(g, in);
        } else if (i + 1 < g->n_insns) {
            emit_followed(g, in);
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

static void start(struct gen *g, struct carried hint)
{
    use(g, g->n_insns ? allocate(g, 0, hint) : (struct allocation){-1, -1, -1, -1, -1});
    g->b->carries = g->carries;
    g->slot = g->b->pub.slots;
    g->b->insn_offsets = urd_xcalloc(g->n_insns + 1, sizeof *g->b->insn_offsets);
    g->b->done_offsets = urd_xcalloc(g->n_insns + 1, sizeof *g->b->done_offsets);
}

/* The block before may end with a jump to here, and nobody runs it yet: leave that out. */
static bool join(struct gen *g, bool plain_entry)
{
    struct urd_translator *t = g->t;
    if (!t->last_fall.branch || t->last_fall.pc != g->b->pub.pc ||
        t->last_fall.branch + 4 != t->hot || !plain_entry ||
        !carried_same(t->last_fall.carries, g->carries))
        return false;
    g->hot.at -= 5;
    urd_cache_forget_edge(t, g->b->pub.pc, t->last_fall.branch);
    return true;
}

/* The block's ways in. */
static void emit_entries(struct gen *g, bool stop, bool cut, bool indirect)
{
    struct block *b = g->b;
    bool plain_entry = g->n_insns && !stop && !cut;
    bool joined = join(g, plain_entry);
    b->accepts = plain_entry ? g->carries : CARRIED_NONE;
    /* An indirect branch falls from its own entry into the body, when it can. */
    bool hot = indirect && !joined && plain_entry &&
               (!carried_any(g->carries) || carried_same(g->carries, g->t->standard));
    if (hot)
        urd_gen_indirect_entry(g, &g->hot);
    emit_align_patch(&g->hot, 0, 5);
    b->hot = urd_gen_offset(g, g->hot.at);
    if (plain_entry && !carried_any(g->carries))
        b->entry = b->hot;
    else
        emit_entry(g, stop, cut);
    b->pub.cache = URD_CACHE_BASE + b->entry;
    if (!hot)
        urd_gen_indirect_entry(g, &g->cold);
}

static void emit_block(struct gen *g)
{
    const struct insn *last = &g->insns[g->n_insns - 1];
    struct block *b = g->b;
    g->spilled = urd_carried_mask(g->carries);
    urd_gen_note(g);
    if (g->log)
        emit_log_start(g, record_bytes(b));
    if (g->count)
        emit_count(g);
    if (g->t->probes & URD_PROBE_COVER)
        emit_cover(g);
    bool long_first =
        g->insns[0].kind == INSN_COPY && !g->insns[0].rip_relative && g->insns[0].length >= 5;
    if (!g->log && !g->count && !long_first)
        emit_nop(&g->hot, 5);
    b->body = urd_gen_offset(g, g->hot.at);
    if (!g->count)
        b->counted = b->body;
    emit_body(g);
    emit_end(g, last, last->pc + last->length);
    struct carried carries = g->carries;
    emit_sides(g);
    g->carries = carries; /* of the edges */
    b->insn_offsets[g->n_insns] = b->done_offsets[g->n_insns - 1];
}

static void link_edges(struct gen *g, uint64_t *next, unsigned *n_next)
{
    struct urd_translator *t = g->t;
    /* The last jump's target first: if it is translated next the jump is left out. Ways out of the middle are seldom taken. */
    *n_next = 0;
    for (unsigned i = g->n_edges; i-- > 0;)
        next[(*n_next)++] = g->edges[i].pc;
    for (unsigned i = 0; i < g->n_edges; i++)
        urd_cache_edge(t, &g->cold, g->edges[i].pc, g->edges[i].branch, g->carries);
    t->last_fall.branch = 0;
    if (g->n_edges) {
        t->last_fall.branch = g->edges[g->n_edges - 1].branch;
        t->last_fall.pc = g->edges[g->n_edges - 1].pc;
        t->last_fall.carries = g->carries;
    }
}

struct block *urd_block_build(struct urd_translator *t, uint64_t pc,
                              const struct urd_code_reader *reader, struct carried hint,
                              bool indirect, uint64_t ret_next[MAX_NEXT], unsigned *ret_n_next)
{
    static __thread struct insn insns[MAX_INSNS];
    bool unreadable;
    unsigned n = urd_block_decode(t, pc, reader, insns, &unreadable);
    if (!n && unreadable)
        return NULL;
    struct block *b = urd_xcalloc(1, sizeof *b);
    struct gen g = {.t = t,
                    .b = b,
                    .insns = insns,
                    .n_insns = n,
                    .log = t->probes & URD_PROBE_LOG,
                    .reads = t->probes & URD_PROBE_READS,
                    .count = t->probes & URD_PROBE_COUNT,
                    .hot = {t->map + t->hot},
                    .cold = {t->map + t->cold}};
    const struct path *path = urd_plan_path(t, pc);
    b->pub.pc = pc;
    b->pub.id = t->n_blocks;
    b->pub.followed = path != NULL;
    URD_PUSH(t->blocks, t->n_blocks, t->blocks_capacity) = b;
    urd_block_describe(b, insns, n, t->probes);
    hint = path ? path->hint : hint;
    if (t->probes == URD_PROBE_LOG)
        urd_plan_windows(t, insns, n, hint);
    start(&g, hint);
    emit_entries(&g, urd_map_get(&t->stops, pc), t->cut && t->cut == pc, indirect);
    if (n)
        emit_block(&g);
    else
        t->stats.unknown_insns++;
    b->hot_end = urd_gen_offset(&g, g.hot.at);
    b->n_events = g.n_events;
    b->events = urd_xcalloc(g.n_events + 1, sizeof *b->events);
    memcpy(b->events, g.events, g.n_events * sizeof *b->events);
    link_edges(&g, ret_next, ret_n_next);
    if (n && (insns[n - 1].kind == INSN_CALL || insns[n - 1].kind == INSN_CALL_INDIRECT ||
              insns[n - 1].kind == INSN_SYSCALL))
        ret_next[(*ret_n_next)++] = insns[n - 1].pc + insns[n - 1].length;
    t->hot = urd_gen_offset(&g, g.hot.at);
    t->cold = urd_gen_offset(&g, g.cold.at);
    return b;
}
