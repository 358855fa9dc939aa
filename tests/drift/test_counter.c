/* SPDX-License-Identifier: Apache-2.0 */
/* Counters: what nothing allocates, what is bounded, which numbers parts have, what a state refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "drift/counter_internal.h"
#include "tests/drift/drift_fixture.h"

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *)) __attribute__((weak));

static bool is_counting;
static uint64_t malloc_count;

static void on_malloc(const volatile void *p, size_t n)
{
    (void)p;
    (void)n;
    malloc_count += is_counting;
}

static void on_free(const volatile void *p)
{
    (void)p;
}

static const struct mill_field fields[] = {{"x", MILL_FLOAT64}, {"n", MILL_INT64}, {"c", MILL_STRING}};
static const struct mill_profile_spec spec = {
    .fields = fields, .field_count = 3, .levels_max = 5, .segment_by = "site", .segments_max = 2};

static void add_row(struct rows *rows, int64_t time_us)
{
    uint32_t row = rows_add(rows, time_us);
    char text[16];

    rows_set_double(rows, row, 0, random_normal());
    rows_set_int(rows, row, 1, random_below(1000));
    snprintf(text, sizeof(text), "%u", random_below(7));
    rows_set_text(rows, row, 2, text);
    rows_set_text(rows, row, 3, text);
}

struct fixture {
    struct rows *rows;
    struct mill_profile *profile;
    struct mill_drift_counter_options options;
    struct mill_drift_counter *counter;
    unsigned parts;
    struct mill_drift_part last;
    struct mill_buffer bytes; /* of the last part */
};

static void open_fixture(struct fixture *fixture, uint32_t rows, uint32_t panes_max, int64_t keep_us)
{
    *fixture = (struct fixture){.rows = rows_new(fields, 3)};
    for (uint32_t i = 0; i < rows; i++) {
        add_row(fixture->rows, i);
    }
    fixture->profile = rows_profile(fixture->rows, &spec);
    fixture->options = (struct mill_drift_counter_options){
        .profile = fixture->profile, .spec = &spec, .pane_us = 1000, .panes_max = panes_max, .keep_us = keep_us};
    fixture->counter = mill_drift_counter_new(&fixture->options);
}

static void close_fixture(struct fixture *fixture)
{
    mill_drift_counter_free(fixture->counter);
    mill_profile_free(fixture->profile);
    mill_buffer_clear(&fixture->bytes);
    rows_free(fixture->rows);
}

static void keep_last(void *context, const struct mill_drift_part *part)
{
    struct fixture *fixture = context;

    fixture->parts++;
    fixture->last = *part;
    mill_buffer_reset(&fixture->bytes);
    mill_buffer_add_slice(&fixture->bytes, part->bytes);
}

static void add_at(struct fixture *fixture, const int64_t *times, uint32_t n)
{
    mill_drift_counter_add(fixture->counter, fixture->rows->pointers, rows_segment(fixture->rows), times, NULL, 0, n);
}

/* Rounds of panes; from the second on each finds the memory of the one before. */
static void test_no_allocation(void **state)
{
    enum { ROWS = 4000 };
    struct fixture fixture;
    int64_t times[ROWS];

    (void)state;
    open_fixture(&fixture, ROWS, 0, 0);
    for (unsigned round = 0; round < 6; round++) {
        for (uint32_t i = 0; i < ROWS; i++) {
            times[i] = round * 10000 + (int64_t)random_below(10000);
        }
        is_counting = round != 1;
        add_at(&fixture, times, ROWS);
        is_counting = false;
        mill_drift_counter_take(fixture.counter, (round + 1) * 10000, keep_last, &fixture);
        if (round == 0) {
            assert_true(malloc_count > 0 || __sanitizer_install_malloc_and_free_hooks == NULL);
            malloc_count = 0;
        }
    }
    assert_int_equal(fixture.parts, 60);
    if (malloc_count != 0) {
        fail_msg("%llu allocations", (unsigned long long)malloc_count);
    }
    close_fixture(&fixture);
}

/* A million values that the reference has not: no memory, and one slot. */
static void test_unseen(void **state)
{
    enum { ROWS = 1000, ROUNDS = 1000 };
    struct fixture fixture;
    int64_t times[ROWS] = {0};
    char *texts = mill_malloc(ROWS * 16);

    (void)state;
    open_fixture(&fixture, ROWS, 0, 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < ROWS; i++) {
            int n = snprintf(texts + 16 * i, 16, "u%u", round * ROWS + i);
            fixture.rows->columns[2].at.s[i] = (struct mill_slice){texts + 16 * i, (size_t)n};
        }
        is_counting = round >= 10;
        add_at(&fixture, times, ROWS);
        is_counting = false;
    }
    assert_int_equal(malloc_count, 0);
    mill_drift_counter_take(fixture.counter, INT64_MAX, keep_last, &fixture);
    struct mill_drift_window *window = mill_drift_window_new(fixture.profile);
    assert_int_equal(mill_drift_window_apply(window, mill_buffer_slice(&fixture.bytes), 1, NULL), MILL_OK);
    const struct mill_drift_counts *counts = mill_drift_window_counts(window, UINT32_MAX, 2);
    assert_int_equal(counts->slots[fixture.profile->features[2].level_count + 1], ROWS * ROUNDS);
    mill_drift_window_free(window);
    free(texts);
    close_fixture(&fixture);
}

static void test_part_numbers(void **state)
{
    static const int64_t first[] = {100, 1100, 2100}, late[] = {150, -1}, more[] = {160, 3000};
    struct fixture fixture;
    struct mill_buffer saved = {0};

    (void)state;
    open_fixture(&fixture, 10, 0, 0);
    add_at(&fixture, first, 3);
    assert_true(mill_drift_counter_is_dirty(fixture.counter));
    mill_drift_counter_take(fixture.counter, 1999, keep_last, &fixture); /* only the first pane is over */
    assert_int_equal(fixture.parts, 1);
    assert_int_equal(fixture.last.start_us, 0);
    assert_int_equal(fixture.last.part, 0);
    add_at(&fixture, late, 2); /* late: a further part; and a pane before 1970 */
    mill_drift_counter_save(fixture.counter, &saved);
    assert_false(mill_drift_counter_is_dirty(fixture.counter));
    mill_drift_counter_free(fixture.counter);
    fixture.counter = mill_drift_counter_new(&fixture.options);
    assert_int_equal(mill_drift_counter_load(fixture.counter, mill_buffer_slice(&saved), NULL), MILL_OK);
    mill_drift_counter_take(fixture.counter, 1000, keep_last, &fixture);
    assert_int_equal(fixture.parts, 3);
    assert_int_equal(fixture.last.start_us, 0);
    assert_int_equal(fixture.last.part, 1);
    add_at(&fixture, more, 2);
    mill_drift_counter_take(fixture.counter, 1000, keep_last, &fixture);
    assert_int_equal(fixture.last.part, 2);
    assert_int_equal(fixture.last.start_us, 0);
    mill_buffer_clear(&saved);
    close_fixture(&fixture);
}

/* Older than any window needs: counted nowhere, and said so. The future far away, too. */
static void test_ignored(void **state)
{
    static const int64_t times[] = {10500, 500, 7999, 8000, INT64_MAX, INT64_MIN};
    struct fixture fixture;

    (void)state;
    open_fixture(&fixture, 10, 0, 1000);
    add_at(&fixture, times, 1);
    mill_drift_counter_take(fixture.counter, 10000, keep_last, &fixture);
    assert_int_equal(fixture.parts, 0);
    add_at(&fixture, times, 6);
    assert_int_equal(mill_drift_counter_rows_ignored(fixture.counter), 4);
    mill_drift_counter_take(fixture.counter, 10000, keep_last, &fixture);
    assert_int_equal(fixture.parts, 1);
    assert_int_equal(fixture.last.start_us, 8000);
    close_fixture(&fixture);
}

/* A pane that is full goes out as a part, and the next rows begin another. */
static void test_full_pane(void **state)
{
    enum { ROWS = 2500 };
    struct fixture fixture;
    static const int64_t times[ROWS];
    struct mill_buffer saved = {0};

    (void)state;
    open_fixture(&fixture, ROWS, 0, 0);
    fixture.counter->pane_rows_max = 1000;
    add_at(&fixture, times, ROWS);
    mill_drift_counter_save(fixture.counter, &saved);
    mill_drift_counter_free(fixture.counter);
    fixture.counter = mill_drift_counter_new(&fixture.options);
    assert_int_equal(mill_drift_counter_load(fixture.counter, mill_buffer_slice(&saved), NULL), MILL_OK);
    mill_drift_counter_take(fixture.counter, INT64_MAX, keep_last, &fixture);
    assert_int_equal(fixture.parts, 3);
    assert_int_equal(fixture.last.part, 2);
    struct mill_drift_window *window = mill_drift_window_new(fixture.profile);
    assert_int_equal(mill_drift_window_apply(window, mill_buffer_slice(&fixture.bytes), 1, NULL), MILL_OK);
    assert_int_equal(mill_drift_window_counts(window, UINT32_MAX, 0)->row_count, 500);
    mill_drift_window_free(window);
    mill_buffer_clear(&saved);
    close_fixture(&fixture);
}

static void test_refused(void **state)
{
    struct fixture fixture, other;
    struct mill_buffer saved = {0};
    struct mill_error err;
    static const int64_t times[100];

    (void)state;
    random_seed("refused");
    open_fixture(&fixture, 100, 0, 0);
    open_fixture(&other, 90, 0, 0); /* another profile */
    add_at(&fixture, times, 100);
    mill_drift_counter_save(fixture.counter, &saved);
    assert_int_equal(mill_drift_counter_load(other.counter, mill_buffer_slice(&saved), &err), MILL_EDATA);
    assert_string_equal(err.msg, "drift counts of another profile");
    mill_drift_counter_take(fixture.counter, INT64_MAX, keep_last, &fixture);
    struct mill_drift_window *window = mill_drift_window_new(other.profile);
    struct mill_slice part = mill_buffer_slice(&fixture.bytes);
    assert_int_equal(mill_drift_window_apply(window, part, 1, &err), MILL_EDATA);
    mill_drift_window_free(window);
    window = mill_drift_window_new(fixture.profile);
    assert_int_equal(mill_drift_window_apply(window, part, -1, &err), MILL_EDATA); /* nothing there to take back */
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t at = random_below((uint32_t)part.n), bit = 1 << random_below(8);
        fixture.bytes.p[at] = (char)(fixture.bytes.p[at] ^ bit);
        assert_int_equal(mill_drift_window_apply(window, part, 1, &err), MILL_EDATA);
        fixture.bytes.p[at] = (char)(fixture.bytes.p[at] ^ bit);
    }
    assert_int_equal(mill_drift_window_counts(window, UINT32_MAX, 0)->row_count, 0);
    assert_int_equal(mill_drift_window_apply(window, part, 1, &err), MILL_OK);
    mill_drift_window_free(window);
    mill_buffer_clear(&saved);
    close_fixture(&fixture);
    close_fixture(&other);
}

/* A state that has handed out `count` panes from number `from` on, and then one `gap` panes behind their end. */
static int load_handed(int64_t pane_us, int64_t from, uint64_t count, int64_t gap)
{
    struct mill_drift_counter_options options = {.spec = &spec, .pane_us = pane_us};
    struct mill_drift_counter *counter = mill_drift_counter_new(&options);
    struct mill_buffer state = {0};

    mill_drift_counter_save(counter, &state);
    state.n -= 1 + sizeof(uint32_t); /* no runs, checksum */
    mill_buffer_add_varint(&state, 2);
    mill_buffer_add_zigzag(&state, from);
    mill_buffer_add_varint(&state, count);
    mill_buffer_add_varint(&state, 1);
    mill_buffer_add_zigzag(&state, gap);
    mill_buffer_add_varint(&state, 1);
    mill_buffer_add_varint(&state, 2);
    mill__part_finish(0, &state);
    int rc = mill_drift_counter_load(counter, mill_buffer_slice(&state), NULL);
    mill_buffer_clear(&state);
    mill_drift_counter_free(counter);
    return rc;
}

static void test_damaged_part_numbers(void **state)
{
    const int64_t wide = INT64_C(1) << 50, most = INT64_C(1) << 12; /* panes up to 2^62 */

    (void)state;
    assert_int_equal(load_handed(wide, most - 9, 9, 0), MILL_OK);
    assert_int_equal(load_handed(100, -7, 3, 5), MILL_OK);
    assert_int_equal(load_handed(wide, most, 1 << 19, 0), MILL_EDATA); /* their times overflow */
    assert_int_equal(load_handed(wide, most - 9, 9, 2), MILL_EDATA);
    assert_int_equal(load_handed(wide, -most - 2, 1, 5), MILL_EDATA);
    assert_int_equal(load_handed(100, 1000, 3, -9), MILL_EDATA); /* backwards: a million of them would take hours */
}

int main(void)
{
    if (__sanitizer_install_malloc_and_free_hooks != NULL) { /* without ASan nothing is counted */
        __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_unseen),
        cmocka_unit_test(test_part_numbers),
        cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_full_pane),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged_part_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
