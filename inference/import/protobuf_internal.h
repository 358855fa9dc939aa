/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf's wire format, as much as an ONNX model needs: fields one after the other, bounded by the bytes they stand
 * in. A message is a slice; nothing is built. After an error `bad` stays set and there are no more fields.
 */
#ifndef MILL_INFERENCE_IMPORT_PROTOBUF_INTERNAL_H
#define MILL_INFERENCE_IMPORT_PROTOBUF_INTERNAL_H

#include "base/buffer.h"
#include "inference/import/document_internal.h"

struct mill__pb {
    struct mill_cursor at;
    uint32_t field;
    uint32_t wire;           /* 0 varint, 1 64 bits, 2 bytes, 5 32 bits */
    uint64_t value;          /* of wire 0, 1 and 5 */
    struct mill_slice bytes; /* of wire 2 */
};

struct mill__pb mill__pb_open(struct mill_slice message);
/* False at the end of the message and after an error (`at.bad`). */
bool mill__pb_next(struct mill__pb *pb);

/* Elements of a repeated number, packed or not, added to the vector. Integers must fit 32 bits; false on an error. */
bool mill__pb_add_ints(const struct mill__pb *pb, mill__ints *out);
bool mill__pb_add_floats(const struct mill__pb *pb, mill__doubles *out);

/* TensorProto: the elements, whatever field they stand in. *ret_type: 1 float, 2 uint8, 6 int32, 7 int64, 11 double. */
bool mill__pb_tensor(struct mill_slice message, mill__doubles *out, int64_t *ret_type);

#endif
