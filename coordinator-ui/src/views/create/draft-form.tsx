/** The parameters of the draft as a form, and the button that runs it. */

import type { JsonValue } from '@comfymesh/protocol/json'
import type { NodeDefinitions } from '@comfymesh/protocol/workflow'
import { Accordion, Alert, Button, Group, Stack, Text } from '@mantine/core'
import { IconAdjustments, IconArrowBackUp, IconPlayerPlayFilled } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { type ReactNode, useMemo, useState } from 'react'
import { submitPrompt } from '../../api/comfyui.ts'
import { PlacementButton } from '../../components/placement-button.tsx'
import { clientId } from '../../state/agent.ts'
import { placement } from '../../state/chosen-placement.ts'
import { defaultPrompt } from '../../state/default-prompt.ts'
import { type Draft, draft as drafts, pictureInfo } from '../../state/draft.ts'
import { arranged, type FormChoice } from '../../state/form-choice.ts'
import {
  type Parameter,
  parametersOf,
  withChoices,
  withSeeds,
  withValue,
} from '../../state/parameters.ts'
import { planOptionsFor } from '../../state/placement.ts'
import { formProblems, noProblems, refusalProblems } from '../../state/problems.ts'
import { randomSeed } from '../../state/seed.ts'
import { ChooseParameters } from './choose-parameters.tsx'
import { EditButton } from './edit-button.tsx'
import { ParameterField } from './parameter-field.tsx'

export interface DraftFormProps {
  readonly draft: Draft
  readonly definitions: NodeDefinitions
  readonly onSubmitted: (jobId: string) => void
}

export function DraftForm({ draft, definitions, onSubmitted }: DraftFormProps) {
  const [isChoosing, setChoosing] = useState(false)
  const usual = useMemo(() => parametersOf(draft.prompt, definitions), [draft.prompt, definitions])
  const parameters = useMemo(() => arranged(usual, draft.form), [usual, draft.form])
  const run = useMutation({
    mutationFn: async () => {
      const prompt = draft.isSeedRandom
        ? withSeeds(draft.prompt, parameters, randomSeed)
        : draft.prompt
      drafts.set({ ...draft, prompt })
      const chosen = withChoices(prompt, parameters, Math.random)
      return submitPrompt(chosen, clientId, {
        extra_pnginfo: pictureInfo(draft),
        ...planOptionsFor(placement.get(), chosen, definitions),
      })
    },
    onSuccess: ({ prompt_id }) => onSubmitted(prompt_id),
  })
  const problems = formProblems(
    run.error === null ? noProblems : refusalProblems(run.error, draft.prompt, definitions),
    new Set(parameters.map(({ id }) => id)),
    draft.prompt,
  )
  const change = (parameter: Parameter, value: JsonValue) =>
    drafts.set({ ...draft, prompt: withValue(draft.prompt, parameter, value) })
  const field = (parameter: Parameter) => (
    <ParameterField
      key={parameter.id}
      parameter={parameter}
      problem={problems.byField.get(parameter.id)}
      isSeedRandom={draft.isSeedRandom}
      onSeedRandom={(isSeedRandom) => drafts.set({ ...draft, isSeedRandom })}
      onChange={(value) => change(parameter, value)}
    />
  )

  return (
    <form
      className="create-form"
      aria-label="Parameters"
      onSubmit={(event) => {
        event.preventDefault()
        run.mutate()
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) run.mutate()
      }}
    >
      <div className="create-fields">
        <Stack gap="md">
          <Origin draft={draft} definitions={definitions} />
          <Fields parameters={parameters.filter(({ isMain }) => isMain)} field={field} />
          <Others parameters={parameters.filter(({ isMain }) => !isMain)} field={field} />
          <Group>
            <Button
              size="compact-sm"
              variant="subtle"
              color="gray"
              leftSection={<IconAdjustments size={14} />}
              onClick={() => setChoosing(true)}
            >
              Choose what is shown
            </Button>
          </Group>
        </Stack>
      </div>
      <div className="create-run">
        {problems.general.length > 0 && (
          <Alert
            color="red"
            mb="sm"
            role="alert"
            title="It cannot run"
            className="create-problems"
            tabIndex={0}
          >
            {problems.general.map((line) => (
              <div key={line}>{line}</div>
            ))}
          </Alert>
        )}
        <Button
          type="submit"
          size="md"
          fullWidth
          loading={run.isPending}
          leftSection={<IconPlayerPlayFilled size={16} />}
        >
          Run
        </Button>
        <Group justify="center" gap="xs" mt="xs">
          <PlacementButton />
          <EditButton draft={draft} definitions={definitions} />
        </Group>
      </div>
      {isChoosing && (
        <ChooseParameters
          parameters={usual}
          form={draft.form}
          onChange={(form) => drafts.set(withForm(draft, form))}
          onClose={() => setChoosing(false)}
        />
      )}
    </form>
  )
}

function withForm({ form: _, ...draft }: Draft, form: FormChoice | undefined): Draft {
  return form === undefined ? draft : { ...draft, form }
}

interface FieldsProps {
  readonly parameters: readonly Parameter[]
  readonly field: (parameter: Parameter) => ReactNode
}

/** What is short stands side by side: width and height, steps and guidance. */
function Fields({ parameters, field }: FieldsProps) {
  const rows: Parameter[][] = []
  for (const parameter of parameters) {
    const last = rows.at(-1)
    if (isShort(parameter) && last?.length === 1 && isShort(last[0]!)) last.push(parameter)
    else rows.push([parameter])
  }
  return rows.map((row) => (
    <Group key={row[0]!.id} grow align="flex-start" wrap="nowrap">
      {row.map(field)}
    </Group>
  ))
}

/** Everything else, by node, folded away. */
function Others({ parameters, field }: FieldsProps) {
  const nodes = byNode(parameters)
  if (nodes.size === 0) return null
  return (
    <Accordion variant="separated" multiple chevronPosition="left">
      {[...nodes].map(([nodeId, own]) => (
        <Accordion.Item key={nodeId} value={nodeId}>
          <Accordion.Control>
            <Text size="sm">{own[0]!.nodeTitle}</Text>
          </Accordion.Control>
          <Accordion.Panel>
            <Stack gap="sm">
              <Fields parameters={own} field={field} />
            </Stack>
          </Accordion.Panel>
        </Accordion.Item>
      ))}
    </Accordion>
  )
}

const isShort = ({ control }: Parameter) => control.kind === 'number' || control.kind === 'seed'

function byNode(parameters: readonly Parameter[]): Map<string, Parameter[]> {
  const nodes = new Map<string, Parameter[]>()
  for (const parameter of parameters) {
    const own = nodes.get(parameter.nodeId)
    if (own) own.push(parameter)
    else nodes.set(parameter.nodeId, [parameter])
  }
  return nodes
}

/** Which workflow this is, and the way back to the page's own. */
function Origin({ draft, definitions }: Pick<DraftFormProps, 'draft' | 'definitions'>) {
  if (draft.name === undefined) return null
  const reset = () => {
    const prompt = defaultPrompt(definitions)
    if (prompt) drafts.set({ prompt, isSeedRandom: true })
  }
  return (
    <Group justify="space-between" wrap="nowrap">
      <Text size="sm" fw={600} truncate>
        {draft.name}
      </Text>
      <Button
        size="compact-sm"
        variant="subtle"
        leftSection={<IconArrowBackUp size={14} />}
        onClick={reset}
      >
        Default workflow
      </Button>
    </Group>
  )
}
