/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256's compression of whole blocks, once in portable C and once with the CPU's own instructions (SHA-NI). */
#ifndef MILL_BASE_SHA256_INTERNAL_H
#define MILL_BASE_SHA256_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MILL__SHA256_BLOCK_SIZE = 64, MILL__SHA256_STATE_WORDS = 8 };

extern const uint32_t mill__sha256_constants[64];

/* Adds block_count blocks of 64 bytes to the state. */
void mill__sha256_blocks_portable(uint32_t state[MILL__SHA256_STATE_WORDS], const uint8_t *blocks, size_t block_count);
/* The same, only where mill__sha256_has_instructions(). */
void mill__sha256_blocks_x86(uint32_t state[MILL__SHA256_STATE_WORDS], const uint8_t *blocks, size_t block_count);
bool mill__sha256_has_instructions(void);

#endif
