/* SPDX-License-Identifier: Apache-2.0 */
/* The ground the rest stands on: arenas, buffers and cursors, batches, errors, clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/batch.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "random.h"

/* Runs f in a child whose standard error is thrown away; its wait status. */
static int status_of(void (*f)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open("/dev/null", O_WRONLY);
        dup2(fd, STDERR_FILENO);
        f();
        _exit(0);
    }
    int status = 0;
    assert_true(waitpid(pid, &status, 0) == pid);
    return status;
}

static void arena_gives_apart_and_aligned(void **state)
{
    (void)state;
    struct mill_arena arena;
    mill_arena_init(&arena, 0);
    assert_null(arena.block);
    enum { PIECES = 400 };
    static unsigned char *pieces[PIECES];
    static size_t sizes[PIECES];
    for (unsigned round = 0; round < 20; round++) {
        size_t total = 0;
        for (unsigned i = 0; i < PIECES; i++) {
            sizes[i] = random_below(8) == 0 ? random_below(20000) : random_below(200);
            pieces[i] = mill_arena_alloc(&arena, sizes[i]);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % (sizes[i] >= 64 ? 64 : 16), 0);
            memset(pieces[i], (int)i, sizes[i]);
            total += sizes[i];
        }
        assert_int_equal(arena.total, total);
        for (unsigned i = 0; i < PIECES; i++) {
            for (size_t j = 0; j < sizes[i]; j++) {
                assert_int_equal(pieces[i][j], (unsigned char)i);
            }
        }
        mill_arena_reset(&arena);
    }
    mill_arena_clear(&arena);
    mill_arena_clear(&arena); /* a cleared arena is an empty one */
}

/* What was chained is joined, so that the same round again finds everything in one block, the same one. */
static void arena_settles_after_a_round(void **state)
{
    (void)state;
    struct mill_arena arena;
    mill_arena_init(&arena, 100);
    const void *settled = NULL;
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 1000; i++) {
            mill_arena_alloc(&arena, 1 + i % 300);
        }
        assert_int_equal(arena.block != NULL, 1);
        if (round == 1) {
            settled = arena.block;
        } else if (round > 1) {
            assert_ptr_equal(arena.block, settled);
        }
        mill_arena_reset(&arena);
    }
    mill_arena_clear(&arena);
}

static void arena_texts(void **state)
{
    (void)state;
    struct mill_arena arena;
    mill_arena_init(&arena, 0);
    assert_string_equal(mill_arena_strdup(&arena, "abc"), "abc");
    assert_string_equal(mill_arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(mill_arena_strndup(&arena, NULL, 0), "");
    assert_string_equal(mill_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    struct mill_slice copy = mill_arena_slice(&arena, mill_slice_of("slice"));
    assert_true(mill_slice_is(copy, "slice"));
    const char *zeros = mill_arena_zarray(&arena, char, 100);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(zeros[i], 0);
    }
    mill_arena_clear(&arena);
}

static void ask_for_too_much(void)
{
    struct mill_arena arena;
    mill_arena_init(&arena, 0);
    volatile size_t n = SIZE_MAX - 100; /* the compiler would see through a constant */
    mill_arena_alloc(&arena, n);
}

static void fail_an_assertion(void)
{
    mill_assert(1 + 1 == 3);
}

static void fatal_ends(void **state)
{
    (void)state;
    int status = status_of(ask_for_too_much);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EX_OSERR);
    status = status_of(fail_an_assertion);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void buffers(void **state)
{
    (void)state;
    struct mill_buffer b = {0};
    assert_string_equal(mill_buffer_cstr(&b), "");
    mill_buffer_add(&b, NULL, 0);
    mill_buffer_add_string(&b, "abc");
    mill_buffer_add_byte(&b, 0xff);
    mill_buffer_add_slice(&b, mill_slice_of("def"));
    mill_buffer_printf(&b, "%s%d", "x", 42);
    assert_int_equal(b.n, 10);
    assert_memory_equal(mill_buffer_slice(&b).p,
                        "abc\xff"
                        "defx42",
                        10);
    mill_buffer_printf(&b, "%*d", 5000, 1); /* longer than what there is room for */
    assert_int_equal(b.n, 5010);
    size_t capacity = b.capacity;
    mill_buffer_reset(&b);
    assert_true(b.n == 0 && b.capacity == capacity);
    for (unsigned i = 0; i < 100000; i++) {
        mill_buffer_add_byte(&b, (unsigned char)i);
    }
    for (unsigned i = 0; i < 100000; i++) {
        assert_int_equal((unsigned char)b.p[i], (unsigned char)i);
    }
    mill_buffer_clear(&b);
    assert_true(b.p == NULL && b.n == 0 && b.capacity == 0);
}

static void binary_round_trip(void **state)
{
    (void)state;
    struct mill_buffer b = {0};
    enum { COUNT = 20000 };
    static uint64_t values[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        values[i] = i < 64 ? UINT64_C(1) << i : i < 128 ? UINT64_MAX >> (i - 64) : random_u64() >> random_below(64);
        mill_buffer_add_varint(&b, values[i]);
        mill_buffer_add_zigzag(&b, (int64_t)values[i]);
        mill_buffer_add_u32(&b, (uint32_t)values[i]);
        mill_buffer_add_u64(&b, values[i]);
    }
    struct mill_cursor c = mill_cursor_of(mill_buffer_slice(&b));
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(mill_cursor_varint(&c) == values[i]);
        assert_true(mill_cursor_zigzag(&c) == (int64_t)values[i]);
        assert_true(mill_cursor_u32(&c) == (uint32_t)values[i]);
        assert_true(mill_cursor_u64(&c) == values[i]);
    }
    assert_true(c.p == c.end && !c.bad);
    assert_int_equal(mill_cursor_byte(&c), 0);
    assert_true(c.bad);

    static const struct {
        const char *bytes;
        size_t n;
        bool good;
        uint64_t value;
    } cases[] = {
        {"\x00", 1, true, 0},
        {"\x7f", 1, true, 127},
        {"\x80\x01", 2, true, 128},
        {"\x80\x00", 2, true, 0}, /* longer than needed, but one value */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, true, UINT64_MAX},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, false, 0}, /* 65 bits */
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, false, 0},
        {"\x80", 1, false, 0},
        {"", 0, false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        c = mill_cursor_of((struct mill_slice){cases[i].bytes, cases[i].n});
        assert_true(mill_cursor_varint(&c) == cases[i].value);
        assert_true(c.bad == !cases[i].good);
    }
    mill_buffer_clear(&b);
}

static void cursors_stay_bad(void **state)
{
    (void)state;
    struct mill_cursor c = mill_cursor_of(mill_slice_of("abc"));
    assert_null(mill_cursor_take(&c, 4));
    assert_true(c.bad);
    assert_null(mill_cursor_take(&c, 1));
    assert_int_equal(mill_cursor_u32(&c), 0);
    assert_true(mill_cursor_u64(&c) == 0 && mill_cursor_zigzag(&c) == 0 && mill_cursor_byte(&c) == 0);
    c = mill_cursor_of(mill_slice_of("abc"));
    assert_memory_equal(mill_cursor_take(&c, 3), "abc", 3);
    assert_non_null(mill_cursor_take(&c, 0));
    assert_null(mill_cursor_take(&c, SIZE_MAX));
}

static void batches_begin_empty(void **state)
{
    (void)state;
    struct mill_field fields[] = {
        {"b", MILL_BOOL}, {"i", MILL_INT64}, {"f", MILL_FLOAT64}, {"s", MILL_STRING}, {"t", MILL_TIMESTAMP}};
    struct mill_schema schema = {fields, 5};
    struct mill_arena arena;
    struct mill_batch batch;
    mill_arena_init(&arena, 0);
    memset(mill_arena_alloc(&arena, 100000), 0xff, 100000); /* what the batch's memory held before */
    mill_arena_reset(&arena);
    mill_batch_init(&batch, &schema, 100, &arena);
    assert_int_equal(batch.row_count, 0);
    assert_int_equal(batch.row_capacity, 100);
    assert_null(batch.row_partition);
    for (uint32_t row = 0; row < 100; row++) {
        assert_false(mill_bit_get(batch.live, row));
        assert_true(batch.offset[row] == 0 && batch.event_time_us[row] == 0);
        for (unsigned c = 0; c < 5; c++) {
            assert_false(mill_bit_get(batch.columns[c].valid, row));
        }
        assert_true(batch.columns[0].at.b[row] == 0 && batch.columns[1].at.i[row] == 0);
        assert_true(batch.columns[2].at.f[row] == 0 && batch.columns[4].at.i[row] == 0);
        assert_true(batch.columns[3].at.s[row].n == 0);
    }
    assert_int_equal(mill_schema_find(&schema, mill_slice_of("s")), 3);
    assert_int_equal(mill_schema_find(&schema, mill_slice_of("x")), -1);
    assert_string_equal(mill_type_name(MILL_TIMESTAMP), "timestamp");
    mill_bit_set(batch.live, 64);
    assert_true(mill_bit_get(batch.live, 64) && !mill_bit_get(batch.live, 63) && !mill_bit_get(batch.live, 65));
    mill_bit_clear(batch.live, 64);
    assert_false(mill_bit_get(batch.live, 64));
    assert_int_equal(mill_bit_words(0), 0);
    assert_int_equal(mill_bit_words(1), 1);
    assert_int_equal(mill_bit_words(64), 1);
    assert_int_equal(mill_bit_words(65), 2);
    mill_arena_clear(&arena);
}

static int fails_at_first(struct mill_error *err)
{
    MILL_TRY(mill_fail(err, MILL_EDATA, "'%s' is not it", "x"));
    return MILL_OK;
}

static void errors(void **state)
{
    (void)state;
    struct mill_error err = {0};
    char text[2000];
    assert_int_equal(fails_at_first(&err), MILL_EDATA);
    assert_int_equal(err.code, MILL_EDATA);
    assert_string_equal(err.msg, "'x' is not it");
    mill_error_prefix(&err, "line %d", 3);
    assert_string_equal(err.msg, "line 3: 'x' is not it");
    assert_int_equal(err.code, MILL_EDATA);
    assert_int_equal(mill_fail_at(&err, MILL_ECONFIG, 3, 4, "again %s", err.msg), MILL_ECONFIG);
    assert_true(err.line == 3 && err.col == 4);
    assert_string_equal(err.msg, "again line 3: 'x' is not it"); /* the old message as an argument */
    assert_int_equal(mill_fail(NULL, MILL_EIO, "nobody listens"), MILL_EIO);
    mill_error_prefix(NULL, "nobody");

    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    mill_fail(&err, MILL_EIO, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    mill_error_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
    mill_fail(&err, MILL_EIO, "tail");
    mill_error_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);

    assert_int_equal(mill_error_exit_status(MILL_OK), 0);
    assert_int_equal(mill_error_exit_status(MILL_EUSAGE), EX_USAGE);
    assert_int_equal(mill_error_exit_status(MILL_ENOINPUT), EX_NOINPUT);
    assert_int_equal(mill_error_exit_status(MILL_ECONFIG), EX_CONFIG);
    assert_int_equal(mill_error_exit_status(-1000), EX_SOFTWARE);
    assert_true(mill_error_is_retriable(MILL_EUNAVAIL) && mill_error_is_retriable(MILL_ERETRY));
    assert_false(mill_error_is_retriable(MILL_EDATA));
}

static void clocks_go_on(void **state)
{
    (void)state;
    int64_t mono = mill_clock_mono_ns(), cpu = mill_clock_thread_cpu_ns(), process = mill_clock_process_cpu_ns();
    for (volatile unsigned i = 0; i < 200000; i++) {
    }
    assert_true(mill_clock_mono_ns() > mono && mill_clock_thread_cpu_ns() > cpu);
    assert_true(mill_clock_process_cpu_ns() > process);
    assert_true(mill_clock_wall_us() > INT64_C(1577836800000000)); /* 2020 */
}

int main(void)
{
    random_seed("test_arena");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_gives_apart_and_aligned),
        cmocka_unit_test(arena_settles_after_a_round),
        cmocka_unit_test(arena_texts),
        cmocka_unit_test(fatal_ends),
        cmocka_unit_test(buffers),
        cmocka_unit_test(binary_round_trip),
        cmocka_unit_test(cursors_stay_bad),
        cmocka_unit_test(batches_begin_empty),
        cmocka_unit_test(errors),
        cmocka_unit_test(clocks_go_on),
    };
    return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
