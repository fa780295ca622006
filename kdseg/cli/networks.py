"""``kdseg networks``: the networks that can be built by name, their sizes, their cost, their taps."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from kdseg.errors import UserError

__all__ = ["add_arguments", "describe_networks", "run"]

SIZE = 256
MULTIPLE = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="of networks; all unless told")
    parser.add_argument("--latency", action="store_true", help="also measure milliseconds, seconds to minutes each")
    parser.add_argument("--size", type=int, default=SIZE, help=f"side of the image; {SIZE} unless told")
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")


def run(arguments: argparse.Namespace) -> int:
    size = arguments.size
    if size < MULTIPLE or size % MULTIPLE:
        near = max(MULTIPLE, round(size / MULTIPLE) * MULTIPLE)
        expected = f"a multiple of {MULTIPLE}, which all networks take"
        raise UserError("--size", found=str(size), expected=expected, fix=f"for instance --size {near}")
    rows = describe_networks(arguments.names, size, arguments.latency)
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    from tabulate import tabulate

    table = [
        {
            "name": row["name"],
            "dims": " ".join(map(str, row["spatial_dims"])),
            "in>out": f"{row['in_channels']}>{row['out_channels']}",
            "parameters": row["params"],
            "in convs": row["conv_params"],
            "GMAC": row["macs"] / 1e9,
            **{f"{runtime} ms": ms for runtime, ms in row.get("ms", {}).items()},
            "taps": " ".join(row["taps"]),
        }
        for row in rows
    ]
    # a network that cannot be exported has fewer columns, and its taps still come last
    columns = [*dict.fromkeys(key for row in table for key in row if key != "taps"), "taps"]
    table = [{column: row.get(column) for column in columns} for row in table]
    formats = ["" if column.endswith(" ms") else ".3f" for column in columns]
    print(tabulate(table, "keys", intfmt=",", floatfmt=tuple(formats)))
    print(f"\nIn 2-D; multiply-accumulates of one {size}×{size} image. --json lists the module path of each tap.")
    if arguments.latency:
        import torch

        print(
            f"Milliseconds of that image, medians, {torch.get_num_threads()} CPU threads; a network's runtimes take "
            "turns. Other work on the machine adds to them."
        )
    return 0


def describe_networks(names: Sequence[str] = (), size: int = SIZE, latency: bool = False) -> list[dict[str, Any]]:
    """One row for each network, in 2-D if it has that, with the channels at which its size is published.

    A network that needs a package which is not installed, or does not run, is named on stderr and left out.

    Args:
        names: of networks; none: all.
        size: side of the image for which multiply-accumulates are counted and times are taken.
        latency: measure milliseconds as well, in every runtime that is installed.

    Raises:
        UserError: for an unknown name.
    """
    # torch is slow to import: only when the command runs
    from kdseg.networks.count import count_conv_parameters, count_macs, count_parameters
    from kdseg.networks.registry import NETWORKS, build_network
    from kdseg.networks.taps import find_taps

    rows = []
    for name in names or NETWORKS:
        entry = NETWORKS.find(name)
        (in_channels, out_channels), dims = entry.published_channels, entry.spatial_dims[0]
        shape = (1, in_channels, *[size] * dims)
        try:
            network = build_network(name, dims, in_channels, out_channels)
            row = {
                "name": name,
                "spatial_dims": list(entry.spatial_dims),
                "standing": entry.standing,
                "in_channels": in_channels,
                "out_channels": out_channels,
                "params": count_parameters(network),
                "conv_params": count_conv_parameters(network),
                "macs": count_macs(network, shape),
                "taps": find_taps(network),
            }
            if latency:
                row["ms"] = _milliseconds(network, shape)
        except Exception as error:
            # a plug-in's network may fail in any way; ours are tested
            told = error if isinstance(error, UserError) else f"network '{name}': {type(error).__name__} ({error})"
            print(f"left out: {told}", file=sys.stderr)
            continue
        rows.append(row)
    for broken in NETWORKS.broken.values():
        print(f"left out: {broken}", file=sys.stderr)
    return rows


def _milliseconds(network: Any, shape: tuple[int, ...]) -> dict[str, float]:
    from kdseg.deploy import forwards, interleaved_milliseconds

    times = interleaved_milliseconds(forwards(network, shape))
    return {runtime: round(median(its), 1) for runtime, its in times.items()}
