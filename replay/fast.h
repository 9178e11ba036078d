/**
 * Calls that a native replay plays back without a stop.
 *
 * PURPOSE  Keep what the recorder told of its patches, put them into replayed processes, fill the ring that their code reads.
 * NOT      Which events may be skipped over for a caller: session.c asks for a limit.
 *
 * The essay is on top of fast.c.
 */
#ifndef URD_REPLAY_FAST_H
#define URD_REPLAY_FAST_H
#include "replay/session.h"

/** Of a process. */
struct urd_fast {
    struct fast_patch {
        uint64_t start, hop, pages, trampoline;
        uint8_t original[2][URD_PATCH_BYTES]; /* when shown: what its pieces replace */
        uint32_t code_size, code;             /* in `code` */
        bool shown;
    } * patches;
    unsigned n_patches, cap_patches;
    struct urd_buf code;
    uint64_t *pages; /* trampolines that are mapped */
    unsigned n_pages, cap_pages;
    unsigned stopped; /* calls that could have been played back */
    uint64_t noted;   /* the event whose patches are known before it is applied; 0: none */
    bool mapped;      /* the region is there */
    bool off;         /* something was in its place */
    bool shown;       /* some patch is in the code */
};

/** What an event that was applied to p says of patches. */
void urd_fast_note(struct urd_process *p, const struct urd_event *e);
/** Before e is applied to p: code that it takes away has its own bytes. */
void urd_fast_before(struct urd_process *p, const struct urd_event *e);
/** For a copy of a process. */
struct urd_fast *urd_fast_copy(const struct urd_fast *f);
void urd_fast_destroy(struct urd_fast *f);

/** The program's own code is in p's memory, and nothing in the ring. */
void urd_fast_hide(struct urd_process *p);

void urd_ahead_deinit(struct urd_ahead *a);

struct playback;
/** Everything but the ring of a playback that lies at this address in its process. */
void urd_fast_init_playback(struct playback *p, uint64_t at);
/** Events from s->next on, below `limit`, that t can play back in one go: into s->ahead, n of them. native: RDTSCs among them. */
urd_err *urd_fast_read_ahead(struct urd_session *s, const struct urd_task *t, uint64_t limit,
                             bool native) URD_MUST_USE;
/** t is about to run natively: events below `limit` that it can play back are put into its ring; s->ahead.n says how many. */
urd_err *urd_fast_fill(struct urd_session *s, struct urd_task *t, uint64_t limit) URD_MUST_USE;
/** It stopped: how many of them it has played back. Nothing is in its ring any more. */
urd_err *urd_fast_done(struct urd_session *s, struct urd_task *t, uint64_t *ret) URD_MUST_USE;
/**
 * It stopped at regs: when that is in the region or a trampoline, it is brought out, behind a call that was played back or before one
 * that was not, and regs are those that it has there.
 */
urd_err *urd_fast_leave(struct urd_process *p, struct user_regs_struct *regs) URD_MUST_USE;
#endif
