/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Complete trees for AVX-512 with VBMI: one row through 64 trees at once. Every node is evaluated and chooses between
 * what its children chose, children before parents (perfect_build.c). Adding up leaves in tree order is a chain of
 * additions that wait for one another, so those of one group are added in between the nodes of the next.
 */
#include "inference/kernel/rank_internal.h"
#include "inference/kernel/vbmi_internal.h"

#if defined(__x86_64__)

/* Where the evaluation of a group has come to. */
struct cursor {
    const uint8_t *slot;
    __m512i leaf; /* the number of the next leaf, counted from the left, in every lane */
    __m512i one;
    struct table q;
};

TARGET INLINE __mmask64 goes_right(struct cursor *c, bool two)
{
    const uint8_t *at = c->slot;
    c->slot = at + 128;
    return _mm512_cmpgt_epu8_mask(fetch(c->q, _mm512_load_si512(at), two), _mm512_load_si512(at + 64));
}

TARGET INLINE __m512i choose1(struct cursor *c, bool two)
{
    __m512i left = c->leaf, right = _mm512_add_epi8(left, c->one);
    c->leaf = _mm512_add_epi8(right, c->one);
    return _mm512_mask_mov_epi8(left, goes_right(c, two), right);
}

#define CHOOSE(depth, below)                                                                                           \
    TARGET INLINE __m512i choose##depth(struct cursor *c, bool two)                                                    \
    {                                                                                                                  \
        __m512i l = choose##below(c, two);                                                                             \
        __m512i r = choose##below(c, two);                                                                             \
        return _mm512_mask_mov_epi8(l, goes_right(c, two), r);                                                         \
    }
CHOOSE(2, 1)
CHOOSE(3, 2)
CHOOSE(4, 3)

/* Leaves of a group that are still to be added to the margin of a row with one output. */
struct adder {
    const uint8_t *leaf;
    const float *values32;
    const double *values64;
    uint32_t left, depth;
    float sum32;
    double sum64;
};

TARGET INLINE void add_some(struct adder *a, uint32_t n, bool wide)
{
    n = n < a->left ? n : a->left;
    if (n == 0) {
        return; /* before the first group there are no leaves to point at */
    }
    for (uint32_t k = 0; k < n; k++) {
        if (wide) {
            a->sum64 += a->values64[((size_t)k << a->depth) + a->leaf[k]];
        } else {
            a->sum32 += a->values32[((size_t)k << a->depth) + a->leaf[k]];
        }
    }
    a->left -= n;
    a->leaf += n;
    if (wide) {
        a->values64 += (size_t)n << a->depth;
    } else {
        a->values32 += (size_t)n << a->depth;
    }
}

/* The leaves of a group, in subtrees of four levels; between them the leaves of the group before are added. */
TARGET INLINE __m512i choose(struct cursor *c, uint32_t depth, bool two, struct adder *a, bool wide)
{
    __m512i pending[5];
    uint32_t held = 0;
    if (depth < 4) {
        add_some(a, MILL__SCAN_LANES, wide);
        return depth == 3 ? choose3(c, two) : choose2(c, two);
    }
    for (uint32_t i = 0; i < UINT32_C(1) << (depth - 4); i++) {
        __m512i value = choose4(c, two);
        add_some(a, MILL__SCAN_LANES >> (depth - 4), wide);
        for (uint32_t done = i; done & 1; done >>= 1) {
            value = _mm512_mask_mov_epi8(pending[--held], goes_right(c, two), value);
        }
        pending[held++] = value;
    }
    return pending[0];
}

/* Leaves of all trees; where adds, to the margin as well. */
TARGET INLINE void choose_all(const struct mill__perfect *perfect, const struct mill__forest *forest,
                              const uint8_t *codes, bool two, bool adds, bool wide, uint8_t *leaf, double *margin)
{
    uint32_t depth = perfect->depth;
    struct adder a = {.values32 = perfect->values32,
                      .values64 = perfect->values64,
                      .depth = depth,
                      .sum32 = (float)*margin,
                      .sum64 = *margin};
    struct cursor c = {.slot = perfect->slots, .one = _mm512_set1_epi8(1), .q = load_table(codes, two)};
    for (uint32_t t = 0; t < forest->trees.n; t += MILL__SCAN_LANES) {
        c.leaf = _mm512_setzero_si512();
        c.slot = perfect->slots + (size_t)t * 2 * (UINT32_C(1) << depth);
        _mm512_store_si512(leaf + t, choose(&c, depth, two, &a, wide));
        a.leaf = leaf + t;
        a.left = !adds ? 0 : forest->trees.n - t < MILL__SCAN_LANES ? forest->trees.n - t : MILL__SCAN_LANES;
    }
    if (adds) {
        add_some(&a, MILL__SCAN_LANES, wide);
        *margin = wide ? a.sum64 : (double)a.sum32;
    }
}

#define VARIANT(name, two, adds, wide)                                                                                 \
    TARGET static __attribute__((noinline)) void name(const struct mill__perfect *perfect,                             \
                                                      const struct mill__forest *forest, const uint8_t *codes,         \
                                                      uint8_t *leaf, double *margin)                                   \
    {                                                                                                                  \
        choose_all(perfect, forest, codes, two, adds, wide, leaf, margin);                                             \
    }
VARIANT(few_floats, false, true, false)
VARIANT(few_doubles, false, true, true)
VARIANT(few_leaves, false, false, false)
VARIANT(many_floats, true, true, false)
VARIANT(many_doubles, true, true, true)
VARIANT(many_leaves, true, false, false)

TARGET static void run(const struct mill__tables *tables, const struct mill__forest *forest, const void *values,
                       size_t stride, uint32_t n, double *margins, void *scratch)
{
    static void (*const variants[2][3])(const struct mill__perfect *, const struct mill__forest *, const uint8_t *,
                                        uint8_t *, double *) = {{few_floats, few_doubles, few_leaves},
                                                                {many_floats, many_doubles, many_leaves}};
    const struct mill__ranks *ranks = tables->ranks;
    uint8_t *codes = scratch, *leaf = codes + (ranks->column_count + 128 + 63) / 64 * 64;
    size_t row_bytes = stride * (forest->cells_f64 ? sizeof(double) : sizeof(float));
    bool single = forest->margin_count == 1;
    mill__start_margins(forest, n, margins);
    for (uint32_t r = 0; r < n; r++) {
        double *margin = margins + (size_t)r * forest->margin_count;
        mill__coder_avx512.row(ranks, forest, (const char *)values + r * row_bytes, codes);
        variants[ranks->bump_bit == 7][single ? forest->sums_f64 : 2](&ranks->perfect, forest, codes, leaf, margin);
        if (!single) {
            mill__perfect_sum(tables, forest, leaf, margin);
        }
    }
}
#else
#define run NULL
#endif

static bool fits(const struct mill__tables *tables, const struct mill__forest *forest)
{
    return forest->trees.n > 0 && tables->ranks->perfect.slots != NULL;
}

const struct mill__kernel mill__kernel_perfect_vbmi = {"perfect-vbmi", "avx512vbmi", mill__has_avx512vbmi,
                                                       fits,           run,          false};
