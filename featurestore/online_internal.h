/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the online store.
 *
 *   online.c          open, close, claim, sync: the public functions that steer
 *   online_put.c      rows become script calls, calls become bytes in the queue
 *   online_restore.c  rows that were put before, again
 *   online_get.c      reads one row back
 *   online_link.c     the connection's life: connect, greet, send, match replies, fail, back off, send again
 *   online_script.c   the three Lua scripts
 *   online_row.c      packed rows            online_feast*.c   Feast's layout
 *   online_redis.c    hiredis, wrapped       online_address.c  the connection string
 *
 * The queue is the stream of bytes that must reach Redis, in order: everything from `acked` on is kept. `sent` says how
 * far this connection has it; a lost connection sets it back to `acked` and nothing else has to be done. Calls may thus
 * arrive twice, even from two connections at once (a stopped Redis that wakes up reads the old one too): each carries a
 * number and the script does a number only once.
 */
#ifndef MILL_FEATURESTORE_ONLINE_INTERNAL_H
#define MILL_FEATURESTORE_ONLINE_INTERNAL_H

#include "base/number.h"
#include "featurestore/online_feast_internal.h"
#include "featurestore/online_redis_internal.h"
#include "featurestore/online_row_internal.h"

enum {
    MILL__CALL_ROWS_MAX = 100,
    MILL__CALL_BYTES_MAX = 64 << 10,
    MILL__SCRIPT_SHA_BYTES = 40,
};

/* The highest offset of one source partition that was written for a view: `before` by earlier owners, `now` by all. */
struct mill__online_high {
    uint32_t view;
    int32_t partition;
    int64_t before, now;
    bool touched; /* by the open call */
    char *field;  /* of the fence hash */
};

/* What we hold of a partition. */
struct mill__online_fence {
    int32_t partition;
    bool is_owned;
    bool tell_fenced, show_fenced; /* not yet returned by mill_online_sync; by mill_online_fenced */
    bool show_lost;                /* not yet returned by mill_online_lost */
    char *key;
    char token[24];
    uint64_t last_call;    /* calls of a token are numbered from 1 */
    uint64_t checked_call; /* the last one when mill_online_check last looked */
    struct mill__online_high *highs;
    uint32_t high_count, high_capacity, high_last;
};

struct mill__online_call {
    uint64_t end; /* position in the stream of the byte after it */
    uint32_t fence;
};

/* What a call is, told to the script. */
enum mill__call_mode {
    MILL__CALL_NEWS,     /* its rows replace what is there */
    MILL__CALL_COMPARED, /* its rows only replace older ones */
    MILL__CALL_RESTORED, /* has no rows; the partition is not lost any more */
};

enum mill__link_state {
    MILL__LINK_CLOSED,     /* since the start, or since a failure */
    MILL__LINK_CONNECTING, /* the socket is not there yet */
    MILL__LINK_GREETING,   /* AUTH, SELECT, SCRIPT LOAD */
    MILL__LINK_READY,
};

/* A command outside the queue (claim, get): sent once the queue is empty, answered by one reply. */
struct mill__online_request {
    struct mill_buffer bytes;
    size_t sent;
    bool is_open;
    struct mill__reply reply;
};

struct mill_online {
    char *project;
    enum mill_online_layout layout;
    const struct mill_online_view *views;
    uint32_t view_count;
    struct mill__row_layout *row_layouts; /* per view */
    char **key_heads;                     /* per view: "fs:project:view:" */
    struct mill__feast_view *feast;       /* per view, in the feast layout */

    struct mill__online_fence *fences;
    uint32_t fence_count, fence_last;

    /* The call that rows are being added to. */
    struct {
        struct mill_buffer keys, args;
        uint32_t row_count, arg_count, fence;
        enum mill__call_mode mode;
    } open;
    struct mill_buffer scratch;
    struct mill_buffer packed; /* the row that was put last */
    struct mill_arena arena;   /* of the row that is being restored */

    struct mill_buffer queue;
    uint64_t queue_base; /* position of queue.p[0] */
    uint64_t acked, sent;
    struct mill__online_call *calls; /* ring of call_capacity, a power of two */
    uint32_t call_first, call_count, call_capacity;

    struct mill__redis_address address;
    struct mill__redis *redis;
    enum mill__link_state state;
    struct mill_buffer greeting;
    size_t greeting_sent;
    uint32_t greeting_replies, greeting_left;
    char script_sha[MILL__SCRIPT_SHA_BYTES + 1];
    struct mill__online_request request;
    uint64_t window_bytes;
    int64_t timeout_ns;
    bool is_wanted;            /* somebody has asked for the connection */
    bool has_worked;           /* this connection has answered something that matters */
    uint32_t failures;         /* in a row */
    int64_t moved_ns;          /* the connection last moved: a state, a reply, the first byte after silence */
    int64_t worked_ns;         /* an answer that matters came */
    int64_t retry_ns;          /* when to connect again */
    struct mill_error trouble; /* why it is not working; code 0 where it is */
};

/* online_script.c */
extern const char *const mill__script_packed, *const mill__script_feast, *const mill__script_claim;

/* online.c */
/* Index of the partition's fence, or UINT32_MAX. */
uint32_t mill__online_find_fence(struct mill_online *online, int32_t partition);
/* Finds or adds. */
struct mill__online_high *mill__online_high_of(struct mill_online *online, struct mill__online_fence *fence,
                                               uint32_t view, int32_t partition);

/* online_put.c */
/* Moves the open call, if it has rows, to the end of the queue. */
void mill__online_close_call(struct mill_online *online);
/* Adds a row to the open call of that fence (an index) and mode, or to a new one. packed: the row in packed bytes. */
void mill__online_add_row(struct mill_online *online, uint32_t fence, enum mill__call_mode mode, uint32_t view,
                          struct mill_slice key, const struct mill_batch *batch, uint32_t row, uint32_t first_column,
                          struct mill_slice packed);
/* Queues a call without rows. */
void mill__online_add_empty_call(struct mill_online *online, uint32_t fence, enum mill__call_mode mode);

/* online_link.c */
/* Does what can be done without waiting. */
int mill__link_poke(struct mill_online *online, struct mill_error *err) MILL_MUST_CHECK;
/* Until the queue is acknowledged and the request (if open) answered, or nothing has moved for the timeout. */
int mill__link_drain(struct mill_online *online, struct mill_error *err) MILL_MUST_CHECK;
/* Sends the request's bytes after the queue; its reply is good until the next request. */
int mill__link_request(struct mill_online *online, struct mill_error *err) MILL_MUST_CHECK;
void mill__link_close(struct mill_online *online);

/* RESP: the parts of a command. Most numbers are lengths below 1000. */
static inline void mill__resp_number(struct mill_buffer *out, char tag, int64_t n)
{
    char *start = mill_buffer_reserve(out, MILL_NUMBER_TEXT_MAX + 3), *p = start;
    *p++ = tag;
    if (n >= 0 && n < 1000) {
        if (n >= 100) {
            *p++ = (char)('0' + n / 100);
        }
        if (n >= 10) {
            *p++ = (char)('0' + n / 10 % 10);
        }
        *p++ = (char)('0' + n % 10);
    } else {
        p += mill_number_print_int64(n, p);
    }
    *p++ = '\r';
    *p++ = '\n';
    out->n += (size_t)(p - start);
}
static inline void mill__resp_command(struct mill_buffer *out, int64_t arg_count)
{
    mill__resp_number(out, '*', arg_count);
}
static inline void mill__resp_bytes(struct mill_buffer *out, const void *p, size_t n)
{
    mill__resp_number(out, '$', (int64_t)n);
    mill_buffer_add(out, p, n);
    mill_buffer_add(out, "\r\n", 2);
}
static inline void mill__resp_text(struct mill_buffer *out, const char *cstr)
{
    mill__resp_bytes(out, cstr, strlen(cstr));
}
static inline void mill__resp_int(struct mill_buffer *out, int64_t n)
{
    char digits[MILL_NUMBER_TEXT_MAX];
    mill__resp_bytes(out, digits, mill_number_print_int64(n, digits));
}

#endif
