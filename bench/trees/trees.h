/* SPDX-License-Identifier: Apache-2.0 */
/* What bench_trees and its contenders share: the rows, and one way to score them each. */
#ifndef MILL_BENCH_TREES_H
#define MILL_BENCH_TREES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TREES_FEATURES = 50, TREES_ROWS = 16384, TREES_BATCH_MAX = 1024 };

/* The same rows in every form that somebody asks for; a missing value is NaN, or -1 in tl2cgen's union. */
union trees_entry {
    int missing;
    float value;
};
extern float trees_rows32[TREES_ROWS * TREES_FEATURES];
extern double trees_rows64[TREES_ROWS * TREES_FEATURES];
extern union trees_entry trees_entries[TREES_ROWS * TREES_FEATURES];

/* Scores rows first .. first + n - 1 and leaves the first's margin (onnxruntime: probability) in *ret_first. */
struct contender {
    const char *name, *version;
    void (*run)(void *state, size_t first, size_t n, float *ret_first);
    void *state;
};

/* Each fills *c, or returns false where the library or the model is not there; then the caller says so. library: path
 * and version from the preparation. */
struct trees_library {
    char version[32], path[768];
};
bool trees_xgboost(const struct trees_library *library, const char *model, struct contender *c, double *ret_load_ms);
bool trees_lightgbm(const struct trees_library *library, const char *model, struct contender *c);
bool trees_onnxruntime(const struct trees_library *library, const char *model, struct contender *c);
bool trees_lleaves(const struct trees_library *library, const char *compiled, struct contender *c);
bool trees_tl2cgen(const struct trees_library *library, const char *compiled, struct contender *c);

/* Opens a library so that it finds its own symbols first (this program is itself linked with an XGBoost); says why not.
 */
void *trees_open(const char *path);
void *trees_symbol(void *library, const char *name);

#endif
