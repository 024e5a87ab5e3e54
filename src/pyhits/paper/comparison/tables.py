"""Tables 1, 3 and 4: errors, parameters and architectures of sequence generation."""

from __future__ import annotations

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

#: Not a model: the last given row, held.
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


def _pick(records: list[dict[str, Any]], name: str, protocol: str, model: str) -> dict[str, Any]:
    wanted = (name, protocol, model)
    return next(r for r in records if (r["sequence"], r["protocol"], r["model"]) == wanted)


def _reproduced(study: Study, records: list[dict[str, Any]]) -> Table:
    rows = []
    for name in study.sequences:
        found = [_pick(records, name, "reproduce", model) for model in MODELS]
        cells = [beside(r["mse"], r["paper_mse"], ".2e") for r in found]
        rows.append([study.sequence_problem(name).label, *cells])
    title = "Reproduced from the first row: integrated L2 error, ours (the paper's)"
    return Table(title, ["sequence", *MODELS.values()], rows)


def _normalised(study: Study, records: list[dict[str, Any]]) -> Table:
    rows = []
    for name in study.sequences:
        found = [_pick(records, name, "reproduce", model) for model in MODELS]
        cells = [
            f"{number(r['normalised_mse'])}, {r['train_seconds']:.0f} s, {r['recipe']}"
            for r in found
        ]
        rows.append([study.sequence_problem(name).label, *cells])
    title = "The same over the sequence's variance; seconds of training on one core; recipe"
    return Table(title, ["sequence", *MODELS.values()], rows)


def _forecast(study: Study, records: list[dict[str, Any]]) -> Table:
    rows = []
    for name in study.sequences:
        models = [*MODELS, PERSISTENCE]
        found = [_pick(records, name, "forecast", model) for model in models]
        ahead = len(coded(study, name, "forecast").values)
        ahead -= coded(study, name, "forecast").n_train
        cells = [f"{number(r['normalised_mse'])}, {r['valid_steps']}" for r in found]
        rows.append([f"{study.sequence_problem(name).label}, {ahead} rows", *cells])
        if study.sequence_problem(name).lyapunov is not None:
            distances = [
                f"{number(r['spectral_distance'], '.2f')}, {number(r['histogram_distance'], '.2f')}"
                for r in found
            ]
            rows.append(["  spectrum, histogram", *distances])
    title = "Last fifth forecast from the rest: error over the variance, rows until 0.4 deviations"
    return Table(title, ["sequence", *MODELS.values(), PERSISTENCE], rows)


def _notes(study: Study, records: list[dict[str, Any]]) -> list[str]:
    notes = []
    for protocol, what in zip(PROTOCOLS, ("Reproducing", "Forecasting"), strict=True):
        lost = []
        for name in study.sequences:
            found = {m: _pick(records, name, protocol, m)["mse"] for m in MODELS}
            winner = min(found, key=lambda m: found[m])
            if winner != "hits":
                lost.append(f"{study.sequence_problem(name).label} ({MODELS[winner]})")
        notes.append(
            f"{what}: a rival is more accurate than HiTS on {', '.join(lost)}."
            if lost
            else f"{what}: HiTS is the most accurate on every sequence."
        )
    still = []
    for name in study.sequences:
        ours = _pick(records, name, "forecast", "hits")["mse"]
        if _pick(records, name, "forecast", PERSISTENCE)["mse"] < ours:
            still.append(study.sequence_problem(name).label)
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
