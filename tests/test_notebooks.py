"""Every notebook runs from its first cell to its last, in an empty folder, and is stored as it ran."""

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def outputs(path: Path) -> list[Any]:
    return [output for cell in code_cells(path) for output in cell.outputs]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@each_notebook
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "passed" in printed


@each_notebook
def test_a_notebook_is_stored_with_every_cell_run_in_order(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_no_error_and_no_warning_is_stored(path: Path) -> None:
    stored = outputs(path)
    assert stored
    assert not [each for each in stored if each.output_type == "error" or each.get("name") == "stderr"]


@each_notebook
def test_no_path_of_the_machine_it_ran_on_is_stored(path: Path) -> None:
    shown = [each.get("text", "") for each in outputs(path)]
    shown += [text for each in outputs(path) for text in each.get("data", {}).values()]
    assert re.findall(r"(?<![\w./-])/(?:home|private|root|tmp|Users|var|work)/\S+", "\n".join(shown)) == []


def test_there_is_a_notebook_to_start_with_and_one_that_trains() -> None:
    assert {"quickstart", "training"} <= {path.stem for path in NOTEBOOKS}
