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
 *          sp (where the return address lies), varint zigzag entry clock, varint call site, u8 flags (1 inherited, 2 signal).
 *
 * A frame is pushed by a call instruction (sp is where it put the return address), by a jump to a function's first
 * instruction (a tail call: same sp), and by the kernel for a signal handler. A `ret` that takes its target
 * from sp S ends every frame with sp <= S: those below S were left by longjmp or an exception. When no frame is at S (the unwinder of
 * exceptions returns into the middle of a function), and at an indirect jump with the stack pointer S (longjmp), those below S end when
 * S is on the same stack: the newest frame that is not below S lies at most URD_CALLS_NEAR above, and the newest of all at most
 * URD_CALLS_STACK below. A coroutine's switch to another stack ends nothing. A call that puts its return address at S also
 * ends the frames at most URD_CALLS_NEAR below S: nothing that is still live lies there on the same stack. It ends any frame whose
 * return address it overwrites, and those that it called: what coroutines, which are left by jumps, leave behind.
 */
#ifndef URD_INDEXER_CALLS_H
#define URD_INDEXER_CALLS_H
#include "indexer/words.h"

struct urd_call_frame {
    uint64_t callee, return_pc, sp, site;
    int64_t entry;  /* clock before the callee's first instruction */
    bool inherited; /* by a forked child: shown in its stacks, but its return is the parent's */
    bool signal;    /* a handler: site is where the task was interrupted, return_pc the restorer */
};

/** sp of a frame that was entered by a jump when there was none: by a tail call from a frame of before the segment, as only the
 * join knows where that one lies; or where a program begins (_start). Such frames are a stack's outermost. */
#define URD_CALLS_OUTER UINT64_MAX

struct urd_call_stack {
    struct urd_call_frame *frames;
    uint32_t n, capacity;
    uint32_t
        turn; /* the newest frame that lies above the one before it, so on another stack; 0: none. Or n or more: to be looked up */
    uint64_t below_turn[16]; /* a bit for each sp of frames before it, by its low bits */
};

struct urd_call {
    uint64_t callee, site;
    int64_t entry, end; /* clocks; end: after the ret */
    uint32_t depth;
    int32_t tid;
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

/** The raw blob of a row with one call. */
void urd_calls_encode_one(const struct urd_call *c, struct urd_buf *out);

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
#define URD_CALLS_NEAR      (256u << 10)
#define URD_CALLS_STACK     (8u << 20)

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
/** Take frames off that an indirect jump at sp leaves. Gives how many. */
uint32_t urd_calls_unwind(struct urd_call_stack *s, uint64_t sp, int64_t clock, int32_t tid,
                          urd_call_fn done, void *data);
/** Take frames off that a ret at sp ends; false when none is at sp: then as urd_calls_unwind. */
bool urd_calls_return(struct urd_call_stack *s, uint64_t sp, int64_t clock, int32_t tid,
                      urd_call_fn done, void *data);
/** A call puts its return address at sp: frames that longjmp or an exception left end. Gives how many. */
uint32_t urd_calls_drop_dead(struct urd_call_stack *s, uint64_t sp, int64_t clock, int32_t tid,
                             urd_call_fn done, void *data);
/** A call puts its return address at sp, and the stack pointer moved up before it, or did so once (s->turn): frames of another stack
 * that return from sp, which was overwritten, and what they called, end. So stacks of coroutines do not grow for ever. */
void urd_calls_overwrite(struct urd_call_stack *s, uint64_t sp, int64_t clock, int32_t tid,
                         urd_call_fn done, void *data);
/** A jump, perhaps a tail call: from site, in the function that begins at `function` (0: unknown). */
struct urd_call_jump {
    uint64_t site, function;
    uint64_t to, to_function;
    int64_t clock; /* behind it */
    bool indirect;
    bool to_entry; /* a symbol says that a function begins at `to` */
};
/** A frame is entered, or the newest one's callee is another: it was a stub. */
void urd_calls_jump(struct urd_call_stack *s, const struct urd_call_jump *j);

/** What happened in a segment to frames from before it. */
struct urd_call_change {
    uint64_t
        sp; /* of a return, times 2; plus 1: of a jump that leaves frames; or one of those below */
    int64_t clock;
    struct urd_call_jump jump; /* with URD_CALLS_JUMPED */
};

#define URD_CALLS_ENDED  UINT64_MAX       /* the whole stack */
#define URD_CALLS_JUMPED (UINT64_MAX - 1) /* a stub may have ended */

void urd_calls_change_encode(const struct urd_call_change *c, struct urd_buf *out);
/** clocks plus `base`. */
struct urd_call_change urd_calls_change_decode(struct urd_cursor *in, int64_t base);
void urd_calls_replay(struct urd_call_stack *s, const struct urd_call_change *c, int32_t tid,
                      urd_call_fn done, void *data);
/** All frames end here (exec, exit). */
void urd_calls_abandon(struct urd_call_stack *s, int64_t clock, int32_t tid, urd_call_fn done,
                       void *data);

void urd_calls_stack_encode(const struct urd_call_stack *s, struct urd_buf *out);
/** Append the frames of an encoded stack, entry clocks plus `base`; those that are URD_CALLS_OUTER lie where s ends now. */
void urd_calls_stack_decode(struct urd_cursor *in, int64_t base, struct urd_call_stack *s);
#endif
