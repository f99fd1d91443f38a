"""Models under the names that torchvision, open_clip, Keras, torch.hub and Hugging Face give them.

`vit_b_16`, `ViT-B/16` and `google/vit-base-patch16-224` are timm's `vit_base_patch16_224`, or its
relatives: the same words in another order, cut otherwise and shortened. So names are compared word
by word, sizes written alike on both sides.
"""

import functools
import re
from collections.abc import Collection, Mapping
from fractions import Fraction

from doctune.words import nearest

# Sizes, as both sides write them; `xx_small` and its like are joined before.
SIZES = {
    "ti": "tiny",
    "t": "tiny",
    "s": "small",
    "m": "medium",
    "b": "base",
    "l": "large",
    "h": "huge",
    "g": "giant",
    "bigg": "gigantic",
    "xs": "xsmall",
    "xxs": "xxsmall",
    "xl": "xlarge",
}
# What is least said by words of timm's that were not typed; others say more.
USUAL = {"224": 0.0, "100": 0.0, "16": 0.0, "tiny": 0.7, "small": 0.8, "base": 0.9}
# Pixels of windows and patches, and widths in hundredths.
MEASURES = re.compile(r"window\d+|[4-9]|1[46]|32|0\d\d|1[0-5][05]|300|378|518")


def _hundredths(found: re.Match[str]) -> str:
    """Write a width of 0.5 as 050, as timm does."""
    return f"{found[1]}_{int(Fraction(f'{found[2]}.{found[3]}') * 100):03d}"


def _flops(found: re.Match[str]) -> str:
    """Write 400 MF as 004 and 1.6 GF as 016."""
    number = Fraction(found[2].replace("_", "."))
    return f"regnet{found[1]}_{int(number * (10 if found[3] == 'g' else Fraction(1, 100))):03d}"


# What is called otherwise, in lower case with `_` for what is between words.
REWRITTEN = (
    # OpenAI's and open_clip's vision towers; those of SigLIP say so themselves.
    (r"^rn(\d+(?:x\d+)?)", r"resnet\1_clip"),
    (r"siglip2", "siglip"),
    (r"^mobileclip_s(\d)", r"fastvit_mci\1"),
    ("^eva01_", "eva_"),
    (r"_(laion|datacomp|openai|metaclip|dfn)\d\w*$", ""),
    # torch.hub's dinov2_vitb14_reg, and vit_b16.
    (r"(?<![a-z])vit_?([tsblhg])_?(\d+)", r"vit_\1_\2"),
    (r"_with_registers|_reg(?=_|$)", "_reg4"),
    # The same layers, trained on scanned documents; and with another aim.
    (r"^dit_|^data2vec_vision_", "beit_"),
    (r"^sam_vit_", "samvit_"),
    ("^dinov3_(?=convnext)", ""),
    ("^xception$", "legacy_xception"),
    ("^mobilenet$", "mobilenetv1"),
    (r"^bit_(\d+)", r"resnetv2_\1x1_bit"),
    (r"^resnet(\d+)v2", r"resnetv2_\1"),
    (r"^regnet_?([xy])_(\d+(?:_\d+)?)(m|g)f", _flops),
    (r"^regnet_([xyz])", r"regnet\1"),
    (r"(mnasnet|mobilenet_?v\d|mobilevitv2)_?(\d)[._](\d+)", _hundredths),
)
# From here on what was typed is missed too much, and by so much the likeliest is likelier.
TOO_MUCH, MARGIN = 2.0, 0.5


def as_timm_writes(name: str, known: Collection[str]) -> list[str]:
    """Return the models of timm that may be meant by another library's name, the likeliest first.

    Args:
        name: as typed, without the weights of timm that may stand behind a dot.
        known: all names of timm.
    """
    typed = _rewritten(name)
    alike = [other for other in known if _glued(other) == _glued(typed)]
    if alike:
        return sorted(alike)
    spoken = _spoken(frozenset(known))
    there = frozenset().union(*spoken.values())
    words = {word: None for typo in _words(typed) for word in [_spelt(typo, there)]}
    meant, first = words.keys() & there, next(iter(words), "")
    costs: dict[str, tuple[float, int, str]] = {}
    for other, its in spoken.items():
        if not ({first, next(iter(_words(other)))} & meant & its):
            continue
        missed = sum(0.5 if _measures(word) else TOO_MUCH for word in meant - its)
        # A depth that timm has in no name is no word to be left out.
        missed += sum(TOO_MUCH for word in words.keys() - meant if word.isdigit() and len(word) < 3)
        more = sum(_weight(word) for word in its - words.keys())
        if missed < TOO_MUCH:
            costs[other] = missed + more, len(other), other
    least = min(costs.values(), default=(0.0,))[0]
    return sorted(
        (other for other in costs if costs[other][0] < least + MARGIN), key=costs.__getitem__
    )


def _rewritten(name: str) -> str:
    # ViT-B/32 has no owner before its slash.
    bare = re.split(r"/(?!\d)|:", name)[-1]
    clip = re.match(r"(ViT|EVA0\d)-\w+[-/]\d+", bare) and "siglip" not in bare.lower()
    bare = re.sub(r"[-/@ ]", "_", bare.lower()).replace("px", "")
    for written, ours in REWRITTEN:
        bare = re.sub(written, ours, bare)
    return f"{bare}_clip" if clip else bare


def _spelt(word: str, there: Collection[str]) -> str:
    """Return the word that is meant by a misspelt one; a short one may be any."""
    if word in there or len(word) < 4:
        return word
    return next(iter(nearest(word, there, alike=0.85)), word)


def _weight(word: str) -> float:
    """Return how much is said by a word of timm's that was not typed."""
    return USUAL.get(word, 0.1 if _measures(word) else 1.0)


def _measures(word: str) -> bool:
    """Tell whether a word says how large something is, images among it: a depth does not."""
    pixels = word.isdigit() and len(word) == 3 and int(word) % 16 == 0
    return pixels or MEASURES.fullmatch(word) is not None


def _glued(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@functools.lru_cache(maxsize=1)
def _spoken(known: frozenset[str]) -> Mapping[str, frozenset[str]]:
    return {name: frozenset(_words(name)) for name in known}


def _words(name: str) -> dict[str, None]:
    """Return the words of a name in their order: `vit base 16 224` of vit_base_patch16_224."""
    name = re.sub(r"_v(\d)", r"v\1", name)
    name = re.sub(r"\b(x+) (small|large)", r"\1\2", name.replace("_", " "))
    name = re.sub(r"\bpatch(?=\d)", "", name)
    # A depth or a size behind a word is one by itself.
    name = re.sub(r"(?<=[a-z])(?<!window)(\d\d+)", r" \1", name)
    return dict.fromkeys(SIZES.get(word, word) for word in name.split())
