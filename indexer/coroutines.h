/**
 * Coroutines: the stacks of a run, and which task runs on which.
 *
 * PURPOSE  What a return, a jump or a call means that the frames of one list cannot tell (calls.h): which list goes on.
 * NOT      For each call of the run: a segment's builder settles nearly all by itself, and hands over its frames with what it cannot settle.
 * FORMAT   segments.joins: varint number of tasks, of each: varint tid, varint space, varint pc and function of its first block, u8 flags of
 *          it, varint clock before it; how its last block ended when nothing came after that: u8 enum urd_flow_transfer, u8 1 when
 *          with a return, varint site, function, slot, return address, zigzag clock. Then varint number of changes, of each:
 *          the change (calls.h), and the frames that were entered since the task's last one. Then for each task those since its last one.
 *          segments.stacks: varint number of tasks, the same as in joins, of each the list that it runs on at the segment's start: varint tid,
 *          varint space, u8 flags (1 partial, 2 borrowed), its frames; then lists that go on in the segment and waited when it began: those of
 *          tid 0, up to the end.
 *
 * A coroutine is a list of frames: those on its own stack, and what was called from there on another one (Go's systemstack, a handler on
 * sigaltstack). It belongs to an address space, as goroutines move between threads. A task runs on one, all others wait.
 *
 * A resumption is known exactly: a `ret` takes the return address of a frame of a waiting list from where that lies, or a jump goes to
 * it with the stack pointer just above. The frame has returned. A coroutine begins at a function's first instruction, which a
 * `ret` or an indirect jump goes to with a stack pointer that no tail call has. What goes to the middle of a function on an unknown
 * stack is a list without frames (`partial`), not one with wrong ones. A return address that is overwritten ends the frame
 * that waited for it, and those that it called.
 */
#ifndef URD_INDEXER_COROUTINES_H
#define URD_INDEXER_COROUTINES_H
#include "base/map.h"
#include "indexer/calls.h"

struct urd_coroutine {
    struct urd_call_stack stack;
    uint32_t space;
    int32_t tid;    /* that runs on it; 0: it waits */
    uint32_t since; /* number of the segment in which it began to wait */
    bool used;
    bool partial;  /* frames below those that are known may be missing */
    bool borrowed; /* a vfork's child runs on its parent's: nothing goes on here later */
};

struct urd_coroutines_task {
    int32_t tid;
    uint32_t list; /* index */
    bool ended;
};

struct urd_coroutines {
    struct urd_coroutine *lists;
    struct urd_coroutines_task *tasks;
    uint32_t n_lists, cap_lists, n_tasks, cap_tasks;
    uint32_t *unused; /* of lists */
    uint32_t n_unused, cap_unused;
    struct urd_map
        owner;        /* by space and sp of a frame: index of the list that has it, or had, + 1 */
    urd_call_fn done; /* for each call that ends */
    void *data;
    uint32_t segment; /* number of the current one */
    struct urd_buf
        *went_on; /* lists that waited when it began, encoded when they go on; NULL: not wanted */
};

void urd_coroutines_deinit(struct urd_coroutines *c);
/** The list that a task runs on. Valid until the next call. */
struct urd_coroutine *urd_coroutines_of(struct urd_coroutines *c, int32_t tid);
/** Frames that the task entered, all at its newest end; space: that it lives in, for the first ones on a list. */
void urd_coroutines_enter(struct urd_coroutines *c, int32_t tid, uint32_t space,
                          struct urd_cursor *frames, int64_t base);
void urd_coroutines_push(struct urd_coroutines *c, int32_t tid, struct urd_call_frame frame);
void urd_coroutines_change(struct urd_coroutines *c, const struct urd_call_change *change);
/** A change of `joins`, whose frames, those that in is at, come before it. */
void urd_coroutines_apply(struct urd_coroutines *c, const struct urd_call_change *change,
                          struct urd_cursor *in, int64_t base);
/** What ran from here on is not known: all calls end. */
void urd_coroutines_forget(struct urd_coroutines *c, int64_t clock);

void urd_coroutines_encode(const struct urd_coroutine *l, struct urd_buf *out);
/** As encode has it: a task's, or one that waits. */
void urd_coroutines_decode(struct urd_coroutines *c, struct urd_cursor *in);
#endif
