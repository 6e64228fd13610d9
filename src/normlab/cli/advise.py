"""`normlab advise`: four questions, asked on a terminal or answered by flags, or a model to read the answers from."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from normlab.errors import NormlabError, UsageError
from normlab.language import N_, translate

from .failing import INTERRUPTED, Stop
from .keeping import keep
from .parameters import PATH
from .screen import look
from .speaking import flag, language, verb
from .streams import going_on, print_json
from .working import Bar
from .writing import check_outputs

FLAGS = "--data, --batch, --agree, --net"
DONT_KNOW = N_("I don't know")


@verb(
    "advise",
    usage="[--data NAME] [--batch N] [--net NAME] ...",
    help=N_(
        "Say which normalization suits, and why, with sources and with what would change the answer. On a terminal "
        "without flags it asks; what is left out, or given as 'unknown', the ranking is averaged over."
    ),
    examples=[
        "normlab advise",
        "normlab advise --data images --batch 32 --net cnn -o advice.html",
        "normlab advise --data tokens --agree yes --net transformer --json",
        "normlab advise --model mypackage.models:make --input 8x3x32x32",
    ],
)
@flag("--data", type=PATH, metavar="NAME",
      help=N_("what is read: images, tokens, sequences, table, style (of images) or embeddings"))
@flag("--batch", type=PATH, metavar="N", help=N_("how many samples each device sees at once"))
@flag("--agree", type=PATH, metavar="yes|no",
      help=N_("must training and evaluation be the same function (single samples, contrastive, RL, DP-SGD)?"))
@flag("--net", type=PATH, metavar="NAME", help=N_("cnn, unet, transformer, rnn, mlp, sigmoid_mlp or gan"))
@flag("--model", type=PATH, metavar="MODULE:NAME",
      help=N_("read the answers from a torch model, or what makes one; flags given win"))
@flag("--input", "shape", type=PATH, metavar="8x3x32x32",
      help=N_("with --model: the shape of a batch; of whole numbers: 8x128:int"))
@flag("--measure", type=PATH, metavar="[DATA]", is_flag=False, flag_value="digits",
      help=N_("train the candidates on DATA, as `normlab train` takes it (the digits): did the advice hold?"))
@flag("-o", "--output", "outputs", type=PATH, multiple=True, metavar="FILE",
      help=N_("write FILE.html (the report) or FILE.json; repeatable"))
def advise(
    model: str | None, shape: str | None, measure: str | None, outputs: Sequence[str], as_json: bool, lang: str,
    debug: bool, **given: str | None,
) -> None:  # fmt: skip
    """The verb; what it prints is a function of the document that `normlab.advise` returns."""
    if shape is not None and model is None:
        message = translate("{flag}: needs {other} beside it.", language(), flag="--input", other="--model")
        raise UsageError(message, hint="normlab advise --model mypackage.models:make --input 8x3x32x32")
    files = check_outputs(outputs)
    answers: Mapping[str, Any] = given
    if model is None and not any(given.values()):
        if not is_asking():
            message = N_("advise: at least one of {flags} or --model is required, got none.")
            hint = "normlab advise --data images --batch 32 --agree no --net cnn"
            raise UsageError(translate(message, language(), flags=FLAGS), hint=hint)
        answers = ask()
    result = _advised({**answers, "measure": measure}, model, shape)
    stopped = False
    try:
        with going_on():
            if not as_json:
                _show(result.to_dict())
    finally:  # a text that cannot be shown is no reason to lose the files
        stopped = keep(result, files)
    if as_json:  # after the files: where one fails, the one document is about that
        with going_on():
            print_json(result.to_json())
    if stopped:
        raise Stop(INTERRUPTED)


def _advised(answers: Mapping[str, Any], model: str | None, shape: str | None) -> Any:
    from normlab import advise as run

    if answers["measure"] is not None:
        answers = {**answers, "train": _training}
    if model is None:
        return run(**answers)
    from normlab.advice.loading import batch_of, made

    if shape is None:
        return run(**answers, model=made(model))
    if answers["batch"] is not None:
        raise UsageError(translate("--batch and --input cannot be given together.", language()))
    return run(**{**answers, "batch": batch_of(shape)}, model=made(model))


def _training(methods: Sequence[str], **options: Any) -> Any:
    """Training for somebody who waits."""
    from normlab.experiments.train import run

    with Bar(translate("training", language())) as bar:
        return run(methods, on_step=lambda done, total, _, latest: bar(done, total, latest), **options)


def is_asking() -> bool:
    """Whether somebody sits at a terminal who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask() -> dict[str, str | None]:
    """The four questions on stderr, one after the other; Enter takes the default, a mistake is asked again.

    Raises:
        KeyboardInterrupt: Ctrl-C, or the input ends.
    """
    from normlab.advice.questions import QUESTIONS

    try:
        return {name: _asked(name) for name in QUESTIONS}
    except click.Abort:
        raise KeyboardInterrupt from None


def _asked(name: str) -> str | None:
    """The answer to one question: a number of the list, a word, or the default."""
    from normlab.advice.questions import QUESTIONS, UNKNOWN

    say, question = language(), QUESTIONS[name]
    words = [] if name == "batch" else [*question.answers, UNKNOWN[0]]  # a batch is a number itself
    _put(translate(question.asks, say), before="\n")
    for k, word in enumerate(words, 1):
        meaning = translate(question.answers.get(word, DONT_KNOW), say)
        _put(f"{word}: {meaning}", indent=5, first=f"{k:>3}) ")
    default = question.unsaid or UNKNOWN[0]
    number = translate("number of samples, or {unknown}", say, unknown=UNKNOWN[0])
    if words:
        default, number = str(words.index(default) + 1), translate("number", say)
    while True:
        given = click.prompt(number, default=default, err=True, type=str)
        try:
            return _understood(name, given.strip(), words)
        except NormlabError as mistake:
            _put(str(mistake))


def _understood(name: str, given: str, words: Sequence[str]) -> str | None:
    """What was typed as an answer. Raises UsageError for a number that is not on the list, or an unknown word."""
    from normlab.advice.questions import read

    if words and given.isdecimal():
        if not 0 < int(given) <= len(words):
            message = N_("A number from 1 to {count} is required, got {came}.")
            raise UsageError(translate(message, language(), count=len(words), came=given))
        given = words[int(given) - 1]
    found = read(name, given)
    return None if found is None else str(found)


def _put(text: str, *, before: str = "", indent: int = 0, first: str | None = None) -> None:
    """Print a paragraph on stderr."""
    from normlab.report.cells import wrap

    click.echo(before + "\n".join(wrap(text, look().width, indent=indent, first=first)), err=True)


def _show(document: Mapping[str, Any]) -> None:
    from normlab.report import text

    how = look()
    click.echo(text(document, language(), color=how.color, width=how.width))
