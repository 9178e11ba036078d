/*
 * Before a block is generated: which instructions it has, and which registers instrumentation gets.
 *
 * Instrumentation may only use registers that no instruction around it mentions. Where the instructions so far would leave too
 * few of them over others are chosen (struct insn.window); a block that counts steps ends there instead, as it does
 * at a control transfer, a stop address, or before what must be stepped. Which ones are taken matters for speed only:
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
            *urd_map_put(&t->code_hashes, number) =
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

/* Not loop and jrcxz: there is no other instruction for the opposite. */
static bool is_condition(const struct insn *in)
{
    return in->kind == INSN_BRANCH &&
           (in->z.opcode_map == ZYDIS_OPCODE_MAP_0F || (in->z.opcode & 0xf0) == 0x70);
}

/* Is it a branch that a block may run past, when it is not taken? Not those backwards: a loop's is nearly always taken, and what
 * follows would be translated twice for nothing. Where steps are counted a block takes all of its steps before it begins. */
static bool passes(const struct urd_translator *t, const struct insn *in)
{
    return (t->probes & ~(unsigned)URD_PROBE_BRANCHES) == URD_PROBE_LOG && is_condition(in) &&
           in->target > in->pc;
}

/* May a path lead from this transfer to there? */
static bool leads_to(const struct insn *in, uint64_t to)
{
    switch (in->kind) {
    case INSN_JUMP:
    case INSN_CALL:
        return to == in->target;
    case INSN_BRANCH:
        return is_condition(in) && (to == in->target || to == in->pc + in->length);
    case INSN_CALL_INDIRECT:
    case INSN_JUMP_INDIRECT:
    case INSN_RET:
        return true;
    default:
        return false;
    }
}

const struct path *urd_plan_path(const struct urd_translator *t, uint64_t pc)
{
    uint64_t *index = t->probes == URD_PROBE_LOG ? urd_map_get(&t->path_of, pc) : NULL;
    return index ? &t->paths[*index - 1] : NULL;
}

/* Where decoding stands on a path, if there is one: n is not 0. */
struct walk {
    const struct urd_block_piece *piece;
    unsigned n, insn; /* pieces left; instructions of this one done */
};

/* Behind an instruction: does the block go on, and where? */
static bool goes_on(const struct urd_translator *t, struct walk *w, const struct insn *in,
                    unsigned *passed, uint64_t *ret)
{
    *ret = in->pc + in->length;
    bool transfer = in->kind != INSN_COPY;
    if (w->n && ++w->insn < w->piece->n_insns)
        return !transfer || is_condition(in);
    if (!w->n)
        return !transfer || (passes(t, in) && (*passed)++ < MAX_PASSED);
    w->piece++;
    w->insn = 0;
    if (--w->n && (transfer ? leads_to(in, w->piece->pc) : w->piece->pc == *ret)) {
        *ret = w->piece->pc;
        return true;
    }
    return false;
}

/* How many instructions can have these registers for instrumentation; CARRIED_NONE: any. */
static unsigned window(const struct urd_translator *t, const struct insn *insns, unsigned n,
                       struct carried c)
{
    struct demand d = {0};
    struct allocation a;
    unsigned i = 0;
    for (; i < n; i++) {
        d = urd_plan_demand(d, &insns[i], true);
        if (!urd_plan_allocate(d, t->probes, c, t->standard, &a) ||
            (carried_any(c) && (a.log != c.log || a.temp != c.temp)))
            break;
    }
    return i;
}

/* To stay with what is carried is best, then what most blocks carry; but not for a few instructions only. */
void urd_plan_windows(const struct urd_translator *t, struct insn *insns, unsigned n,
                      struct carried hint)
{
    enum { FEW = 8 };
    for (unsigned at = 0; at < n;) {
        unsigned left = n - at, few = left < FEW ? left : FEW;
        insns[at].window = true;
        unsigned length = carried_any(hint) ? window(t, insns + at, left, hint) : 0;
        if (length < few) {
            hint = t->standard;
            length = window(t, insns + at, left, hint);
        }
        if (length < few) {
            hint = CARRIED_NONE;
            length = window(t, insns + at, left, hint);
        }
        at += length ? length : 1;
    }
}

unsigned urd_block_decode(struct urd_translator *t, uint64_t pc,
                          const struct urd_code_reader *reader, struct insn *insns,
                          bool *ret_unreadable)
{
    bool log = t->probes & URD_PROBE_LOG;
    struct demand demand = {0};
    struct allocation unused;
    const struct path *path = urd_plan_path(t, pc);
    struct walk walk = {path ? path->pieces : NULL, path ? path->n : 0, 0};
    unsigned n = 0, record = 8, passed = 0;
    *ret_unreadable = false;
    for (uint64_t at = pc; n < (path ? MAX_INSNS : MAX_PLAIN_INSNS); n++) {
        struct insn *in = &insns[n];
        in->window = false;
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
        struct urd_slot slots[URD_READ_SLOTS];
        unsigned more = 0;
        for (unsigned k = urd_insn_slots(in, t->probes, slots); k-- > 0;)
            more += urd_slot_bytes(&slots[k]);
        struct demand next = urd_plan_demand(demand, in, log);
        if (n && (record + more > MAX_RECORD_BYTES ||
                  (t->probes != URD_PROBE_LOG &&
                   !urd_plan_allocate(next, t->probes, CARRIED_NONE, t->standard, &unused))))
            break;
        demand = next;
        record += more;
        if (!goes_on(t, &walk, in, &passed, &at))
            return n + 1;
        in->to = at;
    }
    return n;
}

enum urd_block_end urd_plan_end(const struct insn *last)
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

/* A piece ends where the next instruction does not simply follow. A branch that the block runs past is no end. */
static void describe_pieces(struct block *b, const struct insn *insns, unsigned n)
{
    struct urd_block_piece *pieces = urd_xcalloc(n ? n : 1, sizeof *pieces);
    for (unsigned i = 0; i < n; i++) {
        struct urd_block_piece *p = &pieces[b->pub.n_pieces];
        p->pc = p->n_insns ? p->pc : insns[i].pc;
        p->bytes += insns[i].length;
        p->n_insns++;
        bool falls = i + 1 < n && insns[i].to == insns[i].pc + insns[i].length;
        if (falls && (insns[i].kind == INSN_COPY || insns[i].kind == INSN_BRANCH))
            continue;
        p->end = (uint8_t)urd_plan_end(&insns[i]);
        b->pub.n_pieces++;
    }
    if (!n) /* the tool steps what is there: the block goes when that changes */
        pieces[b->pub.n_pieces++].pc = b->pub.pc;
    b->pub.pieces = pieces;
}

uint64_t urd_block_pc(const struct urd_block *b, unsigned insn)
{
    const struct urd_block_piece *p = b->pieces;
    unsigned at = 0;
    for (; p + 1 < b->pieces + b->n_pieces && at + p->n_insns <= insn; p++)
        at += p->n_insns;
    uint64_t pc = p->pc;
    for (; at < insn; at++)
        pc += b->insn_lengths[at];
    return pc;
}

void urd_block_describe(struct block *b, const struct insn *insns, unsigned n, unsigned probes)
{
    static __thread struct urd_slot slots[(MAX_INSNS + 1) * URD_READ_SLOTS];
    uint8_t *lengths = urd_xcalloc(n ? n : 1, 1);
    b->pub.n_insns = (uint8_t)n;
    for (unsigned i = 0; i < n; i++) {
        lengths[i] = insns[i].length;
        for (unsigned k = urd_insn_slots(&insns[i], probes, &slots[b->pub.n_slots]); k-- > 0;)
            slots[b->pub.n_slots++].insn = (uint8_t)i;
    }
    if ((probes & URD_PROBE_LOG) && !(probes & URD_PROBE_READS))
        urd_places_find(insns, n, slots, b->pub.n_slots);
    b->pub.end = n ? (uint8_t)urd_plan_end(&insns[n - 1]) : URD_END_FALL;
    b->pub.insn_lengths = lengths;
    b->pub.slots = memcpy(urd_xcalloc(b->pub.n_slots + 1u, sizeof *slots), slots,
                          b->pub.n_slots * sizeof *slots);
    describe_pieces(b, insns, n);
}
