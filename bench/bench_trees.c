/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tree ensembles against their trainers, compilers and onnxruntime: one process, one thread, taking turns, other rows
 * in every call, the least of several rounds of the thread's own time. Usage: bench_trees DIRECTORY [SHAPE...], where
 * bench/trees/prepare.sh has put models and peers (it is run once where that has not been done). Our side runs at every
 * level of kernels that the CPU has; each bar is printed with its figure, met or missed.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/file.h"
#include "bench/trees/trees.h"
#include "inference/inference.h"

enum { ROUNDS = 7, LOADS = 5, CHECKED = 64, CONTENDERS = 12, LEVELS = 3, BATCHES = 3 };

float trees_rows32[TREES_ROWS * TREES_FEATURES];
double trees_rows64[TREES_ROWS * TREES_FEATURES];
union trees_entry trees_entries[TREES_ROWS * TREES_FEATURES];

static const size_t batches[BATCHES] = {1, 32, TREES_BATCH_MAX};
/* Names of a level as contender, and what MILL_KERNEL is set to while its models are loaded. */
static const struct level {
    const char *name, *limit;
} levels[LEVELS] = {{"portable", "portable"}, {"avx2", "avx2"}, {"avx512", "auto"}};

struct line {
    struct contender c;
    int level;     /* ours: which level; -1: a peer */
    bool lightgbm; /* scores the model that LightGBM trained, else XGBoost's */
    double us[BATCHES];
    float first[CHECKED];
};

static struct line lines[CONTENDERS];
static unsigned line_count;
static unsigned bars_met, bars_missed;

static double thread_us(void)
{
    struct timespec t;
    mill_assert(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void run_floats(void *state, size_t first, size_t n, float *ret_first)
{
    static float out[TREES_BATCH_MAX];
    mill_model_score_f32(state, trees_rows32 + first * TREES_FEATURES, n, TREES_FEATURES, TREES_FEATURES,
                         MILL_MODEL_MARGIN, out);
    *ret_first = out[0];
}

static void run_doubles(void *state, size_t first, size_t n, float *ret_first)
{
    static double out[TREES_BATCH_MAX];
    mill_model_score_f64(state, trees_rows64 + first * TREES_FEATURES, n, TREES_FEATURES, TREES_FEATURES,
                         MILL_MODEL_MARGIN, out);
    *ret_first = (float)out[0];
}

static void measure(struct line *line, unsigned which, unsigned round)
{
    size_t n = batches[which], calls = n == 1 ? 1000 : n == 32 ? 60 : 3;
    size_t at = (round * 2741u * n) % (TREES_ROWS - TREES_BATCH_MAX);
    float first = 0;
    double start = thread_us();
    for (size_t i = 0; i < calls; i++) {
        line->c.run(line->c.state, at, n, &first);
        at = at + 2 * n >= TREES_ROWS - TREES_BATCH_MAX ? 0 : at + n;
    }
    double us = (thread_us() - start) / (double)calls;
    line->us[which] = round == 0 || us < line->us[which] ? us : line->us[which];
}

static void measure_all(const char *shape)
{
    for (unsigned which = 0; which < BATCHES; which++) {
        for (unsigned round = 0; round < ROUNDS; round++) {
            for (unsigned i = 0; i < line_count; i++) {
                measure(&lines[i], which, round);
            }
        }
    }
    printf("\n%-5s %-12s %-9s %12s %12s %12s\n", shape, "", "", "1 row", "32 rows", "1024 rows");
    for (unsigned i = 0; i < line_count; i++) {
        printf("%-5s %-12s %-9s %9.2f us %9.1f us %9.0f us%s\n", lines[i].lightgbm ? "lgb" : "xgb", lines[i].c.name,
               lines[i].c.version, lines[i].us[0], lines[i].us[1], lines[i].us[2],
               lines[i].level >= 0 ? "" : "  (peer)");
    }
}

/* The margins of the first rows, bit for bit, where a peer computes the same sums. */
static void check_bits(const char *shape)
{
    for (unsigned i = 0; i < line_count; i++) {
        for (size_t r = 0; r < CHECKED; r++) {
            lines[i].c.run(lines[i].c.state, r, 1, &lines[i].first[r]);
        }
    }
    for (unsigned i = 0; i < line_count; i++) {
        bool trainer = strcmp(lines[i].c.name, "xgboost") == 0 || strcmp(lines[i].c.name, "lightgbm") == 0;
        unsigned differ = 0, models = 0;
        for (unsigned j = 0; trainer && j < line_count; j++) {
            if (lines[j].level >= 0 && lines[j].lightgbm == lines[i].lightgbm) {
                models++;
                differ += memcmp(lines[i].first, lines[j].first, sizeof(lines[i].first)) != 0;
            }
        }
        if (models > 0) {
            printf("%s: margins of %d rows against %s: %s\n", shape, CHECKED, lines[i].c.name,
                   differ == 0 ? "the same bits at every level" : "BITS DIFFER");
            mill_assert(differ == 0);
        }
    }
}

static void verdict(const char *what, double figure, const char *unit, double bar, bool met)
{
    printf("bar  %-52s %8.1f%s  bar %6.1f%s  %s\n", what, figure, unit, bar, unit, met ? "met" : "MISSED");
    bars_met += met;
    bars_missed += !met;
}

static const struct line *find(const char *name, int level, bool lightgbm)
{
    for (unsigned i = 0; i < line_count; i++) {
        if (lines[i].level == level &&
            (level >= 0 ? lines[i].lightgbm == lightgbm : strcmp(lines[i].c.name, name) == 0)) {
            return &lines[i];
        }
    }
    return NULL;
}

/* By batch, level and peer: how many times faster than the peer, for shapes A, B and C. */
static const struct bar {
    const char *peer;
    unsigned batch;
    int level;
    double times[3];
} bars[] = {
    {"xgboost", 0, 1, {20, 10, 15}},  {"xgboost", 0, 2, {40, 15, 30}},  {"lightgbm", 0, 1, {8, 8, 8}},
    {"lightgbm", 0, 2, {8, 8, 8}},    {"lleaves", 0, 1, {3, 3, 3}},     {"lleaves", 0, 2, {3, 3, 3}},
    {"tl2cgen", 0, 1, {3, 3, 3}},     {"tl2cgen", 0, 2, {3, 3, 3}},     {"xgboost", 2, 1, {2.5, 2.5, 2.5}},
    {"xgboost", 2, 2, {4, 4, 4}},     {"lightgbm", 2, 1, {5, 5, 5}},    {"lightgbm", 2, 2, {5, 5, 5}},
    {"onnxruntime", 2, 1, {5, 5, 5}}, {"onnxruntime", 2, 2, {5, 5, 5}},
};

static void judge(const char *shape)
{
    for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++) {
        const struct line *peer = find(bars[i].peer, -1, false);
        const struct line *ours = peer == NULL ? NULL : find("", bars[i].level, peer->lightgbm);
        char what[96];
        snprintf(what, sizeof(what), "%s, %zu row%s, %s against %s", shape, batches[bars[i].batch],
                 bars[i].batch == 0 ? "" : "s", levels[bars[i].level].name, bars[i].peer);
        if (ours == NULL) {
            printf("bar  %-52s      -    not measured, %s\n", what,
                   peer == NULL ? "the peer is not here" : "the CPU has no AVX-512VBMI");
            continue;
        }
        double times = peer->us[bars[i].batch] / ours->us[bars[i].batch], bar = bars[i].times[shape[0] - 'A'];
        verdict(what, times, "x", bar, times >= bar);
    }
}

static struct mill_model *load_model(const char *path, double *ret_ms)
{
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    double start = thread_us();
    if (mill_model_load(path, &model, &err) < 0) {
        fprintf(stderr, "bench_trees: %s\n", err.msg);
        exit(1);
    }
    *ret_ms = (thread_us() - start) / 1e3;
    return model;
}

static double least_load(const char *path)
{
    double least = INFINITY, ms = 0;
    for (int i = 0; i < LOADS; i++) {
        mill_model_free(load_model(path, &ms));
        least = fmin(least, ms);
    }
    return least;
}

/* Our lines: the model at each level that the CPU has. */
static void add_ours(const char *path, bool lightgbm, struct mill_model **models)
{
    for (int level = 0; level < LEVELS; level++) {
        if (level == 2 && !__builtin_cpu_supports("avx512vbmi")) {
            continue;
        }
        double ms = 0;
        setenv("MILL_KERNEL", levels[level].limit, 1);
        models[level] = load_model(path, &ms);
        unsetenv("MILL_KERNEL");
        lines[line_count++] = (struct line){
            .c = {"tidemill", levels[level].name, lightgbm ? run_doubles : run_floats, models[level]},
            .level = level,
            .lightgbm = lightgbm,
        };
        printf("  %-9s kernels: 1 row %s, 32 rows %s, 1024 rows %s\n", levels[level].name,
               mill_model_kernel(models[level], 1), mill_model_kernel(models[level], 32),
               mill_model_kernel(models[level], TREES_BATCH_MAX));
    }
}

/* Path and version of a peer's library, from the file that the preparation wrote; false where it is not there. */
static bool library_of(const char *directory, const char *peer, struct trees_library *library)
{
    char name[1024], line[1024];
    snprintf(name, sizeof(name), "%s/libraries", directory);
    FILE *file = fopen(name, "r");
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        char module[32];
        found =
            sscanf(line, "%31s %31s %767s", module, library->version, library->path) == 3 && strcmp(module, peer) == 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

static void add_peer(const char *directory, const char *shape, const char *peer, const char *suffix,
                     bool (*open)(const struct trees_library *, const char *, struct contender *))
{
    static struct trees_library libraries[CONTENDERS];
    struct trees_library *library = &libraries[line_count];
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s.%s", directory, shape, suffix);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        fclose(file);
    }
    if (file == NULL || !library_of(directory, peer, library) || !open(library, path, &lines[line_count].c)) {
        printf("%s: %s is left out, '%s' or its library is not there\n", shape, peer, path);
        return;
    }
    lines[line_count].level = -1;
    lines[line_count].lightgbm = strcmp(peer, "lightgbm") == 0 || strcmp(peer, "lleaves") == 0;
    line_count++;
}

static double xgboost_load_ms;

static bool open_xgboost(const struct trees_library *library, const char *model, struct contender *c)
{
    return trees_xgboost(library, model, c, &xgboost_load_ms);
}

static void bench_shape(const char *directory, const char *shape)
{
    struct mill_model *models[2][LEVELS] = {{NULL}};
    char xgb[1024], lgb[1024];
    line_count = 0;
    memset(lines, 0, sizeof(lines));
    xgboost_load_ms = 0;
    snprintf(xgb, sizeof(xgb), "%s/%s.json", directory, shape);
    snprintf(lgb, sizeof(lgb), "%s/%s.lgb.txt", directory, shape);
    double first_ms = 0;
    struct mill_model *model = load_model(xgb, &first_ms);
    const struct mill_model_info *info = mill_model_info(model);
    printf("\n%s: %u trees, %u leaves, depth %u, %.1f MB in memory\n", shape, info->tree_count, info->leaf_count,
           info->depth_max, (double)info->memory_bytes / 1e6);
    mill_model_free(model);
    add_ours(xgb, false, models[0]);
    printf("  trained by LightGBM:\n");
    add_ours(lgb, true, models[1]);
    add_peer(directory, shape, "xgboost", "json", open_xgboost);
    add_peer(directory, shape, "onnxruntime", "onnx", trees_onnxruntime);
    add_peer(directory, shape, "tl2cgen", "tl2cgen.so", trees_tl2cgen);
    add_peer(directory, shape, "lightgbm", "lgb.txt", trees_lightgbm);
    add_peer(directory, shape, "lleaves", "lleaves.so", trees_lleaves);
    check_bits(shape);
    double load_ms = fmin(least_load(xgb), first_ms);
    printf("%s: load of the XGBoost model %.1f ms the first time, %.1f ms at least; xgboost's own %.1f ms at least\n",
           shape, first_ms, load_ms, xgboost_load_ms);
    measure_all(shape);
    judge(shape);
    if (strcmp(shape, "C") == 0) {
        verdict("C, load with tuning, the first time", first_ms, " ms", 150, first_ms <= 150);
    }
    for (int i = 0; i < 2 * LEVELS; i++) {
        mill_model_free(models[i / LEVELS][i % LEVELS]);
    }
    fflush(stdout);
}

static bool read_rows(const char *directory)
{
    char path[1024];
    struct mill_buffer bytes = {0};
    struct mill_error err = {0};
    snprintf(path, sizeof(path), "%s/rows.f32", directory);
    if (mill_file_read(path, 1 << 28, &bytes, &err) < 0 || bytes.n != sizeof(trees_rows32)) {
        mill_buffer_clear(&bytes);
        return false;
    }
    memcpy(trees_rows32, bytes.p, bytes.n);
    for (size_t i = 0; i < TREES_ROWS * TREES_FEATURES; i++) {
        trees_rows64[i] = (double)trees_rows32[i];
        trees_entries[i].value = trees_rows32[i];
        if (isnan(trees_rows32[i])) {
            trees_entries[i].missing = -1;
        }
    }
    mill_buffer_clear(&bytes);
    return true;
}

/* Models and peers from PyPI, once; takes some ten minutes, most of them for the peers' compilers. */
static bool prepare(const char *directory)
{
    char command[2048];
    snprintf(command, sizeof(command), "bench/trees/prepare.sh '%s' >&2", directory);
    fprintf(stderr, "bench_trees: preparing models and peers in '%s'\n", directory);
    return system(command) == 0;
}

/* What the preparation could not have, in its own words. */
static void print_left_out(const char *directory)
{
    char path[1024], line[1024];
    snprintf(path, sizeof(path), "%s/left-out", directory);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        fputs(line, stdout);
    }
    if (file != NULL) {
        fclose(file);
    }
}

int main(int argc, char **argv)
{
    static const char *const shapes[] = {"A", "B", "C"};
    const char *directory = argc > 1 ? argv[1] : "build/bench-trees";
    if (!read_rows(directory) && (!prepare(directory) || !read_rows(directory))) {
        printf("bench_trees: skipped, the models and peers cannot be had from PyPI\n");
        return 0;
    }
    printf("one thread, its own time, contenders in turns, other rows in every call, the least of %d rounds\n", ROUNDS);
    print_left_out(directory);
    for (int i = 2; i < argc; i++) {
        if (strlen(argv[i]) != 1 || argv[i][0] < 'A' || argv[i][0] > 'C') {
            fprintf(stderr, "bench_trees: unknown shape '%s'; one of A B C\n", argv[i]);
            return 64;
        }
        bench_shape(directory, argv[i]);
    }
    for (unsigned i = 0; argc <= 2 && i < 3; i++) {
        bench_shape(directory, shapes[i]);
    }
    printf("\nbars: %u met, %u missed\n", bars_met, bars_missed);
    return 0;
}
