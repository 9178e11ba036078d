#include "record/replaced_insns.h"
#include "base/buf.h"
#include "base/tracee.h"
#include "record/image.h"
#include <Zydis/Zydis.h>
#include <cpuid.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>

/** What a file holds: offsets of the byte c7 of each site. Kept by the recorder for each stored file. */
struct replaced_sites {
    bool known;
    struct site {
        uint64_t offset;
        bool transaction; /* XBEGIN; else RDRAND or RDSEED */
    } * sites;
    unsigned n, cap;
};

static bool is_random(const ZydisDecodedInstruction *in)
{
    return in->mnemonic == ZYDIS_MNEMONIC_RDRAND || in->mnemonic == ZYDIS_MNEMONIC_RDSEED;
}

/** CPUID 7: RTM (SDM vol. 1, 16.3.6.1). */
static bool has_transactions(void)
{
    uint32_t eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && ebx >> 11 & 1;
}

/** The instruction whose byte c7 is at offset, when decoding from the function's start arrives there and it is one to be replaced. */
static bool find_instruction(const struct image *f, uint64_t offset, struct site *ret)
{
    uint64_t start;
    if (!image_function(f, offset, &start))
        return false;
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (uint64_t at = start; at <= offset;) {
        ZydisDecodedInstruction in;
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeInstruction(&decoder, NULL, f->data + at, f->size - at, &in)))
            return false;
        if (at + in.length > offset) {
            *ret = (struct site){offset, in.mnemonic == ZYDIS_MNEMONIC_XBEGIN};
            return ret->transaction ? at == offset && in.length == 6
                                    : is_random(&in) && at + in.raw.modrm.offset == offset + 1;
        }
        at += in.length;
    }
    return false;
}

/** XBEGIN's target is code of the file. The same two bytes are in `add $-8,%rdi`, of which there are a hundred thousand in a compiler. */
static bool may_be_transaction(const uint8_t *begin, const uint8_t *at, const uint8_t *end)
{
    int32_t distance;
    if (at[1] != 0xf8 || end - at < 6)
        return false;
    memcpy(&distance, at + 2, 4);
    return at + 6 - begin >= -(int64_t)distance && distance < end - (at + 6);
}

static void find_sites_between(const struct image *f, const uint8_t *at, const uint8_t *end,
                               bool transactions, struct replaced_sites *ret)
{
    const uint8_t *begin = at;
    while (at < end && (at = memchr(at, 0xc7, (size_t)(end - at)))) {
        struct site site;
        bool looks = (transactions && may_be_transaction(begin, at, end)) ||
                     (at > f->data && at[-1] == 0x0f && at[1] >= 0xf0);
        if (looks && find_instruction(f, (uint64_t)(at - f->data), &site))
            URD_PUSH(ret->sites, ret->n, ret->cap) = site;
        at++;
    }
}

/** In what the file says is code: nothing else has functions. */
static void find_sites(const struct image *f, struct replaced_sites *ret)
{
    bool transactions = has_transactions();
    for (unsigned i = 0; i < f->n_headers; i++) {
        const Elf64_Phdr *p = &f->headers[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || f->size < 2 ||
            p->p_offset > f->size - 2)
            continue;
        uint64_t left = f->size - 2 - p->p_offset, n = p->p_filesz < left ? p->p_filesz : left;
        find_sites_between(f, f->data + p->p_offset, f->data + p->p_offset + n, transactions, ret);
    }
}

static const struct replaced_sites *sites_of(struct recorder *r, uint32_t file, int fd)
{
    while (r->n_replaced_sites < file)
        URD_PUSH(r->replaced_sites, r->n_replaced_sites, r->cap_replaced_sites) =
            (struct replaced_sites){0};
    struct replaced_sites *s = &r->replaced_sites[file - 1];
    if (s->known)
        return s;
    s->known = true;
    struct image image;
    if (image_open(fd, &image)) {
        find_sites(&image, s);
        image_close(&image);
    }
    return s;
}

void replaced_insns_mapped(struct recorder *r, struct task *t, const struct urd_map_op *op, int fd)
{
    if (!(op->prot & PROT_EXEC) || op->shared || !op->file || fd < 0)
        return;
    const struct replaced_sites *s = sites_of(r, op->file, fd);
    static const uint8_t ud2[] = {0x0f, 0x0b};
    for (unsigned i = 0; i < s->n; i++) {
        const struct site *site = &s->sites[i];
        uint64_t at = op->start + (site->offset - op->offset);
        size_t n = site->transaction ? 2 : 1;
        if (site->offset < op->offset || at + n > op->start + op->size ||
            urd_tracee_write(t->mem, at, ud2 + 2 - n, n) != n)
            continue;
        event_add_memory(&r->builder, t->mem, at, n);
    }
}

void replaced_insns_deinit(struct recorder *r)
{
    for (unsigned i = 0; i < r->n_replaced_sites; i++)
        free(r->replaced_sites[i].sites);
    free(r->replaced_sites);
}

/** The instruction that stood where now a ud2 is, which is at code[*ret_at]. False: this is no ud2. */
static bool find_ud2(struct task *t, uint64_t pc, uint8_t code[15], size_t *ret_size,
                     size_t *ret_at)
{
    size_t at = 0;
    *ret_size = urd_tracee_read(t->mem, pc, code, 15);
    while (at < *ret_size && (code[at] == 0x66 || (code[at] & 0xf0) == 0x40))
        at++;
    *ret_at = at;
    return at + 3 <= *ret_size && code[at] == 0x0f && code[at + 1] == 0x0b;
}

/** Does a mapping of a file with sites put one there, its byte c7 at this address? A program's own ud2 may look the same. */
static const struct site *find_site(struct recorder *r, struct task *t, uint64_t pc,
                                    bool transaction)
{
    struct urd_map_line m;
    if (!urd_tracee_find_map(t->tid, pc, &m))
        return NULL;
    for (unsigned f = 0; f < r->n_replaced_sites; f++)
        for (unsigned i = 0; i < r->replaced_sites[f].n; i++) {
            const struct site *s = &r->replaced_sites[f].sites[i];
            if (s->transaction == transaction && m.start + (s->offset - m.offset) == pc)
                return s;
        }
    return NULL;
}

static urd_err *abort_transaction(struct recorder *r, struct task *t,
                                  const struct user_regs_struct *at, const uint8_t *code)
{
    struct urd_event *e = recorder_begin_insn(r, t, at);
    int32_t distance;
    memcpy(&distance, code + 2, 4);
    e->after.rax = 0;
    e->after.rip += 6 + (uint64_t)(int64_t)distance;
    return recorder_emit_insn(r, t);
}

static urd_err *give_random(struct recorder *r, struct task *t, const struct user_regs_struct *at,
                            const ZydisDecodedInstruction *in, unsigned reg)
{
    struct urd_event *e = recorder_begin_insn(r, t, at);
    uint64_t value = 0;
    if (getrandom(&value, sizeof value, 0) != sizeof value)
        URD_FAIL_ERRNO("cannot get a random number");
    uint64_t *slot = urd_reg_slot(&e->after, reg);
    if (in->operand_width == 64)
        *slot = value;
    else if (in->operand_width == 32)
        *slot = (uint32_t)value;
    else
        *slot = (*slot & ~0xffffull) | (uint16_t)value;
    e->after.eflags = (e->after.eflags & ~0x8d5ull) | 1; /* CF: there was one; OF SF ZF AF PF: 0 */
    e->after.rip += in->length;
    return recorder_emit_insn(r, t);
}

urd_err *replaced_insns_try(struct recorder *r, struct task *t, const struct user_regs_struct *at,
                            bool *ret_done)
{
    uint8_t code[15];
    size_t n, ud2;
    *ret_done = false;
    if (!r->n_replaced_sites || !find_ud2(t, at->rip, code, &n, &ud2))
        return NULL;
    if (n >= 6 && !ud2 && find_site(r, t, at->rip, true)) {
        *ret_done = true;
        return abort_transaction(r, t, at, code);
    }
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    code[ud2 + 1] = 0xc7;
    *ret_done = find_site(r, t, at->rip + ud2 + 1, false) &&
                ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, n, &in, operands)) &&
                is_random(&in);
    return *ret_done
               ? give_random(r, t, at, &in, (unsigned)ZydisRegisterGetId(operands[0].reg.value))
               : NULL;
}
