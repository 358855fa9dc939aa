/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines: one object per line; see file_internal.h. Blank lines are no rows. */
#include "ingest/file/file_internal.h"
#include "ingest/json_decode_internal.h"

struct line {
    struct mill_slice text;
    size_t size; /* with its end */
};

static void close_jsonl(void *reader)
{
    mill__json_plan_free(reader);
}

static bool is_blank(struct mill_slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r') {
            return false;
        }
    }
    return true;
}

/* False where the line at p may go on behind the chunk. */
static bool find_line(const struct mill__rows *rows, size_t at, struct line *ret_line)
{
    const char *p = rows->p + at, *newline = memchr(p, '\n', rows->size - at);

    if (newline == NULL && !rows->is_last) {
        return false;
    }
    ret_line->text = (struct mill_slice){p, newline == NULL ? rows->size - at : (size_t)(newline - p)};
    ret_line->size = ret_line->text.n + (newline != NULL);
    return true;
}

static size_t read_jsonl(void *reader, const struct mill__rows *rows, struct mill_file_source *file)
{
    struct mill__json_plan *plan = reader;
    struct mill_batch *batch = rows->batch;
    size_t limit = mill__file_row_max(mill__json_plan_spec(plan)), at = 0;
    struct mill__fault fault;
    struct line line;

    while (batch->row_count < batch->row_capacity && at < rows->size && find_line(rows, at, &line)) {
        if (!is_blank(line.text)) {
            struct mill_slice raw = {rows->raw + at, line.text.n};
            bool ok = line.text.n > limit ? mill__fault(&fault, MILL_REJECT_TOO_LARGE,
                                                        "row of %zu bytes, the limit is %zu", line.text.n, limit)
                                          : mill__json_plan_run(plan, line.text, batch, batch->row_count, &fault);
            mill__file_add_row(file, batch, rows->rejects, ok, &fault, raw);
        }
        at += line.size;
    }
    return at;
}

int mill__jsonl_open(const struct mill_source_spec *spec, void **ret_reader)
{
    *ret_reader = mill__json_plan_new(spec);
    return 0;
}

const struct mill__file_reader mill__jsonl_reader = {close_jsonl, read_jsonl};
