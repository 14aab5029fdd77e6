/**
 * The table of samplers by ComfyUI's names, in ComfyUI's order: adding one is
 * adding a row. Each row's solver cites its paper; formulas that leave choices
 * open follow k-diffusion (MIT) and what ComfyUI measurably does.
 */
import { deis } from './deis.ts'
import { ddpm, lcm } from './diffusion-steps.ts'
import { dpm2, dpm2Ancestral } from './dpm-2.ts'
import { dpmAdaptive, dpmFast } from './dpm-solver.ts'
import { dpmpp2m, dpmpp2mCfgPp, dpmpp2mSde, dpmpp2mSdeHeun, dpmpp3mSde } from './dpmpp-multi.ts'
import { dpmpp2sAncestral, dpmpp2sAncestralCfgPp, dpmppSde } from './dpmpp-single.ts'
import { erSde } from './er-sde.ts'
import { euler, eulerAncestral, eulerAncestralCfgPp, eulerCfgPp } from './euler.ts'
import { gradientEstimation, gradientEstimationCfgPp } from './gradient-estimation.ts'
import { heun, heunPlusPlus2 } from './heun.ts'
import { ipndm, ipndmV, lms } from './linear-multistep.ts'
import {
  resMultistep,
  resMultistepAncestral,
  resMultistepAncestralCfgPp,
  resMultistepCfgPp,
} from './res-multistep.ts'
import { saSolver, saSolverPece } from './sa-solver.ts'
import { expHeun2X0, expHeun2X0Sde, seeds2, seeds3 } from './seeds.ts'
import type { Sampler } from './solver.ts'
import { uniPc, uniPcBh2 } from './uni-pc.ts'

export interface SamplerRow {
  readonly run: Sampler
  /** Runs on a schedule one step longer without its last sigma but one. */
  readonly discardPenultimate?: true
  /** Keeps the unmasked part of an inpainting under fresh noise instead of the starting noise. */
  readonly freshInpaintNoise?: true
}

/** Rows ending in _gpu draw their noise on a GPU in ComfyUI; on a CPU both are one. */
export const samplers = {
  euler: { run: euler },
  euler_cfg_pp: { run: eulerCfgPp },
  euler_ancestral: { run: eulerAncestral },
  euler_ancestral_cfg_pp: { run: eulerAncestralCfgPp },
  heun: { run: heun },
  heunpp2: { run: heunPlusPlus2 },
  exp_heun_2_x0: { run: expHeun2X0 },
  exp_heun_2_x0_sde: { run: expHeun2X0Sde },
  dpm_2: { run: dpm2, discardPenultimate: true },
  dpm_2_ancestral: { run: dpm2Ancestral, discardPenultimate: true },
  lms: { run: lms },
  dpm_fast: { run: dpmFast },
  dpm_adaptive: { run: dpmAdaptive },
  dpmpp_2s_ancestral: { run: dpmpp2sAncestral },
  dpmpp_2s_ancestral_cfg_pp: { run: dpmpp2sAncestralCfgPp },
  dpmpp_sde: { run: dpmppSde },
  dpmpp_sde_gpu: { run: dpmppSde },
  dpmpp_2m: { run: dpmpp2m },
  dpmpp_2m_cfg_pp: { run: dpmpp2mCfgPp },
  dpmpp_2m_sde: { run: dpmpp2mSde },
  dpmpp_2m_sde_gpu: { run: dpmpp2mSde },
  dpmpp_2m_sde_heun: { run: dpmpp2mSdeHeun },
  dpmpp_2m_sde_heun_gpu: { run: dpmpp2mSdeHeun },
  dpmpp_3m_sde: { run: dpmpp3mSde },
  dpmpp_3m_sde_gpu: { run: dpmpp3mSde },
  ddpm: { run: ddpm },
  lcm: { run: lcm },
  ipndm: { run: ipndm },
  ipndm_v: { run: ipndmV },
  deis: { run: deis },
  res_multistep: { run: resMultistep },
  res_multistep_cfg_pp: { run: resMultistepCfgPp },
  res_multistep_ancestral: { run: resMultistepAncestral },
  res_multistep_ancestral_cfg_pp: { run: resMultistepAncestralCfgPp },
  gradient_estimation: { run: gradientEstimation },
  gradient_estimation_cfg_pp: { run: gradientEstimationCfgPp },
  er_sde: { run: erSde },
  seeds_2: { run: seeds2 },
  seeds_3: { run: seeds3 },
  sa_solver: { run: saSolver },
  sa_solver_pece: { run: saSolverPece },
  ddim: { run: euler, freshInpaintNoise: true },
  uni_pc: { run: uniPc, discardPenultimate: true },
  uni_pc_bh2: { run: uniPcBh2, discardPenultimate: true },
} as const satisfies Record<string, SamplerRow>

export type SamplerName = keyof typeof samplers

export const samplerNames = Object.keys(samplers) as SamplerName[]
