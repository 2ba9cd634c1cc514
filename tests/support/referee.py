"""The `tflite-micro` wheel as the referee: outputs and every intermediate tensor of a model."""

from tflite_micro.python.tflite_micro import runtime


class Referee:
    """A model in TensorFlow Lite Micro's interpreter; `arena` is its memory in bytes."""

    def __init__(self, data, *, arena=4_000_000, preserve_all=True):
        config = runtime.InterpreterConfig
        self._interpreter = runtime.Interpreter.from_bytes(
            data,
            arena_size=arena,
            intrepreter_config=config.kPreserveAllTensors
            if preserve_all
            else config.kAllocationRecording,
        )

    def run(self, inputs, outputs=1):
        """The model's outputs."""
        for index, value in enumerate(inputs):
            self._interpreter.set_input(value, index)
        self._interpreter.invoke()
        return [self._interpreter.get_output(index) for index in range(outputs)]

    def tensor(self, index):
        """Value of a tensor of the last run."""
        return self._interpreter.GetTensor(index, 0)["tensor_data"]
