/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The online store's speed: bench_online CONNECTION_STRING [ROWS]
 * Rows per second into and out of a Redis that is running already (nothing is deleted; keys are
 * fs:bench:* and Feast's for project "bench"), both layouts, and the allocations per row after warm-up.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "featurestore/featurestore.h"

enum { FEATURES = 9, BATCH = 4096, ENTITIES = 50000, WARM_UP_ROWS = 200000 };

/* Counts what this program and the libraries in it allocate; the symbols win over libc's. */
static uint64_t allocation_count;
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t count, size_t n);
extern void *__libc_realloc(void *p, size_t n);

__attribute__((visibility("default"))) void *malloc(size_t n)
{
    allocation_count++;
    return __libc_malloc(n);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t n)
{
    allocation_count++;
    return __libc_calloc(count, n);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t n)
{
    allocation_count++;
    return __libc_realloc(p, n);
}

static struct mill_field fields[FEATURES] = {
    {"hour", MILL_INT64},      {"is_weekend", MILL_BOOL}, {"delay_per_mile", MILL_FLOAT64},
    {"mean_3h", MILL_FLOAT64}, {"max_3h", MILL_FLOAT64},  {"count_3h", MILL_INT64},
    {"mean_7d", MILL_FLOAT64}, {"max_7d", MILL_FLOAT64},  {"origin", MILL_STRING},
};

static _Noreturn void give_up(const struct mill_error *err)
{
    fprintf(stderr, "bench_online: %s\n", err->msg);
    exit(mill_error_exit_status(err->code));
}

static void fill_batch(struct mill_batch *batch)
{
    batch->row_count = BATCH;
    for (uint32_t i = 0; i < BATCH; i++) {
        for (uint32_t c = 0; c < FEATURES; c++) {
            struct mill_column *column = &batch->columns[c];
            mill_bit_set(column->valid, i);
            if (column->type == MILL_INT64) {
                column->at.i[i] = i % 24;
            } else if (column->type == MILL_FLOAT64) {
                column->at.f[i] = i / 7.0;
            } else if (column->type == MILL_STRING) {
                column->at.s[i] = mill_slice_of("JFK");
            }
        }
    }
}

static struct mill_slice key_of(uint64_t row)
{
    static char key[8];
    snprintf(key, sizeof(key), "\006%06u", (unsigned)(row * 7919 % ENTITIES));
    return (struct mill_slice){key, 7};
}

/* Puts rows from <= row < to as the engine does: a batch, then a sync that does not wait unless much is pending. */
static void put_rows(struct mill_online *online, struct mill_batch *batch, uint64_t from, uint64_t to)
{
    struct mill_error err = {0};
    for (uint64_t row = from; row < to; row++) {
        uint32_t i = (uint32_t)(row % BATCH);
        batch->offset[i] = batch->event_time_us[i] = (int64_t)row;
        mill_online_put(online, 0, 0, key_of(row), batch, i, 0);
        if (i == BATCH - 1) {
            int rc;
            do {
                rc = mill_online_sync(online, mill_online_pending_bytes(online) > 4 << 20, &err);
            } while (rc == 0 && mill_online_pending_bytes(online) > 4 << 20);
            if (rc < 0) {
                give_up(&err);
            }
        }
    }
    if (mill_online_sync(online, true, &err) < 0) {
        give_up(&err);
    }
}

static void get_rows(struct mill_online *online, struct mill_arena *arena, uint64_t count)
{
    struct mill_error err = {0};
    struct mill_online_row row;
    for (uint64_t i = 0; i < count; i++) {
        if (mill_online_get(online, 0, key_of(i), arena, &row, &err) < 0) {
            give_up(&err);
        }
        mill_arena_reset(arena);
    }
}

static void run(enum mill_online_layout layout, const char *name, const char *address, uint64_t rows)
{
    static const struct mill_join_key keys[] = {{"tailnum", MILL_STRING}};
    static const struct mill_entity aircraft = {"aircraft", keys, 1};
    const struct mill_online_view view = {"aircraft_stats", &aircraft, fields, FEATURES, INT64_C(604800000000)};
    const struct mill_schema schema = {fields, FEATURES};
    const struct mill_online_options options = {.project = "bench", .connection_string = address, .layout = layout};
    const uint64_t gets = rows / 20;
    struct mill_error err = {0};
    struct mill_online *online = NULL;
    struct mill_arena arena = {0}, answers = {0};
    struct mill_batch batch;
    mill_batch_init(&batch, &schema, BATCH, &arena);
    fill_batch(&batch);
    if (mill_online_open(&options, &view, 1, &online, &err) < 0 || mill_online_claim(online, 0, false, &err) < 0) {
        give_up(&err);
    }
    put_rows(online, &batch, 0, WARM_UP_ROWS);
    uint64_t allocations = allocation_count;
    int64_t cpu = mill_clock_thread_cpu_ns(), start = mill_clock_mono_ns();
    put_rows(online, &batch, WARM_UP_ROWS, WARM_UP_ROWS + rows);
    double seconds = (double)(mill_clock_mono_ns() - start) / 1e9;
    double cpu_ns = (double)(mill_clock_thread_cpu_ns() - cpu) / (double)rows;
    double per_row = (double)(allocation_count - allocations) / (double)rows;
    start = mill_clock_mono_ns();
    get_rows(online, &answers, gets);
    double get_seconds = (double)(mill_clock_mono_ns() - start) / 1e9;
    printf("%-7s put %8.0f rows/s, %4.0f ns of our CPU a row, %.4f allocations a row; get %7.0f rows/s one by one\n",
           name, (double)rows / seconds, cpu_ns, per_row, (double)gets / get_seconds);
    mill_online_close(online);
    mill_arena_clear(&arena);
    mill_arena_clear(&answers);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench_online CONNECTION_STRING [ROWS]\n");
        return 64;
    }
    uint64_t rows = argc == 3 ? strtoull(argv[2], NULL, 10) : 1000000;
    printf("%llu rows of %d features, %d entities, batches of %d\n", (unsigned long long)rows, FEATURES, ENTITIES,
           BATCH);
    run(MILL_ONLINE_PACKED, "packed", argv[1], rows);
    run(MILL_ONLINE_FEAST, "feast", argv[1], rows);
    return 0;
}
