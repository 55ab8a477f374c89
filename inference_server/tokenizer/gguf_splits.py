"""How a byte-level vocabulary in a GGUF file has text split into words before its merges, by `tokenizer.ggml.pre`.

The names are llama.cpp's; what each stands for is what the published tokenizer.json of its models says.
"""

from dataclasses import dataclass, replace

from tokenizers import Regex, normalizers, pre_tokenizers
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS


@dataclass(frozen=True, slots=True)
class Split:
    """How text is split. `pattern`: empty for GPT-2's."""

    pattern: str = ""
    digits: bool = False
    """Whether every digit is a word of its own, before anything else."""
    whole_words: bool = False
    """Whether a word that is a token is that token, whatever the merges say."""
    begins: bool = False
    """Whether BOS goes in front of texts unless the file says otherwise."""
    composed: bool = False
    """Whether text is normalised to NFC first."""

    def pre_tokenizer(self) -> pre_tokenizers.PreTokenizer:
        """As the tokenizers library has it."""
        steps: list[pre_tokenizers.PreTokenizer] = []
        if self.digits:
            steps.append(pre_tokenizers.Digits(individual_digits=True))
        if self.pattern:
            steps.append(pre_tokenizers.Split(Regex(self.pattern), behavior="isolated"))
        steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not self.pattern))
        return pre_tokenizers.Sequence(steps)

    def normalizer(self) -> normalizers.Normalizer | None:
        """As the tokenizers library has it; None: text stays as it is."""
        return normalizers.NFC() if self.composed else None


LLAMA3 = ["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"]
DIGITS = ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"]
SPLITS = {
    **{name: Split(pattern) for name, pattern in GGUF_PRE_TOKENIZER_SPLITS.items()},
    **dict.fromkeys(["gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4"], Split()),
    **dict.fromkeys(
        ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"], Split(digits=True)
    ),
}
SPLITS |= {name: replace(SPLITS[name], whole_words=True, begins=True) for name in (*LLAMA3, "tekken")}
SPLITS |= {name: replace(SPLITS[name], composed=True) for name in ("qwen2", "qwen35")}
