/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feature store: expressions, windowed aggregates over entity state, and the two stores behind them.
 *
 * A feature view (struct mill_view) describes features of one entity computed from one source. It is compiled once,
 * is immutable and shared by all threads. The state of its entities lives in tables (struct mill_view_table), one per
 * view and partition, each owned by one shard thread. Per batch:
 *
 *   mill_view_prepare   vector: expression features, keys, where-masks            (pure; any order)
 *   mill_view_fold      one row: the event changes its entity's state, and the row's aggregates are read as of the
 * event's own time                                                      (in merged event order) mill_view_lookup    one
 * row of another source: the entity's row as of that event's time; state unchanged mill_view_finish    vector:
 * derivations over features and aggregates
 *
 * State is a function of the set of folded events: arrival order does not show. A fold sees record values, (event time,
 * partition, offset) and prior state; never a clock, never randomness.
 */
#ifndef MILL_FEATURESTORE_H
#define MILL_FEATURESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/batch.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "base/slice.h"
#include "base/timestamp.h"

/* ------------------------------------------------------------------------------------------------
 * Expressions
 * --------------------------------------------------------------------------------------------- */

struct mill_expr; /* immutable after compile; any thread */

struct mill_expr_name {
    struct mill_slice name;
    enum mill_type type;
    uint32_t column; /* of the batch it will run on */
};
struct mill_expr_scope {
    const struct mill_expr_name *names;
    uint32_t name_count;
    const struct mill_timezone *zone; /* for hour(), day_of_week(), ...; NULL is UTC */
};

/* Types are checked here; an error's col is the position in the text (from 1; line 1) and the message names what was
 * expected and the nearest name or function. */
int mill_expr_compile(struct mill_slice text, const struct mill_expr_scope *scope, struct mill_expr **ret_expr,
                      struct mill_error *err) MILL_MUST_CHECK;
void mill_expr_free(struct mill_expr *expr);
enum mill_type mill_expr_type(const struct mill_expr *expr);
/* Distinct columns that it reads; writes at most capacity of them, returns how many there are. */
uint32_t mill_expr_columns(const struct mill_expr *expr, uint32_t *columns, uint32_t capacity);
/* Rows from <= i < to of *out (laid out for the batch's capacity, of the expression's type) get values and validity;
 * null slots are zeroed. Temporaries and new strings come from arena. Dead rows are computed too (harmlessly). */
void mill_expr_eval(const struct mill_expr *expr, const struct mill_batch *batch, uint32_t from, uint32_t to,
                    struct mill_column *out, struct mill_arena *arena);
/* Names of all functions, for docs, `tidemill list` and suggestions. */
const char *const *mill_expr_function_names(size_t *ret_count);

/* ------------------------------------------------------------------------------------------------
 * Entity keys
 * --------------------------------------------------------------------------------------------- */

enum { MILL_KEY_PARTS_MAX = 8, MILL_KEY_BYTES_MAX = 1024 };

struct mill_join_key {
    const char *name;
    enum mill_type type; /* MILL_STRING or MILL_INT64 */
};
struct mill_entity {
    const char *name;
    const struct mill_join_key *keys;
    uint32_t key_count;
};

/* The canonical key bytes: per part, in order, a string as varint length + bytes, an int64 as zig-zag varint. Used as
 * state key, Redis key part and Kafka key of re-keyed records. columns[k] is the batch column of part k. False where a
 * part is null or the key is longer than MILL_KEY_BYTES_MAX (nothing usable appended). */
bool mill_key_encode(const struct mill_entity *entity, const struct mill_batch *batch, const uint32_t *columns,
                     uint32_t row, struct mill_buffer *out);
/* From text parts as a person types them, one per join key. */
int mill_key_parse(const struct mill_entity *entity, const struct mill_slice *parts, uint32_t part_count,
                   struct mill_buffer *out, struct mill_error *err) MILL_MUST_CHECK;
/* {"tailnum":"N14228"}; MILL_EDATA where the bytes are not a key of the entity. */
int mill_key_write_json(const struct mill_entity *entity, struct mill_slice key,
                        struct mill_json_writer *w) MILL_MUST_CHECK;

/* ------------------------------------------------------------------------------------------------
 * Views
 * --------------------------------------------------------------------------------------------- */

/* What counts as of time t; floors are multiples of the hop from the epoch. More in docs/aggregates.md. */
enum mill_window_semantics {
    MILL_WINDOW_DEFAULT,  /* exact up to 1 h, else hop W/k for the smallest k >= 60 that divides W */
    MILL_WINDOW_EXACT,    /* t - W < ts <= t */
    MILL_WINDOW_HOP,      /* floor(t - W, hop) <= ts <= t */
    MILL_WINDOW_CHRONON,  /* floor(t - W, tail hop) <= ts < t; tail hop 1 d, 1 h or 5 min by W */
    MILL_WINDOW_FEAST,    /* complete tiles: floor(T - W, hop) <= ts < T, T = floor(t, hop); hop 5 min by default */
    MILL_WINDOW_OPENMLDB, /* t - W <= ts <= t */
};

struct mill_feature_spec {
    const char *name;
    struct mill_slice expr;
    unsigned line, col; /* of the expression in the project file, 0 where there is none */
};

struct mill_aggregate_spec {
    const char *name;     /* output: {column}_{function}_{window}, or {column}_{function} without a window */
    const char *column;   /* of the source, or an expression feature of the view (which hides a source column) */
    const char *function; /* "count", "sum", ...: a name of the aggregate table */
    int64_t window_us;    /* 0: since the beginning */
    enum mill_window_semantics semantics;
    int64_t hop_us;          /* for MILL_WINDOW_HOP; MILL_WINDOW_FEAST may have one */
    struct mill_slice where; /* bool expression over source columns and features; empty: all events */
    unsigned line, col;
};

struct mill_view_spec {
    const char *name;
    struct mill_entity entity;
    const struct mill_schema *source_schema;
    const struct mill_feature_spec *features;
    uint32_t feature_count;
    const struct mill_aggregate_spec *aggregates;
    uint32_t aggregate_count;
    const struct mill_feature_spec *derivations; /* over source columns, features and aggregates */
    uint32_t derivation_count;
    const struct mill_timezone *zone;
    int64_t ttl_us;      /* 0: never; an entity whose newest event is older is as if unknown in lookups */
    int64_t lateness_us; /* rows are exact for events up to this much behind the newest */
    uint32_t events_max; /* of one entity that are kept as events; beyond it the oldest go, counted; 0: no limit */
};

struct mill_view;

/* Checks names and types and compiles. Errors carry line and col of the offending item (expression positions added in).
 * The spec and everything in it must outlive the view. */
int mill_view_compile(const struct mill_view_spec *spec, struct mill_view **ret_view,
                      struct mill_error *err) MILL_MUST_CHECK;
void mill_view_free(struct mill_view *view);
const struct mill_view_spec *mill_view_spec_of(const struct mill_view *view);
/* Output columns: features, aggregates, derivations in order (the first mill_view_output_count), then hidden ones that
 * derivations of lookups need (source columns; only lookups fill them). A batch gives a view's use that many columns in
 * a row. */
const struct mill_schema *mill_view_schema(const struct mill_view *view);
uint32_t mill_view_output_count(const struct mill_view *view);
/* A hash of everything that gives stored state its meaning; state of another hash is refused. */
uint64_t mill_view_state_hash(const struct mill_view *view);
/* Source columns that expressions, aggregates and keys read. Returns how many; writes at most capacity. */
uint32_t mill_view_source_columns(const struct mill_view *view, uint32_t *columns, uint32_t capacity);

const char *const *mill_aggregate_names(size_t *ret_count);

/* A view's place in batches of one layout. OWN: batches of the view's own source (source columns come first). LOOKUP:
 * batches of another source, whose columns key_columns[] hold the join keys. */
struct mill_view_use {
    const struct mill_view *view;
    bool lookup;
    uint32_t first_column;
    uint32_t key_columns[MILL_KEY_PARTS_MAX];
};

/* Per batch and use: keys and masks of its rows. Lives in the batch's arena. */
struct mill_view_rows;
/* Vector step for all rows of the batch. For OWN also evaluates the expression features. */
struct mill_view_rows *mill_view_prepare(const struct mill_view_use *use, struct mill_batch *batch);
/* Canonical key of a row; n = 0 where a part is null. Lives as long as the batch. */
struct mill_slice mill_view_rows_key(const struct mill_view_rows *rows, uint32_t row);

struct mill_kv;
struct mill_kv_batch;
struct mill_view_table;

struct mill_view_table_options {
    int32_t partition;
    uint16_t view_id;      /* in state keys; stable (hash of the name) */
    uint32_t entities_max; /* kept in memory; beyond it those not used lately go to kv. Changed ones go after the second
                            * flush only (the caller writes the first one's batch before that): until then a table may
                            * hold twice as many, and more is MILL_ERESOURCE, as is one too many without kv */
    struct mill_kv *kv;    /* NULL: memory only */
    bool keeps_rows;       /* mill_view_table_keep_row is used */
};
int mill_view_table_open(const struct mill_view *view, const struct mill_view_table_options *options,
                         struct mill_view_table **ret_table, struct mill_error *err) MILL_MUST_CHECK;
void mill_view_table_close(struct mill_view_table *table);

/* Events before this time will not come any more (or only under late_events: apply); raises only. What is before it is
 * closed: rows and lookups at or after it stay exact, those behind it are accurate to the hop. To be called after a
 * restart with the watermark that was reached, so that late rows get the same bits as without it. */
void mill_view_table_advance(struct mill_view_table *table, int64_t watermark_us);

/* Brings the entity of a row into memory, or makes room for it there, so that a fold or lookup of this row that follows
 * at once does not fail. Fails as folds do; nothing has changed then. For events that change several tables: all are
 * asked first, so that none is left behind with half of them. */
int mill_view_reserve(struct mill_view_table *table, const struct mill_view_rows *rows, uint32_t row,
                      struct mill_error *err) MILL_MUST_CHECK;

struct mill_fold_result {
    bool newest;             /* the event is now its entity's newest by (event time, partition, offset) */
    uint32_t superseded_row; /* row of the same mill_view_rows that was newest before, or UINT32_MAX */
};
/* Folds row of an OWN use and writes its aggregate columns. Rows without a key get null aggregates (count 0) and change
 * nothing. On failure nothing has changed. MILL_EUNAVAIL/MILL_EIO: the cold tier failed; call again later.
 * MILL_ERESOURCE: no room; with kv, two flushes make some. MILL_EDATA: stored state is damaged or of another
 * definition. */
int mill_view_fold(struct mill_view_table *table, struct mill_view_rows *rows, uint32_t row,
                   struct mill_fold_result *ret_result, struct mill_error *err) MILL_MUST_CHECK;
/* Writes all columns but derivations of a LOOKUP use, as of the batch's event time of that row: features of the newest
 * event at or before it (strings are not kept: null). Unknown or expired entity: nulls, count 0. Fails as folds do. */
int mill_view_lookup(struct mill_view_table *table, struct mill_view_rows *rows, uint32_t row,
                     struct mill_error *err) MILL_MUST_CHECK;
/* Derivations for rows from <= i < to. */
void mill_view_finish(struct mill_view_rows *rows, uint32_t from, uint32_t to);

/* Keeps the bytes of the row that is served for the entity of this folded row, in the place of an older one; they are
 * part of the entity's state from then on. To be called before the next flush. A row cannot be computed again later:
 * windows have moved on, strings and the event's other fields are not kept. */
void mill_view_table_keep_row(struct mill_view_table *table, const struct mill_view_rows *rows, uint32_t row,
                              struct mill_slice bytes);
/* A walk over the kept rows of all entities, in steps; a zeroed struct is at the beginning. */
struct mill_row_walk {
    struct mill_buffer after; /* the last key of the store */
    uint32_t slot;            /* the next in memory, where there is no store */
    bool is_done;
};
/* Goes on until `each` returns false (the row it got is done) or all are done. With kv it sees what the batches of
 * flushes have brought there, so a caller who wants all rows flushes and writes first; entities that change meanwhile
 * may show with either row. Key and row are good during the call. */
int mill_view_table_walk_rows(struct mill_view_table *table, struct mill_row_walk *walk,
                              bool (*each)(void *context, struct mill_slice key, struct mill_slice row), void *context,
                              struct mill_error *err) MILL_MUST_CHECK;

/* Appends all dirty entities to the write batch and marks them clean. The caller writes the batch (with the applied
 * offset) before any later flush. Returns how many. */
uint32_t mill_view_table_flush(struct mill_view_table *table, struct mill_kv_batch *batch);

struct mill_view_table_stats {
    uint64_t entities, state_bytes, evicted, cold_reads, events_dropped; /* dropped: beyond events_max */
};
void mill_view_table_stats(const struct mill_view_table *table, struct mill_view_table_stats *ret_stats);

/* ------------------------------------------------------------------------------------------------
 * Key-value store (RocksDB)
 * --------------------------------------------------------------------------------------------- */

enum mill_kv_family { MILL_KV_STATE, MILL_KV_META, MILL_KV_DRIFT };
enum { MILL_KV_FAMILY_COUNT = 3 };

struct mill_kv_options {
    const char *path;
    uint64_t cache_bytes, write_buffer_bytes; /* 0: defaults 64 MiB, 64 MiB */
};
/* One per process; a second process on the same path is refused with a message that says so. */
int mill_kv_open(const struct mill_kv_options *options, struct mill_kv **ret_kv,
                 struct mill_error *err) MILL_MUST_CHECK;
void mill_kv_close(struct mill_kv *kv);
/* Replaces *out by the value; 1 found, 0 not. Any thread. */
int mill_kv_get(struct mill_kv *kv, enum mill_kv_family family, struct mill_slice key, struct mill_buffer *out,
                struct mill_error *err) MILL_MUST_CHECK;
/* Calls each() for all keys that begin with prefix and are greater than `after` (n = 0: all), in order, until it
 * returns false. */
int mill_kv_scan(struct mill_kv *kv, enum mill_kv_family family, struct mill_slice prefix, struct mill_slice after,
                 bool (*each)(void *context, struct mill_slice key, struct mill_slice value), void *context,
                 struct mill_error *err) MILL_MUST_CHECK;
/* A write batch: one thread fills it, one (maybe another) writes it. Atomic over families. */
struct mill_kv_batch *mill_kv_batch_new(void);
void mill_kv_batch_free(struct mill_kv_batch *batch);
void mill_kv_batch_reset(struct mill_kv_batch *batch);
void mill_kv_batch_put(struct mill_kv_batch *batch, enum mill_kv_family family, struct mill_slice key,
                       struct mill_slice value);
void mill_kv_batch_delete(struct mill_kv_batch *batch, enum mill_kv_family family, struct mill_slice key);
uint32_t mill_kv_batch_count(const struct mill_kv_batch *batch);
/* WAL on, not synced: survives kill -9; after a power loss an earlier consistent point comes back (Kafka refills the
 * rest). MILL_EIO with a message that says "no space left on device" where that is so; mill_kv_resume tries to leave
 * that state. */
int mill_kv_write(struct mill_kv *kv, struct mill_kv_batch *batch, struct mill_error *err) MILL_MUST_CHECK;
int mill_kv_resume(struct mill_kv *kv, struct mill_error *err) MILL_MUST_CHECK;

/* ------------------------------------------------------------------------------------------------
 * Online store (Redis; docs/redis.md has both layouts byte by byte)
 * --------------------------------------------------------------------------------------------- */

enum mill_online_layout { MILL_ONLINE_PACKED, MILL_ONLINE_FEAST };

struct mill_online_options {
    const char *project;
    const char *connection_string; /* Feast's: "host:port,db=0,password=..." or "/path/to/socket" */
    const char *password;          /* from password_file; NULL: none */
    enum mill_online_layout layout;
    uint32_t window_bytes; /* unacknowledged bytes in flight; 0: 256 KiB */
    int timeout_ms;        /* connect and reply; 0: 2000 */
};

/* What the store needs to know of a view; must outlive the store. */
struct mill_online_view {
    const char *name;
    const struct mill_entity *entity;
    const struct mill_field *features; /* output columns, in order */
    uint32_t feature_count;
    int64_t ttl_us; /* 0: no expiry */
};

/* One connection, one thread. Opening does not connect. MILL_ECONFIG: the connection string, or names that the feast
 * layout cannot hold side by side. */
struct mill_online;
int mill_online_open(const struct mill_online_options *options, const struct mill_online_view *views,
                     uint32_t view_count, struct mill_online **ret_online, struct mill_error *err) MILL_MUST_CHECK;
void mill_online_close(struct mill_online *online);
/* Takes the fencing token of a partition (of state key space `partition`): writes of an earlier owner are refused from
 * now on. Connects, and waits until everything queued before is acknowledged. Rows at or below the offset that an
 * earlier owner wrote are compared on the server (newest event time, then offset wins). rows_missing: the caller knows
 * that rows of its state are not there; the partition is lost (see below) then. */
int mill_online_claim(struct mill_online *online, int32_t partition, bool rows_missing,
                      struct mill_error *err) MILL_MUST_CHECK;
/* Queues the row (columns first_column... of batch) of an entity; bytes are copied. newest rows of an entity only. The
 * partition must have been claimed; rows of a partition that was fenced since are dropped. Returns the row as packed
 * bytes (in either layout), for mill_online_restore; good until the next call. */
struct mill_slice mill_online_put(struct mill_online *online, uint32_t view, int32_t partition, struct mill_slice key,
                                  const struct mill_batch *batch, uint32_t row, uint32_t first_column);
/* Queues a row that mill_online_put has returned, maybe in another process; on the server it only replaces older ones.
 * newest_us: the newest event time that is known of the view's source; a row that the view's ttl ends before it is
 * passed over. 1 queued, 0 passed over. MILL_EDATA: damaged, or of other features. */
int mill_online_restore(struct mill_online *online, uint32_t view, int32_t partition, struct mill_slice key,
                        struct mill_slice row, int64_t newest_us, struct mill_error *err) MILL_MUST_CHECK;
/* All rows of the partition's state have been put again: it is not lost any more once that is acknowledged. */
void mill_online_restored(struct mill_online *online, int32_t partition);
/* Queues a call without rows if there was none since the last check, so that sync finds out about a partition that
 * nothing is written for. */
void mill_online_check(struct mill_online *online, int32_t partition);
/* Sends what is queued and reads what has been answered without waiting (wait false), or until all is acknowledged.
 * MILL_EUNAVAIL: the connection failed; everything unacknowledged is kept and sent again by the next call (reconnects
 * with backoff inside; a waiting call gives up when nothing has moved for timeout_ms, or between two attempts once
 * three in a row have failed). MILL_EDATA, "fenced": all else is acknowledged, but another owner has a partition; told
 * once. MILL_ECONFIG, MILL_EIO: the server refuses our password or our commands; its text is in the message. */
int mill_online_sync(struct mill_online *online, bool wait, struct mill_error *err) MILL_MUST_CHECK;
uint64_t mill_online_pending_bytes(const struct mill_online *online);
/* The partitions that mill_online_sync found fenced: true and one of them, each once per claim. */
bool mill_online_fenced(struct mill_online *online, int32_t *ret_partition);
/* True, once each, for a partition whose rows Redis does not have: it knew nothing of the partition at the claim (as at
 * the very first start), or has forgotten calls that it had acknowledged (a restart without or with an older file,
 * FLUSHALL, a replica that was behind). The caller puts the rows of its state again and says when it is done; Redis
 * remembers that it is lost until then, for the next owner. */
bool mill_online_lost(struct mill_online *online, int32_t *ret_partition);

/* Reads one entity's row: 1 and *ret_row (memory from arena), 0 where there is none or Redis has expired it. What is
 * queued goes out first. Redis expires by the clock, ttl after the write at the earliest; a reader with an instant of
 * its own compares event_time_us + ttl with that. */
struct mill_online_row {
    int64_t event_time_us, offset; /* offset -1 and partition -1 in the feast layout */
    int32_t partition;
    const struct mill_column *values; /* row 0 of feature_count columns */
};
int mill_online_get(struct mill_online *online, uint32_t view, struct mill_slice key, struct mill_arena *arena,
                    struct mill_online_row *ret_row, struct mill_error *err) MILL_MUST_CHECK;

#endif
