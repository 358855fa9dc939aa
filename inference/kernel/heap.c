/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heap: complete trees walked on codes. A level is one addition, i = 2i + (code > rank): no child is read and nothing
 * branches, so a CPU overlaps a dozen trees (or sixteen rows of one tree) at once. The loops are written out for each
 * depth. One row adds up its leaves while the next trees are walked; many rows go through one tree after the other.
 */
#include <string.h>

#include "inference/kernel/rank_internal.h"

#define INLINE static inline __attribute__((always_inline))

enum { TREES = MILL__HEAP_TREES };

/* WALK(name, span, path, d): leaves that `span` paths (EIGHT or TWELVE of TREE or ROW) end in, d levels deep: of trees
 * that stand one behind the other, or of rows in one tree. */
#if defined(__x86_64__) && !defined(MILL__HEAP_PORTABLE)

/* What a step may read, as the compiler is told: no store into it may be moved behind a step. */
struct bytes {
    uint8_t at[1 << 16];
};

/* One level of one path: two bytes of the node at `at`, its code, and at = 2 * at + (rank < code). Both offsets are
 * constants. Compilers keep the comparison's result in a register and a pointer for each path, and run out of
 * registers; written out it is four instructions and twelve paths fit. */
#define STEP(at, tree_offset, codes_offset)                                                                            \
    do {                                                                                                               \
        uint64_t code;                                                                                                 \
        __asm__("movzbl %c[t](%[tree],%[i],2), %k[code]\n\t"                                                           \
                "movzbl %c[c](%[codes],%[code]), %k[code]\n\t"                                                         \
                "cmpb %b[code], %c[t]+1(%[tree],%[i],2)\n\t"                                                           \
                "adcq %[i], %[i]"                                                                                      \
                : [i] "+r"(at), [code] "=&r"(code)                                                                     \
                : [tree] "r"(tree), [codes] "r"(codes), [t] "i"(tree_offset), [c] "i"(codes_offset),                   \
                  "m"(*(const struct bytes *)(const void *)tree), "m"(*(const struct bytes *)(const void *)codes)      \
                : "cc");                                                                                               \
    } while (0)

/* A level of twelve trees that stand one behind the other, of eight rows and of twelve rows. */
#define TREE(k, d)        STEP(at##k, (k) * (2 << (d)), 0);
#define ROW(k, d)         STEP(at##k, 0, (k)*MILL__HOP_ROW_BYTES);
#define EIGHT(f, d)       f(0, d) f(1, d) f(2, d) f(3, d) f(4, d) f(5, d) f(6, d) f(7, d)
#define TWELVE(f, d)      EIGHT(f, d) f(8, d) f(9, d) f(10, d) f(11, d)
#define START(k, d)       uint64_t at##k = 1;
#define END(k, d)         leaf[k] = (uint32_t)at##k - (UINT32_C(1) << (d));
#define LEVELS_2(s, f, d) s(f, d) s(f, d)
#define LEVELS_3(s, f, d) LEVELS_2(s, f, d) s(f, d)
#define LEVELS_4(s, f, d) LEVELS_3(s, f, d) s(f, d)
#define LEVELS_5(s, f, d) LEVELS_4(s, f, d) s(f, d)
#define LEVELS_6(s, f, d) LEVELS_5(s, f, d) s(f, d)
#define LEVELS_7(s, f, d) LEVELS_6(s, f, d) s(f, d)
#define LEVELS_8(s, f, d) LEVELS_7(s, f, d) s(f, d)

#define WALK(name, span, path, d)                                                                                      \
    INLINE void name##_##d(const uint8_t *tree, const uint8_t *codes, uint32_t *leaf)                                  \
    {                                                                                                                  \
        span(START, d) LEVELS_##d(span, path, d) span(END, d)                                                          \
    }

#else

enum { EIGHT = 8, TWELVE = 12 };

static void walk_paths(uint32_t n, uint32_t depth, const uint8_t *tree, const uint8_t *codes, size_t tree_step,
                       size_t row_step, uint32_t *leaf)
{
    for (uint32_t k = 0; k < n; k++) {
        leaf[k] = 1;
    }
    for (uint32_t level = 0; level < depth; level++) {
        for (uint32_t k = 0; k < n; k++) {
            const uint8_t *node = tree + k * tree_step + 2 * (size_t)leaf[k];
            uint8_t code = codes[k * row_step + node[0]];
            leaf[k] = 2 * leaf[k] + (node[1] < code);
        }
    }
    for (uint32_t k = 0; k < n; k++) {
        leaf[k] -= UINT32_C(1) << depth;
    }
}

#define STEPS_TREE(d) (size_t)2 << (d), 0
#define STEPS_ROW(d)  0, MILL__HOP_ROW_BYTES
#define WALK(name, span, path, d)                                                                                      \
    INLINE void name##_##d(const uint8_t *tree, const uint8_t *codes, uint32_t *leaf)                                  \
    {                                                                                                                  \
        walk_paths(span, d, tree, codes, STEPS_##path(d), leaf);                                                       \
    }

#endif

typedef void (*walk_function)(const uint8_t *tree, const uint8_t *codes, uint32_t *leaf);

/* The sum of a row's leaves, tree by tree; each twelve are added while the next are walked. */
#define SUM_ROW(name, type)                                                                                            \
    INLINE type name(walk_function walk, uint32_t depth, const uint8_t *heap, const type *values, uint32_t tree_count, \
                     const uint8_t *codes, type sum)                                                                   \
    {                                                                                                                  \
        uint32_t leaf[TREES], left = tree_count;                                                                       \
        for (; left >= TREES; left -= TREES) {                                                                         \
            walk(heap, codes, leaf);                                                                                   \
            _Pragma("GCC unroll 12") for (uint32_t k = 0; k < TREES; k++)                                              \
            {                                                                                                          \
                sum += values[((size_t)k << depth) + leaf[k]];                                                         \
            }                                                                                                          \
            heap += (size_t)TREES * 2 << depth;                                                                        \
            values += (size_t)TREES << depth;                                                                          \
        }                                                                                                              \
        if (left > 0) {                                                                                                \
            walk(heap, codes, leaf);                                                                                   \
            for (uint32_t k = 0; k < left; k++) {                                                                      \
                sum += values[((size_t)k << depth) + leaf[k]];                                                         \
            }                                                                                                          \
        }                                                                                                              \
        return sum;                                                                                                    \
    }
SUM_ROW(sum_row32, float)
SUM_ROW(sum_row64, double)

/* Of a row with several outputs. */
INLINE void sum_outputs(walk_function walk, uint32_t depth, const struct mill__perfect *perfect,
                        const struct mill__forest *forest, const uint8_t *codes, double *margins)
{
    uint32_t leaf[TREES];
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        size_t begin = (size_t)t << depth;
        if (t % TREES == 0) {
            walk(perfect->heap + 2 * begin, codes, leaf);
        }
        double *margin = &margins[forest->trees.at[t].output];
        *margin = forest->sums_f64 ? *margin + perfect->values64[begin + leaf[t % TREES]]
                                   : (double)((float)*margin + perfect->values32[begin + leaf[t % TREES]]);
    }
}

/* Margins of one row whose codes are there. */
INLINE void run_row(walk_function walk, uint32_t depth, const struct mill__perfect *perfect,
                    const struct mill__forest *forest, const uint8_t *codes, double *margins)
{
    if (forest->margin_count > 1) {
        sum_outputs(walk, depth, perfect, forest, codes, margins);
    } else if (forest->sums_f64) {
        margins[0] = sum_row64(walk, depth, perfect->heap, perfect->values64, forest->trees.n, codes, margins[0]);
    } else {
        margins[0] =
            (double)sum_row32(walk, depth, perfect->heap, perfect->values32, forest->trees.n, codes, (float)margins[0]);
    }
}

/* Adds the leaves of n rows in one tree to their sums, output by output. */
INLINE void add_leaves(const struct mill__perfect *perfect, bool wide, size_t begin, const uint32_t *leaf, uint32_t n,
                       float *sums32, double *sums64)
{
#pragma GCC unroll 12
    for (uint32_t k = 0; k < n; k++) {
        if (wide) {
            sums64[k] += perfect->values64[begin + leaf[k]];
        } else {
            sums32[k] += perfect->values32[begin + leaf[k]];
        }
    }
}

/* Sums of n rows, a multiple of 4 from 8 on, whose codes are there: output k of row r at k * 64 + r. */
INLINE void run_tile(walk_function walk8, walk_function walk12, uint32_t depth, const struct mill__perfect *perfect,
                     const struct mill__forest *forest, const uint8_t *codes, uint32_t n, float *sums32, double *sums64)
{
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        const uint8_t *tree = perfect->heap + ((size_t)t * 2 << depth);
        size_t begin = (size_t)t << depth, to = (size_t)forest->trees.at[t].output * MILL__TILE_ROWS;
        uint32_t leaf[12];
        for (uint32_t r = 0; r < n;) {
            uint32_t count = (n - r) % 8 == 0 && n - r < 24 ? 8 : 12;
            if (count == 8) {
                walk8(tree, codes + (size_t)r * MILL__HOP_ROW_BYTES, leaf);
                add_leaves(perfect, forest->sums_f64, begin, leaf, 8, sums32 + to + r, sums64 + to + r);
            } else {
                walk12(tree, codes + (size_t)r * MILL__HOP_ROW_BYTES, leaf);
                add_leaves(perfect, forest->sums_f64, begin, leaf, 12, sums32 + to + r, sums64 + to + r);
            }
            r += count;
        }
    }
}

#define DEPTH(d)                                                                                                       \
    WALK(trees, TWELVE, TREE, d)                                                                                       \
    WALK(eight, EIGHT, ROW, d)                                                                                         \
    WALK(twelve, TWELVE, ROW, d)                                                                                       \
    static __attribute__((noinline)) void row_##d(                                                                     \
        const struct mill__perfect *perfect, const struct mill__forest *forest, const uint8_t *codes, double *margins) \
    {                                                                                                                  \
        run_row(trees_##d, d, perfect, forest, codes, margins);                                                        \
    }                                                                                                                  \
    static __attribute__((noinline)) void tile_##d(const struct mill__perfect *perfect,                                \
                                                   const struct mill__forest *forest, const uint8_t *codes,            \
                                                   uint32_t n, float *sums32, double *sums64)                          \
    {                                                                                                                  \
        run_tile(eight_##d, twelve_##d, d, perfect, forest, codes, n, sums32, sums64);                                 \
    }
DEPTH(2)
DEPTH(3)
DEPTH(4)
DEPTH(5)
DEPTH(6)
DEPTH(7)
DEPTH(8)

static void (*const rows[])(const struct mill__perfect *, const struct mill__forest *, const uint8_t *,
                            double *) = {NULL, NULL, row_2, row_3, row_4, row_5, row_6, row_7, row_8};
static void (*const tiles[])(const struct mill__perfect *, const struct mill__forest *, const uint8_t *, uint32_t,
                             float *, double *) = {NULL, NULL, tile_2, tile_3, tile_4, tile_5, tile_6, tile_7, tile_8};

void mill__heap_rows(const struct mill__tables *tables, const struct mill__forest *forest,
                     const struct mill__coder *coder, const void *values, size_t stride, uint32_t n, double *margins,
                     void *scratch)
{
    const struct mill__ranks *ranks = tables->ranks;
    const struct mill__perfect *perfect = &ranks->perfect;
    struct mill__code_rows at = mill__code_rows(tables, forest, coder, values, stride, n, margins, scratch);
    uint32_t tiled = n < 8 ? 0 : n / 4 * 4;
    if (tiled > 0) {
        tiles[perfect->depth](perfect, forest, at.codes, tiled, at.sums32, at.sums64);
        mill__deliver_sums(forest, tiled, at.sums32, at.sums64, margins);
    }
    for (uint32_t r = tiled; r < n; r++) {
        rows[perfect->depth](perfect, forest, at.codes + (size_t)r * MILL__HOP_ROW_BYTES,
                             margins + (size_t)r * forest->margin_count);
    }
}
