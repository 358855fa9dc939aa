/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX: attributes of a node. */
#include <stdio.h>

#include "inference/import/onnx_internal.h"

bool mill__onnx_find(const struct mill__onnx_node *node, const char *name, struct mill_slice *ret_message)
{
    struct mill__pb pb = mill__pb_open(node->message), attribute;
    while (mill__pb_next(&pb)) {
        if (pb.field != 5 || pb.wire != 2) {
            continue;
        }
        attribute = mill__pb_open(pb.bytes);
        while (mill__pb_next(&attribute)) {
            if (attribute.field == 1 && attribute.wire == 2) {
                if (mill_slice_is(attribute.bytes, name)) {
                    *ret_message = pb.bytes;
                    return true;
                }
                break;
            }
        }
    }
    return false;
}

static int fail_attribute(struct mill__onnx *x, const char *name)
{
    return mill_fail(x->err, MILL_EDATA, "the attribute '%s' is malformed or of another type", name);
}

int mill__onnx_ints(struct mill__onnx *x, const struct mill__onnx_node *node, const char *name, mill__ints *out)
{
    struct mill_slice message;
    out->n = 0;
    if (!mill__onnx_find(node, name, &message)) {
        return 0;
    }
    struct mill__pb pb = mill__pb_open(message);
    while (mill__pb_next(&pb)) {
        if (pb.field == 8 && !mill__pb_add_ints(&pb, out)) {
            return fail_attribute(x, name);
        }
    }
    return pb.at.bad ? fail_attribute(x, name) : 0;
}

static int read_tensor(struct mill__onnx *x, struct mill_slice tensor, const char *name, mill__doubles *out,
                       bool *ret_is_double)
{
    int64_t type = 0;
    if (!mill__pb_tensor(tensor, out, &type) || (type != 1 && type != 2 && type != 7 && type != 11)) {
        return fail_attribute(x, name);
    }
    if (ret_is_double != NULL) {
        *ret_is_double |= type == 11;
    }
    return 0;
}

int mill__onnx_floats(struct mill__onnx *x, const struct mill__onnx_node *node, const char *name, mill__doubles *out,
                      bool *ret_is_double)
{
    struct mill_slice message;
    char as_tensor[64];
    snprintf(as_tensor, sizeof(as_tensor), "%s_as_tensor", name);
    out->n = 0;
    if (!mill__onnx_find(node, name, &message) && !mill__onnx_find(node, as_tensor, &message)) {
        return 0;
    }
    struct mill__pb pb = mill__pb_open(message);
    while (mill__pb_next(&pb)) {
        if (pb.field == 5 && pb.wire == 2) {
            return read_tensor(x, pb.bytes, name, out, ret_is_double);
        }
        if ((pb.field == 2 || pb.field == 7) && !mill__pb_add_floats(&pb, out)) {
            return fail_attribute(x, name);
        }
    }
    return pb.at.bad ? fail_attribute(x, name) : 0;
}

int mill__onnx_int(struct mill__onnx *x, const struct mill__onnx_node *node, const char *name, int64_t fallback,
                   int64_t *ret_value)
{
    struct mill_slice message;
    *ret_value = fallback;
    if (!mill__onnx_find(node, name, &message)) {
        return 0;
    }
    struct mill__pb pb = mill__pb_open(message);
    while (mill__pb_next(&pb)) {
        if (pb.field == 3 && pb.wire == 0) {
            *ret_value = (int64_t)pb.value;
        }
    }
    return pb.at.bad ? fail_attribute(x, name) : 0;
}

struct mill_slice mill__onnx_text(const struct mill__onnx_node *node, const char *name)
{
    struct mill_slice message, text = {"", 0};
    if (mill__onnx_find(node, name, &message)) {
        struct mill__pb pb = mill__pb_open(message);
        while (mill__pb_next(&pb)) {
            text = pb.field == 4 && pb.wire == 2 ? pb.bytes : text;
        }
    }
    return text;
}
