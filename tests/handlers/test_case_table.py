from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch
from monai.engines import SupervisedEvaluator
from monai.handlers import MeanDice, from_engine
from monai.transforms import AsDiscreted, Compose, CopyItemsd, LoadImage
from PIL import Image

from kdseg.errors import UserError
from kdseg.handlers.case_table import CaseTable, known_spacing, summarise


def case(name: str, shift: int = 0, spacing: float | None = None) -> dict[str, Any]:
    truth, logits = torch.zeros(1, 24, 24), torch.full((1, 24, 24), -2.0)
    truth[:, 4:8, 4:20] = 1
    logits[:, 4 + shift : 8 + shift, 4:20] = 2
    meta = {"spacing_known": spacing is not None, "filename_or_obj": f"/data/{name}.png"}
    affine = torch.diag(torch.tensor([spacing or 1.0, spacing or 1.0, 1.0, 1.0]))
    return {"case": name, "image": MetaTensor(logits, affine=affine, meta=meta), "label": MetaTensor(truth)}


def evaluate(cases: list[dict[str, Any]], table: CaseTable, keep_probability: bool = True, **kwargs: Any) -> Any:
    names = ["pred", "probability"] if keep_probability else ["pred"]
    steps = [CopyItemsd(keys="pred", names="probability")] if keep_probability else []
    activation = [Sigmoid(names), AsDiscreted(keys="pred", threshold=0.5)]
    evaluator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=DataLoader(Dataset(cases), batch_size=2),
        network=torch.nn.Identity(),
        postprocessing=Compose([*steps, *activation]),
        key_val_metric={"val_mean_dice": MeanDice(output_transform=from_engine(["pred", "label"]))},
        val_handlers=[table],
        **kwargs,
    )
    evaluator.run()
    return evaluator


class Sigmoid:
    def __init__(self, keys: list[str]) -> None:
        self.keys = keys

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        return {**data, **{key: torch.sigmoid(data[key]) for key in self.keys}}


def read(folder: Path) -> tuple[list[dict[str, str]], dict[str, Any]]:
    with (folder / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file)), json.loads((folder / "summary.json").read_text())


def test_one_row_a_case_and_their_summary(tmp_path: Path) -> None:
    cases = [case("a", spacing=0.5), case("b", shift=2, spacing=0.25), case("c", shift=2)]
    evaluator = evaluate(cases, CaseTable(tmp_path / "out"))
    rows, summary = read(tmp_path / "out")
    assert [row["case"] for row in rows] == ["a", "b", "c"]
    assert [float(row["dice"]) for row in rows] == [1, 0.5, 0.5]
    assert [float(row["hd95_px"]) for row in rows] == [0, 2, 2]
    assert [float(row["hd95_mm"]) for row in rows[:2]] == [0, 0.5]
    assert math.isnan(float(rows[2]["hd95_mm"]))
    assert float(rows[0]["auc"]) == 1
    assert summary["cases"] == 3
    assert summary["metrics"]["dice"] == {
        "mean": pytest.approx(2 / 3),
        "sd": pytest.approx(np.std([1, 0.5, 0.5], ddof=1)),
        "count": 3,
        "nan": 0,
        "infinite": 0,
    }
    assert summary["metrics"]["hd95_mm"]["nan"] == 1
    assert summary["whole_set"] == {"val_mean_dice": pytest.approx(2 / 3)}
    # the means are where key metrics, early stopping and tracking look for them
    metrics = evaluator.state.metrics
    assert metrics["dice"] == pytest.approx(metrics["val_mean_dice"])
    assert metrics["hd95_mm"] == 0.25
    assert evaluator.state.key_metric_name == "val_mean_dice"
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_cheap_metrics_without_files_for_validation(tmp_path: Path) -> None:
    table = CaseTable(metrics=["iou"])
    evaluator = evaluate([case("a")], table)
    assert set(evaluator.state.metrics) == {"val_mean_dice", "iou"}
    evaluator.run()
    assert [row["case"] for row in table.rows] == ["a"]
    assert list(tmp_path.iterdir()) == []


def test_without_probability_there_is_no_auc(tmp_path: Path) -> None:
    evaluate([case("a")], CaseTable(tmp_path), keep_probability=False)
    assert "auc" not in read(tmp_path)[0][0]


def test_undefined_values_are_counted_and_kept_out_of_the_means(tmp_path: Path) -> None:
    no_vessel = case("empty")
    no_vessel["label"] = no_vessel["label"] * 0
    evaluator = evaluate([case("a"), no_vessel], CaseTable(tmp_path, metrics=["hd95", "sensitivity"]))
    rows, summary = read(tmp_path)
    assert (rows[1]["hd95_px"], rows[1]["sensitivity"]) == ("inf", "nan")
    assert summary["metrics"]["hd95_px"]["infinite"] == 1
    assert evaluator.state.metrics["hd95_px"] == 0
    # no case has a spacing, so there is no mean to show
    assert summary["metrics"]["hd95_mm"]["mean"] is None
    assert "hd95_mm" not in evaluator.state.metrics


def test_the_file_name_names_a_case_without_a_name(tmp_path: Path) -> None:
    record = case("angio_7")
    del record["case"]
    evaluate([record], CaseTable(tmp_path))
    assert read(tmp_path)[0][0]["case"] == "angio_7"


def test_spacing_survives_loading_the_network_and_postprocessing(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    # a plain picture says nothing of millimetres, whatever its affine
    assert known_spacing(LoadImage(reader="PILReader")(tmp_path / "a.png")) is None
    assert known_spacing(torch.zeros(1, 8, 8)) is None
    batch = next(iter(DataLoader(Dataset([case("a", spacing=0.3), case("b")]), batch_size=2)))
    items = decollate_batch({"pred": torch.nn.Conv2d(1, 1, 1)(batch["image"]).detach()})
    assert [known_spacing(item["pred"]) for item in items] == [pytest.approx((0.3, 0.3)), None]


def test_an_unknown_metric_is_told_at_once() -> None:
    with pytest.raises(UserError, match="did you mean 'cldice'"):
        CaseTable(metrics=["cldise"])


def test_a_case_that_does_not_fit_is_named() -> None:
    wrong = case("wrong_case")
    wrong["label"] = torch.zeros(1, 8, 8)
    table = CaseTable(metrics=["dice"])
    evaluator = SupervisedEvaluator("cpu", [collate(wrong)], torch.nn.Identity(), val_handlers=[table])
    with pytest.raises(UserError, match="case wrong_case"):
        evaluator.run()


def test_a_batch_that_is_not_decollated_is_told() -> None:
    with pytest.raises(UserError, match="decollate"):
        SupervisedEvaluator(
            "cpu", [collate(case("a"))], torch.nn.Identity(), val_handlers=[CaseTable()], decollate=False
        ).run()


def collate(record: dict[str, Any]) -> dict[str, Any]:
    return {"case": [record["case"]], "image": record["image"][None], "label": record["label"][None]}


def test_summary_of_nothing_and_of_one() -> None:
    assert summarise([]) == {"cases": 0, "metrics": {}}
    assert summarise([{"case": "a", "dice": 0.5}])["metrics"]["dice"]["sd"] is None


def _two_ranks(rank: int, rendezvous: str, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    torch.set_num_threads(1)
    names = [["b", "c"], ["a", "c"]][rank]
    evaluate([case(name) for name in names], CaseTable(folder, metrics=["dice"]))
    torch.distributed.destroy_process_group()


def test_two_ranks_write_one_table_and_count_repeated_cases_once(tmp_path: Path) -> None:
    rendezvous = f"file://{tmp_path / 'rendezvous'}"
    # forked, because a fresh process would import MONAI for seconds
    torch.multiprocessing.start_processes(
        _two_ranks, args=(rendezvous, str(tmp_path / "out")), nprocs=2, start_method="fork"
    )
    assert [row["case"] for row in read(tmp_path / "out")[0]] == ["a", "b", "c"]
