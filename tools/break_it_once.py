"""Break one line at a time and check that a test notices each.

    python tools/break_it_once.py

Works on a copy of the tree, so that nothing is left broken. Not part of the test run: it starts the
tests of a file once per break.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    from tools.lines_of_attribution import ATTRIBUTION
    from tools.lines_of_delivery import DELIVERY
except ModuleNotFoundError:  # run as a file
    from lines_of_attribution import ATTRIBUTION
    from lines_of_delivery import DELIVERY

ROOT = Path(__file__).parents[1]
BREAKS = [  # file below src/whence, text that is right, text that is wrong, tests that must notice
    ("memory/sparsemax.py", " - scores.amax(-1, keepdim=True)", "", "test_sparsemax"),
    ("memory/sparsemax.py", "looked_at == total or", "True or", "test_sparsemax"),
    (
        "memory/sparsemax.py",
        "    return (direction - mean) * support",
        "    return direction * support",
        "test_sparsemax",
    ),
    ("memory/sparsemax.py", "scores.movedim(in_dims[0], 0)", "scores", "test_sparsemax"),
    (
        "memory/l2.py",
        ".clamp_max(0)",
        "",
        "test_l2",
    ),
    ("memory/attention.py", "scores.masked_fill(~mask, -torch.inf)", "scores", "test_heads"),
    ("memory/cosine.py", "+ EPSILON", "", "test_authors_layers"),
    (
        "memory/feature_heads.py",
        "torch.cat([queries.to(vectors.dtype), vectors]",
        "torch.cat([vectors, queries]",
        "test_authors_checkpoints",
    ),
    (
        "models/stamp.py",
        "torch.equal(torch.cat(self.first), self.numbers)",
        "True",
        "test_classifier",
    ),
    ("models/left_out.py", "else groups[part, None] != groups", "else None", "test_classifier"),
    ("models/evaluating.py", "    check_mode(module)", "    pass", "test_classifier"),
    ("models/remembering.py", "return self.training or (", "return (", "test_classifier"),
    ("models/sound.py", "low < 0", "low < -1e9", "test_sound"),
    ("training/step.py", "picked[:, None] != drawn", "picked[:, None] > -drawn - 1", "test_loop"),
    ("training/loop.py", "        seed_global(seed)\n", "", "test_loop"),
    ("memory/votes.py", " * (1 - FLOOR) + FLOOR / self.classes)", " + FLOOR)", "test_votes"),
    (
        "memory/votes.py",
        "self.log_scale.exp() if self.training else self.sharpness",
        "self.sharpness",
        "test_votes",
    ),
    ("memory/votes.py", "clamp_min(mean / 100)", "clamp_min(mean)", "test_votes"),
    ("models/about.py", 'about["absent"] = [*OLD_VOTES_LACK]', "pass", "test_old_folders"),
    (
        "evidence/calibrate.py",
        "            return count",
        "            return len(losses)",
        "test_fit_calibration",
    ),
    ("memory/votes.py", "return scores / self.unit", "return scores", "test_votes_model"),
    (
        "memory/votes.py",
        "decision.head_start * self.unit",
        "decision.head_start",
        "test_head_start",
    ),
    ("models/left_out.py", "plain = head.without_decision()", "plain = head", "test_head_start"),
    ("evidence/head_start.py", "share >= HALF", "share > 0", "test_head_start"),
    ("evidence/head_start.py", "cost, aim=HALF)", "cost, aim=0.9)", "test_head_start"),
    ("training/voting.py", "TAUGHT if head.classes > 2 else 0.0", "TAUGHT", "test_voting"),
    ("training/voting.py", "others=(ModuleState(head),)", "others=()", "test_voting"),
    ("training/probe.py", "torch.cat([-rows, rows]) / 2", "torch.cat([-rows, rows])", "test_probe"),
    ("training/probe.py", "best = min(probes", "best = max(probes", "test_probe"),
    ("runs/beside.py", "cosines[rows, first + rows] = -torch.inf", "pass", "test_compare_encoders"),
    ("runs/beside.py", "votes[nearest].sum(1)", "votes[nearest[:, :1]].sum(1)", "test_beside"),
    (
        "runs/compare_encoders.py",
        "known.take(torch.from_numpy(fitted))",
        "known",
        "test_compare_encoders",
    ),
    ("memory/votes.py", '("key_distance", "soft', '("soft', "test_votes_model"),
    ("memory/class_scores.py", "* warmth + sums.log()", "+ sums.log()", "test_class_scores"),
    ("evidence/judge.py", "model.bank, names, mask)", "model.bank, names)", "test_class_scores"),
    ("evidence/out_of_fold.py", "learner.decision = model.decision", "pass", "test_out_of_fold"),
    ("evidence/out_of_fold.py", "if not one]", "]", "test_out_of_fold"),
    ("evidence/out_of_fold.py", "train.take(stays)", "train", "test_out_of_fold"),
    ("training/voting.py", "too_many = voters > most", "too_many = False", "test_voting"),
    ("training/voting.py", "cosines.fill_diagonal_(-torch.inf)", "pass", "test_voting"),
    ("training/voting.py", "keys, keys, others, labels", "keys, keys, labels", "test_voting"),
    ("training/fit.py", "compare_as_learned(votes, stored, asked, plan)", "pass", "test_voting"),
    ("training/step.py", "each * self.weights[labels]", "each", "test_balance"),
    ("training/step.py", "(each if counts is None else each * counts)", "each", "test_voting"),
    ("estimators/evidence_classifier.py", " + self._leads", "", "test_evidence_classifier"),
    ("estimators/learned_keys.py", "square - 1", "0 * square", "test_evidence_classifier"),
    (
        "memory/heads.py",
        "return self.decision.choose(self.probabilities(logits), logits)",
        "return logits.argmax(1)",
        "test_decision",
    ),
    ("memory/heads.py", "torch.minimum(rest, -above)", "rest", "test_decision"),
    ("memory/votes.py", "-taken[..., None]", "taken[..., None]", "test_handicaps"),
    ("metrics/threshold.py", "math.ceil(", "math.floor(", "test_find_threshold"),
    ("metrics/threshold.py", "cost * (~found", "(~found", "test_find_threshold"),
    ("data/balanced_draw.py", "(rank + chance)", "(chance)", "test_balanced_draw"),
    (
        "runs/finish.py",
        "model.head.embed(known_features[name])",
        "known_features[name]",
        "test_votes_run",
    ),
    ("evidence/edit.py", "labels[places] = read", "labels[:1] = read", "test_edit_more"),
    ("evidence/explain.py", "other = bank.labels", "other = bank.predicted", "test_votes_model"),
    (
        "training/fit.py",
        "learner = model if votes is None else ",
        "learner = model or ",
        "test_votes_that_learn",
    ),
    ("data/mirror.py", "fill_diagonal_(torch.inf)", "fill_diagonal_(0)", "test_mirror"),
    ("data/augment.py", "side - 1 - (side - 1 - places).abs()", "places % side", "test_augment"),
    ("runs/budget.py", "steps[WARM:]", "steps", "test_budget"),
    ("runs/tune.py", "seconds - before", "seconds", "test_tune"),
    ("training/recipes.py", "epochs * 3 // 4", "epochs * 2 // 4", "test_loop"),
    ("training/recipes.py", "nesterov=nesterov, ", "", "test_loop"),
    (
        "training/state.py",
        'self.generator.set_state(tensors["random.draws"])',
        "pass",
        "test_resume",
    ),
    ("evidence/answers.py", "queries.split(draw_batch)", "queries.split(500)", "test_loop"),
    ("records/measures.py", "statistics.pstdev", "statistics.stdev", "test_loop"),
    (
        "evidence/predict.py",
        "-pairs.weights, pairs.rows)",
        "pairs.weights, pairs.rows)",
        "test_classifier",
    ),
    (
        "evidence/predict.py",
        "same = (bank.predicted[places]",
        "same = (bank.labels[places]",
        "test_classifier",
    ),
    ("runs/prepare.py", "seed_global(settings.seed)", "pass", "test_settings"),
    (
        "runs/normalisation.py",
        "if settings.mean is not None or",
        "if False or",
        "test_normalisation",
    ),
    (
        "encoders/drop_classifier.py",
        "        return look_through(children[-1])",
        "        return children[-1]",
        "test_drop_classifier",
    ),
    (
        "encoders/drop_classifier.py",
        "and not list(encoder.parameters(recurse=False))",
        "",
        "test_drop_classifier",
    ),
    (
        "encoders/weights_file.py",
        "(*AVERAGED, *CONTAINERS)",
        "(*CONTAINERS, *AVERAGED)",
        "test_weights_file",
    ),
    ("encoders/weights_file.py", "[argparse.Namespace]", "[]", "test_weights_file"),
    (
        "encoders/weights.py",
        "len(take(prefix)), averaged,",
        "len(take(prefix)),",
        "test_weights_file",
    ),
    ("runs/class_counts.py", "if missing and len(found):", "if missing:", "test_class_counts"),
    ("runs/class_counts.py", "if count == 0", "if count < 0", "test_class_counts"),
    ("encoders/load_weights.py", "recorded_in(found.tensors, name) or ", "", "test_normalisation"),
    (
        "runs/normalisation.py",
        "return Normalisation(prepared.mean, prepared.std, prepared.source)",
        "return None",
        "test_normalisation",
    ),
    (
        "runs/images.py",
        "    if settings.weights is None:\n        return LARGE_FOREIGN",
        "    if True:\n        return LARGE_FOREIGN",
        "test_normalisation",
    ),
    ("compat/train_yaml.py", "if examples < EVERYTHING:", "if True:", "test_train_yaml"),
    ("compat/layers.py", "width, 2 * width", "width, width", "test_authors_layers"),
    ("data/find_files.py", "if hashes[place] == found:", "if True:", "test_find_files"),
    (
        "evidence/dependence.py",
        "memory.labels != classes[:, None]",
        "memory.labels[None] >= -classes[:, None]",
        "test_dependence",
    ),
    ("evidence/known.py", "in answers if not one]", "in answers]", "test_known"),
    ("runs/journal.py", "now - self.told >= self.line_seconds", "True", "test_journal"),
    ("data/sample.py", "table[images.labels.cpu()]", "images.labels", "test_sample"),
    (
        "runs/journal.py",
        "(now - self.began) / timed",
        "(now - self.started) / timed",
        "test_journal",
    ),
    ("runs/journal.py", "    trim_log(", "    (lambda *a, **k: None)(", "test_journal"),
    ("cli/__init__.py", 'name.replace("_", "-")', "name", "test_cli"),
    (
        "records/spread.py",
        "statistics.pstdev(known)",
        "statistics.stdev(known)",
        "test_measured",
    ),
    (
        "data/split.py",
        '_check_count("train_examples", train_examples, 1, len(rest))',
        "pass",
        "test_split",
    ),
    ("data/memory_draw.py", "if memory_size > total", "if False", "test_memory_draw"),
    ("encoders/resnet18.py", 'mode="fan_out"', 'mode="fan_in"', "test_encoders"),
    (
        "metrics/doubt.py",
        "read.weights.argmax(1, keepdim=True)",
        "read.weights.argmin(1, keepdim=True)",
        "test_loop",
    ),
    (
        "evidence/answers.py",
        "for g in (generator, second)",
        "for g in (generator, generator)",
        "test_loop",
    ),
    (
        "metrics/evidence.py",
        "weighted_mean(hits, 1 - chance)",
        "weighted_mean(hits, chance)",
        "test_doubt_and_evidence",
    ),
    (
        "evidence/reread.py",
        ".masked_fill(gone, -torch.inf)",
        "",
        "test_removal",
    ),
    ("evidence/reread.py", "((weights == 0) & ~gone)", "(weights == 0)", "test_reread"),
    (
        "evidence/controls.py",
        "nearness.argmax(1, keepdim=True)",
        "nearness.argmin(1, keepdim=True)",
        "test_large_memory",
    ),
    ("memory/attend.py", "columns < counts", "columns + 1 < counts", "test_large_memory"),
    ("models/classifier.py", 'if state["_stamp"] else None', "", "test_classifier"),
    (
        "memory/read_dense.py",
        "query_scale.square() * shrink.sum(1)",
        "shrink.sum(1)",
        "test_read_dense",
    ),
    ("memory/read_dense.py", ".addmm_(to_products.mT, queries)", "", "test_read_dense"),
    ("memory/read_dense.py", "if torch.is_grad_enabled()", "if False", "test_read_dense"),
    ("evidence/suspicious.py", "pairs.weights * same", "pairs.weights", "test_suspicious"),
    ("memory/bank.py", "self.images[positions.cpu()]", "self.images", "test_classifier"),
    ("gather/use_of_memory.py", "exact * wrong[:, None]", "exact", "test_use_of_memory"),
    (
        "gather/use_of_memory.py",
        "model.head.probabilities(found)",
        "found.softmax(1)",
        "test_use_of_memory",
    ),
    ("models/whole_graph.py", "scores - scores.amax(1, keepdim=True)", "scores", "test_export"),
    (
        "cluster/worker.py",
        "start(task.settings, dataset",
        "(task.settings, dataset",
        "test_worker",
    ),
    ("memory/copies.py", "mask[row, list(copies)] = False", "pass", "test_explain"),
    ("evidence/leave_one_out.py", "without - read.logits[rows]", "without", "test_explain"),
    ("evidence/reliance.py", "(memory - neither)", "(memory + neither)", "test_reliance"),
    ("evidence/random_memories.py", "kept += (best >= 0) & ", "kept += ", "test_explain"),
    ("evidence/random_memories.py", "tied.argmin(1)", "same.argmax(1)", "test_explain"),
    ("evidence/explain.py", "masked_fill(same,", "masked_fill(~same,", "test_explain"),
    ("evidence/explain.py", "others.setdefault(item.predicted, item)", "pass", "test_explain"),
    (
        "evidence/removal.py",
        "torch.stack([gone[which], second]",
        "torch.stack([second, second]",
        "test_removal",
    ),
    ("evidence/removal.py", "~twice", "twice", "test_removal"),
    ("evidence/removal.py", "one.margin < known.margin", "False", "test_reread"),
    (
        "evidence/removal.py",
        "order = margins.argsort(stable=True)",
        "order = margins.long().argsort()",
        "test_removal",
    ),
    ("evidence/choose_stored.py", "left[places] = False", "pass", "test_edit"),
    ("evidence/edit.py", "pool.take(torch.cat(coming))", "pool.take(coming[0])", "test_edit"),
    ("evidence/predict.py", "        mask=mask,\n", "        mask=None,\n", "test_explain"),
    ("evidence/removal.py", "unsolved & few &", "unsolved &", "test_removal"),
    ("report/numbers.py", "if role in (None, item.role)", "", "test_numbers"),
    ("cli/files.py", "not path.is_file()", "False", "test_explain_cli"),
    ("evidence/edit.py", "edited.pool = pool", "pass", "test_edit"),
    ("evidence/choose_stored.py", "chosen |= found", "chosen = found", "test_edit"),
    ("cli/__init__.py", "    except BrokenPipeError:", "    except ZeroDivisionError:", "test_cli"),
    ("cli/__init__.py", "        sys.stdout.flush()", "        pass", "test_cli"),
    (
        "memory/support.py",
        "threshold = find_bound(seen)",
        "threshold = find_bound(seen) + 0.3",
        "test_attend",
    ),
    ("memory/support.py", "tops = find_largest(", "find_largest(", "test_attend"),
    (
        "memory/support.py",
        "start + chosen % scores.shape[1]",
        "chosen % scores.shape[1]",
        "test_attend",
    ),
    (
        "memory/equal_rows.py",
        "places[counts[which] > 1]",
        "places[counts[which] > 2]",
        "test_equal_rows",
    ),
    (
        "evidence/predict.py",
        "pairs.scores.double() - ",
        "pairs.scores.double() + ",
        "test_threshold",
    ),
    (
        "memory/read_pairs.py",
        "to_memory.addcmul_(read, shrink[:, None], value=-1)",
        "pass",
        "test_attend",
    ),
    (
        "memory/cosine.py",
        "return scale * torch.addcmul(gradient, unit, along, value=-1)",
        "return scale * gradient",
        "test_attend",
    ),
    ("morphing/strides.py", "0.999**stride\n", "0.999\n", "test_strides"),
    (
        "morphing/strides.py",
        "penalty > 0, objective / penalty",
        "penalty > 0, penalty / objective",
        "test_strides",
    ),
    (
        "morphing/walk.py",
        "(entropy < plan.entropy) & (nearness.exp() > 0.5)",
        "entropy < plan.entropy",
        "test_walk",
    ),
    ("morphing/walk.py", "seen.reached & ~inside", "seen.reached", "test_walk"),
    (
        "morphing/walk.py",
        "goal = goal - logits.scatter(",
        "goal = goal + logits.scatter(",
        "test_walk",
    ),
    ("morphing/path_mask.py", "moved.clamp(0, 1)", "moved", "test_path_mask"),
    (
        "morphing/path_mask.py",
        "value.to(masks) + rest.read(masks)",
        "value.to(masks)",
        "test_path_mask",
    ),
    (
        "morphing/path_mask.py",
        "weights / weights.sum(1, keepdim=True)",
        "weights",
        "test_path_mask",
    ),
    ("morphing/code.py", "same[:, -1] = False", "pass", "test_codes"),
    (
        "morphing/interpolate.py",
        "torch.linspace(0, 1",
        "torch.linspace(0, 0.9",
        "test_paths",
    ),
    (
        "morphing/gain.py",
        "(chosen - above.sum(1, keepdim=True))",
        "chosen",
        "test_path_mask",
    ),
    ("morphing/morph.py", "named=to is not None", "named=False", "test_others"),
    (
        "metrics/pixel_order.py",
        "order if most_first else order.flip(1)",
        "order",
        "test_faithfulness",
    ),
    ("metrics/pixel_order.py", "flat[:, mixed].argsort", "flat.argsort", "test_faithfulness"),
    ("metrics/noisy_filling.py", "rows.sum(1)", "rows.sum(1) * 0 + 1", "test_faithfulness"),
    (
        "metrics/faithfulness/class_flip.py",
        "attributed.low + attributed.high - attributed.images",
        "attributed.images * 0",
        "test_faithfulness",
    ),
    ("metrics/attributed.py", "state.numpy().tobytes()", "0", "test_faithfulness_of_maps"),
    ("autoencoders/imputation.py", "for _ in range(rounds)", "for _ in range(1)", "test_refills"),
    ("runs/trials.py", 'features=features.get("train")', "features=None", "test_trials"),
    ("runs/trials.py", "copy.deepcopy(model.head)", "model.head", "test_trials"),
    ("runs/trials.py", "counts=parts.counts", "counts=None", "test_trials"),
    ("runs/compare_encoders.py", "sums @ sums.T / sums.sum()", "0", "test_compare_encoders"),
    ("encoders/at_layers.py", "(1, 2) if channels_last else (2, 3)", "(2, 3)", "test_at_layers"),
    ("training/default_recipe.py", "compare_mirrored(train).may", "True", "test_default_recipe"),
    (
        "gather/faithfulness_table.py",
        "(control - values) if lower",
        "(values - control) if lower",
        "test_faithful",
    ),
    (
        "gather/faithful.py",
        "self.classes, self.seed",
        "self.classes * 0, self.seed",
        "test_faithful",
    ),
    *ATTRIBUTION,
    *DELIVERY,
]


def noticed(tree: Path, file: str, right: str, wrong: str, tests: str) -> bool:
    """Say whether the tests fail with ``wrong`` in place of the first ``right``."""
    path = tree / "src" / "whence" / file
    original = path.read_text()
    if right not in original:
        raise ValueError(f"{right!r} must be in {file}, it is not.")
    path.write_text(original.replace(right, wrong, 1))
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    try:
        run = subprocess.run(
            [*command, str(next((tree / "tests").rglob(f"{tests}.py")))],
            cwd=tree,
            env=environment,
            capture_output=True,
            check=False,
        )
    finally:
        path.write_text(original)
    return run.returncode == 1


def leave_out(folder: str, names: list[str]) -> set[str]:
    """Leave out what is large and no source, at the top of the tree only."""
    return {".git", ".venv", "runs", ".data"} & set(names) if Path(folder) == ROOT else set()


def main() -> None:
    """Break each line in turn and list what no test noticed."""
    chosen = [case for case in BREAKS if not sys.argv[1:] or case[0] in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        shutil.copytree(ROOT, tree, ignore=leave_out)
        missed = []
        for case in chosen:
            found = noticed(tree, *case)
            print("noticed" if found else "MISSED ", case[0], "|", case[1].strip(), flush=True)
            missed += [] if found else [case]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} noticed")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
