/* SPDX-License-Identifier: Apache-2.0 */
/* base/file.h in a private directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static char dir[] = "/tmp/mill-test-file-XXXXXX";

static const char *in_dir(const char *name)
{
    static char paths[4][256];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static unsigned count_entries(void)
{
    unsigned count = 0;
    DIR *stream = opendir(dir);
    assert_non_null(stream);
    for (struct dirent *e; (e = readdir(stream)) != NULL;) {
        count += e->d_name[0] != '.';
    }
    closedir(stream);
    return count;
}

static void replaces_and_reads(void **state)
{
    (void)state;
    struct mill_error err = {0};
    struct mill_buffer out = {0};
    mode_t old_mask = umask(027);
    assert_int_equal(mill_file_replace(in_dir("a"), mill_slice_of("first"), &err), MILL_OK);
    umask(old_mask);
    mill_buffer_add_string(&out, ">");
    assert_int_equal(mill_file_read(in_dir("a"), 5, &out, &err), MILL_OK);
    assert_string_equal(mill_buffer_cstr(&out), ">first"); /* appended; the limit itself is allowed */

    struct stat st;
    assert_int_equal(stat(in_dir("a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(chmod(in_dir("a"), 0600), 0);
    assert_int_equal(mill_file_replace(in_dir("a"), (struct mill_slice){NULL, 0}, &err), MILL_OK);
    assert_int_equal(stat(in_dir("a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600); /* a secret stays one */
    assert_int_equal(st.st_size, 0);
    mill_buffer_reset(&out);
    assert_int_equal(mill_file_read(in_dir("a"), 0, &out, &err), MILL_OK);
    assert_int_equal(out.n, 0);
    assert_int_equal(count_entries(), 1); /* no temporary file is left */
    mill_buffer_clear(&out);
}

static void large_files(void **state)
{
    (void)state;
    struct mill_buffer big = {0}, out = {0};
    for (unsigned i = 0; i < 300000; i++) {
        mill_buffer_add_byte(&big, (unsigned char)(i * 7));
    }
    assert_int_equal(mill_file_replace(in_dir("big"), mill_buffer_slice(&big), NULL), MILL_OK);
    assert_int_equal(mill_file_read(in_dir("big"), 300000, &out, NULL), MILL_OK);
    assert_true(mill_slice_equal(mill_buffer_slice(&big), mill_buffer_slice(&out)));
    mill_buffer_clear(&big);
    mill_buffer_clear(&out);
}

static void failures_say_what(void **state)
{
    (void)state;
    struct mill_error err = {0};
    struct mill_buffer out = {0};
    char expected[512];
    mill_buffer_add_string(&out, "kept");

    assert_int_equal(mill_file_read(in_dir("none"), 100, &out, &err), MILL_ENOINPUT);
    snprintf(expected, sizeof(expected), "cannot open '%s': No such file or directory", in_dir("none"));
    assert_string_equal(err.msg, expected);

    assert_int_equal(mill_file_read(dir, 100, &out, &err), MILL_EIO);
    snprintf(expected, sizeof(expected), "cannot read '%s': Is a directory", dir);
    assert_string_equal(err.msg, expected);

    assert_int_equal(mill_file_replace(in_dir("small"), mill_slice_of("12345"), &err), MILL_OK);
    assert_int_equal(mill_file_read(in_dir("small"), 4, &out, &err), MILL_ERESOURCE);
    snprintf(expected, sizeof(expected), "file '%s' is larger than the limit of 4 bytes", in_dir("small"));
    assert_string_equal(err.msg, expected);
    assert_string_equal(mill_buffer_cstr(&out), "kept");

    assert_int_equal(mill_file_replace(in_dir("none/x"), mill_slice_of("1"), &err), MILL_EIO);
    assert_int_equal(strncmp(err.msg, "cannot create '", 15), 0);
    assert_int_equal(mkdir(in_dir("d"), 0777), 0);
    assert_int_equal(mill_file_replace(in_dir("d"), mill_slice_of("1"), &err), MILL_EIO);
    snprintf(expected, sizeof(expected), "cannot replace '%s': Is a directory", in_dir("d"));
    assert_string_equal(err.msg, expected);
    mill_buffer_clear(&out);
}

static void endless_input(void **state)
{
    (void)state;
    struct mill_buffer out = {0};
    struct mill_error err = {0};
    assert_int_equal(mill_file_read("/dev/zero", 1000000, &out, &err), MILL_ERESOURCE);
    assert_int_equal(out.n, 0);
    mill_buffer_clear(&out);
}

/* A write that fails half-way leaves the old file and no other. */
static void failed_write_keeps_the_old_file(void **state)
{
    (void)state;
    struct rlimit old, small = {100, 100};
    struct mill_error err = {0};
    struct mill_buffer out = {0};
    char *bytes = calloc(1, 1000);
    assert_int_equal(mill_file_replace(in_dir("precious"), mill_slice_of("old"), &err), MILL_OK);
    unsigned before = count_entries();

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = mill_file_replace(in_dir("precious"), (struct mill_slice){bytes, 1000}, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

    assert_int_equal(rc, MILL_EIO);
    assert_non_null(strstr(err.msg, "': File too large"));
    assert_int_equal(count_entries(), before);
    assert_int_equal(mill_file_read(in_dir("precious"), 100, &out, NULL), MILL_OK);
    assert_string_equal(mill_buffer_cstr(&out), "old");
    mill_buffer_clear(&out);
    free(bytes);
}

static void reads_standard_input(void **state)
{
    (void)state;
    int ends[2], saved = dup(STDIN_FILENO);
    struct mill_buffer out = {0};
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "piped", 5), 5);
    close(ends[1]);
    assert_true(dup2(ends[0], STDIN_FILENO) >= 0);
    close(ends[0]);
    assert_int_equal(mill_file_read("-", 100, &out, NULL), MILL_OK);
    assert_string_equal(mill_buffer_cstr(&out), "piped");
    if (saved >= 0) {
        assert_true(dup2(saved, STDIN_FILENO) >= 0);
        close(saved);
    }
    mill_buffer_clear(&out);
}

static void makes_directories(void **state)
{
    (void)state;
    struct mill_error err = {0};
    struct stat st;
    assert_int_equal(mill_file_make_dirs(in_dir("x/y//z/"), &err), MILL_OK);
    assert_int_equal(mill_file_make_dirs(in_dir("x/y/z"), &err), MILL_OK); /* again */
    assert_true(stat(in_dir("x/y/z"), &st) == 0 && S_ISDIR(st.st_mode));
    assert_int_equal(mill_file_make_dirs("/", &err), MILL_OK);
    assert_int_equal(mill_file_make_dirs(".", &err), MILL_OK);
    assert_int_equal(mill_file_replace(in_dir("x/file"), mill_slice_of(""), &err), MILL_OK);
    assert_int_equal(mill_file_make_dirs(in_dir("x/file/z"), &err), MILL_EIO);
    char expected[512];
    snprintf(expected, sizeof(expected), "cannot create directory '%s': File exists", in_dir("x/file"));
    assert_string_equal(err.msg, expected);
}

static void names_beside(void **state)
{
    (void)state;
    static const struct {
        const char *base, *name, *path;
    } cases[] = {
        {"/etc/tidemill/flights.yaml", "schemas/a.avsc", "/etc/tidemill/schemas/a.avsc"},
        {"/etc/tidemill/flights.yaml", "/abs/a.avsc", "/abs/a.avsc"},
        {"flights.yaml", "a.avsc", "a.avsc"},
        {"examples/flights.yaml", "../a.avsc", "examples/../a.avsc"},
        {"/flights.yaml", "a", "/a"},
        {"-", "a", "a"},
        {"dir/", "a", "dir/a"},
    };
    struct mill_buffer out = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mill_file_beside(cases[i].base, cases[i].name, &out);
        assert_string_equal(mill_buffer_cstr(&out), cases[i].path);
    }
    mill_buffer_clear(&out);
}

static int remove_dir(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

int main(void)
{
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaces_and_reads),
        cmocka_unit_test(large_files),
        cmocka_unit_test(failures_say_what),
        cmocka_unit_test(endless_input),
        cmocka_unit_test(failed_write_keeps_the_old_file),
        cmocka_unit_test(makes_directories),
        cmocka_unit_test(names_beside),
        cmocka_unit_test(reads_standard_input),
    };
    return cmocka_run_group_tests_name("base/file", tests, NULL, remove_dir);
}
