"""schedules.json: the sigmas of every scheduler, and the sigma table of SD1."""

from common import analytic_model, arguments, f32, write

options = arguments()

import torch  # noqa: E402
import comfy.samplers  # noqa: E402

STEPS = [1, 2, 4, 7, 10, 20, 30]
DENOISE = [1, 0.75, 0.3]


def sigmas(model, sampler, scheduler, steps, denoise):
    sampler = comfy.samplers.KSampler(
        model, steps=steps, device="cpu", sampler=sampler, scheduler=scheduler, denoise=denoise
    )
    return f32(sampler.sigmas)


def table(model):
    sampling = model.get_model_object("model_sampling")
    probes = [0.01, 0.0292, 0.05, 0.1, 0.5, 1, 1.7, 3.3, 7, 10, 14.6, 14.6146, 20, 1000]
    times = [0, 0.5, 1, 1.25, 10.75, 250.5, 499.5, 998.5, 999]
    percents = [-0.1, 0, 0.001, 0.1, 0.25, 0.3333, 0.5, 0.75, 0.9, 0.999, 1, 1.5]
    return {
        "sigma_min": f32(sampling.sigma_min)[0],
        "sigma_max": f32(sampling.sigma_max)[0],
        "sigmas": f32(sampling.sigmas),
        "log_sigmas": f32(sampling.log_sigmas[::100]),
        "timestep": [[p, int(sampling.timestep(torch.tensor(p)))] for p in probes],
        "sigma": [[t, f32(sampling.sigma(torch.tensor(t)))[0]] for t in times],
        "percent_to_sigma": [[p, sampling.percent_to_sigma(p)] for p in percents],
    }


eps = analytic_model("EPS")
v = analytic_model("V_PREDICTION")
zsnr = analytic_model("V_PREDICTION", zsnr=True)

cases = []
for scheduler in comfy.samplers.KSampler.SCHEDULERS:
    for steps in STEPS:
        for denoise in DENOISE:
            for sampler in ["euler", "dpm_2"]:
                name = dict(scheduler=scheduler, steps=steps, denoise=denoise)
                name["discards_penultimate"] = sampler == "dpm_2"
                values = sigmas(eps, sampler, scheduler, steps, denoise)
                assert str(values) == str(sigmas(v, sampler, scheduler, steps, denoise)), name
                values = [None if value != value else value for value in values]
                cases.append({**name, "sigmas": values})
        if steps in (4, 20):
            for sampler in ["euler", "dpm_2"]:
                name = dict(scheduler=scheduler, steps=steps, denoise=1, zsnr=True)
                name["discards_penultimate"] = sampler == "dpm_2"
                cases.append({**name, "sigmas": sigmas(zsnr, sampler, scheduler, steps, 1)})

about = {
    "what": "KSampler(model, steps, sampler, scheduler, denoise).sigmas. Epsilon and v-prediction"
    " models of SD1 have the same sigmas (checked here); zsnr marks the zero-terminal-SNR table.",
    "discards_penultimate": "true for these samplers: they compute steps+1 and drop the last"
    " sigma but one",
    "samplers_that_discard": sorted(comfy.samplers.KSampler.DISCARD_PENULTIMATE_SIGMA_SAMPLERS),
    "null": "a sigma that ComfyUI computes as NaN",
    "table": table(eps),
    "zsnr_table": table(zsnr),
}
write(options, "schedules", about, cases, {})
