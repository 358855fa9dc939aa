/* SPDX-License-Identifier: Apache-2.0 */
/* The levels of a categorical column in two files, and the statistics over all of them; see drift.h. */
#include <stdlib.h>

#include "cli/drift.h"

static int by_name(const void *a, const void *b)
{
    return mill_slice_compare(*(const struct mill_slice *)a, *(const struct mill_slice *)b);
}

static struct mill_slice *sorted_texts(const struct mill_cli_column *column, size_t row_count, uint64_t *ret_count)
{
    struct mill_slice *texts = mill_malloc((row_count + 1) * sizeof(*texts));
    uint64_t n = 0;

    for (size_t row = 0; column != NULL && row < row_count; row++) {
        if (mill_bit_get(column->cells.valid, (uint32_t)row)) {
            texts[n++] = column->cells.at.s[row];
        }
    }
    qsort(texts, n, sizeof(*texts), by_name);
    *ret_count = n;
    return texts;
}

static uint64_t run_length(const struct mill_slice *texts, uint64_t n, uint64_t from, struct mill_slice name)
{
    uint64_t i = from;

    while (i < n && mill_slice_equal(texts[i], name)) {
        i++;
    }
    return i - from;
}

/* Merges two sorted lists into levels with their counts. */
static struct mill_cli_level *merge(const struct mill_slice *r, uint64_t n, const struct mill_slice *k, uint64_t m,
                                    uint32_t *ret_count)
{
    struct mill_cli_level *levels = NULL;
    uint32_t count = 0, capacity = 0;

    for (uint64_t i = 0, j = 0; i < n || j < m; count++) {
        bool from_reference = i < n && (j == m || mill_slice_compare(r[i], k[j]) <= 0);
        struct mill_slice name = from_reference ? r[i] : k[j];
        if (count == capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            levels = mill_realloc(levels, capacity * sizeof(*levels));
        }
        levels[count] = (struct mill_cli_level){name, run_length(r, n, i, name), run_length(k, m, j, name)};
        i += levels[count].reference;
        j += levels[count].current;
    }
    *ret_count = count;
    return levels;
}

static void fill_statistics(const struct mill_cli_comparison *c, struct mill_smoothing smoothing,
                            struct mill_drift_result *result)
{
    uint64_t *counts = mill_calloc(2 * (size_t)c->level_count + 1, sizeof(*counts));
    uint64_t *reference = counts, *current = counts + c->level_count;

    for (uint32_t i = 0; i < c->level_count; i++) {
        reference[i] = c->levels[i].reference;
        current[i] = c->levels[i].current;
    }
    mill_chi2_test(reference, current, c->level_count, false, &result->chi2);
    mill_chi2_test(reference, current, c->level_count, true, &result->g);
    result->psi = mill_psi(reference, current, c->level_count, smoothing, NULL);
    result->jensen_shannon = mill_jensen_shannon(reference, current, c->level_count);
    result->hellinger = mill_hellinger(reference, current, c->level_count);
    result->total_variation = mill_total_variation(reference, current, c->level_count);
    free(counts);
}

void mill_cli_compare_levels(const struct mill_cli_comparisons *all, struct mill_smoothing smoothing,
                             struct mill_cli_comparison *c, struct mill_drift_result *result)
{
    struct mill_slice *reference = sorted_texts(c->reference, all->reference->row_count, &c->reference_count);
    struct mill_slice *current = sorted_texts(c->current, all->current->row_count, &c->current_count);

    c->levels = merge(reference, c->reference_count, current, c->current_count, &c->level_count);
    fill_statistics(c, smoothing, result);
    free(reference);
    free(current);
}
