/** Which pages and names are let in: every spelling of a stranger, and every one of a friend. */
import { hostname } from 'node:os'
import t from 'tap'
import {
  corsHeaders,
  type EdgeHeaders,
  edgeRules,
  isLoopback,
  isOrigin,
  refusal,
} from '../../src/gateway/edge.ts'

const rules = edgeRules(['comfy.example.org'], ['https://studio.example.org'])
const refused = (headers: EdgeHeaders, method = 'POST') => refusal(method, headers, rules)
const host = '127.0.0.1:8288'

t.test('names of this machine', async (t) => {
  const friends = ['127.0.0.1', '127.0.0.1:8288', '192.168.1.5:8288', '[::1]:8288', '[fe80::1]']
  const named = ['localhost', 'LocalHost:1', 'localhost.:8288', 'a.localhost', hostname()]
  for (const name of [...friends, ...named, `${hostname()}.local`, 'Comfy.Example.org'])
    t.equal(refused({ host: name }), undefined, name)
})

t.test('names of strangers, and what is no name', async (t) => {
  const rebound = ['evil.com', 'evil.com:8288', '127.0.0.1.evil.com', '127.0.0.1.nip.io']
  const alike = ['localhost.evil.com', 'evillocalhost', 'xcomfy.example.org', 'a.comfy.example.org']
  const broken = [undefined, '', ' ', 'a b', 'user@localhost', 'localhost@evil.com', 'localhost:']
  const more = [
    'localhost:999999',
    'localhost/',
    'http://localhost',
    '[::1',
    '::1',
    '.localhost.evil',
  ]
  for (const name of [
    ...rebound,
    ...alike,
    ...broken,
    ...more,
    'localhost, evil.com',
    '127.1',
    '0x7f.1',
  ])
    t.ok(refused({ host: name }), String(name))
})

t.test('pages of the same host and port', async (t) => {
  t.equal(refused({ host, origin: 'http://127.0.0.1:8288' }), undefined)
  t.equal(refused({ host: 'LOCALHOST:8288', origin: 'http://localhost:8288' }), undefined)
  t.equal(refused({ host: '[::1]:8288', origin: 'http://[::1]:8288' }), undefined)
  t.equal(refused({ host: 'localhost', origin: 'http://localhost' }), undefined)
  t.equal(refused({ host: 'localhost:80', origin: 'http://localhost' }), undefined, 'said or not')
  t.equal(refused({ host: 'comfy.example.org', origin: 'https://comfy.example.org' }), undefined)
})

t.test('pages of others', async (t) => {
  const otherPorts = ['http://127.0.0.1', 'http://127.0.0.1:8289', 'http://localhost:8288']
  const otherSchemes = [
    'null',
    'file://',
    'chrome-extension://abc',
    'ws://127.0.0.1:8288',
    'blob:http://127.0.0.1:8288',
  ]
  const tricks = [
    'http://127.0.0.1:8288.evil.com',
    'http://127.0.0.1:8288@evil.com',
    'http://evil.com#127.0.0.1:8288',
    'http://127.0.0.1:8288/',
    'http://127.0.0.1:8288, http://evil.com',
    '',
    'https://studio.example.org.evil.com',
    'http://studio.example.org',
  ]
  for (const origin of [...otherPorts, ...otherSchemes, ...tricks, 'http://evil.com'])
    t.ok(refused({ host, origin }), origin)
  t.equal(refused({ host, origin: 'https://studio.example.org' }), undefined, 'the allowed one')
})

t.test('requests that browsers make without an origin', async (t) => {
  const crossSite = { host, 'sec-fetch-site': 'cross-site' }
  t.ok(refused(crossSite, 'GET'), 'a picture on a page of another site')
  t.ok(refused({ ...crossSite, referer: 'https://evil.com/' }, 'GET'))
  t.equal(refused({ ...crossSite, referer: 'https://studio.example.org/a?b' }, 'GET'), undefined)
  const link = { ...crossSite, 'sec-fetch-mode': 'navigate' }
  t.equal(refused({ ...link, 'sec-fetch-dest': 'document' }, 'GET'), undefined, 'a link')
  t.ok(refused({ ...link, 'sec-fetch-dest': 'iframe' }, 'GET'), 'a frame')
  t.ok(refused({ ...link, 'sec-fetch-dest': 'document' }, 'POST'), 'a form')
  for (const site of ['same-origin', 'same-site', 'none'])
    t.equal(refused({ host, 'sec-fetch-site': site }, 'GET'), undefined, site)
})

t.test('an allowed page hears so, and no other does', async (t) => {
  const headers = corsHeaders('https://studio.example.org', rules)
  t.match(headers, { 'access-control-allow-origin': 'https://studio.example.org', vary: 'Origin' })
  t.strictSame(corsHeaders('https://evil.com', rules), { vary: 'Origin' })
  t.strictSame(corsHeaders('https://evil.com', edgeRules([], [])), {})
})

t.test('what only this machine reaches', async (t) => {
  for (const name of ['127.0.0.1', '127.8.9.1', '::1', '[::1]', 'localhost', '::ffff:127.0.0.1'])
    t.ok(isLoopback(name), name)
  for (const name of ['0.0.0.0', '::', '127.evil.com', '127.1', '10.0.0.1', 'studio', ''])
    t.notOk(isLoopback(name), name)
})

t.test('origins as browsers write them', async (t) => {
  for (const text of ['http://localhost:5173', 'https://a.example.org']) t.ok(isOrigin(text), text)
  for (const text of ['*', 'null', 'localhost', 'http://a/b', 'http://a:80', 'ftp://a', 'file://'])
    t.notOk(isOrigin(text), text)
})
