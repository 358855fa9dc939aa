/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value store against a plain array as oracle, and against what happens to processes and disks: a second
 * opener, a killed writer, a full disk. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "featurestore/kv_internal.h"
#include "kv_fixture.h"

/* The oracle: 2 families of 256 keys, key k being bytes that hold NUL and 0xff. */
enum { KEYS = 256 };
static struct {
    bool present;
    char value[24];
    size_t n;
} oracle[MILL_KV_FAMILY_COUNT][KEYS];

static struct mill_slice oracle_key(uint32_t k, char *bytes)
{
    static const unsigned char letters[4] = {0x00, 0x01, 0xfe, 0xff};
    for (int i = 0; i < 4; i++) {
        bytes[i] = (char)letters[k >> (6 - 2 * i) & 3];
    }
    return (struct mill_slice){bytes, 4};
}

struct scan_check {
    int family;
    uint32_t next, to, seen, limit;
};

static bool check_scanned(void *context, struct mill_slice key, struct mill_slice value)
{
    struct scan_check *check = context;
    while (check->next < check->to && !oracle[check->family][check->next].present) {
        check->next++;
    }
    assert_true(check->next < check->to);
    char bytes[4];
    assert_true(mill_slice_equal(key, oracle_key(check->next, bytes)));
    struct mill_slice expected = {oracle[check->family][check->next].value, oracle[check->family][check->next].n};
    assert_true(mill_slice_equal(value, expected));
    check->next++;
    return ++check->seen < check->limit;
}

/* Prefixes of length p cover aligned runs of the oracle's keys. */
static void check_scan(struct mill_kv *kv, int family, uint32_t k, uint32_t prefix_length, uint32_t limit)
{
    struct mill_error err = {0};
    char bytes[4];
    uint32_t run = 1u << (8 - 2 * prefix_length), from = k & ~(run - 1), present = 0;
    struct scan_check check = {.family = family, .next = from, .to = from + run, .limit = limit};
    struct mill_slice prefix = {oracle_key(k, bytes).p, prefix_length};
    assert_int_equal(
        mill_kv_scan(kv, (enum mill_kv_family)family, prefix, (struct mill_slice){0}, check_scanned, &check, &err), 0);
    for (uint32_t i = from; i < from + run; i++) {
        present += oracle[family][i].present;
    }
    assert_int_equal(check.seen, present < limit ? present : limit);
}

static void check_everything(struct mill_kv *kv)
{
    struct mill_error err = {0};
    struct mill_buffer out = {0};
    char bytes[4];
    for (int f = 0; f < MILL_KV_FAMILY_COUNT; f++) {
        for (uint32_t k = 0; k < KEYS; k++) {
            int found = mill_kv_get(kv, (enum mill_kv_family)f, oracle_key(k, bytes), &out, &err);
            assert_int_equal(found, oracle[f][k].present);
            if (found == 1) {
                struct mill_slice expected = {oracle[f][k].value, oracle[f][k].n};
                assert_true(mill_slice_equal(mill_buffer_slice(&out), expected));
            }
        }
        check_scan(kv, f, 0, 0, UINT32_MAX);
    }
    mill_buffer_clear(&out);
}

static void test_against_oracle(void **state)
{
    (void)state;
    struct mill_kv *kv = kv_open_ok("oracle");
    struct mill_kv_batch *batch = mill_kv_batch_new();
    for (int round = 0; round < 200; round++) {
        uint32_t changes = kv_next_random(40);
        for (uint32_t i = 0; i < changes; i++) {
            char bytes[4];
            uint32_t k = kv_next_random(KEYS);
            int f = (int)kv_next_random(MILL_KV_FAMILY_COUNT);
            struct mill_slice key = oracle_key(k, bytes);
            oracle[f][k].present = kv_next_random(4) != 0;
            if (oracle[f][k].present) {
                oracle[f][k].n = kv_next_random(sizeof(oracle[f][k].value));
                memset(oracle[f][k].value, (int)kv_next_random(256), oracle[f][k].n);
                mill_kv_batch_put(batch, (enum mill_kv_family)f, key,
                                  (struct mill_slice){oracle[f][k].value, oracle[f][k].n});
            } else {
                mill_kv_batch_delete(batch, (enum mill_kv_family)f, key);
            }
        }
        assert_int_equal(mill_kv_batch_count(batch), changes);
        kv_write_ok(kv, batch);
        check_scan(kv, (int)kv_next_random(2), kv_next_random(KEYS), kv_next_random(5), 1 + kv_next_random(20));
        if (round % 50 == 49) {
            check_everything(kv);
            mill_kv_close(kv);
            kv = kv_open_ok("oracle");
            check_everything(kv);
        }
    }
    mill_kv_batch_free(batch);
    mill_kv_close(kv);
}

static _Noreturn void hold_until_killed(void)
{
    struct mill_kv *kv = kv_open_ok("locked");
    assert_int_equal(mkdir(kv_path_of("held"), 0700), 0);
    for (; kv != NULL;) {
        pause();
    }
    _exit(1);
}

static void test_second_opener(void **state)
{
    (void)state;
    pid_t child = kv_start_role("hold");
    while (access(kv_path_of("held"), F_OK) != 0) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    }
    struct mill_error err = {0};
    int rc = kv_try_open("locked", &err);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(rc, MILL_EIO);
    assert_non_null(strstr(err.msg, "in use by another process; hint: stop that process"));
    assert_non_null(strstr(err.msg, kv_path_of("locked")));

    struct mill_kv *kv = kv_open_ok("locked");
    assert_int_equal(kv_try_open("locked", &err), MILL_EIO);
    assert_non_null(strstr(err.msg, "open already in this process"));
    mill_kv_close(kv);
}

/* ------------------------------------------------------------------------------------------------
 * Kill -9: batch n puts n under one of 64 state keys and under the meta key "applied", atomically.
 * --------------------------------------------------------------------------------------------- */

enum { SLOTS = 64 };

static _Noreturn void write_until_killed(void)
{
    struct mill_kv *kv = kv_open_ok("killed");
    struct mill_kv_batch *batch = mill_kv_batch_new();
    struct mill_buffer out = {0};
    struct mill_error err = {0};
    uint64_t n = 0;
    if (mill_kv_get(kv, MILL_KV_META, kv_text("applied"), &out, &err) == 1) {
        memcpy(&n, out.p, sizeof(n));
    }
    for (;;) {
        n++;
        struct mill_slice value = {(char *)&n, sizeof(n)};
        char slot = (char)(n % SLOTS);
        mill_kv_batch_put(batch, MILL_KV_STATE, (struct mill_slice){&slot, 1}, value);
        mill_kv_batch_put(batch, MILL_KV_META, kv_text("applied"), value);
        kv_write_ok(kv, batch);
    }
}

static uint64_t check_prefix(void)
{
    struct mill_kv *kv = kv_open_ok("killed");
    struct mill_buffer out = {0};
    struct mill_error err = {0};
    uint64_t applied = 0;
    int rc = mill_kv_get(kv, MILL_KV_META, kv_text("applied"), &out, &err);
    assert_true(rc >= 0);
    if (rc == 1) {
        memcpy(&applied, out.p, sizeof(applied));
    }
    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        uint64_t newest = applied - (applied + SLOTS - slot) % SLOTS, n = 0; /* largest <= applied in this slot */
        char key = (char)slot;
        rc = mill_kv_get(kv, MILL_KV_STATE, (struct mill_slice){&key, 1}, &out, &err);
        assert_true(rc >= 0);
        if (rc == 1) {
            memcpy(&n, out.p, sizeof(n));
        }
        assert_int_equal(n, applied < newest || newest == 0 ? 0 : newest);
    }
    mill_buffer_clear(&out);
    mill_kv_close(kv);
    return applied;
}

static void test_killed_writer_leaves_a_prefix(void **state)
{
    (void)state;
    uint64_t applied = 0;
    for (int round = 0; round < 6; round++) {
        pid_t child = kv_start_role("write");
        nanosleep(&(struct timespec){0, 100000000 + (long)kv_next_random(200) * 1000000}, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        uint64_t now = check_prefix();
        assert_true(now >= applied);
        applied = now;
    }
    assert_true(applied > 0);
}

/* ------------------------------------------------------------------------------------------------
 * Disk full: a small tmpfs in a mount namespace of a child's own.
 * --------------------------------------------------------------------------------------------- */

static bool mount_small_disk(const char *path)
{
    bool own = unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
    return own && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mkdir(path, 0700) == 0 &&
           mount("tmpfs", path, "tmpfs", 0, "size=200m") == 0;
}

static void fill_disk(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    assert_true(fd >= 0);
    static char block[1 << 16];
    while (write(fd, block, sizeof(block)) > 0) {
    }
    while (write(fd, block, 1) == 1) {
    }
    close(fd);
}

static void check_numbers(struct mill_kv *kv, uint64_t count)
{
    struct mill_buffer out = {0};
    struct mill_error err = {0};
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(mill_kv_get(kv, MILL_KV_STATE, (struct mill_slice){(char *)&i, sizeof(i)}, &out, &err), 1);
        assert_int_equal(out.n, 3000);
    }
    mill_buffer_clear(&out);
}

/* Writes numbered keys until count is reached or the disk is full; returns the next number. */
static uint64_t write_numbers(struct mill_kv *kv, uint64_t from, uint64_t to, int *ret_rc, struct mill_error *err)
{
    struct mill_kv_batch *batch = mill_kv_batch_new();
    char value[3000];
    for (size_t b = 0; b < sizeof(value); b++) {
        value[b] = (char)kv_next_random(256);
    }
    uint64_t i = from;
    for (*ret_rc = 0; i < to; i++) {
        mill_kv_batch_reset(batch);
        mill_kv_batch_put(batch, MILL_KV_STATE, (struct mill_slice){(char *)&i, sizeof(i)},
                          (struct mill_slice){value, sizeof(value)});
        if ((*ret_rc = mill_kv_write(kv, batch, err)) < 0) {
            break;
        }
    }
    mill_kv_batch_free(batch);
    return i;
}

static int live_through_full_disk(void)
{
    if (!mount_small_disk(kv_path_of("disk"))) {
        return 77;
    }
    struct mill_error err = {0};
    int rc = 0;
    struct mill_kv *kv = kv_open_ok("disk/kv");
    char ballast[256];
    snprintf(ballast, sizeof(ballast), "%s", kv_path_of("disk/ballast"));
    uint64_t next = write_numbers(kv, 0, 1000, &rc, &err);
    assert_int_equal(rc, 0);
    for (int round = 0; round < 3; round++) {
        fill_disk(ballast);
        next = write_numbers(kv, next, next + 5000, &rc, &err);
        assert_int_equal(rc, MILL_EIO);
        assert_non_null(strstr(err.msg, "no space left on device"));
        assert_int_equal(mill_kv_resume(kv, &err), MILL_EIO);
        assert_non_null(strstr(err.msg, "no space left on device"));
        check_numbers(kv, next); /* reads go on */
        assert_int_equal(unlink(ballast), 0);
        if (mill_kv_resume(kv, &err) < 0) {
            fail_msg("%s", err.msg);
        }
        check_numbers(kv, next);
        next = write_numbers(kv, next, next + 500, &rc, &err);
        assert_int_equal(rc, 0);
    }
    mill_kv_close(kv);
    kv = kv_open_ok("disk/kv");
    check_numbers(kv, next);
    mill_kv_close(kv);
    return 0;
}

/* Another process fills the disk and frees it again, at any moment of ours. */
static pid_t start_filler(const char *path)
{
    pid_t parent = getpid(), child = fork();
    if (child != 0) {
        return child;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    static char block[1 << 18];
    while (getppid() == parent) {
        usleep(kv_next_random(300000));
        int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
        for (size_t n = sizeof(block); n > 0; n = write(fd, block, n) > 0 ? n : n / 2) {
        }
        usleep(kv_next_random(500000));
        close(fd);
        unlink(path);
    }
    _exit(0);
}

/* Without the reserve, so that every kind of write meets the full disk: nothing that was acknowledged is lost, and the
 * process lives. */
static int live_beside_filler(void)
{
    if (!mount_small_disk(kv_path_of("shared"))) {
        return 77;
    }
    const char *seconds = getenv("MILL_TEST_SECONDS");
    time_t end = time(NULL) + (seconds != NULL ? strtol(seconds, NULL, 10) : 6);
    struct mill_kv_options options = {.path = strdup(kv_path_of("shared/kv")), .write_buffer_bytes = 1 << 20};
    struct mill_error err = {0};
    struct mill_kv *kv;
    uint64_t next = 0, position = 0, failures = 0;
    int rc;

    mill__kv_reserve_bytes = 0;
    assert_int_equal(mill_kv_open(&options, &kv, &err), 0);
    pid_t filler = start_filler(kv_path_of("shared/ballast"));
    while (time(NULL) < end) {
        position = write_numbers(kv, position % 20000, position % 20000 + 20, &rc, &err);
        next = position > next ? position : next;
        if (rc < 0) {
            failures++;
            assert_true(rc == MILL_EIO || rc == MILL_EUNAVAIL);
            usleep(2000);
            rc = mill_kv_resume(kv, &err);
            assert_true(rc == 0 || rc == MILL_EIO);
        }
    }
    kill(filler, SIGKILL);
    waitpid(filler, NULL, 0);
    unlink(kv_path_of("shared/ballast"));
    rc = mill_kv_resume(kv, &err);
    if (rc < 0) {
        fail_msg("%s", err.msg);
    }
    check_numbers(kv, next);
    mill_kv_close(kv);
    assert_int_equal(mill_kv_open(&options, &kv, &err), 0);
    check_numbers(kv, next);
    mill_kv_close(kv);
    free((char *)options.path);
    print_message("%llu writes, %llu failures\n", (unsigned long long)next, (unsigned long long)failures);
    return failures > 0 && next > 100 ? 0 : 1;
}

static void run_role(const char *role)
{
    pid_t child = kv_start_role(role);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("no tmpfs may be mounted here: %s\n", "skipped");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_disk_full(void **state)
{
    (void)state;
    run_role("fill");
}

static void test_disk_filled_by_another(void **state)
{
    (void)state;
    run_role("beside");
}

int main(int argc, char **argv)
{
    kv_seed();
    if (argc == 3) {
        kv_use_directory(argv[2]);
        if (strcmp(argv[1], "fill") == 0) {
            return live_through_full_disk();
        }
        if (strcmp(argv[1], "beside") == 0) {
            return live_beside_filler();
        }
        if (strcmp(argv[1], "hold") == 0) {
            hold_until_killed();
        }
        write_until_killed();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_opener),  cmocka_unit_test(test_killed_writer_leaves_a_prefix),
        cmocka_unit_test(test_disk_full),      cmocka_unit_test(test_disk_filled_by_another),
        cmocka_unit_test(test_against_oracle),
    };
    return cmocka_run_group_tests(tests, kv_make_directory, kv_remove_directory);
}
