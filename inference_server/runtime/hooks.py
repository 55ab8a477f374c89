"""Hooks on a network's modules that are removed together."""

from collections.abc import Callable, MutableMapping
from typing import Any, TypeVar

from torch import Tensor, nn

K = TypeVar("K")


class Hooks:
    """A context; what is called within must not keep what it gets, but a copy."""

    def __init__(self) -> None:
        self._handles: list[Any] = []

    def __enter__(self) -> "Hooks":
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def before(self, part: nn.Module, call: Callable[[Tensor], object]) -> None:
        """Calls with the first argument, the state, before a module computes."""

        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = args[0] if args else kwargs.get("hidden_states")
            if isinstance(given, Tensor):
                call(given)

        self._handles.append(part.register_forward_pre_hook(hook, with_kwargs=True))

    def entering(
        self, part: nn.Module, into: MutableMapping[K, Tensor], key: K, pick: Callable[[Tensor], Tensor]
    ) -> None:
        """Keeps what `pick` makes of the state before a module computes; the newest of several."""

        def keep(given: Tensor) -> None:
            into[key] = pick(given)

        self.before(part, keep)

    def leaving(
        self, part: nn.Module, into: MutableMapping[K, Tensor], key: K, pick: Callable[[Tensor], Tensor]
    ) -> None:
        """Keeps what `pick` makes of the state that a module returned; the newest of several."""

        def keep(out: Any) -> None:
            into[key] = pick(of_output(out))

        self.after(part, keep)

    def after(self, part: nn.Module, call: Callable[[Any], object]) -> None:
        """Calls with what a module returned."""

        def hook(_module: nn.Module, _args: object, out: Any) -> None:
            call(out)

        self._handles.append(part.register_forward_hook(hook))

    def weighing(self, part: nn.Module, into: MutableMapping[K, Tensor], key: K) -> None:
        """Keeps the last token's (heads, all) of the attention weights that a module returns beside a state, if any."""

        def hook(_module: nn.Module, _args: object, out: Any) -> None:
            found = next((each for each in out[1:] if _are_weights(each)), None) if isinstance(out, tuple) else None
            if found is not None:
                into[key] = found[0, :, -1].clone()

        self._handles.append(part.register_forward_hook(hook))


def of_output(out: Any) -> Tensor:
    """The state that a block or one of its modules returned, alone or before other values."""
    found = out[0] if isinstance(out, tuple) else out
    if not isinstance(found, Tensor):
        raise TypeError(f"a module that returns {type(found).__name__}")
    return found


def wide(tensor: Tensor) -> Tensor:
    """In float64, on the CPU: Apple's GPUs have no float64."""
    return tensor.cpu().double()


def last_row(states: Tensor) -> Tensor:
    """The last token's (width,), copied, since some networks add to a state in place."""
    return states.reshape(-1, states.shape[-1])[-1].clone()


def _are_weights(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4 and value.shape[0] == 1 and value.is_floating_point()
