/* SPDX-License-Identifier: Apache-2.0 */
/* Locators and moments: every kernel of this CPU against a linear search and exact sums, on values that are hard on
 * tables. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "drift/locate_internal.h"
#include "tests/drift/drift_fixture.h"

enum { BREAKS_MAX = 3000 };

static double hard_number(unsigned kind)
{
    double x;

    do {
        x = random_hard(kind) + 0.0;
    } while (isnan(x));
    return x;
}

/* Clusters within clusters: what grids within grids are for. */
static double nested_number(void)
{
    double x = 0.0;

    for (double width = 1e9; random_below(8) != 0 && width > 1e-12; width *= 1e-3) {
        x += width * random_below(3);
    }
    return x;
}

static uint32_t make_breaks(double *breaks, unsigned kind)
{
    uint32_t wanted = random_below(4) == 0 ? random_below(5) : random_below(BREAKS_MAX), count = 0;
    double *scratch = mill_malloc(BREAKS_MAX * sizeof(*scratch));

    for (uint32_t i = 0; i < wanted; i++) {
        breaks[i] = kind == HARD_KINDS ? nested_number() : hard_number(kind);
    }
    mill__sort_doubles(breaks, scratch, wanted);
    for (uint32_t i = 0; i < wanted; i++) {
        if (count == 0 || breaks[count - 1] != breaks[i]) {
            breaks[count++] = breaks[i];
        }
    }
    free(scratch);
    return count;
}

static uint32_t naive_slot(const double *breaks, uint32_t count, double x)
{
    uint32_t i = 0;

    while (i < count && breaks[i] < x) {
        i++;
    }
    return 2 * i + (i < count && breaks[i] == x);
}

static double make_value(const double *breaks, uint32_t count, unsigned kind)
{
    double at = count == 0 ? 0.0 : breaks[random_below(count)];

    switch (random_below(6)) {
    case 0:
        return at;
    case 1:
        return nextafter(at, (double)INFINITY) + 0.0;
    case 2:
        return nextafter(at, -(double)INFINITY) + 0.0;
    case 3:
        return hard_number(random_below(HARD_KINDS));
    default:
        return kind == HARD_KINDS ? nested_number() : hard_number(kind);
    }
}

static void check_kernel(const struct mill__count_kernel *kernel, const struct mill__locator *locator,
                         const double *breaks, uint32_t count, unsigned kind)
{
    double values[MILL__BLOCK_ROWS];
    uint32_t slots[MILL__BLOCK_ROWS], n = random_below(MILL__BLOCK_ROWS + 1);

    for (uint32_t i = 0; i < n; i++) {
        values[i] = make_value(breaks, count, kind);
    }
    mill__locate(kernel, locator, values, n, slots);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(slots[i], naive_slot(breaks, count, values[i]));
    }
}

static void test_slots(void **state)
{
    double *breaks = mill_malloc(BREAKS_MAX * sizeof(*breaks));

    (void)state;
    random_seed("slots");
    for (unsigned round = 0; round < 200; round++) {
        unsigned kind = round % (HARD_KINDS + 1);
        uint32_t count = make_breaks(breaks, kind);
        struct mill__locator locator;
        mill__locator_init(&locator, breaks, count);
        for (uint32_t k = 0; k < mill__count_kernel_count; k++) {
            if (mill__count_kernels[k]->supported()) {
                check_kernel(mill__count_kernels[k], &locator, breaks, count, kind);
            }
        }
        mill__locator_clear(&locator);
    }
    free(breaks);
}

static void test_moments(void **state)
{
    double values[MILL__BLOCK_ROWS];

    (void)state;
    random_seed("moments");
    for (unsigned round = 0; round < 500; round++) {
        struct mill_profile_feature feature = {
            .center = random_normal() * (round % 3 == 0 ? 1e300 : 1.0),
            .scale = ldexp(1.0, (int)random_below(2 * MILL__SCALE_MAX + 1) - MILL__SCALE_MAX)};
        feature.scale = round % 2 == 0 ? 1.0 : feature.scale;
        mill__i128 sum = 0, square = 0;
        uint32_t n = random_below(MILL__BLOCK_ROWS + 1);
        for (uint32_t i = 0; i < n; i++) {
            values[i] = hard_number(round);
            double y = (values[i] - feature.center) / feature.scale;
            int64_t q = llrint((y < -0x1p20 ? -0x1p20 : y > 0x1p20 ? 0x1p20 : y) * 0x1p40);
            sum += q;
            square += (mill__i128)(q >> 20) * (q >> 20);
        }
        for (uint32_t k = 0; k < mill__count_kernel_count; k++) {
            struct mill_drift_moments moments = {{0, 0}, {0, 0}};
            if (mill__count_kernels[k]->supported()) {
                mill__moments_add(mill__count_kernels[k], &feature, values, n, &moments);
                assert_memory_equal(moments.sum, &sum, sizeof(sum));
                assert_memory_equal(moments.square, &square, sizeof(square));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_slots), cmocka_unit_test(test_moments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
