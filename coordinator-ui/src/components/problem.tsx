/** What went wrong, where it belongs, in words. */
import { Alert, Button } from '@mantine/core'

export interface ProblemProps {
  readonly title: string
  readonly error: Error
  readonly onRetry?: () => void
}

export function Problem({ title, error, onRetry }: ProblemProps) {
  return (
    <Alert color="red" role="alert" title={title} mb="md">
      {error.message}
      {onRetry && (
        <div>
          <Button size="compact-sm" variant="light" color="red" mt="xs" onClick={onRetry}>
            Try again
          </Button>
        </div>
      )}
    </Alert>
  )
}
