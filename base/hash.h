/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes: XXH3-64 (xxHash 0.8) for keys and checksums, SHA-256 for the identity of files, murmur2 for
 * Kafka's partitioner. Stable: stored data and topic placement depend on these values. Any thread. */
#ifndef MILL_BASE_HASH_H
#define MILL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t mill_hash64(const void *p, size_t n);
uint64_t mill_hash64_seed(const void *p, size_t n, uint64_t seed);
/* Kafka's default partitioner: (murmur2(key) & 0x7fffffff) % partition_count
 * (org.apache.kafka.common.utils.Utils). */
uint32_t mill_hash_murmur2(const void *p, size_t n);
/* hex gets 64 lower-case digits and a null. FIPS 180-4. */
void mill_sha256_hex(const void *p, size_t n, char hex[65]);

#endif
