/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a byte of a scalar's text back to its line and column in the file, so that an error inside an expression points
 * at the very character, whatever way the expression is quoted or folded.
 *
 * libyaml gives only where a scalar begins. So the source is walked again from there beside the text, and the two are
 * kept in step: escapes, doubled quotes, line folding and block indentation are all that YAML may change in between.
 */
#include "engine/config_internal.h"

#include <string.h>

struct walk {
    const char *p, *end; /* in the source */
    unsigned line, col;
    struct mill_slice text; /* raw text of the scalar */
    size_t at;              /* in the text: what the source at p gives */
};

static bool is_blank(char ch)
{
    return ch == ' ' || ch == '\t';
}

static bool is_break(char ch)
{
    return ch == '\n' || ch == '\r';
}

/* Passes over one character of the source. */
static void step(struct walk *w)
{
    if (*w->p == '\n' || (*w->p == '\r' && (w->p + 1 == w->end || w->p[1] != '\n'))) {
        w->line++;
        w->col = 1;
        w->p++;
        return;
    }
    do {
        w->p++;
    } while (w->p < w->end && ((unsigned char)*w->p & 0xc0) == 0x80);
    w->col++;
}

/* Passes over one character of the text. */
static void take(struct walk *w)
{
    do {
        w->at++;
    } while (w->at < w->text.n && ((unsigned char)w->text.p[w->at] & 0xc0) == 0x80);
}

/* At blanks or breaks of a flow scalar: a line end with everything blank around it became one blank or n newlines. */
static bool fold_line(struct walk *w)
{
    const char *q = w->p;
    while (q < w->end && is_blank(*q)) {
        q++;
    }
    if (q == w->end || !is_break(*q)) {
        return false;
    }
    while (w->p < w->end && (is_blank(*w->p) || is_break(*w->p))) {
        step(w);
    }
    if (w->at < w->text.n && w->text.p[w->at] == ' ') {
        w->at++;
    }
    while (w->at < w->text.n && w->text.p[w->at] == '\n') {
        w->at++;
    }
    return true;
}

static void step_escape(struct walk *w)
{
    step(w);
    if (w->p == w->end) {
        return;
    }
    if (is_break(*w->p)) { /* an escaped line end gives nothing */
        while (w->p < w->end && (is_blank(*w->p) || is_break(*w->p))) {
            step(w);
        }
        return;
    }
    unsigned digits = *w->p == 'x' ? 2 : *w->p == 'u' ? 4 : *w->p == 'U' ? 8 : 0;
    step(w);
    for (; digits > 0 && w->p < w->end; digits--) {
        step(w);
    }
    take(w);
}

static void walk_flow(struct walk *w, enum mill__style style, size_t offset)
{
    if (style != MILL__PLAIN) {
        step(w); /* the opening quote */
    }
    while (w->p < w->end && w->at < offset) {
        if ((is_blank(*w->p) || is_break(*w->p)) && fold_line(w)) {
            continue;
        }
        if (style == MILL__DOUBLE_QUOTED && *w->p == '\\') {
            step_escape(w);
            continue;
        }
        if (style == MILL__SINGLE_QUOTED && *w->p == '\'') {
            step(w); /* two quotes stand for one */
        }
        if (w->p < w->end) {
            step(w);
            take(w);
        }
    }
    /* What comes next may still lie behind a line end that gave nothing, or behind a folded one. */
    while (style == MILL__DOUBLE_QUOTED && w->p + 1 < w->end && *w->p == '\\' && is_break(w->p[1])) {
        step_escape(w);
    }
    if (w->p < w->end && (is_blank(*w->p) || is_break(*w->p)) && w->at == offset && offset < w->text.n &&
        !is_blank(w->text.p[offset]) && !is_break(w->text.p[offset])) {
        fold_line(w);
    }
}

static size_t leading_blanks(const char *p, const char *end)
{
    size_t n = 0;
    while (p + n < end && p[n] == ' ') {
        n++;
    }
    return n;
}

static void skip_block_breaks(struct walk *w, size_t indent)
{
    for (;;) {
        size_t blanks = leading_blanks(w->p, w->end);
        if (w->p + blanks < w->end && is_break(w->p[blanks])) {
            while (blanks-- > 0) {
                step(w);
            }
            step(w);
            continue;
        }
        for (size_t i = 0; i < indent && w->p < w->end && *w->p == ' '; i++) {
            step(w);
        }
        return;
    }
}

/* Literal and folded blocks: text lines begin behind the block's indentation; line ends and empty lines became newlines
 * or one blank. */
static void walk_block(struct walk *w, size_t offset)
{
    while (w->p < w->end && !is_break(*w->p)) {
        step(w); /* the header: | or >, indicators, comment */
    }
    const char *line = w->p;
    while (line < w->end && (is_break(*line) || is_blank(*line))) {
        line++;
    }
    const char *first = line;
    while (first > w->p && !is_break(first[-1])) {
        first--;
    }
    while (w->at < w->text.n && w->text.p[w->at] == '\n') {
        w->at++;
    }
    size_t own = leading_blanks(w->text.p + w->at, w->text.p + w->text.n);
    size_t indent = (size_t)(line - first) > own ? (size_t)(line - first) - own : 0;
    skip_block_breaks(w, indent);
    while (w->p < w->end && w->at < offset) {
        if (!is_break(*w->p)) {
            step(w);
            take(w);
            continue;
        }
        if (w->text.p[w->at] == ' ') {
            w->at++;
        }
        while (w->at < w->text.n && w->text.p[w->at] == '\n') {
            w->at++;
        }
        skip_block_breaks(w, indent);
    }
}

/* The byte of the raw text that gave byte `offset` of the interpolated one. */
static size_t raw_offset(const struct mill__node *node, size_t offset)
{
    size_t raw = offset;
    for (uint32_t i = 0; i < node->splice_count && node->splices[i].to <= offset; i++) {
        const struct mill__splice *splice = &node->splices[i];
        raw = splice->verbatim ? splice->from + (offset - splice->to) : splice->from;
    }
    return raw < node->raw.n ? raw : node->raw.n;
}

static const char *find_line(struct mill_slice source, unsigned line)
{
    const char *p = source.p, *end = source.p + source.n;
    for (unsigned i = 1; i < line && p < end; i++) {
        while (p < end && !is_break(*p)) {
            p++;
        }
        p += p < end && *p == '\r' && p + 1 < end && p[1] == '\n';
        p += p < end;
    }
    return p;
}

static struct walk walk_to(const struct mill__config *c, const struct mill__node *node)
{
    struct walk w = {find_line(c->source, node->line), c->source.p + c->source.n, node->line, 1, node->raw, 0};
    static const char mark[] = "\xef\xbb\xbf"; /* libyaml does not count a byte order mark */
    if (node->line == 1 && w.end - w.p >= 3 && memcmp(w.p, mark, 3) == 0) {
        w.p += 3;
    }
    while (w.p < w.end && w.col < node->col) {
        step(&w);
    }
    return w;
}

const char *mill__node_source(const struct mill__config *c, const struct mill__node *node)
{
    return walk_to(c, node).p;
}

void mill__node_position(const struct mill__config *c, const struct mill__node *node, size_t offset, unsigned *ret_line,
                         unsigned *ret_col)
{
    *ret_line = node->line;
    *ret_col = node->col;
    if (node->kind != MILL__SCALAR || node->line == 0) {
        return;
    }
    struct walk w = walk_to(c, node);
    /* Anchors and tags stand before the scalar itself in libyaml's marks. */
    while (w.p < w.end && (*w.p == '&' || *w.p == '!') && node->style != MILL__PLAIN) {
        while (w.p < w.end && !is_blank(*w.p) && !is_break(*w.p)) {
            step(&w);
        }
        while (w.p < w.end && is_blank(*w.p)) {
            step(&w);
        }
    }
    size_t target = raw_offset(node, offset);
    if (node->style == MILL__LITERAL || node->style == MILL__FOLDED) {
        walk_block(&w, target);
    } else {
        walk_flow(&w, node->style, target);
    }
    *ret_line = w.line;
    *ret_col = w.col;
}
