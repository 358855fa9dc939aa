/* SPDX-License-Identifier: Apache-2.0 */
/* Values to codes in portable C: a binary search whose steps depend on the number of thresholds alone. Also what all
 * coders share. */
#include <math.h>
#include <string.h>

#include "inference/kernel/rank_internal.h"

#define TARGET

/* Sorted thresholds stand behind the pivots. */
#define SEARCH(name, type)                                                                                             \
    static inline uint32_t name(const type *thresholds, uint32_t n, type x)                                            \
    {                                                                                                                  \
        const type *t = thresholds + MILL__RANK_BLOCK;                                                                 \
        uint32_t below = 0;                                                                                            \
        while (n > 1) {                                                                                                \
            uint32_t half = n / 2;                                                                                     \
            below += half & -(uint32_t)(t[below + half - 1] < x);                                                      \
            n -= half;                                                                                                 \
        }                                                                                                              \
        below += n > 0 && t[below] < x;                                                                                \
        return isnan(x) ? MILL__RANK_MISSING : below;                                                                  \
    }
SEARCH(search32, float)
SEARCH(search64, double)

#include "inference/kernel/rank_codes.inc"

const struct mill__coder mill__coder_portable = {codes_of_row, codes_of_tile};

void mill__codes_bump(const uint8_t *codes, uint8_t *bumped, size_t n)
{
    typedef uint8_t bytes __attribute__((vector_size(16)));
    for (size_t i = 0; i < n; i += sizeof(bytes)) {
        bytes v;
        memcpy(&v, codes + i, sizeof(v));
        v += 1;
        memcpy(bumped + i, &v, sizeof(v));
    }
}
