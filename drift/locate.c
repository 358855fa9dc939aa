/* SPDX-License-Identifier: Apache-2.0 */
/* Locators, and the kernels that need nothing of the CPU; see locate_internal.h. */
#include "drift/locate_internal.h"

#include <math.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

enum { ROOTS_MAX = 4096, LEVELS_MAX = 4, CROWD = 2 * MILL__LOCATE_WIDTH };

/* A locator in the making. */
struct making {
    struct mill__locator *locator;
    uint32_t root_count, root_capacity, cell_count, cell_capacity;
};

static int64_t key_at(const struct mill__locator *locator, uint32_t i)
{
    return mill__key_of(locator->breaks[i]);
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

static void reserve_cells(struct making *making, uint32_t extra)
{
    struct mill__locator *locator = making->locator;

    if (making->cell_count + extra > making->cell_capacity) {
        making->cell_capacity = 2 * (making->cell_count + extra);
        locator->starts = mill_realloc(locator->starts, making->cell_capacity * sizeof(*locator->starts));
        locator->inner = mill_realloc(locator->inner, making->cell_capacity * sizeof(*locator->inner));
    }
}

static uint32_t new_root(struct making *making)
{
    struct mill__locator *locator = making->locator;

    if (making->root_count == making->root_capacity) {
        making->root_capacity = 2 * making->root_capacity + 1;
        locator->roots = mill_realloc(locator->roots, making->root_capacity * sizeof(*locator->roots));
    }
    return making->root_count++;
}

/* The grid of a root over the break-points from begin to end, which lie in its part of the keys. The cell behind its
 * last one says where it ends. */
static void set_root(struct making *making, uint32_t root_index, uint32_t begin, uint32_t end)
{
    struct mill__locator *locator = making->locator;
    struct mill__locator_root root = {.cell_first = making->cell_count};
    uint64_t span = 0;

    if (begin < end) {
        root.key_first = key_at(locator, begin);
        span = (uint64_t)key_at(locator, end - 1) - (uint64_t)root.key_first;
        root.shift = shift_for(span, (uint64_t)(end - begin));
    }
    uint32_t cells = (uint32_t)(span >> root.shift) + 1, at = begin;
    reserve_cells(making, cells + 1);
    for (uint32_t c = 0; c <= cells; c++) {
        while (at < end && ((uint64_t)key_at(locator, at) - (uint64_t)root.key_first) >> root.shift < c) {
            at++;
        }
        locator->starts[making->cell_count + c] = at;
        locator->inner[making->cell_count + c] = 0;
    }
    making->cell_count += cells + 1;
    root.cell_last = making->cell_count - 2;
    locator->roots[root_index] = root;
}

/* Grids within the crowded cells of the roots made so far, then within theirs. */
static void divide_cells(struct making *making)
{
    struct mill__locator *locator = making->locator;

    for (uint32_t level = 1, r = 0; level < LEVELS_MAX; level++) {
        for (uint32_t end = making->root_count; r < end; r++) {
            for (uint32_t c = locator->roots[r].cell_first; c <= locator->roots[r].cell_last; c++) {
                uint32_t first = locator->starts[c], last = locator->starts[c + 1];
                if (last - first > CROWD) {
                    uint32_t root = new_root(making);
                    set_root(making, root, first, last);
                    locator->inner[c] = root;
                }
            }
        }
    }
}

static void copy_breaks(struct mill__locator *locator, const double *breaks, uint32_t break_count)
{
    locator->breaks = mill_malloc((break_count + (size_t)MILL__LOCATE_WIDTH) * sizeof(*locator->breaks));
    for (uint32_t i = 0; i < break_count + MILL__LOCATE_WIDTH; i++) {
        locator->breaks[i] = i < break_count ? breaks[i] : (double)NAN;
    }
    locator->key_first = break_count == 0 ? 0 : mill__key_of(breaks[0]);
    locator->key_last = break_count == 0 ? 0 : mill__key_of(breaks[break_count - 1]);
}

void mill__locator_init(struct mill__locator *locator, const double *breaks, uint32_t break_count)
{
    struct making making = {.locator = locator};
    uint32_t wanted = break_count < 2 ? 2 : break_count < ROOTS_MAX ? break_count : ROOTS_MAX, at = 0;

    *locator = (struct mill__locator){.break_count = break_count};
    copy_breaks(locator, breaks, break_count);
    uint64_t span = (uint64_t)locator->key_last - (uint64_t)locator->key_first;
    locator->shift = shift_for(span, wanted);
    making.root_capacity = (uint32_t)(span >> locator->shift) + 1;
    locator->roots = mill_malloc(making.root_capacity * sizeof(*locator->roots));
    for (uint32_t r = 0, end = making.root_capacity; r < end; r++) {
        uint32_t begin = at;
        while (at < break_count &&
               ((uint64_t)key_at(locator, at) - (uint64_t)locator->key_first) >> locator->shift == r) {
            at++;
        }
        set_root(&making, new_root(&making), begin, at);
    }
    locator->part_shift = shift_for(making.cell_count - 1, MILL__LOCATE_PARTS);
    divide_cells(&making);
}

void mill__locator_clear(struct mill__locator *locator)
{
    free(locator->breaks);
    free(locator->roots);
    free(locator->starts);
    free(locator->inner);
}

static uint32_t search(const struct mill__locator *locator, double x, uint32_t low, uint32_t high)
{
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

uint32_t mill__locate_slow(const struct mill__locator *locator, double x, uint32_t cell)
{
    int64_t key = mill__locate_key(locator, x);

    while (locator->inner[cell] != 0) {
        cell = mill__locate_in_root(&locator->roots[locator->inner[cell]], key);
    }
    return search(locator, x, locator->starts[cell], locator->starts[cell + 1]);
}

static void cells_portable(const struct mill__locator *locator, const double *values, uint32_t n, uint32_t *cells)
{
    for (uint32_t i = 0; i < n; i++) {
        cells[i] = mill__locate_cell(locator, mill__locate_key(locator, values[i]));
    }
}

static void slots_portable(const struct mill__locator *locator, const double *values, const uint32_t *cells, uint32_t n,
                           uint32_t *slots)
{
    uint32_t starts[MILL__BLOCK_ROWS];

    mill__locate_starts(locator, cells, n, starts);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t start = starts[i], less = 0, equal = 0;
        const double *at = &locator->breaks[start];
        double x = values[i];
        for (unsigned j = 0; j < MILL__LOCATE_WIDTH; j++) {
            less += at[j] < x;
            equal |= at[j] == x;
        }
        slots[i] = 2 * (start + less) + equal;
        if (__builtin_expect(less == MILL__LOCATE_WIDTH, 0)) {
            slots[i] = mill__locate_slow(locator, x, cells[i]);
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

static const struct mill__count_kernel portable = {"portable", always, cells_portable, slots_portable,
                                                   quantize_portable};

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
