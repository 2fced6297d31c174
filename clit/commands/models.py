"""Commands about models: evaluate, import-official, train."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from clit.commands.base import (
    Chain,
    Data,
    Models,
    app,
    check_folder,
    load_model,
    load_models,
    parse_number,
    read_lines,
    read_text,
    show_progress,
)
from clit.errors import UserError


@app.command()
def evaluate(
    models: Models,
    data: Data,
    scales: Annotated[str, typer.Option(help="Scales, separated by commas.")] = "2,3,4",
    rule: Annotated[
        str,
        typer.Option(
            help="How PSNR is measured: benchmark (luma), capped (luma, border up to 8), rgb, or div2k (RGB)."
        ),
    ] = "benchmark",
    chain: Chain = "published",
    held_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A list of file names: score only every second, those that chose no checkpoint; read as in training.",
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the scores of every picture to this file.")
    ] = None,
) -> None:
    """Score models on folders of full-resolution pictures: mean PSNR / SSIM by folder and scale."""
    from clit.pictures.files import check_writable
    from clit.pictures.metrics import check_rule

    if csv is not None:
        check_writable(csv, (".csv",))
    check_rule(rule)
    factors = [parse_number(text, "--scales", "numbers separated by commas, as in 2,3,4") for text in scales.split(",")]

    from clit.training.evaluate import evaluate as score
    from clit.training.evaluate import find_reported, table, write_csv

    only = None if held_out is None else find_reported(data, read_lines(held_out))
    networks = load_models(models)
    with show_progress("evaluate") as progress:
        rows = score(
            networks, data, factors, rule=rule, chain=chain, only=only, halve=only is not None, progress=progress
        )
    if csv is not None:
        write_csv(rows, csv)
    typer.echo(table(rows))


@app.command("import-official")
def import_official(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .pth file of LIIF, LTE or CLIT as published.")],
    out: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="The checkpoint directory to write.")],
) -> None:
    """Turn published weights into a checkpoint directory, which loads without unpickling."""
    from clit import import_official as read_published
    from clit.networks import checkpoints

    check_folder(out)
    model = read_published(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    card = (
        f"# {out.name}\n\nImported from the published file `{file.name}` (sha256 `{digest}`): "
        f"{model.config.decoder.name} on {model.config.encoder.name}.\n\n"
        "The weights are under the licence of those who published them.\n"
    )
    checkpoints.save(model, out, card)
    typer.echo(f"{out}: {model.config.decoder.name} on {model.config.encoder.name}")


@app.command()
def train(
    presets: Annotated[list[str], typer.Argument(metavar="PRESET...", help="Presets that share one encoder.")],
    data: Data,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder of the run; an unfinished run in it is continued.")
    ],
    minutes: Annotated[float | None, typer.Option(help="Length of the run in minutes.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run in steps, instead of --minutes.")] = None,
    start: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder of checkpoints; presets that are in it start from them."),
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="A model; the encoder starts from its encoder.")] = None,
    freeze_encoder: Annotated[bool, typer.Option("--freeze-encoder", help="Train decoders only.")] = False,
    rate: Annotated[float, typer.Option(help="Learning rate of Adam, after the warm-up.")] = 1e-3,
    encoder_rate: Annotated[float | None, typer.Option(help="A smaller learning rate for the encoder.")] = None,
    batch: Annotated[int, typer.Option(help="Crops per step and process.")] = 8,
    patch: Annotated[int, typer.Option(help="Side of a low-resolution crop in pixels.")] = 24,
    latents: Annotated[
        int, typer.Option(help="Side of the part of a crop's latents that is trained, a pixel for each.")
    ] = 24,
    accumulate: Annotated[int, typer.Option(help="Batches per step, one after another.")] = 1,
    held_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A list of file names that are never trained on.")
    ] = None,
    credits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A text to end each checkpoint's card with.")
    ] = None,
) -> None:
    """Train presets on photographs. Needs the package accelerate: pip install 'clit[train]'."""
    check_folder(out)
    names = set() if held_out is None else read_lines(held_out)
    ending = "" if credits is None else read_text(credits)

    from clit.training.loop import train as train_presets
    from clit.training.settings import Settings

    source = None if encoder is None else load_model(encoder)
    if source is not None and source.kind == "plain":
        raise UserError(f"{encoder} has no encoder to start from: choose a network.")
    settings = Settings(
        minutes, steps, batch, patch, latents, rate, encoder_rate, accumulate=accumulate, freeze_encoder=freeze_encoder
    )
    with show_progress("train") as progress:
        train_presets(
            presets,
            data,
            out,
            settings,
            start=start,
            encoder=None if source is None else source.encoder.state_dict(),
            encoder_name=Path(encoder or start or "random weights").name,
            held_out=names,
            credits=ending,
            report=lambda message, done: progress(done, message),
        )


@app.command("train-decoders")
def train_decoders(
    presets: Annotated[list[str], typer.Argument(metavar="PRESET...", help="Presets that share one encoder.")],
    data: Data,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder of the run; an unfinished run in it is continued.")
    ],
    encoder: Annotated[str, typer.Option(help="A model; its encoder is used as it is.")],
    minutes: Annotated[float, typer.Option(help="Minutes of training, all pieces together.")],
    piece: Annotated[float | None, typer.Option(help="Stop after this many minutes; the same command goes on.")] = None,
    start: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder of checkpoints; presets that are in it start from them."),
    ] = None,
    rate: Annotated[float, typer.Option(help="Learning rate of Adam, after the warm-up.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Says which crops are drawn: another one for weights trained before.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that cut crops; 0: none beside this one.")] = 14,
    held_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A list of file names that are never trained on.")
    ] = None,
    credits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A text to end each checkpoint's card with.")
    ] = None,
) -> None:
    """Train decoders over a frozen encoder on one GPU, in pieces if need be."""
    check_folder(out)
    names = set() if held_out is None else read_lines(held_out)
    ending = "" if credits is None else read_text(credits)

    from clit.training.gpu.run import Settings
    from clit.training.gpu.train import train as train_on_gpu

    train_on_gpu(
        presets,
        data,
        out,
        Settings(minutes, rate, seed, workers),
        piece=minutes if piece is None else piece,
        encoder=load_model(encoder),
        encoder_name=Path(encoder).name,
        start=start,
        held_out=names,
        credits=ending,
        report=lambda line: typer.echo(line),
    )
