/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P(D+ >= x) of the one-sided one-sample KS statistic (Birnbaum and Tingey, 1951), scipy.special.smirnov:
 *     x sum over v of C(n, v) (1 - x - v / n)^(n - v) (x + v / n)^(v - 1),  0 <= v <= n (1 - x).
 * A term is a binomial probability over x + v / n; all are positive, so plain doubles keep the digits for which scipy
 * carries double-doubles.
 */
#include <math.h>

#include "drift/statistics_internal.h"

/* Beyond it scipy takes exp(-(6 n x + 1)^2 / 18 n) instead of the sum. */
enum { SUM_COUNT_MAX = 1000000 };

/*
 * The terms are samples of a smooth bump in v / n that falls to nothing at both ends faster than any power (like
 * exp(-n x^2 / (2 u (1 - u)))), so the sum over every stride-th term, times the stride, is the sum: the error of the
 * trapezoid rule is exp(-3.7 sqrt(samples)) at the smallest n x^2 for which it is used (2.2), and less above. With few
 * terms the ends are not yet nothing; then all are summed.
 */
enum { SAMPLES = 512, SUM_ALL_MAX = 2048 };

static double sum_of_terms(uint64_t n, double x, uint64_t last)
{
    double count = (double)n, sum = 0, lost = 0;
    uint64_t stride = n > SUM_ALL_MAX && count * x * x >= 2.2 ? n / SAMPLES : 1;
    for (uint64_t v = 0; v <= last; v += stride) {
        double share = x + (double)v / count, others = (count - (double)v) / count - x;
        if (others <= 0) {
            break;
        }
        double term = mill__binomial_pmf((double)v, count, share, others) / share;
        double y = term - lost, next = sum + y; /* Kahan */
        lost = (next - sum) - y;
        sum = next;
    }
    return x * sum * (double)stride;
}

double mill__smirnov(uint64_t n, double x)
{
    mill_assert(n > 0 && x >= 0 && x <= 1);
    double count = (double)n;
    if (n == 1 || x == 0 || x == 1) {
        return 1 - x;
    }
    /* floor(n x) and whether n x is a whole number, of the product before rounding. */
    double product = count * x, rest = fma(count, x, -product), whole = floor(product);
    if (whole == product && rest < 0) {
        whole -= 1;
    }
    bool is_whole = whole == product && rest == 0;
    if (whole == 0 || (whole == 1 && is_whole)) {
        return 1 - x * exp((count - 1) * log1p(x));
    }
    if (-2 * count * x * x < -745.1332191019412) { /* ln 2^-1075 */
        return 0;
    }
    if (whole >= count - 1) {
        return exp(count * log1p(-x));
    }
    if (n > SUM_COUNT_MAX) {
        double numerator = 6 * count * x + 1;
        return exp(-numerator * numerator / 18 / count);
    }
    return sum_of_terms(n, x, n - (uint64_t)whole - 1);
}
