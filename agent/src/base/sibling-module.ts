/**
 * The URL of a module beside the caller's, for child processes: `.ts` when the
 * program runs from source, `.js` when it runs as built.
 */
export function siblingModule(importMetaUrl: string, name: string): URL {
  const extension = importMetaUrl.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`${name}.${extension}`, importMetaUrl)
}
