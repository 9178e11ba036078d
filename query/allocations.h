/**
 * Allocations: the lives of the blocks that malloc and its like gave.
 *
 * PURPOSE  A row for each block: where, how large, by which call, until when, so that an address at a moment has an owner.
 * NOT      Mappings: whose a page is, lifetime.h says.
 * FORMAT   allocations.urd in the trace's directory (in $TMPDIR where nothing can be made there), a SQLite database, made by the first
 *          question that needs it and kept. Clocks are absolute.
 *
 *   meta(key, value)     version; steps: of the index that it belongs to; found: how many allocator functions there are
 *   allocations          one row a block. space: the address space; address, size: as asked for. clock: of the call, at the first instruction
 *                        of the function; returned: from when on the block is the program's. freed: from when on it is not, NULL: never;
 *                        freed_call: the clock of the call that ended it (NULL while freed is not: it was given away again
 *                        without a call that was seen). function, freed_by: names; pc, freed_pc: where they return to. heir: 0, or the id of
 *                        the row of another space of which this is what became of it after a fork; a fork's child has rows only for what
 *                        it freed itself, and its own
 *
 * How: one replay stops at the first instruction of each function of allocators.def that a mapped module has as a global symbol,
 * and where it returns to. A function called within another (malloc within operator new) that gives the same block makes no row of its own.
 */
#ifndef URD_QUERY_ALLOCATIONS_H
#define URD_QUERY_ALLOCATIONS_H
#include "query/engine.h"

/** The path of allocations.urd, made when it is not there or of another index. Owned by the engine. URD_ERR_QUESTION: the program has no allocator
 * that is known by name. */
urd_err *engine_allocations(struct urd_engine *e, const char **ret) URD_MUST_USE;
void engine_allocations_close(struct urd_engine *e);
#endif
