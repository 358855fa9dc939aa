/* SPDX-License-Identifier: Apache-2.0 */
/* Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", J. Royal Stat. Soc. B 57, 1995: the q of a test
 * is the smallest false discovery rate at which it counts as a discovery. As scipy.stats.false_discovery_control. */
#include <math.h>
#include <stdlib.h>

#include "drift/statistics_internal.h"

struct ranked {
    double p;
    uint32_t index;
};

static int by_p(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return (x->p > y->p) - (x->p < y->p);
}

void mill_benjamini_hochberg(const double *p, double *q, uint32_t count)
{
    struct ranked *ranked = mill_malloc((size_t)count * sizeof(*ranked));
    uint32_t tests = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (isnan(p[i])) {
            q[i] = NAN;
        } else {
            ranked[tests++] = (struct ranked){p[i], i};
        }
    }
    if (tests > 0) {
        qsort(ranked, tests, sizeof(*ranked), by_p);
    }
    double least = 1;
    for (uint32_t rank = tests; rank > 0; rank--) {
        double value = ranked[rank - 1].p * ((double)tests / rank);
        least = value < least ? value : least;
        q[ranked[rank - 1].index] = least;
    }
    free(ranked);
}
