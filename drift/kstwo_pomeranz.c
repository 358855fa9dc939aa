/* SPDX-License-Identifier: Apache-2.0 */
/* P(D_n <= x) by Pomeranz's recursion (J. Pomeranz, "Exact cumulative distribution of the Kolmogorov-Smirnov statistic
 * for small samples", Comm. ACM 17, 1974): 2n + 1 convolutions with Poisson weights of three kinds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "drift/statistics_internal.h"

struct pomeranz {
    int n, whole; /* t = n x = whole + fraction */
    bool has_fraction, rounds_up;
    int weight_count;
};

/* Entries first .. last of row i are other than 0. */
struct span {
    int first, last;
};
static struct span span_of(const struct pomeranz *p, int i)
{
    int up = p->has_fraction, nearest = p->rounds_up, half = (i + 1) / 2, first, last;
    if (i == 0) {
        first = -p->whole - up - 1;
        last = p->whole + up - 1;
    } else if (i % 2 == 0) {
        first = half - p->whole - 2;
        last = half + p->whole + nearest - 1;
    } else if (half == p->n + 1) {
        first = p->n - p->whole - up - 1;
        last = p->n + p->whole + up - 1;
    } else {
        first = half - 1 - p->whole - nearest - 1;
        last = half + p->whole - 1 + up - 1;
    }
    first += 2;
    return (struct span){first > 0 ? first : 0, last < p->n ? last : p->n};
}

/* weights[m] = mean^m / m!. */
static void fill_weights(double *weights, int count, double mean)
{
    weights[0] = 1;
    for (int m = 1; m < count; m++) {
        weights[m] = weights[m - 1] * mean / m;
    }
}

/* Each row's array begins with its first entry. Returns the largest entry. */
static double next_row(const double *row, struct span span, const double *weights, int weight_count, double *next,
                       struct span next_span)
{
    double largest = 0;
    for (int j = next_span.first; j <= next_span.last; j++) {
        double sum = 0;
        int least = j - weight_count + 1 > span.first ? j - weight_count + 1 : span.first;
        for (int u = least; u <= j && u <= span.last; u++) {
            sum += row[u - span.first] * weights[j - u];
        }
        next[j - next_span.first] = sum;
        largest = sum > largest ? sum : largest;
    }
    return largest;
}

/* n! times the entry, out of its scale. */
static double finish(double p, int n, int exponent)
{
    for (int m = 1; m <= n; m++) {
        if (p > 0x1p128) {
            p *= 0x1p-128;
            exponent += 128;
        }
        p *= m;
    }
    return ldexp(p, exponent);
}

double mill__kstwo_cdf_pomeranz(uint64_t n, double x)
{
    double count = (double)n, t = count * x, fraction = t - floor(t), g = fraction < 0.5 ? fraction : 1 - fraction;
    struct pomeranz p = {(int)n, (int)floor(t), fraction > 0, fraction > 0.5, 2 * ((int)floor(t) + 1)};
    size_t width = (size_t)p.weight_count + 2;
    double *weights = mill_calloc(5 * width, sizeof(*weights)), *row = weights + 3 * width, *next = row + width;
    fill_weights(weights, p.weight_count, g / count);
    fill_weights(weights + width, p.weight_count, 2 * g / count);
    fill_weights(weights + 2 * width, p.weight_count, (1 - 2 * g) / count);
    struct span span = {0, 0};
    row[0] = 1;
    int exponent = 0;
    for (int i = 1; i < 2 * p.n + 2; i++) {
        int kind = i == 1 || i == 2 * p.n + 1 ? 0 : i % 2 == 1 ? 1 : 2;
        struct span next_span = span_of(&p, i);
        mill_assert(next_span.last - next_span.first < (int)width);
        double largest = next_row(row, span, weights + kind * width, p.weight_count, next, next_span);
        if (largest > 0 && largest < 0x1p-128) {
            for (int j = 0; j <= next_span.last - next_span.first; j++) {
                next[j] *= 0x1p128;
            }
            exponent -= 128;
        }
        double *swap = row;
        row = next;
        next = swap;
        span = next_span;
    }
    double entry = row[p.n - span.first];
    free(weights);
    return finish(entry, p.n, exponent);
}
