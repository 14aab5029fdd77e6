/** The mesh under /v1: its members, inviting and joining, sending away, changing the secret. */
import { type ErrorCode, MeshError } from '@comfymesh/protocol/errors'
import { loadHistorySchema } from '@comfymesh/protocol/loads'
import {
  inviteRequestSchema,
  issuedInviteSchema,
  joinedSchema,
  joinRequestSchema,
  type MeshPeer,
  meshPeersSchema,
  rotatedSchema,
} from '@comfymesh/protocol/mesh'
import type { z } from 'zod'
import type { LoadHistoryKeeper } from '../../execution/load-history.ts'
import type { ProvenPeers } from '../../execution/proven-peers.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { MeasuredLink } from '../../planning/peers.ts'
import { type Answer, json, jsonBody, type Request, type Route } from '../route.ts'

export interface MeshRoutesModules {
  readonly mesh?: Mesh
  readonly provenPeers?: Pick<ProvenPeers, 'workedAtMs'>
  readonly loadHistory?: Pick<LoadHistoryKeeper, 'current'>
  /** What was measured between peers. */
  readonly links?: () => readonly MeasuredLink[]
}

interface MeshRow<T extends z.ZodType> {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly summary: string
  readonly description?: string
  readonly body?: z.ZodType
  readonly answer: T
  readonly parameters?: NonNullable<Route['documentation']>['parameters']
  ask(mesh: Mesh, request: Request, modules: MeshRoutesModules): z.output<T> | Promise<z.output<T>>
}

const row = <T extends z.ZodType>(one: MeshRow<T>) => one as unknown as MeshRow<z.ZodType>

const rows: readonly MeshRow<z.ZodType>[] = [
  row({
    method: 'GET',
    path: '/v1/mesh/peers',
    summary: 'The machines of the mesh',
    description: 'This one first; with what each offers, where it is connected.',
    answer: meshPeersSchema,
    ask: (mesh, _request, { provenPeers, links = () => [] }) => {
      const told = mesh.peers()
      const measured = links()
      const peers = told.peers.map((peer) => {
        const workedAtMs = provenPeers?.workedAtMs(peer.peerId)
        const link = peer.state === 'connected' ? linkTo(peer.peerId, measured) : undefined
        return { ...peer, ...(workedAtMs !== undefined && { workedAtMs }), ...(link && { link }) }
      })
      return { ...told, peers }
    },
  }),
  row({
    method: 'GET',
    path: '/v1/mesh/loads',
    summary: 'How full and how busy the machines were lately',
    description: 'A sample every ten seconds for a quarter of an hour, by peer id.',
    answer: loadHistorySchema,
    ask: (_mesh, _request, { loadHistory }) => loadHistory?.current() ?? {},
  }),
  row({
    method: 'POST',
    path: '/v1/mesh/invites',
    summary: 'Make an invite',
    description: 'Whoever has the line may join the mesh until it expires or its uses are taken.',
    body: inviteRequestSchema,
    answer: issuedInviteSchema,
    ask: (mesh, request) => mesh.invite(parsed(inviteRequestSchema, request)),
  }),
  row({
    method: 'POST',
    path: '/v1/mesh/join',
    summary: 'Join the mesh of an invite',
    description: 'Jobs and models stay on this machine.',
    body: joinRequestSchema,
    answer: joinedSchema,
    ask: (mesh, request) => {
      const { invite, leave } = parsed(joinRequestSchema, request)
      return mesh.join(invite, leave)
    },
  }),
  row({
    method: 'DELETE',
    path: '/v1/mesh/peers/:id',
    summary: 'Send a machine away',
    description: 'The secret of the mesh changes; the other members follow.',
    parameters: { id: { description: 'Its name, its id or the end of its id' } },
    answer: rotatedSchema,
    ask: (mesh, { params }) => mesh.remove(params.id!),
  }),
  row({
    method: 'POST',
    path: '/v1/mesh/rotate',
    summary: 'Change the secret of the mesh',
    description:
      'Members follow, those that are away when they are back. Invites lose their worth.',
    answer: rotatedSchema,
    ask: (mesh) => mesh.rotate(),
  }),
]

/** What several measurements of one link tell together. */
function linkTo(peerId: string, links: readonly MeasuredLink[]): MeshPeer['link'] {
  const own = links.filter(({ peerIds }) => peerIds.includes(peerId))
  const roundTripMs = own.find((link) => link.roundTripMs !== undefined)?.roundTripMs
  const bytesPerSecond = own.find((link) => link.bytesPerSecond !== undefined)?.bytesPerSecond
  return {
    ...(roundTripMs !== undefined && { roundTripMs }),
    ...(bytesPerSecond !== undefined && { bytesPerSecond }),
  }
}

export function meshRoutes(modules: MeshRoutesModules): Route[] {
  const { mesh } = modules
  return rows.map(({ method, path, summary, description, body, parameters, answer, ask }) => ({
    method,
    path,
    documentation: {
      summary,
      ...(description !== undefined && { description }),
      ...(body !== undefined && { body }),
      ...(parameters !== undefined && { parameters }),
      answers: {
        200: { description: 'Done', schema: answer },
        409: { description: 'The mesh is off, or it cannot be done as things are' },
      },
    },
    handle: async (request) => {
      try {
        if (mesh === undefined) throw switchedOff()
        return json(await ask(mesh, request, modules))
      } catch (error) {
        return refused(error)
      }
    },
  }))
}

function switchedOff(): MeshError {
  const message =
    'This agent takes part in no mesh: its settings say so (--mesh off). Start it without.'
  return new MeshError('mesh_unavailable', message)
}

/** An empty body asks for the defaults. */
function parsed<T>(schema: z.ZodType<T>, request: Request): T {
  const result = schema.safeParse(request.body.length === 0 ? {} : jsonBody(request))
  if (result.success) return result.data
  const { path, message } = result.error.issues[0]!
  throw new MeshError('invalid_settings', `${path.join('.') || 'The body'}: ${message}`)
}

const statuses: { readonly [code in ErrorCode]?: number } = {
  invalid_settings: 400,
  not_found: 404,
  invite_refused: 409,
  not_a_member: 409,
  mesh_unavailable: 409,
  duplicate_identity: 409,
  peer_unreachable: 502,
}

function refused(error: unknown): Answer {
  const status = error instanceof MeshError ? statuses[error.code] : undefined
  if (status === undefined) throw error
  return json({ error: (error as MeshError).toReport() }, status)
}
