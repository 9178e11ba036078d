/*
 * Before a block is generated: which instructions it has, and which registers instrumentation gets.
 *
 * Instrumentation may only use registers that no instruction of the block mentions. So a block ends
 * not only at a control transfer, a stop address, or before what must be stepped, but also where
 * its instructions would leave too few registers over. Which ones are taken matters for speed only:
 * blocks that carry the same registers are linked body to body, so the choice is, in this order,
 * what the block that leads here carries; r11 and r10, which compiled code mentions least; the
 * first that are free.
 */
#include "translate/internal.h"
#include <xxhash.h>

/* Registers nothing mentions much in compiled code come first. */
static const int8_t preference[] = {R11, R10, R15, R14, R13, R9,  R12,
                                    R8,  RBP, RBX, RDI, RSI, RDX, RAX};
static const int8_t low_preference[] = {RBP, RBX, RDI, RSI, RDX, RAX};

bool urd_plan_needs_temp2(const struct insn *in, bool log)
{
    if (!log || in->write == WRITE_NONE)
        return false;
    return in->write == WRITE_BIT || in->write == WRITE_MASK_K || in->write == WRITE_MASK_VECTOR ||
           in->write == WRITE_COMPRESS || (in->write == WRITE_READBACK && in->write_bytes > 128) ||
           (in->written && in->written->mem.segment == ZYDIS_REGISTER_FS);
}

struct demand urd_plan_demand(struct demand d, const struct insn *in, bool log)
{
    d.used |= in->used;
    d.anchor |= in->rip_relative;
    d.temp2 |= urd_plan_needs_temp2(in, log);
    d.temp |= d.temp2 || in->kind == INSN_JUMP_INDIRECT || in->kind == INSN_CALL_INDIRECT ||
              in->kind == INSN_RET || in->kind == INSN_BRANCH; /* to count it */
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

static bool take_carried(uint16_t *used, struct carried c, struct allocation *ret)
{
    uint16_t mask = urd_carried_mask(c);
    if (*used & mask)
        return false;
    *used |= mask;
    ret->log = c.log;
    ret->count = c.count;
    ret->temp = c.temp;
    return true;
}

bool urd_plan_allocate(struct demand d, unsigned probes, struct carried hint,
                       struct carried standard, struct allocation *ret)
{
    uint16_t used = d.used | 1 << RSP | 1 << RCX;
    *ret = (struct allocation){-1, -1, -1, -1, -1};
    if (d.anchor && (ret->anchor = take(&used, low_preference, sizeof low_preference)) < 0)
        return false;
    bool carry = probes & (URD_PROBE_LOG | URD_PROBE_COUNT);
    if (!(carry && carried_any(hint) && take_carried(&used, hint, ret)) &&
        !((carry || d.temp) && take_carried(&used, standard, ret))) {
        if ((probes & URD_PROBE_LOG) && (ret->log = take(&used, preference, sizeof preference)) < 0)
            return false;
        if ((carry || d.temp) && (ret->temp = take(&used, preference, sizeof preference)) < 0)
            return false;
        if ((probes & URD_PROBE_COUNT) &&
            (ret->count = take(&used, preference, sizeof preference)) < 0)
            return false;
    }
    return !d.temp2 || (ret->temp2 = take(&used, preference, sizeof preference)) >= 0;
}

/* ---- decoding ---- */

uint64_t urd_plan_page_hash(const uint8_t *bytes)
{
    return XXH3_64bits(bytes, 4096);
}

static size_t read_code(struct urd_translator *t, uint64_t pc, const struct urd_code_reader *reader,
                        uint8_t *buffer, size_t size)
{
    size_t done = 0;
    while (done < size) {
        uint64_t number = (pc + done) >> 12, at = (pc + done) & 0xfff;
        size_t slot = number % CODE_PAGES;
        if (t->code[slot].number != number + 1) {
            t->code[slot].got = 0;
            reader->read(reader->data, number << 12, t->code[slot].bytes, 4096, &t->code[slot].got);
            t->code[slot].number = number + 1;
            t->code[slot].hash =
                t->code[slot].got == 4096 ? urd_plan_page_hash(t->code[slot].bytes) : 0;
        }
        if (at >= t->code[slot].got)
            break;
        size_t n = t->code[slot].got - at < size - done ? t->code[slot].got - at : size - done;
        memcpy(buffer + done, t->code[slot].bytes + at, n);
        done += n;
    }
    return done;
}

/* Not those backwards: a loop's is nearly always taken, and what follows would be translated twice for nothing. Where steps
 * are counted a block takes all of its steps before it begins. */
bool urd_plan_passes(const struct urd_translator *t, const struct insn *in)
{
    uint8_t opcode = in->z.opcode;
    return (t->probes & ~(unsigned)URD_PROBE_BRANCHES) == URD_PROBE_LOG && in->kind == INSN_BRANCH && in->target > in->pc &&
           (in->z.opcode_map == ZYDIS_OPCODE_MAP_0F || (opcode & 0xf0) == 0x70);
}

unsigned urd_block_decode(struct urd_translator *t, uint64_t pc,
                          const struct urd_code_reader *reader, struct insn *insns,
                          bool *ret_unreadable)
{
    bool log = t->probes & URD_PROBE_LOG;
    struct demand demand = {0};
    struct allocation unused;
    unsigned n = 0, record = 8, passed = 0;
    *ret_unreadable = false;
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
        if (in->kind == INSN_STEP)
            break;
        struct urd_slot slot;
        unsigned more = urd_insn_slot(in, &slot) ? urd_slot_bytes(&slot) : 0;
        struct demand next = urd_plan_demand(demand, in, log);
        if (n && (record + more > MAX_RECORD_BYTES ||
                  !urd_plan_allocate(next, t->probes, CARRIED_NONE, t->standard, &unused)))
            break;
        demand = next;
        record += more;
        at += in->length;
        if (in->kind != INSN_COPY && !(urd_plan_passes(t, in) && passed++ < MAX_SIDES))
            return n + 1;
    }
    return n;
}

static enum urd_block_end end_of(const struct insn *last)
{
    switch (last->kind) {
    case INSN_JUMP:
        return URD_END_JUMP;
    case INSN_BRANCH:
        return URD_END_BRANCH;
    case INSN_CALL:
        return URD_END_CALL;
    case INSN_JUMP_INDIRECT:
        return URD_END_JUMP_INDIRECT;
    case INSN_CALL_INDIRECT:
        return URD_END_CALL_INDIRECT;
    case INSN_RET:
        return URD_END_RET;
    case INSN_SYSCALL:
        return URD_END_SYSCALL;
    default:
        return URD_END_FALL;
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
