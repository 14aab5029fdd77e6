/** The pages, one row each, in the order of the navigation. What is large loads on demand. */
import { type ComponentType, lazy } from 'react'
import type { Health } from '../api/health.ts'
import { CreateView } from './create/create-view.tsx'

export interface View {
  readonly path: string
  readonly title: string
  readonly view: ComponentType
  /** Whether the navigation leads there; it does without. */
  readonly isShown?: (health: Health) => boolean
}

export const views: readonly View[] = [
  { path: '/', title: 'Create', view: CreateView },
  { path: '/editor', title: 'Editor', view: lazy(() => import('./editor/editor-view.tsx')) },
  { path: '/queue', title: 'Queue', view: lazy(() => import('./queue/queue-view.tsx')) },
  { path: '/gallery', title: 'Gallery', view: lazy(() => import('./gallery/gallery-view.tsx')) },
  {
    path: '/jobs/:id',
    title: 'Job',
    view: lazy(() => import('./job/job-view.tsx')),
    isShown: () => false,
  },
  { path: '/mesh', title: 'Mesh', view: lazy(() => import('./mesh/mesh-view.tsx')) },
  { path: '/models', title: 'Models', view: lazy(() => import('./models/models-view.tsx')) },
  {
    path: '/settings',
    title: 'Settings',
    view: lazy(() => import('./settings/settings-view.tsx')),
  },
  {
    path: '/comfyui',
    title: 'ComfyUI',
    view: lazy(() => import('./comfyui/comfyui-view.tsx')),
    isShown: ({ frontend }) => frontend !== undefined,
  },
]
