/* SPDX-License-Identifier: Apache-2.0 */
/* What lleaves and tl2cgen made of the models: libraries of their own machine code, called directly. */
#include <string.h>

#include "bench/trees/trees.h"

static void (*lleaves_root)(double *, double *, int, int);
static void (*tl2cgen_predict)(union trees_entry *, int, float *);

static void run_lleaves(void *state, size_t first, size_t n, float *ret_first)
{
    static double out[TREES_BATCH_MAX];
    (void)state;
    lleaves_root(trees_rows64 + first * TREES_FEATURES, out, 0, (int)n);
    *ret_first = (float)out[0];
}

bool trees_lleaves(const struct trees_library *library, const char *compiled, struct contender *c)
{
    void *root = trees_symbol(trees_open(compiled), "forest_root");
    memcpy(&lleaves_root, &root, sizeof(root));
    *c = (struct contender){"lleaves", library->version, run_lleaves, NULL};
    return root != NULL;
}

static void run_tl2cgen(void *state, size_t first, size_t n, float *ret_first)
{
    static float out[TREES_BATCH_MAX];
    (void)state;
    for (size_t r = 0; r < n; r++) {
        out[r] = 0;
        tl2cgen_predict(trees_entries + (first + r) * TREES_FEATURES, 1, out + r);
    }
    *ret_first = out[0];
}

bool trees_tl2cgen(const struct trees_library *library, const char *compiled, struct contender *c)
{
    void *predict = trees_symbol(trees_open(compiled), "predict");
    memcpy(&tl2cgen_predict, &predict, sizeof(predict));
    *c = (struct contender){"tl2cgen", library->version, run_tl2cgen, NULL};
    return predict != NULL;
}
