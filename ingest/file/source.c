/* SPDX-License-Identifier: Apache-2.0 */
/* Files as sources: finds the reader by the file's name, feeds it, keeps raw texts and row numbers. Called by offline
 * runs and (through next_record.c) by replay. */
#include <stdlib.h>

#include "ingest/file/next_record_internal.h"

enum { CHUNK_MIN = 64 * 1024, CHUNK_MAX = 8 << 20, ROW_MAX_DEFAULT = 1 << 20 };

struct mill_file_source {
    const struct mill_source_spec *spec;
    struct mill__stream *stream;
    const struct mill__file_reader *reader; /* NULL: container */
    void *reader_state;
    struct mill__container *container;
    int64_t next_row;   /* its number in the file */
    size_t used;        /* bytes of the window that the last batch took */
    size_t chunk_size;  /* what a batch took of late, and some more */
    bool skipping_line; /* the rest of a line that was too long */
    struct mill_slice raw[MILL_BATCH_ROWS_MAX];
    uint32_t raw_count;
    struct mill__replay *replay;
};

enum file_kind { FILE_CSV, FILE_JSONL, FILE_AVRO };
static const struct {
    const char *suffix;
    enum file_kind kind;
} suffixes[] = {
    {".csv", FILE_CSV}, {".jsonl", FILE_JSONL}, {".ndjson", FILE_JSONL}, {".json", FILE_JSONL}, {".avro", FILE_AVRO},
};

static bool cut_suffix(struct mill_slice *name, const char *suffix)
{
    size_t n = strlen(suffix);
    bool has = name->n > n && memcmp(name->p + name->n - n, suffix, n) == 0;

    name->n -= has ? n : 0;
    return has;
}

static int find_kind(const char *path, enum file_kind *ret_kind, bool *ret_is_zstd, struct mill_error *err)
{
    struct mill_slice name = mill_slice_of(path);

    *ret_is_zstd = cut_suffix(&name, ".zst");
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        if (cut_suffix(&name, suffixes[i].suffix)) {
            *ret_kind = suffixes[i].kind;
            return 0;
        }
    }
    return mill_fail(
        err, MILL_EUSAGE,
        "'%s': the name does not tell the format; expected .csv, .jsonl, .ndjson, .json or .avro, with .zst "
        "behind it where it is compressed",
        path);
}

static int open_reader(struct mill_file_source *file, enum file_kind kind, const char *path, struct mill_error *err)
{
    switch (kind) {
    case FILE_CSV:
        MILL_TRY(mill__csv_open(file->spec, path, file->stream, &file->reader_state, err));
        file->reader = &mill__csv_reader;
        break;
    case FILE_JSONL:
        MILL_TRY(mill__jsonl_open(file->spec, &file->reader_state));
        file->reader = &mill__jsonl_reader;
        break;
    case FILE_AVRO:
        return mill__container_open(file->spec, path, file->stream, &file->container, err);
    }
    return 0;
}

int mill_file_source_open(const struct mill_source_spec *spec, const char *path, struct mill_file_source **ret_file,
                          struct mill_error *err)
{
    enum file_kind kind = FILE_CSV;
    bool is_zstd = false;

    MILL_TRY(find_kind(path, &kind, &is_zstd, err));
    struct mill_file_source *file = mill_calloc(1, sizeof(*file));
    file->spec = spec;
    file->chunk_size = CHUNK_MIN;
    int rc = mill__stream_open(path, is_zstd, &file->stream, err);
    if (rc == 0) {
        rc = open_reader(file, kind, path, err);
    }
    if (rc < 0) {
        mill_file_source_close(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

int mill_file_csv_columns(const char *path, struct mill_arena *arena, struct mill_schema *ret_columns,
                          struct mill_error *err)
{
    enum file_kind kind = FILE_CSV;
    bool is_zstd = false;
    struct mill__stream *stream;

    MILL_TRY(find_kind(path, &kind, &is_zstd, err));
    if (kind != FILE_CSV) {
        return mill_fail(err, MILL_EUSAGE, "'%s' is no CSV file", path);
    }
    MILL_TRY(mill__stream_open(path, is_zstd, &stream, err));
    int rc = mill__csv_names(path, stream, arena, ret_columns, err);
    mill__stream_close(stream);
    return rc;
}

void mill_file_source_close(struct mill_file_source *file)
{
    if (file == NULL) {
        return;
    }
    if (file->reader != NULL) {
        file->reader->close(file->reader_state);
    }
    mill__container_close(file->container);
    mill__stream_close(file->stream);
    mill__replay_free(file->replay);
    free(file);
}

size_t mill__file_row_max(const struct mill_source_spec *spec)
{
    return spec->record_bytes_max > 0 ? spec->record_bytes_max : ROW_MAX_DEFAULT;
}

void mill__file_add_row(struct mill_file_source *file, struct mill_batch *batch, struct mill_rejects *rejects, bool ok,
                        const struct mill__fault *fault, struct mill_slice raw)
{
    uint32_t row = batch->row_count++;

    mill_assert(row < batch->row_capacity);
    batch->offset[row] = file->next_row++;
    file->raw[row] = raw;
    file->raw_count = row + 1;
    if (ok) {
        mill_bit_set(batch->live, row);
    } else {
        mill__row_erase(batch, file->spec->schema.field_count, row);
        mill_reject_row(rejects, batch, row, fault->reason, "%s", fault->text);
    }
}

/* ---- lines ---- */

static int skip_line(struct mill_file_source *file, struct mill_error *err)
{
    while (file->skipping_line) {
        MILL_TRY(mill__stream_fill(file->stream, CHUNK_MIN, err));
        struct mill_slice window = mill__stream_window(file->stream);
        const char *newline = window.n == 0 ? NULL : memchr(window.p, '\n', window.n);
        mill__stream_consume(file->stream, newline == NULL ? window.n : (size_t)(newline + 1 - window.p));
        file->skipping_line = newline == NULL && !mill__stream_is_at_end(file->stream);
    }
    return 0;
}

/* Rejects the row at the front of the window and goes on behind its first line. */
static void reject_long_row(struct mill_file_source *file, struct mill_batch *batch, struct mill_rejects *rejects)
{
    struct mill_slice window = mill__stream_window(file->stream), raw = window;
    const char *newline = memchr(window.p, '\n', window.n);
    size_t limit = mill__file_row_max(file->spec);
    struct mill__fault fault;

    file->used = newline == NULL ? window.n : (size_t)(newline + 1 - window.p);
    file->skipping_line = newline == NULL;
    raw.n = file->used < limit ? file->used : limit;
    (void)mill__fault(&fault, MILL_REJECT_TOO_LARGE, "row of more than %zu bytes", limit);
    mill__file_add_row(file, batch, rejects, false, &fault, raw);
}

/* One round of next_lines: rows from a copy of the first `want` bytes of the window. */
static size_t read_rows(struct mill_file_source *file, size_t want, struct mill_batch *batch,
                        struct mill_rejects *rejects)
{
    struct mill_slice window = mill__stream_window(file->stream);
    struct mill__rows rows = {.raw = window.p, .size = window.n < want ? window.n : want, .batch = batch};
    char *copy = mill_arena_alloc(batch->arena, rows.size + MILL__FILE_PADDING);

    memcpy(copy, window.p, rows.size);
    memset(copy + rows.size, 0, MILL__FILE_PADDING);
    rows.p = copy;
    rows.is_last = mill__stream_is_at_end(file->stream) && rows.size == window.n;
    rows.rejects = rejects;
    return file->reader->rows(file->reader_state, &rows, file);
}

static int next_lines(struct mill_file_source *file, struct mill_batch *batch, struct mill_rejects *rejects,
                      struct mill_error *err)
{
    size_t want = file->chunk_size, limit = mill__file_row_max(file->spec);

    mill__stream_consume(file->stream, file->used);
    file->used = 0;
    MILL_TRY(skip_line(file, err));
    for (;;) {
        MILL_TRY(mill__stream_fill(file->stream, want, err));
        if (mill__stream_window(file->stream).n == 0) {
            return MILL_EEND;
        }
        file->used = read_rows(file, want, batch, rejects);
        if (batch->row_count > 0) {
            break;
        }
        if (file->used > 0) { /* blank lines */
            mill__stream_consume(file->stream, file->used);
            file->used = 0;
        } else if (want > limit) {
            reject_long_row(file, batch, rejects);
            break;
        } else {
            want *= 2;
        }
    }
    size_t wanted = file->used / batch->row_count * batch->row_capacity / 8 * 9;
    file->chunk_size = wanted < CHUNK_MIN ? CHUNK_MIN : wanted > CHUNK_MAX ? CHUNK_MAX : wanted;
    return 0;
}

int mill_file_source_next(struct mill_file_source *file, struct mill_batch *batch, struct mill_rejects *rejects,
                          struct mill_error *err)
{
    mill_assert(batch->row_count == 0);
    mill_assert(batch->schema->field_count >= file->spec->schema.field_count);
    file->raw_count = 0;
    int rc = file->container != NULL ? mill__container_next(file->container, file, batch, rejects, err)
                                     : next_lines(file, batch, rejects, err);
    if (rc == 0) {
        mill__take_event_times(file->spec, batch, rejects);
    }
    return rc;
}

struct mill_slice mill_file_source_raw(const struct mill_file_source *file, uint32_t row)
{
    mill_assert(row < file->raw_count);
    return file->raw[row];
}

void mill_file_source_progress(const struct mill_file_source *file, uint64_t *ret_done, uint64_t *ret_total)
{
    mill__stream_progress(file->stream, ret_done, ret_total);
}

enum mill__file_wire mill__file_wire(const struct mill_file_source *file, uint64_t *ret_fingerprint)
{
    if (file->container != NULL) {
        *ret_fingerprint = mill__container_fingerprint(file->container);
        return MILL__WIRE_AVRO;
    }
    return file->reader == &mill__jsonl_reader ? MILL__WIRE_JSON : MILL__WIRE_NONE;
}

int mill_file_source_next_record(struct mill_file_source *file, uint32_t key_column, struct mill_record *ret_record,
                                 int64_t *ret_event_time_us, struct mill_error *err)
{
    if (file->replay == NULL) {
        MILL_TRY(mill__replay_new(file->spec, file, &file->replay, err));
    }
    return mill__replay_next(file->replay, file, key_column, ret_record, ret_event_time_us, err);
}
