"""Tables 1, 3 and 4: errors, parameters and architectures of sequence generation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pyhits.paper import printed
from pyhits.paper.comparison import media
from pyhits.paper.comparison.data import coded
from pyhits.paper.comparison.generate import best, prepare
from pyhits.paper.comparison.problems import MODELS, PROTOCOLS, SequenceProblem
from pyhits.paper.comparison.score import Score, persistence, score
from pyhits.paper.output import Result, Table, beside, number
from pyhits.paper.rivals.nets import ClockworkNet, LSTMNet
from pyhits.paper.study import Study

#: Not a model: the last given row, again and again.
PERSISTENCE = "persistence"


def table1(study: Study) -> Result:
    """Return Table 1, the errors of reproducing a sequence, and of forecasting its last part."""
    prepare(study, PROTOCOLS)
    records: list[dict[str, Any]] = []
    for protocol in PROTOCOLS:
        for name in study.sequences:
            records += [_record(study, name, protocol, model) for model in MODELS]
            if protocol == "forecast":
                records.append(_persistence_record(study, name))
    result = Result(
        records,
        [_reproduced(study, records), _normalised(study, records), _forecast(study, records)],
        _notes(study, records),
    )
    result.media = media.of(study)
    return result


def _record(study: Study, name: str, protocol: str, model: str) -> dict[str, Any]:
    found = coded(study, name, protocol)
    one = best(study, name, protocol, model)
    papers = printed.SEQUENCE_MSE[name][model] if protocol == "reproduce" else None
    return {
        "sequence": name,
        "model": model,
        "protocol": protocol,
        **_scored(found.dt, study.sequence_problem(name), score(found, protocol, one.states)),
        "paper_mse": papers,
        "variance": found.variance,
        "parameters": one.parameters,
        "paper_parameters": printed.PARAMETERS[name][model],
        "train_seconds": one.seconds,
        "threads": 1,
        "recipe": one.task.recipe,
        "detail": one.detail,
    }


def _persistence_record(study: Study, name: str) -> dict[str, Any]:
    found = coded(study, name, "forecast")
    return {
        "sequence": name,
        "model": PERSISTENCE,
        "protocol": "forecast",
        **_scored(found.dt, study.sequence_problem(name), persistence(found, "forecast")),
        "paper_mse": None,
        "variance": found.variance,
        "parameters": 0,
        "train_seconds": 0.0,
    }


def _scored(dt: float, problem: SequenceProblem, scored: Score) -> dict[str, Any]:
    values = asdict(scored) | {"valid_time": dt * scored.valid_steps}
    if problem.lyapunov is not None:
        values["valid_lyapunov_times"] = problem.lyapunov * dt * scored.valid_steps
    return values


def _by_model(
    records: list[dict[str, Any]], protocol: str, name: str, cell: Callable[[dict[str, Any]], str]
) -> list[str]:
    """Return a cell of each model's record of a sequence, in the table's order."""
    wanted = (protocol, name)
    return [cell(r) for r in records if (r["protocol"], r["sequence"]) == wanted]


def _reproduced(study: Study, records: list[dict[str, Any]]) -> Table:
    def cell(record: dict[str, Any]) -> str:
        return beside(record["mse"], record["paper_mse"], ".2e")

    title = "Reproduced from the first row: integrated L2 error, ours (the paper's)"
    return _table(study, title, lambda name: _by_model(records, "reproduce", name, cell))


def _normalised(study: Study, records: list[dict[str, Any]]) -> Table:
    def cell(record: dict[str, Any]) -> str:
        seconds, recipe = record["train_seconds"], record["recipe"]
        return f"{number(record['normalised_mse'])}, {seconds:.0f} s, {recipe}"

    title = "The same over the sequence's variance; seconds of training on one core; recipe"
    return _table(study, title, lambda name: _by_model(records, "reproduce", name, cell))


def _table(study: Study, title: str, cells: Callable[[str], list[str]]) -> Table:
    rows = [[study.sequence_problem(name).label, *cells(name)] for name in study.sequences]
    return Table(title, ["sequence", *MODELS.values()], rows)


def _forecast(study: Study, records: list[dict[str, Any]]) -> Table:
    def errors(record: dict[str, Any]) -> str:
        return f"{number(record['normalised_mse'])}, {record['valid_steps']}"

    def distances(record: dict[str, Any]) -> str:
        both = (record["spectral_distance"], record["histogram_distance"])
        return ", ".join(number(one, ".2f") for one in both)

    rows = []
    for name in study.sequences:
        one = coded(study, name, "forecast")
        label = f"{one.problem.label}, {len(one.values) - one.n_train} rows"
        rows.append([label, *_by_model(records, "forecast", name, errors)])
        if one.problem.lyapunov is not None:
            cells = _by_model(records, "forecast", name, distances)
            rows.append(["  spectrum, histogram", *cells])
    title = "Last fifth forecast from the rest: error over the variance, rows until 0.4 deviations"
    return Table(title, ["sequence", *MODELS.values(), PERSISTENCE], rows)


def _notes(study: Study, records: list[dict[str, Any]]) -> list[str]:
    mse = {(r["protocol"], r["sequence"], r["model"]): r["mse"] for r in records}
    labels = {name: study.sequence_problem(name).label for name in study.sequences}
    notes = []
    for protocol, what in zip(PROTOCOLS, ("Reproducing", "Forecasting"), strict=True):
        best_models = {n: min(MODELS, key=lambda m: mse[protocol, n, m]) for n in labels}
        lost = [f"{labels[n]} ({MODELS[m]})" for n, m in best_models.items() if m != "hits"]
        notes.append(
            f"{what}: a rival is more accurate than HiTS on {', '.join(lost)}."
            if lost
            else f"{what}: HiTS is the most accurate on every sequence."
        )
    still = [
        label
        for name, label in labels.items()
        if mse["forecast", name, PERSISTENCE] < mse["forecast", name, "hits"]
    ]
    if still:
        notes.append(f"Standing still is a better forecast than HiTS's on {', '.join(still)}.")
    for name in study.sequences:
        one = coded(study, name, "reproduce")
        n, d = one.values.shape
        notes.append(
            f"{one.problem.label}: {one.facts['source']}, {n} rows of {d} features, variance "
            f"{one.variance:.4g} a feature."
        )
    return notes


def table3(study: Study) -> Result:
    """Return Table 3: how many numbers each model trains."""
    records: list[dict[str, Any]] = []
    rows = []
    for name in study.sequences:
        counts = counted(study.sequence_problem(name), _FEATURES[name])
        records += [
            {
                "sequence": name,
                "model": model,
                "parameters": counts[model],
                "paper_parameters": printed.PARAMETERS[name][model],
            }
            for model in MODELS
        ]
        cells = [f"{counts[model]} ({printed.PARAMETERS[name][model]})" for model in MODELS]
        rows.append([study.sequence_problem(name).label, *cells])
    title = "Trained parameters, ours (the paper's)"
    note = (
        "The CW-RNN's are counted as the paper does, with the connections from fast to slow "
        "modules, which are not used. An ESN trains its readout alone."
    )
    return Result(records, [Table(title, ["sequence", *MODELS.values()], rows)], [note])


#: Features of each coded sequence (Appendix A.3).
_FEATURES = {"fluid": 22, "video": 64, "music": 128, "ks": 512}


def counted(problem: SequenceProblem, n_features: int) -> dict[str, int]:
    """Return the parameters of the four models of a sequence, by model."""
    units = problem.units
    nets = {
        "lstm": LSTMNet(n_features, units["lstm"]),
        "cwrnn": ClockworkNet(n_features, units["cwrnn"], periods=problem.step_sizes),
    }
    counts = {model: sum(p.numel() for p in net.parameters()) for model, net in nets.items()}
    return counts | {
        "hits": problem.parameters(n_features),
        "esn": units["esn"] * n_features,
    }


def table4(study: Study) -> Result:
    """Return Table 4: the nets of HiTS and their step sizes."""
    records, rows = [], []
    for name in study.sequences:
        problem, d = study.sequence_problem(name), _FEATURES[name]
        pairs = list(zip(problem.step_sizes, problem.hidden_sizes, strict=True))
        records += [
            {"sequence": name, "step_size": size, "architecture": [d, width, d]}
            for size, width in pairs
        ]
        nets = ", ".join(f"[{d}, {width}, {d}]" for _, width in pairs)
        rows.append([problem.label, ", ".join(map(str, problem.step_sizes)), nets])
    header = ["sequence", "step sizes", "architectures"]
    return Result(records, [Table("Nets of multiscale HiTS, as the paper's", header, rows)])
