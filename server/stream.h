/**
 * A bounded pipe of bytes from an engine thread to the connection that asked.
 *
 * PURPOSE  An answer may be longer than memory: the engine waits while the reader is behind, and
 * stops when the reader is gone. NOT      Framing: see answer.h. OWNS     Two owners, writer and
 * reader; each calls its _release, the last frees.
 */
#ifndef URD_SERVER_STREAM_H
#define URD_SERVER_STREAM_H
#include "base/err.h"
#include <sys/types.h>

#define URD_STREAM_BYTES (1u << 20)

struct urd_stream;
struct urd_stream *urd_stream_create(void);

/** Fails when the reader is gone, or did not read anything for 30 s while the pipe was full. */
urd_err *urd_stream_write(struct urd_stream *s, const void *data, size_t size) URD_MUST_USE;
bool urd_stream_abandoned(struct urd_stream *s);
/** The writer is done. */
void urd_stream_writer_release(struct urd_stream *s);

/** Waits for bytes. 0: the end. -1: the peer at socket `fd` closed its side, or the server stops.
 */
ssize_t urd_stream_read(struct urd_stream *s, char *to, size_t max, int fd);
/** The reader is done: what is still written is refused. */
void urd_stream_reader_release(struct urd_stream *s);

/** From now on every reader gets -1 and every writer an error. */
void urd_stream_stop_all(void);
#endif
