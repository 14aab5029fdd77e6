/** Messages as the libraries write them, and those of other troubles. */
import { MeshError } from '@comfymesh/protocol/errors'
import t from 'tap'
import { isOutOfMemory, outOfMemory } from '../../../src/executors/native/out-of-memory.ts'

const tooLarge = () => new Float32Array(2 ** 40)

function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}

t.test('memory that ran out is known', async (t) => {
  for (const message of [
    'std::bad_alloc',
    'bad allocation',
    "Non-zero status code returned while running Conv node. Name:'n' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*, bool, onnxruntime::WaitNotificationFn) Failed to allocate memory for requested buffer of size 8388608000",
    'Available memory of 1024 is smaller than requested bytes of 4096',
    'CUDA failure 2: out of memory ; GPU=0 ; hostname=pc ; file=cuda_call.cc ; line=121',
    'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; expr=cublasCreate(&cublas_handle_);',
    'CUDNN failure 2: CUDNN_STATUS_ALLOC_FAILED ; GPU=0',
    'CUDNN failure 4000: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ; GPU=0',
    'Exception during initialization: 8007000E Not enough memory resources are available',
    'Array buffer allocation failed',
  ]) {
    t.ok(isOutOfMemory(new Error(message)), message)
  }
  t.ok(isOutOfMemory(thrownBy(tooLarge)), 'what this engine says')
  t.ok(isOutOfMemory(outOfMemory(new Error('std::bad_alloc'))))
})

t.test('other troubles are not taken for it', async (t) => {
  for (const thrown of [
    new Error('Load model failed: Protobuf parsing failed.'),
    new Error("Non-zero status code returned while running Add node. Name:'n' 3 by 4"),
    new MeshError('node_failed', 'the text "out of memory" is too long'),
    thrownBy(() => new Float32Array(-1)),
    'out of memory',
    undefined,
  ]) {
    t.notOk(isOutOfMemory(thrown), String(thrown))
  }
})
