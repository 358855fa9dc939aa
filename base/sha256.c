/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4) of bytes in memory: the identity of model files and schemas. Not for secrets
 * that need constant time, and not on a hot path. */
#include "base/hash.h"

#include <string.h>

#include "base/sha256_internal.h"

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes (4.2.2). */
const uint32_t mill__sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate_right(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static inline uint32_t load_word(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

/* One round. The names move instead of the values: in the next round the new h is called a. */
#define ROUND(a, b, c, d, e, f, g, h, i)                                                                               \
    do {                                                                                                               \
        uint32_t s1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);                                  \
        uint32_t s0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);                                  \
        h += s1 + (((f ^ g) & e) ^ g) + k[i] + w[i];                                                                   \
        d += h;                                                                                                        \
        h += s0 + ((a & b) | (c & (a | b)));                                                                           \
    } while (0)

/* The next sixteen words of the schedule, in the place of the last. */
static inline void next_words(uint32_t w[16])
{
#pragma GCC unroll 16
    for (unsigned i = 0; i < 16; i++) {
        uint32_t early = w[(i + 1) % 16], late = w[(i + 14) % 16];
        uint32_t s0 = rotate_right(early, 7) ^ rotate_right(early, 18) ^ early >> 3;
        uint32_t s1 = rotate_right(late, 17) ^ rotate_right(late, 19) ^ late >> 10;
        w[i] += s0 + w[(i + 9) % 16] + s1;
    }
}

static void add_block(uint32_t state[MILL__SHA256_STATE_WORDS], const uint8_t *block)
{
    uint32_t w[16], v[MILL__SHA256_STATE_WORDS];
    for (unsigned i = 0; i < 16; i++) {
        w[i] = load_word(block + 4 * i);
    }
    memcpy(v, state, sizeof(v));
    for (const uint32_t *k = mill__sha256_constants; k < mill__sha256_constants + 64; k += 16) {
        for (unsigned i = 0; i < 16; i += 8) {
            ROUND(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], i);
            ROUND(v[7], v[0], v[1], v[2], v[3], v[4], v[5], v[6], i + 1);
            ROUND(v[6], v[7], v[0], v[1], v[2], v[3], v[4], v[5], i + 2);
            ROUND(v[5], v[6], v[7], v[0], v[1], v[2], v[3], v[4], i + 3);
            ROUND(v[4], v[5], v[6], v[7], v[0], v[1], v[2], v[3], i + 4);
            ROUND(v[3], v[4], v[5], v[6], v[7], v[0], v[1], v[2], i + 5);
            ROUND(v[2], v[3], v[4], v[5], v[6], v[7], v[0], v[1], i + 6);
            ROUND(v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[0], i + 7);
        }
        next_words(w);
    }
    for (unsigned i = 0; i < MILL__SHA256_STATE_WORDS; i++) {
        state[i] += v[i];
    }
}

void mill__sha256_blocks_portable(uint32_t state[MILL__SHA256_STATE_WORDS], const uint8_t *blocks, size_t block_count)
{
    for (size_t i = 0; i < block_count; i++) {
        add_block(state, blocks + i * MILL__SHA256_BLOCK_SIZE);
    }
}

static void add_blocks(uint32_t state[MILL__SHA256_STATE_WORDS], const uint8_t *blocks, size_t block_count)
{
    if (mill__sha256_has_instructions()) {
        mill__sha256_blocks_x86(state, blocks, block_count);
    } else {
        mill__sha256_blocks_portable(state, blocks, block_count);
    }
}

/* The last bytes, a one bit, zeros and the length in bits: one or two blocks. */
static void add_tail(uint32_t state[MILL__SHA256_STATE_WORDS], const uint8_t *tail, size_t tail_size, uint64_t total)
{
    uint8_t last[2 * MILL__SHA256_BLOCK_SIZE] = {0};
    size_t size = tail_size < MILL__SHA256_BLOCK_SIZE - 8 ? MILL__SHA256_BLOCK_SIZE : 2 * MILL__SHA256_BLOCK_SIZE;

    if (tail_size > 0) {
        memcpy(last, tail, tail_size);
    }
    last[tail_size] = 0x80;
    for (unsigned i = 0; i < 8; i++) {
        last[size - 1 - i] = (uint8_t)(total * 8 >> (8 * i));
    }
    add_blocks(state, last, size / MILL__SHA256_BLOCK_SIZE);
}

void mill_sha256_hex(const void *p, size_t n, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    uint32_t state[MILL__SHA256_STATE_WORDS] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const uint8_t *bytes = p;
    size_t block_count = n / MILL__SHA256_BLOCK_SIZE, whole = block_count * MILL__SHA256_BLOCK_SIZE;

    add_blocks(state, bytes, block_count);
    add_tail(state, whole > 0 ? bytes + whole : bytes, n - whole, n);
    for (unsigned i = 0; i < 64; i++) {
        hex[i] = digits[state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    }
    hex[64] = '\0';
}
