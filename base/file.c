/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files; see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_STEP = 64 * 1024 };

/* Fills the error with the reason in errno. */
static int fail_errno(struct mill_error *err, int code, const char *what, const char *path)
{
    int saved = errno;
    return mill_fail(err, code, "cannot %s '%s': %s", what, path, strerrordesc_np(saved));
}

/* Grows *out by what fd holds, at most size_max + 1 bytes: one more than allowed tells that it is too much. */
static int read_all(int fd, size_t size_max, struct mill_buffer *out)
{
    size_t total = 0;
    while (total <= size_max) {
        size_t room = size_max - total < READ_STEP ? size_max - total + 1 : READ_STEP;
        ssize_t n = read(fd, mill_buffer_reserve(out, room), room);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return MILL_EIO;
        }
        if (n == 0) {
            return MILL_OK;
        }
        out->n += (size_t)n;
        total += (size_t)n;
    }
    return MILL_ERESOURCE;
}

int mill_file_read(const char *path, size_t size_max, struct mill_buffer *out, struct mill_error *err)
{
    bool standard_input = strcmp(path, "-") == 0;
    const char *name = standard_input ? "standard input" : path;
    size_t before = out->n;

    int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fail_errno(err, errno == ENOENT || errno == ENOTDIR ? MILL_ENOINPUT : MILL_EIO, "open", name);
    }
    int rc = read_all(fd, size_max, out);
    if (rc == MILL_EIO) {
        fail_errno(err, rc, "read", name);
    } else if (rc == MILL_ERESOURCE) {
        mill_fail(err, rc, "file '%s' is larger than the limit of %zu bytes", name, size_max);
    }
    if (rc < 0) {
        out->n = before;
    }
    if (!standard_input) {
        close(fd);
    }
    return rc;
}

static int write_all(int fd, struct mill_slice bytes)
{
    size_t done = 0;
    while (done < bytes.n) {
        ssize_t n = write(fd, bytes.p + done, bytes.n - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return MILL_EIO;
        }
        done += (size_t)n;
    }
    return MILL_OK;
}

/* Writes, gives the new file the mode of the one it replaces (a file of secrets stays one) and forces
 * the bytes to disk before the name points at them. */
static int fill_temporary(int fd, const char *path, struct mill_slice bytes)
{
    struct stat old;
    MILL_TRY(write_all(fd, bytes));
    if (stat(path, &old) == 0 && fchmod(fd, old.st_mode & 07777) != 0) {
        return MILL_EIO;
    }
    return fsync(fd) == 0 ? MILL_OK : MILL_EIO;
}

/* Makes the rename itself last. Some file systems refuse fsync on directories; the content is safe anyway. */
static void sync_directory_of(const char *path)
{
    struct mill_buffer dir = {0};
    mill_file_beside(path, ".", &dir);
    int fd = open(mill_buffer_cstr(&dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    mill_buffer_clear(&dir);
}

int mill_file_replace(const char *path, struct mill_slice bytes, struct mill_error *err)
{
    /* Not mkstemp, whose 0600 would ignore the umask; the process and a counter make the name our own. */
    static atomic_uint counter;
    unsigned turn = atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
    struct mill_buffer name = {0};
    mill_buffer_printf(&name, "%s.tmp.%ld.%u", path, (long)getpid(), turn);
    const char *temporary = mill_buffer_cstr(&name);

    int rc = MILL_OK;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        rc = fail_errno(err, MILL_EIO, "create", temporary);
        goto out;
    }
    if (fill_temporary(fd, path, bytes) < 0) {
        rc = fail_errno(err, errno == ENOSPC || errno == EDQUOT ? MILL_ERESOURCE : MILL_EIO, "write", temporary);
    }
    close(fd);
    if (rc == MILL_OK && rename(temporary, path) != 0) {
        rc = fail_errno(err, MILL_EIO, "replace", path);
    }
    if (rc == MILL_OK) {
        sync_directory_of(path);
    } else {
        unlink(temporary);
    }
out:
    mill_buffer_clear(&name);
    return rc;
}

static int make_dir(const char *path, struct mill_error *err)
{
    struct stat st;
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))) {
        return MILL_OK;
    }
    return fail_errno(err, MILL_EIO, "create directory", path);
}

int mill_file_make_dirs(const char *path, struct mill_error *err)
{
    struct mill_buffer copy = {0};
    mill_buffer_add_string(&copy, path);
    (void)mill_buffer_cstr(&copy);

    int rc = MILL_OK;
    for (size_t i = 1; i < copy.n && rc == MILL_OK; i++) {
        if (copy.p[i] == '/' && copy.p[i - 1] != '/') {
            copy.p[i] = '\0';
            rc = make_dir(copy.p, err);
            copy.p[i] = '/';
        }
    }
    if (rc == MILL_OK && copy.n > 0) {
        rc = make_dir(copy.p, err);
    }
    mill_buffer_clear(&copy);
    return rc;
}

void mill_file_beside(const char *base_file, const char *name, struct mill_buffer *out)
{
    const char *slash = strrchr(base_file, '/');
    mill_buffer_reset(out);
    if (name[0] != '/' && slash != NULL) {
        mill_buffer_add(out, base_file, (size_t)(slash - base_file) + 1);
    }
    mill_buffer_add_string(out, name);
}
