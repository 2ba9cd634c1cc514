"""The catalogue of public int8 models, and their download.

The models stay where their authors publish them; the catalogue pins their exact bytes.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from celosia.golden.errors import CelosiaError
from celosia.golden.files import write_atomically

_log = logging.getLogger(__name__)

REPOSITORY = "https://github.com/mlcommons/tiny"
COMMIT = "1afd2c9820f795965a6134facd0b4dfae41ef23f"
#: The folder that the paths of the catalogue start from; a mirror has the same paths under it.
BASE_URL = f"https://raw.githubusercontent.com/mlcommons/tiny/{COMMIT}"

_CHUNK = 16384  # bytes between two steps of the progress bar
_TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True)
class PublicModel:
    """An int8 .tflite model that anyone can get.

    `path` is the file's path under `BASE_URL`; None for the model that comes with Celosia.
    `source` is a page where a person finds it. `size` is in bytes, `sha256` in lower-case
    hexadecimal, `macs` the multiply-accumulates of one inference.
    """

    name: str
    task: str
    source: str
    path: str | None
    licence: str
    size: int
    sha256: str
    macs: int

    @property
    def filename(self) -> str:
        """Name of the file that `fetch` writes."""
        return f"{self.name}.tflite"

    def describe(self) -> dict[str, object]:
        """The entry as plain data, for JSON."""
        return asdict(self) | {"url": f"{BASE_URL}/{self.path}" if self.path else None}


def _mlperf_tiny(
    name: str, task: str, path: str, licence: str, size: int, sha256: str, macs: int
) -> PublicModel:
    path = f"benchmark/training/{path}"
    source = f"{REPOSITORY}/blob/{COMMIT}/{path}"
    return PublicModel(name, task, source, path, licence, size, sha256, macs)


CATALOGUE = (
    _mlperf_tiny(
        "ic_resnet8_int8",
        "image classification, 10 classes (CIFAR-10)",
        "image_classification/trained_models/pretrainedResnet_quant.tflite",
        "Apache-2.0",
        98_496,
        "3c002613d1b2475eb51dd78dfb85a546c8ae658dee71cf6ade43b022fe205415",
        12_501_632,
    ),
    _mlperf_tiny(
        "kws_dscnn_int8",
        "keyword spotting, 12 classes (Speech Commands)",
        "keyword_spotting/trained_models/kws_ref_model.tflite",
        "Apache-2.0",
        53_936,
        "aeea436800704fce17b17292e4412630ad856e9d777c044c64ef748a880bd0ae",
        2_656_768,
    ),
    _mlperf_tiny(
        "vww_mobilenetv1_025_96_int8",
        "visual wake words, person or none",
        "visual_wake_words/trained_models/vww_96_int8.tflite",
        "Apache-2.0",
        333_288,
        "597a384c8c2c8a1276f04702f25013b7838f2f814f1ca7c174d295b73e3d6b7b",
        7_489_664,
    ),
    _mlperf_tiny(
        "ad_autoencoder_int8",
        "anomaly detection in machine sounds (ToyADMOS)",
        "anomaly_detection/trained_models/ad01_int8.tflite",
        "Apache-2.0 and MIT",
        276_976,
        "87cf24194ef93d1d9b11a591d805526b98008e351655d29883c825c9c106ba24",
        264_192,
    ),
    PublicModel(
        name="digits_int8",
        task="handwritten digits, 10 classes (MNIST)",
        source="comes with Celosia",
        path=None,
        licence="BSD-2-Clause",
        size=25_552,
        sha256="430cce5f658e50af154bfbd0193e837be5130cf3dfacf827285834b7843588e6",
        macs=1_387_904,
    ),
)


def embedded_data(name: str) -> bytes:
    """The bytes of a file that comes with Celosia."""
    return (files("celosia.runtime") / "data" / name).read_bytes()


def find(name: str) -> PublicModel:
    """The catalogue's model called `name`.

    Raises `CelosiaError` for an unknown name, with the names that are near.
    """
    by_name = {model.name: model for model in CATALOGUE}
    if name not in by_name:
        near = get_close_matches(name, by_name, n=2, cutoff=0.4)
        near += [known for known in by_name if name and name in known and known not in near]
        hint = f"did you mean {' or '.join(near)}" if near else f"known are {', '.join(by_name)}"
        raise CelosiaError(f"no public model is called {name!r}; {hint}")
    return by_name[name]


def fetch(
    model: PublicModel,
    folder: Path,
    *,
    base_url: str = BASE_URL,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> Path:
    """Download `model`, check size and SHA-256, and write it into `folder` (made where missing).

    `on_bytes` is told of every chunk's size. Returns the file's path. Raises `CelosiaError` where
    there is no network, the server answers with an error or other bytes, or the folder can't be
    written; nothing has been written then.
    """
    if not base_url.startswith(("http://", "https://")):
        raise CelosiaError(f"the base URL must start with http:// or https://, not {base_url!r}")
    if model.path is None:
        body = embedded_data(model.filename)
        source = "the installed package"
        on_bytes(len(body))
    else:
        source = f"{base_url.rstrip('/')}/{model.path}"
        body = _download(source, model.size, on_bytes)
    _check(model, body, source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CelosiaError(f"can't make the folder {str(folder)!r}: {error.strerror}") from error
    path = folder / model.filename
    write_atomically(path, body)
    return path


def _download(url: str, size: int, on_bytes: Callable[[int], None]) -> bytes:
    """The body at `url`; reading stops at `size` + 1 bytes, which is enough to call it too long."""
    _log.debug("fetching %s", url)
    body = bytearray()
    try:
        with urlopen(url, timeout=_TIMEOUT) as response:
            while chunk := response.read(min(_CHUNK, size + 1 - len(body))):
                body += chunk
                on_bytes(len(chunk))
    except HTTPError as error:
        error.close()
        raise CelosiaError(
            f"the server answered {error.code} {error.reason} for {url}; is the base URL right?"
        ) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = str(error.reason if isinstance(error, URLError) else error)
        raise CelosiaError(
            f"{url} can't be fetched ({reason.strip()}); is there a network, or else a mirror to "
            "give as --base-url?"
        ) from error
    return bytes(body)


def _check(model: PublicModel, body: bytes, source: str) -> None:
    if len(body) < model.size:
        raise CelosiaError(
            f"{source} ended after {len(body)} of {model.size} bytes; try it once more"
        )
    if len(body) > model.size:
        raise CelosiaError(
            f"{source} holds more than the {model.size} bytes of {model.name}; it isn't that model"
        )
    digest = hashlib.sha256(body).hexdigest()
    if digest != model.sha256:
        raise CelosiaError(
            f"{source} has SHA-256 {digest}, but {model.name} must have {model.sha256}; it isn't "
            "that model"
        )
