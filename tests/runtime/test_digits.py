"""The embedded digit classifier: accurate in the referee, and made of the operators it needs."""

from importlib.resources import files

import numpy as np
import tflite
from tflite_micro.python.tflite_micro import runtime

DATA = files("celosia.runtime") / "data"


def test_int8_accuracy_on_held_out_digits():
    with (DATA / "digits_heldout.npz").open("rb") as file:
        digits = np.load(file)
        x, y = digits["x"], digits["y"]
    assert x.dtype == np.int8
    assert x.shape == (400, 28, 28, 1)
    assert np.bincount(y).tolist() == [40] * 10
    model = runtime.Interpreter.from_bytes((DATA / "digits_int8.tflite").read_bytes())
    right = 0
    for image, label in zip(x, y, strict=True):
        model.set_input(image[None], 0)
        model.invoke()
        right += int(model.get_output(0).argmax()) == label
    assert right / len(y) > 0.95


def test_model_has_the_hardware_operators():
    names = {v: k for k, v in vars(tflite.BuiltinOperator).items() if not k.startswith("_")}
    model = tflite.Model.GetRootAsModel((DATA / "digits_int8.tflite").read_bytes())
    graph = model.Subgraphs(0)
    used = [
        names[model.OperatorCodes(graph.Operators(i).OpcodeIndex()).BuiltinCode()]
        for i in range(graph.OperatorsLength())
    ]
    assert used == [
        *["CONV_2D"] * 3,
        "ADD",
        "MAX_POOL_2D",
        *["CONV_2D"] * 2,
        "AVERAGE_POOL_2D",
        "RESHAPE",
        "FULLY_CONNECTED",
        "SOFTMAX",
    ]


def test_embedded_files_stay_small():
    assert len((DATA / "digits_int8.tflite").read_bytes()) < 40_000
    assert len((DATA / "digits_heldout.npz").read_bytes()) < 100_000
