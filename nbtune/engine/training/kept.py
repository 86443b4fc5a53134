"""Copies of tensors, to be put back bit for bit: in the host's memory, or in an unnamed file."""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from ...host_memory import is_in_memory
from ..interrupts import raise_waiting

PIECE_BYTES = 2**22
"""What lies in memory at a time of a tensor on its way to the disk or back. It is taken beforehand: where a step has
run out of memory, putting back must not."""

DISK_MARGIN = 1.25
"""A file is begun only where this many times its size is free."""


class NotEnoughMemoryError(MemoryError):
    """A run was not begun, or ended, for want of memory; the message says what was needed, what is free, what to do."""


class Kept(Protocol):
    """The numbers of one tensor as they were."""

    @property
    def nbytes(self) -> int:
        """Of a dense one's numbers; 0 of a sparse one."""

    def into(self, tensor: torch.Tensor) -> None:
        """Give a tensor of the same shape and type these numbers; one that has them is not written to."""

    def made(self) -> torch.Tensor:
        """A tensor with these numbers, on the host."""


class Keeper(Protocol):
    """Where copies are kept."""

    is_on_disk: bool

    def keep(self, tensor: torch.Tensor) -> Kept:
        """A copy of a tensor's numbers as they are now."""

    def close(self) -> None:
        """Let go of all copies."""


class InMemory:
    """Copies in the host's memory."""

    is_on_disk = False

    def keep(self, tensor: torch.Tensor) -> Kept:
        """A copy of a tensor of any kind."""
        return _HostCopy(tensor.detach().to("cpu", copy=True))

    def close(self) -> None:
        """Nothing to do: they go with whoever holds them."""


class OnDisk:
    """Copies one behind the other in a file without a name, which goes with the process whatever happens.

    Args:
        folder: Where it takes room (see ``folder_with``).
    Raises:
        NotEnoughMemoryError: Where no file can be made there.
    """

    is_on_disk = True

    def __init__(self, folder: Path) -> None:
        with _full_disk_told():
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._end, self._buffer = 0, torch.zeros(PIECE_BYTES, dtype=torch.uint8)

    def keep(self, tensor: torch.Tensor) -> Kept:
        """A copy of a plain dense tensor; of another kind, which cannot be cut into bytes, in memory.

        Raises:
            NotEnoughMemoryError: When the disk is full: what was free when the file was begun, others may have taken.
            KeyboardInterrupt: One that has waited; the copy is not whole then.
        """
        if not _is_plain(tensor):
            return InMemory().keep(tensor)
        begin = self._end
        for piece in _pieces(tensor):
            raise_waiting()
            with _full_disk_told():
                self._write(_bytes_of(piece))
        return _DiskCopy(self._file, self._buffer, begin, tensor)

    def close(self) -> None:
        """The file goes, and its room on the disk."""
        self._file.close()

    def _write(self, piece: torch.Tensor) -> None:
        left = memoryview(piece.numpy().data)
        self._file.seek(self._end)
        while left:
            taken = self._file.write(left) or 0
            self._end, left = self._end + taken, left[taken:]
        # What waits to be written lies in the memory that is wanted, and counts against the container.
        os.fsync(self._file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotEnoughMemoryError(
            f"what there is no room for in memory could not be written to disk: {error}; free some of either, or set "
            "TMPDIR to a folder on a disk with room"
        ) from error


class _HostCopy:
    def __init__(self, saved: torch.Tensor) -> None:
        self._saved = saved
        self.nbytes = saved.nbytes if saved.layout == torch.strided else 0

    def into(self, tensor: torch.Tensor) -> None:
        # An expanded buffer cannot be written to, and so cannot have changed either.
        if tensor.layout != torch.strided or not torch.equal(tensor.detach().to("cpu"), self._saved):
            tensor.copy_(self._saved)

    def made(self) -> torch.Tensor:
        return self._saved


class _DiskCopy:
    def __init__(self, file: Any, buffer: torch.Tensor, begin: int, tensor: torch.Tensor) -> None:
        self._file, self._buffer, self._begin = file, buffer, begin
        self._shape, self._dtype = tensor.shape, tensor.dtype
        self.nbytes = tensor.numel() * tensor.element_size()

    def into(self, tensor: torch.Tensor) -> None:
        place = self._begin
        for piece in _pieces(tensor):
            saved = self._read(place, piece.numel() * piece.element_size())
            if not torch.equal(_bytes_of(piece), saved):
                piece.copy_(saved.view(piece.dtype).view(piece.shape))
            place += saved.numel()

    def made(self) -> torch.Tensor:
        made = torch.empty(self._shape, dtype=self._dtype)
        self.into(made)
        return made

    def _read(self, place: int, count: int) -> torch.Tensor:
        read = self._buffer[:count]
        left = memoryview(read.numpy().data)
        self._file.seek(place)
        while left:
            taken = self._file.readinto(left)
            if not taken:
                raise OSError("the file that holds your model's state ends too soon")
            left = left[taken:]
        return read


def _is_plain(tensor: torch.Tensor) -> bool:
    is_known = type(tensor) in (torch.Tensor, nn.Parameter) and not tensor.is_quantized
    return is_known and tensor.layout == torch.strided and not (tensor.is_conj() or tensor.is_neg())


def _pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """Views of at most ``PIECE_BYTES`` each, in the order of the tensor's elements, however they lie in memory."""
    tensor = tensor.detach()
    if tensor.is_contiguous():
        yield from tensor.reshape(-1).split(max(1, PIECE_BYTES // tensor.element_size()))
        return
    row_bytes = tensor.numel() * tensor.element_size() // len(tensor)
    for rows in tensor.split(max(1, PIECE_BYTES // row_bytes)):
        if row_bytes <= PIECE_BYTES:
            yield rows
        else:
            yield from _pieces(rows[0])


def _bytes_of(piece: torch.Tensor) -> torch.Tensor:
    return piece.to("cpu").contiguous().reshape(-1).view(torch.uint8)


def folder_with(needed_bytes: int) -> Path | None:
    """A folder on a disk, not in memory, that has room for a file; None where there is none."""
    for name in (tempfile.gettempdir(), "/var/tmp", os.getcwd()):
        folder = Path(name)
        try:
            free = shutil.disk_usage(folder).free
        except OSError:
            continue
        if free >= DISK_MARGIN * needed_bytes and os.access(folder, os.W_OK) and not is_in_memory(folder):
            return folder
    return None


def tree_of(value: Any, of_tensor: Callable[[Any], Any]) -> Any:
    """The same dicts, lists and tuples with other tensors in them; what else there is is copied deeply.

    Args:
        value: A batch, or a state that ``state_dict`` gave.
        of_tensor: What takes the place of each tensor, or of what was put in its place before.
    """
    if isinstance(value, (torch.Tensor, _HostCopy, _DiskCopy)):
        return of_tensor(value)
    if isinstance(value, Mapping):
        own: Any = copy.copy(value)
        for key, item in value.items():
            own[key] = tree_of(item, of_tensor)
        return own
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(tree_of(item, of_tensor) for item in value))
    if type(value) in (list, tuple):
        return type(value)(tree_of(item, of_tensor) for item in value)
    return copy.deepcopy(value)
