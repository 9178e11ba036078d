/* Patching call sites.
 *
 * A jump to a trampoline takes five bytes and `syscall` has two. What else is overwritten must not be jumped to from anywhere,
 * and no task may stand in it. Both are hard to know in general, so only one shape is patched: an instruction of at least five
 * bytes in the straight line of code before the `syscall`.
 *
 *       before                                   after
 *   S:  cmpb $0,__libc_single_threaded(%rip)     jmp  trampoline; (two bytes that nobody reaches)
 *       je   other                               je   other
 *       xor  %eax,%eax                           xor  %eax,%eax
 *   T:  syscall                                  syscall
 *       cmp  $-4096,%rax                         cmp  $-4096,%rax
 *
 *   trampoline:  cmpb $0,__libc_single_threaded(%rip)    the same instructions, moved
 *                je   other
 *                xor  %eax,%eax
 *                rcx is saved in the region              (xchg %rax,%rcx; mov %rax,runtime_rcx; xchg %rax,%rcx)
 *                mov  $T,%rcx                            which the call would overwrite
 *                jmp  *entry
 *
 * The overwritten bytes lie inside of one instruction. Nobody jumps into one, and no task stands in one; everything behind it is what it
 * was, so who jumps there, returns there, or is restarted there by the kernel makes the traced call. The runtime goes on at
 * T + 2, or at T when the call must be traced: at addresses that a replay knows, whether it has the patches or not.
 *
 * Where no instruction has five bytes, as in `xor %eax,%eax; syscall`, two are enough for a short jump to padding between functions, and
 * the jump to the trampoline is put there: what follows a function's last jump or return up to the next function's start, and is nothing
 * but nops and int3. Nobody has a reason to be there; a task that stands there has just jumped from S.
 *
 * RDTSC and RDTSCP are sites, too: what is said here of `syscall` holds for them, but that rcx is theirs. So is CPUID, which nothing traps: its
 * sites are looked for in the bytes of a file's code. In a virtual machine each one is an exit to the host, of some 25 us, and the dynamic
 * linker makes thirty in every process: half of the time that /bin/true takes. The region answers from the table that the trace's header has.
 *
 * That S begins an instruction is known from decoding: from the start of the function, which .eh_frame_hdr or Go's table tells, the
 * instructions must arrive at T. From S to T there may be conditional jumps out (they are relocated), but nothing that
 * never falls through. The file's bytes must be those in memory, and the mapping private and not writable: code that
 * a program makes or changes is never patched.
 */
#include "record/patch.h"
#include "base/log.h"
#include "base/tracee.h"
#include "record/fast.h"
#include "record/image.h"
#include "record/inject.h"
#include "record/runtime/runtime.h"
#include <Zydis/Zydis.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    PATCH_AFTER = 2,        /* traced calls from a site, in all processes together */
    ENTRY_BYTES = 16,       /* at the start of the pages: the address of the runtime's entry */
    BELOW_FILE = 0x10000,   /* distance of trampolines from the file's first mapping */
    MOST_DECODED = 1 << 16, /* bytes of a function, in search of the padding behind it */
    SHORT_REACH = 128,      /* of a jump of two bytes */
    NEAR_BYTES = 4096,      /* of code that are written at one go */
    GUARD_BYTES = 4096,     /* below pages of trampolines, zeros ... */
    GUARD_ABOVE = 128,      /* ... and at their end: see find_pages */
    MAX_TRAMPOLINE = PATCH_INSNS * (PATCH_MAX_INSN + 4) + 32,
};
#define REACH 0x7ff00000ll /* of a jump, with room for the pages */

static bool decode(const uint8_t *code, size_t size, ZydisDecodedInstruction *ret)
{
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, size, ret));
}

static bool is_condition(const ZydisDecodedInstruction *in)
{
    return in->meta.category == ZYDIS_CATEGORY_COND_BR &&
           ((in->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (in->opcode & 0xf0) == 0x70) ||
            (in->opcode_map == ZYDIS_OPCODE_MAP_0F && (in->opcode & 0xf0) == 0x80));
}

static bool can_move(const ZydisDecodedInstruction *in)
{
    switch (in->meta.category) {
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_SYSTEM:
    case ZYDIS_CATEGORY_RDRAND:
    case ZYDIS_CATEGORY_RDSEED:
        return false;
    case ZYDIS_CATEGORY_COND_BR:
        return is_condition(in);
    default:
        return in->mnemonic != ZYDIS_MNEMONIC_CPUID && in->mnemonic != ZYDIS_MNEMONIC_HLT &&
               in->mnemonic != ZYDIS_MNEMONIC_UD2 && in->mnemonic != ZYDIS_MNEMONIC_XBEGIN;
    }
}

static bool never_falls_through(const ZydisDecodedInstruction *in)
{
    return in->meta.category == ZYDIS_CATEGORY_RET ||
           in->meta.category == ZYDIS_CATEGORY_UNCOND_BR || in->mnemonic == ZYDIS_MNEMONIC_UD2 ||
           in->mnemonic == ZYDIS_MNEMONIC_HLT;
}

static bool is_padding(const ZydisDecodedInstruction *in)
{
    return in->mnemonic == ZYDIS_MNEMONIC_NOP || in->mnemonic == ZYDIS_MNEMONIC_INT3;
}

/** Where the padding between the end of a function and the start of the next one, `end`, begins; `end`: there is none for certain. */
static uint64_t find_padding(const struct image *f, uint64_t start, uint64_t end)
{
    uint64_t padding = end, at = start;
    bool closed = false; /* what is not padding before it ends the function */
    if (end - start > MOST_DECODED)
        return end;
    while (at < end) {
        ZydisDecodedInstruction in;
        if (!decode(f->data + at, end - at, &in))
            return end;
        if (!is_padding(&in)) {
            closed = never_falls_through(&in);
            padding = end;
        } else if (closed && padding == end) {
            padding = at;
        }
        at += in.length;
    }
    return padding;
}

static bool is_taken(const struct patch_file *file, uint64_t hop)
{
    for (unsigned i = 0; i < file->n; i++)
        if (file->plans[i].hop && file->plans[i].hop - hop + URD_PATCH_BYTES < 2 * URD_PATCH_BYTES)
            return true;
    return false;
}

/** Room for a jump in padding that a short jump at `start` reaches; 0: there is none. */
static uint64_t find_hop(const struct image *f, const struct patch_file *file, uint64_t start)
{
    uint64_t at = start > SHORT_REACH ? start - SHORT_REACH : 0, begin, next;
    for (; at < start + SHORT_REACH && image_neighbours(f, at, &begin, &next); at = next)
        for (uint64_t hop = find_padding(f, begin, next); hop + URD_PATCH_BYTES <= next; hop++)
            if (urd_patch_reaches(start, hop) && !is_taken(file, hop))
                return hop;
    return 0;
}

/** The function that starts there, decoded up to offset unless that fails before: a large one has many sites. */
static const struct patch_decoded *decode_to(const struct image *f, struct patch_file *file,
                                             uint64_t start, uint64_t offset)
{
    unsigned i = 0;
    while (i < file->n_decoded && file->decoded[i].start != start)
        i++;
    if (i == file->n_decoded)
        URD_PUSH(file->decoded, file->n_decoded, file->cap_decoded) =
            (struct patch_decoded){.start = start, .end = start};
    struct patch_decoded *d = &file->decoded[i];
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE); /* lengths */
    while (d->end < offset) {
        ZydisDecodedInstruction in;
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, f->data + d->end,
                                                        f->size - d->end, &in)))
            break;
        URD_PUSH(d->lengths, d->n, d->cap) = in.length;
        d->end += in.length;
    }
    return d;
}

/**
 * The instruction to replace, for plan->site, into plan->start and plan->hop: the first before it with room for a jump, or the first that
 * has room for a short one.
 */
static void find_start(const struct image *f, struct patch_file *file, struct patch_plan *plan)
{
    uint64_t at, offset = plan->site, nearest = 0;
    uint64_t last[PATCH_INSNS];
    unsigned n = 0;
    if (offset + 3 > f->size || !image_function(f, offset, &at))
        return;
    const struct patch_decoded *d = decode_to(f, file, at, offset);
    for (; n < d->n && at < offset; at += d->lengths[n++])
        last[n % PATCH_INSNS] = at;
    enum urd_site kind = urd_site_kind(f->data + offset);
    if (at != offset || kind == URD_SITE_OTHER)
        return;
    plan->site_bytes = (uint8_t)urd_site_bytes(kind);
    for (unsigned back = 1; back <= n && back <= PATCH_INSNS; back++) {
        uint64_t start = last[(n - back) % PATCH_INSNS];
        ZydisDecodedInstruction in;
        if (!decode(f->data + start, f->size - start, &in) || !can_move(&in))
            break;
        if (in.length >= URD_PATCH_BYTES) {
            plan->start = start;
            return;
        }
        if (!nearest && in.length >= URD_PATCH_SHORT_BYTES)
            nearest = start;
    }
    plan->hop = nearest ? find_hop(f, file, nearest) : 0;
    plan->start = plan->hop ? nearest : 0;
}

static struct patch_file *plans_of(struct recorder *r, uint32_t file)
{
    while (r->n_patch_files < file)
        URD_PUSH(r->patch_files, r->n_patch_files, r->cap_patch_files) = (struct patch_file){0};
    return &r->patch_files[file - 1];
}

/** What is known of the site at this offset, an entry that is new otherwise. */
static struct patch_plan *find_plan(struct recorder *r, uint32_t file, uint64_t site)
{
    struct patch_file *f = plans_of(r, file);
    for (unsigned i = 0; i < f->n; i++)
        if (f->plans[i].site == site)
            return &f->plans[i];
    URD_PUSH(f->plans, f->n, f->cap) = (struct patch_plan){.site = site};
    return &f->plans[f->n - 1];
}

static void plan_site(const struct image *image, struct patch_file *f, struct patch_plan *plan)
{
    find_start(image, f, plan);
    if (plan->start)
        memcpy(plan->code, image->data + plan->start, plan->site + plan->site_bytes - plan->start);
    if (plan->hop)
        memcpy(plan->hop_code, image->data + plan->hop, URD_PATCH_BYTES);
}

static void make_plan(struct recorder *r, uint32_t file, struct patch_plan *plan, int fd)
{
    struct image image;
    plan->known = true;
    r->n_plans++;
    if (!image_open(fd, &image))
        return;
    plan_site(&image, &r->patch_files[file - 1], plan);
    image_close(&image);
}

static void find_cpuids_between(const struct image *image, struct patch_file *f, const uint8_t *at,
                                const uint8_t *end)
{
    while (at < end && (at = memchr(at, 0xa2, (size_t)(end - at)))) {
        bool looks = at > image->data && at[-1] == 0x0f;
        struct patch_plan plan = {.site = (uint64_t)(at++ - image->data) - 1, .known = true};
        if (looks)
            plan_site(image, f, &plan);
        if (plan.start)
            URD_PUSH(f->plans, f->n, f->cap) = plan;
    }
}

/** Make plans for the CPUIDs of a file. */
static void find_cpuids(struct recorder *r, uint32_t file, int fd)
{
    struct patch_file *f = plans_of(r, file);
    struct image image;
    unsigned before = f->n;
    f->searched = true;
    if (!image_open(fd, &image))
        return;
    for (unsigned i = 0; i < image.n_headers; i++) {
        const Elf64_Phdr *p = &image.headers[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || p->p_offset > image.size)
            continue;
        uint64_t left = image.size - p->p_offset, n = p->p_filesz < left ? p->p_filesz : left;
        find_cpuids_between(&image, f, image.data + p->p_offset, image.data + p->p_offset + n);
    }
    image_close(&image);
    r->n_plans += f->n - before;
}

static bool in_reach(uint64_t a, uint64_t b)
{
    int64_t distance = (int64_t)(a - b);
    return distance < REACH && distance > -REACH;
}

/** A place for pages near `address`: under the first of the mappings that adjoin each other there. 0: there is none. */
static uint64_t find_gap(struct task *t, uint64_t address)
{
    struct urd_map_line m;
    uint64_t run = 0, end = 0, below = 0, ret = 0;
    FILE *maps = urd_tracee_open_maps(t->tid);
    while (maps && urd_tracee_next_map(maps, &m)) {
        if (m.start != end) {
            below = end;
            run = m.start;
        }
        end = m.end;
        if (address < m.start || address >= m.end)
            continue;
        uint64_t at = run - BELOW_FILE;
        if (run > 2 * BELOW_FILE && at >= below + GUARD_BYTES)
            ret = at;
        break;
    }
    if (maps)
        fclose(maps);
    return ret;
}

/**
 * Pages with room that the site reaches, new ones if need be; NULL in *ret: that was not possible. A pointer to the end of the program's
 * memory may point to them, and what is near pointers is evidence of cuts: there are zeros at both ends, as a replay without the pages has.
 */
static urd_err *find_pages(struct task *t, const struct user_regs_struct *now, uint64_t site,
                           struct patch_pages **ret)
{
    struct fast *f = t->mm->fast;
    *ret = NULL;
    for (unsigned i = 0; i < f->n_pages && !*ret; i++)
        if (in_reach(site, f->pages[i].start) &&
            f->pages[i].used + MAX_TRAMPOLINE + GUARD_ABOVE <= URD_PATCH_PAGES_BYTES)
            *ret = &f->pages[i];
    uint64_t at = *ret ? 0 : find_gap(t, site), entry = RUNTIME_CODE;
    int64_t result;
    if (!at || !in_reach(site, at))
        return NULL;
    URD_TRY(inject_call(t, now, runtime_address(runtime_syscall), SYS_mmap,
                        (const uint64_t[]){at - GUARD_BYTES, GUARD_BYTES + URD_PATCH_PAGES_BYTES,
                                           PROT_READ | PROT_EXEC,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                                           (uint64_t)-1, 0},
                        &result));
    if ((uint64_t)result != at - GUARD_BYTES)
        return NULL;
    if (urd_tracee_write(t->mem, at, &entry, sizeof entry) != sizeof entry)
        return NULL;
    *ret = &URD_PUSH(f->pages, f->n_pages, f->cap_pages);
    **ret = (struct patch_pages){at, ENTRY_BYTES};
    return NULL;
}

static void put(uint8_t *code, uint32_t *n, const void *bytes, size_t size)
{
    memcpy(code + *n, bytes, size);
    *n += (uint32_t)size;
}

/** A 32-bit displacement at the end of `size` bytes of code; false when `to` is too far away. */
static bool put_displacement(uint8_t *code, uint32_t *n, uint64_t base, uint64_t to,
                             unsigned behind)
{
    int64_t distance = (int64_t)(to - (base + *n + 4 + behind));
    int32_t displacement = (int32_t)distance;
    put(code, n, &displacement, 4);
    return displacement == distance;
}

/** One instruction, which stood at `from`, to the end of the trampoline at `base`. */
static bool move_insn(uint8_t *code, uint32_t *n, uint64_t base, const uint8_t *bytes,
                      const ZydisDecodedInstruction *in, uint64_t from)
{
    if (in->meta.category == ZYDIS_CATEGORY_COND_BR) {
        const uint8_t opcode[2] = {0x0f, (uint8_t)(0x80 | (in->opcode & 15))};
        put(code, n, opcode, 2);
        return put_displacement(code, n, base, from + in->length + (uint64_t)in->raw.imm[0].value.s,
                                0);
    }
    bool relative = in->attributes & ZYDIS_ATTRIB_IS_RELATIVE;
    if (!relative) {
        put(code, n, bytes, in->length);
        return true;
    }
    if (in->raw.disp.size != 32)
        return false;
    unsigned at = in->raw.disp.offset;
    uint32_t start = *n;
    put(code, n, bytes, at);
    bool reached = put_displacement(code, n, base, from + in->length + (uint64_t)in->raw.disp.value,
                                    in->length - at - 4u);
    put(code, n, bytes + at + 4, in->length - at - 4u);
    return reached && *n == start + in->length;
}

/** The trampoline's code into `code`, for p->trampoline; bytes: the program's from p->start to its call. */
static bool make_trampoline(struct patch *p, const uint8_t *bytes, uint64_t entry, uint8_t *code)
{
    uint32_t n = 0;
    for (uint64_t at = p->start; at < p->site;) {
        ZydisDecodedInstruction in;
        const uint8_t *from = bytes + (at - p->start);
        if (p->n_insns == PATCH_INSNS || !decode(from, p->site - at, &in) || !can_move(&in))
            return false;
        p->insns[p->n_insns++] = (struct patch_insn){at, n};
        if (!move_insn(code, &n, p->trampoline, from, &in, at))
            return false;
        at += in.length;
    }
    p->load = n;
    /* flags are the program's, and only rax can be stored at an address of 64 bits */
    static const uint8_t swap[2] = {0x48, 0x91}, store[2] = {0x48, 0xa3}, mov_rcx[2] = {0x48, 0xb9},
                         jmp[2] = {0xff, 0x25};
    const uint64_t saved_rcx = URD_RUNTIME_RCX;
    put(code, &n, swap, 2);
    put(code, &n, store, 2);
    put(code, &n, &saved_rcx, 8);
    put(code, &n, swap, 2);
    put(code, &n, mov_rcx, 2);
    put(code, &n, &p->site, 8);
    put(code, &n, jmp, 2);
    bool reached = put_displacement(code, &n, p->trampoline, entry, 0);
    p->size = n;
    return reached;
}

static bool is_patched(const struct fast *f, uint64_t start)
{
    for (unsigned i = 0; i < f->n_patches; i++)
        if (f->patches[i].start == start)
            return true;
    return false;
}

static void put_jump(struct task *t, const struct patch *p)
{
    struct urd_patch_piece pieces[2];
    for (unsigned i = urd_patch_pieces(p->start, p->hop, p->trampoline, pieces); i-- > 0;)
        urd_tracee_write(t->mem, pieces[i].at, pieces[i].bytes, pieces[i].size);
}

static void put_original(struct task *t, const struct patch *p)
{
    struct urd_patch_piece pieces[2];
    for (unsigned i = urd_patch_pieces(p->start, p->hop, p->trampoline, pieces); i-- > 0;)
        urd_tracee_write(t->mem, pieces[i].at, p->original[i], pieces[i].size);
}

/** Is any of it in the memory? */
static bool is_in(const struct patch *p, uint64_t start, uint64_t size)
{
    struct urd_patch_piece pieces[2];
    bool is = false;
    for (unsigned i = urd_patch_pieces(p->start, p->hop, p->trampoline, pieces); i-- > 0;)
        is |= pieces[i].at + pieces[i].size > start && pieces[i].at < start + size;
    return is;
}

/** Trampolines that are made one after the other, to be written at once. */
struct batch {
    uint64_t at;
    uint32_t size;
    uint8_t code[URD_PATCH_PAGES_BYTES];
    struct urd_patch_piece *pieces; /* the jumps to them */
    unsigned n, cap;
};

static int compare_pieces(const void *a, const void *b)
{
    uint64_t x = ((const struct urd_patch_piece *)a)->at;
    uint64_t y = ((const struct urd_patch_piece *)b)->at;
    return x < y ? -1 : x > y;
}

/** Pieces that lie near each other, with the code between them, are written at one go: the dynamic linker has sixty. */
static void put_pieces(struct task *t, struct batch *b)
{
    uint8_t code[NEAR_BYTES];
    if (b->n)
        qsort(b->pieces, b->n, sizeof *b->pieces, compare_pieces);
    for (unsigned i = 0, end; i < b->n; i = end) {
        uint64_t start = b->pieces[i].at, size = b->pieces[i].size;
        for (end = i + 1; end < b->n; end++) {
            const struct urd_patch_piece *p = &b->pieces[end];
            if (p->at + p->size - start > sizeof code || p->at - (start + size) > NEAR_BYTES / 8)
                break;
            size = p->at + p->size - start;
        }
        if (urd_tracee_read(t->mem, start, code, size) != size)
            continue; /* it is dead */
        for (unsigned k = i; k < end; k++)
            memcpy(code + (b->pieces[k].at - start), b->pieces[k].bytes, b->pieces[k].size);
        urd_tracee_write(t->mem, start, code, size);
    }
    free(b->pieces);
    b->pieces = NULL;
    b->n = b->cap = 0;
}

static urd_err *write_batch(struct task *t, struct batch *b)
{
    uint32_t size = b->size;
    b->size = 0;
    if (urd_tracee_write(t->mem, b->at, b->code, size) != size)
        URD_FAIL("cannot write to the trampolines of process %d", t->pid);
    return NULL;
}

static urd_err *add_to_batch(struct task *t, struct batch *b, const struct patch *p,
                             const uint8_t *code)
{
    if (b->size && p->trampoline - b->at > sizeof b->code - MAX_TRAMPOLINE)
        URD_TRY(write_batch(t, b));
    if (!b->size)
        b->at = p->trampoline;
    memcpy(b->code + (p->trampoline - b->at), code, p->size);
    b->size = (uint32_t)(p->trampoline - b->at) + p->size;
    return NULL;
}

/* ---- what a replay is told ---- */

static void tell_put(struct mm *mm, const struct patch *p, uint64_t pages, const uint8_t *code)
{
    struct patch_news *n = &mm->news;
    URD_PUSH(n->patches, n->n, n->cap) =
        (struct urd_patch){.start = p->start,
                           .size = p->hop ? URD_PATCH_SHORT_BYTES : URD_PATCH_BYTES,
                           .hop = p->hop,
                           .pages = pages,
                           .trampoline = p->trampoline,
                           .code_size = p->size,
                           .code = (const uint8_t *)(uintptr_t)n->code.size};
    urd_buf_put(&n->code, code, p->size);
}

static void tell_gone(struct mm *mm, uint64_t start, uint64_t size)
{
    struct patch_news *n = &mm->news;
    URD_PUSH(n->patches, n->n, n->cap) = (struct urd_patch){.start = start, .size = size};
}

void patch_tell(struct recorder *r)
{
    struct urd_event *e = &r->builder.event;
    const struct task *t =
        r->current && r->current->tid == e->tid ? r->current : recorder_find_task(r, e->tid);
    if (!t || !t->mm->news.n || e->kind == URD_EVENT_EXIT)
        return;
    struct patch_news *n = &t->mm->news, *told = &r->told;
    told->n = 0;
    told->code.size = 0;
    urd_buf_put(&told->code, n->code.data, n->code.size);
    for (unsigned i = 0; i < n->n; i++) {
        URD_PUSH(told->patches, told->n, told->cap) = n->patches[i];
        told->patches[i].code = told->code.data + (uintptr_t)n->patches[i].code;
    }
    n->n = 0;
    n->code.size = 0;
    e->patches = told->patches;
    e->n_patches = told->n;
}

void patch_news_copy(const struct patch_news *from, struct patch_news *to)
{
    for (unsigned i = 0; i < from->n; i++)
        URD_PUSH(to->patches, to->n, to->cap) = from->patches[i];
    urd_buf_put(&to->code, from->code.data, from->code.size);
}

void patch_news_deinit(struct patch_news *n)
{
    free(n->patches);
    urd_buf_deinit(&n->code);
}

/* ---- patching ---- */

/** Make the plan's site at `site` jump. The jump is in the batch with its trampoline, and must be written before the task runs. */
static urd_err *apply(struct task *t, const struct user_regs_struct *now,
                      const struct patch_plan *plan, uint64_t site, struct batch *b,
                      const char **ret_why)
{
    struct fast *f = t->mm->fast;
    struct patch p = {.site = site, .start = site - (plan->site - plan->start)};
    p.hop = plan->hop ? site - (plan->site - plan->hop) : 0;
    struct patch_pages *pages;
    uint8_t code[MAX_TRAMPOLINE];
    *ret_why = "it is patched already, by another way to it";
    if (is_patched(f, p.start))
        return NULL;
    URD_TRY(find_pages(t, now, site, &pages));
    *ret_why = "there is no room for a trampoline near it";
    if (!pages)
        return NULL;
    p.trampoline = pages->start + pages->used;
    *ret_why = "its instructions cannot be moved";
    if (!make_trampoline(&p, plan->code, pages->start, code))
        return NULL;
    struct urd_patch_piece pieces[2];
    for (unsigned i = urd_patch_pieces(p.start, p.hop, p.trampoline, pieces); i-- > 0;)
        URD_PUSH(b->pieces, b->n, b->cap) = pieces[i];
    memcpy(p.original[0], plan->code, URD_PATCH_BYTES);
    memcpy(p.original[1], plan->hop_code, URD_PATCH_BYTES);
    pages->used += (p.size + 15) & ~15u;
    URD_PUSH(f->patches, f->n_patches, f->cap_patches) = p;
    tell_put(t->mm, &p, pages->start, code);
    *ret_why = NULL;
    return add_to_batch(t, b, &p, code);
}

/** Into the range of its own, or the last one when there are too many: what lies between is traced then, too. */
static void add_to_ranges(struct runtime_range ranges[RUNTIME_RANGES], unsigned n, uint64_t start,
                          uint64_t size)
{
    struct runtime_range *of = &ranges[n < RUNTIME_RANGES ? n : RUNTIME_RANGES - 1];
    of->start = !of->end || start < of->start ? start : of->start;
    of->end = start + size > of->end ? start + size : of->end;
}

/** Where patches and trampolines are: those of each piece of code, each of the pages; and what is not known to be in any. */
static void find_ranges(const struct fast *f, struct runtime_range ranges[RUNTIME_RANGES])
{
    unsigned n = 0;
    for (unsigned i = 0; i < f->n_pages; i++)
        add_to_ranges(ranges, n++, f->pages[i].start, URD_PATCH_PAGES_BYTES);
    for (unsigned i = 0; i < f->n_patches; i++) {
        unsigned code = 0;
        while (code < f->n_code && f->patches[i].start - f->code[code].start >= f->code[code].size)
            code++;
        add_to_ranges(ranges, n + code, f->patches[i].start, URD_PATCH_BYTES);
        if (f->patches[i].hop)
            add_to_ranges(ranges, n + code, f->patches[i].hop, URD_PATCH_BYTES);
    }
}

static urd_err *end_batch(struct task *t, struct batch *b)
{
    struct runtime_range ranges[RUNTIME_RANGES] = {0};
    if (!b->size)
        return NULL;
    find_ranges(t->mm->fast, ranges);
    urd_tracee_write(t->mem, RUNTIME_DATA + offsetof(struct runtime_data, patched), ranges,
                     sizeof ranges);
    put_pieces(t, b);
    return write_batch(t, b);
}

/** Does memory have what the file has there? */
static bool same_bytes(struct task *t, const struct patch_plan *plan, uint64_t site)
{
    uint8_t memory[sizeof plan->code];
    size_t size = plan->site + plan->site_bytes - plan->start;
    return urd_tracee_read(t->mem, site + plan->site_bytes - size, memory, size) == size &&
           memcmp(memory, plan->code, size) == 0 &&
           (!plan->hop || (urd_tracee_read(t->mem, site - (plan->site - plan->hop), memory,
                                           URD_PATCH_BYTES) == URD_PATCH_BYTES &&
                           memcmp(memory, plan->hop_code, URD_PATCH_BYTES) == 0));
}

/** Is all that is replaced in this part of the file? */
static bool is_within(const struct patch_plan *plan, uint64_t offset, uint64_t size)
{
    return plan->start >= offset &&
           (!plan->hop || (plan->hop >= offset && plan->hop + URD_PATCH_BYTES <= offset + size));
}

static int open_mapped(const struct task *t, const struct urd_map_line *m)
{
    char link[128];
    snprintf(link, sizeof link, "/proc/%d/map_files/%lx-%lx", t->tid, m->start, m->end);
    return open(access(link, R_OK) == 0 ? link : m->name, O_RDONLY | O_CLOEXEC);
}

/** The site is used often enough: look whether it can be patched, and do it. */
static urd_err *patch_site(struct recorder *r, struct task *t, const struct user_regs_struct *now,
                           uint64_t site, uint32_t file, struct patch_plan *plan, struct batch *b,
                           const char **ret_why)
{
    struct urd_map_line m;
    *ret_why = "it is not in a file's read-only code";
    if (!urd_tracee_find_map(t->tid, site, &m) || m.shared || m.prot != (PROT_READ | PROT_EXEC) ||
        site - m.start + m.offset != plan->site)
        return NULL;
    URD_AUTO_CLOSE int fd = open_mapped(t, &m);
    if (fd < 0)
        return NULL;
    if (!plan->known)
        make_plan(r, file, plan, fd);
    *ret_why = "no instruction before it can be replaced";
    if (!plan->start || !is_within(plan, m.offset, m.end - m.start))
        return NULL;
    *ret_why = "its code is not what its file has";
    if (!is_patched(t->mm->fast, site - (plan->site - plan->start)) && !same_bytes(t, plan, site))
        return NULL;
    return apply(t, now, plan, site, b, ret_why);
}

static struct patch_code *code_at(const struct fast *f, uint64_t address)
{
    for (unsigned i = f->n_code; i-- > 0;)
        if (address - f->code[i].start < f->code[i].size)
            return &f->code[i];
    return NULL;
}

urd_err *patch_traced(struct recorder *r, struct task *t, const struct user_regs_struct *now,
                      uint64_t site)
{
    struct fast *f = t->mm->fast;
    struct patch_code *code = code_at(f, site);
    if (code && !code->runs) {
        code->runs = true;
        f->plans_seen = ~0u; /* those of this code were not wanted so far */
    }
    if (!code || urd_map_get(&f->refused, site))
        return NULL;
    struct patch_plan *plan = find_plan(r, code->file, site - code->start + code->offset);
    if (++plan->traced < PATCH_AFTER)
        return NULL;
    const char *why = "no instruction before it can be replaced";
    struct batch b = {.size = 0};
    bool patched = plan->start && is_patched(f, site - (plan->site - plan->start));
    if (!plan->known || (plan->start && !patched))
        URD_TRY(patch_site(r, t, now, site, code->file, plan, &b, &why));
    URD_TRY(end_batch(t, &b));
    *urd_map_put(&f->refused, site) =
        1; /* or patched: calls that come here all the same go another way to it */
    urd_log(1, "site %#llx of process %d: %s", (unsigned long long)site, t->pid,
            why && !patched ? why : "patched");
    return NULL;
}

/** All sites of this code that are known; is_new: it was mapped just now, nobody has changed it. */
static urd_err *patch_code(struct recorder *r, struct task *t, const struct user_regs_struct *now,
                           const struct patch_code *code, bool is_new)
{
    const char *why;
    struct batch b = {.size = 0};
    struct urd_map_line m;
    if (!plans_of(r, code->file)->searched && urd_tracee_find_map(t->tid, code->start, &m)) {
        URD_AUTO_CLOSE int fd = open_mapped(t, &m);
        find_cpuids(r, code->file, fd);
    }
    for (unsigned i = 0; code->file <= r->n_patch_files && i < r->patch_files[code->file - 1].n;
         i++) {
        struct patch_plan *p = &r->patch_files[code->file - 1].plans[i];
        uint64_t site = code->start - code->offset + p->site;
        if (p->site - code->offset >= code->size ||
            (p->start && is_patched(t->mm->fast, site - (p->site - p->start))))
            continue;
        if (p->known && p->start && is_within(p, code->offset, code->size) &&
            (is_new || same_bytes(t, p, site)))
            URD_TRY(apply(t, now, p, site, &b, &why));
        else if (!p->known && p->traced + 1 >= PATCH_AFTER)
            URD_TRY(patch_site(r, t, now, site, code->file, p, &b, &why));
    }
    return end_batch(t, &b);
}

urd_err *patch_mapped(struct recorder *r, struct task *t, const struct user_regs_struct *now,
                      const struct patch_code *code)
{
    struct fast *f = t->mm->fast;
    URD_PUSH(f->code, f->n_code, f->cap_code) = *code;
    return code->runs ? patch_code(r, t, now, code, true) : NULL;
}

urd_err *patch_new(struct recorder *r, struct task *t, const struct user_regs_struct *now)
{
    struct fast *f = t->mm->fast;
    if (f->plans_seen == r->n_plans)
        return NULL;
    f->plans_seen = r->n_plans;
    for (unsigned i = 0; i < f->n_code; i++)
        if (f->code[i].runs)
            URD_TRY(patch_code(r, t, now, &f->code[i], false));
    return NULL;
}

/** Remove those in the range; put_back: their bytes are still there. */
static void remove_in(struct task *t, uint64_t start, uint64_t size, bool put_back)
{
    struct fast *f = t->mm->fast;
    for (unsigned i = 0; f && i < f->n_patches;) {
        const struct patch *p = &f->patches[i];
        if (!is_in(p, start, size)) {
            i++;
            continue;
        }
        if (put_back)
            put_original(t, p);
        tell_gone(t->mm, p->start, URD_PATCH_BYTES);
        f->patches[i] = f->patches[--f->n_patches];
    }
    for (unsigned i = 0; f && i < f->n_code;)
        if (f->code[i].start + f->code[i].size <= start || f->code[i].start >= start + size)
            i++;
        else
            f->code[i] = f->code[--f->n_code];
}

void patch_show(struct task *t, bool patches)
{
    const struct fast *f = t->mm->fast;
    for (unsigned i = 0; f && i < f->n_patches; i++)
        if (patches)
            put_jump(t, &f->patches[i]);
        else
            put_original(t, &f->patches[i]);
}

void patch_undo(struct task *t, uint64_t start, uint64_t size)
{
    remove_in(t, start, size, true);
}

void patch_forget(struct task *t, uint64_t start, uint64_t size)
{
    remove_in(t, start, size, false);
}

struct patch *patch_at(const struct fast *f, uint64_t address)
{
    for (unsigned i = 0; i < f->n_patches; i++)
        if (address - f->patches[i].trampoline < f->patches[i].size ||
            (f->patches[i].hop && address == f->patches[i].hop))
            return &f->patches[i];
    return NULL;
}

void patch_file_deinit(struct patch_file *f)
{
    free(f->plans);
    for (unsigned i = 0; i < f->n_decoded; i++)
        free(f->decoded[i].lengths);
    free(f->decoded);
}
