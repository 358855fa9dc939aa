/* SPDX-License-Identifier: Apache-2.0 */
/* Locators, and the kernels that need nothing of the CPU; see locate_internal.h. */
#include "drift/locate_internal.h"

#include <math.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

enum { ROOTS_MAX = 4096 };

static uint32_t root_of(const struct mill__locator *locator, double x)
{
    return (uint32_t)(((uint64_t)mill__key_of(x) - (uint64_t)locator->key_first) >> locator->shift);
}

/* The smallest shift that leaves less than count. */
static uint32_t shift_for(uint64_t span, uint64_t count)
{
    uint32_t shift = 0;

    while (shift < 63 && span >> shift >= count) {
        shift++;
    }
    return shift;
}

static void set_root(struct mill__locator *locator, struct mill__locator_root *root, uint32_t begin, uint32_t end,
                     uint32_t *cell_count)
{
    *root = (struct mill__locator_root){.cell_first = *cell_count, .cell_last = *cell_count};
    if (begin == end) {
        locator->starts[(*cell_count)++] = begin;
        return;
    }
    root->key_first = mill__key_of(locator->breaks[begin]);
    uint64_t span = (uint64_t)mill__key_of(locator->breaks[end - 1]) - (uint64_t)root->key_first;
    root->shift = shift_for(span, 2 * (uint64_t)(end - begin));
    uint32_t cells = (uint32_t)(span >> root->shift) + 1, at = begin;
    for (uint32_t c = 0; c < cells; c++) {
        while (at < end &&
               ((uint64_t)mill__key_of(locator->breaks[at]) - (uint64_t)root->key_first) >> root->shift < c) {
            at++;
        }
        locator->starts[*cell_count + c] = at;
    }
    *cell_count += cells;
    root->cell_last = *cell_count - 1;
}

void mill__locator_init(struct mill__locator *locator, const double *breaks, uint32_t break_count,
                        struct mill_arena *arena)
{
    *locator = (struct mill__locator){.break_count = break_count};
    locator->breaks = mill_arena_array(arena, double, break_count + (size_t)MILL__LOCATE_WIDTH);
    for (uint32_t i = 0; i < break_count + MILL__LOCATE_WIDTH; i++) {
        locator->breaks[i] = i < break_count ? breaks[i] : (double)NAN;
    }
    locator->key_first = break_count == 0 ? 0 : mill__key_of(breaks[0]);
    locator->key_last = break_count == 0 ? 0 : mill__key_of(breaks[break_count - 1]);
    uint64_t span = (uint64_t)locator->key_last - (uint64_t)locator->key_first;
    uint32_t wanted = break_count < ROOTS_MAX ? break_count : ROOTS_MAX;
    locator->shift = shift_for(span, wanted < 2 ? 2 : wanted);
    uint32_t roots = (uint32_t)(span >> locator->shift) + 1, at = 0, cells = 0;
    locator->roots = mill_arena_array(arena, struct mill__locator_root, roots);
    locator->starts = mill_arena_array(arena, uint32_t, 2 * (size_t)break_count + roots + 1);
    for (uint32_t r = 0; r < roots; r++) {
        uint32_t begin = at;
        while (at < break_count && root_of(locator, breaks[at]) == r) {
            at++;
        }
        set_root(locator, &locator->roots[r], begin, at, &cells);
    }
    locator->starts[cells] = break_count;
}

uint32_t mill__locate_slow(const struct mill__locator *locator, double x, uint32_t low, uint32_t cell)
{
    uint32_t high = locator->starts[cell + 1];

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (locator->breaks[middle] < x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return 2 * low + (locator->breaks[low] == x);
}

static void locate_portable(const struct mill__locator *locator, const double *values, uint32_t n, uint32_t *slots)
{
    uint32_t cells[MILL__BLOCK_ROWS];

    for (uint32_t i = 0; i < n; i++) {
        cells[i] = mill__locate_cell(locator, mill__locate_key(locator, values[i]));
        __builtin_prefetch(&locator->breaks[locator->starts[cells[i]]]);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t start = locator->starts[cells[i]], less = 0, equal = 0;
        const double *at = &locator->breaks[start];
        double x = values[i];
        for (unsigned j = 0; j < MILL__LOCATE_WIDTH; j++) {
            less += at[j] < x;
            equal |= at[j] == x;
        }
        slots[i] = 2 * (start + less) + equal;
        if (__builtin_expect(less == MILL__LOCATE_WIDTH, 0)) {
            slots[i] = mill__locate_slow(locator, x, start + less, cells[i]);
        }
    }
}

static const double q_max = 1152921504606846976.0; /* 2^60: |y| 2^20 */

static uint64_t quantize_portable(double center, double factor, const double *values, uint32_t n, int64_t *q)
{
    uint64_t magnitude = 0;

    for (uint32_t i = 0; i < n; i++) {
        double y = (values[i] - center) * factor;
        y = y < -q_max ? -q_max : y;
        y = y > q_max ? q_max : y;
#ifdef __SSE2__
        q[i] = _mm_cvtsd_si64(_mm_set_sd(y)); /* as llrint, without the call */
#else
        q[i] = llrint(y);
#endif
        magnitude |= (uint64_t)(q[i] ^ (q[i] >> 63));
    }
    return magnitude;
}

static bool always(void)
{
    return true;
}

static const struct mill__count_kernel portable = {"portable", always, locate_portable, quantize_portable};

#ifdef __x86_64__
extern const struct mill__count_kernel mill__count_avx2, mill__count_avx512;
const struct mill__count_kernel *const mill__count_kernels[] = {&mill__count_avx512, &mill__count_avx2, &portable};
#else
const struct mill__count_kernel *const mill__count_kernels[] = {&portable};
#endif
const uint32_t mill__count_kernel_count = sizeof(mill__count_kernels) / sizeof(mill__count_kernels[0]);

const struct mill__count_kernel *mill__count_kernel_best(void)
{
    uint32_t k = 0;

    while (!mill__count_kernels[k]->supported()) {
        k++;
    }
    return mill__count_kernels[k];
}

void mill__moments_add(const struct mill__count_kernel *kernel, const struct mill_profile_feature *feature,
                       const double *values, uint32_t n, struct mill_drift_moments *moments)
{
    int64_t q[MILL__BLOCK_ROWS], sum = 0, square = 0;
    uint64_t magnitude = kernel->quantize(feature->center, 0x1p40 / feature->scale, values, n, q);
    mill__i128 wide_sum = 0, wide_square = 0;

    if (magnitude < UINT64_C(1) << 45) { /* 2^45 * 2^10 rows, and (2^25)^2 * 2^10, fit 64 bits */
        for (uint32_t i = 0; i < n; i++) {
            sum += q[i];
            int32_t high = (int32_t)(q[i] >> 20);
            square += (int64_t)high * high;
        }
        wide_sum = sum;
        wide_square = square;
    } else {
        for (uint32_t i = 0; i < n; i++) {
            wide_sum += q[i];
            wide_square += (mill__i128)(q[i] >> 20) * (q[i] >> 20);
        }
    }
    mill__wide_set(moments->sum, mill__wide_of(moments->sum) + wide_sum);
    mill__wide_set(moments->square, mill__wide_of(moments->square) + wide_square);
}
