/* SPDX-License-Identifier: Apache-2.0 */
/* Radix sort, low digit first: linear, and the same whatever the order was. For the profile builder (millions of
 * doubles) and for the slot lists of small panes. */
#include "drift/profile_internal.h"

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

/* Order of doubles as unsigned: negative ones upside down, then all moved up. */
static uint64_t sort_key(uint64_t bits)
{
    return bits ^ ((uint64_t)((int64_t)bits >> 63) | UINT64_C(1) << 63);
}

static bool digit_pass(const uint64_t *from, uint64_t *to, uint64_t count, unsigned shift)
{
    uint64_t begin[DIGITS] = {0}, sum = 0;

    for (uint64_t i = 0; i < count; i++) {
        begin[sort_key(from[i]) >> shift & (DIGITS - 1)]++;
    }
    if (begin[sort_key(from[0]) >> shift & (DIGITS - 1)] == count) {
        return false; /* all the same: nothing to move */
    }
    for (unsigned d = 0; d < DIGITS; d++) {
        uint64_t n = begin[d];
        begin[d] = sum;
        sum += n;
    }
    for (uint64_t i = 0; i < count; i++) {
        to[begin[sort_key(from[i]) >> shift & (DIGITS - 1)]++] = from[i];
    }
    return true;
}

void mill__sort_doubles(double *values, double *scratch, uint64_t count)
{
    uint64_t *from = (uint64_t *)(void *)values, *to = (uint64_t *)(void *)scratch;

    for (unsigned shift = 0; shift < 64 && count > 1; shift += DIGIT_BITS) {
        if (digit_pass(from, to, count, shift)) {
            uint64_t *other = from;
            from = to;
            to = other;
        }
    }
    if (from != (uint64_t *)(void *)values) {
        memcpy(values, from, count * sizeof(*values));
    }
}

static void digit_pass_u32(const uint32_t *from, uint32_t *to, uint32_t count, unsigned shift)
{
    uint32_t begin[DIGITS] = {0}, sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        begin[from[i] >> shift & (DIGITS - 1)]++;
    }
    for (unsigned d = 0; d < DIGITS; d++) {
        uint32_t n = begin[d];
        begin[d] = sum;
        sum += n;
    }
    for (uint32_t i = 0; i < count; i++) {
        to[begin[from[i] >> shift & (DIGITS - 1)]++] = from[i];
    }
}

void mill__sort_u32(uint32_t *values, uint32_t *scratch, uint32_t count)
{
    digit_pass_u32(values, scratch, count, 0);
    digit_pass_u32(scratch, values, count, DIGIT_BITS);
    /* Slots are below 2^22 (MILL_PROFILE_BREAKS_MAX). */
}
