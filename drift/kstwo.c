/* SPDX-License-Identifier: Apache-2.0 */
/* P(D_n >= x) of the two-sided one-sample KS statistic: scipy.stats.kstwo.sf, by the same choice of methods (R. Simard
 * and P. L'Ecuyer, "Computing the two-sided Kolmogorov-Smirnov distribution", J. Stat. Software 39, 2011). */
#include <math.h>

#include "drift/statistics_internal.h"

enum { SMALL = 140 };

/* P(D_n <= x) for 1/2 < t = n x <= 1 is n! ((2 t - 1) / n)^n (Ruben and Gambino). */
static double cdf_smallest(uint64_t n, double t)
{
    double base = 2 * t - 1, count = (double)n;
    if (n <= SMALL) {
        double product = 1;
        for (uint64_t i = 1; i <= n; i++) {
            product *= (double)i * (1 / count) * base;
        }
        return product;
    }
    /* ln(n! / n^n) by Stirling, n ln n left out. */
    double log_factor = log(count) / 2 - count + log(2 * M_PI) / 2 + mill__stirling_error(count);
    return exp(log_factor + count * log(base));
}

static double clip(double p)
{
    return p < 0 ? 0 : p > 1 ? 1 : p;
}

/* Where 1 - cdf rounds to 1, or nearly (2e-14), whatever the method: ln P(D_n <= x) <= -(pi^2 / 8 - 0.43 / t) / (n x^2)
 * there. scipy multiplies matrices of up to 115 rows to learn it. */
static bool cdf_vanishes(double t, double nxx)
{
    return (M_PI * M_PI / 8 - 0.43 / t) / nxx > 34;
}

static double sf_of_many(uint64_t n, double x, double nxx)
{
    double count = (double)n;
    if (nxx >= 370) {
        return 0;
    }
    if (nxx >= 2.2) {
        return 2 * mill__smirnov(n, x);
    }
    if (cdf_vanishes(count * x, nxx)) {
        return 1;
    }
    if (n <= 100000 && count * pow(x, 1.5) <= 1.4) {
        return 1 - mill__kstwo_cdf_durbin(n, x);
    }
    return 1 - mill__kstwo_cdf_pelz_good(n, x);
}

static double sf_of_few(uint64_t n, double x, double nxx)
{
    if (nxx <= 0.754693) {
        return 1 - clip(mill__kstwo_cdf_durbin(n, x));
    }
    return nxx <= 4 ? 1 - clip(mill__kstwo_cdf_pomeranz(n, x)) : 2 * mill__smirnov(n, x);
}

double mill_kstwo_sf(double x, uint64_t n)
{
    if (n == 0 || isnan(x)) {
        return NAN;
    }
    double count = (double)n, t = count * x;
    if (x >= 1) {
        return 0;
    }
    if (t <= 0.5) {
        return 1;
    }
    if (t <= 1) {
        return clip(1 - cdf_smallest(n, t));
    }
    if (t >= count - 1) {
        return clip(2 * pow(1 - x, count));
    }
    if (x >= 0.5) {
        return clip(2 * mill__smirnov(n, x));
    }
    return clip(n <= SMALL ? sf_of_few(n, x, t * x) : sf_of_many(n, x, t * x));
}
