/* SPDX-License-Identifier: Apache-2.0 */
/* A file read from front to back through a window in memory; .zst is decompressed on the way. Called by the readers of
 * CSV, JSON lines and Avro container files. */
#ifndef MILL_INGEST_FILE_STREAM_INTERNAL_H
#define MILL_INGEST_FILE_STREAM_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

struct mill__stream;

int mill__stream_open(const char *path, bool is_zstd, struct mill__stream **ret_stream,
                      struct mill_error *err) MILL_MUST_CHECK;
void mill__stream_close(struct mill__stream *stream);

/* Reads until the window holds at least `want` bytes or the file has ended. Moves the window's bytes. */
int mill__stream_fill(struct mill__stream *stream, size_t want, struct mill_error *err) MILL_MUST_CHECK;
/* What is in the window, until the next fill. */
struct mill_slice mill__stream_window(const struct mill__stream *stream);
/* True where nothing comes behind the window. */
bool mill__stream_is_at_end(const struct mill__stream *stream);
/* Drops the first n bytes of the window; they stay readable until the next fill. */
void mill__stream_consume(struct mill__stream *stream, size_t n);
/* Bytes of the file (compressed) read so far and in all; 0 in all where it has no size (a pipe). */
void mill__stream_progress(const struct mill__stream *stream, uint64_t *ret_done, uint64_t *ret_total);

/* Appends the decompressed bytes of whole zstd frames; more than size_max of them are refused. */
int mill__zstd_unpack(struct mill_slice packed, size_t size_max, struct mill_buffer *out,
                      struct mill_error *err) MILL_MUST_CHECK;

#endif
