/* SPDX-License-Identifier: Apache-2.0 */
/* Files through a window, plain or zstd; see stream_internal.h. The types of libzstd stop here. */
#include "ingest/file/stream_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/arena.h"

enum { READ_SIZE = 256 * 1024 };

struct mill__stream {
    char *path;
    int fd;
    uint64_t done, total;
    char *window; /* capacity bytes; [start, end) are in use */
    size_t start, end, capacity;
    bool file_ended; /* read(2) gave 0 */
    ZSTD_DStream *zstd;
    char *packed; /* READ_SIZE bytes, compressed; [packed_start, packed_end) are not decompressed yet */
    size_t packed_start, packed_end;
    bool in_frame; /* a zstd frame has begun and not ended */
    bool pending;  /* zstd may hold output that did not fit */
};

int mill__stream_open(const char *path, bool is_zstd, struct mill__stream **ret_stream, struct mill_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return mill_fail(err, errno == ENOENT ? MILL_ENOINPUT : MILL_EIO, "'%s' cannot be opened: %s", path,
                         strerrordesc_np(errno));
    }
    if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
        close(fd);
        return mill_fail(err, MILL_EIO, "'%s' is not a file", path);
    }
    struct mill__stream *stream = mill_calloc(1, sizeof(*stream));
    stream->path = mill_strdup(path);
    stream->fd = fd;
    stream->total = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    if (is_zstd) {
        stream->zstd = ZSTD_createDStream();
        mill_assert(stream->zstd != NULL);
        stream->packed = mill_malloc(READ_SIZE);
    }
    *ret_stream = stream;
    return 0;
}

void mill__stream_close(struct mill__stream *stream)
{
    if (stream != NULL) {
        close(stream->fd);
        ZSTD_freeDStream(stream->zstd);
        free(stream->packed);
        free(stream->window);
        free(stream->path);
        free(stream);
    }
}

static int read_some(struct mill__stream *stream, char *to, size_t size, size_t *ret_n, struct mill_error *err)
{
    ssize_t n;

    do {
        n = read(stream->fd, to, size);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return mill_fail(err, MILL_EIO, "'%s' cannot be read: %s", stream->path, strerrordesc_np(errno));
    }
    stream->done += (uint64_t)n;
    stream->file_ended = n == 0;
    *ret_n = (size_t)n;
    return 0;
}

/* Decompresses into the window what fits; at least one byte, unless the file has ended or input alone moved. */
static int unpack_some(struct mill__stream *stream, struct mill_error *err)
{
    if (stream->packed_start == stream->packed_end && !stream->pending) {
        stream->packed_start = 0;
        MILL_TRY(read_some(stream, stream->packed, READ_SIZE, &stream->packed_end, err));
        if (stream->file_ended) {
            return stream->in_frame
                       ? mill_fail(err, MILL_EDATA, "'%s' ends inside a zstd frame: it was cut off", stream->path)
                       : 0;
        }
    }
    ZSTD_inBuffer in = {stream->packed, stream->packed_end, stream->packed_start};
    ZSTD_outBuffer out = {stream->window, stream->capacity, stream->end};
    size_t rc = ZSTD_decompressStream(stream->zstd, &out, &in);
    if (ZSTD_isError(rc)) {
        return mill_fail(err, MILL_EDATA, "'%s' is not valid zstd: %s", stream->path, ZSTD_getErrorName(rc));
    }
    stream->packed_start = in.pos;
    stream->end = out.pos;
    stream->in_frame = rc != 0;
    stream->pending = rc != 0 && out.pos == out.size;
    return 0;
}

static void make_room(struct mill__stream *stream, size_t want)
{
    size_t used = stream->end - stream->start;

    if (stream->start > 0) {
        memmove(stream->window, stream->window + stream->start, used);
        stream->start = 0;
        stream->end = used;
    }
    if (stream->capacity < want + READ_SIZE) {
        stream->capacity = want + READ_SIZE;
        stream->window = mill_realloc(stream->window, stream->capacity);
    }
}

int mill__stream_fill(struct mill__stream *stream, size_t want, struct mill_error *err)
{
    if (stream->end - stream->start >= want || stream->file_ended) {
        return 0;
    }
    make_room(stream, want);
    while (stream->end < want && !stream->file_ended) {
        if (stream->zstd != NULL) {
            MILL_TRY(unpack_some(stream, err));
        } else {
            size_t n = 0;
            MILL_TRY(read_some(stream, stream->window + stream->end, stream->capacity - stream->end, &n, err));
            stream->end += n;
        }
    }
    return 0;
}

struct mill_slice mill__stream_window(const struct mill__stream *stream)
{
    struct mill_slice s = {stream->window + stream->start, stream->end - stream->start};
    return s;
}

bool mill__stream_is_at_end(const struct mill__stream *stream)
{
    return stream->file_ended;
}

void mill__stream_consume(struct mill__stream *stream, size_t n)
{
    mill_assert(n <= stream->end - stream->start);
    stream->start += n;
}

void mill__stream_progress(const struct mill__stream *stream, uint64_t *ret_done, uint64_t *ret_total)
{
    *ret_done = stream->done - (stream->packed_end - stream->packed_start);
    *ret_total = stream->total;
}

int mill__zstd_unpack(struct mill_slice packed, size_t size_max, struct mill_buffer *out, struct mill_error *err)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_inBuffer in = {packed.p, packed.n, 0};
    size_t rc = 0, begin = out->n;

    mill_assert(context != NULL);
    do {
        char *to = mill_buffer_reserve(out, READ_SIZE);
        ZSTD_outBuffer to_buffer = {to, READ_SIZE, 0};
        rc = ZSTD_decompressStream(context, &to_buffer, &in);
        out->n += to_buffer.pos;
        if (!ZSTD_isError(rc) && rc != 0 && in.pos == in.size && to_buffer.pos < to_buffer.size) {
            ZSTD_freeDCtx(context);
            return mill_fail(err, MILL_EDATA, "a zstd frame is cut off");
        }
    } while (!ZSTD_isError(rc) && out->n - begin <= size_max && (rc != 0 || in.pos < in.size));
    ZSTD_freeDCtx(context);
    if (ZSTD_isError(rc)) {
        return mill_fail(err, MILL_EDATA, "not valid zstd: %s", ZSTD_getErrorName(rc));
    }
    return out->n - begin <= size_max ? 0 : mill_fail(err, MILL_EDATA, "more than %zu bytes decompressed", size_max);
}
