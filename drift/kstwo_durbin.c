/* SPDX-License-Identifier: Apache-2.0 */
/* P(D_n <= x) by Durbin's matrix: the middle entry of n! / n^n H^n (G. Marsaglia, W. W. Tsang and J. Wang, "Evaluating
 * Kolmogorov's distribution", J. Stat. Software 8, 2003). Only the middle row of the power is kept, so that beside the
 * squarings of H there are no products of matrices. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "drift/statistics_internal.h"

/* H has m = 2k - 1 rows, n x = k - h with 0 <= h < 1. */
static void fill_matrix(double *matrix, int m, double h)
{
    double *first = mill_malloc(2 * (size_t)m * sizeof(*first)), *inverse_factorial = first + m;
    double factorial = 1; /* its inverse */
    for (int j = 1; j <= m; j++) {
        inverse_factorial[j - 1] = factorial;
        factorial /= j;
        first[j - 1] = (1 - pow(h, j)) * factorial;
    }
    double excess = 2 * h - 1 > 0 ? pow(2 * h - 1, m) : 0;
    first[m - 1] = (1 + (excess - 2 * pow(h, m))) * factorial;
    for (int row = 0; row < m; row++) {
        for (int column = 1; column < m; column++) {
            matrix[row * m + column] = row >= column - 1 ? inverse_factorial[row - column + 1] : 0;
        }
        matrix[row * m] = first[row];
    }
    for (int column = 0; column < m; column++) {
        matrix[(m - 1) * m + column] = first[m - 1 - column];
    }
    free(first);
}

/* out = row * matrix. */
static void multiply_row(const double *row, const double *matrix, int m, double *out)
{
    memset(out, 0, (size_t)m * sizeof(*out));
    for (int k = 0; k < m; k++) {
        for (int j = 0; j < m; j++) {
            out[j] += row[k] * matrix[k * m + j];
        }
    }
}

/* Takes 2^128 out of count numbers where the middle one has grown beyond it. */
static int rescale(double *numbers, int count, double middle)
{
    if (!(fabs(middle) > 0x1p128)) {
        return 0;
    }
    for (int i = 0; i < count; i++) {
        numbers[i] *= 0x1p-128;
    }
    return 128;
}

double mill__kstwo_cdf_durbin(uint64_t n, double x)
{
    double t = (double)n * x;
    int k = (int)ceil(t), m = 2 * k - 1;
    size_t row_bytes = (size_t)m * sizeof(double), matrix_bytes = (size_t)m * row_bytes;
    double *matrix = mill_malloc(matrix_bytes), *square = mill_malloc(matrix_bytes);
    double *row = mill_calloc((size_t)m, sizeof(double)), *next = mill_malloc(row_bytes);
    fill_matrix(matrix, m, k - t);
    row[k - 1] = 1;
    int exponent = 0, matrix_exponent = 0;
    for (uint64_t rest = n; rest > 0; rest /= 2) {
        if (rest % 2 == 1) {
            multiply_row(row, matrix, m, next);
            memcpy(row, next, row_bytes);
            exponent += matrix_exponent + rescale(row, m, row[k - 1]);
        }
        if (rest > 1) {
            for (int i = 0; i < m; i++) {
                multiply_row(matrix + i * m, matrix, m, square + i * m);
            }
            memcpy(matrix, square, matrix_bytes);
            matrix_exponent = 2 * matrix_exponent + rescale(matrix, m * m, matrix[(k - 1) * m + k - 1]);
        }
    }
    double p = row[k - 1];
    for (uint64_t i = 1; i <= n; i++) {
        p = (double)i * p / (double)n;
        if (fabs(p) < 0x1p-128) {
            p *= 0x1p128;
            exponent -= 128;
        }
    }
    free(matrix);
    free(square);
    free(row);
    free(next);
    return ldexp(p, exponent);
}
