/** How other machines reach this agent, and the token that lets them in. */
import type { AgentState } from '@comfymesh/protocol/agent-state'
import { Alert, Button, Code, Group, Stack, Text } from '@mantine/core'
import { IconEye } from '@tabler/icons-react'
import { useMutation } from '@tanstack/react-query'
import { readToken } from '../../api/agent.ts'
import { Copy } from '../../components/copy.tsx'
import { Section } from '../../components/section.tsx'

export function Reach({ agent }: { readonly agent: AgentState }) {
  return (
    <Section title="Who can use this agent">
      <Stack gap="sm">
        {agent.isOpenToOthers ? <Addresses addresses={agent.addresses} /> : <AloneHere />}
        {agent.asksForToken ? (
          <Token address={agent.addresses[0] ?? agent.url} />
        ) : (
          agent.isOpenToOthers && (
            <Alert color="yellow" title="Nobody is asked for a token">
              Whoever reaches these addresses can use this machine. Leave out --token
              open-to-everybody to have the agent ask.
            </Alert>
          )
        )}
      </Stack>
    </Section>
  )
}

function AloneHere() {
  return (
    <>
      <Text size="sm">
        Only programs and browsers of this machine. Other machines of the mesh send it work all the
        same.
      </Text>
      <Text size="sm">To open this page on a phone or another computer, start the agent with:</Text>
      <Line text="comfymesh start --host 0.0.0.0" />
    </>
  )
}

function Addresses({ addresses }: { readonly addresses: readonly string[] }) {
  return (
    <>
      <Text size="sm">Machines that reach it at one of these addresses:</Text>
      {addresses.map((address) => (
        <Line key={address} text={address} />
      ))}
    </>
  )
}

/** Fetched when somebody asks to see it, so that it is not on every screen that shows this page. */
function Token({ address }: { readonly address: string }) {
  const token = useMutation({ mutationFn: readToken })
  if (token.data === undefined) {
    return (
      <>
        <Text size="sm">
          They show a token once; the browser keeps it. Whoever has it can use this machine.
        </Text>
        <Group>
          <Button
            size="sm"
            variant="default"
            leftSection={<IconEye size={16} />}
            loading={token.isPending}
            onClick={() => token.mutate()}
          >
            Show the token
          </Button>
        </Group>
        {token.error && (
          <Alert color="red" role="alert">
            {token.error.message}
          </Alert>
        )}
      </>
    )
  }
  return (
    <>
      <Text size="sm">The token, and a link that carries it:</Text>
      <Line text={token.data.token} />
      <Line text={`${address}/?token=${token.data.token}`} />
      <Group>
        <Button size="compact-sm" variant="subtle" onClick={() => token.reset()}>
          Hide
        </Button>
      </Group>
    </>
  )
}

function Line({ text }: { readonly text: string }) {
  return (
    <Group gap="xs" wrap="nowrap" align="flex-start">
      <Code
        block
        style={{ flex: 1, minWidth: 0, overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}
      >
        {text}
      </Code>
      <Copy text={text} />
    </Group>
  )
}
