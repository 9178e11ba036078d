/**
 * The index on disk.
 *
 * FORMAT   index.urd in the trace's directory, a SQLite database. Numbers are INTEGERs, signed 64-bit. A
 *          *clock* is the number of instructions retired by all tasks before that point; what an instruction
 *          does carries the clock before it, what the kernel does at event E carries clock(E) - 1. In the
 *          per-segment tables clocks are relative to segments.start_clock.
 *
 *   meta(key, value)         version; trace_events; ended (1 once there are segments up to the end); complete (1 once everything below is there)
 *   segments                 what lies between two checkpoints. start and end are moments (event, steps; steps
 *                            count from the segment's own start while no event was passed). event_steps:
 *                            varints, for each event in (start_event, end_event] its relative clock less the one
 *                            before. start_clock NULL: it is not joined yet, and nothing of it is to be read. blocks: the dictionary of blocks, see flow.h. joins: what happened to frames of before the segment; stacks: those
 *                            that tasks and waiting coroutines had at its start, see coroutines.h (filled in when the segments are joined). blocks NULL: what ran here was counted
 *                            and no more: the coarse level. It has no rows in the tables below; pages and ran say what may be there, see coarse.h
 *   writes                   the kernel's writes, and the subject's that are not among the stores: REP, conditional
 *                            ones, odd sizes. One row for at most URD_WRITES_CHUNK writes to one page of one address space, in
 *                            order; words: a bitmap, bit i says that the i-th 8 bytes were touched; see writes.h
 *   flow                     one row for a run of one task, at most URD_FLOW_CHUNK blocks; cover: which blocks,
 *                            how often; stack: the frames at its start; see flow.h; stores: what it wrote, see stores.h
 *   touched                  for each page and segment, which of its rows of flow have stores to the page; see stores.h
 *   calls                    calls that returned (or were left by a longjmp), by address of the callee; see calls.h
 *   spaces                   address spaces, in order of exec and fork. A fork's history before its event is that of
 *                            its parent
 *   reads, read_segments     only with `urd index --reads`, whole once meta.reads is 1; see reads.h
 *   remaps                   what the memory at an address was replaced by: each mapping, unmapping, move and discarding of
 *                            pages in a space, in order of event; kind: enum urd_map_op_kind
 *   events, outputs, mappings, tasks    the trace's events as rows. mappings.object: shared memory's number, and file_offset
 *                            the place in it; 0: none
 */
#ifndef URD_INDEXER_SCHEMA_H
#define URD_INDEXER_SCHEMA_H

#define URD_INDEX_VERSION "13"

/* What is not indexed, or not yet, is only counted: such a row of segments has blocks NULL and tells clocks. Its id is the last of so many:
 * the segments that take its place have those before it, so that ids are in the order of the run. */
#define URD_INDEX_GAP_IDS 65536u

#define URD_INDEX_SCHEMA                                                                           \
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value);"                                \
    "CREATE TABLE IF NOT EXISTS segments(id INTEGER PRIMARY KEY, start_event INTEGER,"             \
    " start_steps INTEGER, end_event INTEGER, end_steps INTEGER, steps INTEGER,"                   \
    " start_clock INTEGER, n_writes INTEGER, event_steps BLOB, blocks BLOB, stacks BLOB, joins "   \
    "BLOB, pages BLOB, ran BLOB);"                                                                 \
    "CREATE TABLE IF NOT EXISTS writes(space INTEGER, page INTEGER, segment INTEGER,"              \
    " first INTEGER, n INTEGER, words BLOB, data BLOB);"                                           \
    "CREATE TABLE IF NOT EXISTS flow(segment INTEGER, chunk INTEGER, tid INTEGER, space INTEGER,"  \
    " first INTEGER, steps INTEGER, blocks INTEGER, cover BLOB, stack BLOB, data BLOB,"            \
    " stores BLOB, PRIMARY KEY(segment, chunk));"                                                  \
    "CREATE TABLE IF NOT EXISTS touched(space INTEGER, page INTEGER, segment INTEGER, data BLOB);" \
    "CREATE TABLE IF NOT EXISTS calls(space INTEGER, entry INTEGER, segment INTEGER, n INTEGER,"   \
    " data BLOB);"                                                                                 \
    "CREATE TABLE IF NOT EXISTS spaces(id INTEGER PRIMARY KEY, pid INTEGER, parent INTEGER,"       \
    " event INTEGER, clock INTEGER, path TEXT);"                                                   \
    "CREATE TABLE IF NOT EXISTS events(number INTEGER PRIMARY KEY, clock INTEGER, kind INTEGER,"   \
    " flags INTEGER, pid INTEGER, tid INTEGER, space INTEGER, syscall INTEGER, result INTEGER,"    \
    " signal INTEGER, status INTEGER, other INTEGER, time_ns INTEGER, pc INTEGER, text TEXT,"      \
    " args BLOB);"                                                                                 \
    "CREATE TABLE IF NOT EXISTS outputs(event INTEGER PRIMARY KEY, clock INTEGER, fd INTEGER,"     \
    " pid INTEGER, tid INTEGER, data BLOB);"                                                       \
    "CREATE TABLE IF NOT EXISTS mappings(space INTEGER, start INTEGER, size INTEGER, prot "        \
    "INTEGER,"                                                                                     \
    " shared INTEGER, file INTEGER, file_offset INTEGER, name TEXT, from_event INTEGER, to_event " \
    "INTEGER, object INTEGER);"                                                                    \
    "CREATE TABLE IF NOT EXISTS remaps(space INTEGER, start INTEGER, size INTEGER, event "         \
    "INTEGER, kind INTEGER, old_start INTEGER, old_size INTEGER);"                                 \
    "CREATE TABLE IF NOT EXISTS tasks(tid INTEGER PRIMARY KEY, pid INTEGER, parent INTEGER,"       \
    " name TEXT, start_event INTEGER, end_event INTEGER, status INTEGER);"

#define URD_INDEX_READS_SCHEMA                                                                     \
    "DROP TABLE IF EXISTS reads; DROP TABLE IF EXISTS read_segments;"                              \
    "CREATE TABLE reads(space INTEGER, page INTEGER, segment INTEGER, first INTEGER, n INTEGER,"   \
    " words BLOB, data BLOB);"                                                                     \
    "CREATE TABLE read_segments(id INTEGER PRIMARY KEY, steps INTEGER, start_clock INTEGER);"

/* Then, when all segments are there. */
#define URD_INDEX_READS_JOIN                                                                       \
    "UPDATE read_segments SET start_clock ="                                                       \
    " (SELECT coalesce(sum(s.steps), 0) FROM read_segments s WHERE s.id < read_segments.id);"      \
    "CREATE INDEX reads_by_page ON reads(space, page, segment, first, n, words);"                  \
    "INSERT OR REPLACE INTO meta VALUES('reads', 1);"

/* Made when all rows are there: faster than keeping them while inserting. */
#define URD_INDEX_INDEXES                                                                          \
    "CREATE INDEX IF NOT EXISTS writes_by_page ON writes(space, page, segment, first, n, words);"  \
    "CREATE INDEX IF NOT EXISTS touched_by_page ON touched(space, page, segment);"                 \
    "CREATE INDEX IF NOT EXISTS calls_by_entry ON calls(space, entry, segment, n);"                \
    "CREATE INDEX IF NOT EXISTS events_by_clock ON events(clock);"                                 \
    "CREATE INDEX IF NOT EXISTS mappings_by_space ON mappings(space, start);"

#endif
