/**
 * Allocations: the lives of the blocks that malloc and its like gave.
 *
 * PURPOSE  A row for each block: where, how large, by which call, until when, so that an address at a moment has an owner. And for each
 *          region that mmap, mremap, brk and the like gave.
 * NOT      Whose history a page's is: lifetime.c.
 * FORMAT   allocations.urd in the trace's directory (in $TMPDIR where nothing can be made there), a SQLite database, made by the first
 *          question that needs it and kept. Clocks are absolute.
 *
 *   meta(key, value)     version; steps: of the index that it belongs to; found: how many allocator functions there are
 *   allocations          one row a block. space: the address space; address, size: as asked for. clock: of the call, at the first instruction
 *                        of the function; returned: from when on the block is the program's. freed: from when on it is not, NULL: never;
 *                        freed_call: the clock of the call that ended it (NULL while freed is not: it was given away again
 *                        without a call that was seen). function, freed_by: names; pc, freed_pc: where they return to. heir: 0, or the id of
 *                        the row of another space of which this is what became of it after a fork; a fork's child has rows only for what
 *                        it freed itself, and its own. kind: `block` or `mapping`: a region (regions.c), of which clock is that of the system call instruction,
 *                        returned and freed are one more, and heir is 1 when a child ended what it had from its parent
 *
 * How: one replay stops at the first instruction of each function of allocators.def that a mapped module has as a global symbol,
 * and where it returns to. A function called within another (malloc within operator new) that gives the same block makes no row of its own.
 */
#ifndef URD_QUERY_ALLOCATIONS_H
#define URD_QUERY_ALLOCATIONS_H
#include "query/engine.h"

/** The path of allocations.urd, made when it is not there or of another index. Owned by the engine. */
urd_err *engine_allocations(struct urd_engine *e, const char **ret) URD_MUST_USE;
/** Why there are no blocks, only mappings; NULL when there may be. db has the file as schema_name. */
urd_err *engine_allocations_none(sqlite3 *db, const char *schema_name,
                                 const char **ret) URD_MUST_USE;
/** regions.c: rows of what system calls mapped, with ids from last_id + 1 on, by a statement that inserts one: its parameters are the columns up to heir. */
urd_err *engine_regions_save(struct urd_engine *e, sqlite3_stmt *put, int64_t last_id) URD_MUST_USE;
void engine_allocations_close(struct urd_engine *e);
#endif
