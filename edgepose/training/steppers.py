"""One optimizer step on each of Keras's backends: thin, since what is computed is defined elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from edgeio import lookup
from edgepose.training.augmentation import Arrays
from edgepose.training.constraints import WeightConstraint
from edgepose.training.devices import shard
from edgepose.training.fused_passes import in_fewer_passes


@dataclass(frozen=True)
class StepperSetup:
    """What a stepper trains, and how, in any backend's terms.

    Attributes:
        model: a Keras model; every trainable variable of it is trained.
        optimizer: a Keras optimizer.
        augment: a batch's arrays -> the sample, whose `inputs` the model reads.
        compute: outputs, sample and the epoch's scalars -> losses by name; `loss` is minimised.
        normalise: images (B, H, W, 3) uint8 -> inputs, for prediction.
        maps: index among the model's outputs of the maps that are kept.
        constraints: what every step keeps of some variables.
        averaged: variables of the model, each with its average; see `averaging`.
    """

    model: Any
    optimizer: Any
    augment: Callable[[Arrays], Arrays]
    compute: Callable[[list[Any], Arrays, Arrays], Arrays]
    normalise: Callable[[Any], Any]
    maps: int = -1
    constraints: tuple[WeightConstraint, ...] = ()
    averaged: tuple[tuple[Any, Any], ...] = ()


class Stepper(Protocol):
    """Trains a model step by step."""

    def step(self, parts: list[Arrays], scalars: Mapping[str, float], learning_rate: float) -> list[Arrays]:
        """One optimizer step on the parts of a batch: the losses of each, still on the device."""
        ...

    def average(self, decay: float) -> None:
        """Move each average towards its variable: decay x average + (1 - decay) x variable."""
        ...

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Images (B, H, W, 3) uint8 -> maps (B, h, w, K) float32 of the network as it is now."""
        ...

    def pull(self) -> None:
        """Bring the model's and the optimizer's variables up to date."""
        ...

    def push(self) -> None:
        """Take over what was assigned to the variables."""
        ...


def as_graph(call: Callable[..., Any]) -> Callable[..., Any]:
    """A `tf.function`; without XLA, which is ten times slower on CPUs."""
    from edgepose.frameworks import tensorflow

    return tensorflow().function(call, jit_compile=False)


class TensorFlowStepper:
    """TensorFlow's graphs, which read and change the variables in place."""

    def __init__(self, stepper_setup: StepperSetup) -> None:
        from edgepose.frameworks import tensorflow

        tf = tensorflow()
        model, optimizer = stepper_setup.model, stepper_setup.optimizer
        trained = in_fewer_passes(model)

        def step(arrays: Arrays, scalars: Arrays) -> Arrays:
            sample = stepper_setup.augment(arrays)
            with tf.GradientTape() as tape:
                losses = stepper_setup.compute(
                    _listed(trained(sample["inputs"], training=True)), sample, scalars
                )
                scaled = optimizer.scale_loss(losses["loss"])
            gradients = tape.gradient(scaled, model.trainable_variables)
            before = [tf.identity(constraint.variable) for constraint in stepper_setup.constraints]
            optimizer.apply(gradients, model.trainable_variables)
            for constraint, value in zip(stepper_setup.constraints, before, strict=True):
                constraint.variable.assign(constraint.project(value, tf.identity(constraint.variable)))
            return losses

        def predict(images: Any) -> Any:
            return _listed(model(stepper_setup.normalise(images), training=False))[stepper_setup.maps]

        def average(decay: Any) -> None:
            for variable, mean in stepper_setup.averaged:
                mean.assign(decay * tf.identity(mean) + (1 - decay) * tf.identity(variable))

        self._optimizer = optimizer
        self._average = as_graph(average)
        self._step = as_graph(step)
        self._predict = as_graph(predict)

    def step(self, parts: list[Arrays], scalars: Mapping[str, float], learning_rate: float) -> list[Arrays]:
        self._optimizer.learning_rate = learning_rate
        values = _scalar_arrays(scalars)
        return [self._step(part, values) for part in parts]

    def average(self, decay: float) -> None:
        from edgepose.frameworks import tensorflow

        self._average(tensorflow().constant(decay, "float32"))

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self._predict(images), np.float32)

    def pull(self) -> None:
        """Variables are changed in place."""

    def push(self) -> None:
        """Variables are read in place."""


class JaxStepper:
    """A jitted pure function over the variables' values, which live here between `push` and `pull`."""

    _state: tuple[
        list[Any], list[Any], list[Any]
    ]  # of the model's variables, trainable or not; the optimizer's
    _means: list[Any]  # of averaged variables

    def __init__(self, stepper_setup: StepperSetup) -> None:
        import jax

        self._model, self._optimizer = stepper_setup.model, stepper_setup.optimizer
        self._averaged = stepper_setup.averaged
        self._average = jax.jit(_jax_average(stepper_setup), donate_argnums=0)
        self._step = jax.jit(_jax_step(stepper_setup), donate_argnums=0)
        self._predict = jax.jit(_jax_predict(stepper_setup))
        # The last: a loss-scaling optimizer has one without use before that of the optimizer inside.
        names = [variable.name for variable in self._optimizer.variables]
        self._rate = max(i for i, name in enumerate(names) if name == "learning_rate")
        self.push()

    def step(self, parts: list[Arrays], scalars: Mapping[str, float], learning_rate: float) -> list[Arrays]:
        self._state[2][self._rate] = np.float32(learning_rate)
        values, losses = _scalar_arrays(scalars), []
        for part in parts:
            self._state, found = self._step(self._state, shard(part), values)
            losses.append(found)
        return losses

    def average(self, decay: float) -> None:
        trainable, others, _ = self._state
        self._means = self._average(self._means, trainable, others, np.float32(decay))

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self._predict(self._state[0], self._state[1], images), np.float32)

    def pull(self) -> None:
        for (_, mean), value in zip(self._averaged, self._means, strict=True):
            mean.assign(value)
        for variables, values in zip(self._variables(), self._state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self.push()  # the variables now own these values, and the next step would take their memory

    def push(self) -> None:
        import jax.numpy as jnp

        trainable, others, slots = ([jnp.copy(v.value) for v in some] for some in self._variables())
        self._state = trainable, others, slots
        self._means = [jnp.copy(mean.value) for _, mean in self._averaged]

    def _variables(self) -> tuple[list[Any], list[Any], list[Any]]:
        model = self._model
        return model.trainable_variables, model.non_trainable_variables, self._optimizer.variables


def _jax_step(stepper_setup: StepperSetup) -> Callable[[Any, Arrays, Arrays], Any]:
    import jax

    model, optimizer = stepper_setup.model, stepper_setup.optimizer
    places = {id(variable): i for i, variable in enumerate(model.trainable_variables)}
    held = [(places[id(constraint.variable)], constraint.project) for constraint in stepper_setup.constraints]

    def losses(trainable: Any, others: Any, scale: Any, arrays: Arrays, scalars: Arrays) -> Any:
        sample = stepper_setup.augment(arrays)
        outputs, others = model.stateless_call(trainable, others, sample["inputs"], training=True)
        values = stepper_setup.compute(_listed(outputs), sample, scalars)
        return scale * values["loss"], (values, others)

    def step(state: Any, arrays: Arrays, scalars: Arrays) -> Any:
        trainable, others, slots = state
        gradient = jax.grad(losses, has_aux=True)
        scale = _loss_scale(optimizer, slots)
        gradients, (values, others) = gradient(trainable, others, scale, arrays, scalars)
        moved, slots = optimizer.stateless_apply(slots, gradients, trainable)
        for i, project in held:
            moved[i] = project(trainable[i], moved[i])
        return (moved, others, slots), values

    return step


def _jax_average(stepper_setup: StepperSetup) -> Callable[[Any, Any, Any, Any], Any]:
    model = stepper_setup.model
    # Where each averaged variable lies: in which of the two lists, and at what place.
    lists = model.trainable_variables, model.non_trainable_variables
    found = {id(v): (n, i) for n, variables in enumerate(lists) for i, v in enumerate(variables)}
    places = [found[id(variable)] for variable, _ in stepper_setup.averaged]

    def average(means: Any, trainable: Any, others: Any, decay: Any) -> Any:
        values = [(trainable, others)[n][i] for n, i in places]
        return [decay * mean + (1 - decay) * value for mean, value in zip(means, values, strict=True)]

    return average


def _jax_predict(stepper_setup: StepperSetup) -> Callable[[Any, Any, Any], Any]:
    def predict(trainable: Any, others: Any, images: Any) -> Any:
        inputs = stepper_setup.normalise(images)
        outputs, _ = stepper_setup.model.stateless_call(trainable, others, inputs, training=False)
        return _listed(outputs)[stepper_setup.maps]

    return predict


STEPPERS: dict[str, Callable[[StepperSetup], Stepper]] = {
    "tensorflow": TensorFlowStepper,
    "jax": JaxStepper,
}


def make_stepper(stepper_setup: StepperSetup) -> Stepper:
    """The stepper of the running backend; builds the optimizer's variables.

    Raises:
        UnknownName: a backend that we do not train on.
    """
    from edgepose.frameworks import keras

    chosen = lookup(STEPPERS, "Keras backend for training", keras().backend.backend())
    stepper_setup.optimizer.build(stepper_setup.model.trainable_variables)
    return chosen(stepper_setup)


def _listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _scalar_arrays(scalars: Mapping[str, float]) -> Arrays:
    return {name: np.asarray(value, np.float32) for name, value in scalars.items()}


def _loss_scale(optimizer: Any, slots: list[Any]) -> Any:
    """The factor that keeps float16 gradients from vanishing; 1 without float16."""
    for variable, value in zip(optimizer.variables, slots, strict=True):
        if variable.name == "dynamic_scale":
            return value
    return 1.0
