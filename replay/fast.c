/* Calls without stops, in a native replay; what it reads ahead serves translated ones, too (run_translated.c).
 *
 * The recording has patched call sites, made calls unseen, and told in its events what it wrote where (struct urd_patch). Here the
 * same trampolines lead to code that reads what the calls gave from a ring (playback_native.c). The tool fills it before a
 * task runs, with as many events as it may skip, and looks afterwards how many were played back. Whatever does not fit, the process
 * stops at its own `syscall`, as it does without any of this.
 *
 * An event can go into the ring when nothing but registers and memory of its own task changes by it, and when the same task goes on
 * behind it to an event that stops it: behind the last one of its turn it must not run.
 *
 * Patches are in the code only while a session runs natively. Whoever looks at code, copies the process or translates calls
 * urd_fast_hide first.
 */
#include "replay/fast.h"
#include "base/log.h"
#include "replay/playback.h"
#include <Zydis/Zydis.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#define DATA_FIELD(field) (URD_RUNTIME_DATA + offsetof(struct playback, field))

enum { WORTH = 8 }; /* stops of a process after which patching it pays */

/* ---- what is patched ---- */

static struct urd_fast *fast_of(struct urd_process *p)
{
    if (!p->fast)
        p->fast = urd_xcalloc(1, sizeof *p->fast);
    return p->fast;
}

static void hide_patch(struct urd_process *p, struct fast_patch *patch)
{
    struct urd_patch_piece pieces[2];
    unsigned n = urd_patch_pieces(patch->start, patch->hop, patch->trampoline, pieces);
    for (unsigned i = 0; patch->shown && i < n; i++)
        urd_tracee_write(p->mem, pieces[i].at, patch->original[i], pieces[i].size);
    patch->shown = false;
}

void urd_fast_before(struct urd_process *p, const struct urd_event *e)
{
    struct urd_fast *f = p->fast;
    for (uint32_t i = 0; f && i < e->n_patches; i++) {
        const struct urd_patch *gone = &e->patches[i];
        for (unsigned k = 0; !gone->code_size && k < f->n_patches;) {
            if (f->patches[k].start - gone->start >= gone->size) {
                k++;
                continue;
            }
            hide_patch(p, &f->patches[k]);
            f->patches[k] = f->patches[--f->n_patches];
        }
    }
}

void urd_fast_note(struct urd_process *p, const struct urd_event *e)
{
    if (p->fast && p->fast->noted == e->number)
        return;
    for (uint32_t i = 0; i < e->n_patches; i++) {
        const struct urd_patch *n = &e->patches[i];
        if (!n->code_size)
            continue;
        struct urd_fast *f = fast_of(p);
        URD_PUSH(f->patches, f->n_patches, f->cap_patches) =
            (struct fast_patch){.start = n->start,
                                .hop = n->hop,
                                .pages = n->pages,
                                .trampoline = n->trampoline,
                                .code_size = n->code_size,
                                .code = (uint32_t)f->code.size};
        urd_buf_put(&f->code, n->code, n->code_size);
    }
}

struct urd_fast *urd_fast_copy(const struct urd_fast *f)
{
    if (!f)
        return NULL;
    struct urd_fast *copy = urd_xcalloc(1, sizeof *copy);
    *copy = *f;
    copy->patches = NULL;
    copy->pages = NULL;
    copy->code = (struct urd_buf){0};
    copy->n_patches = copy->cap_patches = copy->n_pages = copy->cap_pages = 0;
    for (unsigned i = 0; i < f->n_patches; i++)
        URD_PUSH(copy->patches, copy->n_patches, copy->cap_patches) = f->patches[i];
    for (unsigned i = 0; i < f->n_pages; i++)
        URD_PUSH(copy->pages, copy->n_pages, copy->cap_pages) = f->pages[i];
    urd_buf_put(&copy->code, f->code.data, f->code.size);
    return copy;
}

void urd_fast_destroy(struct urd_fast *f)
{
    if (!f)
        return;
    free(f->patches);
    free(f->pages);
    urd_buf_deinit(&f->code);
    free(f);
}

/* ---- in the process ---- */

static urd_err *map_at(struct urd_process *p, uint64_t at, uint64_t size, int prot, bool *ret_done)
{
    int64_t result;
    URD_TRY(urd_process_call(p, &result, SYS_mmap, at, size, (uint64_t)prot,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE,
                             (uint64_t)-1, 0));
    *ret_done = (uint64_t)result == at;
    return NULL;
}

void urd_fast_init_playback(struct playback *p, uint64_t at)
{
    playback_init(p, at, URD_FLAGS_CHECKED, urd_runtime_has_fsgsbase());
}

static urd_err *map_region(struct urd_process *p, const struct urd_trace_info *info)
{
    struct urd_fast *f = p->fast;
    size_t code = (size_t)(playback_native_end - playback_native_begin);
    struct playback begin;
    size_t size = offsetof(struct playback, log_at);
    memset(&begin, 0, size);
    urd_fast_init_playback(&begin, URD_RUNTIME_DATA);
    begin.n_cpuid = urd_trace_info_table(info, begin.cpuid);
    urd_check(code <= URD_RUNTIME_CODE_BYTES, "the region's code has room");
    URD_TRY(map_at(p, URD_RUNTIME_CODE, PLAYBACK_NATIVE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
                   &f->mapped));
    f->off = !f->mapped;
    if (f->mapped &&
        (urd_tracee_write(p->mem, URD_RUNTIME_CODE, playback_native_begin, code) != code ||
         urd_tracee_write(p->mem, URD_RUNTIME_DATA, &begin, size) != size))
        URD_FAIL("cannot fill the runtime region of process %d", p->pid);
    return NULL;
}

static urd_err *map_pages(struct urd_process *p, uint64_t at)
{
    const uint64_t entry = URD_RUNTIME_CODE;
    struct urd_fast *f = p->fast;
    bool done;
    for (unsigned i = 0; i < f->n_pages; i++)
        if (f->pages[i] == at)
            return NULL;
    URD_TRY(map_at(p, at, URD_PATCH_PAGES_BYTES, PROT_READ | PROT_EXEC, &done));
    if (!done || urd_tracee_write(p->mem, at, &entry, sizeof entry) != sizeof entry)
        f->off = true;
    else
        URD_PUSH(f->pages, f->n_pages, f->cap_pages) = at;
    return NULL;
}

static void show_patch(struct urd_process *p, struct fast_patch *patch)
{
    const struct urd_fast *f = p->fast;
    struct urd_patch_piece pieces[2];
    unsigned n = urd_patch_pieces(patch->start, patch->hop, patch->trampoline, pieces);
    patch->shown = true;
    for (unsigned i = 0; i < n; i++)
        patch->shown &= urd_tracee_read(p->mem, pieces[i].at, patch->original[i], pieces[i].size) ==
                        pieces[i].size;
    patch->shown =
        patch->shown && urd_tracee_write(p->mem, patch->trampoline, f->code.data + patch->code,
                                         patch->code_size) == patch->code_size;
    for (unsigned i = n; patch->shown && i-- > 0;)
        urd_tracee_write(p->mem, pieces[i].at, pieces[i].bytes, pieces[i].size);
}

/** All patches are in the code, unless something is in the way. */
static urd_err *show(struct urd_process *p, const struct urd_trace_info *info)
{
    struct urd_fast *f = p->fast;
    if (!f->mapped)
        URD_TRY(map_region(p, info));
    for (unsigned i = 0; i < f->n_patches && !f->off; i++) {
        if (f->patches[i].shown)
            continue;
        URD_TRY(map_pages(p, f->patches[i].pages));
        if (!f->off)
            show_patch(p, &f->patches[i]);
        f->shown = true;
    }
    return NULL;
}

static unsigned insn_length(const uint8_t *code, size_t size, bool *ret_branch)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, size, &in)))
        return 0;
    *ret_branch = in.meta.category == ZYDIS_CATEGORY_COND_BR;
    return in.length;
}

/**
 * The program's instruction that the trampoline has at rip, 0: none. Instructions are moved as they are, but conditional branches, which
 * have 6 bytes there.
 */
static uint64_t original_of(struct urd_process *p, uint64_t rip)
{
    const struct urd_fast *f = p->fast;
    const struct fast_patch *patch = NULL;
    for (unsigned i = 0; i < f->n_patches && !patch; i++)
        if (rip - f->patches[i].trampoline < f->patches[i].code_size ||
            (f->patches[i].hop && rip == f->patches[i].hop))
            patch = &f->patches[i];
    if (patch && rip == patch->hop)
        return patch->start;
    uint8_t code[128];
    size_t n = patch ? urd_tracee_read(p->mem, patch->start, code, sizeof code) : 0;
    if (n < URD_PATCH_BYTES)
        return 0;
    if (patch->shown)
        memcpy(code, patch->original[0], patch->hop ? URD_PATCH_SHORT_BYTES : URD_PATCH_BYTES);
    uint64_t at = 0, there = patch->trampoline;
    while (there < rip && at + 2 < n && urd_site_kind(code + at) == URD_SITE_OTHER) {
        bool branch;
        unsigned length = insn_length(code + at, n - at, &branch);
        if (!length)
            return 0;
        at += length;
        there += branch ? 6 : length;
    }
    return there == rip ? patch->start + at : 0;
}

static bool is_in_trampoline(const struct urd_fast *f, uint64_t rip)
{
    for (unsigned i = 0; i < f->n_pages; i++)
        if (rip - f->pages[i] < URD_PATCH_PAGES_BYTES)
            return true;
    return false;
}

static bool is_in_region(uint64_t rip)
{
    return rip - URD_RUNTIME_CODE < URD_RUNTIME_CODE_BYTES;
}

static urd_err *set_ring(struct urd_process *p, const struct urd_buf *ring)
{
    struct playback_head head = {.end = ring ? ring->size : 0};
    if (urd_tracee_write(p->mem, DATA_FIELD(head), &head, sizeof head) != sizeof head ||
        (ring && urd_tracee_write(p->mem, DATA_FIELD(ring), ring->data, ring->size) != ring->size))
        URD_FAIL("cannot write to the runtime region of process %d", p->pid);
    return NULL;
}

void urd_fast_hide(struct urd_process *p)
{
    struct urd_fast *f = p->fast;
    if (!f || !f->shown)
        return;
    for (unsigned i = 0; i < f->n_patches; i++)
        hide_patch(p, &f->patches[i]);
    f->shown = false;
}

/** One step. */
static urd_err *step(struct urd_process *p, struct user_regs_struct *regs, int *ret_status)
{
    if (ptrace(PTRACE_SINGLESTEP, p->pid, 0, 0) != 0)
        URD_FAIL_ERRNO("cannot step process %d", p->pid);
    URD_TRY(urd_process_wait(p, ret_status));
    return urd_tracee_get_regs(p->pid, regs);
}

urd_err *urd_fast_leave(struct urd_process *p, struct user_regs_struct *regs)
{
    const struct urd_fast *f = p->fast;
    uint64_t leave = URD_RUNTIME_CODE + (uint64_t)(playback_native_leave - playback_native_begin);
    int status = 0;
    uint64_t original = f ? original_of(p, regs->rip) : 0;
    if (original) {
        regs->rip = original;
        return urd_tracee_set_regs(p->pid, regs);
    }
    while (f && is_in_trampoline(
                    f, regs->rip)) /* behind the program's instructions, where nothing faults */
        URD_TRY(step(p, regs, &status));
    if (!f || !is_in_region(regs->rip))
        return NULL;
    if (regs->rip != leave)
        URD_TRY(urd_tracee_run_to(p->pid, leave, &status));
    URD_TRY(urd_tracee_get_regs(p->pid, regs));
    struct urd_runtime_state state;
    if (urd_tracee_read(p->mem, URD_RUNTIME_DATA, &state, sizeof state) != sizeof state)
        URD_FAIL("cannot read the runtime region of process %d", p->pid);
    if (regs->rip == leave)
        regs->rip = state.target;
    else /* memory that the call wrote to is not there: the tool will say so, or know better */
        urd_runtime_restore(&state, regs);
    return urd_tracee_set_regs(p->pid, regs);
}

/* ---- the ring ---- */

void urd_ahead_deinit(struct urd_ahead *a)
{
    urd_trace_reader_close(a->reader);
    urd_buf_deinit(&a->ring);
    *a = (struct urd_ahead){0};
}

/** a->event becomes that of the number. */
static urd_err *read_to(struct urd_session *s, uint64_t number)
{
    struct urd_ahead *a = &s->ahead;
    if (!a->event || a->event->number > number) {
        urd_trace_reader_close(a->reader);
        a->reader = NULL;
        a->event = NULL;
        URD_TRY(urd_trace_read_from(s->trace, number, &a->reader));
        URD_TRY(urd_trace_next(a->reader, &a->event));
    }
    while (a->event && a->event->number < number)
        URD_TRY(urd_trace_next(a->reader, &a->event));
    return NULL;
}

/** An RDTSC, or RDTSCP: of all instructions only they are made without a stop. */
static bool is_tsc(const struct urd_event *e)
{
    return e->kind == URD_EVENT_INSN;
}

static bool only_result_differs(const struct urd_event *e)
{
    struct user_regs_struct after = e->before;
    after.rax = e->after.rax;
    if (is_tsc(e)) {
        after.rdx = e->after.rdx;
        after.rcx = e->after.rcx;
        after.rip = e->after.rip;
    }
    return memcmp(&after, &e->after, sizeof after) == 0;
}

static bool can_play(const struct urd_event *e, const struct urd_task *t, bool native)
{
    return (e->kind == URD_EVENT_SYSCALL || (native && is_tsc(e))) &&
           e->flags == (URD_EVENT_RAN | URD_EVENT_FAST) && e->tid == t->tid && !e->n_map_ops &&
           !e->n_patches && !e->has_checksum && !e->cut && !e->xstate && only_result_differs(e);
}

static void put_record(struct urd_buf *ring, const struct urd_event *e)
{
    const struct user_regs_struct *b = &e->before;
    size_t start = ring->size;
    struct playback_record r = {.n_items = e->n_writes,
                                .site = URD_SITE_CALL,
                                .rsp = b->rsp,
                                .fs_base = b->fs_base,
                                .result = (int64_t)e->after.rax};
    r.regs = (struct urd_runtime_frame){b->r15, b->r14, b->r13, b->r12,   b->rbp,      b->rbx,
                                        b->r11, b->r10, b->r9,  b->r8,    b->orig_rax, b->rip - 2,
                                        b->rdx, b->rsi, b->rdi, b->eflags};
    if (is_tsc(e)) {
        r.site = e->after.rip - b->rip == 2 ? URD_SITE_RDTSC : URD_SITE_RDTSCP;
        r.regs.rax = b->rax;
        r.regs.rcx = b->rip;
        r.rcx = b->rcx;
        r.rcx_after = e->after.rcx;
        r.result = (int64_t)(e->after.rdx << 32 | e->after.rax);
    }
    urd_buf_put(ring, &r, sizeof r);
    for (uint32_t i = 0; i < e->n_writes; i++) {
        const struct urd_mem_write *w = &e->writes[i];
        const struct playback_item item = {w->address, w->size};
        urd_buf_put(ring, &item, sizeof item);
        urd_buf_put(ring, w->data, w->size);
        urd_buf_put(ring, &(uint64_t){0}, -w->size & 7);
    }
    r.size = (uint32_t)(ring->size - start);
    memcpy(ring->data + start, &r, sizeof r);
}

/** Does the task go on behind the event before e, to where e stops it? */
static bool goes_on(const struct urd_event *e, const struct urd_task *t)
{
    return e && e->tid == t->tid && e->flags & URD_EVENT_RAN && !e->cut;
}

urd_err *urd_fast_read_ahead(struct urd_session *s, const struct urd_task *t, uint64_t limit,
                             bool native)
{
    struct urd_ahead *a = &s->ahead;
    a->n = 0;
    a->ring.size = 0;
    if (s->no_fast || limit <= s->next->number || !can_play(s->next, t, native))
        return NULL;
    URD_TRY(read_to(s, s->next->number));
    while (a->event && a->event->number < limit && a->n < PLAYBACK_CALLS_MAX &&
           can_play(a->event, t, native)) {
        size_t before = a->ring.size;
        put_record(&a->ring, a->event);
        URD_TRY(urd_trace_next(a->reader, &a->event));
        if (a->ring.size > PLAYBACK_RING_BYTES || !goes_on(a->event, t)) {
            a->ring.size = before;
            break;
        }
        a->n++;
    }
    return NULL;
}

static bool has_cpuid(const struct urd_process *p, const struct urd_event *e)
{
    uint8_t code[3] = {0};
    bool has = false;
    for (uint32_t i = 0; i < e->n_patches && !has; i++)
        has = urd_tracee_read(p->mem, urd_patch_site(&e->patches[i]), code, 2) == 2 &&
              urd_site_kind(code) == URD_SITE_CPUID;
    return has;
}

/**
 * What was patched right after exec is told by the first event behind it, but CPUIDs, which may cost more than all that a process stops for, come
 * before: they are patched at once.
 */
static urd_err *show_cpuids(struct urd_session *s, struct urd_task *t)
{
    struct urd_process *p = t->process;
    const struct urd_event *e = s->next;
    if (p->fast || s->no_fast || e->tid != t->tid || !has_cpuid(p, e))
        return NULL;
    urd_fast_note(p, e);
    p->fast->noted = e->number;
    URD_TRY(show(p, urd_trace_get_info(s->trace)));
    if (p->fast->off)
        urd_fast_hide(p);
    return NULL;
}

urd_err *urd_fast_fill(struct urd_session *s, struct urd_task *t, uint64_t limit)
{
    s->ahead.n = 0;
    URD_TRY(show_cpuids(s, t));
    struct urd_fast *f = t->process->fast;
    if (!f || f->off || !can_play(s->next, t, true) || ++f->stopped < WORTH)
        return NULL;
    URD_TRY(urd_fast_read_ahead(s, t, limit, true));
    if (!s->ahead.n)
        return NULL;
    URD_TRY(show(t->process, urd_trace_get_info(s->trace)));
    if (!f->off)
        return set_ring(t->process, &s->ahead.ring);
    s->ahead.n = 0;
    urd_fast_hide(t->process);
    return NULL;
}

urd_err *urd_fast_done(struct urd_session *s, struct urd_task *t, uint64_t *ret)
{
    uint64_t n = s->ahead.n;
    *ret = 0;
    s->ahead.n = 0;
    if (!n)
        return NULL;
    if (urd_tracee_read(t->process->mem, DATA_FIELD(head), ret, sizeof *ret) != sizeof *ret ||
        *ret > n)
        URD_FAIL("the runtime region of process %d is damaged", t->process->pid);
    return *ret < n ? set_ring(t->process, NULL) : NULL;
}
