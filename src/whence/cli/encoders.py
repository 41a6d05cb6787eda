"""``whence encoders``: compare pretrained networks and sizes of images, before any training."""

from jsonargparse import ArgumentParser

from whence.bounds import check_number
from whence.cli.options import add_device, build_parser, choose_device, parse
from whence.encoders import check_encoder
from whence.runs.column_options import UNWEIGHTED
from whence.runs.parse import add_setting
from whence.runs.settings import DATA_ROOT, FIELDS


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "encoders",
        "Compare pretrained networks and sizes of images by what their features say about the "
        "classes of DATA, a dataset's name, an image folder or a table of labels: nearest "
        "neighbours, each image answered by all others, and linear probes, in five folds. The test "
        "images are not looked at. The best line is what to train with.",
    )
    parser.add_argument(
        "data", type=str, metavar="DATA", help="dataset, image folder or table of labels"
    )
    parser.add_argument(
        "--encoder",
        type=str,
        nargs="+",
        required=True,
        metavar="NAME",
        help="small_cnn, resnet18, ..., torchvision:NAME or timm:NAME",
    )
    parser.add_argument(
        "--weights",
        type=str,
        nargs="+",
        default=["default"],
        metavar="FILE",
        help="one for all, or one for each encoder: 'default' or a file; by default 'default'",
    )
    parser.add_argument(
        "--size",
        type=int,
        nargs="+",
        metavar="PIXELS",
        help="heights and widths to try; by default the one that the weights were trained with",
    )
    parser.add_argument(
        "--layers",
        action="store_true",
        help="compare the depths of each encoder, its output, and that together with the depths "
        "before it; in place of probes by ridge regression, each image answered by all others",
    )
    parser.add_argument("--train-examples", type=int, help="images to compare on; by default all")
    parser.add_argument("--seed", type=int, default=0, help="of the images and the folds (0)")
    for name in UNWEIGHTED:
        add_setting(parser.add_argument, FIELDS[name])
    parser.add_argument(
        "--data-root",
        type=str,
        default=DATA_ROOT,
        metavar="FOLDER",
        help=f"folder that holds downloaded datasets ({DATA_ROOT})",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list, best first")
    add_device(parser)
    return parser


def encoders(arguments: list[str]) -> None:
    """Measure every encoder at every size, and print the best first."""
    options = parse(build(), arguments)
    if len(options.weights) not in (1, len(options.encoder)):
        raise ValueError(
            f"weights must be one for all encoders, or one for each of {len(options.encoder)}, "
            f"got {len(options.weights)}."
        )
    for name in options.encoder:
        check_encoder(name)
    for size in options.size or ():
        check_number("size", size)
    weights = options.weights
    weights = weights if len(weights) > 1 else weights * len(options.encoder)
    device = choose_device(options.device)
    from whence.cli.work.encoders import compare_all  # late: it loads torch

    compare_all(list(zip(options.encoder, weights, strict=True)), options, str(device))
