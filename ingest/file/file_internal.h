/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of a file source share. source.c owns the file and drives; one reader per format turns bytes into
 * rows.
 *
 * Rows are decoded from a copy of the window in the batch's arena, so that strings live as long as the batch, while the
 * raw text of a row stays in the window until the next call.
 */
#ifndef MILL_INGEST_FILE_FILE_INTERNAL_H
#define MILL_INGEST_FILE_FILE_INTERNAL_H

#include "ingest/decode_internal.h"
#include "ingest/file/stream_internal.h"

enum { MILL__FILE_PADDING = 64 }; /* readable zero bytes behind a chunk, so that scanners may look ahead */

struct mill__rows {
    const char *p; /* size bytes in the batch's arena */
    size_t size;
    const char *raw; /* the same bytes in the window */
    bool is_last;    /* the file ends behind them */
    struct mill_batch *batch;
    struct mill_rejects *rejects;
};

/* A reader of line-like rows. */
struct mill__file_reader {
    void (*close)(void *reader);
    /* Decodes rows from the front while they are complete and the batch has room; returns the bytes that were used. */
    size_t (*rows)(void *reader, const struct mill__rows *rows, struct mill_file_source *file);
};

/* Puts the outcome of one row (decoded into batch row row_count, or fault) into the batch. raw lives until the next
 * call. */
void mill__file_add_row(struct mill_file_source *file, struct mill_batch *batch, struct mill_rejects *rejects, bool ok,
                        const struct mill__fault *fault, struct mill_slice raw);
/* The largest row. */
size_t mill__file_row_max(const struct mill_source_spec *spec);

/* CSV: reads the header row. */
int mill__csv_open(const struct mill_source_spec *spec, const char *path, struct mill__stream *stream,
                   void **ret_reader, struct mill_error *err) MILL_MUST_CHECK;
extern const struct mill__file_reader mill__csv_reader;
/* The names of the header row, as fields of type string. */
int mill__csv_names(const char *path, struct mill__stream *stream, struct mill_arena *arena,
                    struct mill_schema *ret_names, struct mill_error *err) MILL_MUST_CHECK;

int mill__jsonl_open(const struct mill_source_spec *spec, void **ret_reader) MILL_MUST_CHECK;
extern const struct mill__file_reader mill__jsonl_reader;

/* Avro object container files have blocks instead of lines, so a reader of their own. */
struct mill__container;
int mill__container_open(const struct mill_source_spec *spec, const char *path, struct mill__stream *stream,
                         struct mill__container **ret_container, struct mill_error *err) MILL_MUST_CHECK;
void mill__container_close(struct mill__container *container);
/* CRC-64-AVRO of the file's schema. */
uint64_t mill__container_fingerprint(const struct mill__container *container);
int mill__container_next(struct mill__container *container, struct mill_file_source *file, struct mill_batch *batch,
                         struct mill_rejects *rejects, struct mill_error *err) MILL_MUST_CHECK;

#endif
