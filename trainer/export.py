"""From a trained task to a preset folder that `i2itool convert` takes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from torch import Tensor, nn

from i2itool.errors import OutputError
from i2itool.frames import Pixels
from i2itool.pictures import write_picture
from i2itool.preset import RECIPE_NAME, Classifier, Domains, Network, Preset, Training, write_preset
from i2itool.weights import save_weights

from .config import TrainConfig
from .preview import Translators
from .provenance import Provenance


def export_preset(
    folder: Path,
    translators: Translators,
    config: TrainConfig,
    *,
    step: int,
    sample: Pixels,
    provenance: Provenance,
    classifier: nn.Module | None = None,
) -> Preset:
    """Write the generators of both directions, preset.toml, recipe, card and sample to `folder`.

    A classifier, where there is one, goes beside them.

    preset.toml goes last: a preset without it is not found, so a broken export is never taken for one.
    sample: H,W,3 uint8 RGB, a preview grid.  Raises OutputError if something cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        weights = {
            direction: save_weights(folder / f"{direction}.safetensors", _tensors(network, config))
            for direction, network in translators.items()
        }
        preset = Preset(
            name=config.name,
            summary=f"{config.domain_a} to {config.domain_b} ({config.method})",
            domains=Domains(a=config.domain_a, b=config.domain_b),
            network=Network(name=config.generator.name, hyper=config.generator.hyper),
            training=_training(config, step, provenance),
            classifier=_write_classifier(folder, classifier, config),
            work_size=config.work_size,
            folder=folder,
            a2b=weights.get("a2b"),
            b2a=weights.get("b2a"),
        )
        write_picture(folder / "sample.jpg", sample)
        (folder / RECIPE_NAME).write_text(
            config.portable().model_dump_json(indent=2) + "\n", encoding="utf-8"
        )
        (folder / "CARD.md").write_text(_card(config, step, provenance), encoding="utf-8")
        write_preset(preset, folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from error
    return preset


def _write_classifier(folder: Path, network: nn.Module | None, config: TrainConfig) -> Classifier | None:
    if network is None:
        return None
    weights = save_weights(folder / "classifier.safetensors", _tensors(network, config))
    return Classifier(width=config.critic.width, classes=list(config.adapt.classes), weights=weights)


def _tensors(network: nn.Module, config: TrainConfig) -> dict[str, Tensor]:
    """The weights as they are stored; half precision halves the file and is exact to 11 bits."""
    tensors: dict[str, Tensor] = network.state_dict()
    if config.weights_dtype == "fp32":
        return tensors
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def _training(config: TrainConfig, step: int, provenance: Provenance) -> Training:
    return Training(
        method=config.method,
        steps=step,
        size_px=config.load_px,
        crop_px=config.crop_px,
        **asdict(provenance),
    )


def _card(config: TrainConfig, step: int, provenance: Provenance) -> str:
    generator = ", ".join(f"{key} {value}" for key, value in config.generator.hyper.items())
    sizes = f"short side {config.load_px} px, random crops of {config.crop_px} px"
    revision = f" ({provenance.revision})" if provenance.revision else ""
    told = ", ".join(f"{name} {score:.4g}" for name, score in provenance.scores.items())
    where, classes = f"On held-out pictures, {config.domain_a} to {config.domain_b}", ""
    if config.method == "adapt":
        where = "Named rightly, of the pictures that it was trained on"
        classes = f"\n- Classes: {', '.join(config.adapt.classes)}"
    scores = f"\n- {where}: {told}" if told else ""
    back, pictures = (
        " and back (b2a)",
        f"{provenance.num_a} of {config.domain_a}, {provenance.num_b} of {config.domain_b}",
    )
    method: str = config.method
    if method == "distill":
        back, pictures = "", f"{provenance.num_a}, and what the teacher makes of them"
        method = f"distilled from {config.distill.teacher}"
    return f"""# {config.name}

Translates {config.domain_a} to {config.domain_b} (a2b){back}.

- Method: {method}, {step} of {config.steps} steps, batch {config.batch_size}, seed {config.seed}
- Generator: {config.generator.name} ({generator})
- Pictures: {pictures}, {sizes}
- Weights: running mean over the steps, decay {config.ema}
- Made by i2itool {provenance.version}{revision}, torch {provenance.torch}{classes}{scores}

The licence of the pictures that it was trained on is for whoever trained it to state.
"""
