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
 * another and s is one divisor for all, so a diagonal is computed four cells at a time. By symmetry half of the
 * diagonals are enough.
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

/*
 * new[t] = (old[t] x + old[t + 1] (s - x)) / s for x = from + t, 0 <= t < count: old[t] is the cell (x - 1, s - x) and
 * old[t + 1] the cell (x, s - x - 1). Writes up to LANES - 1 cells more. Compiled for any processor and for AVX2;
 * nothing is fused, so the bits are the same.
 */
#define NEXT_DIAGONAL(old, new, count, from, s)                                                                        \
    do {                                                                                                               \
        mill__lanes x = {(from), (from) + 1, (from) + 2, (from) + 3};                                                  \
        mill__lanes inverse = {1 / (s), 1 / (s), 1 / (s), 1 / (s)};                                                    \
        for (uint64_t t = 0; t < (count); t += LANES) {                                                                \
            mill__lanes left, below;                                                                                   \
            memcpy(&left, (old) + t, sizeof(left));                                                                    \
            memcpy(&below, (old) + t + 1, sizeof(below));                                                              \
            mill__lanes value = (left * x + below * ((s)-x)) * inverse;                                                \
            memcpy((new) + t, &value, sizeof(value));                                                                  \
            x += LANES;                                                                                                \
        }                                                                                                              \
    } while (0)

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void next_diagonal_avx2(const double *old, double *new, uint64_t count,
                                                               double from, double s)
{
    NEXT_DIAGONAL(old, new, count, from, s);
}
#endif

static void next_diagonal(const double *old, double *new, uint64_t count, double from, double s)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        next_diagonal_avx2(old, new, count, from, s);
        return;
    }
#endif
    NEXT_DIAGONAL(old, new, count, from, s);
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

/* Cells from .. of a diagonal; at[0] and at[count + 1] are 1. */
struct diagonal_values {
    double *at;
    int64_t from;
    uint64_t count;
};
static double value_at(const struct diagonal_values *values, int64_t x)
{
    bool is_inside = x >= values->from && x < values->from + (int64_t)values->count;
    return is_inside ? values->at[1 + x - values->from] : 1;
}

/*
 * Half of the way is enough: what lies behind a diagonal s is, turned by half a turn, what lies before the diagonal
 * m + n - s. A path through (x, s - x) leaves with 1 - (1 - P)(1 - P'), P' of the cell (m - x, n - s + x), and C(s, x)
 * C(m + n - s, m - x) of the C(m + n, m) paths go through there.
 */
struct paths {
    int64_t m, n, s;
    struct diagonal_values before, behind;
};

static double leaving_through(const struct paths *paths, int64_t x)
{
    double p = value_at(&paths->before, x), q = value_at(&paths->behind, paths->m - x);
    return p + q - p * q;
}

/* The sum over cells from x on in one direction (step 1 or -1) until they add nothing; share: of the paths, through x.
 */
static double sum_outward(const struct paths *paths, int64_t x, double share, int step)
{
    int64_t m = paths->m, s = paths->s, rest = m + paths->n - s;
    int64_t least = s > paths->n ? s - paths->n : 0, most = s < m ? s : m;
    double sum = 0;
    while (x >= least && x <= most) {
        double next = sum + share * leaving_through(paths, x);
        bool is_over = next == sum && leaving_through(paths, x) == 1;
        if (is_over) {
            break;
        }
        sum = next;
        int64_t low = step > 0 ? x : x - 1; /* of the two cells between which the ratio is taken */
        double up = (double)(s - low) * (double)(m - low);
        double down = (double)(low + 1) * (double)(rest - m + low + 1);
        share *= step > 0 ? up / down : down / up;
        x += step;
    }
    return sum;
}

static double share_of_paths(const struct paths *paths, int64_t x)
{
    double m = (double)paths->m, all = (double)(paths->m + paths->n), s = (double)paths->s;
    double p = m / all, q = (double)paths->n / all;
    return mill__binomial_pmf((double)x, s, p, q) * mill__binomial_pmf(m - (double)x, all - s, p, q) /
           mill__binomial_pmf(m, all, p, q);
}

static double join_halves(const struct paths *paths)
{
    int64_t middle = (int64_t)((double)paths->s * (double)paths->m / (double)(paths->m + paths->n));
    double share = share_of_paths(paths, middle);
    double up = sum_outward(paths, middle, share, 1), down = sum_outward(paths, middle, share, -1);
    return up + down - share * leaving_through(paths, middle);
}

/* Goes from the diagonal of *values to the next, whose cells are d, in the array next. */
static void step_to(struct diagonal_values *values, struct diagonal d, double *next, int64_t s)
{
    mill_assert(d.from >= values->from && d.from <= values->from + 1);
    uint64_t count = (uint64_t)(d.to - d.from);
    next_diagonal(values->at + (d.from - values->from), next + 1, count, (double)d.from, (double)s);
    next[0] = next[count + 1] = 1;
    *values = (struct diagonal_values){next, d.from, count};
}

double mill__ks_exact_unequal(uint64_t m, uint64_t n, uint64_t g, uint64_t h)
{
    mill_assert(g > 0 && m % g == 0 && n % g == 0 && m + n <= INT32_MAX);
    int64_t mg = (int64_t)(m / g), ng = (int64_t)(n / g), all = (int64_t)(m + n), half = all / 2, s = 1;
    /* Room for the widest diagonal, a 1 on both sides of it, and what the lanes write beyond. */
    size_t width = 2 * h / (uint64_t)(mg + ng) + 4 + 2 * LANES;
    double *arrays = mill_calloc(2 * width, sizeof(*arrays));
    struct diagonal_values before = {arrays + width, 0, 0}, values = {arrays, 0, 1};
    values.at[0] = values.at[2] = 1; /* diagonal 0 is the one cell (0, 0), which is inside: 0 */
    for (; s <= all - half; s++) {
        struct diagonal d = diagonal_of(s, (int64_t)m, (int64_t)n, mg, ng, (int64_t)h);
        if (d.from >= d.to) {
            break; /* no way through */
        }
        double *next = before.at;
        before = values;
        step_to(&values, d, next, s);
    }
    /* An even number of steps: both halves end on the same diagonal. */
    struct paths paths = {(int64_t)m, (int64_t)n, half, half == all - half ? values : before, values};
    double p = s > all - half ? join_halves(&paths) : 1;
    free(arrays);
    return p < 1 ? p : 1;
}
