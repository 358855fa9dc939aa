/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes; see hash.h. XXH3 comes from xxHash's header, compiled in so that short keys cost no call. */
#include "base/hash.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t mill_hash64(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}

uint64_t mill_hash64_seed(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

static uint32_t load_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t mill_hash_murmur2(const void *p, size_t n)
{
    const uint32_t m = 0x5bd1e995;
    const uint8_t *bytes = p;
    uint32_t h = 0x9747b28cU ^ (uint32_t)n;
    size_t rest = n;

    for (; rest >= 4; bytes += 4, rest -= 4) {
        uint32_t k = load_le32(bytes) * m;
        k ^= k >> 24;
        h = (h * m) ^ (k * m);
    }
    if (rest > 0) {
        for (size_t i = 0; i < rest; i++) {
            h ^= (uint32_t)bytes[i] << (8 * i);
        }
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    return h ^ (h >> 15);
}
