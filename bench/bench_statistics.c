/* SPDX-License-Identifier: Apache-2.0 */
/* What a p-value, a critical statistic and a scored row's outcome cost: the parts of an evaluation that are not counts.
 * CPU time, best of five. Prints one line each. */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "drift/drift.h"

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void bench_pvalue(uint64_t n1, uint64_t n2, double statistic, enum mill_ks_method method)
{
    struct mill_ks ks = {n1, n2, (uint64_t)(statistic * (double)n1 * (double)n2), statistic, 0, 1};
    double best = INFINITY, p = 0;
    for (int i = 0; i < 5; i++) {
        double start = cpu_us();
        p = mill_ks_pvalue(&ks, method);
        best = fmin(best, cpu_us() - start);
    }
    printf("ks p  %8llu against %8llu  D %.4f  %-10s  p %-10.4g %9.1f us\n", (unsigned long long)n1,
           (unsigned long long)n2, statistic, method == MILL_KS_ASYMPTOTIC ? "asymptotic" : "exact", p, best);
}

static void bench_critical(uint64_t n1, uint64_t n2)
{
    double best = INFINITY;
    for (int i = 0; i < 5; i++) {
        double start = cpu_us();
        mill_ks_critical(n1, n2, 0.01);
        best = fmin(best, cpu_us() - start);
    }
    printf("ks critical at 0.01  %llu against %llu  %.1f us\n", (unsigned long long)n1, (unsigned long long)n2, best);
}

static void bench_outcomes(void)
{
    enum { ROWS = 1000000 };
    struct mill_outcomes *outcomes = mill_outcomes_new();
    struct mill_performance performance;
    double start = cpu_us(), score = 0;
    for (int i = 0; i < ROWS; i++) {
        score += 0.6180339887498949;
        score -= score >= 1;
        mill_outcomes_add(outcomes, score, i % 3 - 1, 0.5);
    }
    double add = (cpu_us() - start) * 1000 / ROWS;
    start = cpu_us();
    mill_outcomes_evaluate(outcomes, &performance);
    printf("outcomes  %.1f ns a row, %.1f us an evaluation\n", add, cpu_us() - start);
    mill_outcomes_free(outcomes);
}

int main(void)
{
    for (double statistic = 0.0147; statistic < 1; statistic *= 3.6) {
        bench_pvalue(10000, 9999, statistic, MILL_KS_EXACT);
    }
    bench_pvalue(10000, 10000, 0.02, MILL_KS_EXACT);
    bench_pvalue(100000, 1000000, 0.0035, MILL_KS_ASYMPTOTIC);
    bench_pvalue(100000, 1000000, 0.006, MILL_KS_ASYMPTOTIC);
    bench_pvalue(1000000, 1000000, 0.0024, MILL_KS_ASYMPTOTIC);
    bench_pvalue(160000, 160000, 0.0006743, MILL_KS_ASYMPTOTIC);
    bench_critical(100000, 1000000);
    bench_outcomes();
    return 0;
}
