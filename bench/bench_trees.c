/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tree ensembles against their trainers and compilers: one process, one thread, taking turns, other rows in every call,
 * the least of several rounds. Usage: bench_trees DIRECTORY [SHAPE...], where bench/peers/trees_prepare.py has put the
 * models and the names of the peers' libraries (it is run once where that has not been done). MILL_KERNEL limits our
 * side (portable, avx2, ...).
 */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "inference/inference.h"

enum { FEATURES = 50, ROWS = 16384, ROUNDS = 7, CONTENDERS = 8 };

static float rows32[ROWS * FEATURES];
static double rows64[ROWS * FEATURES];

/* One way to score: n rows from `first` on, one margin each into out. */
struct contender {
    const char *name;
    void (*run)(void *state, size_t first, size_t n);
    void *state;
    double best_ns[3];
    float out[4]; /* of rows 0 to 3, to see that all compute the same */
};

static float out32[1024];
static double out64[1024];

static void run_mill(void *state, size_t first, size_t n)
{
    mill_model_score_f32(state, rows32 + first * FEATURES, n, FEATURES, FEATURES, MILL_MODEL_MARGIN, out32);
}

static void run_mill_f64(void *state, size_t first, size_t n)
{
    mill_model_score_f64(state, rows64 + first * FEATURES, n, FEATURES, FEATURES, MILL_MODEL_MARGIN, out64);
    out32[0] = (float)out64[0];
}

/* XGBoost's C interface, from the library that PyPI's wheel carries. */
struct xgboost {
    void *booster, *proxy;
    int (*predict)(void *, const char *, const char *, void *, const uint64_t **, uint64_t *, const float **);
    char (*texts)[160];
};

static void run_xgboost(void *state, size_t first, size_t n)
{
    struct xgboost *x = state;
    static const char config[] = "{\"type\":1,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,"
                                 "\"strict_shape\":false,\"missing\":NaN,\"cache_id\":0}";
    char text[160];
    const uint64_t *shape = NULL;
    const float *result = NULL;
    uint64_t dimensions = 0;
    /* Texts for single rows are made beforehand; for a batch making one costs nothing beside it. */
    const char *array = x->texts[first];
    if (n != 1) {
        snprintf(text, sizeof(text), "{\"data\":[%zu,true],\"shape\":[%zu,%d],\"typestr\":\"<f4\",\"version\":3}",
                 (size_t)(rows32 + first * FEATURES), n, FEATURES);
        array = text;
    }
    mill_assert(x->predict(x->booster, array, config, x->proxy, &shape, &dimensions, &result) == 0);
    memcpy(out32, result, n * sizeof(float));
}

/* Libraries are opened so that each finds its own symbols first: this program may itself be linked with an XGBoost. */
static void *symbol(void *library, const char *name)
{
    void *p = dlsym(library, name);
    if (p == NULL) {
        fprintf(stderr, "bench_trees: %s: not found\n", name);
    }
    return p;
}

static bool open_xgboost(const char *library_path, const char *model, struct xgboost *x, double *ret_load_ms)
{
    void *library = dlopen(library_path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library == NULL) {
        return false;
    }
    int (*create)(void *const *, uint64_t, void **) = symbol(library, "XGBoosterCreate");
    int (*load)(void *, const char *) = symbol(library, "XGBoosterLoadModel");
    int (*set)(void *, const char *, const char *) = symbol(library, "XGBoosterSetParam");
    int (*proxy)(void **) = symbol(library, "XGProxyDMatrixCreate");
    x->predict = symbol(library, "XGBoosterPredictFromDense");
    if (create == NULL || load == NULL || set == NULL || proxy == NULL || x->predict == NULL) {
        return false;
    }
    mill_assert(create(NULL, 0, &x->booster) == 0 && set(x->booster, "nthread", "1") == 0);
    int64_t start = mill_clock_mono_ns();
    mill_assert(load(x->booster, model) == 0);
    *ret_load_ms = (double)(mill_clock_mono_ns() - start) / 1e6;
    mill_assert(set(x->booster, "nthread", "1") == 0 && proxy(&x->proxy) == 0);
    x->texts = mill_malloc(ROWS * sizeof(*x->texts));
    for (size_t r = 0; r < ROWS; r++) {
        snprintf(x->texts[r], sizeof(x->texts[r]),
                 "{\"data\":[%zu,true],\"shape\":[1,%d],\"typestr\":\"<f4\",\"version\":3}",
                 (size_t)(rows32 + r * FEATURES), FEATURES);
    }
    return true;
}

/* LightGBM's C interface: the fast call for single rows, the matrix call for batches. */
struct lightgbm {
    void *booster, *fast;
    int (*single)(void *, const void *, int64_t *, double *);
    int (*matrix)(void *, const void *, int, int32_t, int32_t, int, int, int, int, const char *, int64_t *, double *);
};

static void run_lightgbm(void *state, size_t first, size_t n)
{
    struct lightgbm *x = state;
    int64_t length = 0;
    if (n == 1) {
        mill_assert(x->single(x->fast, rows64 + first * FEATURES, &length, out64) == 0);
    } else {
        mill_assert(x->matrix(x->booster, rows64 + first * FEATURES, 1, (int32_t)n, FEATURES, 1, 1, 0, -1,
                              "num_threads=1", &length, out64) == 0);
    }
    out32[0] = (float)out64[0];
}

static bool open_lightgbm(const char *library_path, const char *model, struct lightgbm *x)
{
    void *library = dlopen(library_path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library == NULL) {
        return false;
    }
    int (*load)(const char *, int *, void **) = symbol(library, "LGBM_BoosterCreateFromModelfile");
    int (*fast)(void *, int, int, int, int, int32_t, const char *, void **) =
        symbol(library, "LGBM_BoosterPredictForMatSingleRowFastInit");
    x->single = symbol(library, "LGBM_BoosterPredictForMatSingleRowFast");
    x->matrix = symbol(library, "LGBM_BoosterPredictForMat");
    int iterations = 0;
    return load != NULL && fast != NULL && load(model, &iterations, &x->booster) == 0 &&
           fast(x->booster, 1, 0, -1, 1, FEATURES, "num_threads=1", &x->fast) == 0;
}

static void run_lleaves(void *state, size_t first, size_t n)
{
    void (*root)(double *, double *, int, int);
    memcpy(&root, state, sizeof(root));
    root(rows64 + first * FEATURES, out64, 0, (int)n);
    out32[0] = (float)out64[0];
}

/* tl2cgen's entries: a value, or missing where the integer is -1. */
union entry {
    int missing;
    float value;
};
static union entry entries[ROWS * FEATURES];

static void run_tl2cgen(void *state, size_t first, size_t n)
{
    void (*predict)(union entry *, int, float *);
    memcpy(&predict, state, sizeof(predict));
    for (size_t r = 0; r < n; r++) {
        out32[r] = 0;
        predict(entries + (first + r) * FEATURES, 1, out32 + r);
    }
}

static const size_t batches[3] = {1, 32, 1024};

static void measure(struct contender *c, unsigned which, unsigned round)
{
    size_t n = batches[which], calls = n == 1 ? 1000 : n == 32 ? 60 : 3;
    size_t at = (round * 2741u * n) % (ROWS - 1024);
    int64_t start = mill_clock_mono_ns();
    for (size_t i = 0; i < calls; i++) {
        c->run(c->state, at, n);
        at = at + 2 * n >= ROWS - 1024 ? 0 : at + n;
    }
    double ns = (double)(mill_clock_mono_ns() - start) / (double)calls;
    if (round == 0 || ns < c->best_ns[which]) {
        c->best_ns[which] = ns;
    }
}

static void compare(const char *shape, struct contender *all, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        for (size_t r = 0; r < 4; r++) {
            all[i].run(all[i].state, r, 1);
            all[i].out[r] = out32[0];
        }
    }
    for (unsigned which = 0; which < 3; which++) {
        for (unsigned round = 0; round < ROUNDS; round++) {
            for (unsigned i = 0; i < count; i++) {
                measure(&all[i], which, round);
            }
        }
    }
    printf("%-6s %-22s %12s %12s %12s   first margins\n", "shape", "", "1 row", "32 rows", "1024 rows");
    for (unsigned i = 0; i < count; i++) {
        printf("%-6s %-22s %9.2f us %9.2f us %9.2f us   %.6f %.6f\n", shape, all[i].name, all[i].best_ns[0] / 1e3,
               all[i].best_ns[1] / 1e3, all[i].best_ns[2] / 1e3, (double)all[i].out[0], (double)all[i].out[1]);
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned ours = strstr(all[i].name, "lightgbm") != NULL || strstr(all[i].name, "lleaves") != NULL ? 1 : 0;
        if (strncmp(all[i].name, "tidemill", 8) != 0 && ours < count) {
            printf("%-6s %-22s %11.1fx %11.1fx %11.1fx\n", shape, all[i].name, all[i].best_ns[0] / all[ours].best_ns[0],
                   all[i].best_ns[1] / all[ours].best_ns[1], all[i].best_ns[2] / all[ours].best_ns[2]);
        }
    }
}

static struct mill_model *load_model(const char *path, double *ret_ms)
{
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    int64_t start = mill_clock_mono_ns();
    if (mill_model_load(path, &model, &err) < 0) {
        fprintf(stderr, "bench_trees: %s\n", err.msg);
        exit(1);
    }
    *ret_ms = (double)(mill_clock_mono_ns() - start) / 1e6;
    return model;
}

/* The path of a peer's library, from the file that the preparation wrote. */
static bool library_of(const char *directory, const char *peer, char *path, size_t size)
{
    char name[1024], line[1024];
    snprintf(name, sizeof(name), "%s/libraries", directory);
    FILE *file = fopen(name, "r");
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        char module[64], version[64], where[800];
        if (sscanf(line, "%63s %63s %799s", module, version, where) == 3 && strcmp(module, peer) == 0) {
            snprintf(path, size, "%s", where);
            printf("%s %s\n", module, version);
            found = true;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

static void bench_shape(const char *directory, const char *shape)
{
    static struct xgboost xgb;
    static struct lightgbm light;
    static void *lleaves, *tl2cgen;
    struct contender all[CONTENDERS] = {{0}};
    char path[1024], library[1024];
    double ms = 0, xgb_ms = 0;
    unsigned count = 0;
    snprintf(path, sizeof(path), "%s/%s.json", directory, shape);
    struct mill_model *model = load_model(path, &ms), *light_model = NULL;
    all[count++] = (struct contender){.name = "tidemill", .run = run_mill, .state = model};
    bool has_xgboost =
        library_of(directory, "xgboost", library, sizeof(library)) && open_xgboost(library, path, &xgb, &xgb_ms);
    const struct mill_model_info *info = mill_model_info(model);
    printf("%s: %u trees, %u leaves, depth %u; load %.1f ms (xgboost %.1f ms); kernels %s | %s | %s\n", shape,
           info->tree_count, info->leaf_count, info->depth_max, ms, xgb_ms, mill_model_kernel(model, 1),
           mill_model_kernel(model, 32), mill_model_kernel(model, 1024));
    snprintf(path, sizeof(path), "%s/%s.lgb.txt", directory, shape);
    light_model = load_model(path, &ms);
    all[count++] = (struct contender){.name = "tidemill (lightgbm's)", .run = run_mill_f64, .state = light_model};
    printf("%s lightgbm's: load %.1f ms; kernels %s | %s | %s\n", shape, ms, mill_model_kernel(light_model, 1),
           mill_model_kernel(light_model, 32), mill_model_kernel(light_model, 1024));
    if (has_xgboost) {
        all[count++] = (struct contender){.name = "xgboost", .run = run_xgboost, .state = &xgb};
    }
    if (library_of(directory, "lightgbm", library, sizeof(library)) && open_lightgbm(library, path, &light)) {
        all[count++] = (struct contender){.name = "lightgbm", .run = run_lightgbm, .state = &light};
    }
    snprintf(path, sizeof(path), "%s/%s.lleaves.so", directory, shape);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (handle != NULL && (lleaves = dlsym(handle, "forest_root")) != NULL) {
        all[count++] = (struct contender){.name = "lleaves", .run = run_lleaves, .state = &lleaves};
    }
    snprintf(path, sizeof(path), "%s/%s.tl2cgen.so", directory, shape);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (handle != NULL && (tl2cgen = dlsym(handle, "predict")) != NULL) {
        all[count++] = (struct contender){.name = "tl2cgen", .run = run_tl2cgen, .state = &tl2cgen};
    }
    compare(shape, all, count);
    mill_model_free(light_model);
    mill_model_free(model);
}

static bool read_rows(const char *directory)
{
    char path[1024];
    struct mill_buffer bytes = {0};
    struct mill_error err = {0};
    snprintf(path, sizeof(path), "%s/rows.f32", directory);
    if (mill_file_read(path, 1 << 28, &bytes, &err) < 0 || bytes.n != sizeof(rows32)) {
        mill_buffer_clear(&bytes);
        return false;
    }
    memcpy(rows32, bytes.p, bytes.n);
    for (size_t i = 0; i < ROWS * FEATURES; i++) {
        rows64[i] = (double)rows32[i];
        entries[i].value = rows32[i];
        if (isnan(rows32[i])) {
            entries[i].missing = -1;
        }
    }
    mill_buffer_clear(&bytes);
    return true;
}

/* Models and peers from PyPI, once; takes some minutes. */
static bool prepare(const char *directory)
{
    char command[2048];
    snprintf(command, sizeof(command), "bench/peers/trees_prepare.sh '%s' >&2", directory);
    fprintf(stderr, "bench_trees: preparing models and peers in '%s'\n", directory);
    return system(command) == 0;
}

int main(int argc, char **argv)
{
    static const char *const shapes[] = {"A", "B", "C"};
    const char *directory = argc > 1 ? argv[1] : "build/bench-trees";
    if (!read_rows(directory) && (!prepare(directory) || !read_rows(directory))) {
        printf("bench_trees: skipped, the peers cannot be had from PyPI\n");
        return 0;
    }
    for (int i = 2; i < argc; i++) {
        bench_shape(directory, argv[i]);
    }
    for (unsigned i = 0; argc <= 2 && i < 3; i++) {
        bench_shape(directory, shapes[i]);
    }
    return 0;
}
