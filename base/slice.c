/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 validation; see slice.h. Called for every string that comes in, so runs of ASCII go 16 bytes
 * at a time. */
#include "base/slice.h"

#include <stdint.h>

static const uint64_t high_bits = UINT64_C(0x8080808080808080);

static bool ascii16(const uint8_t *p)
{
    uint64_t a, b;
    memcpy(&a, p, 8);
    memcpy(&b, p + 8, 8);
    return ((a | b) & high_bits) == 0;
}

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Length of the well-formed sequence at p (Unicode 15, table 3-7), or 0. p < end. */
static size_t sequence_length(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    uint8_t lead = p[0];

    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xe0) {
        return lead >= 0xc2 && left >= 2 && is_continuation(p[1]) ? 2 : 0;
    }
    if (lead < 0xf0) {
        if (left < 3 || !is_continuation(p[1]) || !is_continuation(p[2])) {
            return 0;
        }
        bool overlong = lead == 0xe0 && p[1] < 0xa0;
        bool surrogate = lead == 0xed && p[1] > 0x9f;
        return overlong || surrogate ? 0 : 3;
    }
    if (lead > 0xf4 || left < 4 || !is_continuation(p[1]) || !is_continuation(p[2]) || !is_continuation(p[3])) {
        return 0;
    }
    bool overlong = lead == 0xf0 && p[1] < 0x90;
    bool too_large = lead == 0xf4 && p[1] > 0x8f;
    return overlong || too_large ? 0 : 4;
}

size_t mill_utf8_valid_prefix(struct mill_slice s)
{
    if (s.n == 0) {
        return 0;
    }
    const uint8_t *begin = (const uint8_t *)s.p, *p = begin, *end = begin + s.n;

    while (p < end) {
        while (end - p >= 16 && ascii16(p)) {
            p += 16;
        }
        /* Up to 16 bytes by hand before the next try at a run. */
        for (const uint8_t *stop = end - p > 16 ? p + 16 : end; p < stop;) {
            size_t n = sequence_length(p, end);
            if (n == 0) {
                return (size_t)(p - begin);
            }
            p += n;
        }
    }
    return s.n;
}

bool mill_utf8_is_valid(struct mill_slice s)
{
    return mill_utf8_valid_prefix(s) == s.n;
}
