/**
 * How a graph names the files that its weights stay in. A session is told one folder and takes
 * only paths below it; the root of the checkpoint's drive lets it name the LoRAs' files too.
 */
import nodePath from 'node:path'

/** The widest folder that a session can be told: '/', or the drive on Windows. */
export function driveRoot(path: string, { parse } = nodePath): string {
  return parse(path).root
}

/** The path below the folder as ONNX wants it; undefined for a file outside or on another drive. */
export function weightsLocation(
  folder: string,
  path: string,
  { relative, isAbsolute, sep } = nodePath,
): string | undefined {
  const location = relative(folder, path)
  const outside = isAbsolute(location) || location.split(sep)[0] === '..'
  return outside ? undefined : location.replaceAll(sep, '/')
}
