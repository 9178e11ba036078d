/* Frames at a moment: of the call history, with the functions that were inlined into them, and the registers that unwinding finds. */
#include "base/tracee.h"
#include "query/engine.h"
#include <sys/ptrace.h>

static bool read_memory(void *data, uint64_t address, void *buf, size_t size)
{
    const struct frame_state *f = data;
    return urd_tracee_read(f->task->process->mem, address, buf, size) == size;
}

bool frame_register(const struct user_regs_struct *r, unsigned reg, uint64_t *ret)
{
    const uint64_t values[17] = {r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi,
                                 r->rbp, r->rsp, r->r8,  r->r9,  r->r10, r->r11,
                                 r->r12, r->r13, r->r14, r->r15, r->rip};
    if (reg < 17)
        *ret = values[reg];
    else if (reg == URD_DW_EFLAGS)
        *ret = r->eflags;
    else if (reg == URD_DW_FS_BASE)
        *ret = r->fs_base;
    else if (reg == URD_DW_GS_BASE)
        *ret = r->gs_base;
    else
        return false;
    return true;
}

static bool read_register(void *data, unsigned reg, uint64_t *ret)
{
    return frame_register(&((const struct frame_state *)data)->task->regs, reg, ret);
}

static bool read_vector(void *data, unsigned reg, void *buf, size_t size)
{
    struct frame_state *f = data;
    if (!f->have_vectors) {
        urd_err *err = urd_task_load_vectors(f->task);
        bool ok = !err && ptrace(PTRACE_GETFPREGS, f->task->process->pid, 0, &f->vectors) == 0;
        urd_err_free(err);
        if (!ok)
            return false;
    }
    f->have_vectors = true;
    if (reg >= 33 && reg < 41 && size <= 10)
        memcpy(buf, (char *)f->vectors.st_space + (reg - 33) * 16, size);
    else if (reg >= 17 && reg < 33)
        reg -= 17;
    if (reg < 16 && size <= 16)
        memcpy(buf, (char *)f->vectors.xmm_space + reg * 16, size);
    else if (reg < 33 || reg >= 41)
        return false;
    return true;
}

urd_err *frame_open(struct urd_engine *e, struct urd_session *s, struct urd_task *t, uint64_t event,
                    struct frame_state *ret)
{
    *ret = (struct frame_state){.task = t};
    struct urd_image *image;
    URD_TRY(engine_image(e, t->space, event, &image));
    for (uint32_t space = t->space;
         e->index && space && space <= e->index->n_spaces && !ret->program;
         space = e->index->spaces[space].parent)
        if (e->index->spaces[space].path[0])
            ret->program = e->index->spaces[space].path;
    ret->frame = (struct urd_frame){.image = image,
                                    .pc = t->regs.rip,
                                    .data = ret,
                                    .read_memory = read_memory,
                                    .read_register = read_register,
                                    .read_vector = read_vector,
                                    .fs_base = t->regs.fs_base};
    return NULL;
}

void frame_close(struct frame_state *f)
{
    for (unsigned i = 0; i < f->n_callers; i++)
        free(f->callers[i]);
    f->n_callers = 0;
}

const struct urd_frame *frame_at(struct frame_state *f, unsigned n)
{
    f->frame.data = f;
    while (f->n_callers < n && n <= FRAMES_UNWOUND && !f->no_more_callers) {
        struct urd_caller *c = urd_xcalloc(1, sizeof *c);
        f->no_more_callers = !urd_debuginfo_unwind(frame_at(f, f->n_callers), c);
        if (f->no_more_callers)
            free(c);
        else
            f->callers[f->n_callers++] = c;
    }
    if (n > f->n_callers)
        return NULL;
    return n ? &f->callers[n - 1]->frame : &f->frame;
}

/* ---- the stack ---- */

static bool is_plumbing(const struct place_name *n, bool tail)
{
    size_t length = strlen(n->function); /* how a call was bound is not the program's */
    return strncmp(n->function, "_dl_runtime_resolve", 19) == 0 || (tail && !length) ||
           (length > 4 && strcmp(n->function + length - 4, "@plt") == 0);
}

urd_err *engine_caller(struct urd_engine *e, uint32_t space, const struct urd_call *call,
                       struct place_name *ret)
{
    uint64_t event = urd_index_moment(e->index, call->entry).event;
    engine_name(e, space, event, call->site + 1, false, ret); /* inside of the call */
    if (!is_plumbing(ret, false))
        return NULL;
    struct urd_call_stack s;
    URD_TRY(urd_index_stack(e->index, call->entry, call->tid, &s));
    uint32_t i = s.n;
    while (i > 1 && s.frames[i - 2].sp == s.frames[i - 1].sp)
        i--;
    if (i && s.frames[s.n - 1].entry == call->entry)
        engine_name(e, space, event, s.frames[i - 1].site + 1, false, ret);
    free(s.frames);
    return NULL;
}

/** A stack that is walked outwards. */
struct walk {
    struct urd_engine *e;
    struct frame_state *f;
    uint64_t event;
    unsigned unwound; /* the first of the unwinder's frames that is none of those before */
    frame_fn fn;
    void *data;
};

/** A function that was called, behind those that were inlined into it at the frame's pc. */
static bool give_levels(struct walk *w, struct stack_frame *frame)
{
    int64_t entry = frame->entry;
    for (frame->level = 0; frame->level <= frame->name.levels; frame->level++) {
        bool called = frame->level == frame->name.levels;
        if (frame->level)
            engine_name_level(w->e, w->f->task->space, w->event, frame->pc, !frame->exact,
                              frame->level, &frame->name);
        frame->registers.level = frame->level;
        frame->entry = called ? entry : -1;
        if (!w->fn(w->data, frame))
            return false;
    }
    return true;
}

static bool no_register(void *data, unsigned reg, uint64_t *ret)
{
    return false;
}

/** The frame's registers: of the unwinder's frames, which are in the same order, the next one with this pc. Those of a function that
 * was left by a tail call are gone. */
static void find_registers(struct walk *w, struct stack_frame *frame, bool gone)
{
    const struct urd_frame *r = NULL;
    unsigned n = w->unwound;
    while (!gone && (r = frame_at(w->f, n)) && r->pc != frame->pc)
        n++;
    if (r) {
        frame->registers = *r;
        w->unwound = n + 1;
        return;
    }
    frame->registers = w->f->frame;
    frame->registers.pc = frame->pc;
    frame->registers.is_caller = !frame->exact;
    frame->registers.read_register = no_register;
    frame->registers.read_vector = NULL;
}

static bool give_unwound(struct walk *w)
{
    const struct urd_frame *r;
    for (unsigned n = 0; (r = frame_at(w->f, n)); n++) {
        struct stack_frame frame = {
            .pc = r->pc, .exact = !r->is_caller, .entry = -1, .registers = *r};
        engine_name(w->e, w->f->task->space, w->event, r->pc, r->is_caller, &frame.name);
        if (!give_levels(w, &frame))
            return false;
    }
    return true;
}

static bool give_history(struct walk *w, const struct urd_call_stack *stack)
{
    struct stack_frame at = {.pc = w->f->task->regs.rip, .exact = true};
    bool tail = false;
    for (uint32_t i = stack->n + 1; i-- > 0;) {
        const struct urd_call_frame *frame = i ? &stack->frames[i - 1] : NULL;
        engine_name(w->e, w->f->task->space, w->event, at.pc, !at.exact, &at.name);
        at.entry = frame ? frame->entry : -1;
        if (i == stack->n || !is_plumbing(&at.name, at.exact)) {
            find_registers(w, &at, tail);
            if (!give_levels(w, &at))
                return false;
        }
        tail = i > 1 && stack->frames[i - 2].sp == frame->sp;
        if (!frame || !(frame->return_pc || tail))
            break;
        at.exact = frame->signal || tail;
        at.pc = at.exact ? frame->site : frame->return_pc;
    }
    return true;
}

bool frames_have_history(const struct urd_engine *e, struct urd_moment m)
{
    return e->index &&
           !(e->index->n_gaps &&
             e->index->gaps[0].first < e->index->events[m.event].clock + (int64_t)m.steps);
}

urd_err *frames_walk(struct urd_engine *e, struct frame_state *f, struct urd_moment m, frame_fn fn,
                     void *data)
{
    struct walk w = {.e = e, .f = f, .event = m.event, .fn = fn, .data = data};
    if (!frames_have_history(e, m)) {
        give_unwound(&w);
        return NULL;
    }
    int64_t clock;
    struct urd_call_stack stack;
    URD_TRY(urd_index_clock(e->index, m, &clock));
    URD_TRY(urd_index_stack(e->index, clock, f->task->tid, &stack));
    give_history(&w, &stack);
    free(stack.frames);
    return NULL;
}

struct wanted_frame {
    unsigned left; /* frames before it */
    struct urd_frame *ret;
    bool found;
};

static bool on_wanted(void *data, const struct stack_frame *f)
{
    struct wanted_frame *w = data;
    if (w->left--)
        return true;
    *w->ret = f->registers;
    w->found = true;
    return false;
}

urd_err *frame_numbered(struct urd_engine *e, struct frame_state *f, struct urd_moment m,
                        unsigned number, const struct urd_frame **ret)
{
    struct wanted_frame w = {number, &f->numbered, false};
    URD_TRY(frames_walk(e, f, m, on_wanted, &w));
    *ret = w.found ? &f->numbered : NULL;
    return NULL;
}

/* ---- the program's own frame ---- */

/** Is this module the program that the process runs, rather than one of its libraries? */
static bool is_program(const struct frame_state *f, const struct urd_module *m)
{
    return f->program ? strcmp(urd_debuginfo_module_path(m), f->program) == 0
                      : urd_debuginfo_module_is_executable(m);
}

static bool is_user_frame(const struct frame_state *f, const struct urd_frame *frame)
{
    struct urd_place place;
    return urd_debuginfo_image_find(frame->image, frame->pc - (frame->is_caller ? 1 : 0), &place) &&
           is_program(f, place.module) && urd_debuginfo_module_has_lines(place.module);
}

const struct urd_frame *frame_default(struct frame_state *f)
{
    for (unsigned n = 0; n < 40; n++) {
        const struct urd_frame *frame = frame_at(f, n);
        if (!frame)
            break;
        if (is_user_frame(f, frame))
            return frame;
    }
    const struct urd_frame *inner = frame_at(f, 0);
    for (size_t i = 0; i < urd_debuginfo_image_count(inner->image); i++) {
        struct urd_place place = urd_debuginfo_image_module(inner->image, i);
        if (!is_program(f, place.module))
            continue;
        /* main has returned, or not begun: its globals can still be named */
        const struct urd_symbol *main_symbol = urd_debuginfo_symbol_named(place.module, "main");
        if (!main_symbol)
            continue;
        f->global = *inner;
        f->global.pc = main_symbol->address + place.bias;
        f->global.no_registers = true;
        return &f->global;
    }
    return inner;
}
