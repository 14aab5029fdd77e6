/** One parameter: the control that fits its type. */

import type { JsonValue } from '@comfymesh/protocol/json'
import {
  ActionIcon,
  Autocomplete,
  FileButton,
  Group,
  NumberInput,
  Select,
  Switch,
  Textarea,
  TextInput,
  Tooltip,
} from '@mantine/core'
import { IconArrowsShuffle, IconPhotoPlus } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { uploadPicture } from '../../api/comfyui.ts'
import type { Parameter } from '../../state/parameters.ts'
import { parseSeed } from '../../state/seed.ts'

export interface ParameterFieldProps {
  readonly parameter: Parameter
  /** Why the agent refused the value. */
  readonly problem: string | undefined
  readonly isSeedRandom: boolean
  readonly onSeedRandom: (isRandom: boolean) => void
  readonly onChange: (value: JsonValue) => void
}

export function ParameterField(props: ParameterFieldProps) {
  const { parameter, problem, onChange } = props
  const { control, label, value, tooltip } = parameter
  const common = { label, error: problem, title: tooltip }
  switch (control.kind) {
    case 'text':
      return control.isMultiline ? (
        <Textarea
          {...common}
          description={control.hasChoices && hasChoice(String(value)) ? CHOICES : undefined}
          autosize
          minRows={label === 'Prompt' ? 3 : 2}
          maxRows={12}
          value={String(value)}
          onChange={({ currentTarget }) => onChange(currentTarget.value)}
        />
      ) : (
        <TextInput
          {...common}
          value={String(value)}
          onChange={({ currentTarget }) => onChange(currentTarget.value)}
        />
      )
    case 'seed':
      return <SeedField {...props} />
    case 'number':
      return (
        <NumberInput
          {...common}
          value={Number(value)}
          min={control.min}
          max={control.max}
          step={control.step}
          allowDecimal={!control.isInteger}
          clampBehavior="blur"
          onChange={(next) => {
            if (next !== '') onChange(Number(next))
          }}
        />
      )
    case 'choice':
      return (
        <Select
          {...common}
          data={withCurrent(control.options, String(value))}
          value={String(value)}
          searchable={control.options.length > 8}
          allowDeselect={false}
          onChange={(next) => {
            if (next !== null) onChange(next)
          }}
        />
      )
    case 'picture':
      return <PictureField {...props} options={control.options} />
    case 'switch':
      return (
        <Switch
          {...common}
          checked={value === true}
          onChange={({ currentTarget }) => onChange(currentTarget.checked)}
        />
      )
  }
}

const CHOICES = 'Each run takes one of the words between { | }'

const hasChoice = (text: string) => /\{[^{}]*\|[^{}]*\}/.test(text)

/** A seed of up to 64 bits, typed as text, and whether each run gets a new one. */
function SeedField({
  parameter,
  problem,
  isSeedRandom,
  onSeedRandom,
  onChange,
}: ParameterFieldProps) {
  const [typed, setTyped] = useState<string>()
  const isWrong = typed !== undefined && parseSeed(typed) === undefined
  const hint = isSeedRandom ? 'Each run gets a new seed' : 'Each run keeps this seed'
  return (
    <TextInput
      label={parameter.label}
      inputMode="numeric"
      error={isWrong ? 'A whole number from 0 to 2^64 - 1' : problem}
      value={typed ?? String(parameter.value)}
      onChange={({ currentTarget }) => {
        setTyped(currentTarget.value)
        const seed = parseSeed(currentTarget.value)
        if (seed === undefined) return
        onChange(seed)
        onSeedRandom(false)
      }}
      onBlur={() => setTyped(undefined)}
      rightSection={
        <Tooltip label={hint}>
          <ActionIcon
            variant={isSeedRandom ? 'light' : 'subtle'}
            color={isSeedRandom ? 'indigo' : 'gray'}
            aria-label="A new seed for each run"
            aria-pressed={isSeedRandom}
            onClick={() => onSeedRandom(!isSeedRandom)}
          >
            <IconArrowsShuffle size={16} />
          </ActionIcon>
        </Tooltip>
      }
    />
  )
}

/** A picture of the input folder, or one from this computer. */
function PictureField({
  parameter,
  problem,
  onChange,
  options,
}: ParameterFieldProps & { readonly options: readonly string[] }) {
  const queries = useQueryClient()
  const bring = useMutation({
    mutationFn: uploadPicture,
    onSuccess: (name) => {
      onChange(name)
      return queries.invalidateQueries({ queryKey: ['node definitions'] })
    },
  })
  return (
    <Group align="flex-end" gap="xs" wrap="nowrap">
      <Autocomplete
        style={{ flex: 1 }}
        label={parameter.label}
        error={bring.error?.message ?? problem}
        data={withCurrent(options, String(parameter.value))}
        value={String(parameter.value)}
        onChange={onChange}
      />
      <FileButton accept="image/*" onChange={(file) => file && bring.mutate(file)}>
        {(button) => (
          <ActionIcon
            {...button}
            size={36}
            variant="default"
            loading={bring.isPending}
            aria-label="Choose a picture of this computer"
          >
            <IconPhotoPlus size={18} />
          </ActionIcon>
        )}
      </FileButton>
    </Group>
  )
}

/** A value that is no option any more, such as a model that was removed, stays visible. */
function withCurrent(options: readonly string[], current: string): string[] {
  return options.includes(current) ? [...options] : [current, ...options]
}
