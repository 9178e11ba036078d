/**
 * The recording on disk.
 *
 * FORMAT   A trace is a directory:
 *
 *   trace.urd      chunks, appended
 *   files/HASH     the content of mapped files, once each, named by XXH3-128 of the content
 *   clones         what large reads of files gave, where the file system could clone it; events have places in it
 *   index.urd      the index, when there is one (SQLite; see indexer/schema.h)
 *
 * A chunk is self-describing, so that a file that was cut off is read up to its last whole chunk:
 *
 *   u32 magic "URDc"   u16 version   u16 kind (1 header, 2 events, 3 files)
 *   u64 first_event    u32 n_records u32 raw_bytes   u32 stored_bytes   u32 zero
 *   u64 checksum       XXH3-64 of all the header's other fields and of the stored bytes
 *   stored bytes       zstd
 *
 * The first chunk is the header chunk (see struct urd_trace_info, trace/info.c). A files chunk holds
 * n_records times: text hash, text path, varint size; files are numbered in order over all such chunks. An
 * events chunk holds n_records events as trace/codec.c writes them.
 *
 * Registers are written as differences to the same task's last ones *in this chunk*, so that every chunk is
 * decoded alone.
 */
#ifndef URD_TRACE_FORMAT_H
#define URD_TRACE_FORMAT_H
#include <stdint.h>

#define URD_TRACE_MAGIC   0x63445255u /* "URDc" */
#define URD_TRACE_VERSION 6
#define URD_TRACE_OLDEST  2 /* that can be read: no event has patches, or URD_EVENT_REGISTERS. 3: no patch has a hop. 4: no cut has PART_STACK. 5: there are no clones */
enum { URD_CHUNK_HEADER = 1, URD_CHUNK_EVENTS = 2, URD_CHUNK_FILES = 3 };

struct urd_chunk_header {
    uint32_t magic;
    uint16_t version, kind;
    uint64_t first_event;
    uint32_t n_records, raw_bytes, stored_bytes, zero;
    uint64_t checksum;
};
#endif
