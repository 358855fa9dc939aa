/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of drift's statistics share: one scan for the two-sample KS, exact p, the distributions below it. All
 * pure functions; any thread. */
#ifndef MILL_DRIFT_STATISTICS_INTERNAL_H
#define MILL_DRIFT_STATISTICS_INTERNAL_H

#include "drift/drift.h"

/* gcc's 128-bit integers are no ISO C; __extension__ says that this is meant. */
__extension__ typedef __int128 mill__i128;
__extension__ typedef unsigned __int128 mill__u128;

/*
 * The extremes of d(z) = fl(fl(c1 / n1) - fl(c2 / n2)) over the pooled values z, c counting values <= z. scipy takes
 * extremes of these rounded numbers, so two differences that are equal as fractions may not be so here, and location
 * and sign depend on it. Integers decide which values come into question at all; only for those is divided.
 */
struct mill__ks_extreme {
    mill__i128 exact; /* sign * (c1 n2 - c2 n1), the largest so far */
    double difference, location;
    bool in_reference, is_set;
};
struct mill__ks_scan {
    uint64_t reference_count, current_count;
    mill__i128 slack; /* differences that are further apart than this as integers are so when rounded */
    struct mill__ks_extreme above, below;
};
void mill__ks_scan_init(struct mill__ks_scan *scan, uint64_t reference_count, uint64_t current_count);
/* Slow path of mill__ks_scan_add: the value may be a new extreme of this sign. */
void mill__ks_scan_consider(struct mill__ks_scan *scan, struct mill__ks_extreme *extreme, int sign, mill__i128 exact,
                            uint64_t c1, uint64_t c2, double value, bool in_reference);
void mill__ks_scan_finish(const struct mill__ks_scan *scan, struct mill_ks *ret_ks);

/* Values in ascending order. c1, c2: how many of reference and current are <= value; in_reference: the value occurs in
 * the reference (scipy looks for the first extreme in reference, then current). Both sides are non-empty. */
static inline void mill__ks_scan_add(struct mill__ks_scan *scan, uint64_t c1, uint64_t c2, double value,
                                     bool in_reference)
{
    mill__i128 exact = (mill__i128)c1 * scan->current_count - (mill__i128)c2 * scan->reference_count;
    if (exact >= scan->above.exact - scan->slack) {
        mill__ks_scan_consider(scan, &scan->above, 1, exact, c1, c2, value, in_reference);
    }
    if (-exact >= scan->below.exact - scan->slack) {
        mill__ks_scan_consider(scan, &scan->below, -1, -exact, c1, c2, value, in_reference);
    }
}

/* Exact p of D = h / lcm(n1, n2), 1 <= h <= lcm; equal sizes n, where h = n D. */
double mill__ks_exact_equal(uint64_t n, uint64_t h);
/* m != n, g their greatest common divisor; m + n < 2^31, m n / g < 2^31. O(D m n) time, O(D (m + n)) memory. */
double mill__ks_exact_unequal(uint64_t m, uint64_t n, uint64_t g, uint64_t h);

/* The pieces of kstwo's survival function; each holds in a part of the plane only (kstwo.c chooses). 0 < x < 1. */
double mill__kstwo_cdf_durbin(uint64_t n, double x);
double mill__kstwo_cdf_pomeranz(uint64_t n, double x);
double mill__kstwo_cdf_pelz_good(uint64_t n, double x);
/* P(D+ >= x), one-sided one-sample: scipy.special.smirnov. */
double mill__smirnov(uint64_t n, double x);

/* C. Loader, "Fast and accurate computation of binomial probabilities" (2000). stirling_error(x) = ln(x!) - ln of
 * Stirling's formula; deviance(x, mean) = x ln(x / mean) + mean - x, without cancellation near x = mean. */
double mill__stirling_error(double x);
double mill__deviance(double x, double mean);
/* C(n, v) p^v (1 - p)^(n - v) with q = 1 - p given apart. */
double mill__binomial_pmf(double v, double n, double p, double q);

#endif
