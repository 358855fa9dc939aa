/* SPDX-License-Identifier: Apache-2.0 */
/* What number_parse.c and number_print.c share: 128-bit powers of ten. */
#ifndef MILL_BASE_NUMBER_INTERNAL_H
#define MILL_BASE_NUMBER_INTERNAL_H

#include <stdint.h>

enum { MILL__POW10_FIRST = -342, MILL__POW10_LAST = 324 };

/* Entry q - MILL__POW10_FIRST is floor(10^q * 2^s), s such that its top bit is set. Each algorithm needs
 * its own rounding of it, which differs by at most 1 in the last place: 10^q times a power of two is a
 * 128-bit integer for 0 <= q <= 55 and an upper half alone (low 0) for 0 <= q <= 27, and no `low` is all
 * ones, so adding 1 never carries (the script that writes the table checks both). */
struct mill__pow10 {
    uint64_t high, low;
};
extern const struct mill__pow10 mill__pow10_table[MILL__POW10_LAST - MILL__POW10_FIRST + 1];

__extension__ typedef unsigned __int128 mill__u128;

#endif
