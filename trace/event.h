/**
 * Events: everything that came into the subject from outside, in order.
 *
 * PURPOSE  The decoded form of one recorded event, shared by recorder, replayer and everybody who asks.
 * NOT      Its bytes on disk; see trace/format.h.
 * OWNS     Nothing: pointers lead into the reader's current chunk or the recorder's scratch.
 *
 * An event is a stop of one task. `before` is what the task had when it stopped, `after` what it goes
 * on with. The task ran user code up to this event only when URD_EVENT_RAN is set; what runs between
 * event E and E + 1 is therefore the task of E + 1 (nothing, when E + 1 lacks the flag).
 */
#ifndef URD_TRACE_EVENT_H
#define URD_TRACE_EVENT_H
#include "trace/cut.h"
#include <string.h>

/** An address in the subject's memory. */
struct urd_addr {
    uint64_t v;
};

/** A point in the run: `event:steps`, steps = instructions retired by the running task since event. */
struct urd_moment {
    uint64_t event;
    uint64_t steps;
};

enum urd_event_kind {
    URD_EVENT_NONE,
    URD_EVENT_EXEC, /* a new image, complete: map_ops from an empty address space; other_tid: the thread
                                that called it, when it became the process's first one by that */
    URD_EVENT_SYSCALL,       /* a call, entered and returned */
    URD_EVENT_SYSCALL_ENTER, /* a call entered that blocks: other tasks may run before it returns */
    URD_EVENT_SYSCALL_EXIT,  /* ... and returned */
    URD_EVENT_SIGNAL,        /* a handler was entered: frame in writes, registers in after */
    URD_EVENT_INSN, /* a non-deterministic instruction: registers in after. With a signal: one that raised
                                it, and a tracer that is recorded, too, was told */
    URD_EVENT_START, /* a new task begins (child of `other_tid`); writes are in the child */
    URD_EVENT_EXIT, /* the task is gone; status as wait4 gives it; writes are in memory that others share */
    URD_EVENT_END,     /* the recording ended; status is that of the first process */
    URD_EVENT_PREEMPT, /* the task was stopped wherever it was, so that another one could run */
    URD_EVENT_MEMORY, /* the task's memory was changed by a call of `other_tid`; writes and map operations. With a
                                text: by a process that is not recorded, of that name. Status 1: nobody wrote, it is so */
    URD_EVENT_KINDS
};

enum urd_event_flag {
    URD_EVENT_RAN = 1, /* the task ran user code just before */
    URD_EVENT_SHARES =
        2, /* START: lives in its parent's memory: a thread, or a vfork child until it execs */
    URD_EVENT_REGISTERS =
        8, /* MEMORY: the task goes on with the registers in after, and xstate if there is one */
    URD_EVENT_FAST =
        4, /* SYSCALL: made without stopping the task; a replay may do likewise, and may not */
};

enum urd_map_op_kind {
    URD_MAP_MAP,
    URD_MAP_UNMAP,
    URD_MAP_PROTECT,
    URD_MAP_MOVE,
    URD_MAP_DISCARD,
    URD_MAP_RESIZE
};

/**
 * One change of an address space. DISCARD: pages go back to zeros or to their file (MADV_DONTNEED). RESIZE: the object's
 * size is now `offset`; no address is concerned.
 */
struct urd_map_op {
    uint8_t kind;       /* enum urd_map_op_kind */
    uint8_t shared;     /* MAP_SHARED */
    uint8_t grows_down; /* a stack */
    uint8_t prot;       /* PROT_... */
    uint32_t file;      /* index of a stored file + 1; 0: anonymous */
    uint32_t
        object; /* shared memory: its number; what was mapped before has its content already. 0: none */
    uint64_t start, size; /* bytes, page aligned */
    uint64_t offset;      /* in the file; MOVE: the old start */
    uint64_t old_size;    /* MOVE */
    const char *name;     /* as /proc/PID/maps has it, or "" */
};

/**
 * What the recorder did to the program's code so that its calls need not stop (docs/fast-path.md): from this event on, a jump at `start`
 * leads to a trampoline. For a replay that does likewise; nobody else sees it. Without code: no patch is left in start .. start + size.
 */
struct urd_patch {
    uint64_t start,
        size; /* of what is overwritten, bytes; URD_PATCH_SHORT_BYTES: the jump there leads to `hop` */
    uint64_t
        hop; /* URD_PATCH_BYTES nearby that nobody runs: the jump to the trampoline; 0: it is at start */
    uint64_t
        pages; /* URD_PATCH_PAGES_BYTES that hold the trampoline, and first the address of what it jumps to */
    uint64_t trampoline;
    uint32_t code_size;
    const uint8_t *
        code; /* of the trampoline: it stores rcx at URD_RUNTIME_RCX and gives the call's address in it */
};

#define URD_PATCH_BYTES       5u
#define URD_PATCH_SHORT_BYTES 2u
#define URD_PATCH_PAGES_BYTES 16384u

/** The address of the call, RDTSC or CPUID: the trampoline ends by loading it and a jump of six bytes. 0: it is damaged. */
static inline uint64_t urd_patch_site(const struct urd_patch *p)
{
    uint64_t site = 0;
    if (p->code_size >= sizeof site + 6)
        memcpy(&site, p->code + p->code_size - 6 - sizeof site, sizeof site);
    return site;
}

/** What a patch puts into code. */
struct urd_patch_piece {
    uint64_t at;
    uint32_t size;
    uint8_t bytes[URD_PATCH_BYTES];
};

/** Does a jump of two bytes at `start` reach there? */
static inline bool urd_patch_reaches(uint64_t start, uint64_t hop)
{
    return hop - (start + URD_PATCH_SHORT_BYTES) + 128 < 256;
}

/** The pieces of a patch, that at `start` first: one, or two when there is a hop. The number of them. */
static inline unsigned urd_patch_pieces(uint64_t start, uint64_t hop, uint64_t trampoline,
                                        struct urd_patch_piece ret[2])
{
    struct urd_patch_piece jump = {
        .at = hop ? hop : start, .size = URD_PATCH_BYTES, .bytes = {0xe9}};
    int32_t distance = (int32_t)(trampoline - (jump.at + URD_PATCH_BYTES));
    memcpy(jump.bytes + 1, &distance, sizeof distance);
    ret[0] = ret[hop != 0] = jump;
    if (hop)
        ret[0] = (struct urd_patch_piece){
            start, URD_PATCH_SHORT_BYTES, {0xeb, (uint8_t)(hop - (start + URD_PATCH_SHORT_BYTES))}};
    return hop ? 2 : 1;
}

/** Bytes that came in. */
struct urd_mem_write {
    uint64_t address, size;
    const uint8_t *data;
    uint64_t clone; /* while recording: `data` is not there, but in the trace's clones, at clone - 1; 0: it is there */
};

struct urd_event {
    uint64_t number;
    uint8_t kind, flags;
    uint8_t output; /* 0, or 1 stdout, 2 stderr: output_data was written there */
    int32_t pid, tid, other_tid;
    int32_t syscall; /* number, or -1 */
    int32_t signal, status;
    uint64_t time_ns; /* since the start of the recording */
    struct user_regs_struct before, after;
    uint32_t n_map_ops, n_writes;
    struct urd_map_op *map_ops;
    struct urd_mem_write *writes;
    const uint8_t *xstate; /* XSAVE area to load, or NULL */
    uint32_t xstate_size;
    const uint8_t *output_data;
    uint64_t output_size;
    const char *text; /* EXEC: path; otherwise "" */
    uint32_t n_patches;
    struct urd_patch *patches; /* of the memory of task tid, after map_ops */
    bool has_checksum;
    uint64_t checksum; /* of the writable memory before the event, as trace/checksum.h says */
    const struct urd_cut
        *cut; /* the stop was in the middle of a computation, at this state (cut->regs is before);
                                  NULL: at a system call, an instruction that faults, or nothing ran */
};

const char *urd_event_kind_name(enum urd_event_kind kind);

/** Registers that carry the state: the values checked between recording and replay. */
static inline uint64_t *urd_reg_slot(struct user_regs_struct *r, unsigned hw)
{
    switch (hw) { /* hardware encoding order */
    case 0:
        return (uint64_t *)&r->rax;
    case 1:
        return (uint64_t *)&r->rcx;
    case 2:
        return (uint64_t *)&r->rdx;
    case 3:
        return (uint64_t *)&r->rbx;
    case 4:
        return (uint64_t *)&r->rsp;
    case 5:
        return (uint64_t *)&r->rbp;
    case 6:
        return (uint64_t *)&r->rsi;
    case 7:
        return (uint64_t *)&r->rdi;
    case 8:
        return (uint64_t *)&r->r8;
    case 9:
        return (uint64_t *)&r->r9;
    case 10:
        return (uint64_t *)&r->r10;
    case 11:
        return (uint64_t *)&r->r11;
    case 12:
        return (uint64_t *)&r->r12;
    case 13:
        return (uint64_t *)&r->r13;
    case 14:
        return (uint64_t *)&r->r14;
    default:
        return (uint64_t *)&r->r15;
    }
}

/** "1042:318" into *ret; also "1042" (steps 0). A wrong text is URD_ERR_QUESTION. */
urd_err *urd_moment_parse(const char *text, struct urd_moment *ret) URD_MUST_USE;
int urd_moment_compare(struct urd_moment a, struct urd_moment b);

#endif
