/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files from anywhere: CSV, JSON lines, Avro containers. The first byte chooses the format. No read out of bounds, and
 * the rows do not depend on the size of the batches that they are read in.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "ingest/ingest.h"

static struct mill_field fields[] = {
    {"ts", MILL_TIMESTAMP}, {"s", MILL_STRING}, {"n", MILL_INT64}, {"x", MILL_FLOAT64}, {"b", MILL_BOOL},
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]), ROWS_MAX = 20000 };
static const enum mill_time_unit units[FIELDS] = {MILL_TIME_MILLIS};
static const struct mill_source_spec spec = {
    .name = "fuzz", .schema = {fields, FIELDS}, .time_unit = units, .allow_non_finite = true, .record_bytes_max = 500};

/* A file in memory under names with the three endings. */
static int file = -1;
static char paths[3][64];

static void make_file(void)
{
    static const char *const endings[3] = {"csv", "jsonl", "avro"};
    char directory[] = "/tmp/fuzz_file_XXXXXX", target[64];

    file = memfd_create("fuzz", 0);
    mill_assert(file >= 0 && mkdtemp(directory) != NULL);
    snprintf(target, sizeof(target), "/proc/%d/fd/%d", (int)getpid(), file);
    for (int i = 0; i < 3; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/x.%s", directory, endings[i]);
        mill_assert(symlink(target, paths[i]) == 0);
    }
}

static void remove_file(void)
{
    for (int i = 0; i < 3; i++) {
        unlink(paths[i]);
    }
    *strrchr(paths[0], '/') = '\0';
    rmdir(paths[0]);
}

static uint64_t hash_row(const struct mill_batch *batch, uint32_t row, uint64_t hash)
{
    hash = mill_hash64_seed(&batch->offset[row], sizeof(int64_t), hash);
    for (uint32_t c = 0; c < FIELDS; c++) {
        const struct mill_column *column = &batch->columns[c];
        bool valid = mill_bit_get(column->valid, row);
        hash = mill_hash64_seed(&valid, sizeof(valid), hash);
        if (column->type == MILL_STRING) {
            mill_assert(!valid || mill_utf8_is_valid(column->at.s[row]));
            hash = mill_hash64_seed(column->at.s[row].p, column->at.s[row].n, hash);
        } else if (column->type == MILL_BOOL) {
            hash = mill_hash64_seed(&column->at.b[row], 1, hash);
        } else {
            hash = mill_hash64_seed(&column->at.i[row], 8, hash);
        }
    }
    return hash;
}

/* A hash of all rows and rejects, in order. */
static uint64_t read_all(const char *path, uint32_t capacity)
{
    struct mill_file_source *source;
    struct mill_error err = {0};
    struct mill_rejects rejects;
    struct mill_batch batch;
    struct mill_arena arena;
    uint64_t hash = 0, rows = 0;

    int rc = mill_file_source_open(&spec, path, &source, &err);
    if (rc < 0) {
        return mill_hash64(err.msg, strlen(err.msg));
    }
    mill_arena_init(&arena, 0);
    while (rows < ROWS_MAX) {
        mill_arena_reset(&arena);
        mill_batch_init(&batch, &spec.schema, capacity, &arena);
        mill_rejects_init(&rejects, &arena);
        rc = mill_file_source_next(source, &batch, &rejects, &err);
        if (rc < 0) {
            hash = rc == MILL_EEND ? hash : mill_hash64_seed(err.msg, strlen(err.msg), hash);
            break;
        }
        mill_assert(batch.row_count >= 1 && batch.row_count <= capacity);
        for (uint32_t row = 0, r = 0; row < batch.row_count; row++) {
            hash = hash_row(&batch, row, hash);
            struct mill_slice raw = mill_file_source_raw(source, row);
            hash = mill_hash64_seed(raw.p, raw.n, hash);
            for (r = 0; r < rejects.count; r++) {
                if (rejects.at[r].row == row) {
                    hash = mill_hash64_seed(rejects.at[r].detail, strlen(rejects.at[r].detail), hash);
                }
            }
        }
        rows += batch.row_count;
    }
    mill_file_source_close(source);
    mill_arena_clear(&arena);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (file < 0) {
        make_file();
        atexit(remove_file);
    }
    if (size == 0) {
        return 0;
    }
    mill_assert(ftruncate(file, 0) == 0 && pwrite(file, data + 1, size - 1, 0) == (ssize_t)(size - 1));
    const char *path = paths[data[0] % 3];
    mill_assert(read_all(path, 64) == read_all(path, 3));
    return 0;
}
