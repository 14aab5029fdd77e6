/** The onnxruntime options of each provider, each with the reason for it. */
import type { InferenceSession } from 'onnxruntime-node'
import type { ProviderName, SessionSettings } from './settings.ts'

/** onnxruntime's own names, as its session options and `listSupportedBackends` spell them. */
export const backendNames: { readonly [name in ProviderName]: string } = {
  cuda: 'cuda',
  directml: 'dml',
  coreml: 'coreml',
  webgpu: 'webgpu',
  cpu: 'cpu',
}

/**
 * @param weightsFolder the folder below which the graph's weights lie; onnxruntime refuses
 *   files outside of it.
 */
export function sessionOptions(
  provider: ProviderName,
  settings: SessionSettings,
  weightsFolder: string,
): InferenceSession.SessionOptions {
  const shared: InferenceSession.SessionOptions = {
    // One provider and no list: a list does not fall back, it throws.
    executionProviders: [backendNames[provider]],
    // What goes wrong is thrown; onnxruntime need not print it too.
    logSeverityLevel: 4,
    ...(settings.threads !== undefined && { intraOpNumThreads: settings.threads }),
  }
  return provider === 'cpu'
    ? { ...shared, ...cpuOptions(weightsFolder) }
    : { ...shared, ...gpuOptions(weightsFolder) }
}

/**
 * The CPU computes on the mapped file itself. Prepacking and constant folding would copy the
 * weights (a second 3.3 GB and 10 s for SD 1.5). The graphs for the CPU are written as they should
 * run: to look for more to fuse in them takes 0.2 s and finds nothing. A memory pattern, planned in
 * the first run, is allocated beside what the arena took in that run, for no gain in speed. Between
 * runs its threads leave their processors to whoever hears of the step.
 */
function cpuOptions(weightsFolder: string): InferenceSession.SessionOptions {
  return {
    graphOptimizationLevel: 'disabled',
    enableMemPattern: false,
    extra: {
      session: {
        model_external_initializers_file_folder_path: weightsFolder,
        disable_prepacking: '1',
        force_spinning_stop: '1',
      },
    },
  }
}

/** A device gets a copy of the weights in any case, so they are folded to the form it wants. */
function gpuOptions(weightsFolder: string): InferenceSession.SessionOptions {
  return {
    graphOptimizationLevel: 'all',
    extra: { session: { model_external_initializers_file_folder_path: weightsFolder } },
  }
}
