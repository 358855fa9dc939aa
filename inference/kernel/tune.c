/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tuner: which kernel for how many rows. At load the kernels that fit run over a tile of rows made of the model's own
 * thresholds; the fastest wins, for one row and for each larger number by what its time grows with.
 *
 * Steady: time is the thread's own, so that other programs on the machine do not decide; the kernels take turns and the
 * least of their rounds counts; those that are far behind after the first are not measured again. Bounded: a few
 * milliseconds; of a model so large that not all can be timed in them, the most specialised ones are, and the plain
 * walk only where nothing else could.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "inference/kernel/rank_internal.h"
#include "inference/model_internal.h"

enum { ROUNDS = 12, BUDGET_NS = 5000000, SINGLES = 8 };

const struct mill__kernel *const mill__kernels[] = {
    &mill__kernel_walk,         &mill__kernel_heap,         &mill__kernel_hop,           &mill__kernel_heap_avx2,
    &mill__kernel_hop_avx2,     &mill__kernel_scan_avx2,    &mill__kernel_block_avx2,    &mill__kernel_heap_avx512,
    &mill__kernel_hop_avx512,   &mill__kernel_block_avx512, &mill__kernel_gather_avx512, &mill__kernel_scan_vbmi,
    &mill__kernel_perfect_vbmi,
};

static const char *const levels[] = {"portable", "avx2", "avx512bw", "avx512vbmi"};
enum { LEVELS = sizeof(levels) / sizeof(levels[0]) };

static unsigned level_of(const char *name)
{
    unsigned i = 0;
    while (i < LEVELS && strcmp(levels[i], name) != 0) {
        i++;
    }
    return i;
}

/* What MILL_KERNEL allows: a level and those below it ("avx512" is all), or one kernel and the portable one. */
static int allow(bool *allowed, struct mill_error *err)
{
    const char *wish = getenv("MILL_KERNEL");
    if (wish == NULL || wish[0] == 0 || strcmp(wish, "auto") == 0 || strcmp(wish, "avx512") == 0) {
        memset(allowed, 1, MILL__KERNELS * sizeof(*allowed));
        return 0;
    }
    unsigned level = level_of(wish);
    bool known = level < LEVELS;
    for (unsigned k = 0; k < MILL__KERNELS; k++) {
        bool named = strcmp(mill__kernels[k]->name, wish) == 0;
        allowed[k] = k == 0 || named || (level < LEVELS && level_of(mill__kernels[k]->level) <= level);
        known |= named;
    }
    return known ? 0
                 : mill_fail(err, MILL_ECONFIG,
                             "MILL_KERNEL is '%s', expected portable, avx2, avx512bw, avx512vbmi, avx512 or a kernel's "
                             "name",
                             wish);
}

/* A tile of values from the thresholds that nodes test, a little moved, every 17th missing. */
static void *make_values(const struct mill__tables *tables, const struct mill__forest *forest)
{
    size_t n = (size_t)MILL__TILE_ROWS * tables->used_count;
    double *values = mill_calloc(n + 8, sizeof(*values));
    float *narrow = (float *)(void *)values;
    uint32_t seed = 1;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        double x = 0;
        if (forest->nodes.n > 0) {
            /* Nodes of any feature: what matters is that paths differ from row to row. */
            const struct mill__node *node = &forest->nodes.at[(seed >> 4) % forest->nodes.n];
            x = node->flags & MILL__SET ? (double)(seed >> 8 & 15) : node->test.threshold;
        }
        x = seed % 17 == 0 ? (double)NAN : x;
        if (forest->cells_f64) {
            values[i] = x;
        } else {
            narrow[i] = (float)x;
        }
    }
    return values;
}

static int64_t thread_ns(void)
{
    struct timespec t;
    mill_assert(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct trial {
    const struct mill__tables *tables;
    const struct mill__forest *forest;
    const void *values;
    double *margins;
    void *scratch;
};

/* `calls` calls of n rows each: nanoseconds of a call. */
static float time_calls(const struct trial *t, unsigned kernel, uint32_t calls, uint32_t n)
{
    size_t row_bytes = t->tables->used_count * (t->forest->cells_f64 ? sizeof(double) : sizeof(float));
    int64_t start = thread_ns();
    for (uint32_t c = 0; c < calls; c++) {
        mill__kernels[kernel]->run(t->tables, t->forest, (const char *)t->values + c * n * row_bytes,
                                   t->tables->used_count, n, t->margins, t->scratch);
    }
    return (float)(thread_ns() - start) / (float)calls;
}

static void keep_least(float *least, float ns)
{
    *least = *least == 0 || ns < *least ? ns : *least;
}

/* Twice each: one that was interrupted must not put a good kernel out. */
static void time_kernel(struct mill__tables *tables, const struct trial *t, unsigned k)
{
    bool by_block = mill__kernels[k]->by_block;
    uint32_t rows = by_block ? MILL__TILE_ROWS : MILL__TILE_ROWS / 2;
    for (int i = 0; i < 2; i++) {
        float tile = time_calls(t, k, 1, rows);
        keep_least(&tables->row_ns[k], tile / (float)rows);
        keep_least(&tables->single_ns[k], by_block ? tile : time_calls(t, k, SINGLES, 1));
    }
}

/* Kernels that take more than half as long again as the best, both alone and in a tile, are out. */
static void drop_slow(const struct mill__tables *tables, bool *running)
{
    float row = INFINITY, single = INFINITY;
    for (unsigned k = 0; k < MILL__KERNELS; k++) {
        if (running[k]) {
            row = fminf(row, tables->row_ns[k]);
            single = fminf(single, tables->single_ns[k]);
        }
    }
    for (unsigned k = 0; k < MILL__KERNELS; k++) {
        running[k] = running[k] && (tables->row_ns[k] <= 1.5F * row || tables->single_ns[k] <= 1.5F * single);
    }
}

/* In rounds; the table of kernels goes from general to special, so from its end on. usable[] loses those that were
 * never timed. */
static void measure(struct mill__tables *tables, const struct trial *t, bool *usable)
{
    bool running[MILL__KERNELS];
    int64_t end = thread_ns() + BUDGET_NS;
    memcpy(running, usable, sizeof(running));
    for (int round = 0; round < ROUNDS && thread_ns() < end; round++) {
        for (unsigned k = MILL__KERNELS; k-- > 0;) {
            if (running[k] && (thread_ns() < end || round > 0)) {
                time_kernel(tables, t, k);
            }
            usable[k] = usable[k] && tables->row_ns[k] > 0;
            running[k] = running[k] && usable[k];
        }
        drop_slow(tables, running);
    }
}

/* A more special kernel must be worth it: of two that are equally fast it is always the same one. */
static void choose(struct mill__tables *tables, const bool *usable)
{
    for (uint32_t n = 1; n <= MILL__TILE_ROWS; n++) {
        float best = INFINITY;
        for (unsigned k = 0; k < MILL__KERNELS; k++) {
            if (!usable[k]) {
                continue;
            }
            float full = tables->row_ns[k] * MILL__TILE_ROWS;
            float cost =
                mill__kernels[k]->by_block ? full : (float)n * (n < 8 ? tables->single_ns[k] : tables->row_ns[k]);
            if (cost < 0.97F * best) {
                best = cost;
                tables->choice[n] = (uint8_t)k;
            }
        }
    }
}

static size_t scratch_size(const struct mill__tables *tables, const struct mill__forest *forest)
{
    size_t walk = mill__walk_scratch(tables, forest) + (size_t)forest->margin_count * MILL__TILE_ROWS * sizeof(float);
    size_t rank = mill__rank_scratch(tables, forest);
    return (walk > rank ? walk : rank) + 256;
}

int mill__tune(struct mill__tables *tables, const struct mill__forest *forest, struct mill_error *err)
{
    bool usable[MILL__KERNELS];
    MILL_TRY(allow(usable, err));
    tables->scratch = scratch_size(tables, forest);
    unsigned count = 0, last = 0;
    for (unsigned k = 0; k < MILL__KERNELS; k++) {
        usable[k] = usable[k] && mill__kernels[k]->supported() && mill__kernels[k]->fits(tables, forest);
        count += usable[k];
        last = usable[k] ? k : last;
    }
    const char *wish = getenv("MILL_KERNEL");
    bool forced = wish != NULL && strcmp(mill__kernels[last]->name, wish) == 0;
    if (count <= 1 || forced) {
        memset(tables->choice, (int)last, sizeof(tables->choice));
        return 0;
    }
    void *values = make_values(tables, forest), *scratch = mill__scratch(tables->scratch);
    double *margins = mill_malloc((size_t)MILL__TILE_ROWS * forest->margin_count * sizeof(*margins));
    struct trial trial = {tables, forest, values, margins, scratch};
    measure(tables, &trial, usable);
    choose(tables, usable);
    free(margins);
    free(values);
    return 0;
}
