/** Which parameters of a workflow are shown first, and under what names. */
import { Button, Checkbox, Group, Stack, Text, TextInput } from '@mantine/core'
import { Dialog } from '../../components/dialog.tsx'
import { type FormChoice, usualChoice, withLabel, withShown } from '../../state/form-choice.ts'
import type { Parameter } from '../../state/parameters.ts'

export interface ChooseParametersProps {
  /** With their usual names. */
  readonly parameters: readonly Parameter[]
  readonly form: FormChoice | undefined
  readonly onChange: (form: FormChoice | undefined) => void
  readonly onClose: () => void
}

export function ChooseParameters(props: ChooseParametersProps) {
  const { parameters, form, onChange, onClose } = props
  const current = form ?? usualChoice(parameters)
  const titles = [...new Set(parameters.map(({ nodeTitle }) => nodeTitle))]
  return (
    <Dialog title="What is shown" onClose={onClose}>
      <Text size="sm" mb="md">
        Kept with this workflow, and in the pictures that it makes.
      </Text>
      <Stack gap="lg">
        {titles.map((title) => (
          <fieldset key={title} className="plain-fieldset">
            <Text component="legend" size="sm" fw={600} mb={6}>
              {title}
            </Text>
            {parameters
              .filter(({ nodeTitle }) => nodeTitle === title)
              .map((parameter) => (
                <Choice
                  key={parameter.id}
                  parameter={parameter}
                  form={current}
                  onChange={onChange}
                />
              ))}
          </fieldset>
        ))}
      </Stack>
      <Group justify="space-between" mt="lg">
        <Button
          variant="subtle"
          color="gray"
          disabled={form === undefined}
          onClick={() => onChange(undefined)}
        >
          As usual
        </Button>
        <Button onClick={onClose}>Done</Button>
      </Group>
    </Dialog>
  )
}

interface ChoiceProps {
  readonly parameter: Parameter
  readonly form: FormChoice
  readonly onChange: (form: FormChoice) => void
}

function Choice({ parameter: { id, label }, form, onChange }: ChoiceProps) {
  const chosen = form.find((one) => one.id === id)
  return (
    <Group gap="sm" mb={6} wrap="nowrap" mih={36}>
      <Checkbox
        label={label}
        checked={chosen !== undefined}
        onChange={({ currentTarget }) => onChange(withShown(form, id, currentTarget.checked))}
        style={{ flex: 1, minWidth: 0 }}
      />
      {chosen && (
        <TextInput
          size="xs"
          aria-label={`Name for ${label}`}
          placeholder={label}
          value={chosen.label ?? ''}
          onChange={({ currentTarget }) => onChange(withLabel(form, id, currentTarget.value))}
        />
      )}
    </Group>
  )
}
