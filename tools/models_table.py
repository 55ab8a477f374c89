"""Writes the tables of docs/models.md from the code that decides what loads: `python tools/models_table.py`."""

from collections.abc import Iterable
from pathlib import Path

import transformers
from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING

from inference_server.models.adapter import NAMED
from inference_server.runtime import packed_checkpoint
from inference_server.runtime.architecture import DEQUANTIZED, FETCHING, UNPROVEN
from inference_server.runtime.network_class import ALONE, KINDS, REFUSED

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
BEGIN, END = "<!-- {name} -->", "<!-- /{name} -->"


def image_text() -> str:
    """Every image-text type of the installed transformers, by what it answers."""
    both = [kind for kind in KINDS if _is_encoder_decoder(kind)]
    whole = [kind for kind in KINDS if kind not in {*both, *ALONE, *REFUSED}]
    rows = [
        (f"its text part ({len(whole)})", whole),
        (f"the language model inside: the network around it needs an image ({len(ALONE)})", ALONE),
        (f"refused: an encoder-decoder, whose decoder needs an encoder's input ({len(both)})", both),
        *((f"refused: {reason}", [kind]) for kind, reason in sorted(REFUSED.items())),
    ]
    return _table(("what answers", "`model_type`"), [(what, _names(kinds)) for what, kinds in rows])


def quantised() -> str:
    """Every quantisation that the installed transformers knows."""
    unpacked = {name for name in AUTO_QUANTIZER_MAPPING if name.split("_")[0] in packed_checkpoint.FORMATS}
    others = AUTO_QUANTIZER_MAPPING.keys() - DEQUANTIZED.keys() - unpacked - FETCHING - UNPROVEN - {"gguf"}
    rows = [
        ("becomes plain numbers on loading", DEQUANTIZED.keys() | unpacked),
        ("refused: computed with kernels that transformers would download", FETCHING - {"gguf"}),
        ("refused: more than the weights is quantised, and nothing here proves the numbers", UNPROVEN),
        ("refused unless its own package is installed, which the image lacks", others),
    ]
    return _table(("on loading", "`quant_method`"), [(what, _names(kinds)) for what, kinds in rows])


def adapters() -> str:
    """What an adapter may not use."""
    rows = [(f"`{name}`", what.removesuffix(f" ({name})")) for name, what in sorted(NAMED.items())]
    return _table(("in adapter_config.json", "what it would be"), rows)


TABLES = {"image-text": image_text, "quantised": quantised, "adapters": adapters}


def written(page: str) -> str:
    """A page with its tables as they should be."""
    for name, table in TABLES.items():
        begin, end = BEGIN.format(name=name), END.format(name=name)
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{table()}\n{end}{after}"
    return page


def _is_encoder_decoder(kind: str) -> bool:
    config = transformers.CONFIG_MAPPING[kind]()
    return bool(config.is_encoder_decoder or config.get_text_config(decoder=True).is_encoder_decoder)


def _names(kinds: Iterable[str]) -> str:
    return ", ".join(sorted(kinds))


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"| {first} | {second} |" for first, second in [head, ("---", "---"), *rows])


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
