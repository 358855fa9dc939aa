/* SPDX-License-Identifier: Apache-2.0 */
/* The two-sample Kolmogorov-Smirnov statistic, and which way its p is computed: scipy.stats.ks_2samp of scipy 1.17.1,
 * two-sided. Called by evaluation (from counts, through the scan) and by whoever has samples. */
#include <math.h>

#include "drift/statistics_internal.h"

enum { EXACT_COUNT_MAX = 10000 };

void mill__ks_scan_init(struct mill__ks_scan *scan, uint64_t reference_count, uint64_t current_count)
{
    mill_assert(reference_count > 0 && current_count > 0);
    mill__i128 product = (mill__i128)reference_count * current_count;
    /* d is off by at most 1.5 * 2^-53, so two of them are in the order of their integers if those differ by more than
     * product * 2^-51.4. */
    *scan = (struct mill__ks_scan){reference_count, current_count, product >> 50, {0}, {0}};
    scan->above.exact = scan->below.exact = -product;
}

void mill__ks_scan_consider(struct mill__ks_scan *scan, struct mill__ks_extreme *extreme, int sign, mill__i128 exact,
                            uint64_t c1, uint64_t c2, double value, bool in_reference)
{
    double f1 = (double)c1 / (double)scan->reference_count, f2 = (double)c2 / (double)scan->current_count;
    double difference = sign > 0 ? f1 - f2 : f2 - f1;
    if (exact > extreme->exact) {
        extreme->exact = exact;
    }
    bool is_first = !extreme->is_set || difference > extreme->difference;
    bool comes_before = !is_first && difference == extreme->difference && in_reference && !extreme->in_reference;
    if (is_first || comes_before) {
        extreme->difference = difference;
        extreme->location = value;
        extreme->in_reference = in_reference;
        extreme->is_set = true;
    }
}

void mill__ks_scan_finish(const struct mill__ks_scan *scan, struct mill_ks *ret_ks)
{
    mill_assert(scan->above.is_set && scan->below.is_set);
    uint64_t n1 = scan->reference_count, n2 = scan->current_count;
    bool is_below = scan->below.difference > scan->above.difference;
    const struct mill__ks_extreme *extreme = is_below ? &scan->below : &scan->above;
    mill__i128 exact = scan->above.exact > scan->below.exact ? scan->above.exact : scan->below.exact;
    ret_ks->reference_count = n1;
    ret_ks->current_count = n2;
    ret_ks->numerator = exact > (mill__i128)UINT64_MAX ? UINT64_MAX : (uint64_t)exact;
    ret_ks->location = extreme->location;
    ret_ks->sign = is_below ? -1 : 1;
    /* Where p is exact scipy returns h / lcm, else the rounded difference. */
    bool is_exact = n1 <= EXACT_COUNT_MAX && n2 <= EXACT_COUNT_MAX;
    ret_ks->statistic = is_exact ? (double)ret_ks->numerator / (double)(n1 * n2) : extreme->difference;
}

void mill_ks_2samp(const double *reference, uint64_t reference_count, const double *current, uint64_t current_count,
                   struct mill_ks *ret_ks)
{
    if (reference_count == 0 || current_count == 0) {
        *ret_ks = (struct mill_ks){reference_count, current_count, 0, NAN, NAN, 1};
        return;
    }
    struct mill__ks_scan scan;
    mill__ks_scan_init(&scan, reference_count, current_count);
    for (uint64_t i = 0, j = 0; i < reference_count || j < current_count;) {
        bool in_reference = i < reference_count && (j == current_count || reference[i] <= current[j]);
        double value = in_reference ? reference[i] : current[j];
        while (i < reference_count && reference[i] <= value) {
            i++;
        }
        while (j < current_count && current[j] <= value) {
            j++;
        }
        mill__ks_scan_add(&scan, i, j, value, in_reference);
    }
    mill__ks_scan_finish(&scan, ret_ks);
}

/* N of the one-sample distribution that stands for the two sizes: scipy's rounding, half to even. */
static uint64_t asymptotic_count(uint64_t reference_count, uint64_t current_count)
{
    double n1 = (double)reference_count, n2 = (double)current_count;
    double larger = n1 > n2 ? n1 : n2, smaller = n1 > n2 ? n2 : n1;
    return (uint64_t)rint(larger * smaller / (larger + smaller));
}

static double pvalue_asymptotic(const struct mill_ks *ks)
{
    return mill_kstwo_sf(ks->statistic, asymptotic_count(ks->reference_count, ks->current_count));
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

double mill_ks_pvalue(const struct mill_ks *ks, enum mill_ks_method method)
{
    uint64_t n1 = ks->reference_count, n2 = ks->current_count;
    if (n1 == 0 || n2 == 0 || isnan(ks->statistic)) {
        return NAN;
    }
    if (method == MILL_KS_AUTO) {
        method = n1 <= EXACT_COUNT_MAX && n2 <= EXACT_COUNT_MAX ? MILL_KS_EXACT : MILL_KS_ASYMPTOTIC;
    }
    uint64_t g = gcd(n1, n2);
    /* scipy's own limit on the least common multiple, and ours on the time. */
    bool is_too_long = (double)(n1 / g) >= INT32_MAX / (double)(n2 / g) || (mill__u128)n1 + n2 > INT32_MAX;
    if (method == MILL_KS_ASYMPTOTIC || is_too_long) {
        return pvalue_asymptotic(ks);
    }
    uint64_t h = ks->numerator / g;
    if (h == 0) {
        return 1;
    }
    double p = n1 == n2 ? mill__ks_exact_equal(n1, h) : mill__ks_exact_unequal(n1, n2, g, h);
    /* The closed form may round to above 1 (h = 1); scipy does without it then, so the answer is its. */
    return p <= 1 ? p : pvalue_asymptotic(ks);
}

/* The next x to try, by the secant through two points of ln p over x^2, which is nearly the line ln 2 - 2 n x^2; a hair
 * beyond it, so that the bracket closes from both sides. */
static double next_guess(double n, const double x[2], const double excess[2])
{
    double slope = (excess[1] - excess[0]) / (x[1] * x[1] - x[0] * x[0]);
    slope = slope < 0 ? slope : -2 * n;
    return sqrt(x[1] * x[1] - excess[1] / slope) * (excess[1] >= 0 ? 1 + 2e-13 : 1 - 2e-13);
}

double mill_ks_critical(uint64_t reference_count, uint64_t current_count, double alpha)
{
    mill_assert(alpha > 0 && alpha < 1);
    if (reference_count == 0 || current_count == 0) {
        return NAN;
    }
    uint64_t n = asymptotic_count(reference_count, current_count);
    if (n == 0) {
        return 1; /* one value on each side: p is 1 */
    }
    double low = 0.5 / (double)n, high = 1; /* p(low) = 1 >= alpha > p(high) = 0 */
    double x[2] = {NAN, sqrt(log(2 / alpha) / (2 * (double)n))}, excess[2] = {NAN, NAN};
    for (int tries = 0; high - low > 1e-12 * high; tries++) {
        if (!(x[1] > low && x[1] < high) || tries > 20) {
            x[1] = low + (high - low) / 2;
        }
        double p = mill_kstwo_sf(x[1], n);
        excess[1] = log(p / alpha);
        *(p >= alpha ? &low : &high) = x[1];
        double guess = next_guess((double)n, x, excess);
        x[0] = x[1];
        excess[0] = excess[1];
        x[1] = guess;
    }
    return low;
}
