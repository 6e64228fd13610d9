"""The four questions: what may be answered, in which words, and what each answer means.

Every answer is one of a short list, so that the rules can be tested over all of them. A batch is a number; the rules
tell its sizes apart only as far as the sources do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from numbers import Integral
from types import MappingProxyType
from typing import Any

from ..errors import UsageError, near, unknown
from ..language import N_, translate

__all__ = ["QUESTIONS", "SMALLEST", "UNKNOWN", "USUAL_NETS", "Answers", "Question", "bracket", "read", "worlds"]

Answers = Mapping[str, str | None]
"""An answer for each question; None where it was left out."""
UNKNOWN = ("unknown", "?")
"""What stands for "I don't know", where nothing would be read as a flag that was forgotten."""


@dataclass(frozen=True)
class Question:
    """One question: how it is asked, its answers with their meanings, other words for them, what silence means."""

    name: str
    asks: str
    answers: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    unsaid: str | None = None  # the answer where none is given; None: it may be any


QUESTIONS: Mapping[str, Question] = MappingProxyType({
    one.name: one
    for one in (
        Question(
            "data",
            N_("What does the network read?"),
            {
                "images": N_("pictures: to recognize them, to find things in them, to make them"),
                "tokens": N_("text, code"),
                "sequences": N_("sound, time series: one step after another"),
                "table": N_("rows of numbers, a column for each feature"),
                "style": N_("pictures whose style is to be changed"),
                "embeddings": N_("vectors that are compared by their angle: search, faces, contrastive training"),
            },
            {
                "image": "images", "photos": "images", "video": "images", "text": "tokens", "token": "tokens",
                "code": "tokens", "language": "tokens", "audio": "sequences", "sound": "sequences",
                "speech": "sequences",
                "sequence": "sequences", "series": "sequences", "time_series": "sequences", "tabular": "table",
                "tables": "table", "csv": "table", "style_transfer": "style", "embedding": "embeddings",
                "contrastive": "embeddings", "faces": "embeddings", "search": "embeddings",
            },
        ),
        Question(
            "batch",
            N_("How many samples does each device see at once?"),
            {
                "1": N_("a single sample"),
                "2-4": N_("2 to 4 samples"),
                "5-15": N_("5 to 15 samples"),
                "16-31": N_("16 to 31 samples"),
                "32+": N_("32 samples or more"),
            },
        ),
        Question(
            "agree",
            N_("Must training and evaluation be the same function, and samples strangers to each other?"),
            {
                "no": N_("they may differ: an ordinary classifier, evaluated with running averages"),
                "yes": N_("they must agree: single samples, contrastive or reinforcement learning, DP-SGD"),
            },
            {"true": "yes", "false": "no", "y": "yes", "n": "no", "must": "yes"},
            unsaid="no",  # a requirement that nobody states is none
        ),
        Question(
            "net",
            N_("What kind of network is it?"),
            {
                "cnn": N_("convolutional, for recognition"),
                "unet": N_("maps in, maps out: U-Net, detection, segmentation, diffusion"),
                "transformer": N_("a Transformer"),
                "rnn": N_("recurrent: RNN, LSTM, GRU"),
                "mlp": N_("dense layers, with ReLU or tanh or the like"),
                "sigmoid_mlp": N_("dense layers with sigmoid"),
                "gan": N_("a GAN, its discriminator first of all"),
            },
            {
                "conv": "cnn", "convnet": "cnn", "resnet": "cnn", "vgg": "cnn", "inception": "cnn", "u_net": "unet",
                "detector": "unet", "detection": "unet", "segmentation": "unet", "diffusion": "unet",
                "vit": "transformer", "llm": "transformer", "bert": "transformer", "gpt": "transformer",
                "lstm": "rnn", "gru": "rnn",
                "recurrent": "rnn", "dense": "mlp", "fnn": "mlp", "sigmoid": "sigmoid_mlp", "discriminator": "gan",
            },
        ),
    )
})  # fmt: skip

SMALLEST = {"1": 1, "2-4": 2, "5-15": 5, "16-31": 16, "32+": 32}
"""The least batch of each answer, ascending: a batch belongs to the last that it reaches."""

# Which networks read such data: where one of the two was left out, these pairs are what it could be.
USUAL_NETS = {
    "images": ("cnn", "unet", "transformer", "gan"),
    "tokens": ("transformer", "rnn"),
    "sequences": ("rnn", "transformer", "cnn"),
    "table": ("mlp", "sigmoid_mlp"),
    "style": ("cnn", "unet", "gan"),
    "embeddings": ("cnn", "transformer", "mlp"),
}


def bracket(batch: int) -> str:
    """The answer that a batch of so many samples belongs to."""
    return next(name for name in reversed(SMALLEST) if batch >= SMALLEST[name])


def read(question: str, given: Any) -> str | int | None:
    """An answer as it was given, as one of the question's words; of a batch, the number or the words of its size.

    Raises:
        UnknownNameError: a word that the question does not know, with the nearest.
        UsageError: a batch that is no whole number of at least 1.
    """
    if given is None or (isinstance(given, str) and given.strip().lower() in UNKNOWN):
        return None
    if question == "batch":
        return _batch(given)
    if isinstance(given, bool) and question == "agree":
        return "yes" if given else "no"
    one = QUESTIONS[question]
    word = str(given).strip().lower().replace("-", "_").replace(" ", "_")
    word = one.aliases.get(word, word)
    if word in one.answers:
        return word
    every = (*one.answers, *one.aliases)
    raise unknown(f"answer for {question}", str(given), every if near(word, every) else one.answers)


def _batch(given: Any) -> str | int:
    if isinstance(given, str) and given.strip() in SMALLEST and not given.strip().isdigit():
        return given.strip()
    whole = isinstance(given, str | Integral) and given is not True
    try:
        batch = int(given) if whole else 0
    except ValueError:
        batch = 0
    if batch < 1:
        raise UsageError(
            translate("batch: a whole number of samples, at least 1, is required, got {came}.", came=repr(given)),
            hint=translate("Leave it out where you do not know it."),
        )
    return batch


def worlds(answers: Answers) -> Iterator[dict[str, str]]:
    """Every full set of answers that these could stand for: what was left out may be anything that is usual."""
    free = answers.get("data") is None or answers.get("net") is None
    for chosen in product(*(_possible(question, answers.get(name)) for name, question in QUESTIONS.items())):
        world = dict(zip(QUESTIONS, chosen, strict=True))
        if not free or world["net"] in USUAL_NETS[world["data"]]:
            yield world


def _possible(question: Question, given: str | None) -> tuple[str, ...]:
    given = given if given is not None else question.unsaid
    return tuple(question.answers) if given is None else (given,)
