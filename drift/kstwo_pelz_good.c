/* SPDX-License-Identifier: Apache-2.0 */
/* P(D_n <= x) by the expansion of W. Pelz and I. J. Good, "Approximating the lower tail-areas of the Kolmogorov-Smirnov
 * one-sample statistic", J. Royal Stat. Soc. B 38, 1976: K0(z) + K1(z) / n^1/2 + K2(z) / n + K3(z) / n^3/2, z = n^1/2
 * x, with the sums in the form that converges fast for small z, as scipy evaluates them. */
#include <math.h>

#include "drift/statistics_internal.h"

static const double pi_2 = M_PI * M_PI;

/* Sum of c_i(m) q^(m^2) over odd m, by Horner: q = exp(-pi^2 / 8 z^2). */
static void sum_odd(double z, double q, int terms, double sums[4])
{
    double pi_4 = pi_2 * pi_2, pi_6 = pi_4 * pi_2;
    double z2 = z * z, z4 = z2 * z2, z6 = z4 * z2, z8 = z4 * z4;
    double k1a = -z2, k1b = pi_2 / 4;
    double k2a = 6 * z6 + 2 * z4, k2b = (2 * z4 - 5 * z2) * pi_2 / 4, k2c = pi_4 * (1 - 2 * z2) / 16;
    double k3a = -30 * z6 - 90 * z8, k3b = pi_2 * (135 * z4 - 96 * z6) / 4;
    double k3c = pi_4 * (-60 * z2 + 212 * z4) / 16, k3d = pi_6 * (5 - 30 * z2) / 64;
    for (int k = terms; k > 0; k--) {
        double m = 2 * k - 1, m2 = m * m, m4 = m2 * m2, m6 = m4 * m2, power = pow(q, 8 * k);
        sums[0] = sums[0] * power + 1;
        sums[1] = sums[1] * power + (k1a + k1b * m2);
        sums[2] = sums[2] * power + (k2a + k2b * m2 + k2c * m4);
        sums[3] = sums[3] * power + (k3a + k3b * m2 + k3c * m4 + k3d * m6);
    }
    double factor = q * sqrt(2 * M_PI);
    double divisors[4] = {z, 6 * z4, 72 * z6 * z, 6480 * z8 * z2};
    for (int i = 0; i < 4; i++) {
        sums[i] = sums[i] * factor / divisors[i];
    }
}

/* What K2 and K3 have besides: sums over all k of q^(4 k^2). */
static void add_even(double z, int terms, double sums[4])
{
    double z2 = z * z, q = exp(-pi_2 / 2 / z2), second = 0, third = 0;
    for (int k = terms; k > 0; k--) {
        double k2 = (double)k * k, power = pow(q, k2);
        second += k2 * power;
        third += (sqrt(3.0) * z + M_PI * k) * (sqrt(3.0) * z - M_PI * k) * k2 * power;
    }
    double factor = pi_2 * sqrt(2 * M_PI);
    sums[2] += second * factor / (-36 * z2 * z);
    sums[3] += third * factor / (216 * z2 * z2 * z2);
}

double mill__kstwo_cdf_pelz_good(uint64_t n, double x)
{
    double root = sqrt((double)n), z = root * x, exponent = -pi_2 / 8 / (z * z);
    if (exponent < -708) {
        return 0;
    }
    double sums[4] = {0};
    int terms = (int)ceil(16 * z / M_PI);
    sum_odd(z, exp(exponent), terms, sums);
    add_even(z, terms, sums);
    return sums[0] + sums[1] / root + sums[2] / (double)n + sums[3] / (root * (double)n);
}
