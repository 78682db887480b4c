"""The size and the work of a network, as Table 1 counts them."""

from __future__ import annotations

import gc
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

from edgepose.frameworks import tensorflow, tf_keras
from edgepose.keypoints import IN_MOTION_19
from edgepose.models.checkpoint import CheckpointInfo, build
from edgepose.models.networks import HEAD_WIDTH
from edgepose.models.variants import variant


class InferenceCost(NamedTuple):
    """Of the inference graph, upscaling included: all weights, and floating point operations an image."""

    parameters: int
    flops: int


def inference_cost(info: CheckpointInfo) -> InferenceCost:
    """What a checkpoint's network costs, as Table 1 counts it; counted once, since that takes seconds.

    TensorFlow's profiler counts the operations, on tf_keras's graph: that keeps batch normalisation as
    the one operator which the paper's count passes over, where Keras 3 spells it out.
    """
    return _counted(replace(info, source=""))


@cache
def _counted(info: CheckpointInfo) -> InferenceCost:
    model = build(info, "upscaled", tf_keras())
    return InferenceCost(parameters(model), model_flops(model))


def paper_cost(key: str) -> InferenceCost:
    """What a variant costs as the paper builds it; frees the networks that were built before."""
    tf_keras().backend.clear_session()
    gc.collect()
    return inference_cost(
        CheckpointInfo(key, IN_MOTION_19.key, HEAD_WIDTH, variant(key).resolution, "Table 1")
    )


def parameters(model: Any) -> int:
    """All weights of a model, trainable or not."""
    return int(model.count_params())


def model_flops(model: Any) -> int:
    """The profiler's count for one image through a tf_keras model."""
    tf = tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2_as_graph

    image = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    traced = tf.function(lambda x: model(x, training=False)).get_concrete_function(image)
    _, definition = convert_variables_to_constants_v2_as_graph(traced)
    _drop_zero_additions(tf, definition)
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(definition, name="")
        profiler = tf.compat.v1.profiler
        count = profiler.ProfileOptionBuilder.float_operation()
        options = profiler.ProfileOptionBuilder(count).with_empty_output().build()
        return int(profiler.profile(graph, options=options).total_float_ops)


def _drop_zero_additions(tf: ModuleType, definition: Any) -> None:
    """Turn x + 0 into x: Keras's Rescaling adds its offset even where it is zero; TFLite drops it too."""
    nodes = {node.name: node for node in definition.node}
    for node in definition.node:
        if node.op == "AddV2" and _is_zero(tf, nodes, node.input[1]):
            node.op = "Identity"
            del node.input[1]


def _is_zero(tf: ModuleType, nodes: dict[str, Any], name: str) -> bool:
    node = nodes[name.split(":")[0]]
    while node.op in ("Identity", "Cast"):
        node = nodes[node.input[0].split(":")[0]]
    if node.op != "Const":
        return False
    value = tf.make_ndarray(node.attr["value"].tensor)
    return value.shape == () and bool(value == 0)
