/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Window updates per second of one core: events of uniformly random entities, in time order, folded by a view with
 * mean, max and count over 3 h and 24 h. Prints what an update (one windowed aggregate of one event), writing an entity
 * back and an exact addition cost.
 *
 *   bench_fold [entities] [events] [exact|hop] [rows]   100000 entities, 8 million events, hop windows; rows: entities
 *                                                       keep the row that they serve, 104 bytes
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "featurestore/exact_sum_internal.h"
#include "featurestore/featurestore.h"

enum { KEY, VALUE, COLUMN_COUNT, BATCH_ROWS = 1024 };

static struct mill_field fields[COLUMN_COUNT] = {{"id", MILL_INT64}, {"value", MILL_FLOAT64}};
static const struct mill_schema source_schema = {fields, COLUMN_COUNT};
static const struct mill_join_key join_keys[] = {{"id", MILL_INT64}};

static uint64_t random_state = 42;

static uint64_t next_random(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* CPU time, so that a busy machine does not show. */
static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_fold: %s\n", what);
    exit(1);
}

static struct mill_view *make_view(bool exact)
{
    static struct mill_aggregate_spec aggregates[6];
    static struct mill_view_spec spec;
    static const char *const functions[] = {"mean", "max", "count"};
    static const char *const names[] = {"mean_3h", "max_3h", "count_3h", "mean_24h", "max_24h", "count_24h"};
    struct mill_error err;
    struct mill_view *view;

    for (uint32_t i = 0; i < 6; i++) {
        aggregates[i] = (struct mill_aggregate_spec){
            .name = names[i],
            .column = "value",
            .function = functions[i % 3],
            .window_us = (i < 3 ? 3 : 24) * MILL_US_PER_HOUR,
            .semantics = exact ? MILL_WINDOW_EXACT : MILL_WINDOW_DEFAULT,
        };
    }
    spec = (struct mill_view_spec){.name = "bench",
                                   .entity = {"id", join_keys, 1},
                                   .source_schema = &source_schema,
                                   .aggregates = aggregates,
                                   .aggregate_count = 6};
    if (mill_view_compile(&spec, &view, &err) < 0) {
        fail(err.msg);
    }
    return view;
}

struct run {
    struct mill_view *view;
    struct mill_view_table *table;
    struct mill_schema schema;
    struct mill_arena arena;
    int64_t now_us, offset, step_us;
    uint32_t entity_count;
    double checksum;
    bool keeps_rows;
};

static void fill(struct run *r, struct mill_batch *batch)
{
    batch->row_count = BATCH_ROWS;
    for (uint32_t row = 0; row < BATCH_ROWS; row++) {
        mill_bit_set(batch->live, row);
        batch->offset[row] = r->offset++;
        batch->event_time_us[row] = r->now_us += r->step_us;
        mill_bit_set(batch->columns[KEY].valid, row);
        mill_bit_set(batch->columns[VALUE].valid, row);
        batch->columns[KEY].at.i[row] = (int64_t)(next_random() % r->entity_count);
        batch->columns[VALUE].at.f[row] = (double)(int64_t)(next_random() >> 40) / 100.0;
    }
}

static char served_row[104]; /* six features, no strings */

/* Folds events; returns the nanoseconds that preparing and folding took. */
static int64_t fold_events(struct run *r, uint64_t event_count)
{
    struct mill_view_use use = {.view = r->view, .first_column = COLUMN_COUNT};
    int64_t spent_ns = 0;

    for (uint64_t done = 0; done < event_count; done += BATCH_ROWS) {
        struct mill_batch batch;
        struct mill_error err;
        mill_arena_reset(&r->arena);
        mill_batch_init(&batch, &r->schema, BATCH_ROWS, &r->arena);
        fill(r, &batch);
        int64_t begin_ns = cpu_ns();
        struct mill_view_rows *rows = mill_view_prepare(&use, &batch);
        for (uint32_t row = 0; row < BATCH_ROWS; row++) {
            struct mill_fold_result result;
            if (mill_view_fold(r->table, rows, row, &result, &err) < 0) {
                fail(err.msg);
            }
        }
        for (uint32_t row = 0; row < BATCH_ROWS && r->keeps_rows; row++) {
            mill_view_table_keep_row(r->table, rows, row, (struct mill_slice){served_row, sizeof(served_row)});
        }
        mill_view_table_advance(r->table, r->now_us);
        spent_ns += cpu_ns() - begin_ns;
        r->checksum += batch.columns[COLUMN_COUNT].at.f[BATCH_ROWS - 1];
    }
    return spent_ns;
}

static char store_path[] = "/tmp/bench_fold.XXXXXX";

/* Empty, and it stays so: it only makes the table keep track of what changed. */
static struct mill_kv *open_store(void)
{
    struct mill_kv_options options = {.path = mkdtemp(store_path)};
    struct mill_kv *kv;
    struct mill_error err;

    if (options.path == NULL || mill_kv_open(&options, &kv, &err) < 0) {
        fail(options.path == NULL ? "cannot make a directory in /tmp" : err.msg);
    }
    return kv;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static void close_store(struct mill_kv *kv)
{
    mill_kv_close(kv);
    nftw(store_path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* All entities have changed. Without the write itself, which another thread may do. */
static void bench_flush(struct mill_view_table *table)
{
    struct mill_kv_batch *batch = mill_kv_batch_new();
    int64_t begin_ns = cpu_ns();
    uint32_t count = mill_view_table_flush(table, batch);
    int64_t ns = cpu_ns() - begin_ns;

    printf("flush: %.0f ns per entity, %u entities\n", (double)ns / count, (unsigned)count);
    mill_kv_batch_free(batch);
}

static void bench_folds(uint32_t entity_count, uint64_t event_count, bool exact, bool rows)
{
    struct run r = {.view = make_view(exact),
                    .entity_count = entity_count,
                    .now_us = INT64_C(1600000000000000),
                    .keeps_rows = rows};
    struct mill_view_table_options options = {.entities_max = entity_count, .kv = open_store(), .keeps_rows = rows};
    struct mill_view_table_stats stats;
    struct mill_error err;
    struct mill_field all[COLUMN_COUNT + 6];

    memcpy(all, fields, sizeof(fields));
    memcpy(all + COLUMN_COUNT, mill_view_schema(r.view)->fields, 6 * sizeof(*all));
    r.schema = (struct mill_schema){all, COLUMN_COUNT + 6};
    /* The first quarter fills the windows: an entity then has about (events / 4) of them in 24 h. */
    uint64_t warm_up = event_count / 4;
    r.step_us = (int64_t)(24 * (uint64_t)MILL_US_PER_HOUR / (warm_up > 0 ? warm_up : 1));
    mill_arena_init(&r.arena, 0);
    if (mill_view_table_open(r.view, &options, &r.table, &err) < 0) {
        fail(err.msg);
    }
    fold_events(&r, warm_up);
    int64_t ns = fold_events(&r, event_count);
    mill_view_table_stats(r.table, &stats);
    double per_event = (double)ns / (double)event_count;
    printf("fold: %.2f M window updates/s, %.0f ns/event, %u entities, %.1f events per entity and 24 h, "
           "%.0f bytes/entity, %s windows%s (checksum %g)\n",
           6e3 / per_event, per_event, (unsigned)entity_count, (double)warm_up / entity_count,
           (double)stats.state_bytes / (double)stats.entities, exact ? "exact" : "hop", rows ? ", rows kept" : "",
           r.checksum);
    bench_flush(r.table);
    mill_view_table_close(r.table);
    mill_view_free(r.view);
    mill_arena_clear(&r.arena);
    close_store(options.kv);
}

static void bench_sum(void)
{
    enum { COUNT = 4096, ROUNDS = 5000 };
    static double values[COUNT];
    struct mill__exact_sum sum = {0};
    double plain = 0;

    for (uint32_t i = 0; i < COUNT; i++) {
        values[i] = (double)(int64_t)(next_random() >> 40) / 100.0;
    }
    int64_t begin_ns = cpu_ns();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            mill__exact_sum_add(&sum, values[i]);
        }
    }
    int64_t exact_ns = cpu_ns() - begin_ns;
    begin_ns = cpu_ns();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            plain += values[i];
        }
    }
    int64_t plain_ns = cpu_ns() - begin_ns;
    double n = (double)COUNT * ROUNDS;
    printf("sum: %.2f ns per exact addition, %.2f ns per plain one (sums %.17g and %.17g)\n", (double)exact_ns / n,
           (double)plain_ns / n, mill__exact_sum_value(&sum), plain);
    mill__exact_sum_clear(&sum);
}

int main(int argc, char **argv)
{
    uint32_t entities = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
    uint64_t events = argc > 2 ? strtoull(argv[2], NULL, 10) : 8000000;

    if (entities == 0 || events < 4 * BATCH_ROWS) {
        fail("expected a number of entities > 0 and of events >= 4096");
    }
    bench_sum();
    bench_folds(entities, events, argc > 3 && argv[3][0] == 'e', argc > 4 && argv[4][0] == 'r');
    return 0;
}
