/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact p of the two-sample KS statistic: the share of the lattice paths from (0, 0) to (m, n) that somewhere leave the
 * band |n x - m y| < h g. Every order of m + n pooled values is such a path and without drift all are equally likely.
 *
 * Equal sizes have a closed form. Else the recursion runs on the probability of having left, not of having stayed
 * (T. Viehmann, "Numerically more stable computation of the p-values for the two-sample Kolmogorov-Smirnov test",
 * arXiv 2102.08037), so that small p keep their digits:
 *     P(x, y) = (x P(x - 1, y) + y P(x, y - 1)) / (x + y),  1 outside the band.
 * scipy goes column by column, each cell waiting for the one before. Along a diagonal x + y = s no cell waits for
 * another and s is one divisor for all, so a diagonal is computed four cells at a time.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "drift/statistics_internal.h"

double mill__ks_exact_equal(uint64_t n, uint64_t h)
{
    mill_assert(h >= 1 && h <= n);
    /* P = 2 A0 (1 - A1 (1 - A2 (...))), A_k <= exp(-(2k + 1) h^2 / (n + 1/2)). Terms below 2^-86 change no bit, and the
     * one of k = floor(n / h) is 0. */
    double reach = 30 * ((double)n + 0.5) / ((double)h * (double)h);
    uint64_t k_end = reach < (double)(n / h) ? (uint64_t)reach + 1 : n / h;
    if (k_end > n / h) {
        k_end = n / h;
    }
    double p = 0;
    for (uint64_t k = k_end; k-- > 0;) {
        double product = 1;
        for (uint64_t j = 0; j < h; j++) {
            product = (double)(n - k * h - j) * product / (double)(n + k * h + j + 1);
        }
        p = product * (1 - p);
    }
    return 2 * p;
}

enum { LANES = 4 };
typedef double mill__lanes __attribute__((vector_size(LANES * sizeof(double))));

/* new[t] = (old[t] x + old[t + 1] (s - x)) / s for x = from + t, 0 <= t < count: old[t] is the cell (x - 1, s - x) and
 * old[t + 1] the cell (x, s - x - 1). Writes up to LANES - 1 cells more. */
static void next_diagonal(const double *old, double *new, uint64_t count, double from, double s)
{
    mill__lanes x = {from, from + 1, from + 2, from + 3};
    mill__lanes inverse = {1 / s, 1 / s, 1 / s, 1 / s};
    for (uint64_t t = 0; t < count; t += LANES) {
        mill__lanes left, below;
        memcpy(&left, old + t, sizeof(left));
        memcpy(&below, old + t + 1, sizeof(below));
        mill__lanes value = (left * x + below * (s - x)) * inverse;
        memcpy(new + t, &value, sizeof(value));
        x += LANES;
    }
}

/* The x of the cells of diagonal s that are inside: |n' x - m' (s - x)| < h, 0 <= x <= m, 0 <= s - x <= n. */
struct diagonal {
    int64_t from, to; /* exclusive */
};
static struct diagonal diagonal_of(int64_t s, int64_t m, int64_t n, int64_t mg, int64_t ng, int64_t h)
{
    int64_t sum = mg + ng, low = mg * s - h;
    int64_t from = low < 0 ? 0 : low / sum + 1;
    int64_t to = (mg * s + h + sum - 1) / sum;
    int64_t least = s > n ? s - n : 0, most = s < m ? s : m;
    return (struct diagonal){from > least ? from : least, to <= most ? to : most + 1};
}

double mill__ks_exact_unequal(uint64_t m, uint64_t n, uint64_t g, uint64_t h)
{
    mill_assert(g > 0 && m % g == 0 && n % g == 0 && m + n <= INT32_MAX);
    int64_t mg = (int64_t)(m / g), ng = (int64_t)(n / g), last = (int64_t)(m + n);
    /* Room for the widest diagonal, a 1 on both sides of it, and what the lanes write beyond. */
    size_t width = 2 * h / (uint64_t)(mg + ng) + 4 + 2 * LANES;
    double *old = mill_calloc(width, sizeof(*old)), *new = mill_calloc(width, sizeof(*new));
    double p = 1;
    old[0] = old[2] = 1; /* diagonal 0 is the one cell (0, 0), which is inside: 0 */
    int64_t old_from = 0;
    for (int64_t s = 1; s <= last; s++) {
        struct diagonal d = diagonal_of(s, (int64_t)m, (int64_t)n, mg, ng, (int64_t)h);
        if (d.from >= d.to) {
            goto out; /* no way through */
        }
        mill_assert(d.from >= old_from && d.from <= old_from + 1);
        uint64_t count = (uint64_t)(d.to - d.from);
        next_diagonal(old + (d.from - old_from), new + 1, count, (double)d.from, (double)s);
        new[0] = new[count + 1] = 1;
        double *swap = old;
        old = new;
        new = swap;
        old_from = d.from;
    }
    p = old[1] < 1 ? old[1] : 1;
out:
    free(old);
    free(new);
    return p;
}
