/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value store and directories that are not what they should be: damaged files, torn logs, paths that are no
 * directories, families of a later version. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <rocksdb/c.h>

#include "kv_fixture.h"

/* A database whose rows are in a table file, not in the log. */
static void make_flushed(const char *name)
{
    struct mill_kv *kv = kv_open_ok(name);
    struct mill_kv_batch *batch = mill_kv_batch_new();
    char value[1000];
    for (uint32_t i = 0; i < 4000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key%05u", i);
        for (size_t b = 0; b < sizeof(value); b++) {
            value[b] = (char)kv_next_random(256);
        }
        mill_kv_batch_put(batch, MILL_KV_STATE, kv_text(key), (struct mill_slice){value, sizeof(value)});
        if (i % 100 == 99) {
            kv_write_ok(kv, batch);
        }
    }
    mill_kv_batch_free(batch);
    mill_kv_close(kv);
}

static const char *only_suffix, *only_prefix;
static int (*damage)(const char *path);
static int damaged;

static int visit(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    const char *name = path + ftw->base;
    size_t n = strlen(name), suffix = strlen(only_suffix);
    if (flag == FTW_F && strncmp(name, only_prefix, strlen(only_prefix)) == 0 && n >= suffix &&
        strcmp(name + n - suffix, only_suffix) == 0) {
        damaged++;
        return damage(path);
    }
    return 0;
}

static void damage_files(const char *name, const char *prefix, const char *suffix, int (*how)(const char *path))
{
    only_prefix = prefix, only_suffix = suffix, damage = how, damaged = 0;
    assert_int_equal(nftw(kv_path_of(name), visit, 16, FTW_PHYS), 0);
    assert_true(damaged > 0);
}

static int cut_in_half(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? truncate(path, st.st_size / 2) : -1;
}

static int overwrite_start(const char *path)
{
    FILE *f = fopen(path, "r+b");
    char noise[200];
    memset(noise, 0x5a, sizeof(noise));
    size_t n = f == NULL ? 0 : fwrite(noise, 1, sizeof(noise), f);
    return f == NULL || fclose(f) != 0 || n != sizeof(noise);
}

static bool ignore_row(void *context, struct mill_slice key, struct mill_slice value)
{
    (void)context, (void)key, (void)value;
    return true;
}

/* Refused at the open, or by the reads that meet the damage: never served, always named. */
static void check_damaged(const char *name)
{
    struct mill_error err = {0};
    struct mill_kv *kv = NULL;
    struct mill_kv_options options = {.path = kv_path_of(name)};
    int rc = mill_kv_open(&options, &kv, &err);
    if (rc == 0) {
        rc = mill_kv_scan(kv, MILL_KV_STATE, kv_text(""), kv_text(""), ignore_row, NULL, &err);
        mill_kv_close(kv);
    }
    assert_int_equal(rc, MILL_EDATA);
    assert_non_null(strstr(err.msg, kv_path_of(name)));
    assert_non_null(strstr(err.msg, "is damaged"));
    assert_non_null(strstr(err.msg, "hint: move the directory away"));
}

static void test_damage_is_named(void **state)
{
    (void)state;
    make_flushed("tables");
    damage_files("tables", "", ".sst", overwrite_start);
    check_damaged("tables");
    make_flushed("short_tables");
    damage_files("short_tables", "", ".sst", cut_in_half);
    check_damaged("short_tables");
    make_flushed("no_tables");
    damage_files("no_tables", "", ".sst", unlink);
    check_damaged("no_tables");
    make_flushed("manifest");
    damage_files("manifest", "MANIFEST-", "", overwrite_start);
    check_damaged("manifest");
    make_flushed("no_current");
    damage_files("no_current", "CURRENT", "", unlink);
    check_damaged("no_current");
    make_flushed("current");
    damage_files("current", "CURRENT", "", overwrite_start);
    check_damaged("current");
}

static void test_torn_log_loses_only_its_end(void **state)
{
    (void)state;
    struct mill_error err = {0};
    struct mill_kv *kv = kv_open_ok("torn");
    struct mill_kv_batch *batch = mill_kv_batch_new();
    for (char i = 'a'; i <= 'z'; i++) {
        mill_kv_batch_put(batch, MILL_KV_STATE, (struct mill_slice){&i, 1}, kv_text("some bytes of state"));
        kv_write_ok(kv, batch);
    }
    mill_kv_batch_free(batch);
    mill_kv_close(kv);
    damage_files("torn", "", ".log", cut_in_half);

    kv = kv_open_ok("torn");
    struct mill_buffer out = {0};
    int before = 1, count = 0;
    for (char i = 'a'; i <= 'z'; i++) {
        int found = mill_kv_get(kv, MILL_KV_STATE, (struct mill_slice){&i, 1}, &out, &err);
        assert_true(found >= 0 && found <= before);
        before = found;
        count += found;
    }
    assert_in_range(count, 5, 20);
    mill_buffer_clear(&out);
    mill_kv_close(kv);
}

static void test_bad_paths(void **state)
{
    (void)state;
    struct mill_error err = {0};
    FILE *f = fopen(kv_path_of("file"), "w");
    assert_non_null(f);
    fclose(f);
    assert_true(kv_try_open("file", &err) < 0);
    assert_non_null(strstr(err.msg, kv_path_of("file")));
    assert_true(kv_try_open("file/below", &err) < 0);
    assert_int_equal(kv_try_open("new/deep/path", &err), 0);
}

/* A later version added a family: this one must open the database and leave the family as it is. */
static void test_unknown_family_is_kept(void **state)
{
    (void)state;
    mill_kv_close(kv_open_ok("later"));
    char *text_error = NULL;
    const char *names[] = {"default", "state", "meta", "drift"};
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_missing_column_families(options, 1);
    const rocksdb_options_t *all[] = {options, options, options, options};
    rocksdb_readoptions_t *read_options = rocksdb_readoptions_create();
    rocksdb_writeoptions_t *write_options = rocksdb_writeoptions_create();
    for (int round = 0; round < 2; round++) {
        rocksdb_column_family_handle_t *handles[4];
        rocksdb_t *db = rocksdb_open_column_families(options, kv_path_of("later"), 4, names, all, handles, &text_error);
        assert_null(text_error);
        if (round == 0) {
            rocksdb_put_cf(db, write_options, handles[3], "k", 1, "v", 1, &text_error);
        } else {
            size_t n = 0;
            char *value = rocksdb_get_cf(db, read_options, handles[3], "k", 1, &n, &text_error);
            assert_int_equal(n, 1);
            rocksdb_free(value);
        }
        assert_null(text_error);
        for (int i = 0; i < 4; i++) {
            rocksdb_column_family_handle_destroy(handles[i]);
        }
        rocksdb_close(db);
        mill_kv_close(kv_open_ok("later"));
    }
    rocksdb_writeoptions_destroy(write_options);
    rocksdb_readoptions_destroy(read_options);
    rocksdb_options_destroy(options);
}

int main(void)
{
    kv_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage_is_named),
        cmocka_unit_test(test_torn_log_loses_only_its_end),
        cmocka_unit_test(test_bad_paths),
        cmocka_unit_test(test_unknown_family_is_kept),
    };
    return cmocka_run_group_tests(tests, kv_make_directory, kv_remove_directory);
}
