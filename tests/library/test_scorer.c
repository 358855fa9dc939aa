/* SPDX-License-Identifier: Apache-2.0 */
/* libtidemill.so as a program uses it: one scorer in many threads, and a slot whose scorer is replaced while they
 * score. Linked with the shared library alone. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "library/tidemill.h"

enum { COLUMNS = 8, ROWS = 200, THREADS = 4, SWAPS = 100 };

#define DATA MILL_TEST_DIR "/inference/data/xgb/"

static struct mill_scorer *load(const char *path)
{
    struct mill_scorer *scorer = NULL;
    struct mill_scorer_error err = {0};
    if (mill_scorer_load(path, &scorer, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return scorer;
}

static void read_floats(const char *path, float *to, size_t count)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(to, sizeof(*to), count, file), count);
    fclose(file);
}

static void test_facts(void **state)
{
    (void)state;
    struct mill_scorer *scorer = load(DATA "softprob_341.json");
    assert_int_equal(mill_scorer_feature_count(scorer), COLUMNS);
    assert_int_equal(mill_scorer_width(scorer, MILL_SCORER_MARGIN), 5);
    assert_int_equal(mill_scorer_width(scorer, MILL_SCORER_PREDICTION), 5);
    assert_true(mill_scorer_tree_count(scorer) > 0 && mill_scorer_tree_count(scorer) % 5 == 0);
    assert_string_equal(mill_scorer_format(scorer), "xgboost json");
    assert_string_equal(mill_scorer_objective(scorer), "multi:softprob");
    assert_int_equal(strlen(mill_scorer_sha256(scorer)), 64);
    assert_true(strlen(mill_scorer_kernel(scorer, 1)) > 0);
    mill_scorer_free(scorer);
    mill_scorer_free(NULL);
}

static void test_errors(void **state)
{
    (void)state;
    struct mill_scorer *scorer = NULL;
    struct mill_scorer_error err = {0};
    assert_int_equal(mill_scorer_load("/nowhere/at/all", &scorer, &err), MILL_SCORER_ENOINPUT);
    assert_int_equal(err.code, MILL_SCORER_ENOINPUT);
    assert_non_null(strstr(err.message, "'/nowhere/at/all'"));
    assert_int_equal(mill_scorer_load_bytes("{\"a\":1}", 7, "given", &scorer, &err), MILL_SCORER_EDATA);
    assert_non_null(strstr(err.message, "model 'given': xgboost json: 'version' is missing"));
    assert_int_equal(mill_scorer_load_bytes("", 0, "given", &scorer, NULL), MILL_SCORER_EDATA);
    assert_null(scorer);
}

struct work {
    const struct mill_scorer *scorer;
    struct mill_scorer_slot *slot;
    float rows[ROWS * COLUMNS], margins[2][ROWS];
    atomic_int wrong, batches;
    atomic_bool stop;
};

static void *score_rows(void *argument)
{
    struct work *w = argument;
    float out[ROWS];
    for (int round = 0; round < 20; round++) {
        for (size_t r = 0; r < ROWS; r++) {
            mill_scorer_score_f32(w->scorer, w->rows + r * COLUMNS, 1, COLUMNS, COLUMNS, MILL_SCORER_MARGIN, &out[r]);
        }
        atomic_fetch_add(&w->wrong, memcmp(out, w->margins[0], sizeof(out)) != 0);
    }
    return NULL;
}

static struct work *new_work(void)
{
    struct work *w = calloc(1, sizeof(*w));
    read_floats(DATA "logistic_341.in.f32", w->rows, ROWS * COLUMNS);
    read_floats(DATA "logistic_341.margin.f32", w->margins[0], ROWS);
    struct mill_scorer *other = load(DATA "reg_341.ubj");
    mill_scorer_score_f32(other, w->rows, ROWS, COLUMNS, COLUMNS, MILL_SCORER_MARGIN, w->margins[1]);
    mill_scorer_free(other);
    return w;
}

static void test_threads(void **state)
{
    (void)state;
    struct work *w = new_work();
    struct mill_scorer *scorer = load(DATA "logistic_341.json");
    pthread_t threads[THREADS];
    w->scorer = scorer;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, score_rows, w), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&w->wrong), 0);
    mill_scorer_free(scorer);
    free(w);
}

/* Batches through the slot: each is of one scorer from end to end, whichever it is. */
static void *score_slot(void *argument)
{
    struct work *w = argument;
    float out[ROWS];
    struct mill_scorer_reader *reader = mill_scorer_slot_join(w->slot);
    while (!atomic_load(&w->stop)) {
        const struct mill_scorer *scorer = mill_scorer_begin(reader);
        mill_scorer_score_f32(scorer, w->rows, ROWS, COLUMNS, COLUMNS, MILL_SCORER_MARGIN, out);
        mill_scorer_end(reader);
        atomic_fetch_add(&w->wrong,
                         memcmp(out, w->margins[0], sizeof(out)) != 0 && memcmp(out, w->margins[1], sizeof(out)) != 0);
        atomic_fetch_add(&w->batches, 1);
    }
    mill_scorer_slot_leave(reader);
    return NULL;
}

/* Every scorer that comes out of the slot is freed at once: a reader left behind would be a use after free, which the
 * sanitizers see. */
static void test_swap(void **state)
{
    (void)state;
    struct work *w = new_work();
    w->slot = mill_scorer_slot_new(load(DATA "logistic_341.json"));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, score_slot, w), 0);
    }
    setenv("MILL_KERNEL", "portable", 1); /* no tuning: more swaps */
    for (int i = 0; i < SWAPS || atomic_load(&w->batches) < SWAPS; i++) {
        mill_scorer_free(
            mill_scorer_slot_swap(w->slot, load(i % 2 == 0 ? DATA "reg_341.ubj" : DATA "logistic_341.ubj")));
    }
    unsetenv("MILL_KERNEL");
    atomic_store(&w->stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&w->wrong), 0);
    mill_scorer_free(mill_scorer_slot_free(w->slot));
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_swap),
    };
    return cmocka_run_group_tests_name("library/scorer", tests, NULL, NULL);
}
