"""The rules of the house: layers, no cycles, exports, weight on import, budgets of length."""

import ast
import importlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "agentloop"
FILES = sorted(PACKAGE.rglob("*.py"))

RECORDS = {"lazy", "types", "record", "errors", "hidden", "version", "intervals", "json_reply"}
RECORDS |= {"tested", "edits", "knowledge", "watching"}
LOG = {"journal", "reading", "redact", "packing"}
MAY_IMPORT = {
    "version": set(),
    "lazy": set(),
    "errors": set(),
    "record": set(),
    "intervals": {"errors"},
    "json_reply": {"errors"},
    "edits": {"record"},
    "tested": {"record", "types"},
    "knowledge": {"record", "types"},
    "watching": {"record", "types"},
    "types": {"record", "errors"},
    "schema": RECORDS,
    "hidden": RECORDS,
    "prompts": RECORDS,
    "redact": RECORDS,
    "budget": RECORDS,
    "packing": RECORDS,
    "journal": RECORDS | LOG,
    "reading": RECORDS | LOG,
    "models": RECORDS | {"prompts", "models"},
    "bringing": RECORDS,
    "running": set(),
    "context": RECORDS | LOG | {"budget", "prompts", "models"},
    "memories": RECORDS | {"prompts", "redact", "memories"},
    "critics": RECORDS | {"prompts", "own_tests", "critics"},
    "environments": RECORDS | {"prompts", "environments"},
    "export": RECORDS | LOG | {"prompts", "export"},
}
GRAPH = RECORDS | LOG | {"prompts", "context", "bringing", "state", "stopping", "learning", "nodes", "acting"}
MAY_IMPORT |= {
    "state": GRAPH,
    "stopping": GRAPH,
    "learning": GRAPH,
    "nodes": GRAPH,
    "acting": GRAPH,
    "graph": GRAPH,
    "search": GRAPH | {"search"},
    "own_tests": RECORDS | LOG | {"prompts", "context"},
    "recipes": GRAPH | {"graph", "search", "own_tests", "recipes"},
    "selection": RECORDS,
    "choosing": GRAPH | {"run", "running", "selection"},
    "run": RECORDS | LOG | {"export"},
    "loop": GRAPH | {"graph", "budget", "run", "running", "export"},
    "comparing": RECORDS,
    "training": RECORDS
    | LOG
    | {"prompts", "budget", "models", "export", "loop", "run", "running", "comparing", "training"},
    "scoping": GRAPH,
    "replaying": RECORDS | LOG | {"budget", "loop", "run", "running", "memories"},
    "controls": GRAPH,
    "evaluation": GRAPH | {"graph", "budget", "run", "running", "loop", "comparing", "controls"},
    "people": RECORDS | {"prompts", "models", "people"},
    "tiny": RECORDS | {"prompts", "memories", "critics", "environments", "models", "tiny"},
}
CALLED_BY_SQLITE = {"authorize", "authorize_script"}
"""Their arguments are SQLite's; those of cli.py and of the *_command.py files are options."""

HEAVY = {
    "litellm": {"models/chat.py", "models/embed.py"},
    "torch": {"memories/clip.py", "models/local.py", "models/local_rows.py", "models/sampling.py"},
    "transformers": {"memories/clip.py", "models/local.py", "models/local_rows.py", "models/sampling.py"},
    "chromadb": {"memories/vector.py"},
    "langgraph": {
        "graph.py",
        "state.py",
        "stopping.py",
        "learning.py",
        "nodes.py",
        "acting.py",
        "memories/store_view.py",
        "search/graph.py",
    },
    "playwright": {"environments/web/browser.py", "environments/web/window.py"},
}


def part_of(path: Path) -> str:
    """The layer a file belongs to: its folder under agentloop, or its own name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imports(path: Path) -> list[tuple[str, bool]]:
    """Every module a file imports, and whether only type checkers see the import."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in typing_only) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where a name comes from"
            found.append((node.module or "", id(node) in typing_only))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_from_the_layers_below_it(path: Path) -> None:
    allowed = MAY_IMPORT.get(part_of(path))
    if allowed is None:
        assert part_of(path) in {"__init__", "cli", "commands", "demo", "report", "doctor"}, (
            f"no layer for {path}"
        )
        return
    used = {name.split(".")[1] for name, _ in imports(path) if name.startswith("agentloop.")}
    assert used <= allowed, f"{path.name} may not import {sorted(used - allowed)}"


def test_memories_critics_and_environments_never_import_one_another() -> None:
    three = {"memories", "critics", "environments"}
    for path in FILES:
        if part_of(path) in three:
            others = three - {part_of(path)}
            used = {name.split(".")[1] for name, _ in imports(path) if name.startswith("agentloop.")}
            assert not used & others, path


def test_no_module_imports_itself_in_a_circle() -> None:
    edges: dict[str, set[str]] = {}
    names = {".".join(("agentloop", *p.relative_to(PACKAGE).with_suffix("").parts)): p for p in FILES}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    for name, path in names.items():
        used = {module for module, typing_only in imports(path) if not typing_only}
        edges[name] = {module for module in used if module in names and module != name}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for module in edges[name]:
                walk(module, (*trail, name))
            done.add(name)

    for name in names:
        walk(name, ())


@pytest.mark.parametrize("package", sorted(HEAVY))
def test_a_heavy_package_is_imported_in_one_place_and_only_on_use(package: str) -> None:
    for path in FILES:
        relative = path.relative_to(PACKAGE).as_posix()
        used = {name.split(".")[0] for name, typing_only in imports(path) if not typing_only}
        if package in used:
            assert relative in HEAVY[package] or relative.startswith(("training/", "recipes/")), relative


def test_functions_files_and_nesting_stay_within_their_budgets() -> None:
    blocks = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try, ast.Match)

    def depth(node: ast.AST, level: int = 0) -> int:
        deepest = level
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
                continue
            is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
            step = isinstance(child, blocks) and not is_elif
            deepest = max(deepest, depth(child, level + step))
        return deepest

    for path in FILES:
        text = path.read_text()
        assert len(text.splitlines()) <= 400, f"{path} has more than 400 lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= 60, f"{path}: {node.name} has {length} lines"
                assert depth(node) <= 3, f"{path}: {node.name} is nested too deeply"
                options = path.name == "cli.py" or path.name.endswith("_command.py")
                called_by_us = not options and node.name not in CALLED_BY_SQLITE
                if called_by_us and not node.name.startswith("_"):
                    plain = [each for each in node.args.args if each.arg not in ("self", "cls")]
                    assert len(plain) <= 4, f"{path}: {node.name} takes {len(plain)} arguments by position"


def test_every_file_begins_by_saying_what_it_holds() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text())), path


@pytest.mark.parametrize(
    "module",
    [
        "agentloop",
        "agentloop.memories",
        "agentloop.critics",
        "agentloop.environments",
        "agentloop.models",
        "agentloop.people",
        "agentloop.recipes",
        "agentloop.search",
    ],
)
def test_every_public_name_can_be_imported_and_has_a_docstring(module: str) -> None:
    loaded = importlib.import_module(module)
    assert len(loaded.__all__) == len(set(loaded.__all__)) > 0
    for name in loaded.__all__:
        value = getattr(loaded, name)
        assert name in dir(loaded)
        if callable(value):
            assert value.__doc__, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    import agentloop

    with pytest.raises(AttributeError, match="did you mean 'improve'"):
        agentloop.improv  # noqa: B018


def test_importing_loads_no_heavy_package_and_reaches_nothing(tmp_path: Path) -> None:
    probe = (
        "import sys, os, json\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, args: seen.append((event, str(args[:2])))"
        " if event.startswith('socket') or (event == 'open' and set(str(args[1])) & set('wax+')) else None)\n"
        "from agentloop import Attempt, Feedback, Task\n"
        "print(json.dumps([seen, sorted(sys.modules)]))\n"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=True,
    )
    seen, modules = json.loads(done.stdout)
    assert seen == []
    assert not set(modules) & {
        "langgraph",
        "litellm",
        "torch",
        "transformers",
        "chromadb",
        "numpy",
        "pydantic.main",
    }
    assert list(tmp_path.iterdir()) == []


def test_the_package_carries_its_texts_and_type_marker() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert list((PACKAGE / "texts").glob("*.md"))


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout: the sdist has no links")
@pytest.mark.parametrize("name", ["memories", "critics", "environments"])
def test_the_three_folders_at_the_top_are_links_pointing_inwards(name: str) -> None:
    assert (ROOT / name).is_symlink()
    assert (ROOT / name).resolve() == PACKAGE / name


def test_nothing_is_collected_or_checked_twice_through_the_links() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert settings["pytest"]["ini_options"]["testpaths"] == ["tests"]
    assert settings["mypy"]["files"] == ["agentloop", "benchmarks"]
    assert settings["pyright"]["include"] == ["agentloop"]
