/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the key-value store share: databases by name in a directory of the test's own. */
#ifndef MILL_TESTS_KV_FIXTURE_H
#define MILL_TESTS_KV_FIXTURE_H

#include <sys/types.h>

#include "featurestore/featurestore.h"

void kv_seed(void); /* MILL_TEST_SEED or the clock; printed */
uint32_t kv_next_random(uint32_t below);

int kv_make_directory(void **state);
int kv_remove_directory(void **state);
void kv_use_directory(const char *path);
/* Good until the next call. */
const char *kv_path_of(const char *name);

struct mill_kv *kv_open_ok(const char *name);
int kv_try_open(const char *name, struct mill_error *err);
void kv_write_ok(struct mill_kv *kv, struct mill_kv_batch *batch);
struct mill_slice kv_text(const char *s);
/* Runs a role of main() in a process of its own. RocksDB's threads do not live on in a forked child, so it starts over
 * with exec. */
pid_t kv_start_role(const char *role);

#endif
