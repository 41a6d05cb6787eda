"""What Integrated Gradients leave unexplained on a run, by how many points the path has.

Claim: without a number of steps, at most a few percent of the largest line of any ledger are
unexplained, for less time than as many points for every image would take.

    python -m benchmarks.path_steps RUN [--images 6] [--steps 32 96] [--data-root FOLDER]

RUN is a folder that ``whence train`` made. Test images are drawn; what is unexplained is a share of
the largest line of the ledger or of the score's change. Processor time, one thread.
"""

import argparse
import time
from pathlib import Path

import torch

import whence
from benchmarks.sides import machine
from whence.models.load import load_to_answer
from whence.runs.finished import read_run
from whence.runs.load_parts import load_part
from whence.runs.where import Where
from whence.seeds import make_generator


def main() -> None:
    """Print a line for each number of steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--steps", type=int, nargs="*", default=[32, 96])
    parser.add_argument("--data-root", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    about, model = read_run(options.run), load_to_answer(options.run, "cpu")
    test = load_part(options.run, about, "test", where=Where(options.data_root))
    drawn = torch.randperm(len(test), generator=make_generator(0))[: options.images]
    images = test.images[drawn.sort().values]
    print(machine())
    for steps in (None, *options.steps):
        begin = time.process_time()
        found = whence.attribute(model, images, steps=steps)
        spent = time.process_time() - begin
        if found.ledger is None:
            raise TypeError("Integrated Gradients must keep a ledger.")
        lines = torch.stack([*found.ledger.values(), (found.score - found.start).double()])
        share = found.ledger["unexplained"].abs() / lines.abs().amax(0)
        print(
            f"{steps or 'default'}: unexplained {float(share.mean()):.2%} on average, "
            f"{float(share.max()):.2%} at most, of {len(images)} images; {spent:.1f} s of CPU",
            flush=True,
        )


if __name__ == "__main__":
    main()
