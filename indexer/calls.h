/**
 * Calls: matched with their returns by the stack pointer.
 *
 * PURPOSE  Each call as (entry, return) clocks and caller, the frames at any point, across segments.
 * NOT      Arguments and return values: those are evaluated on a replay at the moments found here.
 * FORMAT   A row of `calls`: a blob (flow.h) of groups as in words.h, one for each call in order of return, of the words: entry clock,
 *          steps until it returned, call site, tid * 2 + how it ended (0 returned, 1 left by a longjmp or exec or the end of
 *          the trace), depth. Clocks are absolute in rows of segment -1 (calls that cross segments, made when segments are
 *          joined), else relative to the segment.
 *          A stack: varint number of frames, then outermost first: varint callee, varint return address, varint
 *          sp (where the return address lies), varint zigzag entry clock, varint call site, u8 flags (1 inherited, 2 signal, 4: varint tid
 *          follows).
 *          A change: u8 kind, varint tid, varint space, varint zigzag clock; then, as its kind has them, what urd_calls_change_encode says.
 *
 * A frame is pushed by a call instruction (sp is where it put the return address), by a jump to a function's first
 * instruction (a tail call: same sp), and by the kernel for a signal handler. What a list of frames says about a `ret` that takes its
 * target from S, an indirect jump with the stack pointer S, and a call that puts its return address at S:
 * - `ret`: a frame at S returns, and what it called was left (longjmp, an exception).
 * - A jump with S + 8 to the return address of a frame at S is that frame's return, too.
 * - Where S lies between two frames no further apart than a function's frame is large (URD_CALLS_GAP), those below were left.
 * - A call at S ends in the same way what lies at and below S: nothing that is still live lies there on the same stack.
 * Whatever else may be a switch to another stack: then the list cannot tell (URD_CALLS_UNSETTLED), and coroutines.h goes on, which
 * knows all stacks. Only the frames after the last place where a frame lies above the one that called it (a *run*) are looked at.
 */
#ifndef URD_INDEXER_CALLS_H
#define URD_INDEXER_CALLS_H
#include "indexer/words.h"

struct urd_call_frame {
    uint64_t callee, return_pc, sp, site;
    int64_t entry;  /* clock before the callee's first instruction */
    int32_t tid;    /* the task that called it; 0: the one whose frames these are */
    bool inherited; /* by a forked child: shown in its stacks, but its return is the parent's */
    bool signal;    /* a handler: site is where the task was interrupted, return_pc the restorer */
};

/** sp of a frame that was entered by a jump when there was none: by a tail call from a frame of before the segment, as only the
 * join knows where that one lies; or where a program begins (_start). Such frames are a stack's outermost. */
#define URD_CALLS_OUTER UINT64_MAX

struct urd_call_stack {
    struct urd_call_frame *frames;
    uint32_t n, capacity;
};

struct urd_call {
    uint64_t callee, site;
    int64_t entry, end; /* clocks; end: after the ret */
    uint32_t depth;
    int32_t tid; /* that entered it */
    uint8_t abandoned;
};

enum { URD_CALL_WORDS = 5 };

static const struct urd_words_group urd_call_group = {.bytes = (1ull << 8 * URD_CALL_WORDS) - 1};

static inline void urd_call_to_words(const struct urd_call *c, uint64_t *words)
{
    words[0] = (uint64_t)c->entry;
    words[1] = (uint64_t)(c->end - c->entry);
    words[2] = c->site;
    words[3] = (uint64_t)((int64_t)c->tid * 2 + c->abandoned);
    words[4] = c->depth;
}

/** The raw blob of a row with these calls, of one callee. */
void urd_calls_encode(const struct urd_call *calls, uint32_t n, struct urd_buf *out);

/** Reading a row back. */
struct urd_calls_reader {
    struct urd_words_reader in;
    uint64_t memory[URD_CALL_WORDS];
};

/** raw: the unpacked blob. False: it is none. */
bool urd_calls_open(struct urd_calls_reader *r, const void *raw, size_t size);
/** The next call, without its callee. False when there is none. */
bool urd_calls_next(struct urd_calls_reader *r, struct urd_call *ret);

typedef void (*urd_call_fn)(void *data, const struct urd_call *call);

#define URD_CALLS_MAX_DEPTH 200000
#define URD_CALLS_STUB      3 /* steps that a stub has, at most */
/* Bytes. No stack of another coroutine begins or is left so near below the newest frame, or between two frames: */
#define URD_CALLS_FRAME 1024u
#define URD_CALLS_GAP   2048u
/* and these are guesses, for when nothing is known exactly. */
#define URD_CALLS_NEAR  (256u << 10)
#define URD_CALLS_STACK (8u << 20)

/** A new frame, to be filled in whole; field by field in hot code, as a copy waits for all of its parts to be stored. */
static inline struct urd_call_frame *urd_calls_new(struct urd_call_stack *s)
{
    if (__builtin_expect(s->n >= URD_CALLS_MAX_DEPTH, 0))
        s->n--;
    return &URD_PUSH(s->frames, s->n, s->capacity);
}

static inline void urd_calls_push(struct urd_call_stack *s, struct urd_call_frame frame)
{
    *urd_calls_new(s) = frame;
}
/** A jump, perhaps a tail call: from site, in the function that begins at `function` (0: unknown). */
struct urd_call_jump {
    uint64_t site, function;
    uint64_t to, to_function;
    uint64_t sp;   /* URD_CALLS_OUTER: not known */
    int64_t clock; /* behind it */
    bool indirect;
    bool to_entry; /* a symbol says that a function begins at `to` */
};

enum urd_calls_verdict {
    URD_CALLS_SETTLED,
    URD_CALLS_LEFT,      /* the same, and frames ended in a way that return addresses do not tell */
    URD_CALLS_UNSETTLED, /* nothing was changed */
};

/** A ret at sp. */
enum urd_calls_verdict urd_calls_return(struct urd_call_stack *s, uint64_t sp, int64_t clock,
                                        int32_t tid, urd_call_fn done, void *data);
/** An indirect jump with j->sp. outer_sp: the stack pointer of an earlier one on the same stack, with the same frames that have no
 * known sp; 0: there was none. */
enum urd_calls_verdict urd_calls_go(struct urd_call_stack *s, const struct urd_call_jump *j,
                                    uint64_t outer_sp, int32_t tid, urd_call_fn done, void *data);
/** A call puts its return address at sp, which is not below the newest frame. */
enum urd_calls_verdict urd_calls_call(struct urd_call_stack *s, uint64_t sp, int64_t clock,
                                      int32_t tid, urd_call_fn done, void *data);
/** A jump on the same stack: a frame is entered, or the newest one's callee is another: it was a stub. */
void urd_calls_jump(struct urd_call_stack *s, const struct urd_call_jump *j);

/** How many frames there are up to the newest one in the newest run that is not below sp; false: none is, or its place is not known.
 * ret_gap: bytes from there to the frame that it called, or to sp when it is the newest one. */
bool urd_calls_find(const struct urd_call_stack *s, uint64_t sp, uint32_t *ret_n,
                    uint64_t *ret_gap);
/** Frames end until n are left: all of them were left, or (returned) those that have the sp of the oldest one returned. */
void urd_calls_cut(struct urd_call_stack *s, uint32_t n, bool returned, int64_t clock, int32_t tid,
                   urd_call_fn done, void *data);
/** How many frames are URD_CALLS_OUTER. */
uint32_t urd_calls_outer(const struct urd_call_stack *s);

enum urd_call_change_kind {
    URD_CALLS_ENDED,   /* all frames: exec, exit */
    URD_CALLS_STARTED, /* the task did, by `other` */
    URD_CALLS_CALLED,
    URD_CALLS_RETURNED,
    URD_CALLS_JUMPED,
};

/** What happened in a segment that only who knows all stacks can tell the meaning of; frames of the task's list go with it. */
struct urd_call_change {
    uint8_t kind;  /* enum urd_call_change_kind */
    bool inherits; /* STARTED: the frames of `other` */
    int32_t tid, other;
    uint32_t space;
    int64_t clock;
    uint64_t sp;               /* CALLED: where the return address lies; RETURNED: where it lay */
    struct urd_call_jump jump; /* JUMPED; RETURNED: to, to_function, to_entry, clock */
};

void urd_calls_change_encode(const struct urd_call_change *c, struct urd_buf *out);
/** clocks plus `base`. */
struct urd_call_change urd_calls_change_decode(struct urd_cursor *in, int64_t base);

void urd_calls_stack_encode(const struct urd_call_stack *s, struct urd_buf *out);
/** Append the frames of an encoded stack, entry clocks plus `base`; those that are URD_CALLS_OUTER lie where s ends now, and those
 * without a task become tid's. */
void urd_calls_stack_decode(struct urd_cursor *in, int64_t base, int32_t tid,
                            struct urd_call_stack *s);
#endif
