/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links: margins to predictions, each as its trainer computes it, operation by operation and in its precision. What
 * libm enters (exp, log) agrees with the trainer to the bit on the same C library and within 1 ulp on another.
 */
#include <math.h>
#include <string.h>

#include "inference/model_internal.h"

static float sigmoid_xgboost(float m)
{
    float x = -m < 88.7f ? -m : 88.7f;
    return 1.0f / (expf(x) + 1.0f + 1e-16f);
}

static void softmax_f32(double *row, uint32_t n)
{
    float max = (float)row[0];
    for (uint32_t k = 1; k < n; k++) {
        max = (float)row[k] > max ? (float)row[k] : max;
    }
    double sum = 0;
    for (uint32_t k = 0; k < n; k++) {
        float e = expf((float)row[k] - max);
        row[k] = (double)e;
        sum += (double)e;
    }
    for (uint32_t k = 0; k < n; k++) {
        row[k] = (double)((float)row[k] / (float)sum);
    }
}

static void softmax_f64(double *row, uint32_t n)
{
    double max = row[0], sum = 0;
    for (uint32_t k = 1; k < n; k++) {
        max = row[k] > max ? row[k] : max;
    }
    for (uint32_t k = 0; k < n; k++) {
        row[k] = exp(row[k] - max);
        sum += row[k];
    }
    for (uint32_t k = 0; k < n; k++) {
        row[k] /= sum;
    }
}

static uint32_t first_largest(const double *row, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t k = 1; k < n; k++) {
        best = row[k] > row[best] ? k : best;
    }
    return best;
}

static void sort_ascending(double *row, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        double v = row[i];
        uint32_t j = i;
        while (j > 0 && row[j - 1] > v) {
            row[j] = row[j - 1];
            j--;
        }
        row[j] = v;
    }
}

static float softplus(float x)
{
    return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
}

static void expectiles(double *row, uint32_t n)
{
    for (uint32_t k = 1; k < n; k++) {
        row[k] = (double)((float)row[k - 1] + (1e-6f + softplus((float)row[k])));
    }
}

/* onnxruntime's: the sign is handled outside, so that exp never overflows. */
static float logistic_onnx(float x)
{
    float v = 1.0f / (1.0f + expf(-fabsf(x)));
    return x < 0 ? 1.0f - v : v;
}

static float probit_onnx(float p)
{
    /* onnxruntime's inverse error function (Winitzki's approximation with a = 0.147). */
    float x = 2.0f * p - 1.0f;
    float sign = x < 0 ? -1.0f : 1.0f;
    float log = logf((1.0f - x) * (1.0f + x));
    float v = 2.0f / (3.14159f * 0.147f) + 0.5f * log;
    float v3 = sqrtf(v * v - 1.0f / 0.147f * log) - v;
    return 1.41421356f * sign * sqrtf(v3);
}

static void softmax_onnx(double *row, uint32_t n, bool keep_zeros)
{
    float max = (float)row[first_largest(row, n)], sum = 0;
    for (uint32_t k = 0; k < n; k++) {
        float v = (float)row[k];
        bool zero = keep_zeros && v > -0.0000001f && v < 0.0000001f;
        float e = zero ? v * expf(-max) : expf(v - max);
        row[k] = (double)e;
        sum += zero ? 0 : e; /* what counts as zero has no share in the sum */
    }
    for (uint32_t k = 0; k < n; k++) {
        row[k] = (double)((float)row[k] / sum);
    }
}

/* Both columns of a binary classifier that sums one score. */
static void binary_onnx(enum mill__link link, double *row)
{
    float s = (float)row[0];
    row[1] = row[0];
    if (link == MILL__LINK_ONNX_BINARY) {
        row[0] = (double)(1.0f - s);
        return;
    }
    row[0] = (double)-s;
    if (link == MILL__LINK_ONNX_BINARY_LOGISTIC) {
        row[0] = (double)logistic_onnx(-s);
        row[1] = (double)logistic_onnx(s);
    }
}

static double link_one(const struct mill__forest *forest, double m)
{
    switch ((int)forest->link) {
    case MILL__LINK_SIGMOID:
        return (double)sigmoid_xgboost((float)m);
    case MILL__LINK_EXP:
        return forest->sums_f64 ? exp(m) : (double)expf((float)m);
    case MILL__LINK_HINGE:
        return m > 0 ? 1 : 0;
    case MILL__LINK_LOGISTIC:
        return 1.0 / (1.0 + exp(-forest->link_param * m));
    case MILL__LINK_LOG1P_EXP:
        return log1p(exp(m));
    case MILL__LINK_SIGNED_SQUARE:
        return (m > 0) - (m < 0) < 0 ? -m * m : m * m;
    case MILL__LINK_ONNX_LOGISTIC:
        return (double)logistic_onnx((float)m);
    case MILL__LINK_ONNX_PROBIT:
        return (double)probit_onnx((float)m);
    default:
        return m;
    }
}

static void apply_link(const struct mill__forest *forest, double *row)
{
    uint32_t n = forest->margin_count;
    for (uint32_t k = 0; k < n && forest->prediction_divisor != 1; k++) {
        row[k] /= forest->prediction_divisor;
    }
    switch (forest->link) {
    case MILL__LINK_IDENTITY:
        return;
    case MILL__LINK_SOFTMAX:
        if (forest->sums_f64) {
            softmax_f64(row, n);
        } else {
            softmax_f32(row, n);
        }
        return;
    case MILL__LINK_ARGMAX:
        row[0] = first_largest(row, n);
        return;
    case MILL__LINK_SORTED:
        sort_ascending(row, n);
        return;
    case MILL__LINK_EXPECTILES:
        expectiles(row, n);
        return;
    case MILL__LINK_CATBOOST_BINARY:
        row[1] = 1.0 / (1.0 + exp(-row[0]));
        row[0] = 1.0 - row[1];
        return;
    case MILL__LINK_ONNX_SOFTMAX:
    case MILL__LINK_ONNX_SOFTMAX_ZERO:
        softmax_onnx(row, n, forest->link == MILL__LINK_ONNX_SOFTMAX_ZERO);
        return;
    case MILL__LINK_ONNX_BINARY:
    case MILL__LINK_ONNX_BINARY_NEGATED:
    case MILL__LINK_ONNX_BINARY_LOGISTIC:
        binary_onnx(forest->link, row);
        return;
    case MILL__LINK_SIGMOID:
    case MILL__LINK_EXP:
    case MILL__LINK_HINGE:
    case MILL__LINK_LOGISTIC:
    case MILL__LINK_LOG1P_EXP:
    case MILL__LINK_SIGNED_SQUARE:
    case MILL__LINK_ONNX_LOGISTIC:
    case MILL__LINK_ONNX_PROBIT:
        break;
    }
    for (uint32_t k = 0; k < n; k++) {
        row[k] = link_one(forest, row[k]);
    }
}

bool mill__link_changes(const struct mill__forest *forest)
{
    return forest->link != MILL__LINK_IDENTITY || forest->prediction_divisor != 1 || forest->after.count > 0;
}

void mill__link_apply(const struct mill__forest *forest, double *row)
{
    apply_link(forest, row);
    for (uint32_t k = 0; forest->after.count > 0 && k < forest->output_count; k++) {
        row[k] = (double)mill__forest_take_steps(forest, &forest->after, (float)row[k]);
    }
}
