/** What a client is told when its request never reached a route: in words, or in the shape of /v1. */
import type { ErrorCode } from '@comfymesh/protocol/errors'
import { type Answer, json, text } from './route.ts'

/** By status; all others are requests that make no sense. */
const codes: { readonly [status: number]: ErrorCode } = {
  401: 'forbidden',
  403: 'forbidden',
  404: 'not_found',
  429: 'busy',
  500: 'internal',
  503: 'busy',
  507: 'storage_failed',
}

/** @param url of the request: clients of /v1 read every error the same way. */
export function told(url: string, message: string, status: number): Answer {
  if (!/^\/v1(?:[/?]|$)/.test(url)) return text(message, status)
  const code = codes[status] ?? 'invalid_request'
  return json({ error: { code, message, details: {} } }, status)
}
