/* SPDX-License-Identifier: Apache-2.0 */
/* Sums: leaves to margins in tree order, for forests whose leaves are more than one number, and what follows the sum.
 */
#include <math.h>

#include "inference/kernel/kernel_internal.h"

/* LightGBM's linear leaf: in doubles, in the order of the file; a missing value gives the plain leaf. */
static double linear_value(const struct mill__tables *tables, const struct mill__forest *forest, uint32_t leaf,
                           const void *values)
{
    const struct mill__linear_leaf *linear = &forest->linear_leaves.at[leaf];
    double sum = linear->constant;
    for (uint32_t j = linear->begin; j < linear->begin + linear->count; j++) {
        const struct mill__linear_term *term = &forest->linear_terms.at[j];
        uint32_t used = mill__used_index(tables, term->feature);
        double x = forest->cells_f64 ? ((const double *)values)[used] : (double)((const float *)values)[used];
        if (isnan(x)) {
            return forest->leaves.at[leaf];
        }
        if (forest->zeroes_small && fabs(x) <= MILL__ZERO_MAX) {
            x = 0;
        }
        sum += term->coefficient * x;
    }
    return sum;
}

void mill__start_margins(const struct mill__forest *forest, uint32_t n, double *margins)
{
    for (uint32_t r = 0; r < n; r++) {
        for (uint32_t k = 0; k < forest->margin_count; k++) {
            margins[(size_t)r * forest->margin_count + k] = forest->base_last ? 0 : forest->base[k];
        }
    }
}

static void combine(const struct mill__forest *forest, double *margin, double value, bool first)
{
    switch (forest->combine) {
    case MILL__SUM:
    case MILL__AVERAGE:
        *margin = forest->sums_f64 ? *margin + value : (double)((float)*margin + (float)value);
        return;
    case MILL__MIN:
        *margin = first || value < *margin ? value : *margin;
        return;
    case MILL__MAX:
        *margin = first || value > *margin ? value : *margin;
        return;
    }
}

void mill__sum_leaves(const struct mill__tables *tables, const struct mill__forest *forest, const uint32_t *leaf,
                      const void *values, double *margins)
{
    bool linear = forest->linear_leaves.n > 0;
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        if (forest->vector_size == 1) {
            double value = linear ? linear_value(tables, forest, leaf[t], values) : forest->leaves.at[leaf[t]];
            uint32_t k = forest->trees.at[t].output;
            combine(forest, &margins[k], value, t == 0);
            continue;
        }
        const double *vector = forest->leaves.at + (size_t)leaf[t] * forest->vector_size;
        for (uint32_t k = 0; k < forest->vector_size; k++) {
            combine(forest, &margins[k], vector[k], t == 0);
        }
    }
}

void mill__finish_margins(const struct mill__tables *tables, const struct mill__forest *forest, double *margins)
{
    for (uint32_t k = 0; k < forest->margin_count; k++) {
        if (forest->combine == MILL__AVERAGE && forest->trees.n > 0) {
            margins[k] =
                forest->sums_f64 ? margins[k] / forest->trees.n : (double)((float)margins[k] / (float)forest->trees.n);
        }
        if (!forest->base_last) {
            continue;
        }
        margins[k] = forest->sums_f64 ? forest->scale * margins[k] + forest->base[k]
                                      : (double)((float)margins[k] + tables->base32[k]);
    }
}
