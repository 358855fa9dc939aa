/* SPDX-License-Identifier: Apache-2.0 */
/* C emission: the link of a model as text; each says in C what link.c computes. */
#include "inference/emit_internal.h"

/* In these texts m is the margins (float or double), N their count, P the link's parameter; out the predictions. */
static const struct text {
    enum mill__link link;
    const char *wide, *narrow; /* where sums are double, float; NULL: never so */
} texts[] = {
    {MILL__LINK_IDENTITY, "EACH out[k] = m[k];", "EACH out[k] = m[k];"},
    {MILL__LINK_SIGMOID, NULL,
     "EACH {\n        float x = -m[k] < 88.7f ? -m[k] : 88.7f;\n        out[k] = 1.0f / (expf(x) + 1.0f + 1e-16f);\n"
     "    }"},
    {MILL__LINK_EXP, "EACH out[k] = exp(m[k]);", "EACH out[k] = expf(m[k]);"},
    {MILL__LINK_SOFTMAX,
     "double max = m[0], sum = 0;\n    EACH max = m[k] > max ? m[k] : max;\n"
     "    EACH {\n        m[k] = exp(m[k] - max);\n        sum += m[k];\n    }\n    EACH out[k] = m[k] / sum;",
     "float max = m[0];\n    double sum = 0;\n    EACH max = m[k] > max ? m[k] : max;\n"
     "    EACH {\n        m[k] = expf(m[k] - max);\n        sum += m[k];\n    }\n    EACH out[k] = m[k] / (float)sum;"},
    {MILL__LINK_ARGMAX, NULL, "int best = 0;\n    EACH best = m[k] > m[best] ? k : best;\n    out[0] = (float)best;"},
    {MILL__LINK_HINGE, NULL, "EACH out[k] = m[k] > 0 ? 1.0f : 0.0f;"},
    {MILL__LINK_SORTED, NULL,
     "EACH {\n        int j = k;\n        float v = m[k];\n        for (; j > 0 && out[j - 1] > v; j--) {\n"
     "            out[j] = out[j - 1];\n        }\n        out[j] = v;\n    }"},
    {MILL__LINK_EXPECTILES, NULL,
     "out[0] = m[0];\n    EACH if (k > 0) {\n        float s = (m[k] > 0 ? m[k] : 0) + log1pf(expf(-fabsf(m[k])));\n"
     "        out[k] = out[k - 1] + (1e-6f + s);\n    }"},
    {MILL__LINK_LOGISTIC, "EACH out[k] = 1.0 / (1.0 + exp(-P * m[k]));", NULL},
    {MILL__LINK_LOG1P_EXP, "EACH out[k] = log1p(exp(m[k]));", NULL},
    {MILL__LINK_SIGNED_SQUARE, "EACH out[k] = m[k] < 0 ? -m[k] * m[k] : m[k] * m[k];", NULL},
    {MILL__LINK_CATBOOST_BINARY,
     "out[1] = 1.0 / (1.0 + exp(-m[0]));\n    out[0] = 1.0 - out[1];\n    k = 0;\n    (void)k;", NULL},
    {MILL__LINK_ONNX_LOGISTIC, NULL,
     "EACH {\n        float v = 1.0f / (1.0f + expf(-fabsf(m[k])));\n        out[k] = m[k] < 0 ? 1.0f - v : v;\n    }"},
    {MILL__LINK_ONNX_BINARY, NULL, "out[0] = 1.0f - m[0];\n    out[1] = m[0];\n    k = 0;\n    (void)k;"},
    {MILL__LINK_ONNX_BINARY_NEGATED, NULL, "out[0] = -m[0];\n    out[1] = m[0];\n    k = 0;\n    (void)k;"},
    {MILL__LINK_ONNX_BINARY_LOGISTIC, NULL,
     "float v = 1.0f / (1.0f + expf(-fabsf(m[0])));\n    out[0] = m[0] > 0 ? 1.0f - v : v;\n"
     "    out[1] = m[0] < 0 ? 1.0f - v : v;\n    k = 0;\n    (void)k;"},
    {MILL__LINK_ONNX_SOFTMAX_ZERO, NULL,
     "float max = m[0], sum = 0;\n    EACH max = m[k] > max ? m[k] : max;\n    EACH {\n"
     "        int zero = m[k] > -0.0000001f && m[k] < 0.0000001f;\n"
     "        m[k] = zero ? m[k] * expf(-max) : expf(m[k] - max);\n        sum += zero ? 0 : m[k];\n    }\n"
     "    EACH out[k] = m[k] / sum;"},
    {MILL__LINK_ONNX_PROBIT, NULL,
     "EACH {\n        float x = 2.0f * m[k] - 1.0f, log = logf((1.0f - x) * (1.0f + x));\n"
     "        float v = 2.0f / (3.14159f * 0.147f) + 0.5f * log, w = sqrtf(v * v - 1.0f / 0.147f * log) - v;\n"
     "        out[k] = 1.41421356f * (x < 0 ? -1.0f : 1.0f) * sqrtf(w);\n    }"},
    {MILL__LINK_ONNX_SOFTMAX, NULL,
     "float max = m[0], sum = 0;\n    EACH max = m[k] > max ? m[k] : max;\n"
     "    EACH {\n        m[k] = expf(m[k] - max);\n        sum += m[k];\n    }\n    EACH out[k] = m[k] / sum;"},
};

/* The text with EACH as the head of a loop over the margins and P as the parameter. */
static void expand(const struct mill__forest *forest, const char *text, struct mill_buffer *out)
{
    for (const char *p = text; *p != 0;) {
        if (strncmp(p, "EACH", 4) == 0) {
            mill_buffer_printf(out, "for (k = 0; k < %u; k++)", forest->margin_count);
            p += 4;
        } else if (*p == 'P' && p[1] == ' ') {
            mill_buffer_printf(out, "%a", forest->link_param);
            p++;
        } else {
            mill_buffer_add_byte(out, (unsigned char)*p++);
        }
    }
}

int mill__emit_link(const struct mill__forest *forest, const char *name, struct mill_buffer *out,
                    struct mill_error *err)
{
    const char *text = NULL;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].link == forest->link) {
            text = forest->sums_f64 ? texts[i].wide : texts[i].narrow;
        }
    }
    if (text == NULL) {
        return mill_fail(err, MILL_EDATA, "predictions of '%s' cannot be written as C", forest->objective);
    }
    const char *cell = forest->cells_f64 ? "double" : "float", *sum = forest->sums_f64 ? "double" : "float";
    mill_buffer_printf(out, "\nvoid %s_predict(const %s *row, %s *out)\n{\n    %s m[%u];\n    int k;\n", name, cell,
                       sum, sum, forest->margin_count);

    mill_buffer_printf(out, "    %s_margin(row, m);\n", name);
    if (forest->prediction_divisor != 1) {
        mill_buffer_printf(out, "    for (k = 0; k < %u; k++)\n        m[k] /= %a;\n", forest->margin_count,
                           forest->prediction_divisor);
    }
    mill_buffer_add_string(out, "    ");
    expand(forest, text, out);
    if (forest->after.count > 0) {
        mill_buffer_printf(
            out, "\n    for (k = 0; k < %u; k++) {\n        out[k] = take_steps(%u, %u, (float)out[k]);\n    }",
            forest->output_count, forest->after.begin, forest->after.count);
    }
    mill_buffer_add_string(out, "\n}\n");
    return 0;
}
