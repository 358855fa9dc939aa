/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key-value store: one RocksDB database per process, one column family per kind of data.
 *
 * The write-ahead log is on and never synced: a killed process loses nothing, a power loss brings an earlier consistent
 * point back (kPointInTimeRecovery), and Kafka refills the rest. RocksDB 7.8's C interface cannot leave the read-only
 * state that a full disk puts a database into, so mill_kv_resume() opens it again, behind a lock that every other
 * call holds for reading.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <rocksdb/c.h>

#include "base/file.h"
#include "featurestore/kv_internal.h"

/* Families of the directory that this version does not know (written by a later one) must be opened too. */
enum { FAMILIES_MAX = 16 };
enum { RECOVERY_POINT_IN_TIME = 2, BLOOM_BITS = 10 };
/* Above all levels of messages. Debian's RocksDB is built with assertions, and one of them fails when a file is written
 * on after it met a full disk: its own file of messages (LOG) was, and that aborted the process. What matters comes
 * back from the calls. */
enum { INFO_LOG_NOTHING = 6 };
/* mill_kv_resume() does not try before this much is free: opening writes a manifest and may flush. */
uint64_t mill__kv_reserve_bytes = UINT64_C(16) << 20;

static const char *const family_names[MILL_KV_FAMILY_COUNT] = {
    [MILL_KV_STATE] = "state", [MILL_KV_META] = "meta", [MILL_KV_DRIFT] = "drift"};

struct mill_kv {
    char *path;
    uint64_t write_buffer_bytes;
    rocksdb_cache_t *cache;
    rocksdb_writeoptions_t *write_options;
    rocksdb_readoptions_t *read_options;
    pthread_rwlock_t lock; /* written by resume only */
    rocksdb_t *db;         /* NULL after a resume that failed half-way */
    pthread_mutex_t write_lock;
    bool is_broken; /* a write failed; under write_lock. Writing on would trip an assertion of Debian's RocksDB */
    rocksdb_options_t *options;
    rocksdb_column_family_handle_t *handles[FAMILIES_MAX]; /* everything that is open */
    uint32_t handle_count;
    rocksdb_column_family_handle_t *families[MILL_KV_FAMILY_COUNT];
};

/* ------------------------------------------------------------------------------------------------
 * Errors
 * --------------------------------------------------------------------------------------------- */

static uint64_t free_bytes(const char *path)
{
    struct statvfs fs;
    return statvfs(path, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
}

/* RocksDB's text becomes ours: what happened, where, and what to do. Takes text. */
static int kv_fail(const char *path, char *text, struct mill_error *err)
{
    int rc;
    if (strstr(text, "No space left on device") != NULL || strstr(text, "Disk quota exceeded") != NULL) {
        rc = mill_fail(err, MILL_EIO, "state database '%s': no space left on device (%llu MiB free)", path,
                       (unsigned long long)(free_bytes(path) >> 20));
    } else if (strstr(text, "hold by current process") != NULL) {
        rc = mill_fail(err, MILL_EIO, "state database '%s' is open already in this process", path);
    } else if (strstr(text, "LOCK: Resource temporarily unavailable") != NULL) {
        rc = mill_fail(err, MILL_EIO,
                       "state database '%s' is in use by another process; hint: stop that process, or give this one a "
                       "path of its own",
                       path);
    } else if (strncmp(text, "Corruption", 10) == 0) {
        rc = mill_fail(err, MILL_EDATA,
                       "state database '%s' is damaged: %.200s; hint: move the directory away and start again: state "
                       "is folded anew from Kafka",
                       path, text);
    } else {
        rc = mill_fail(err, MILL_EIO, "state database '%s': %.300s", path, text);
    }
    rocksdb_free(text);
    return rc;
}

/* ------------------------------------------------------------------------------------------------
 * Open and close
 * --------------------------------------------------------------------------------------------- */

/* One set of options serves every family: block cache shared, blooms for the point reads of cold entities. Options are
 * given anew at each open; RocksDB does not take them from the disk. */
static rocksdb_options_t *make_options(const struct mill_kv *kv)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, kv->cache);
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);

    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_block_based_options_destroy(table);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_create_missing_column_families(options, 1);
    rocksdb_options_set_wal_recovery_mode(options, RECOVERY_POINT_IN_TIME);
    rocksdb_options_set_write_buffer_size(options, (size_t)kv->write_buffer_bytes / 2);
    rocksdb_options_set_db_write_buffer_size(options, (size_t)kv->write_buffer_bytes);
    rocksdb_options_set_max_total_wal_size(options, kv->write_buffer_bytes * 4);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_max_open_files(options, 512);
    rocksdb_options_set_bytes_per_sync(options, 1 << 20);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_info_log_level(options, INFO_LOG_NOTHING);
    rocksdb_options_set_keep_log_file_num(options, 1);
    return options;
}

/* A directory without CURRENT is a new database, unless files of one lie there: RocksDB would then begin an empty one
 * and delete them. */
static int check_directory(const char *path, bool *ret_exists, struct mill_error *err)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return mill_fail(err, MILL_EIO, "state database '%s': %s", path, strerror(errno));
    }
    bool current = false, orphans = false;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        size_t n = strlen(entry->d_name);
        current = current || strcmp(entry->d_name, "CURRENT") == 0;
        orphans = orphans || strncmp(entry->d_name, "MANIFEST-", 9) == 0 ||
                  (n > 4 && strcmp(entry->d_name + n - 4, ".sst") == 0);
    }
    closedir(dir);
    if (!current && orphans) {
        return mill_fail(err, MILL_EDATA,
                         "state database '%s' is damaged: its file CURRENT is missing; hint: move the directory away "
                         "and start again: state is folded anew from Kafka",
                         path);
    }
    *ret_exists = current;
    return MILL_OK;
}

struct name_list {
    const char *names[FAMILIES_MAX];
    uint32_t count;
    char **listed; /* RocksDB's; names points into it */
    size_t listed_count;
};

static void name_list_add(struct name_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (strcmp(list->names[i], name) == 0) {
            return;
        }
    }
    mill_assert(list->count < FAMILIES_MAX);
    list->names[list->count++] = name;
}

/* "default" (RocksDB insists), ours, and whatever else the database has. */
static int list_families(struct mill_kv *kv, struct name_list *list, struct mill_error *err)
{
    bool exists = false;
    MILL_TRY(check_directory(kv->path, &exists, err));
    *list = (struct name_list){0};
    name_list_add(list, "default");
    for (uint32_t f = 0; f < MILL_KV_FAMILY_COUNT; f++) {
        name_list_add(list, family_names[f]);
    }
    if (!exists) {
        return MILL_OK;
    }
    char *text = NULL;
    list->listed = rocksdb_list_column_families(kv->options, kv->path, &list->listed_count, &text);
    if (text != NULL) {
        rocksdb_list_column_families_destroy(list->listed, 0);
        return kv_fail(kv->path, text, err);
    }
    if (list->listed_count + MILL_KV_FAMILY_COUNT + 1 > FAMILIES_MAX) {
        rocksdb_list_column_families_destroy(list->listed, list->listed_count);
        return mill_fail(err, MILL_EDATA, "state database '%s' has %zu column families; it is not one of ours",
                         kv->path, list->listed_count);
    }
    for (size_t i = 0; i < list->listed_count; i++) {
        name_list_add(list, list->listed[i]);
    }
    return MILL_OK;
}

static int open_database(struct mill_kv *kv, struct mill_error *err)
{
    struct name_list list;
    MILL_TRY(list_families(kv, &list, err));
    const rocksdb_options_t *options[FAMILIES_MAX];
    for (uint32_t i = 0; i < list.count; i++) {
        options[i] = kv->options;
    }
    char *text = NULL;
    kv->db =
        rocksdb_open_column_families(kv->options, kv->path, (int)list.count, list.names, options, kv->handles, &text);
    if (list.listed != NULL) {
        rocksdb_list_column_families_destroy(list.listed, list.listed_count);
    }
    if (text != NULL) {
        kv->db = NULL;
        return kv_fail(kv->path, text, err);
    }
    kv->handle_count = list.count;
    for (uint32_t f = 0; f < MILL_KV_FAMILY_COUNT; f++) {
        kv->families[f] = kv->handles[f + 1];
    }
    return MILL_OK;
}

static void close_database(struct mill_kv *kv)
{
    if (kv->db != NULL) {
        for (uint32_t i = 0; i < kv->handle_count; i++) {
            rocksdb_column_family_handle_destroy(kv->handles[i]);
        }
        rocksdb_close(kv->db);
        kv->db = NULL;
    }
}

int mill_kv_open(const struct mill_kv_options *options, struct mill_kv **ret_kv, struct mill_error *err)
{
    const uint64_t default_bytes = UINT64_C(64) << 20;
    MILL_TRY(mill_file_make_dirs(options->path, err));
    struct mill_kv *kv = mill_calloc(1, sizeof(*kv));
    kv->path = mill_strdup(options->path);
    kv->write_buffer_bytes = options->write_buffer_bytes != 0 ? options->write_buffer_bytes : default_bytes;
    kv->cache = rocksdb_cache_create_lru((size_t)(options->cache_bytes != 0 ? options->cache_bytes : default_bytes));
    kv->write_options = rocksdb_writeoptions_create();
    kv->read_options = rocksdb_readoptions_create();
    kv->options = make_options(kv);
    mill_assert(pthread_rwlock_init(&kv->lock, NULL) == 0);
    mill_assert(pthread_mutex_init(&kv->write_lock, NULL) == 0);

    int rc = open_database(kv, err);
    if (rc < 0) {
        mill_kv_close(kv);
        return rc;
    }
    *ret_kv = kv;
    return MILL_OK;
}

void mill_kv_close(struct mill_kv *kv)
{
    if (kv == NULL) {
        return;
    }
    close_database(kv);
    rocksdb_options_destroy(kv->options);
    rocksdb_readoptions_destroy(kv->read_options);
    rocksdb_writeoptions_destroy(kv->write_options);
    rocksdb_cache_destroy(kv->cache);
    pthread_rwlock_destroy(&kv->lock);
    pthread_mutex_destroy(&kv->write_lock);
    free(kv->path);
    free(kv);
}

/* ------------------------------------------------------------------------------------------------
 * Read and write
 * --------------------------------------------------------------------------------------------- */

/* Every use of the database stands between these two. */
static int kv_enter(struct mill_kv *kv, struct mill_error *err)
{
    pthread_rwlock_rdlock(&kv->lock);
    if (kv->db == NULL) {
        pthread_rwlock_unlock(&kv->lock);
        return mill_fail(err, MILL_EUNAVAIL, "state database '%s' is closed since its disk was full", kv->path);
    }
    return MILL_OK;
}

static void kv_leave(struct mill_kv *kv)
{
    pthread_rwlock_unlock(&kv->lock);
}

int mill_kv_get(struct mill_kv *kv, enum mill_kv_family family, struct mill_slice key, struct mill_buffer *out,
                struct mill_error *err)
{
    mill_assert((unsigned)family < MILL_KV_FAMILY_COUNT);
    MILL_TRY(kv_enter(kv, err));
    char *text = NULL;
    rocksdb_pinnableslice_t *pinned =
        rocksdb_get_pinned_cf(kv->db, kv->read_options, kv->families[family], key.p, key.n, &text);
    int rc = 0;
    if (text != NULL) {
        rc = kv_fail(kv->path, text, err);
    } else if (pinned != NULL) {
        size_t n = 0;
        const char *p = rocksdb_pinnableslice_value(pinned, &n);
        mill_buffer_reset(out);
        mill_buffer_add(out, p, n);
        rc = 1;
    }
    rocksdb_pinnableslice_destroy(pinned);
    kv_leave(kv);
    return rc;
}

static bool is_at(const rocksdb_iterator_t *it, struct mill_slice wanted)
{
    struct mill_slice key = {0};
    if (!rocksdb_iter_valid(it)) {
        return false;
    }
    key.p = rocksdb_iter_key(it, &key.n);
    return mill_slice_equal(key, wanted);
}

int mill_kv_scan(struct mill_kv *kv, enum mill_kv_family family, struct mill_slice prefix, struct mill_slice after,
                 bool (*each)(void *context, struct mill_slice key, struct mill_slice value), void *context,
                 struct mill_error *err)
{
    mill_assert((unsigned)family < MILL_KV_FAMILY_COUNT);
    MILL_TRY(kv_enter(kv, err));
    rocksdb_iterator_t *it = rocksdb_create_iterator_cf(kv->db, kv->read_options, kv->families[family]);
    struct mill_slice from = after.n > 0 ? after : prefix;
    if (from.n > 0) {
        rocksdb_iter_seek(it, from.p, from.n);
    } else {
        rocksdb_iter_seek_to_first(it);
    }
    if (after.n > 0 && is_at(it, after)) {
        rocksdb_iter_next(it);
    }
    for (; rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        struct mill_slice key, value;
        key.p = rocksdb_iter_key(it, &key.n);
        value.p = rocksdb_iter_value(it, &value.n);
        bool inside = key.n >= prefix.n && (prefix.n == 0 || memcmp(key.p, prefix.p, prefix.n) == 0);
        if (!inside || !each(context, key, value)) {
            break;
        }
    }
    char *text = NULL;
    rocksdb_iter_get_error(it, &text);
    rocksdb_iter_destroy(it);
    int rc = text != NULL ? kv_fail(kv->path, text, err) : MILL_OK;
    kv_leave(kv);
    return rc;
}

/*
 * One writer at a time: after a failed write nothing may be written before mill_kv_resume(). A full disk is better not
 * met at all, so a write needs room for itself twice over (log and memtable) and the reserve. Where another process
 * takes that room in between, RocksDB's error comes back.
 */
static int write_native(struct mill_kv *kv, rocksdb_writebatch_t *native, size_t size, struct mill_error *err)
{
    uint64_t room = free_bytes(kv->path);
    if (room < 2 * size + mill__kv_reserve_bytes) {
        return mill_fail(err, MILL_EIO,
                         "state database '%s': no space left on device (%llu MiB free, %llu MiB are needed)", kv->path,
                         (unsigned long long)(room >> 20),
                         (unsigned long long)((2 * size + mill__kv_reserve_bytes) >> 20));
    }
    char *text = NULL;
    int rc = MILL_OK;

    pthread_mutex_lock(&kv->write_lock);
    if (kv->is_broken) {
        rc = mill_fail(err, MILL_EIO, "state database '%s' takes no writes since one failed (%llu MiB free)", kv->path,
                       (unsigned long long)(free_bytes(kv->path) >> 20));
    } else {
        rocksdb_write(kv->db, kv->write_options, native, &text);
        rc = text != NULL ? kv_fail(kv->path, text, err) : MILL_OK;
        kv->is_broken = rc < 0;
    }
    pthread_mutex_unlock(&kv->write_lock);
    return rc;
}

int mill_kv_write(struct mill_kv *kv, struct mill_kv_batch *batch, struct mill_error *err)
{
    if (batch->count == 0) {
        return MILL_OK;
    }
    MILL_TRY(kv_enter(kv, err));
    rocksdb_writebatch_t *native = rocksdb_writebatch_create();
    struct mill_cursor cursor = mill_cursor_of(mill_buffer_slice(&batch->records));
    for (uint32_t i = 0; i < batch->count; i++) {
        struct mill__kv_record r = mill__kv_batch_next(&cursor);
        if (r.is_delete) {
            rocksdb_writebatch_delete_cf(native, kv->families[r.family], r.key.p, r.key.n);
        } else {
            rocksdb_writebatch_put_cf(native, kv->families[r.family], r.key.p, r.key.n, r.value.p, r.value.n);
        }
    }
    mill_assert(cursor.p == cursor.end);
    int rc = write_native(kv, native, batch->records.n, err);
    rocksdb_writebatch_destroy(native);
    kv_leave(kv);
    return rc;
}

/* True where a write would be accepted: an empty batch meets the same checks. */
static bool is_writable(struct mill_kv *kv)
{
    rocksdb_writebatch_t *empty = rocksdb_writebatch_create();
    char *text = NULL;
    rocksdb_write(kv->db, kv->write_options, empty, &text);
    rocksdb_writebatch_destroy(empty);
    rocksdb_free(text);
    return text == NULL;
}

int mill_kv_resume(struct mill_kv *kv, struct mill_error *err)
{
    pthread_rwlock_wrlock(&kv->lock);
    uint64_t bytes = free_bytes(kv->path);
    int rc = MILL_OK;
    if (bytes < mill__kv_reserve_bytes) {
        /* Reads still work; do not give them up for an attempt that would fail. */
        rc = mill_fail(err, MILL_EIO,
                       "state database '%s': no space left on device (%llu MiB free, %llu MiB are needed to go on)",
                       kv->path, (unsigned long long)(bytes >> 20), (unsigned long long)(mill__kv_reserve_bytes >> 20));
    } else if (kv->db == NULL || kv->is_broken || !is_writable(kv)) {
        close_database(kv);
        rc = open_database(kv, err);
        kv->is_broken = rc < 0;
    }
    pthread_rwlock_unlock(&kv->lock);
    return rc;
}
