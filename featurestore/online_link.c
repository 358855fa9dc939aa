/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection's life. A step never waits: it connects, greets, sends what the window allows and takes replies, one
 * of these at a time, until nothing moves. Any failure closes the connection, remembers why, sets `sent` back to
 * `acked` and chooses when to try again; that is all there is to recovery.
 */
#include <poll.h>

#include "base/clock.h"
#include "base/hash.h"
#include "featurestore/online_internal.h"

enum { BACKOFF_FIRST_MS = 50, BACKOFF_MAX_MS = 5000 };
/* After so many failures in a row a waiting call does not sleep until the next attempt. */
enum { PATIENT_FAILURES = 3 };
static const int64_t ns_per_ms = 1000000;

/* ------------------------------------------------------------------------------------------------
 * Failures
 * --------------------------------------------------------------------------------------------- */

static bool begins_with(struct mill_slice s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

/* Server errors that pass: by their first word, or, where Redis before 7 wraps what a script met, inside the text. */
static bool is_passing(struct mill_slice text)
{
    static const char *const words[] = {"LOADING ",  "READONLY ", "OOM ",        "MASTERDOWN ",
                                        "BUSY ",     "MISCONF ",  "NOREPLICAS ", "CLUSTERDOWN ",
                                        "TRYAGAIN ", "NOSCRIPT ", "UNBLOCKED",   "ERR max number of clients"};
    static const char *const wrapped[] = {"-OOM ", "-READONLY ", "-MISCONF ", "-NOREPLICAS "};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (begins_with(text, words[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(wrapped) / sizeof(wrapped[0]); i++) {
        if (memmem(text.p, text.n, wrapped[i], strlen(wrapped[i])) != NULL) {
            return true;
        }
    }
    return false;
}

static int server_error(const struct mill_online *online, struct mill_slice text, struct mill_error *err)
{
    int n = text.n > 200 ? 200 : (int)text.n;
    const char *label = online->address.label;
    if (is_passing(text)) {
        return mill_fail(err, MILL_EUNAVAIL, "redis at '%s' is not ready: %.*s", label, n, text.p);
    }
    if (begins_with(text, "NOAUTH") || begins_with(text, "WRONGPASS") || begins_with(text, "ERR invalid password") ||
        begins_with(text, "ERR AUTH") || begins_with(text, "ERR Client sent AUTH")) {
        return mill_fail(err, MILL_ECONFIG,
                         "redis at '%s' refuses the password: %.*s; hint: see online_store.password_file", label, n,
                         text.p);
    }
    if (begins_with(text, "MOVED") || begins_with(text, "CROSSSLOT")) {
        return mill_fail(err, MILL_ECONFIG, "redis at '%s' is a cluster, expected a single server: %.*s", label, n,
                         text.p);
    }
    if (begins_with(text, "NOPERM") || begins_with(text, "ERR DB index")) {
        return mill_fail(err, MILL_ECONFIG, "redis at '%s' refuses us: %.*s", label, n, text.p);
    }
    return mill_fail(err, MILL_EIO, "redis at '%s' refuses a command: %.*s", label, n, text.p);
}

/* 50 ms, doubled each time up to 5 s, less up to half of it so that many clients do not come back together. A
 * connection that worked is opened again at once. */
static int64_t backoff_ns(const struct mill_online *online, int64_t now)
{
    if (online->failures == 0) {
        return 0;
    }
    uint32_t doublings = online->failures - 1 < 7 ? online->failures - 1 : 7;
    int64_t ms = (int64_t)BACKOFF_FIRST_MS << doublings;
    ms = ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : ms;
    uint64_t noise = mill_hash64(&now, sizeof(now)) % 1024;
    return ms * ns_per_ms - (int64_t)noise * ms * ns_per_ms / 2048;
}

static void drop_connection(struct mill_online *online)
{
    mill__redis_close(online->redis);
    online->redis = NULL;
    online->state = MILL__LINK_CLOSED;
    online->sent = online->acked;
    online->request.sent = 0;
}

static void note_failure(struct mill_online *online, const struct mill_error *why)
{
    int64_t now = mill_clock_mono_ns();
    drop_connection(online);
    online->trouble = *why;
    online->failures = online->has_worked ? 0 : online->failures + 1;
    online->retry_ns = now + backoff_ns(online, now);
    online->failures += online->has_worked;
    online->has_worked = false;
}

static void note_answer(struct mill_online *online)
{
    online->has_worked = true;
    online->failures = 0;
    online->trouble.code = MILL_OK;
    online->worked_ns = mill_clock_mono_ns();
}

void mill__link_close(struct mill_online *online)
{
    drop_connection(online);
    mill__reply_clear(&online->request.reply);
}

/* ------------------------------------------------------------------------------------------------
 * Replies
 * --------------------------------------------------------------------------------------------- */

static int on_greeting(struct mill_online *online, const struct mill__reply *reply, struct mill_error *err)
{
    if (reply->kind == MILL__REPLY_ERROR) {
        return server_error(online, reply->text, err);
    }
    if (--online->greeting_left > 0) {
        return 1;
    }
    if (reply->kind != MILL__REPLY_TEXT || reply->text.n != MILL__SCRIPT_SHA_BYTES) {
        return mill_fail(err, MILL_EIO, "redis at '%s' does not answer as Redis does", online->address.label);
    }
    memcpy(online->script_sha, reply->text.p, MILL__SCRIPT_SHA_BYTES);
    online->state = MILL__LINK_READY;
    if (online->acked == online->queue_base + online->queue.n && !online->request.is_open) {
        online->trouble.code = MILL_OK;
    }
    return 1;
}

static int on_call(struct mill_online *online, const struct mill__reply *reply, struct mill_error *err)
{
    const struct mill__online_call *call = &online->calls[online->call_first];
    struct mill__online_fence *fence = &online->fences[call->fence];
    if (reply->kind == MILL__REPLY_ERROR) {
        return server_error(online, reply->text, err);
    }
    if (reply->kind != MILL__REPLY_INTEGER || reply->integer < -1 || reply->integer > 1) {
        return mill_fail(err, MILL_EIO, "redis at '%s' does not answer as the script does", online->address.label);
    }
    if (reply->integer < 0) {
        fence->tell_fenced = fence->tell_fenced || fence->is_owned;
        fence->show_fenced = fence->show_fenced || fence->is_owned;
        fence->is_owned = false;
    } else if (reply->integer > 0) {
        fence->show_lost = true;
    }
    online->acked = call->end;
    online->call_first = (online->call_first + 1) & (online->call_capacity - 1);
    online->call_count--;
    note_answer(online);
    return 1;
}

static int on_request(struct mill_online *online, struct mill__reply *reply, struct mill_error *err)
{
    if (!online->request.is_open) {
        return mill_fail(err, MILL_EUNAVAIL, "redis at '%s' answers what nobody asked", online->address.label);
    }
    if (reply->kind == MILL__REPLY_ERROR && is_passing(reply->text)) {
        return server_error(online, reply->text, err);
    }
    online->request.is_open = false;
    online->request.reply = *reply;
    *reply = (struct mill__reply){0};
    note_answer(online);
    return 1;
}

/* Takes one reply: 1, or 0 where none has arrived. */
static int take_reply(struct mill_online *online, struct mill_error *err)
{
    struct mill__reply reply = {0};
    int rc = mill__redis_receive(online->redis, &reply, err);
    if (rc <= 0) {
        return rc;
    }
    if (online->state == MILL__LINK_GREETING) {
        rc = on_greeting(online, &reply, err);
    } else if (online->acked < online->sent) {
        rc = on_call(online, &reply, err);
    } else {
        rc = on_request(online, &reply, err);
    }
    mill__reply_clear(&reply);
    return rc;
}

/* ------------------------------------------------------------------------------------------------
 * Steps
 * --------------------------------------------------------------------------------------------- */

/* How far the queue may be sent now: a window beyond what is acknowledged, but always one whole call. */
static uint64_t send_limit(const struct mill_online *online)
{
    uint64_t end = online->queue_base + online->queue.n, limit = online->acked + online->window_bytes;
    if (online->call_count > 0 && online->calls[online->call_first].end > limit) {
        limit = online->calls[online->call_first].end;
    }
    return limit < end ? limit : end;
}

static bool is_queue_acked(const struct mill_online *online)
{
    return online->acked == online->queue_base + online->queue.n;
}

static bool has_unsent(const struct mill_online *online)
{
    switch (online->state) {
    case MILL__LINK_CLOSED:
        return false;
    case MILL__LINK_CONNECTING:
        return true;
    case MILL__LINK_GREETING:
        return online->greeting_sent < online->greeting.n;
    case MILL__LINK_READY:
        return online->sent < send_limit(online) ||
               (online->request.is_open && is_queue_acked(online) && online->request.sent < online->request.bytes.n);
    }
    return false;
}

/* True where the other side owes us something. */
static bool is_awaiting(const struct mill_online *online)
{
    return online->state == MILL__LINK_CONNECTING || online->state == MILL__LINK_GREETING ||
           (online->state == MILL__LINK_READY && (online->acked < online->sent || online->request.sent > 0));
}

static int send_some(struct mill_online *online, const char *p, size_t n, size_t *ret_sent, struct mill_error *err)
{
    *ret_sent = 0;
    if (n == 0) {
        return MILL_OK;
    }
    if (!is_awaiting(online)) {
        online->moved_ns = mill_clock_mono_ns(); /* the clock of the answer starts */
    }
    return mill__redis_send(online->redis, p, n, ret_sent, err);
}

static int send_greeting(struct mill_online *online, struct mill_error *err)
{
    size_t sent = 0;
    MILL_TRY(send_some(online, online->greeting.p + online->greeting_sent, online->greeting.n - online->greeting_sent,
                       &sent, err));
    online->greeting_sent += sent;
    return MILL_OK;
}

static int send_window(struct mill_online *online, struct mill_error *err)
{
    size_t sent = 0, from = (size_t)(online->sent - online->queue_base);
    MILL_TRY(send_some(online, online->queue.p + from, (size_t)(send_limit(online) - online->sent), &sent, err));
    online->sent += sent;
    if (online->request.is_open && is_queue_acked(online)) {
        struct mill__online_request *request = &online->request;
        MILL_TRY(send_some(online, request->bytes.p + request->sent, request->bytes.n - request->sent, &sent, err));
        request->sent += sent;
    }
    return MILL_OK;
}

/* One thing: 1 where something moved (more may), 0 where nothing can, < 0 where the connection failed. */
static int advance(struct mill_online *online, struct mill_error *err)
{
    int rc = 0;
    switch (online->state) {
    case MILL__LINK_CLOSED:
        if (mill_clock_mono_ns() < online->retry_ns) {
            return 0;
        }
        MILL_TRY(mill__redis_connect(&online->address, &online->redis, err));
        online->state = MILL__LINK_CONNECTING;
        return 1;
    case MILL__LINK_CONNECTING:
        rc = mill__redis_connected(online->redis, err);
        if (rc == 1) {
            online->state = MILL__LINK_GREETING;
            online->greeting_sent = 0;
            online->greeting_left = online->greeting_replies;
        }
        return rc;
    case MILL__LINK_GREETING:
        MILL_TRY(send_greeting(online, err));
        return take_reply(online, err);
    case MILL__LINK_READY:
        MILL_TRY(send_window(online, err));
        return take_reply(online, err);
    }
    mill_assert(false);
    return rc;
}

/* All that can be done without waiting. < 0: the connection has just failed. */
static int step(struct mill_online *online, struct mill_error *err)
{
    int rc;
    while ((rc = advance(online, err)) > 0) {
        online->moved_ns = mill_clock_mono_ns();
    }
    if (rc == 0 && is_awaiting(online) && mill_clock_mono_ns() - online->moved_ns >= online->timeout_ns) {
        rc = mill_fail(err, MILL_EUNAVAIL, "redis at '%s': no answer for %lld ms", online->address.label,
                       (long long)(online->timeout_ns / ns_per_ms));
    }
    if (rc < 0) {
        note_failure(online, err);
    }
    return rc;
}

int mill__link_poke(struct mill_online *online, struct mill_error *err)
{
    struct mill_error why = {0};
    int rc = online->is_wanted || !is_queue_acked(online) ? step(online, &why) : MILL_OK;
    if (rc == MILL_OK && online->trouble.code != MILL_OK) {
        why = online->trouble;
        rc = why.code;
    }
    if (rc < 0 && err != NULL) {
        *err = why;
    }
    return rc;
}

/* Sleeps until the socket has something for us, it is time to connect, or the deadline. */
static void wait_for_work(const struct mill_online *online, int64_t deadline_ns)
{
    int64_t now = mill_clock_mono_ns(), until = deadline_ns;
    if (online->state == MILL__LINK_CLOSED) {
        until = online->retry_ns < until ? online->retry_ns : until;
        poll(NULL, 0, until <= now ? 0 : (int)((until - now + ns_per_ms - 1) / ns_per_ms));
        return;
    }
    struct pollfd poller = {mill__redis_fd(online->redis), POLLIN, 0};
    if (has_unsent(online)) {
        poller.events = online->state == MILL__LINK_CONNECTING ? POLLOUT : POLLIN | POLLOUT;
    }
    poll(&poller, 1, until <= now ? 0 : (int)((until - now + ns_per_ms - 1) / ns_per_ms));
}

/* Why nothing comes of waiting any longer. */
static int give_up(const struct mill_online *online, struct mill_error *err)
{
    if (online->trouble.code != MILL_OK) {
        *err = online->trouble;
        return err->code;
    }
    return mill_fail(err, MILL_EUNAVAIL, "redis at '%s': no answer for %lld ms", online->address.label,
                     (long long)(online->timeout_ns / ns_per_ms));
}

int mill__link_drain(struct mill_online *online, struct mill_error *err)
{
    const int64_t start = mill_clock_mono_ns();
    struct mill_error why = {0};
    int rc = MILL_OK;
    while (rc == MILL_OK && (!is_queue_acked(online) || online->request.is_open)) {
        rc = step(online, &why);
        int64_t last = online->worked_ns > start ? online->worked_ns : start;
        if (mill_error_is_retriable(rc)) {
            rc = MILL_OK; /* the next step connects again */
        }
        if (rc < 0 || (is_queue_acked(online) && !online->request.is_open)) {
            break;
        }
        int64_t now = mill_clock_mono_ns();
        bool is_away =
            online->state == MILL__LINK_CLOSED && online->failures >= PATIENT_FAILURES && now < online->retry_ns;
        if (is_away || now - last >= online->timeout_ns) {
            rc = give_up(online, &why);
        } else {
            wait_for_work(online, last + online->timeout_ns);
        }
    }
    if (rc < 0 && err != NULL) {
        *err = why;
    }
    return rc;
}

int mill__link_request(struct mill_online *online, struct mill_error *err)
{
    struct mill__online_request *request = &online->request;
    mill_assert(!request->is_open && request->bytes.n > 0);
    mill__reply_clear(&request->reply);
    online->is_wanted = true;
    request->is_open = true;
    request->sent = 0;
    int rc = mill__link_drain(online, err);
    if (rc == MILL_OK && request->reply.kind == MILL__REPLY_ERROR) {
        rc = server_error(online, request->reply.text, err);
    }
    if (rc < 0 && request->sent > 0 && request->is_open) {
        drop_connection(online); /* its answer may still come and must not be taken for another's */
    }
    request->is_open = false;
    request->sent = 0;
    return rc;
}
