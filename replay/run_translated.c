/* The dispatcher.
 *
 * A run of one interval: load registers, enter the code cache at the block of rip, resume. Every exit of translated
 * code is an int3 in the cache; the reason lies in the context. Misses are translated and chained; what the
 * translator does not do is single-stepped on the subject's own code; a signal raised in the cache is
 * located, so that the subject's exact registers are known.
 *
 * Code that is written to (written_code.h): a page from which code was translated cannot be written. A write there faults; the
 * blocks of that page are forgotten, the right is given back, and the tool steps the instruction that writes: its own page
 * may be the one, and to translate it would be to guard that again.
 *
 * A subject that sets the trap flag gets a SIGTRAP after each instruction. Those are stepped, too.
 */
#include "base/log.h"
#include "replay/capture.h"
#include "replay/fast.h"
#include "replay/playback.h"
#include "replay/stepped.h"
#include "replay/written_code.h"
#include "trace/counter.h"
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTEXT_TOTAL  (URD_CONTEXT_BYTES + URD_LOG_BYTES + URD_LOG_SLACK)
#define PLAYBACK_TOTAL ((sizeof(struct playback) + 4095) & ~4095ull)
#define CAPTURES_TOTAL ((sizeof(struct captures) + 4095) & ~4095ull)
#define SHARED_TOTAL   (CONTEXT_TOTAL + PLAYBACK_TOTAL + CAPTURES_TOTAL)
#define TRAP_FLAG      0x100ull /* of eflags */
#define RESUME_FLAG    0x10000ull

enum { KEPT_SPACES = 4 }; /* each has a cache of URD_CACHE_BYTES, of which it uses a part */

struct urd_kept_code {
    struct code_space *spaces[KEPT_SPACES]; /* the newest first */
};

static void destroy_space(struct code_space *space)
{
    if (!space)
        return;
    urd_translate_destroy(space->id.translator);
    free(space);
}

static void keep(struct urd_kept_code *k, struct code_space *space)
{
    destroy_space(k->spaces[KEPT_SPACES - 1]);
    memmove(k->spaces + 1, k->spaces, (KEPT_SPACES - 1) * sizeof *k->spaces);
    k->spaces[0] = space;
}

static struct code_space *take_kept(struct urd_kept_code *k, uint32_t address_space)
{
    for (unsigned i = 0; i < KEPT_SPACES; i++)
        if (k->spaces[i] && k->spaces[i]->address_space == address_space) {
            struct code_space *space = k->spaces[i];
            k->spaces[i] = NULL;
            return space;
        }
    return NULL;
}

struct urd_kept_code *urd_kept_code_create(void)
{
    return urd_xcalloc(1, sizeof(struct urd_kept_code));
}

void urd_kept_code_destroy(struct urd_kept_code *k)
{
    for (unsigned i = 0; i < KEPT_SPACES; i++)
        destroy_space(k->spaces[i]);
    free(k);
}

static void space_release(struct urd_runner *r, struct code_space *space)
{
    if (!space || --space->refs)
        return;
    struct urd_translate_stats s = urd_translate_get_stats(space->id.translator);
    r->stats.translate.blocks += s.blocks;
    r->stats.translate.subject_bytes += s.subject_bytes;
    r->stats.translate.cache_bytes += s.cache_bytes;
    r->stats.translate.flushes += s.flushes;
    r->stats.translate.unknown_insns += s.unknown_insns;
    if (r->kept && r->ending)
        keep(r->kept, space);
    else
        destroy_space(space);
}

static void read_memory(void *data, uint64_t address, void *buffer, size_t size, size_t *ret_got)
{
    *ret_got = urd_tracee_read(((struct urd_process *)data)->mem, address, buffer, size);
}

static bool find_range(void *data, uint64_t page)
{
    const struct urd_buf *ranges = data;
    for (size_t at = 0; at < ranges->size; at += 16) {
        uint64_t range[2];
        memcpy(range, ranges->data + at, 16);
        if (page >= range[0] && page < range[1])
            return true;
    }
    return false;
}

/** The kept code space of t's address space, when there is one; without what is not true of t's memory. */
static struct code_space *adopt_kept(struct urd_runner *r, struct urd_task *t)
{
    struct code_space *space = r->kept ? take_kept(r->kept, t->space) : NULL;
    FILE *maps = space ? urd_tracee_open_maps(t->process->pid) : NULL;
    struct urd_buf ranges = {0}; /* that may be run, and written by nobody: start, end */
    struct urd_map_line m;
    while (maps && urd_tracee_next_map(maps, &m))
        if ((m.prot & (PROT_EXEC | PROT_WRITE)) == PROT_EXEC && !m.shared) {
            urd_buf_u64(&ranges, m.start);
            urd_buf_u64(&ranges, m.end);
        }
    if (maps)
        fclose(maps);
    if (space) {
        struct urd_code_reader reader = {read_memory, t->process};
        urd_translate_adopt(space->id.translator, &reader, find_range, &ranges);
        space->refs = 1;
        space->id.serial = r->n_spaces++;
        urd_translate_set_stops(space->id.translator, r->stops, r->n_stops);
    }
    urd_buf_deinit(&ranges);
    return space;
}

static urd_err *space_create(struct urd_runner *r, uint32_t address_space, struct code_space **ret)
{
    struct code_space *space = urd_xcalloc(1, sizeof *space);
    urd_err *err = urd_translate_create(r->probes, &space->id.translator);
    if (err) {
        free(space);
        return err;
    }
    if (r->probes & URD_PROBE_LOG)
        urd_translate_set_calls(space->id.translator, playback_calls_begin,
                                (size_t)(playback_calls_end - playback_calls_begin));
    else
        urd_translate_set_stop_code(space->id.translator, capture_begin,
                                    (size_t)(capture_end - capture_begin));
    space->refs = 1;
    space->address_space = address_space;
    space->id.serial = r->n_spaces++;
    if (r->n_stops)
        urd_translate_set_stops(space->id.translator, r->stops, r->n_stops);
    *ret = space;
    return NULL;
}

static size_t context_bytes(const struct urd_runner *r)
{
    return SHARED_TOTAL + (r->probes & URD_PROBE_COVER ? URD_COVER_BYTES : 0);
}

/** Which blocks ran since the last time, to the sink. */
static void give_cover(struct urd_runner *r, struct task_run *tr)
{
    const struct urd_translator *t = tr->space ? tr->space->id.translator : NULL;
    uint32_t n = t && tr->cover ? urd_translate_block_count(t) : 0, last = URD_COVER_BYTES - 1;
    for (uint32_t id = 0; id < n; id++) {
        if (id % 64 == 0 && id + 64 <= last) { /* most have not run */
            static const uint8_t none[64];
            if (memcmp(tr->cover + id, none, 64) == 0) {
                id += 63;
                continue;
            }
        }
        if (!tr->cover[id < last ? id : last])
            continue;
        const struct urd_block *b = urd_translate_block_by_id(t, id);
        for (unsigned i = 0; i < b->n_pieces; i++)
            r->sink.covered(r->sink.data, tr->address_space, b->pieces[i].pc, b->pieces[i].bytes);
        if (id < last)
            tr->cover[id] = 0;
    }
    if (n > last)
        tr->cover[last] = 0;
}

static void free_task_run(struct urd_runner *r, struct urd_process *p)
{
    struct task_run *tr = p->user;
    if (!tr)
        return;
    give_cover(r, tr);
    space_release(r, tr->space);
    if (tr->context)
        munmap(tr->context, context_bytes(r));
    if (tr->context_fd >= 0)
        close(tr->context_fd);
    urd_map_deinit(&tr->pages);
    free(tr->read);
    free(tr);
    p->user = NULL;
}

struct urd_process *urd_runner_process(const struct urd_session *s, uint32_t n)
{
    if (!s->tasks[n].exists)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        if (s->tasks[i].exists && s->tasks[i].process == s->tasks[n].process)
            return NULL;
    return s->tasks[n].process;
}

static void on_process_gone(void *data, struct urd_process *p)
{
    free_task_run(data, p);
}

static urd_err *map_cache(struct task_run *tr, struct urd_process *p)
{
    return urd_process_map_fd(p, urd_translate_fd(tr->space->id.translator), URD_CACHE_BASE,
                              URD_CACHE_BYTES, PROT_READ | PROT_EXEC, 0);
}

static urd_err *make_context(struct urd_runner *r, struct task_run *tr, struct urd_task *t)
{
    tr->address_space = t->space;
    tr->context_fd = memfd_create("urd-context", MFD_CLOEXEC);
    if (tr->context_fd < 0 || ftruncate(tr->context_fd, (off_t)context_bytes(r)) != 0)
        URD_FAIL_ERRNO("cannot make a log buffer");
    void *p = mmap(NULL, context_bytes(r), PROT_READ | PROT_WRITE, MAP_SHARED, tr->context_fd, 0);
    if (p == MAP_FAILED)
        URD_FAIL_ERRNO("cannot map a log buffer");
    tr->context = p;
    tr->context->log_pos = URD_LOG_BASE;
    tr->context->log_end = URD_LOG_BASE + URD_LOG_BYTES;
    tr->playback = (struct playback *)((uint8_t *)p + CONTEXT_TOTAL);
    urd_fast_init_playback(tr->playback, PLAYBACK_CALLS);
    tr->captures = (struct captures *)((uint8_t *)p + CONTEXT_TOTAL + PLAYBACK_TOTAL);
    tr->captures->fsgsbase = urd_runtime_has_fsgsbase();
    if (r->probes & URD_PROBE_COVER) {
        tr->cover = (uint8_t *)p + SHARED_TOTAL;
        URD_TRY(urd_process_map_fd(t->process, tr->context_fd, URD_COVER_BASE, URD_COVER_BYTES,
                                   PROT_READ | PROT_WRITE, SHARED_TOTAL));
    }
    URD_TRY(urd_process_map_fd(t->process, tr->context_fd, URD_CONTEXT_BASE, CONTEXT_TOTAL,
                               PROT_READ | PROT_WRITE, 0));
    URD_TRY(urd_process_map_fd(t->process, tr->context_fd, PLAYBACK_CALLS, PLAYBACK_TOTAL,
                               PROT_READ | PROT_WRITE, CONTEXT_TOTAL));
    return urd_process_map_fd(t->process, tr->context_fd, CAPTURES_AT, CAPTURES_TOTAL,
                              PROT_READ | PROT_WRITE, CONTEXT_TOTAL + PLAYBACK_TOTAL);
}

/** The run state of the task's process, made when it first runs translated. */
static urd_err *prepare(struct urd_runner *r, struct urd_task *t, struct task_run **ret)
{
    if (t->process->user) {
        *ret = t->process->user;
        return NULL;
    }
    struct task_run *tr = urd_xcalloc(1, sizeof *tr);
    tr->context_fd = -1;
    t->process->user = tr;
    tr->space = adopt_kept(r, t);
    if (!tr->space)
        URD_TRY(space_create(r, t->space, &tr->space));
    URD_TRY(make_context(r, tr, t));
    URD_TRY(map_cache(tr, t->process));
    URD_TRY(urd_written_guard_known(r, t->process));
    *ret = tr;
    return NULL;
}

static size_t log_bytes(const struct task_run *tr)
{
    return tr->context->log_pos - URD_LOG_BASE;
}

static const uint8_t *log_start(const struct task_run *tr)
{
    return (const uint8_t *)tr->context + URD_CONTEXT_BYTES;
}

static void give_records(struct urd_runner *r, struct urd_task *t, struct task_run *tr, size_t from,
                         size_t to)
{
    if (from < to && r->sink.records)
        r->sink.records(r->sink.data, t, &tr->space->id, log_start(tr) + from, to - from);
}

/** The log, and the events that were played back in between, to the sink. */
static urd_err *drain(struct urd_runner *r, struct urd_task *t, struct task_run *tr)
{
    if (!(r->probes & URD_PROBE_LOG))
        return NULL;
    size_t bytes = log_bytes(tr), from = 0;
    urd_check(bytes <= URD_LOG_BYTES + URD_LOG_SLACK, "the log ran over: %zu bytes", bytes);
    for (uint64_t i = 0; i < tr->playback->head.done; i++) {
        size_t to = tr->playback->log_at[i] - URD_LOG_BASE;
        give_records(r, t, tr, from, to);
        from = to;
        if (r->sink.event)
            r->sink.event(r->sink.data, r->session, r->session->next);
        URD_TRY(urd_session_go_past(r->session));
    }
    r->session->in_interval = true;
    tr->playback->head.done = 0;
    give_records(r, t, tr, from, bytes);
    tr->context->log_pos = URD_LOG_BASE;
    r->stats.drains++;
    return NULL;
}

/** What the process may play back of the calls to come. */
static urd_err *fill_playback(struct urd_runner *r, struct urd_task *t, struct task_run *tr)
{
    struct playback *p = tr->playback;
    p->head = (struct playback_head){0};
    if (!(r->probes & URD_PROBE_LOG))
        return NULL;
    URD_TRY(urd_fast_read_ahead(r->session, t, r->limit, false));
    if (!r->session->ahead.n)
        return NULL;
    memcpy(p->ring, r->session->ahead.ring.data, r->session->ahead.ring.size);
    p->head.end = r->session->ahead.ring.size;
    r->session->ahead.n = 0;
    return NULL;
}

/** What the process notes at stops, and an empty log for it. */
static void install_captures(const struct urd_runner *r, const struct urd_task *t,
                             struct task_run *tr)
{
    if (r->probes & URD_PROBE_LOG)
        return;
    tr->context->log_pos = URD_LOG_BASE;
    tr->context->log_end = URD_LOG_BASE + r->capture_bytes;
    if (tr->captures_version == r->captures_version)
        return;
    tr->captures_version = r->captures_version;
    tr->captures->n = 0;
    for (uint32_t i = 0; i < r->n_captures; i++)
        if (r->captures[i].space == t->space)
            tr->captures->list[tr->captures->n++] = r->captures[i];
}

static urd_err *enter(struct urd_runner *r, struct urd_task *t, struct task_run *tr, uint64_t pc,
                      uint64_t *ret_cache)
{
    struct urd_code_reader reader = {urd_written_read, t->process};
    bool again = true;
    while (again) {
        URD_TRY(urd_translate_block(tr->space->id.translator, pc, &reader, ret_cache));
        URD_TRY(urd_written_guard(r, t->process, &again));
    }
    return NULL;
}

static urd_err *continue_at(struct urd_task *t, struct user_regs_struct *regs, uint64_t cache,
                            int *status)
{
    regs->rip = cache;
    regs->gs_base = URD_CONTEXT_BASE;
    regs->orig_rax = (unsigned long long)-1;
    URD_TRY(urd_tracee_set_regs(t->process->pid, regs));
    if (ptrace(PTRACE_CONT, t->process->pid, 0, 0) != 0)
        URD_FAIL_ERRNO("cannot resume process %d", t->process->pid);
    URD_TRY(urd_process_wait(t->process, status));
    return urd_tracee_get_regs(t->process->pid, regs);
}

static void give_stepped_write(struct urd_runner *r, struct urd_task *t, uint64_t address,
                               uint64_t size)
{
    uint8_t bytes[4096 + 8];
    for (uint64_t done = 0; done < size;) {
        uint64_t n = size - done < 4096 ? size - done : 4096;
        if (urd_tracee_read(t->process->mem, address + done, bytes, n) != n)
            return;
        r->sink.stepped_write(r->sink.data, t, address + done, n, bytes);
        done += n;
    }
}

/** Does the instruction raise SIGTRAP itself? int3, int1. */
static bool is_trap(const uint8_t *code)
{
    return code[0] == 0xcc || code[0] == 0xf1;
}

/** pushf shows the trap flag that stepped it, unless the subject had set that itself. */
static void hide_trap_flag(struct urd_process *p, const uint8_t *code, uint64_t sp)
{
    uint8_t flags; /* bits 8 to 15 */
    if (code[code[0] == 0x66] != 0x9c || urd_tracee_read(p->mem, sp + 1, &flags, 1) != 1)
        return;
    flags &= (uint8_t) ~(TRAP_FLAG >> 8);
    urd_tracee_write(p->mem, sp + 1, &flags, 1);
}

/** On the subject's own code: the instruction at regs->rip, a REP as a whole. *ret_signal: it raised one instead. */
static urd_err *step_natively(struct urd_runner *r, struct urd_process *p, const uint8_t *code,
                              struct user_regs_struct *regs, bool *ret_signal)
{
    uint64_t pc = regs->rip, traced = regs->eflags & TRAP_FLAG;
    uint64_t rep_end = traced ? 0 : urd_cut_rep_end(p->mem, pc);
    regs->orig_rax = (unsigned long long)-1;
    for (;;) {
        int status;
        bool mine = false;
        URD_TRY(urd_tracee_set_regs(p->pid, regs));
        if (rep_end)
            URD_TRY(urd_tracee_run_to(p->pid, rep_end, &status));
        else if (ptrace(PTRACE_SINGLESTEP, p->pid, 0, 0) != 0)
            URD_FAIL_ERRNO("cannot step process %d", p->pid);
        else
            URD_TRY(urd_process_wait(p, &status));
        if (!WIFSTOPPED(status))
            URD_FAIL("process %d died in a single step", p->pid);
        URD_TRY(urd_tracee_get_regs(p->pid, regs));
        regs->eflags &= ~RESUME_FLAG;
        siginfo_t si;
        if (WSTOPSIG(status) == SIGSEGV && ptrace(PTRACE_GETSIGINFO, p->pid, 0, &si) == 0)
            URD_TRY(urd_written_fault(r, p, (uint64_t)(uintptr_t)si.si_addr, &mine));
        if (mine)
            continue;
        *ret_signal = WSTOPSIG(status) != SIGTRAP || is_trap(code);
        if (*ret_signal)
            return NULL;
        if (traced || regs->rip != pc || code[1] == 0xfe) /* fe: a jump to itself */
            break;
    }
    if (!traced)
        hide_trap_flag(p, code, regs->rsp);
    return NULL;
}

/** Run the one instruction at regs->rip outside of the cache. *ret_signal: it raised one instead. */
static urd_err *step(struct urd_runner *r, struct urd_task *t, struct task_run *tr,
                     struct user_regs_struct *regs, bool *ret_signal)
{
    uint8_t code[15] = {0};
    const struct code_space *space = tr->space; /* the process may get another one */
    *ret_signal = false;
    r->stats.steps++;
    if (tr->cover)
        r->sink.covered(r->sink.data, tr->address_space, regs->rip, 1);
    URD_TRY(drain(r, t, tr));
    regs->gs_base = t->regs.gs_base;
    size_t n = urd_tracee_read(t->process->mem, regs->rip, code, sizeof code);
    const struct user_regs_struct before = *regs;
    struct urd_stepped wrote = {0};
    const struct urd_block *block = NULL;
    struct urd_code_reader reader = {urd_written_read, t->process};
    bool reads = r->probes & URD_PROBE_READS;
    if (r->probes & URD_PROBE_LOG) {
        (reads ? urd_stepped_reads_before : urd_stepped_before)(t->process->pid, code, n, regs,
                                                                &wrote);
        URD_TRY(urd_translate_single(space->id.translator, regs->rip, &reader, &block));
    }
    if (code[0] == 0x0f && code[1] == 0xa2)
        urd_session_cpuid(r->session, regs);
    else
        URD_TRY(step_natively(r, t->process, code, regs, ret_signal));
    if (*ret_signal)
        return NULL;
    tr->context->branches += urd_counter_counts(code, n);
    t->regs = *regs;
    if (block && r->sink.single)
        r->sink.single(r->sink.data, t, &space->id, block);
    (reads ? urd_stepped_reads_after : urd_stepped_after)(&wrote, &before, regs);
    r->stats.unlogged += wrote.unknown;
    for (unsigned i = 0; i < wrote.n && reads && r->sink.stepped_read; i++)
        r->sink.stepped_read(r->sink.data, t, wrote.ranges[i].address, wrote.ranges[i].size);
    for (unsigned i = 0; i < wrote.n && r->sink.stepped_write; i++)
        give_stepped_write(r, t, wrote.ranges[i].address, wrote.ranges[i].size);
    return NULL;
}

static bool in_cache(uint64_t address)
{
    return address >= URD_CACHE_BASE && address < URD_CACHE_BASE + URD_CACHE_BYTES;
}

/** The cut that this run can meet: the next event's, or the caller's. */
static const struct urd_cut *active_cut(const struct urd_runner *r)
{
    return r->session->next->cut ? r->session->next->cut : r->has_cut ? &r->cut : NULL;
}

urd_err *urd_runner_own_space(struct urd_runner *r, struct urd_process *p)
{
    struct task_run *tr = p->user;
    const struct urd_cut *c = active_cut(r);
    uint32_t address_space = tr->space->address_space;
    for (uint32_t i = 0; i < r->session->n_tasks; i++)
        if (urd_runner_process(r->session, i) == p)
            address_space = r->session->tasks[i].space;
    give_cover(r, tr);
    space_release(r, tr->space);
    tr->space = NULL;
    URD_TRY(space_create(r, address_space, &tr->space));
    urd_translate_set_cut(tr->space->id.translator, c ? c->regs.rip : 0, c ? c->n_words : 0);
    tr->resume = 0;
    return map_cache(tr, p);
}

static void install_cut(const struct urd_cut *c, struct task_run *tr)
{
    urd_translate_set_cut(tr->space->id.translator, c ? c->regs.rip : 0, c ? c->n_words : 0);
    if (!c)
        return;
    struct user_regs_struct regs = c->regs;
    for (unsigned i = 0; i < 16; i++)
        tr->context->cut_regs[i] = *urd_reg_slot(&regs, i);
    for (unsigned i = 0; i < c->n_words; i++) {
        tr->context->cut_words[i].address = c->words[i].address;
        tr->context->cut_words[i].value = c->words[i].value;
    }
}

/** The 16 registers and the words agree: is it really the state of the cut? */
static urd_err *is_cut(struct urd_runner *r, const struct urd_cut *c, struct urd_task *t,
                       const struct user_regs_struct *regs, bool *ret)
{
    pid_t pid = t->process->pid;
    const struct task_run *tr = t->process->user;
    *ret = !c->counted || tr->context->branches == c->branches;
    if (!*ret)
        return NULL;
    URD_TRY(urd_cut_matches_nearly(c, pid, t->process->mem, regs, ret));
    if (!*ret || c->counted)
        return NULL;
    URD_TRY(urd_written_set_guards(t->process, false));
    struct urd_stacks stacks;
    urd_session_stacks(r->session, t, regs->rsp, &stacks);
    urd_err *err = urd_cut_matches_memory(c, pid, t->process->mem, &stacks, ret);
    free(stacks.sps);
    URD_TRY(err);
    return urd_written_set_guards(t->process, true);
}

static void finish_regs(struct urd_task *t, struct user_regs_struct *regs, uint64_t pc)
{
    uint64_t gs = t->regs.gs_base;
    regs->rip = pc;
    regs->gs_base = gs;
    regs->eflags &= ~RESUME_FLAG;
    t->regs = *regs;
}

static void at_syscall(struct urd_task *t, struct user_regs_struct *regs, uint64_t pc)
{
    finish_regs(t, regs, pc + 2);
    t->regs.orig_rax = t->regs.rax;
    t->regs.rax = (unsigned long long)-ENOSYS;
    t->regs.rcx = t->regs.rip;
    t->regs.r11 = t->regs.eflags;
}

/** It stopped where it was asked to. resume: where it goes on in the cache; with the trap flag it does so outside. */
static void stop_at(struct urd_task *t, struct task_run *tr, struct user_regs_struct *regs,
                    uint64_t pc, uint64_t resume)
{
    tr->resume = resume;
    tr->resume_pc = pc;
    tr->resume_tid = t->tid;
    finish_regs(t, regs, pc);
}

static bool is_stop(const struct urd_runner *r, uint64_t pc)
{
    for (size_t i = 0; i < r->n_stops; i++)
        if (r->stops[i] == pc)
            return true;
    return false;
}

enum next { GO_ON, STEP, FINISHED };

/** A signal in translated code. On GO_ON and STEP (a page guard) *pc is where the subject is. */
static urd_err *serve_signal(struct urd_runner *r, struct urd_task *t, struct task_run *tr,
                             int status, struct user_regs_struct *regs, uint64_t *pc,
                             enum next *ret)
{
    siginfo_t si = {0};
    if (ptrace(PTRACE_GETSIGINFO, t->process->pid, 0, &si) != 0)
        URD_FAIL_ERRNO("cannot ask about a signal of a replayed process");
    uint64_t cache = regs->rip;
    urd_log(1, "signal %d code %d address %p in the cache at %#llx", si.si_signo, si.si_code,
            si.si_addr, (unsigned long long)cache);
    const struct urd_block *block;
    unsigned insn;
    if (WSTOPSIG(status) == SIGSEGV &&
        urd_translate_log_full(tr->space->id.translator, regs, tr->context)) {
        URD_TRY(drain(r, t, tr));
        *pc = regs->rip;
        *ret = GO_ON;
        return NULL;
    }
    if (!urd_translate_locate(tr->space->id.translator, regs, tr->context, &block, &insn))
        URD_FAIL("a replayed process got signal %d at %#llx, outside of what was translated",
                 WSTOPSIG(status), (unsigned long long)cache);
    size_t bytes = log_bytes(tr);
    URD_TRY(drain(r, t, tr));
    if (block && insn && r->probes & URD_PROBE_LOG && r->sink.partial)
        r->sink.partial(r->sink.data, t, &tr->space->id, block, log_start(tr) + bytes, insn);
    *pc = regs->rip;
    *ret = GO_ON;
    if (WSTOPSIG(status) == SIGSEGV) {
        bool mine;
        URD_TRY(urd_written_fault(r, t->process, (uint64_t)(uintptr_t)si.si_addr, &mine));
        if (mine) {
            *ret = STEP;
            return NULL;
        }
    }
    finish_regs(t, regs, *pc);
    *ret = FINISHED;
    return NULL;
}

/** A system call under the subject's own trap flag, which translated code cannot run with. */
static urd_err *step_into_call(struct urd_runner *r, struct urd_task *t, struct task_run *tr,
                               struct user_regs_struct *regs, uint64_t pc)
{
    const struct urd_block *block = NULL;
    struct urd_code_reader reader = {urd_written_read, t->process};
    if (tr->cover)
        r->sink.covered(r->sink.data, tr->address_space, pc, 1);
    URD_TRY(drain(r, t, tr));
    if (r->probes & URD_PROBE_LOG)
        URD_TRY(urd_translate_single(tr->space->id.translator, pc, &reader, &block));
    if (block && r->sink.single)
        r->sink.single(r->sink.data, t, &tr->space->id, block);
    at_syscall(t, regs, pc);
    return NULL;
}

static bool is_syscall(struct urd_process *p, uint64_t pc)
{
    uint8_t code[2] = {0};
    return urd_tracee_read(p->mem, pc, code, sizeof code) == sizeof code && code[0] == 0x0f &&
           code[1] == 0x05;
}

/**
 * One instruction outside of the cache, unless steps are used up. True in *ret_done: the run is over, and *ret_end says why. Under
 * the subject's own trap flag it is over in any case: a SIGTRAP follows the instruction.
 */
static urd_err *step_on(struct urd_runner *r, struct urd_task *t, struct task_run *tr,
                        const uint64_t *steps, struct user_regs_struct *regs, uint64_t *pc,
                        enum urd_run_end *ret_end, bool *ret_done)
{
    bool traced = regs->eflags & TRAP_FLAG, signal = false;
    *ret_done = true;
    regs->rip = *pc;
    if (steps && tr->context->steps_left < 1) {
        finish_regs(t, regs, *pc);
        *ret_end = URD_RUN_STEPS;
        return NULL;
    }
    if (traced && is_syscall(t->process, *pc)) {
        tr->context->steps_left--;
        *ret_end = URD_RUN_SYSCALL;
        return step_into_call(r, t, tr, regs, *pc);
    }
    URD_TRY(step(r, t, tr, regs, &signal));
    *pc = regs->rip;
    if (!signal)
        tr->context->steps_left--;
    *ret_done = signal || traced;
    if (*ret_done)
        finish_regs(t, regs, *pc);
    *ret_end = URD_RUN_SIGNAL;
    return NULL;
}

/**
 * A fault while a call was played back (code was translated from where it writes) or a hit noted (nothing can be read there). The process
 * stands at the exit again.
 */
static void leave_playback(const struct task_run *tr, struct user_regs_struct *regs, int *status)
{
    if ((WSTOPSIG(*status) != SIGSEGV && WSTOPSIG(*status) != SIGBUS) ||
        regs->rip - URD_CALLS_CODE >= URD_CALLS_BYTES + URD_STOPS_BYTES)
        return;
    uint64_t rcx = tr->playback->state.frame.rcx, at = regs->rip;
    urd_runtime_restore(&tr->playback->state, regs);
    regs->rcx = rcx;
    regs->rip = at;
    *status = SIGTRAP << 8 | 0x7f;
}

urd_err *urd_runner_run(struct urd_runner *r, uint64_t *steps, enum urd_run_end *ret)
{
    struct urd_task *t = urd_session_running(r->session);
    urd_check(t, "nothing runs before event %llu", (unsigned long long)r->session->event + 1);
    struct task_run *tr = NULL;
    urd_fast_hide(t->process);
    URD_TRY(prepare(r, t, &tr));
    struct urd_context *ctx = tr->context;
    struct user_regs_struct regs = t->regs;
    uint64_t pc = regs.rip, cache = 0, link = 0;
    if (steps)
        ctx->steps_left = (int64_t)*steps;
    else
        ctx->steps_left = INT64_MAX;
    ctx->branches = r->session->branches;
    const struct urd_cut *cut = active_cut(r);
    install_cut(cut, tr);
    URD_TRY(fill_playback(r, t, tr));
    install_captures(r, t, tr);
    URD_TRY(urd_task_load_vectors(t));
    bool resumes = tr->resume && tr->resume_pc == pc && tr->resume_tid == t->tid;
    if (resumes && !(regs.eflags & TRAP_FLAG))
        cache = tr->resume;
    tr->resume = 0;
    r->session->in_interval = true;
    for (bool done = false; !done;) {
        if (regs.eflags & TRAP_FLAG && !resumes && is_stop(r, pc)) {
            stop_at(t, tr, &regs, pc, pc);
            *ret = URD_RUN_STOP;
            break;
        }
        if (regs.eflags & TRAP_FLAG) {
            URD_TRY(step_on(r, t, tr, steps, &regs, &pc, ret, &done));
            continue;
        }
        if (!cache)
            URD_TRY(enter(r, t, tr, pc, &cache));
        if (!cache) { /* nothing can be read there: the subject jumped into nowhere */
            finish_regs(t, &regs, pc);
            URD_TRY(drain(r, t, tr));
            *ret = URD_RUN_SIGNAL;
            break;
        }
        if (link)
            urd_translate_link(tr->space->id.translator, link, cache);
        link = 0;
        int status;
        URD_TRY(continue_at(t, &regs, cache, &status));
        cache = 0;
        r->stats.stops++;
        leave_playback(tr, &regs, &status);
        if (WSTOPSIG(status) != SIGTRAP || !in_cache(regs.rip)) {
            enum next next = FINISHED;
            URD_TRY(serve_signal(r, t, tr, status, &regs, &pc, &next));
            if (next == STEP)
                URD_TRY(step_on(r, t, tr, steps, &regs, &pc, ret, &done));
            else if (next == FINISHED)
                *ret = URD_RUN_SIGNAL;
            done |= next == FINISHED;
            continue;
        }
        pc = ctx->exit_pc;
        switch ((enum urd_exit)ctx->exit_reason) {
        case URD_EXIT_MISS:
            link = ctx->exit_link;
            r->stats.misses++;
            break;
        case URD_EXIT_SYSCALL:
            at_syscall(t, &regs, pc);
            URD_TRY(drain(r, t, tr));
            *ret = URD_RUN_SYSCALL;
            done = true;
            break;
        case URD_EXIT_STEP:
            URD_TRY(step_on(r, t, tr, steps, &regs, &pc, ret, &done));
            break;
        case URD_EXIT_LOG_FULL:
            URD_TRY(drain(r, t, tr));
            break;
        case URD_EXIT_BUDGET:
            while (!done)
                URD_TRY(step_on(r, t, tr, steps, &regs, &pc, ret, &done));
            break;
        case URD_EXIT_CUT: {
            bool same;
            cache = ctx->exit_resume;
            URD_TRY(is_cut(r, cut, t, &regs, &same));
            if (same) {
                finish_regs(t, &regs, pc);
                URD_TRY(drain(r, t, tr));
                *ret = cut == r->session->next->cut ? URD_RUN_EVENT : URD_RUN_CUT;
                done = true;
            }
            break;
        }
        case URD_EXIT_STOP:
            stop_at(t, tr, &regs, pc, ctx->exit_resume);
            URD_TRY(drain(r, t, tr));
            *ret = URD_RUN_STOP;
            done = true;
            break;
        case URD_EXIT_REP:
            URD_TRY(drain(r, t, tr));
            cache = ctx->exit_resume;
            break;
        default:
            URD_FAIL("translated code stopped at %#llx for no reason", regs.rip);
        }
    }
    r->session->branches = ctx->branches;
    if (steps)
        *steps = (uint64_t)ctx->steps_left;
    return NULL;
}

/** A forked child keeps its parent's code space. */
static urd_err *after_start(struct urd_runner *r, int32_t tid, int32_t parent_tid)
{
    struct urd_task *t = urd_session_task(r->session, tid);
    struct urd_task *parent = urd_session_task(r->session, parent_tid);
    if (!t || !parent || t->process == parent->process || !parent->process->user)
        return NULL;
    struct task_run *ptr = parent->process->user, *tr = urd_xcalloc(1, sizeof *tr);
    tr->context_fd = -1;
    t->process->user = tr;
    tr->space = ptr->space;
    tr->space->refs++;
    for (size_t i = 0; i < ptr->pages.capacity; i++) /* the guards were copied with the memory */
        if (ptr->pages.slots[i].used == 1)
            *urd_map_put(&tr->pages, ptr->pages.slots[i].key) = ptr->pages.slots[i].value;
    return make_context(r, tr, t); /* the code cache is inherited */
}

/** The kernel wrote into pages with translated code (read() of code, for example), or mapped them once more. */
static urd_err *after_event(struct urd_runner *r, struct urd_process *p, bool maps,
                            const uint64_t (*ranges)[2], uint32_t n)
{
    if (!p->user)
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        URD_TRY(urd_written_by_event(r, p, ranges[i][0], ranges[i][1]));
    return maps ? urd_written_guard_known(r, p) : NULL;
}

urd_err *urd_runner_apply(struct urd_runner *r)
{
    const struct urd_event *e = r->session->next; /* gone once it is applied */
    URD_TRY(urd_written_before_event(r));
    int32_t kind = e->kind, tid = e->tid, other = e->other_tid;
    uint32_t n = e->n_writes;
    bool maps = e->n_map_ops != 0;
    URD_AUTO_FREE uint64_t(*ranges)[2] = urd_xcalloc(n + 1, sizeof *ranges);
    for (uint32_t i = 0; i < n; i++) {
        ranges[i][0] = e->writes[i].address;
        ranges[i][1] = e->writes[i].size;
    }
    URD_TRY(urd_session_apply_event(r->session));
    if (kind == URD_EVENT_START)
        return after_start(r, tid, other);
    struct urd_task *t = urd_session_task(r->session, tid);
    return t && kind != URD_EVENT_EXEC ? after_event(r, t->process, maps, ranges, n) : NULL;
}

bool urd_run_end_fits(const struct urd_event *e, enum urd_run_end end)
{
    static const enum urd_run_end ends[] = {[URD_STOP_SYSCALL] = URD_RUN_SYSCALL,
                                            [URD_STOP_SIGNAL] = URD_RUN_SIGNAL,
                                            [URD_STOP_CUT] = URD_RUN_EVENT};
    return end == ends[urd_session_stop_wanted(e)];
}

urd_err *urd_runner_next(struct urd_runner *r)
{
    struct urd_session *s = r->session;
    struct urd_task *t = urd_session_running(s);
    if (t) {
        enum urd_run_end end;
        URD_TRY(urd_runner_run(r, NULL, &end));
        if (!urd_run_end_fits(s->next, end))
            return urd_session_diverged(s, t, "under translation it stopped for another reason");
    }
    return urd_runner_apply(r);
}

urd_err *urd_runner_seek(struct urd_runner *r, struct urd_moment to)
{
    struct urd_session *s = r->session;
    URD_TRY(urd_session_to_event(s, to.event));
    if (!to.steps)
        return NULL;
    if (!urd_session_running(s))
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION, "nothing runs between events %llu and %llu",
                                      (unsigned long long)to.event,
                                      (unsigned long long)to.event + 1),
                            "the moment %llu:0 exists", (unsigned long long)to.event);
    uint64_t steps = to.steps;
    enum urd_run_end end;
    URD_TRY(urd_runner_run(r, &steps, &end));
    if (end != URD_RUN_STEPS || steps)
        return urd_err_hint(URD_ERROR(URD_ERR_QUESTION,
                                      "event %llu is followed by fewer than %llu steps",
                                      (unsigned long long)to.event, (unsigned long long)to.steps),
                            "the next moment is %llu:0", (unsigned long long)to.event + 1);
    return NULL;
}

/** The only runner of the session, from now on. */
static void attach(struct urd_runner *r, struct urd_session *s)
{
    if (urd_trace_get_info(s->trace)->counted)
        r->probes |= URD_PROBE_BRANCHES;
    s->process_gone = on_process_gone;
    s->process_gone_data = r;
}

urd_err *urd_runner_create(struct urd_session *s, unsigned probes, const struct urd_sink *sink,
                           struct urd_runner **ret)
{
    urd_runner_destroy(s->cutter);
    s->cutter = NULL;
    struct urd_runner *r = urd_xcalloc(1, sizeof *r);
    r->session = s;
    r->probes = probes;
    if (sink)
        r->sink = *sink;
    r->check_memory = s->check_memory;
    s->check_memory = false; /* guarded pages are not counted as writable */
    attach(r, s);
    *ret = r;
    return NULL;
}

urd_err *urd_runner_create_cutter(struct urd_session *s, struct urd_runner **ret)
{
    struct urd_runner *r = urd_xcalloc(1, sizeof *r);
    r->session = s;
    r->check_memory = s->check_memory;
    attach(r, s);
    *ret = r;
    return NULL;
}

urd_err *urd_runner_park(struct urd_runner *r)
{
    return urd_written_park(r);
}

void urd_runner_destroy(struct urd_runner *r)
{
    if (!r)
        return;
    struct urd_session *s = r->session;
    urd_err_free(urd_runner_park(r)); /* fails only where a process is gone */
    r->ending = true;
    for (uint32_t i = 0; i < s->n_tasks; i++)
        if (s->tasks[i].exists)
            free_task_run(r, s->tasks[i].process);
    s->check_memory = r->check_memory;
    s->process_gone = NULL;
    free(r->stops);
    free(r->shared_code);
    free(r->captures);
    free(r);
}

void urd_runner_keep_code(struct urd_runner *r, struct urd_kept_code *k)
{
    r->kept = k;
}

static void for_each_space(struct urd_runner *r,
                           void (*f)(struct urd_runner *r, struct code_space *s))
{
    for (uint32_t i = 0; i < r->session->n_tasks; i++) {
        struct urd_process *p = urd_runner_process(r->session, i);
        if (p && p->user)
            f(r, ((struct task_run *)p->user)->space);
    }
}

void urd_runner_set_cut(struct urd_runner *r, const struct urd_cut *cut)
{
    r->has_cut = cut != NULL;
    if (cut)
        r->cut = *cut;
}

static void set_stops(struct urd_runner *r, struct code_space *space)
{
    urd_translate_set_stops(space->id.translator, r->stops, r->n_stops);
}

void urd_runner_set_limit(struct urd_runner *r, uint64_t event)
{
    r->limit = event;
}

void urd_runner_set_stops(struct urd_runner *r, const uint64_t *pcs, size_t n)
{
    r->stops = urd_xrealloc(r->stops, n * sizeof *pcs);
    memcpy(r->stops, pcs, n * sizeof *pcs);
    r->n_stops = n;
    for_each_space(r, set_stops);
}

void urd_runner_set_captures(struct urd_runner *r, const struct urd_capture *captures, uint32_t n,
                             uint32_t bytes)
{
    urd_check(n <= URD_CAPTURES && !(r->probes & URD_PROBE_LOG), "nothing can be noted");
    r->captures = urd_xrealloc(r->captures, (n + 1) * sizeof *captures);
    memcpy(r->captures, captures, n * sizeof *captures);
    r->n_captures = n;
    r->capture_bytes = bytes < URD_LOG_BYTES ? bytes : URD_LOG_BYTES;
    r->captures_version++;
}

const uint8_t *urd_runner_captured(const struct urd_task *t, size_t *ret_bytes)
{
    const struct task_run *tr = t->process->user;
    *ret_bytes = log_bytes(tr);
    return log_start(tr);
}

struct urd_runner_stats urd_runner_get_stats(const struct urd_runner *r)
{
    return r->stats;
}
