/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ingest: Kafka in and out, wire formats, decoding into batches, validation.
 *
 *   bytes of a record --framing--> schema id + body --decode plan--> columns of a mill_batch --validate--> live rows
 *
 * A source is described once (struct mill_source_spec, made from the project file); a decoder compiles
 * that description and turns records into batches without allocating after warm-up. A row that cannot
 * be decoded or does not validate is dead in the batch and listed in struct mill_rejects with a reason;
 * nothing is dropped silently.
 */
#ifndef MILL_INGEST_H
#define MILL_INGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/batch.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

/* ------------------------------------------------------------------------------------------------
 * Sources
 * --------------------------------------------------------------------------------------------- */

enum mill_format { MILL_FORMAT_JSON, MILL_FORMAT_AVRO };

/* How a record names its schema. Configured, never sniffed: 00 and 01 are legal first bytes of an Avro body. */
enum mill_framing {
    MILL_FRAMING_BARE,             /* the body alone; the schema is the source's own */
    MILL_FRAMING_CONFLUENT,        /* 00 + 4-byte big-endian id, or 01 + 16-byte GUID, then the body */
    MILL_FRAMING_CONFLUENT_HEADER, /* record header __value_schema_id = 01 + GUID; the value is the body */
    MILL_FRAMING_SINGLE_OBJECT,    /* C3 01 + 8-byte little-endian CRC-64-AVRO fingerprint, then the body */
};

/* How a wanted column of type MILL_TIMESTAMP is written in JSON and CSV. Text (RFC 3339) is always accepted. */
enum mill_time_unit { MILL_TIME_TEXT, MILL_TIME_SECONDS, MILL_TIME_MILLIS, MILL_TIME_MICROS };

struct mill_field_rule {
    uint32_t column; /* of the source's schema */
    bool required;   /* null is rejected */
    bool has_range;  /* min <= value <= max, for int64, float64 and timestamps (seconds for the latter) */
    double min, max;
    const struct mill_slice *allowed; /* strings; allowed_count 0: anything */
    uint32_t allowed_count;
};

struct mill_source_spec {
    const char *name, *topic;
    enum mill_format format;
    enum mill_framing framing;
    struct mill_schema schema;              /* the wanted columns, in the order of the batch */
    const enum mill_time_unit *time_unit;   /* per column */
    uint32_t timestamp_column;              /* event time; MILL_TIMESTAMP. UINT32_MAX: none (files only) */
    struct mill_slice avro_schema;          /* reader schema, JSON text (format avro; else empty) */
    struct mill_slice const *known_schemas; /* further writer schemas for single-object framing */
    uint32_t known_schema_count;
    const struct mill_field_rule *rules;
    uint32_t rule_count;
    bool allow_non_finite;      /* NaN and infinities are values; default: such a row is rejected */
    double max_null_fraction;   /* per column and window of events; 1.0: never warn */
    int64_t null_window_us;     /* event-time length of that window */
    uint32_t record_bytes_max;  /* larger records are rejected; default 1 MiB */
    const char *registry_url;   /* NULL: none */
    const char *registry_auth;  /* "user:password" or NULL */
    const char *registry_cache; /* directory of the file-backed cache, or NULL */
};

/* Fills schema and time_unit from an Avro record schema: every field of the top-level record that fits a
 * column type (boolean; int, long; float, double; string, enum, uuid; timestamp-millis/micros; each maybe in a
 * union with null). Fields of other types cannot be columns and are skipped. Memory from arena. */
int mill_source_fields_from_avro(struct mill_slice avro_schema, struct mill_arena *arena,
                                 struct mill_schema *ret_schema, const enum mill_time_unit **ret_time_unit,
                                 struct mill_error *err) MILL_MUST_CHECK;

/* ------------------------------------------------------------------------------------------------
 * Records, rejects, decoding
 * --------------------------------------------------------------------------------------------- */

/* One record as it came; the bytes are the caller's and must outlive the batch. */
struct mill_record {
    struct mill_slice key, value; /* p NULL: absent (a tombstone for value) */
    struct mill_slice schema_id;  /* value of header __value_schema_id, or p NULL */
    int64_t offset;
    int64_t broker_time_us; /* record timestamp, or -1 */
    void *handle;           /* the Kafka client's message */
};

enum mill_reject_reason {
    MILL_REJECT_FRAMING,        /* no or wrong magic byte, header or length */
    MILL_REJECT_UNKNOWN_SCHEMA, /* the schema id is not known and the registry says it does not exist */
    MILL_REJECT_INCOMPATIBLE,   /* the writer's schema cannot be resolved to the source's */
    MILL_REJECT_MALFORMED,      /* bytes that are not Avro, JSON or CSV */
    MILL_REJECT_WRONG_TYPE,     /* well formed, but a wanted field has another type or does not fit */
    MILL_REJECT_TOO_LARGE,      /* more than record_bytes_max */
    MILL_REJECT_NOT_FINITE,     /* NaN or infinity */
    MILL_REJECT_NO_EVENT_TIME,  /* the timestamp field is null or out of years 1 to 9999 */
    MILL_REJECT_REQUIRED,       /* a required field is null or missing */
    MILL_REJECT_RANGE,          /* outside `ranges` */
    MILL_REJECT_NOT_ALLOWED,    /* not one of the allowed values */
    MILL_REJECT_LATE,           /* before the watermark (engine) */
    MILL_REJECT_NO_KEY,         /* the re-key field is null (engine) */
};
enum { MILL_REJECT_REASON_COUNT = 13 };
const char *mill_reject_reason_name(enum mill_reject_reason reason); /* "unknown_schema", ... */

struct mill_reject {
    uint32_t row;
    enum mill_reject_reason reason;
    const char
        *detail; /* a sentence for people: field, what was expected, what was found; lives in the batch's arena */
};

/* Grows by itself (in the batch's arena); reset with count = 0 per batch after mill_rejects_init. */
struct mill_rejects {
    struct mill_reject *at;
    uint32_t count, capacity;
    struct mill_arena *arena;
};
void mill_rejects_init(struct mill_rejects *rejects, struct mill_arena *arena);
/* Adds a reject and clears the row's live bit. detail is formatted into the arena. */
void mill_reject_row(struct mill_rejects *rejects, struct mill_batch *batch, uint32_t row,
                     enum mill_reject_reason reason, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

struct mill_decoder;

/* Compiles the source's own plan. Avro writer schemas other than the source's are fetched and compiled when
 * their id is first seen. spec must outlive the decoder. One decoder per shard; not thread-safe. */
int mill_decoder_open(const struct mill_source_spec *spec, struct mill_decoder **ret_decoder,
                      struct mill_error *err) MILL_MUST_CHECK;
void mill_decoder_close(struct mill_decoder *decoder);

/* Decodes records into rows 0..count-1 of batch (already laid out with the spec's schema or one that starts with
 * it, row_capacity >= count): values, validity, offset, event_time_us, live bits, row_count. Wrong rows are
 * listed in rejects. MILL_EUNAVAIL: a schema id is unknown here and the registry cannot be reached; nothing was
 * decoded: wait (backoff) and call again. Tombstones (no value) are dead rows without a reject. */
int mill_decoder_decode(struct mill_decoder *decoder, const struct mill_record *records, uint32_t count,
                        struct mill_batch *batch, struct mill_rejects *rejects, struct mill_error *err) MILL_MUST_CHECK;

/* Checks the source's rules on the live rows. */
void mill_validate_batch(const struct mill_source_spec *spec, struct mill_batch *batch, struct mill_rejects *rejects);

/* Share of nulls per column over windows of event time; warnings are edge-triggered, once per column and window. A
 * window is judged as soon as it holds 100 rows, and, whatever it holds, when the one after the next begins. */
struct mill_null_watch;
struct mill_null_watch *mill_null_watch_new(const struct mill_source_spec *spec);
void mill_null_watch_free(struct mill_null_watch *watch);
struct mill_null_warning {
    uint32_t column;
    int64_t window_start_us;
    uint64_t rows, nulls;
};
/* Counts the batch's live rows; returns the number of warnings written (at most one a column). */
uint32_t mill_null_watch_add(struct mill_null_watch *watch, const struct mill_batch *batch,
                             struct mill_null_warning *ret_warnings, uint32_t capacity);
/* Judges the windows that are still open, at the end of a run, and closes them. */
uint32_t mill_null_watch_finish(struct mill_null_watch *watch, struct mill_null_warning *ret_warnings,
                                uint32_t capacity);

/* ------------------------------------------------------------------------------------------------
 * Files as sources (offline runs, replay): .csv, .jsonl/.ndjson/.json, .avro; each also with .zst behind.
 * --------------------------------------------------------------------------------------------- */

struct mill_file_source;
/* Names of a CSV file's header row, each of type string, for callers that do not know the columns beforehand. Memory
 * from arena. */
int mill_file_csv_columns(const char *path, struct mill_arena *arena, struct mill_schema *ret_columns,
                          struct mill_error *err) MILL_MUST_CHECK;
int mill_file_source_open(const struct mill_source_spec *spec, const char *path, struct mill_file_source **ret_file,
                          struct mill_error *err) MILL_MUST_CHECK;
void mill_file_source_close(struct mill_file_source *file);
/* The next rows (1 to batch->row_capacity) into an empty batch, offsets counting rows of the file from 0; strings point
 * into memory that lives until the batch's arena is reset AND the next call. MILL_EEND at the end. A wrong row is a
 * reject; mill_file_source_raw gives its text until the next call. */
int mill_file_source_next(struct mill_file_source *file, struct mill_batch *batch, struct mill_rejects *rejects,
                          struct mill_error *err) MILL_MUST_CHECK;
struct mill_slice mill_file_source_raw(const struct mill_file_source *file, uint32_t row);
/* Bytes of the (compressed) file read so far and in all, for a progress bar. */
void mill_file_source_progress(const struct mill_file_source *file, uint64_t *ret_done, uint64_t *ret_total);
/* For replay: the next row as a record of the source's wire format (JSON, or Avro with the source's framing where that
 * needs no registry; MILL_ECONFIG otherwise), its event time and the value of a key column as text (key_column
 * UINT32_MAX: no key). Slices live until the next call. Files whose rows are records of that format already are passed
 * on byte by byte, wrong rows too (with the event time of the row before, -1 at first, and without a key); a wrong row
 * of another file is MILL_EDATA, and the next call goes on behind it; a file that is broken as a whole is MILL_EIO.
 * MILL_EEND at the end. Not to be mixed with mill_file_source_next on the same file. */
int mill_file_source_next_record(struct mill_file_source *file, uint32_t key_column, struct mill_record *ret_record,
                                 int64_t *ret_event_time_us, struct mill_error *err) MILL_MUST_CHECK;

/* Avro single objects as JSON, for people: by the names of the schema, a union as its value, enums by symbol,
 * timestamps as text, bytes as text (what is not UTF-8 becomes U+FFFD). schemas: JSON texts; a fingerprint says which
 * it is. Immutable after new; any thread. */
struct mill_avro_printer;
int mill_avro_printer_new(const struct mill_slice *schemas, uint32_t count, struct mill_avro_printer **ret_printer,
                          struct mill_error *err) MILL_MUST_CHECK;
void mill_avro_printer_free(struct mill_avro_printer *printer);
/* False, with nothing appended: not a single object of one of the schemas. */
bool mill_avro_print(const struct mill_avro_printer *printer, struct mill_slice record, struct mill_buffer *out);

/* ------------------------------------------------------------------------------------------------
 * Kafka (librdkafka). Types of the library stop at kafka_*.c.
 * --------------------------------------------------------------------------------------------- */

struct mill_kafka_options {
    const char *brokers, *group, *client_id;
    const char *const *librdkafka; /* pairs "key", "value", ..., NULL; passed on verbatim */
    void (*on_log)(void *context, int syslog_level, const char *text); /* librdkafka's lines; any thread */
    void *context;
};

/* Checks the pairs against librdkafka's own table (its message is passed on); refuses the keys that the engine owns
 * (enable.auto.commit, group.id, ...) with the reason. index of the wrong pair in *ret_index. */
int mill_kafka_check_options(const struct mill_kafka_options *options, unsigned *ret_index,
                             struct mill_error *err) MILL_MUST_CHECK;

/* One topic partition that this consumer owns. */
struct mill_partition;

/* Called from mill_consumer_poll and mill_consumer_close, on the same thread. */
struct mill_consumer_events {
    void *context;
    /* Partitions came: set *ret_offset (the first offset to read; -1: the group's committed offset, else the earliest).
     * user is stored with the partition. A negative return makes poll return it. */
    int (*assigned)(void *context, struct mill_partition *partition, unsigned topic, int32_t number,
                    int64_t *ret_offset, void **ret_user, struct mill_error *err);
    /* The partition goes; finish with it (flush state). lost: another member may own it already, write nothing. */
    void (*revoked)(void *context, struct mill_partition *partition, void *user, bool lost);
};

struct mill_consumer;
/* Subscribes to the topics (indices into `topics` name them afterwards). Waits for nothing: a broker that is down is
 * retried inside. Range assignment: partition p of topics with equal counts goes to one member. */
int mill_consumer_open(const struct mill_kafka_options *options, const char *const *topics, unsigned topic_count,
                       const struct mill_consumer_events *events, struct mill_consumer **ret_consumer,
                       struct mill_error *err) MILL_MUST_CHECK;
/* Leaves the group (revoked is called for each partition) and frees. */
void mill_consumer_close(struct mill_consumer *consumer);
/* Serves rebalances and errors and waits up to timeout_ms for messages of any partition. Returns 1 where some
 * partition has messages, 0 at the timeout, or a fatal error. Transient broker trouble is not an error: it is in
 * mill_consumer_is_connected. */
int mill_consumer_poll(struct mill_consumer *consumer, int timeout_ms, struct mill_error *err) MILL_MUST_CHECK;
/* Wakes a poll that waits, from any thread. */
void mill_consumer_wake(struct mill_consumer *consumer);
bool mill_consumer_is_connected(const struct mill_consumer *consumer);
/* Asks the broker whether all partitions are at their ends: 1 yes, 0 records are on their way. Retriable: it did not
 * answer. */
int mill_consumer_confirm_end(struct mill_consumer *consumer, int timeout_ms, struct mill_error *err) MILL_MUST_CHECK;
/* Stores next offsets with the group, for lag displays only (RocksDB's applied offset is the truth). Asynchronous. */
void mill_consumer_commit(struct mill_consumer *consumer, const struct mill_partition *partition, int64_t next_offset);

/* Takes up to max messages that are there now, without waiting; their bytes live until mill_partition_release with
 * them, which may come after `revoked` but not after the poll or close that called it. Offsets ascend strictly; what is
 * of an earlier assignment has been dropped. None after a poll that gave 1: only the mark of the partition's end was
 * there. */
uint32_t mill_partition_fetch(struct mill_partition *partition, struct mill_record *records, uint32_t max);
void mill_partition_release(struct mill_partition *partition, struct mill_record *records, uint32_t count);
/* True where everything that the broker had at the last fetch response was handed out. */
bool mill_partition_is_at_end(const struct mill_partition *partition);
/* The broker's end offset (high watermark) as last seen, or -1; for lag. */
int64_t mill_partition_end_offset(const struct mill_partition *partition);
/* Stop and start fetching (disk full, a store that is down). */
void mill_partition_pause(struct mill_partition *partition, bool pause);

struct mill_producer;
struct mill_header {
    const char *name;
    struct mill_slice value;
};
/* Idempotent, acks=all, no delivery time-out: a broker that is down is waited for. on_failure is called from
 * mill_producer_poll/flush for a message that can never be delivered (too large, topic refused). */
int mill_producer_open(const struct mill_kafka_options *options,
                       void (*on_failure)(void *context, const char *topic, struct mill_slice value, const char *why),
                       void *context, struct mill_producer **ret_producer, struct mill_error *err) MILL_MUST_CHECK;
void mill_producer_close(struct mill_producer *producer, int timeout_ms);
/* A topic handle, for the producer's life. */
unsigned mill_producer_topic(struct mill_producer *producer, const char *topic);
/* Copies key and value. While earlier records are not acknowledged, later ones may wait here for a poll or flush that
 * finds them acknowledged: poll after each batch, and every millisecond or two while mill_producer_is_holding.
 * partition -1: Kafka's default partitioner on the key (murmur2), random without one.
 * timestamp_us -1: now. Old times make a broker with time retention delete the record soon.
 * MILL_ERETRY: the queue is full; poll and call again. */
int mill_producer_send(struct mill_producer *producer, unsigned topic, int32_t partition, struct mill_slice key,
                       struct mill_slice value, const struct mill_header *headers, unsigned header_count,
                       int64_t timestamp_us, struct mill_error *err) MILL_MUST_CHECK;
/* Sends what lingers, unless there is much of it (a millisecond at most, whatever timeout_ms says), serves delivery
 * reports and waits up to timeout_ms for one. A fatal error (fenced, ...) is returned. */
int mill_producer_poll(struct mill_producer *producer, int timeout_ms, struct mill_error *err) MILL_MUST_CHECK;
/* Waits until everything sent so far is acknowledged; MILL_ERETRY at the timeout. */
int mill_producer_flush(struct mill_producer *producer, int timeout_ms, struct mill_error *err) MILL_MUST_CHECK;
/* Messages that are not acknowledged yet, and events that wait for the next poll. */
uint32_t mill_producer_outstanding(const struct mill_producer *producer);
/* True where sent records wait for a poll. */
bool mill_producer_is_holding(const struct mill_producer *producer);

/* Creates those topics that are missing; partition_count of existing ones is left. config: pairs as above or NULL. */
int mill_kafka_create_topic(const struct mill_kafka_options *options, const char *topic, int32_t partition_count,
                            const char *const *config, int timeout_ms, struct mill_error *err) MILL_MUST_CHECK;
/* Partition count of a topic; MILL_ENOINPUT: no such topic; MILL_EUNAVAIL: no broker answered. */
int mill_kafka_partition_count(const struct mill_kafka_options *options, const char *topic, int timeout_ms,
                               int32_t *ret_count, struct mill_error *err) MILL_MUST_CHECK;
/* Earliest and end offset of one partition. */
int mill_kafka_watermarks(const struct mill_kafka_options *options, const char *topic, int32_t partition,
                          int timeout_ms, int64_t *ret_low, int64_t *ret_high, struct mill_error *err) MILL_MUST_CHECK;
/* The group's committed next offset of one partition, -1 where none. */
int mill_kafka_committed(const struct mill_kafka_options *options, const char *topic, int32_t partition, int timeout_ms,
                         int64_t *ret_offset, struct mill_error *err) MILL_MUST_CHECK;

/* The same questions over one connection, for callers that ask often (replay, which watches the lag of a group). */
struct mill_kafka_admin;
int mill_kafka_admin_open(const struct mill_kafka_options *options, struct mill_kafka_admin **ret_admin,
                          struct mill_error *err) MILL_MUST_CHECK;
void mill_kafka_admin_close(struct mill_kafka_admin *admin);
int mill_kafka_admin_create_topic(struct mill_kafka_admin *admin, const char *topic, int32_t partition_count,
                                  const char *const *config, int timeout_ms, struct mill_error *err) MILL_MUST_CHECK;
int mill_kafka_admin_partition_count(struct mill_kafka_admin *admin, const char *topic, int timeout_ms,
                                     int32_t *ret_count, struct mill_error *err) MILL_MUST_CHECK;
int mill_kafka_admin_watermarks(struct mill_kafka_admin *admin, const char *topic, int32_t partition, int timeout_ms,
                                int64_t *ret_low, int64_t *ret_high, struct mill_error *err) MILL_MUST_CHECK;
int mill_kafka_admin_committed(struct mill_kafka_admin *admin, const char *topic, int32_t partition, int timeout_ms,
                               int64_t *ret_offset, struct mill_error *err) MILL_MUST_CHECK;

/* A reader without a group for tap, tests and benches: from the end or the beginning of all partitions of a topic. */
struct mill_tail;
int mill_tail_open(const struct mill_kafka_options *options, const char *topic, bool from_beginning,
                   struct mill_tail **ret_tail, struct mill_error *err) MILL_MUST_CHECK;
void mill_tail_close(struct mill_tail *tail);
/* Up to max records, waiting up to timeout_ms for the first; they live until the next call. */
int mill_tail_next(struct mill_tail *tail, int timeout_ms, struct mill_record *records, int32_t *partitions,
                   uint32_t max, struct mill_error *err) MILL_MUST_CHECK;

/* librdkafka's mock broker, on 127.0.0.1 (demo and tests). Keeps only 5 MiB a partition; knows no transactions. */
struct mill_mock_kafka;
int mill_mock_kafka_open(struct mill_mock_kafka **ret_mock, struct mill_error *err) MILL_MUST_CHECK;
const char *mill_mock_kafka_brokers(const struct mill_mock_kafka *mock);
int mill_mock_kafka_create_topic(struct mill_mock_kafka *mock, const char *topic, int32_t partition_count,
                                 struct mill_error *err) MILL_MUST_CHECK;
void mill_mock_kafka_close(struct mill_mock_kafka *mock);

#endif
