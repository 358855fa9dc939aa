/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Avro object container files (specification, "Object Container Files"); see file_internal.h. The file's own schema is
 * the writer's; the source's, if it has one, the reader's. Codecs: null and zstandard.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/avro/plan_internal.h"
#include "ingest/file/file_internal.h"

enum { SYNC_SIZE = 16, HEADER_MIN = 64 * 1024, HEADER_MAX = 4 << 20, BLOCK_MAX = 256 << 20, BLOCK_HEADER_MAX = 20 };

struct mill__container {
    const struct mill_source_spec *spec;
    char *path;
    struct mill__stream *stream;
    struct mill__avro_schema *writer, *reader; /* reader may be the same as writer */
    struct mill__avro_plan *plan, *skip_plan;  /* skip_plan wants nothing: it finds the end of a row that is wrong */
    bool is_zstd;
    char sync[SYNC_SIZE];
    struct mill_buffer unpacked;
    struct mill_slice block; /* what is left of the block at hand */
    uint64_t rows_left;      /* of it */
    size_t used;             /* bytes of the window to drop before the next block */
};

MILL_PRINTF(3, 4)
static int fail(const struct mill__container *container, struct mill_error *err, const char *fmt, ...)
{
    char text[300];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return mill_fail(err, MILL_EDATA, "'%s' is not a readable avro container file: %s", container->path, text);
}

/* ---- header ---- */

struct header {
    struct mill_slice schema, codec;
};

static struct mill_slice take_bytes(struct mill_cursor *c)
{
    int64_t n = mill_cursor_zigzag(c);
    const char *p = n < 0 ? NULL : mill_cursor_take(c, (size_t)n);
    struct mill_slice s = {p, p == NULL ? 0 : (size_t)n};

    c->bad = c->bad || n < 0;
    return s;
}

static void read_metadata(struct mill_cursor *c, struct header *ret_header)
{
    int64_t count;

    while (!c->bad && (count = mill_cursor_zigzag(c)) != 0) {
        if (count < 0) {
            (void)mill_cursor_zigzag(c); /* the block's size */
            count = count == INT64_MIN ? INT64_MAX : -count;
        }
        for (; count > 0 && !c->bad; count--) {
            struct mill_slice key = take_bytes(c), value = take_bytes(c);
            if (mill_slice_is(key, "avro.schema")) {
                ret_header->schema = value;
            } else if (mill_slice_is(key, "avro.codec")) {
                ret_header->codec = value;
            }
        }
    }
}

/* 1 where more of the file is needed. */
static int parse_header(struct mill__container *container, struct header *ret_header, struct mill_error *err)
{
    struct mill_slice window = mill__stream_window(container->stream);
    struct mill_cursor c = mill_cursor_of(window);
    const char *magic = mill_cursor_take(&c, 4);

    if (magic == NULL || memcmp(magic, "Obj\x01", 4) != 0) {
        return fail(container, err, "it does not start with 'Obj' and 01");
    }
    *ret_header = (struct header){0};
    read_metadata(&c, ret_header);
    const char *sync = mill_cursor_take(&c, SYNC_SIZE);
    if (sync == NULL) {
        return mill__stream_is_at_end(container->stream) || window.n >= HEADER_MAX
                   ? fail(container, err, "its header is cut off")
                   : 1;
    }
    memcpy(container->sync, sync, SYNC_SIZE);
    container->used = (size_t)(c.p - window.p);
    return 0;
}

static int read_header(struct mill__container *container, struct header *ret_header, struct mill_error *err)
{
    int rc = 1;

    for (size_t want = HEADER_MIN; rc == 1; want *= 2) {
        MILL_TRY(mill__stream_fill(container->stream, want, err));
        rc = parse_header(container, ret_header, err);
    }
    MILL_TRY(rc);
    if (ret_header->schema.p == NULL) {
        return fail(container, err, "its header has no 'avro.schema'");
    }
    container->is_zstd = mill_slice_is(ret_header->codec, "zstandard");
    if (!container->is_zstd && ret_header->codec.n > 0 && !mill_slice_is(ret_header->codec, "null")) {
        return fail(container, err, "codec '%.*s' is not supported; expected null or zstandard",
                    ret_header->codec.n > 40 ? 40 : (int)ret_header->codec.n, ret_header->codec.p);
    }
    return 0;
}

static int compile(struct mill__container *container, struct mill_slice schema, struct mill_error *err)
{
    const struct mill_source_spec *spec = container->spec;
    struct mill_source_spec nothing = *spec;

    MILL_TRY(mill__avro_schema_parse(&schema, 1, &container->writer, err));
    if (spec->avro_schema.n > 0) {
        MILL_TRY(mill__avro_schema_parse(&spec->avro_schema, 1, &container->reader, err));
    } else {
        container->reader = container->writer;
    }
    nothing.schema.field_count = 0;
    MILL_TRY(mill__avro_check_reader(spec, container->reader, err));
    MILL_TRY(mill__avro_plan_compile(spec, container->writer, container->reader, &container->plan, err));
    return mill__avro_plan_compile(&nothing, container->writer, container->reader, &container->skip_plan, err);
}

int mill__container_open(const struct mill_source_spec *spec, const char *path, struct mill__stream *stream,
                         struct mill__container **ret_container, struct mill_error *err)
{
    struct mill__container *container = mill_calloc(1, sizeof(*container));
    struct header header = {0};

    container->spec = spec;
    container->path = mill_strdup(path);
    container->stream = stream;
    int rc = read_header(container, &header, err);
    if (rc == 0) {
        rc = compile(container, header.schema, err);
        if (rc < 0) {
            mill_error_prefix(err, "'%s'", path);
        }
    }
    if (rc < 0) {
        mill__container_close(container);
        return rc;
    }
    *ret_container = container;
    return 0;
}

void mill__container_close(struct mill__container *container)
{
    if (container == NULL) {
        return;
    }
    mill__avro_plan_free(container->plan);
    mill__avro_plan_free(container->skip_plan);
    if (container->reader != container->writer) {
        mill__avro_schema_free(container->reader);
    }
    mill__avro_schema_free(container->writer);
    mill_buffer_clear(&container->unpacked);
    free(container->path);
    free(container);
}

uint64_t mill__container_fingerprint(const struct mill__container *container)
{
    return mill__avro_schema_fingerprint(container->writer);
}

/* ---- blocks ---- */

static int open_block(struct mill__container *container, struct mill_slice bytes, struct mill_error *err)
{
    struct mill_error why;

    container->block = bytes;
    if (container->is_zstd) {
        mill_buffer_reset(&container->unpacked);
        if (mill__zstd_unpack(bytes, BLOCK_MAX, &container->unpacked, &why) < 0) {
            return fail(container, err, "block: %s", why.msg);
        }
        container->block = mill_buffer_slice(&container->unpacked);
    }
    if (container->rows_left > container->block.n) {
        return fail(container, err, "a block claims %llu records in %zu bytes",
                    (unsigned long long)container->rows_left, container->block.n);
    }
    return 0;
}

/* MILL_EEND at the end of the file. */
static int next_block(struct mill__container *container, struct mill_error *err)
{
    mill__stream_consume(container->stream, container->used);
    container->used = 0;
    MILL_TRY(mill__stream_fill(container->stream, BLOCK_HEADER_MAX, err));
    struct mill_slice window = mill__stream_window(container->stream);
    if (window.n == 0) {
        return MILL_EEND;
    }
    struct mill_cursor c = mill_cursor_of(window);
    int64_t rows = mill_cursor_zigzag(&c), size = mill_cursor_zigzag(&c);
    size_t header = (size_t)(c.p - window.p);
    if (c.bad || rows < 0 || size < 0 || size > BLOCK_MAX) {
        return fail(container, err, "a block has a wrong header");
    }
    container->used = header + (size_t)size + SYNC_SIZE;
    MILL_TRY(mill__stream_fill(container->stream, container->used, err));
    window = mill__stream_window(container->stream);
    if (window.n < container->used) {
        container->used = 0;
        return fail(container, err, "it is cut off inside a block");
    }
    if (memcmp(window.p + header + size, container->sync, SYNC_SIZE) != 0) {
        return fail(container, err, "a block does not end with the sync marker");
    }
    container->rows_left = (uint64_t)rows;
    return open_block(container, (struct mill_slice){window.p + header, (size_t)size}, err);
}

/* ---- rows ---- */

static void take_row(struct mill__container *container, struct mill_file_source *file, struct mill_batch *batch,
                     struct mill_rejects *rejects)
{
    struct mill__fault fault, ignored;
    uint32_t row = batch->row_count;
    size_t size = container->block.n;

    bool ok = mill__avro_plan_run(container->plan, container->block, batch, row, &size, &fault);
    if (!ok) {
        /* Wrong values leave the bytes readable; where not even that, the rest of the block is lost, and every row of
         * it is rejected. */
        mill__row_erase(batch, container->spec->schema.field_count, row);
        if (!mill__avro_plan_run(container->skip_plan, container->block, batch, row, &size, &ignored)) {
            size = container->block.n;
        }
    }
    struct mill_slice raw = {container->block.p, size};
    mill__file_add_row(file, batch, rejects, ok, &fault, raw);
    container->block.p += size;
    container->block.n -= size;
    container->rows_left--;
}

/* Strings that point into the block get a copy that lives as long as the batch. */
static void copy_strings(struct mill_batch *batch, uint32_t column_count, const char *from, size_t size)
{
    const char *copy = mill_arena_strndup(batch->arena, from, size);

    for (uint32_t c = 0; c < column_count; c++) {
        if (batch->columns[c].type != MILL_STRING) {
            continue;
        }
        struct mill_slice *s = batch->columns[c].at.s;
        for (uint32_t row = 0; row < batch->row_count; row++) {
            uintptr_t at = (uintptr_t)s[row].p - (uintptr_t)from;
            if (s[row].p != NULL && at <= size) {
                s[row].p = copy + at;
            }
        }
    }
}

int mill__container_next(struct mill__container *container, struct mill_file_source *file, struct mill_batch *batch,
                         struct mill_rejects *rejects, struct mill_error *err)
{
    while (container->rows_left == 0) {
        if (container->block.n > 0) {
            return fail(container, err, "a block has %zu bytes behind its last record", container->block.n);
        }
        MILL_TRY(next_block(container, err));
    }
    const char *from = container->block.p;
    while (container->rows_left > 0 && batch->row_count < batch->row_capacity) {
        take_row(container, file, batch, rejects);
    }
    copy_strings(batch, container->spec->schema.field_count, from, (size_t)(container->block.p - from));
    return 0;
}
