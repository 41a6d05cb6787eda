"""``whence study``: test a published claim, ours beside what was published."""

import json
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from whence.cli.files import check_folder_can_be
from whence.cli.options import (
    add_device,
    add_where,
    build_parser,
    choose_device,
    parse,
    read_where,
)
from whence.messages import quote
from whence.studies import FUNCTIONS, STUDIES, Study
from whence.studies.parts.request import StudyRequest

ONLY_SOME = {"seeds": "--seeds", "full": "--full", "concepts": "--concept"}
"""What only some studies take, and the option that asks for it."""

TAKEN_WORDS = {
    "run": "a run of your own",
    "data": "images or a table of your own",
    **ONLY_SOME,
    "device": "--device",
}
"""What a study may take, in the order in which it is listed."""


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "study",
        "Test a published claim and print ours beside what was published; some studies also look "
        f"at your own run or images. NAME is one of: {', '.join(STUDIES)}.",
    )
    parser.add_argument("name", type=str, nargs="?", metavar="NAME", help="which study")
    parser.add_argument(
        "subject",
        type=str,
        nargs="?",
        metavar="RUN|DATA",
        help="a run folder, or images as whence train takes them, for a study that takes these; "
        "by default the study's own images",
    )
    parser.add_argument("--list", action="store_true", help="print what each study claims")
    parser.add_argument(
        "--out",
        type=str,
        metavar="FOLDER",
        help="leave the table (JSON), the page and the figures there, and the parts that are done: "
        "the same command goes on with them",
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="how many seeds, from 0")
    parser.add_argument("--full", action="store_true", help="the published size; takes long")
    parser.add_argument(
        "--concept",
        dest="concepts",
        type=str,
        action="append",
        metavar="FOLDER",
        help="images that show a concept; give it once per concept",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_where(parser)
    add_device(parser)
    return parser


def study(arguments: list[str]) -> None:
    """Run a study, or list them."""
    options = parse(build(), arguments)
    if options.list:
        if options.name is not None or options.out is not None:
            raise ValueError("--list prints every study; leave out NAME and --out.")
        print(json.dumps(list_claims(), indent=1) if options.json else describe_claims())
        return
    if options.name is None:
        raise ValueError(f"NAME must be one of {', '.join(STUDIES)}; --list says what they claim.")
    FUNCTIONS.check(options.name)
    check_taken(STUDIES[options.name], options)
    request = StudyRequest(
        subject=options.subject,
        seeds=options.seeds,
        full=options.full,
        out=None if options.out is None else Path(options.out),
        where=read_where(options),
        concepts=tuple(map(Path, options.concepts or ())),
        device=choose_device(options.device),
    )
    if request.out is not None:
        check_folder_can_be(request.out)
    from whence.cli.work.study import run_and_show  # late: it loads torch

    run_and_show(options.name, request, as_json=options.json)


def check_taken(asked: Study, options: Namespace) -> None:
    """Refuse what a study does not take.

    Raises:
        ValueError: if something was given that the study would ignore.
    """
    for field, word in ONLY_SOME.items():
        if getattr(options, field) and field not in asked.takes:
            raise ValueError(f"Study {options.name} takes no {word}; leave it out.")
    if options.device not in (None, "cpu") and "device" not in asked.takes:
        raise ValueError(f"Study {options.name} computes on the CPU alone; leave out --device.")
    if options.subject is not None and not {"run", "data"} & set(asked.takes):
        raise ValueError(
            f"Study {options.name} has images of its own, leave out {quote(options.subject)}."
        )


def describe_taken(study: Study) -> str:
    """Say what a study takes, in words.

    >>> describe_taken(Study("", "", "", ("seeds", "run")))
    'a run of your own, --seeds'
    """
    return ", ".join(words for name, words in TAKEN_WORDS.items() if name in study.takes)


def list_claims() -> list[dict[str, object]]:
    """Lay out every study with its claim, its source and what it takes."""
    return [
        {"study": name, "claim": study.claim, "source": study.source, "takes": list(study.takes)}
        for name, study in STUDIES.items()
    ]


def describe_claims() -> str:
    """Write every study with its claim, its source and what it takes."""
    return "\n\n".join(
        "\n".join(
            [
                *(f"{name}", f"  {study.claim}", f"  {study.source}"),
                *([f"  takes {describe_taken(study)}"] if study.takes else []),
            ]
        )
        for name, study in STUDIES.items()
    )
