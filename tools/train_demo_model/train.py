"""Trains the bundled demo model: `PYTHONPATH=tools python -m train_demo_model.train CORPUS --minutes 60`.

A Llama of 3.1 million parameters with its own byte-level BPE tokenizer. Hidden matrices are optimised with Muon
(Jordan et al., 2024), embeddings and norms with AdamW; the learning rate warms up, holds, and falls to zero over the
second half of the given time, so the same command suits slow and fast machines. Checkpoints are saved regularly: run
the command again to resume.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from inference_server.models.bundled import FOLDER
from train_demo_model import corpus, evaluate

VOCABULARY = 4096
CONTEXT = 512
LAYERS = 6
WARM_UP = 0.02
HOLD = 0.5


@dataclass
class Progress:
    """A run's progress: optimiser steps done, seconds of training so far, and the last smoothed loss in nats."""

    step: int = 0
    seconds: float = 0.0
    loss: float = math.nan


def train_tokenizer(stories: list[str]) -> Tokenizer:
    """A byte-level BPE over the stories: every byte is a token, so any text can be encoded."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[corpus.SEPARATOR],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(stories, trainer)
    tokenizer.add_special_tokens([AddedToken(corpus.SEPARATOR, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{corpus.SEPARATOR} $A",
        pair=f"{corpus.SEPARATOR} $A {corpus.SEPARATOR} $B",
        special_tokens=[(corpus.SEPARATOR, tokenizer.token_to_id(corpus.SEPARATOR))],
    )
    return tokenizer


def new_model(layers: int) -> LlamaForCausalLM:
    """The model with initial weights; embeddings are small, since they are tied to the output layer."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=192,
        num_hidden_layers=layers,
        num_attention_heads=3,
        num_key_value_heads=1,
        intermediate_size=512,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
    )
    return LlamaForCausalLM(config)


def make_optimizers(model: LlamaForCausalLM, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers; AdamW for the embedding and the norms."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def rate_at(fraction: float) -> float:
    """Learning rate relative to its peak, after this fraction of the run: warm-up, hold, then linear decay to zero."""
    if fraction < WARM_UP:
        return fraction / WARM_UP
    if fraction < HOLD:
        return 1.0
    return max(0.0, (1.0 - fraction) / (1.0 - HOLD))


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 matrix products are faster on this device."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def pick_device(name: str) -> torch.device:
    """The device; `auto` prefers CUDA, then MPS, then the CPU."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


class Run:
    """One training run, in its own folder until it is exported."""

    def __init__(self, arguments: argparse.Namespace, training: list[str]) -> None:
        self.arguments = arguments
        self.folder: Path = arguments.work
        self.folder.mkdir(parents=True, exist_ok=True)
        self.device = pick_device(arguments.device)
        torch.manual_seed(arguments.seed)
        self.tokenizer = self._tokenizer(training)
        self.stories = corpus.encode(self.tokenizer, training)
        self.model = new_model(arguments.layers)
        torch.nn.Module.to(self.model, self.device).train()
        self.optimizers = make_optimizers(self.model, arguments.rate)
        self.progress = Progress()
        self._resume()

    def _tokenizer(self, training: list[str]) -> Tokenizer:
        path = self.folder / "tokenizer.json"
        if not path.exists():
            train_tokenizer(training).save(str(path))
        return Tokenizer.from_file(str(path))

    def _resume(self) -> None:
        path = self.folder / "state.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, held in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(held)
        self.progress = Progress(**state["progress"])

    def save(self) -> None:
        """Saves a checkpoint atomically."""
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "progress": asdict(self.progress),
        }
        torch.save(state, self.folder / "state.new")
        (self.folder / "state.new").replace(self.folder / "state.pt")

    def train(self) -> None:
        """Trains until the time is up, saving every two minutes and when interrupted."""
        arguments, progress = self.arguments, self.progress
        budget = arguments.minutes * 60
        forward = torch.compile(self.model) if arguments.compile else self.model
        autocast = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=fast_bfloat16(self.device))
        stream = corpus.batches(self.stories, CONTEXT, arguments.batch, arguments.seed, skip=progress.step)
        bar = tqdm(total=round(budget), initial=round(progress.seconds), unit="s", desc="training")
        saved = progress.seconds
        try:
            while progress.seconds < budget:
                began = time.monotonic()
                share = rate_at(progress.seconds / budget)
                for optimizer in self.optimizers:
                    for group in optimizer.param_groups:
                        group["lr"] = arguments.rate * share
                ids = torch.from_numpy(next(stream)).to(self.device)
                with autocast:
                    loss = forward(input_ids=ids, labels=ids, use_cache=False).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                for optimizer in self.optimizers:
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                value = loss.item()
                progress.loss = value if math.isnan(progress.loss) else 0.98 * progress.loss + 0.02 * value
                progress.step += 1
                progress.seconds += time.monotonic() - began
                bar.set_postfix(step=progress.step, loss=f"{progress.loss:.3f}", rate=f"{arguments.rate * share:.1e}")
                bar.update(round(progress.seconds) - bar.n)
                if progress.seconds - saved > 120:
                    self.save()
                    saved = progress.seconds
        finally:
            bar.close()
            self.save()

    def export(self, folder: Path, held_out: list[str]) -> dict[str, object]:
        """Writes weights (float16 safetensors), configuration, tokenizer and `training.json` into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.model.half().save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        PreTrainedTokenizerFast(
            tokenizer_object=self.tokenizer,
            bos_token=corpus.SEPARATOR,
            eos_token=corpus.SEPARATOR,
            model_max_length=CONTEXT,
            clean_up_tokenization_spaces=False,
        ).save_pretrained(folder)
        facts = {
            "seed": self.arguments.seed,
            "device": str(self.device),
            "minutes": round(self.progress.seconds / 60, 1),
            "steps": self.progress.step,
            "tokens_per_step": self.arguments.batch * CONTEXT,
            "training_tokens": int(sum(len(story) for story in self.stories)),
            "peak_rate": self.arguments.rate,
            **evaluate.report(folder, held_out),
        }
        (folder / "training.json").write_text(json.dumps(facts, indent=1) + "\n")
        return facts


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m inference_server.bundled.train", description=__doc__)
    parser.add_argument("corpus", type=Path, help="text file, stories separated by a line <|endoftext|>")
    parser.add_argument("--work", type=Path, default=Path("build/bundled"), help="where an unfinished run is kept")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the finished model goes")
    parser.add_argument("--minutes", type=float, default=60.0, help="training time; the learning rate follows it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=16, help=f"windows of {CONTEXT} tokens per step")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--rate", type=float, default=5e-3, help="peak learning rate")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument(
        "--compile", action="store_true", help="compile the model (a fifth faster; needs a C++ compiler)"
    )
    parser.add_argument("--held-out", type=int, default=corpus.HELD_OUT, help="stories at the end kept for validation")
    return parser.parse_args(arguments)


def main(given: Sequence[str] | None = None) -> None:
    """Trains, exports and prints the evaluation."""
    arguments = parse(given)
    training, held_out = corpus.split(corpus.read_stories(arguments.corpus), arguments.held_out)
    run = Run(arguments, training)
    run.train()
    print(json.dumps(run.export(arguments.folder, held_out), indent=1))


if __name__ == "__main__":
    main()
