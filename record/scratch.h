/**
 * What special.c remembers of a call between its entry and its exit.
 *
 * PURPOSE  Memory as it was before a call whose writes are found by comparing; a few numbers.
 * OWNS     The copies, which keep their room from call to call.
 */
#ifndef URD_RECORD_SCRATCH_H
#define URD_RECORD_SCRATCH_H
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct call_scratch {
    struct before_copy {
        uint64_t address;
        size_t size, room;
        uint8_t *data;
    } * copies;
    unsigned n_copies, cap_copies; /* in use; allocated */
    uint32_t object;   /* shared.c: the shared object that the call wrote to, index + 1; 0: none */
    uint64_t from, to; /* ... and what of it */
    uint64_t was;      /* ... and its size before, bytes */
    uint32_t nothing;  /* ... and a stored file that is empty, when it is shorter now */
    uint32_t opened;   /* shared.c: the shared object that can be written from now on, index + 1; 0: none */
    uint64_t value;    /* whatever the call's own code wants to keep */
};

static inline void call_scratch_deinit(struct call_scratch *s)
{
    for (unsigned i = 0; i < s->cap_copies; i++)
        free(s->copies[i].data);
    free(s->copies);
}
#endif
