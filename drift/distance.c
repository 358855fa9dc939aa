/* SPDX-License-Identifier: Apache-2.0 */
/* Distances of two count vectors over the same bins, and of two samples. Each formula is written so that nothing
 * cancels where the two are nearly the same. */
#include <math.h>

#include "drift/statistics_internal.h"

/* One term of a sum over bins, of the two shares. */
typedef double (*mill__share_term)(double r, double c);

static double sum_over_bins(const uint64_t *reference, const uint64_t *current, uint32_t bin_count,
                            mill__share_term term)
{
    uint64_t n1 = 0, n2 = 0;
    for (uint32_t i = 0; i < bin_count; i++) {
        n1 += reference[i];
        n2 += current[i];
    }
    if (n1 == 0 || n2 == 0) {
        return NAN;
    }
    double sum = 0;
    for (uint32_t i = 0; i < bin_count; i++) {
        sum += term((double)reference[i] / (double)n1, (double)current[i] / (double)n2);
    }
    return sum;
}

/* r ln(r / m) + c ln(c / m), m = (r + c) / 2: m ((1 + d) ln(1 + d) + (1 - d) ln(1 - d)), d = (r - c) / (r + c). */
static double jensen_shannon_term(double r, double c)
{
    if (r == 0 || c == 0) {
        return (r + c) * M_LN2;
    }
    double d = (r - c) / (r + c);
    return (r + c) / 2 * (2 * d * atanh(d) + log1p(-d * d));
}

static double hellinger_term(double r, double c)
{
    double difference = sqrt(r) - sqrt(c);
    return difference * difference;
}

static double total_variation_term(double r, double c)
{
    return fabs(r - c);
}

double mill_jensen_shannon(const uint64_t *reference, const uint64_t *current, uint32_t bin_count)
{
    return sqrt(sum_over_bins(reference, current, bin_count, jensen_shannon_term) / (2 * M_LN2));
}

double mill_hellinger(const uint64_t *reference, const uint64_t *current, uint32_t bin_count)
{
    return sqrt(sum_over_bins(reference, current, bin_count, hellinger_term) / 2);
}

double mill_total_variation(const uint64_t *reference, const uint64_t *current, uint32_t bin_count)
{
    return sum_over_bins(reference, current, bin_count, total_variation_term) / 2;
}

double mill_wasserstein(const double *reference, uint64_t reference_count, const double *current,
                        uint64_t current_count)
{
    if (reference_count == 0 || current_count == 0) {
        return NAN;
    }
    double n1 = (double)reference_count, n2 = (double)current_count, sum = 0, before = 0;
    for (uint64_t i = 0, j = 0; i < reference_count || j < current_count;) {
        bool in_reference = i < reference_count && (j == current_count || reference[i] <= current[j]);
        double value = in_reference ? reference[i] : current[j];
        /* Between two values the distribution functions are level. Where they are equal, nothing is moved, be it from
         * one infinity to the other. */
        double height = fabs((double)i / n1 - (double)j / n2);
        if (height > 0 && value > before) {
            sum += height * (value - before);
        }
        if (in_reference) {
            i++;
        } else {
            j++;
        }
        before = value;
    }
    return sum;
}
