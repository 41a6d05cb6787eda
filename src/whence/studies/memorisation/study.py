"""The study: how networks that memorise differ from networks that learn; or one run of a user."""

from whence.records.images import Dataset
from whence.studies.memorisation.contrasts import LEARNER_RATE
from whence.studies.memorisation.heart import learnt_by_heart
from whence.studies.memorisation.measurements import SEARCH, MemorisingSize, list_measurements
from whence.studies.memorisation.report_contrasts import report_contrasts
from whence.studies.parts.fewer_images import shrink_images
from whence.studies.parts.findings import Findings
from whence.studies.parts.kept import KeptParts, list_by_part
from whence.studies.parts.request import StudyRequest, name_seeds
from whence.studies.parts.subject import identify_data, is_run, load_subject

SMALL_MEMORISING = MemorisingSize(
    images=400,
    validation=250,
    side=14,
    width=256,
    epochs=60,
    fitting_epochs=400,
    batch=32,
    runs=100,
    widths=(16, 32, 64, 128, 256, 512),
    sizes=(100, 200, 400, 800),
    shares=(0.2, 0.4, 0.6, 0.8, 1.0),
)
FULL_MEMORISING = MemorisingSize(
    images=1000,
    validation=1000,
    side=28,
    width=4096,
    epochs=100,
    fitting_epochs=1000,
    batch=128,
    runs=100,
    widths=(256, 512, 1024, 2048, 4096, 8192),
    sizes=(1000, 5000, 10_000, 50_000),
    shares=(0.2, 0.4, 0.6, 0.8, 1.0),
)


def memorisation(request: StudyRequest) -> Findings:
    """Contrast real with random data; of a run, count the labels that it has learnt by heart.

    Raises:
        FileNotFoundError: if images or the run are not there.
        ValueError: if they are not in order, or the run takes no seeds and no size.
    """
    if is_run(request.subject):
        if request.seeds is not None or request.full:
            raise ValueError(
                "A run is trained again by its own settings; leave out --seeds and --full."
            )
        return learnt_by_heart(request)
    size = FULL_MEMORISING if request.full else SMALL_MEMORISING
    dataset = load_subject(request)
    side = min(*dataset.train.images.shape[2:], size.side)
    return contrast_data(request, shrink_images(dataset, side), size)


def contrast_data(request: StudyRequest, dataset: Dataset, size: MemorisingSize) -> Findings:
    """Do every measurement on real and random data with each seed, as parts that are kept."""
    seeds = request.list_seeds(1)
    made_with = {
        **identify_data(dataset),
        "seeds": name_seeds(seeds),
        **size._asdict(),
        "rate": LEARNER_RATE,
        **{f"search_{name}": value for name, value in SEARCH._asdict().items()},
    }
    kept = KeptParts(request.out, "memorisation", made_with)
    found = list_by_part(kept.do_each(dict(list_measurements(dataset, size)), seeds))
    sizes = [one for one in size.sizes if one <= len(dataset.train)]
    classes = dataset.train.class_names
    return report_contrasts(found, size.shares, size.widths, sizes, size.runs, classes, made_with)
