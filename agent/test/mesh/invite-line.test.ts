/** The line of an invite: whole, or refused with a reason. */
import t from 'tap'
import { inviteIdOf, inviteLine, parseInviteLine } from '../../src/mesh/invite-line.ts'

const ticket = {
  secret: Buffer.alloc(16, 7),
  meshId: '0123456789abcdef',
  expiresAtMs: 1_800_000_000_000,
  addresses: [
    { host: '192.168.1.7', port: 8290 },
    { host: 'fd00:0:0:0:0:0:0:2', port: 8290 },
    { host: '10.0.0.1', port: 1 },
  ],
}

t.test('what goes in comes out', async (t) => {
  const line = inviteLine(ticket)
  t.match(line, /^cm1_[\w-]+$/, 'a double click selects all of it')
  t.match(parseInviteLine(line), ticket)
  t.match(parseInviteLine(`  "${line}"\n`), ticket, 'quotes and spaces do not matter')
  const short = inviteLine({ ...ticket, addresses: [{ host: 'fd00::2', port: 8290 }] })
  t.match(parseInviteLine(short).addresses, [{ host: 'fd00:0:0:0:0:0:0:2', port: 8290 }])
})

t.test('what is no whole invite is refused and says so', async (t) => {
  const line = inviteLine(ticket)
  const cases: [string, RegExp][] = [
    [line.slice(0, -3), /not whole/],
    [line.slice(0, 9), /not whole/],
    ['cm1_', /not whole/],
    [line.replace('cm1_a', 'cm1_b'), /not whole/],
    [line.replace('cm1', 'cm2'), /another release/],
    ['hello', /should begin with cm1_/],
    ['', /should begin with cm1_/],
  ]
  for (const [text, why] of cases) {
    t.throws(() => parseInviteLine(text), { code: 'invite_refused', message: why }, text)
  }
})

t.test('the id tells nothing of the secret', async (t) => {
  t.match(inviteIdOf(ticket.secret), /^[0-9a-f]{16}$/)
  t.not(inviteIdOf(Buffer.alloc(16, 8)), inviteIdOf(ticket.secret))
})
