/**
 * What memory held before each of many writes.
 *
 * PURPOSE  The bytes before a write are those after the one before it: told by a walk over the writes in order, instead of a search for each.
 * NOT      Finding the writes; see index.h.
 * CONTEXT  The engine's thread.
 *
 * Where the walk does not know them (nothing was written yet, or the memory became another one meanwhile: remaps, gaps of the index, shared
 * memory) they are looked up, so that the answer is urd_index_memory's in any case.
 */
#ifndef URD_QUERY_BEFORE_H
#define URD_QUERY_BEFORE_H
#include "query/index.h"

enum { BEFORE_LARGEST = 64 }; /* bytes of a write that is told from the walk */

struct before;
struct before *before_create(struct urd_index *x, struct urd_trace *trace, uint32_t space);
void before_destroy(struct before *b);

/**
 * Writes of the space, in order of clock; all that there are to the bytes that are asked about, since the first one. ret (w->size bytes; NULL: not
 * asked for): what was there before. *ret_known: false, a gap of the index leaves it open.
 */
urd_err *before_write(struct before *b, const struct urd_index_write *w, uint8_t *ret,
                      bool *ret_known) URD_MUST_USE;
#endif
