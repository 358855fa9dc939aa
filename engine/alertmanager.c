/* SPDX-License-Identifier: Apache-2.0 */
/* What fires, kept and sent to Alertmanager; see alertmanager_internal.h. The only file of engine/ that knows libcurl.
 */
#include "engine/alertmanager_internal.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/timestamp.h"

enum { TIMEOUT_MS = 5000, BACKOFF_MIN_MS = 500, BACKOFF_MAX_MS = 30000, ENDS_AFTER_RESENDS = 3 };

struct entry {
    char fingerprint[17];
    enum mill_severity severity;
    char *labels, *annotations; /* JSON objects */
    int64_t starts_us;          /* wall times */
    int64_t ends_us;            /* when it was resolved; 0: it fires */
};

struct mill__alertmanager {
    char *url, *auth, *project;
    int64_t resend_us, keep_resolved_us;
    struct mill_metric *failures;
    pthread_t thread;

    pthread_mutex_t lock; /* all below */
    pthread_cond_t wake;
    struct entry *entries;
    uint32_t count, capacity;
    bool is_changed, is_closing, has_overflowed;
};

/* ---- what an alert says ---- */

static void add_label(struct mill_json_writer *w, const char *name, const char *value)
{
    mill_json_write_key(w, name);
    mill_json_write_cstr(w, value);
}

static const char *subject_of(const struct mill_drift_alert *alert)
{
    return alert->result == NULL ? "performance" : alert->result->feature->name;
}

static void segment_of(const struct mill_drift_alert *alert, struct mill_buffer *out)
{
    if (alert->result != NULL) {
        mill_drift_segment_name(alert->report->profile, alert->result->segment, out);
    }
}

static char *write_labels(const struct mill__alertmanager *am, const struct mill_drift_alert *alert,
                          enum mill_severity severity)
{
    struct mill_buffer out = {0}, segment = {0};
    struct mill_json_writer w;

    segment_of(alert, &segment);
    mill_json_writer_init(&w, &out, false);
    mill_json_write_object_begin(&w);
    add_label(&w, "alertname", alert->result == NULL ? "TidemillPerformance" : "TidemillDrift");
    add_label(&w, "project", am->project);
    add_label(&w, "monitor", alert->report->monitor);
    add_label(&w, "model", alert->report->model);
    add_label(&w, "feature", subject_of(alert));
    if (segment.n > 0) {
        add_label(&w, "segment", mill_buffer_cstr(&segment));
    }
    add_label(&w, "severity", severity == MILL_SEVERITY_MAJOR ? "critical" : "warning");
    mill_json_write_object_end(&w);
    char *text = mill_strdup(mill_buffer_cstr(&out));
    mill_buffer_clear(&out);
    mill_buffer_clear(&segment);
    return text;
}

static void add_time(struct mill_json_writer *w, const char *name, int64_t us)
{
    char text[32];

    mill_json_write_key(w, name);
    mill_json_write_string(w, (struct mill_slice){text, mill_timestamp_print(us, text)});
}

static void add_summary(struct mill_json_writer *w, const struct mill_drift_alert *alert)
{
    const struct mill_drift_report *report = alert->report;
    const char *reason = alert->result == NULL ? report->performance_reason : alert->result->reason;
    double value = alert->result == NULL ? report->performance_value : alert->result->value;
    double threshold = alert->result == NULL ? report->performance_threshold : alert->result->threshold;
    struct mill_buffer text = {0};

    mill_buffer_printf(&text, "%s of model %s", subject_of(alert), report->model);
    if (reason != NULL) {
        mill_buffer_printf(&text, ": %s %.4g, threshold %.4g", reason, value, threshold);
    }
    add_label(w, "summary", mill_buffer_cstr(&text));
    mill_buffer_clear(&text);
}

static char *write_annotations(const struct mill_drift_alert *alert)
{
    struct mill_buffer out = {0}, rows = {0};
    struct mill_json_writer w;

    mill_json_writer_init(&w, &out, false);
    mill_json_write_object_begin(&w);
    add_summary(&w, alert);
    add_label(&w, "model_version", alert->report->model_version);
    add_time(&w, "window_start", alert->report->start_us);
    add_time(&w, "window_end", alert->report->end_us);
    add_time(&w, "since", alert->since_us);
    mill_buffer_printf(&rows, "%llu", (unsigned long long)alert->report->row_count);
    add_label(&w, "window_rows", mill_buffer_cstr(&rows));
    mill_json_write_object_end(&w);
    char *text = mill_strdup(mill_buffer_cstr(&out));
    mill_buffer_clear(&out);
    mill_buffer_clear(&rows);
    return text;
}

/* ---- the list; the lock is held ---- */

static struct entry *find_entry(struct mill__alertmanager *am, const char *fingerprint, enum mill_severity severity)
{
    for (uint32_t i = 0; i < am->count; i++) {
        if (am->entries[i].severity == severity && strcmp(am->entries[i].fingerprint, fingerprint) == 0) {
            return &am->entries[i];
        }
    }
    return NULL;
}

static struct entry *add_entry(struct mill__alertmanager *am)
{
    if (am->count == MILL__ALERTS_MAX) {
        am->has_overflowed = true;
        return NULL;
    }
    if (am->count == am->capacity) {
        am->capacity = am->capacity == 0 ? 16 : 2 * am->capacity;
        am->entries = mill_realloc(am->entries, am->capacity * sizeof(*am->entries));
    }
    am->entries[am->count] = (struct entry){.starts_us = mill_clock_wall_us()};
    return &am->entries[am->count++];
}

static void drop_entry(struct mill__alertmanager *am, uint32_t i)
{
    free(am->entries[i].labels);
    free(am->entries[i].annotations);
    am->entries[i] = am->entries[--am->count];
}

/* Everything of this alert but what fires now is over. */
static void resolve_others(struct mill__alertmanager *am, const char *fingerprint, enum mill_severity firing)
{
    for (uint32_t i = 0; i < am->count; i++) {
        struct entry *e = &am->entries[i];
        if (strcmp(e->fingerprint, fingerprint) == 0 && e->severity != firing && e->ends_us == 0) {
            e->ends_us = mill_clock_wall_us();
        }
    }
}

static void set_firing(struct mill__alertmanager *am, const struct mill_drift_alert *alert)
{
    struct entry *e = find_entry(am, alert->fingerprint, alert->severity);

    if (e == NULL) {
        e = add_entry(am);
        if (e == NULL) {
            return;
        }
        memcpy(e->fingerprint, alert->fingerprint, sizeof(e->fingerprint));
        e->severity = alert->severity;
        e->labels = write_labels(am, alert, alert->severity);
    } else if (e->ends_us != 0) {
        e->starts_us = mill_clock_wall_us();
    }
    e->ends_us = 0;
    free(e->annotations);
    e->annotations = write_annotations(alert);
}

void mill__alertmanager_put(struct mill__alertmanager *am, const struct mill_drift_alert *alert)
{
    bool fires = alert->status != MILL_ALERT_RESOLVED;

    pthread_mutex_lock(&am->lock);
    bool overflowed = am->has_overflowed;
    resolve_others(am, alert->fingerprint, fires ? alert->severity : MILL_SEVERITY_NONE);
    if (fires) {
        set_firing(am, alert);
    }
    am->is_changed = true;
    overflowed = am->has_overflowed && !overflowed;
    pthread_cond_signal(&am->wake);
    pthread_mutex_unlock(&am->lock);
    if (overflowed) {
        mill_log(MILL_LOG_WARNING, "alertmanager", "more than %d alerts fire; further ones are not sent to '%s'",
                 MILL__ALERTS_MAX, am->url);
    }
}

/* ---- the thread ---- */

static void write_entry(const struct mill__alertmanager *am, const struct entry *e, int64_t now_us,
                        struct mill_buffer *out)
{
    char starts[32], ends[32];
    int64_t ends_us = e->ends_us != 0 ? e->ends_us : now_us + ENDS_AFTER_RESENDS * am->resend_us;
    int n = (int)mill_timestamp_print(e->starts_us, starts), m = (int)mill_timestamp_print(ends_us, ends);

    mill_buffer_printf(out, "{\"labels\":%s,\"annotations\":%s,\"startsAt\":\"%.*s\",\"endsAt\":\"%.*s\"}", e->labels,
                       e->annotations, n, starts, m, ends);
}

/* The request's body; false where there is nothing to say. Resolved ones that were said for long enough go. */
static bool write_body(struct mill__alertmanager *am, struct mill_buffer *out)
{
    int64_t now_us = mill_clock_wall_us();

    mill_buffer_reset(out);
    mill_buffer_add_byte(out, '[');
    for (uint32_t i = 0; i < am->count;) {
        if (am->entries[i].ends_us != 0 && now_us - am->entries[i].ends_us > am->keep_resolved_us) {
            drop_entry(am, i);
            continue;
        }
        if (out->n > 1) {
            mill_buffer_add_byte(out, ',');
        }
        write_entry(am, &am->entries[i++], now_us, out);
    }
    mill_buffer_add_byte(out, ']');
    return am->count > 0;
}

static size_t on_answer(char *p, size_t size, size_t count, void *context)
{
    (void)p;
    (void)context;
    return size * count;
}

static int post(const struct mill__alertmanager *am, CURL *curl, struct mill_slice body, struct mill_error *err)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:"); /* no round trip before a long body */
    long status = 0;

    curl_easy_setopt(curl, CURLOPT_URL, am->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "tidemill/" MILL_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.p);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    if (am->auth != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERPWD, am->auth);
    }
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        return mill_fail(err, MILL_EUNAVAIL, "'%s': %s", am->url, curl_easy_strerror(code));
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300
               ? MILL_OK
               : mill_fail(err, MILL_EUNAVAIL, "'%s' answers with status %ld", am->url, status);
}

/* Waits until something changed, it is time to say it again, or the end. The lock is held. */
static void wait_us(struct mill__alertmanager *am, int64_t us, bool for_change)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += us / MILL_US_PER_SECOND;
    until.tv_nsec += us % MILL_US_PER_SECOND * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!am->is_closing && !(for_change && am->is_changed) &&
           pthread_cond_timedwait(&am->wake, &am->lock, &until) != ETIMEDOUT) {
    }
}

/* One round: sends all there is. Returns how long to wait then. */
static int64_t send_all(struct mill__alertmanager *am, CURL *curl, struct mill_buffer *body, int64_t backoff_us)
{
    struct mill_error err;

    am->is_changed = false;
    if (!write_body(am, body)) {
        return am->resend_us;
    }
    pthread_mutex_unlock(&am->lock);
    int rc = post(am, curl, mill_buffer_slice(body), &err);
    if (rc < 0) {
        if (am->failures != NULL) {
            mill_counter_add(am->failures, 1);
        }
        mill_log(MILL_LOG_WARNING, "alertmanager", "alerts cannot be sent and will be tried again: %s", err.msg);
    }
    pthread_mutex_lock(&am->lock);
    return rc < 0 ? -backoff_us : am->resend_us;
}

static void *run(void *context)
{
    struct mill__alertmanager *am = context;
    struct mill_buffer body = {0};
    int64_t backoff_us = BACKOFF_MIN_MS * 1000;
    CURL *curl = curl_easy_init();

    mill_assert(curl != NULL);
    pthread_mutex_lock(&am->lock);
    while (!am->is_closing || am->is_changed) {
        int64_t pause_us = send_all(am, curl, &body, backoff_us);
        if (pause_us < 0) {
            if (am->is_closing) {
                break;
            }
            wait_us(am, -pause_us, false);
            backoff_us = backoff_us * 2 < BACKOFF_MAX_MS * 1000 ? backoff_us * 2 : BACKOFF_MAX_MS * 1000;
            am->is_changed = true;
        } else {
            backoff_us = BACKOFF_MIN_MS * 1000;
            wait_us(am, pause_us, true);
        }
    }
    pthread_mutex_unlock(&am->lock);
    curl_easy_cleanup(curl);
    mill_buffer_clear(&body);
    return NULL;
}

static void curl_start(void)
{
    CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
    mill_assert(rc == CURLE_OK);
}

/* The API's address, and the user and password before the host apart from it, so that no log line shows them. */
static void set_address(struct mill__alertmanager *am, const char *url)
{
    struct mill_buffer address = {0};
    const char *host = strstr(url, "://") + 3, *user = host;
    size_t n = strlen(url);

    for (const char *p = host; *p != '\0' && *p != '/'; p++) {
        host = *p == '@' ? p + 1 : host;
    }
    while (n > 0 && url[n - 1] == '/') {
        n--;
    }
    mill_buffer_printf(&address, "%.*s%.*s/api/v2/alerts", (int)(user - url), url, (int)(url + n - host), host);
    am->url = mill_strdup(mill_buffer_cstr(&address));
    mill_buffer_reset(&address);
    if (host > user) {
        mill_buffer_printf(&address, "%.*s", (int)(host - 1 - user), user);
        am->auth = mill_strdup(mill_buffer_cstr(&address));
    }
    mill_buffer_clear(&address);
}

int mill__alertmanager_open(const struct mill__alertmanager_options *options, struct mill__alertmanager **ret_am,
                            struct mill_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_condattr_t monotonic;

    if (strncmp(options->url, "http://", 7) != 0 && strncmp(options->url, "https://", 8) != 0) {
        return mill_fail(err, MILL_ECONFIG, "alertmanager '%s': expected a URL such as http://127.0.0.1:9093",
                         options->url);
    }
    pthread_once(&once, curl_start);
    struct mill__alertmanager *am = mill_calloc(1, sizeof(*am));
    set_address(am, options->url);
    am->project = mill_strdup(options->project);
    am->resend_us = options->resend_us > 0 ? options->resend_us : MILL_US_PER_MINUTE;
    am->keep_resolved_us = options->keep_resolved_us > 0 ? options->keep_resolved_us : 5 * MILL_US_PER_MINUTE;
    am->failures = options->failures;
    pthread_mutex_init(&am->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&am->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int rc = pthread_create(&am->thread, NULL, run, am);
    mill_assert(rc == 0);
    *ret_am = am;
    return MILL_OK;
}

void mill__alertmanager_close(struct mill__alertmanager *am)
{
    if (am == NULL) {
        return;
    }
    pthread_mutex_lock(&am->lock);
    am->is_closing = true;
    pthread_cond_signal(&am->wake);
    pthread_mutex_unlock(&am->lock);
    pthread_join(am->thread, NULL);
    while (am->count > 0) {
        drop_entry(am, am->count - 1);
    }
    pthread_mutex_destroy(&am->lock);
    pthread_cond_destroy(&am->wake);
    free(am->entries);
    free(am->url);
    free(am->auth);
    free(am->project);
    free(am);
}
