"""JSON for LLaMA-Factory with its `dataset_info.json`; sound is a separate file for each video."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from theval_datasets.utils.files import write_text

from .examples import Example
from .formats import ByPart, TrainerFormat, asks_for_sound, names_by_use
from .media import ExportedMedia

_TAGS: Final = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
}


class LlamaFactory(TrainerFormat):
    """JSON and `dataset_info.json` for LLaMA-Factory."""

    sound_files = True

    def write(self, out: Path, examples: ByPart, media: ExportedMedia) -> None:
        """Write ``CONFIG-PART.json`` for each config and part, and `dataset_info.json`, which lists them."""
        listed = {}
        for (config, part), rows in examples.items():
            name = f"{config}-{part}"
            _write(out / f"{name}.json", [_row(row, media) for row in rows])
            columns = {"messages": "messages", "videos": "videos"}
            columns |= {"audios": "audios"} if any(row.asks_for_sound for row in rows) else {}
            listed[name] = {
                "file_name": f"{name}.json",
                "formatting": "sharegpt",
                "columns": columns,
                "tags": _TAGS,
            }
        _write(out / "dataset_info.json", listed)

    def advice(self, out: Path, examples: ByPart) -> list[str]:
        """Lines for the YAML file of a training."""
        train, held_out = names_by_use(examples)
        lines = [f"dataset_dir: {out}", f"dataset: {','.join(train)}"]
        lines += [f"eval_dataset: {','.join(held_out)}"] if held_out else []
        lines.append("template: qwen2_omni")
        return [*lines, "use_audio_in_video: true"] if asks_for_sound(examples) else lines


def _row(example: Example, media: ExportedMedia) -> dict[str, Any]:
    row: dict[str, Any] = {
        "messages": [dict(message) for message in example.messages],
        "videos": [media.videos[example.clip_id]],
    }
    if example.asks_for_sound:
        row["audios"] = [media.audios[example.clip_id]]
    return row


def _write(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
