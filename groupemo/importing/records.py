"""What stands beside an imported net: its description for programs, and for readers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from groupemo._version import __version__
from groupemo.importing.inspection import Inspection
from groupemo.importing.kinds import Kind
from groupemo.markdown import escaped, table

__all__ = ["spell_card", "spell_description"]


def spell_description(found: Inspection, kind: Kind, origin: Sequence[str]) -> str:
    """Return the text of net.toml: where the net comes from, and the fields of `Description`."""
    told = [f"# Imported by groupemo {__version__} from {kind}:", *(f"# {one}" for one in origin)]
    return "\n".join([*told, found.description.to_toml()])


def spell_card(found: Inspection, kind: Kind, origin: Sequence[str], folder: Path) -> str:
    """Return the text of card.md: what is known, how, and what is not."""
    rows = [(fact.name, fact.value, fact.known) for fact in found.facts]
    assumed = [f"- {one}" for one in found.assumptions] or ["- Nothing was taken for granted."]
    return "\n".join(
        [
            f"# {escaped(folder.name)}",
            "",
            f"An emotion net, imported by groupemo {__version__} from {kind}:",
            "",
            *(f"- {escaped(one)}" for one in origin),
            "",
            table(["What", "Value", "How it is known"], rows),
            "",
            "## Make sure of",
            "",
            *assumed,
            "",
            "## Not known",
            "",
            "- What it was trained on, by whom, and under which licence: write it here.",
            "- How often it is right. On photos with labels:",
            "",
            "```bash",
            f"groupemo evaluate photos/ labels.csv -b onnx:model={folder / 'net.onnx'}",
            "```",
            "",
            "It tells perceived expressions apart, the look of a face; not what anybody feels.",
            "",
        ]
    )
