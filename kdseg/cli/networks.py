"""``kdseg networks``: the networks that can be built by name, their sizes, their cost, their taps."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from kdseg.errors import UserError

__all__ = ["add_arguments", "describe_networks", "run"]

SIZE = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")


def run(arguments: argparse.Namespace) -> int:
    rows = describe_networks()
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
            "taps": " ".join(row["taps"]),
        }
        for row in rows
    ]
    print(tabulate(table, "keys", intfmt=",", floatfmt=".3f"))
    print(f"\nIn 2-D; multiply-accumulates of one {SIZE}×{SIZE} image. --json lists the module path of each tap.")
    return 0


def describe_networks() -> list[dict[str, Any]]:
    """One row for each network, in 2-D if it has that, with the channels at which its size is published.

    A network that needs a package which is not installed, or does not run, is named on stderr and left out.
    """
    # torch is slow to import: only when the command runs
    from kdseg.networks.count import count_conv_parameters, count_macs, count_parameters
    from kdseg.networks.registry import NETWORKS, build_network
    from kdseg.networks.taps import find_taps

    rows = []
    for name, entry in NETWORKS.items():
        (in_channels, out_channels), dims = entry.published_channels, entry.spatial_dims[0]
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
                "macs": count_macs(network, (1, in_channels, *[SIZE] * dims)),
                "taps": find_taps(network),
            }
        except Exception as error:
            # a plug-in's network may fail in any way; ours are tested
            told = error if isinstance(error, UserError) else f"network '{name}': {type(error).__name__} ({error})"
            print(f"left out: {told}", file=sys.stderr)
            continue
        rows.append(row)
    for broken in NETWORKS.broken.values():
        print(f"left out: {broken}", file=sys.stderr)
    return rows
