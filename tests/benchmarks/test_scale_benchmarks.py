"""The commands behind docs/scale.md count and look up what they say."""

import statistics
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import benchmarks.approximate_index as scale
import benchmarks.table_cost as cost
from whence.memory.attend import attend
from whence.memory.attention import weigh
from whence.memory.bank import Bank
from whence.memory.cosine import cosine
from whence.models.wrap import wrap
from whence.runs.settings import Settings

PAPER = Settings(
    recipe="paper",
    data="cifar10",
    encoder="shufflenet_v2",
    variant="memory-wrap",
    train_examples=1000,
    validation_examples=6000,
    epochs=300,
    memory_size=20,
)


def draw(rows, seed, width=5):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def fan(*degrees):
    angles = torch.tensor(degrees).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], 1)


@pytest.fixture
def index():
    """Cells {0, 3}, {1}, {2, 4} with centres at 0, 90 and 180 degrees, written out by hand."""
    memory = fan(0.0, 90.0, 180.0, 10.0, 170.0) * torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]])
    places = torch.tensor([0, 3, 1, 2, 4])
    lengths = torch.tensor([1.0, 4.0, 2.0, 3.0, 5.0])
    ordered = (lengths.square() + 1e-6).rsqrt()
    cells = torch.tensor([0, 1, 2, 0, 2])
    return scale.Index(
        fan(0.0, 90.0, 180.0), [0, 2, 3, 5], cells, places, memory[places], ordered
    ), memory


def test_cells_hold_every_stored_image_once_and_are_the_nearest():
    memory = draw(60, 0)
    built = scale.build_index(memory, 7, seed=0)
    assert sorted(built.places.tolist()) == list(range(60))
    assert built.starts[0] == 0
    assert built.starts[-1] == 60
    assert 1 < len(built.centres) <= 7
    torch.testing.assert_close(built.features, memory[built.places])
    torch.testing.assert_close(built.centres.norm(dim=1), torch.ones(len(built.centres)))
    torch.testing.assert_close(cosine(memory, built.centres).argmax(1), built.cells)
    for cell in range(len(built.centres)):
        members = built.places[built.starts[cell] : built.starts[cell + 1]]
        assert len(members) > 0
        assert set(members.tolist()) == set((built.cells == cell).nonzero()[:, 0].tolist())


def test_empty_cells_are_left_out():
    memory = draw(3, 0).repeat(10, 1)  # three different images cannot fill six cells
    built = scale.build_index(memory, 6, seed=0)
    assert len(built.centres) == 3
    assert torch.tensor(built.starts).diff().tolist() == [10, 10, 10]


def test_all_cells_give_the_exact_answer():
    queries, memory = draw(6, 1), draw(60, 0)
    built = scale.build_index(memory, 7, seed=0)
    exact = attend(queries, memory)
    vectors, tops = scale.look_up(built, queries, 7)
    torch.testing.assert_close(vectors, exact.vectors, atol=1e-5, rtol=1e-5)
    assert tops.tolist() == weigh(cosine(queries, memory)).argmax(1).tolist()
    assert scale.measure(built, queries, exact, 99) == pytest.approx((1, 1, 1, 1))


@pytest.mark.parametrize("probes", [1, 2, 3])
def test_a_look_up_is_sparsemax_over_the_cells(probes):
    queries, memory = draw(6, 1), draw(60, 0)
    built = scale.build_index(memory, 7, seed=0)
    nearest = cosine(queries, built.centres).argsort(1, descending=True)[:, :probes]
    allowed = (built.cells[None, :, None] == nearest[:, None, :]).any(2)
    weights = weigh(cosine(queries, memory), mask=allowed)
    vectors, tops = scale.look_up(built, queries, probes)
    torch.testing.assert_close(vectors, weights @ memory, atol=1e-5, rtol=1e-5)
    assert tops.tolist() == weights.argmax(1).tolist()
    exact = attend(queries, memory)
    full = weigh(cosine(queries, memory))
    inside = (full * allowed).sum(1)
    found = scale.measure(built, queries, exact, probes)
    assert found.looked_at == pytest.approx(allowed.float().mean().item())
    assert found.weight == pytest.approx(inside.mean().item(), abs=1e-6)
    assert found.whole == pytest.approx((inside > 1 - 1e-5).float().mean().item())
    hits = [bool(allowed[row, full[row].argmax()]) for row in range(6)]
    assert found.top == pytest.approx(statistics.fmean(hits))


def test_quality_by_hand(index):
    built, memory = index
    # a query at 40 degrees lies 40, 50, 140, 30 and 130 degrees from the images, and nearest to the
    # centre at 0, whose cell holds the images at 0 and 10 degrees
    query = fan(40.0)
    scores = torch.tensor([40.0, 50.0, 30.0]).deg2rad().cos()  # those with a weight
    weights = scores - (scores.sum() - 1) / 3
    exact = attend(query, memory)
    assert exact.pairs.places.tolist() == [0, 1, 3]
    found = scale.measure(built, query, exact, 1)
    assert found.looked_at == pytest.approx(2 / 5)
    assert found.weight == pytest.approx(float(1 - weights[1]), abs=1e-5)
    assert (found.whole, found.top) == (0, 1)
    vectors, tops = scale.look_up(built, query, 1)
    two = torch.tensor([40.0, 30.0]).deg2rad().cos()
    share = two - (two.sum() - 1) / 2
    torch.testing.assert_close(vectors[0], share @ memory[[0, 3]], atol=1e-5, rtol=1e-5)
    assert tops.tolist() == [3]
    # at 85 degrees the top memory is at 90, in the cell looked at, and all others are elsewhere
    one = scale.measure(built, fan(85.0), attend(fan(85.0), memory), 1)
    assert (one.looked_at, one.top, one.whole) == (pytest.approx(1 / 5), 1, 0)
    # at 48 degrees the nearest centre is at 90, but the nearest image is the one at 10 degrees
    far = scale.measure(built, fan(48.0), attend(fan(48.0), memory), 1)
    assert far.top == 0


def test_reading_in_parts_is_reading_at_once():
    queries, memory = draw(150, 1), draw(40, 0)
    one, parts = attend(queries, memory), scale.read_exactly(queries, memory)
    torch.testing.assert_close(parts.vectors, one.vectors)
    assert parts.pairs.rows.equal(one.pairs.rows)
    assert parts.pairs.places.equal(one.pairs.places)
    torch.testing.assert_close(parts.pairs.weights, one.pairs.weights)


def test_what_shards_return_is_enough_for_the_whole():
    queries, memory, shards = draw(9, 1), draw(50, 0), 4
    exact = attend(queries, memory).pairs
    merged = torch.full((9, 50), -torch.inf)
    returned, before = 0, 0
    for part in memory.tensor_split(shards):
        rows, places, _, scores = attend(queries, part).pairs
        merged[rows, places + before] = scores
        returned, before = returned + len(rows), before + len(part)
    weights = weigh(merged)
    assert weights.nonzero().tolist() == torch.stack([exact.rows, exact.places], 1).tolist()
    torch.testing.assert_close(weights[exact.rows, exact.places], exact.weights)
    assert scale.count_survivors(queries, memory, shards) == pytest.approx(returned / 9)
    assert scale.count_survivors(queries, memory, 1) == pytest.approx(len(exact.rows) / 9)
    assert returned > len(exact.rows)


def test_vectors_read_on_paper():
    assert scale.cells_for(10_000_000) == 3162
    assert scale.cells_for(1) == 1
    assert scale.count_read(1_000_000, 8) == 1000 + 8 * 1000
    assert scale.count_read(40_000, 3) == 800


def test_sides_are_called_in_turn():
    calls = []
    sides = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    found = scale.spend(sides, 3)
    assert "".join(calls) == "ab" + "ababab"
    assert {name: len(seconds) for name, seconds in found.items()} == {"a": 3, "b": 3}
    assert all(second >= 0 for seconds in found.values() for second in seconds)


def test_processor_time_counts_work_and_not_waiting(monkeypatch):
    clock = iter([10.0, 12.5, 20.0, 20.5])
    monkeypatch.setattr(scale, "time", SimpleNamespace(process_time=lambda: next(clock)))
    assert scale.spend({"one": lambda: None}, 2) == {"one": [2.5, 0.5]}


def test_both_reports_run(capsys):
    torch.manual_seed(0)
    model = wrap("small_cnn", 3, image_shape=(1, 8, 8)).eval()
    stored = torch.randn(160, model.features)
    numbers = torch.arange(160)
    model.attach(Bank(stored, numbers, numbers % 3, numbers % 3, ("00",) * 160))
    with torch.no_grad():
        scale.report_exact(2000, 1)
        scale.report_index(model, torch.randn(70, model.features), 1)
    lines = capsys.readouterr().out.splitlines()
    assert "10,000,000: features 19 GiB" in lines[5]
    assert "1,000,000,000: features 1,907 GiB" in lines[6]
    assert "index of 31,623 cells: 16 cells" in lines[6]
    assert [line for line in lines if "stored images" in line][-1].startswith("160 stored images")
    whole = (
        "  32 cells: 100.0% looked at; 100.0% of the weight, 100.0% of the top memories, "
        "all evidence of 100.0%; 100.0% of the answers the same"
    )
    assert lines.count(whole) == len(scale.PARTS) == 3
    assert sum("core-ms a query" in line for line in lines) == 2 + len(scale.PROBES)


def test_a_run_without_cosine_is_refused(monkeypatch, tmp_path):
    model = wrap("small_cnn", 3, image_shape=(1, 8, 8), similarity="dot").eval()
    monkeypatch.setattr(scale, "read_run", lambda folder: {})
    monkeypatch.setattr(scale.whence, "load", lambda folder: model)
    with pytest.raises(ValueError, match="must hold a model that reads its memory by cosine"):
        scale.read_queries(tmp_path, None, 5)


def test_one_run_by_hand():
    image = cost.count_image("shufflenet_v2")
    head = cost.count_head("shufflenet_v2", "memory-wrap", 128, 20)
    steps = 300 * 7  # 1,000 images are 7 batches of 128, the rest is dropped
    encoded = 6000 + 10_000 + 1000
    expected = (1, steps, steps * 148, encoded, steps * 3 * (148 * image + head), encoded * image)
    assert cost.count_run(PAPER) == expected


def test_a_standard_run_has_no_memory_and_no_bank():
    found = cost.count_run(replace(PAPER, variant="standard", data="svhn", epochs=40))
    assert found.trained == 40 * 7 * 128
    assert found.encoded == 6000 + 26_032


def test_all_images_are_those_that_validation_leaves():
    found = cost.count_run(replace(PAPER, data="cinic10", train_examples=None, memory_size=100))
    assert found.steps == 300 * (84_000 // 128)
    assert found.trained == found.steps * 228
    assert found.encoded == 6000 + 90_000 + 84_000


def test_a_small_training_set_is_one_batch():
    assert cost.count_run(replace(PAPER, train_examples=50)).trained == 300 * (50 + 20)


def test_operations_of_a_head_by_hand():
    width = 512
    assert cost.count_head("resnet18", "standard", 8, 0) == 2 * 8 * width * 10
    attention = 2 * (2 * 8 * 3 * width)  # similarities, and the sum by weight
    layers = 2 * 8 * (2 * width * 4 * width + 4 * width * 10)
    assert cost.count_head("resnet18", "memory-wrap", 8, 3) == attention + layers
    layers = 2 * 8 * (width * 2 * width + 2 * width * 10)
    assert cost.count_head("resnet18", "only-memory", 8, 3) == attention + layers


def test_operations_of_an_encoder_are_those_of_its_convolutions():
    network = wrap("resnet18", 10, variant="standard", image_shape=(3, 32, 32)).encoder.eval()
    expected = []

    def note(layer, inputs, output):
        weights = layer.weight.numel() // layer.out_channels
        expected.append(2 * output.numel() * weights)

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    assert len(expected) == 20
    assert cost.count_image("resnet18") == sum(expected)


def entry(steps=0, training=0, evaluation=0, seeds=1, table=1, encoder="a"):
    return cost.Entry(
        table, encoder, "standard", cost.Work(1, steps, 7, 5, training, evaluation), seeds
    )


def test_seconds_of_a_run():
    work = entry(steps=10, training=600, evaluation=50).one
    assert cost.seconds_of(work, rate=10.0, least=2.0) == 60 + 5
    assert cost.seconds_of(work, rate=10.0, least=8.0) == 80 + 5


def test_runs_are_shared_out_up_to_the_longest():
    rows = [entry(training=400, seeds=3), entry(training=100, seeds=8)]
    assert cost.schedule(rows, 10.0, 0.0, 1) == 3 * 40 + 8 * 10
    assert cost.schedule(rows, 10.0, 0.0, 4) == 50
    assert cost.schedule(rows, 10.0, 0.0, 8) == 40


def test_sums_count_every_seed():
    rows = [entry(steps=2, training=30, evaluation=4, seeds=3), entry(steps=1, training=10)]
    assert cost.add(rows) == (4, 7, 28, 20, 100, 12)
    assert cost.count_operations(rows) == 112


def test_groups_keep_all_rows():
    rows = [entry(table=1), entry(table=12, encoder="b"), entry(table=1, encoder="b")]
    assert cost.group(rows, "table") == {"1": [rows[0], rows[2]], "12": [rows[1]]}
    assert cost.group(rows, "encoder") == {"a": [rows[0]], "b": [rows[1], rows[2]]}


def test_a_row_of_the_printed_table(capsys):
    rows = [entry(steps=1_000_000, training=3 * 10**15, evaluation=10**15, seeds=9)]
    others = [*rows, entry(training=4 * 10**15)]
    cost.print_rows("table", {"1": rows}, others, 1e12, 0.001)
    line = capsys.readouterr().out.splitlines()[-1]
    # 9 runs of 3,000 + 1,000 seconds: 10 hours, 1.25 on eight devices, but no less than one run
    assert line == "| 1 | 9 | 9.00 | 0 | 0 | 36 | 90.0% | 10.0 | 1.2 | 66.7 |"


def test_every_table_with_runs_is_counted(monkeypatch):
    monkeypatch.setattr(cost, "count_image", lambda encoder: 1)
    monkeypatch.setattr(cost, "count_head", lambda *_: 0)
    found = cost.list_entries()
    assert sorted({one.table for one in found}) == [1, 2, 3, 4, 8, 9, 10, 12]
    assert len(found) == 7 * 27 + 36
    assert cost.add(found).runs == 7 * 27 * 15 + 36 * 5


def test_a_step_is_measured_per_image(monkeypatch, capsys):
    ticks = iter([0.0, 900.0, 950.0, 1014.0])  # the first step does not count
    monkeypatch.setattr(cost, "read_clock", lambda device: next(ticks))
    assert cost.measure_image("small_cnn", "cpu") == pytest.approx(1.0)  # 32 + 25 images a step
    monkeypatch.setattr(cost, "measure_image", lambda encoder, device: 36.0)
    cost.print_measured([entry(encoder="resnet18", seeds=300)], "cpu")
    # (7 + 5 / 3) images times 300 seeds at 36 seconds
    assert capsys.readouterr().out.splitlines()[-1].startswith("  all: 26 core-hours, 1 days")


def test_a_gpu_is_waited_for_before_the_clock_is_read(monkeypatch):
    events = []
    clocks = {"process_time": lambda: 3.0, "perf_counter": lambda: events.append("clock") or 5.0}
    monkeypatch.setattr(cost, "time", SimpleNamespace(**clocks))
    monkeypatch.setattr(cost.torch.cuda, "synchronize", lambda: events.append("done"))
    assert cost.read_clock("cpu") == 3.0
    assert events == []
    assert cost.read_clock("cuda") == 5.0
    assert events == ["done", "clock"]
