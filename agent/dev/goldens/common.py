"""What every golden script shares: finding ComfyUI, the analytic denoiser, writing files.

The scripts import an installed ComfyUI (its folder is given by --comfyui or the
environment variable COMFYUI_DIR) and record what it computes. Nothing of ComfyUI is
copied: only numbers leave.
"""

import argparse
import json
import os
import sys
from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "test" / "goldens"

DENOISER = {
    "formula": "denoised = A*x/(1+s^2) + B*tanh(0.3*x)*s/(1+s) + C*k*cos(1.3*c + 0.7*y + 0.4*x_index)",
    "A": 0.9,
    "B": 0.3,
    "C": 0.4,
    "x": "the sampler's latent, as handed to the model (before any division by sqrt(1+s^2))",
    "s": "sigma",
    "k": "the first number of the conditioning tensor: 1 for positive, -0.5 for negative",
    "indices": "c, y, x_index: channel, row and column, counted within what the model is given"
    " (an area's crop starts at 0)",
}


def arguments():
    """Parses the command line, puts ComfyUI on the import path and returns the options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--comfyui", default=os.environ.get("COMFYUI_DIR"))
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    if not options.comfyui:
        parser.error("say where ComfyUI is: --comfyui or COMFYUI_DIR")
    options.out.mkdir(parents=True, exist_ok=True)

    sys.path.insert(0, os.path.realpath(options.comfyui))
    sys.argv = ["goldens", "--cpu", "--disable-dynamic-vram"]
    import comfy.options

    comfy.options.enable_args_parsing()
    import torch

    torch.set_num_threads(2)
    torch.set_grad_enabled(False)
    import comfy.utils

    comfy.utils.set_progress_bar_enabled(False)
    return options


def versions():
    """The versions that the numbers come from."""
    import comfyui_version
    import numpy
    import torch

    return {
        "comfyui": comfyui_version.__version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
    }


def write(options, name, about, cases, tensors):
    """Writes NAME.json (what each case is) and NAME.safetensors (the numbers)."""
    from safetensors.torch import save_file

    document = {"about": about, "versions": versions(), "cases": cases}
    (options.out / f"{name}.json").write_text(one_case_a_line(document))
    file = options.out / f"{name}.safetensors"
    if tensors:
        contiguous = {key: value.detach().contiguous().clone() for key, value in tensors.items()}
        save_file(contiguous, file)
        file.chmod(0o644)
    size = sum(file.stat().st_size for file in options.out.glob(f"{name}.*"))
    print(f"{name}: {len(cases)} cases, {len(tensors)} tensors, {size / 1024:.0f} KB")


def one_case_a_line(document):
    """The JSON text of a document, with each of its cases on one line."""
    head = json.dumps({**document, "cases": []}, indent=1)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in document["cases"])
    return head.replace('"cases": []', f'"cases": [\n{lines}\n ]') + "\n"


def f32(values):
    """Floats of a tensor, in the fewest digits that name the same 32-bit number."""
    import numpy

    flat = numpy.asarray(values, dtype=numpy.float32).reshape(-1)
    return [float(numpy.format_float_scientific(value, unique=True)) for value in flat]


def model_config(**settings):
    """An SD1 configuration without a network."""
    import comfy.supported_models

    class Config(comfy.supported_models.SD15):
        pass

    config = Config({"disable_unet_model_creation": True})
    config.sampling_settings = settings
    return config


def analytic_model(kind="EPS", **settings):
    """A ModelPatcher whose network is the analytic denoiser; `.calls` lists the sigmas asked."""
    import torch
    import comfy.model_base
    import comfy.model_patcher

    class Analytic(comfy.model_base.BaseModel):
        def get_dtype(self):
            return torch.float32

        def _apply_model(self, x, t, c_concat=None, c_crossattn=None, control=None,
                         transformer_options={}, **kwargs):
            self.calls.append((float(t[0]), tuple(x.shape)))
            return denoise(x, t.reshape(-1, 1, 1, 1), c_crossattn[:, :1, :1].unsqueeze(-1))

    model = Analytic(model_config(**settings), getattr(comfy.model_base.ModelType, kind))
    model.calls = []
    device = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, device, device)


def denoise(x, sigma, k):
    """DENOISER["formula"] in torch."""
    import torch

    channel, row, column = (torch.arange(n, dtype=torch.float64) for n in x.shape[1:])
    phase = 1.3 * channel[:, None, None] + 0.7 * row[None, :, None] + 0.4 * column[None, None, :]
    return (
        DENOISER["A"] * x / (1 + sigma**2)
        + DENOISER["B"] * torch.tanh(0.3 * x) * sigma / (1 + sigma)
        + DENOISER["C"] * k * torch.cos(phase).float()
    )


def conditioning(value, **options):
    """A CONDITIONING of one entry whose tensor is the single number `value`."""
    import torch

    return [[torch.full((1, 1, 1), float(value)), dict(options)]]
