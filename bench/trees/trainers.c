/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost and LightGBM by their C interfaces, from the libraries that their wheels carry. */
#include <dlfcn.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench/trees/trees.h"

void *trees_open(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library == NULL) {
        fprintf(stderr, "bench_trees: %s\n", dlerror());
    }
    return library;
}

void *trees_symbol(void *library, const char *name)
{
    void *p = library == NULL ? NULL : dlsym(library, name);
    if (p == NULL) {
        fprintf(stderr, "bench_trees: '%s' not found\n", name);
    }
    return p;
}

static struct xgboost {
    void *booster, *proxy;
    int (*predict)(void *, const char *, const char *, void *, const uint64_t **, uint64_t *, const float **);
    char texts[TREES_ROWS][96]; /* how each row is handed over when it is alone */
} xgb;

static void describe(char *text, size_t size, size_t first, size_t n)
{
    snprintf(text, size, "{\"data\":[%zu,true],\"shape\":[%zu,%d],\"typestr\":\"<f4\",\"version\":3}",
             (size_t)(trees_rows32 + first * TREES_FEATURES), n, TREES_FEATURES);
}

static void run_xgboost(void *state, size_t first, size_t n, float *ret_first)
{
    static const char config[] = "{\"type\":1,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,"
                                 "\"strict_shape\":false,\"missing\":NaN,\"cache_id\":0}";
    struct xgboost *x = state;
    char text[96];
    const uint64_t *shape = NULL;
    const float *result = NULL;
    uint64_t dimensions = 0;
    /* Texts for single rows are made beforehand; for a batch making one costs nothing beside it. */
    const char *array = x->texts[first];
    if (n != 1) {
        describe(text, sizeof(text), first, n);
        array = text;
    }
    mill_assert(x->predict(x->booster, array, config, x->proxy, &shape, &dimensions, &result) == 0);
    *ret_first = result[0];
}

bool trees_xgboost(const struct trees_library *library, const char *model, struct contender *c, double *ret_load_ms)
{
    void *handle = trees_open(library->path);
    int (*create)(void *const *, uint64_t, void **) = trees_symbol(handle, "XGBoosterCreate");
    int (*load)(void *, const char *) = trees_symbol(handle, "XGBoosterLoadModel");
    int (*set)(void *, const char *, const char *) = trees_symbol(handle, "XGBoosterSetParam");
    int (*proxy)(void **) = trees_symbol(handle, "XGProxyDMatrixCreate");
    xgb.predict = trees_symbol(handle, "XGBoosterPredictFromDense");
    if (create == NULL || load == NULL || set == NULL || proxy == NULL || xgb.predict == NULL) {
        return false;
    }
    *ret_load_ms = 0;
    for (int round = 0; round < 3; round++) {
        mill_assert(create(NULL, 0, &xgb.booster) == 0 && set(xgb.booster, "nthread", "1") == 0);
        int64_t start = mill_clock_mono_ns();
        mill_assert(load(xgb.booster, model) == 0);
        double ms = (double)(mill_clock_mono_ns() - start) / 1e6;
        *ret_load_ms = round == 0 || ms < *ret_load_ms ? ms : *ret_load_ms;
    }
    mill_assert(set(xgb.booster, "nthread", "1") == 0 && proxy(&xgb.proxy) == 0);
    for (size_t r = 0; r < TREES_ROWS; r++) {
        describe(xgb.texts[r], sizeof(xgb.texts[r]), r, 1);
    }
    *c = (struct contender){"xgboost", library->version, run_xgboost, &xgb};
    return true;
}

/* The fast call for single rows, the matrix call for batches. */
static struct lightgbm {
    void *booster, *fast;
    int (*single)(void *, const void *, int64_t *, double *);
    int (*matrix)(void *, const void *, int, int32_t, int32_t, int, int, int, int, const char *, int64_t *, double *);
} light;

static void run_lightgbm(void *state, size_t first, size_t n, float *ret_first)
{
    static double out[TREES_BATCH_MAX];
    struct lightgbm *x = state;
    const double *rows = trees_rows64 + first * TREES_FEATURES;
    int64_t length = 0;
    int rc =
        n == 1 ? x->single(x->fast, rows, &length, out)
               : x->matrix(x->booster, rows, 1, (int32_t)n, TREES_FEATURES, 1, 1, 0, -1, "num_threads=1", &length, out);
    mill_assert(rc == 0);
    *ret_first = (float)out[0];
}

bool trees_lightgbm(const struct trees_library *library, const char *model, struct contender *c)
{
    void *handle = trees_open(library->path);
    int iterations = 0;
    int (*load)(const char *, int *, void **) = trees_symbol(handle, "LGBM_BoosterCreateFromModelfile");
    int (*fast)(void *, int, int, int, int, int32_t, const char *, void **) =
        trees_symbol(handle, "LGBM_BoosterPredictForMatSingleRowFastInit");
    light.single = trees_symbol(handle, "LGBM_BoosterPredictForMatSingleRowFast");
    light.matrix = trees_symbol(handle, "LGBM_BoosterPredictForMat");
    *c = (struct contender){"lightgbm", library->version, run_lightgbm, &light};
    return load != NULL && fast != NULL && light.single != NULL && light.matrix != NULL &&
           load(model, &iterations, &light.booster) == 0 &&
           fast(light.booster, 1, 0, -1, 1, TREES_FEATURES, "num_threads=1", &light.fast) == 0;
}
