/** The top of a page: what it is, how things stand, and what one can do. */
import { Group, Text, Title } from '@mantine/core'
import type { ReactNode } from 'react'

export interface PageHeadProps {
  readonly title: string
  readonly subtitle?: ReactNode
  readonly children?: ReactNode
}

export function PageHead({ title, subtitle, children }: PageHeadProps) {
  return (
    <Group justify="space-between" mb="lg" gap="sm">
      <div style={{ minWidth: 0 }}>
        <Title order={1} size="h3">
          {title}
        </Title>
        {subtitle && (
          <Text size="sm" c="dimmed">
            {subtitle}
          </Text>
        )}
      </div>
      <Group gap="xs">{children}</Group>
    </Group>
  )
}
