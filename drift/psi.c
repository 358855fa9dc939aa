/* SPDX-License-Identifier: Apache-2.0 */
/* Population stability index of binned counts: sum of (c - r) ln(c / r) over the shares c and r of the bins. */
#include <math.h>
#include <stdlib.h>

#include "drift/statistics_internal.h"

static double total(const uint64_t *counts, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += counts[i];
    }
    return (double)sum;
}

static double smoothed_share(uint64_t count, double n, uint32_t bin_count, struct mill_smoothing smoothing)
{
    if (smoothing.kind == MILL_SMOOTHING_ADD) {
        return ((double)count + smoothing.amount) / (n + smoothing.amount * bin_count);
    }
    double share = (double)count / n;
    return smoothing.kind == MILL_SMOOTHING_FLOOR && share < smoothing.amount ? smoothing.amount : share;
}

double mill_psi(const uint64_t *reference, const uint64_t *current, uint32_t bin_count, struct mill_smoothing smoothing,
                double *contributions)
{
    mill_assert(smoothing.kind == MILL_SMOOTHING_NONE || smoothing.amount >= 0);
    double n1 = total(reference, bin_count), n2 = total(current, bin_count);
    bool is_defined = n1 > 0 && n2 > 0;
    double sum = is_defined ? 0 : (double)NAN;
    for (uint32_t i = 0; i < bin_count; i++) {
        double term = NAN;
        if (is_defined) {
            double r = smoothed_share(reference[i], n1, bin_count, smoothing);
            double c = smoothed_share(current[i], n2, bin_count, smoothing);
            term = r == c ? 0 : (c - r) * log(c / r); /* also where both are 0; infinite where one is */
        }
        sum += term;
        if (contributions != NULL) {
            contributions[i] = term;
        }
    }
    return sum;
}

/* numpy's order of summation of up to 128 terms: eight sums side by side, then what is left. */
static double numpy_sum(const double *terms, uint32_t count)
{
    enum { SIDE = 8 };
    double sums[SIDE] = {0}, sum = 0;
    uint32_t i = 0;
    for (; count >= SIDE && i + SIDE <= count; i += SIDE) {
        for (uint32_t j = 0; j < SIDE; j++) {
            sums[j] += terms[i + j];
        }
    }
    sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
    for (; i < count; i++) {
        sum += terms[i];
    }
    return sum;
}

double mill_psi_density(const uint64_t *reference, const uint64_t *current, const double *edges, uint32_t bin_count)
{
    double n1 = total(reference, bin_count), n2 = total(current, bin_count);
    if (n1 == 0 || n2 == 0) {
        return NAN;
    }
    double *terms = mill_malloc(bin_count * sizeof(*terms));
    for (uint32_t i = 0; i < bin_count; i++) {
        double width = edges[i + 1] - edges[i];
        double r = (double)reference[i] / width / n1, c = (double)current[i] / width / n2;
        r = r == 0 ? 1e-8 : r;
        c = c == 0 ? 1e-8 : c;
        terms[i] = (c - r) * log(c / r);
    }
    double sum = numpy_sum(terms, bin_count);
    free(terms);
    return sum;
}
