/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle of exact sums in the history test: CPython's algorithm, which shares nothing with ours. */
#ifndef TEST_NAIVE_FSUM_H
#define TEST_NAIVE_FSUM_H

#include <math.h>

/* fsum of CPython's math module: exact partial sums, one correct rounding. */
struct partials {
    double p[128];
    int n;
};

static void partials_add(struct partials *s, double x)
{
    int i = 0;
    for (int j = 0; j < s->n; j++) {
        double y = s->p[j];
        if (fabs(x) < fabs(y)) {
            double swap = x;
            x = y;
            y = swap;
        }
        volatile double hi = x + y, yr = hi - x;
        double lo = y - yr;
        if (lo != 0) {
            s->p[i++] = lo;
        }
        x = hi;
    }
    s->n = i;
    if (x != 0) {
        assert_true(s->n < 128);
        s->p[s->n++] = x;
    }
}

static double partials_round(const struct partials *s)
{
    int n = s->n;
    volatile double hi = 0, lo = 0, yr;
    if (n == 0) {
        return 0;
    }
    hi = s->p[--n];
    while (n > 0) {
        double x = hi, y = s->p[--n];
        hi = x + y;
        yr = hi - x;
        lo = y - yr;
        if (lo != 0) {
            break;
        }
    }
    if (n > 0 && ((lo < 0 && s->p[n - 1] < 0) || (lo > 0 && s->p[n - 1] > 0))) {
        double y = lo * 2, x = hi + y;
        yr = x - hi;
        if (y == yr) {
            hi = x;
        }
    }
    return hi;
}

#endif
