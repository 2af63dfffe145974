"""The structure of the source in figures: `python tests/house.py`.

Modules per folder, circles between files, late imports, untyped dicts, lines, sizes of files and functions.
"""

import ast
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("deepdlt", "search_spaces", "sweeps")


def source_files(root: Path = ROOT) -> list[Path]:
    """Every Python file of the source, templates left out."""
    return sorted(path for room in ROOMS for path in (root / room).rglob("*.py"))


def module_of(path: Path, root: Path = ROOT) -> str:
    """`sweeps/store/lock.py` -> `sweeps.store.lock`; a face is its package."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def import_statements(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """Each import with its kind: `top`, `late` (inside a function), or `types` (for the type checker alone)."""

    def walk(node: ast.AST, kind: str) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
        for child in ast.iter_child_nodes(node):
            inner = kind
            if _is_type_checking(child):
                inner = "types"
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                inner = "late" if kind == "top" else kind
            if isinstance(child, ast.Import | ast.ImportFrom):
                yield child, kind
            else:
                yield from walk(child, inner)

    yield from walk(tree, "top")


def imports_between_files(root: Path = ROOT) -> dict[str, set[tuple[str, str]]]:
    """Module -> {(module that it imports, kind)}, of the project's own modules; a name of a face leads to the face."""
    files = {module_of(path, root): path for path in source_files(root)}
    found: dict[str, set[tuple[str, str]]] = {}
    for module, path in files.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        arrows = found.setdefault(module, set())
        for node, kind in import_statements(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                base = node.module or ""
                if node.level:
                    up = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join([*up, *([node.module] if node.module else [])])
                inside = [f"{base}.{alias.name}" for alias in node.names]
                names = [name if name in files else base for name in inside]
            arrows |= {(name, kind) for name in names if name in files and name != module}
    return found


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other in a loop (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in arrows.get(module, ()):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = []
            while not group or group[-1] != module:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for module in arrows:
        if module not in index:
            visit(module)
    return found


def late_imports(root: Path = ROOT) -> list[str]:
    """`file:line` of each import statement inside a function."""
    return [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in source_files(root)
        for node, kind in import_statements(ast.parse(path.read_text(encoding="utf-8")))
        if kind == "late"
    ]


def untyped_dicts(root: Path = ROOT, room: str = "sweeps") -> Counter[str]:
    """File -> how often `dict[str, Any]` or `Mapping[str, Any]` stands there."""
    texts = {p: p.read_text(encoding="utf-8") for p in source_files(root) if p.relative_to(root).parts[0] == room}
    counts = {
        str(p.relative_to(root)): t.count("dict[str, Any]") + t.count("Mapping[str, Any]") for p, t in texts.items()
    }
    return Counter({name: n for name, n in counts.items() if n})


def modules_per_folder(root: Path = ROOT) -> Counter[str]:
    """Folder -> modules in it, faces not counted."""
    return Counter(str(p.parent.relative_to(root)) for p in source_files(root) if p.name != "__init__.py")


def _spread(values: list[int]) -> str:
    ranked = sorted(values)
    return f"median {statistics.median(ranked):g}, p90 {ranked[int(0.9 * (len(ranked) - 1))]}, most {ranked[-1]}"


def main() -> None:
    """Print the figures."""
    files = source_files()
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    templates = [p for room in ROOMS for p in (ROOT / room).rglob("*.j2")]
    lines = {path: text.count("\n") for path, text in texts.items()}
    functions = [
        node
        for text in texts.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = [(node.end_lineno or node.lineno) - node.lineno + 1 for node in functions]
    parameters = [len(n.args.posonlyargs) + len(n.args.args) + len(n.args.kwonlyargs) for n in functions]
    arrows = imports_between_files()
    all_arrows = {module: {name for name, _ in found} for module, found in arrows.items()}
    at_run_time = {m: {name for name, kind in found if kind != "types"} for m, found in arrows.items()}
    of_templates = sum(path.read_text(encoding="utf-8").count("\n") for path in templates)
    print(f"lines of source         {sum(lines.values()) + of_templates:,} ({of_templates} of templates)")
    print(f"modules                 {len([p for p in files if p.name != '__init__.py'])}")
    print(f"lines of a file         {_spread([n for p, n in lines.items() if p.name != '__init__.py'])}")
    print(f"lines of a function     {_spread(lengths)} ({len(lengths)} functions)")
    print(f"parameters              {_spread(parameters)}")
    print(f"circles between files   {len(circles(at_run_time))} ({len(circles(all_arrows))} with imports for types)")
    print(f"late imports            {len(late_imports())}")
    untyped = untyped_dicts()
    plain = sum(texts[p].count("dict[str, Any]") for p in files if p.relative_to(ROOT).parts[0] == "sweeps")
    print(f"untyped dicts, sweeps/  {plain} dict[str, Any], {sum(untyped.values()) - plain} Mapping[str, Any]")
    print("modules per folder      " + ", ".join(f"{name} {n}" for name, n in modules_per_folder().most_common()))


if __name__ == "__main__":
    main()
