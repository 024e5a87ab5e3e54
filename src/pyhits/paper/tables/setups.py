"""Table 2: the setups, and the scales that cross-validation chose."""

from __future__ import annotations

from typing import Any

from pyhits.paper import printed
from pyhits.paper.measure import scale_names
from pyhits.paper.output import Result, Table
from pyhits.paper.problems import PROBLEMS, ROLES
from pyhits.paper.study import Study


def table2(study: Study) -> Result:
    """Return samples, regions, nets and the coupled scales of the five systems."""
    study.prepare()
    records = [_record(study, name) for name in study.systems]
    header = ["system", "train / validate / test", "region", "hidden layers", "scales (paper's)"]
    rows = [
        [
            PROBLEMS[r["system"]].label,
            f"{r['train']} / {r['validation']} / {r['test']}",
            r["region"],
            ", ".join(map(str, r["hidden_sizes"])),
            f"{r['scales']} ({r['paper_scales']})",
        ]
        for r in records
    ]
    notes = [
        "Where a polynomial or a table is exact enough, PyHiTS trains no net on that scale; "
        "'nets' in the records counts the scales that have one."
    ]
    return Result(records, [Table("Setups", header, rows)], notes)


def _record(study: Study, name: str) -> dict[str, Any]:
    problem, model = PROBLEMS[name], study.model(name)
    region = " x ".join(f"[{low:g}, {high:g}]" for low, high in problem.system.region)
    counts = {role: problem.count(role, study.budget) for role in ROLES}
    return {
        "system": name,
        **counts,
        **{f"paper_{role}": n for role, n in zip(ROLES, problem.counts, strict=True)},
        "region": region,
        "dt": problem.dt,
        "n_steps": study.budget.n_steps,
        "hidden_sizes": list(model.recipe.hidden_sizes or ()),
        "paper_hidden_sizes": list(problem.hidden_sizes),
        "nets": sum("net" in history.flow_map for history in model.history.values()),
        "scales": scale_names(model.selection.step_sizes),
        "paper_scales": printed.CHOSEN[name],
        "step_sizes": list(model.selection.step_sizes),
        "fit_seconds": model.seconds,
    }
