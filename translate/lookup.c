/*
 * Indirect branches: from a subject address to a place in the cache, without the tool.
 *
 * A branch has its target in the standard scratch register (r10) and ends with
 *
 *     mov gs:[home rcx], rcx
 *     pext rcx, r10, [18 low bits]     the hash; neither this nor movzx ecx, r10w touches a flag
 *     jmp gs:[rcx*8 + direct table]    the table is in reach of %gs with a disp32
 *
 * and each block has an entry for such jumps that makes sure it is the right one (right before the body
 * when indirect branches are likely to come, else in the cold part):
 *
 *     mov rcx, -pc; lea rcx, [rcx+r10]; jrcxz ok; jmp probe
 *     ok: mov rcx, gs:[home rcx]; jmp body
 *
 * When two addresses share a hash one of them has the direct table; the other is found by `probe`, which
 * searches the bucket table: entries {-pc, cache address of its ok}, 4 to a bucket of one cache line,
 * the bucket chosen by the low 16 bits. Full buckets spill into the next ones; the tail behind
 * the last bucket stops that from wrapping round. Key 0 is an empty entry and ends a probe; key 1 (pc -1)
 * is one that was removed. A miss leaves for the tool with all registers and exit_pc.
 *
 * In the tables are the addresses that an indirect branch has missed, and those behind calls.
 * What is carried (internal.h) stays in its registers, if they are the standard ones.
 */
#include "translate/internal.h"

struct way {
    uint64_t negative_pc, cache;
};

enum { REMOVED = 1, OK_OFFSET = 21 /* of `ok` within a block's entry for indirect branches */ };

static uint64_t *direct(struct urd_translator *t, uint64_t pc)
{
    return (uint64_t *)(void *)t->map + (pc & t->hash_mask);
}

static struct way *bucket(struct urd_translator *t, uint64_t pc)
{
    return (struct way *)(void *)(t->map + BUCKETS_START + (pc & 0xffff) * 64);
}

void urd_table_reset(struct urd_translator *t)
{
    for (uint64_t i = 0; i <= t->hash_mask; i++)
        *direct(t, i) = URD_CACHE_BASE + t->probe;
    if (t->n_table)
        memset(t->map + BUCKETS_START, 0, BUCKETS_BYTES);
    t->n_table = 0;
    bucket(t, 0)->negative_pc = REMOVED; /* pc 0 must not match an empty entry */
}

void urd_table_put(struct urd_translator *t, const struct block *b, bool wanted)
{
    uint64_t pc = b->pub.pc, cache = URD_CACHE_BASE + b->indirect;
    struct way *end = (struct way *)(void *)(t->map + BUCKETS_START + BUCKETS_BYTES) - 1,
               *hole = NULL;
    for (struct way *w = bucket(t, pc); w < end; w++) {
        if (w->negative_pc == -pc)
            return; /* the tool enters blocks for other reasons, too */
        if (w->negative_pc == REMOVED && w != bucket(t, 0) && !hole)
            hole = w;
        if (w->negative_pc)
            continue;
        if (!hole)
            hole = w;
        break;
    }
    if (wanted || *direct(t, pc) == URD_CACHE_BASE + t->probe)
        __atomic_store_n(direct(t, pc), cache, __ATOMIC_RELEASE);
    if (!hole)
        return; /* the tail is full: such a target may miss each time, until the next flush */
    /* Others may be probing: the address before the key that makes it count. */
    __atomic_store_n(&hole->cache, cache + OK_OFFSET, __ATOMIC_RELEASE);
    __atomic_store_n(&hole->negative_pc, -pc, __ATOMIC_RELEASE);
    t->n_table++;
}

void urd_table_remove(struct urd_translator *t, const struct block *b)
{
    uint64_t pc = b->pub.pc;
    if (*direct(t, pc) == URD_CACHE_BASE + b->indirect)
        __atomic_store_n(direct(t, pc), URD_CACHE_BASE + t->probe, __ATOMIC_RELEASE);
    struct way *end = (struct way *)(void *)(t->map + BUCKETS_START + BUCKETS_BYTES) - 1;
    for (struct way *w = bucket(t, pc); w < end && w->negative_pc; w++)
        if (w->negative_pc == -pc) {
            w->negative_pc = REMOVED;
            return;
        }
}

/* pext rcx, reg, mask: neither it nor movzx touches a flag */
static void emit_hash(struct gen *g, struct emit *e, int reg)
{
    uint8_t op[4] = {0xc4, 0xe2, (uint8_t)(0x80 | (~(unsigned)reg & 15) << 3 | 2), 0xf5};
    urd_gen_load_constant_op(g, e, op, 4, RCX, g->t->hash_mask);
}

/* movzx ecx, reg(16) */
static void emit_low16(struct emit *e, int reg)
{
    if (reg >= 8)
        emit_u8(e, 0x41);
    emit_u8(e, 0x0f);
    emit_u8(e, 0xb7);
    emit_u8(e, 0xc0 | RCX << 3 | (unsigned)(reg & 7));
}

void urd_gen_indirect(struct gen *g)
{
    struct emit *e = &g->hot;
    struct carried standard = g->t->standard;
    int target = standard.temp;
    if (carried_any(g->carries) && !carried_same(g->carries, standard)) {
        emit_ctx_store(e, g->reg_temp, urd_ctx_scratch(SCRATCH_TARGET));
        urd_gen_leave(e, g->carries);
        g->spilled &= (uint16_t)~urd_carried_mask(g->carries);
        urd_gen_note(g);
        urd_gen_enter(e, standard);
        g->spilled |= urd_carried_mask(standard);
        urd_gen_note(g);
        emit_ctx_load(e, target, urd_ctx_scratch(SCRATCH_TARGET));
    } else if (g->reg_temp != target) {
        urd_gen_spill(g, target);
        emit_mov(e, target, g->reg_temp);
    }
    for (int r = 0; r < 16; r++)
        if (r != RCX && !(urd_carried_mask(standard) >> r & 1))
            urd_gen_unspill(g, r);
    urd_gen_spill(g, RCX);
    if (g->t->hash_mask == 0xffff)
        emit_low16(e, target);
    else
        emit_hash(g, e, target);
    emit_op_mem(e, 0x65, 0xff, 4, 4,
                (struct emit_mem){-1, RCX, 8, (int32_t)(URD_CACHE_BASE - URD_CONTEXT_BASE)});
}

void urd_gen_indirect_entry(struct gen *g, struct emit *e)
{
    struct block *b = g->b;
    struct carried standard = g->t->standard;
    b->indirect = urd_gen_offset(g, e->at);
    emit_u8(e, 0x48);
    emit_u8(e, 0xb9);
    emit_u64(e, -b->pub.pc);
    emit_lea(e, RCX, (struct emit_mem){standard.temp, RCX, 1, 0});
    uint8_t *ok = emit_jump8(e, 0xe3);
    urd_gen_jump(g, e, g->t->probe);
    emit_here(e, ok);
    urd_check(urd_gen_offset(g, e->at) == b->indirect + OK_OFFSET, "entry for indirect branches");
    emit_ctx_load(e, RCX, urd_ctx_scratch(RCX));
    if (carried_any(standard) && carried_same(standard, b->accepts)) {
        if (e != &g->hot)
            urd_gen_jump(g, e, b->hot);
        return;
    }
    urd_gen_leave(e, standard);
    if (e != &g->hot)
        urd_gen_jump(g, e, b->entry);
}

/* rcx is spilled and so is what is standard; the target is in the standard scratch register. */
void urd_gen_probe(struct gen *g)
{
    struct emit *e = &g->cold;
    int target = g->t->standard.temp;
    emit_ctx_store(e, RDX, urd_ctx_scratch(RDX));
    emit_low16(e, target);
    emit_bytes(e, "\x48\x8d\x15", 3); /* lea rdx, [rip + buckets] */
    emit_u32(e, BUCKETS_START - (urd_gen_offset(g, e->at) + 4));
    emit_lea(e, RCX, (struct emit_mem){-1, RCX, 8, 0});
    emit_lea(e, RDX, (struct emit_mem){RDX, RCX, 8, 0});
    uint8_t *top = e->at;
    emit_load(e, RCX, EMIT_AT(RDX, 0));
    uint8_t *miss = emit_jump8(e, 0xe3);
    emit_lea(e, RCX, (struct emit_mem){target, RCX, 1, 0});
    uint8_t *hit = emit_jump8(e, 0xe3);
    emit_lea(e, RDX, EMIT_AT(RDX, sizeof(struct way)));
    emit_u8(e, 0xeb);
    emit_u8(e, (uint8_t)(top - (e->at + 1)));
    emit_here(e, hit);
    emit_load(e, RCX, EMIT_AT(RDX, 8));
    emit_ctx_load(e, RDX, urd_ctx_scratch(RDX));
    emit_bytes(e, "\xff\xe1", 2); /* jmp rcx */
    emit_here(e, miss);
    emit_ctx_load(e, RDX, urd_ctx_scratch(RDX));
    emit_ctx_load(e, RCX, urd_ctx_scratch(RCX));
    emit_ctx_store(e, target, offsetof(struct urd_context, exit_pc));
    urd_gen_leave(e, g->t->standard);
    urd_gen_jump(g, e, g->t->miss_tail);
}
