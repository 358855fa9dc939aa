/* SPDX-License-Identifier: Apache-2.0 */
/* Binomial probabilities to nearly full precision however large n is: Loader's saddle-point form. Used by the Smirnov
 * sum and by the incomplete gamma function. */
#include <math.h>

#include "drift/statistics_internal.h"

double mill__stirling_error(double x)
{
    /* B_2j / (2j (2j - 1)), j = 8 .. 1; the first one left out is below 2e-19 at x = 16. */
    static const double coefficients[] = {
        -2.955065359477124183e-2, 6.4102564102564102564e-3, -1.9175269175269175269e-3, 8.4175084175084175084e-4,
        -5.952380952380952381e-4, 7.9365079365079365079e-4, -2.7777777777777777778e-3, 8.3333333333333333333e-2,
    };
    if (x < 16) {
        int sign;
        return x > 0 ? lgamma_r(x + 1, &sign) - (x + 0.5) * log(x) + x - log(2 * M_PI) / 2 : 0;
    }
    double inverse = 1 / x, inverse_2 = inverse * inverse, sum = 0;
    for (size_t i = 0; i < sizeof(coefficients) / sizeof(coefficients[0]); i++) {
        sum = sum * inverse_2 + coefficients[i];
    }
    return sum * inverse;
}

double mill__deviance(double x, double mean)
{
    if (fabs(x - mean) >= 0.1 * (x + mean)) {
        return x > 0 ? x * log(x / mean) + mean - x : mean;
    }
    /* x ln(x / mean) = 2 x atanh(v), v = (x - mean) / (x + mean). */
    double v = (x - mean) / (x + mean), v2 = v * v, sum = (x - mean) * v, term = 2 * x * v;
    for (int j = 1;; j++) {
        term *= v2;
        double next = sum + term / (2 * j + 1);
        if (next == sum) {
            return next;
        }
        sum = next;
    }
}

double mill__binomial_pmf(double v, double n, double p, double q)
{
    if (v == 0) {
        return exp(p < 0.1 ? -mill__deviance(n, n * q) - n * p : n * log(q));
    }
    if (v == n) {
        return exp(q < 0.1 ? -mill__deviance(n, n * p) - n * q : n * log(p));
    }
    double exponent = mill__stirling_error(n) - mill__stirling_error(v) - mill__stirling_error(n - v) -
                      mill__deviance(v, n * p) - mill__deviance(n - v, n * q);
    return exp(exponent) * sqrt(n / (2 * M_PI * v * (n - v)));
}
