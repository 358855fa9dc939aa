/* SPDX-License-Identifier: Apache-2.0 */
#include "kv_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "online_rows.h"

static char directory[64];
static uint64_t rng;

void kv_seed(void)
{
    rng = test_seed();
}

void kv_use_directory(const char *path)
{
    snprintf(directory, sizeof(directory), "%s", path);
}

uint32_t kv_next_random(uint32_t below)
{
    rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(rng >> 33) % below;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

int kv_make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), "%s", "/tmp/mill_kv_XXXXXX");
    return mkdtemp(directory) == NULL ? -1 : 0;
}

int kv_remove_directory(void **state)
{
    (void)state;
    return nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *kv_path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

struct mill_kv *kv_open_ok(const char *name)
{
    struct mill_error err = {0};
    struct mill_kv *kv = NULL;
    struct mill_kv_options options = {.path = kv_path_of(name), .write_buffer_bytes = 1 << 20};
    if (mill_kv_open(&options, &kv, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return kv;
}

int kv_try_open(const char *name, struct mill_error *err)
{
    struct mill_kv *kv = NULL;
    struct mill_kv_options options = {.path = kv_path_of(name)};
    int rc = mill_kv_open(&options, &kv, err);
    assert_true((rc < 0) == (kv == NULL));
    mill_kv_close(kv);
    return rc;
}

void kv_write_ok(struct mill_kv *kv, struct mill_kv_batch *batch)
{
    struct mill_error err = {0};
    if (mill_kv_write(kv, batch, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    mill_kv_batch_reset(batch);
}

/* Runs a role of main() in a process of its own. RocksDB's threads do not live on in a forked child, so it starts over
 * with exec. */
pid_t kv_start_role(const char *role)
{
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_kv", role, directory, (char *)NULL);
        _exit(126);
    }
    return child;
}

struct mill_slice kv_text(const char *s)
{
    return mill_slice_of(s);
}
