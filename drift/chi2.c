/* SPDX-License-Identifier: Apache-2.0 */
/* Chi-square: contingency of two count vectors, the distribution's upper tail, and its 99 % point as the noise of PSI.
 * Called by evaluation. */
#include <math.h>

#include "drift/statistics_internal.h"

/*
 * The regularised incomplete gamma functions: P(a, x) = x^a e^-x / gamma(a + 1) (1 + x / (a + 1) + ...) where x < a +
 * 1, else Q(a, x) by its continued fraction (W. J. Lentz's method). What stands before both is a Poisson probability,
 * computed without cancellation.
 */
static double poisson_pmf(double a, double x)
{
    return exp(-mill__stirling_error(a) - mill__deviance(a, x)) / sqrt(2 * M_PI * a);
}

static double gamma_lower_series(double a, double x)
{
    double term = 1, sum = 1;
    for (double k = 1; term > sum * 0x1p-54; k++) {
        term *= x / (a + k);
        sum += term;
    }
    return sum * poisson_pmf(a, x);
}

static double gamma_upper_fraction(double a, double x)
{
    const double tiny = 0x1p-1000;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, fraction = d;
    for (double k = 1;; k++) {
        double numerator = -k * (k - a);
        b += 2;
        d = numerator * d + b;
        c = b + numerator / c;
        d = 1 / (d == 0 ? tiny : d);
        c = c == 0 ? tiny : c;
        double factor = c * d;
        fraction *= factor;
        if (fabs(factor - 1) < 0x1p-52) {
            return fraction * a * poisson_pmf(a, x);
        }
    }
}

double mill_chi2_sf(double x, double dof)
{
    mill_assert(dof > 0);
    if (isnan(x)) {
        return NAN;
    }
    double a = dof / 2;
    x /= 2;
    if (x <= 0) {
        return 1;
    }
    if (isinf(x)) {
        return 0;
    }
    return x < a + 1 ? 1 - gamma_lower_series(a, x) : gamma_upper_fraction(a, x);
}

void mill_chi2_test(const uint64_t *reference, const uint64_t *current, uint32_t count, bool log_likelihood,
                    struct mill_chi2 *ret_chi2)
{
    double n1 = 0, n2 = 0, sum = 0;
    uint32_t columns = 0;
    for (uint32_t i = 0; i < count; i++) {
        n1 += (double)reference[i];
        n2 += (double)current[i];
        columns += reference[i] > 0 || current[i] > 0;
    }
    if (columns < 2 || n1 == 0 || n2 == 0) {
        *ret_chi2 = (struct mill_chi2){0, 1, 0};
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        double observed[2] = {(double)reference[i], (double)current[i]}, column = observed[0] + observed[1];
        double expected[2] = {column * n1 / (n1 + n2), column * n2 / (n1 + n2)};
        for (int side = 0; side < 2 && column > 0; side++) {
            double difference = observed[side] - expected[side];
            if (!log_likelihood) {
                sum += difference * difference / expected[side];
            } else if (observed[side] > 0) {
                sum += 2 * observed[side] * log(observed[side] / expected[side]);
            }
        }
    }
    /* The terms of G have both signs; where nothing differs, rounding may leave a sum below 0. */
    sum = sum < 0 ? 0 : sum;
    *ret_chi2 = (struct mill_chi2){sum, mill_chi2_sf(sum, columns - 1), columns - 1};
}

/* x with mill_chi2_sf(x, dof) = p: Newton's method on the logarithm, from Wilson and Hilferty's approximation with z
 * the normal quantile of p. */
static double chi2_quantile(double p, double z, double dof)
{
    double ninth = 2 / (9 * dof), root = 1 - ninth + z * sqrt(ninth), x = dof * root * root * root;
    for (int i = 0; i < 20; i++) {
        double sf = mill_chi2_sf(x, dof), density = poisson_pmf(dof / 2, x / 2) * dof / (2 * x);
        double step = sf / density * log(sf / p);
        x += step;
        if (fabs(step) < 1e-14 * x) {
            break;
        }
    }
    return x;
}

double mill_psi_noise(uint64_t reference_count, uint64_t current_count, uint32_t bin_count)
{
    if (reference_count == 0 || current_count == 0) {
        return NAN;
    }
    double scale = 1 / (double)reference_count + 1 / (double)current_count;
    return bin_count < 2 ? 0 : scale * chi2_quantile(0.01, 2.3263478740408408, bin_count - 1);
}
