/* SPDX-License-Identifier: Apache-2.0 */
/* Random input of the tests of base: one generator (splitmix64), seeded by MILL_TEST_SEED or the clock, the
 * seed printed so that a failure can be had again. */
#ifndef TESTS_BASE_RANDOM_H
#define TESTS_BASE_RANDOM_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

static uint64_t random_state;

static inline void random_seed(const char *test)
{
    const char *given = getenv("MILL_TEST_SEED");
    random_state = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)mill_clock_wall_us();
    printf("%s: MILL_TEST_SEED=%" PRIu64 "\n", test, random_state);
}

static inline uint64_t random_u64(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 to n - 1 */
static inline uint32_t random_below(uint32_t n)
{
    return (uint32_t)(random_u64() % n);
}

#endif
