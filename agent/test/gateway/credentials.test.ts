import t from 'tap'
import { shownToken, tokenCookie, withoutToken } from '../../src/gateway/credentials.ts'

const cookieName = 'comfymesh-8288'
const shown = (headers: { authorization?: string; cookie?: string }, search = '') =>
  shownToken({ headers, query: new URLSearchParams(search), cookieName })
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

t.test('the ways to show a token', async (t) => {
  t.equal(shown({ authorization: 'Bearer abc' }), 'abc')
  t.equal(shown({ authorization: 'bearer  abc' }), 'abc')
  t.equal(shown({ authorization: basic(':abc') }), 'abc', 'http://:abc@host')
  t.equal(shown({ authorization: basic('me:a:b') }), 'a:b')
  t.equal(shown({ cookie: 'a=b; comfymesh-8288=abc; c=d' }), 'abc')
  t.equal(shown({}, 'clientId=1&token=abc'), 'abc')
})

t.test('what shows none', async (t) => {
  t.equal(shown({}), undefined)
  t.equal(shown({ authorization: 'Digest abc' }), undefined)
  t.equal(
    shown({ cookie: 'comfymesh-8289=abc; xcomfymesh-8288=abc' }),
    undefined,
    'of another agent',
  )
})

t.test('a cookie that scripts and other sites cannot use', async (t) => {
  const attributes = tokenCookie(cookieName, 'abc').split('; ')
  t.equal(attributes[0], 'comfymesh-8288=abc')
  for (const attribute of ['HttpOnly', 'SameSite=Strict', 'Path=/'])
    t.ok(attributes.includes(attribute))
})

t.test('the place without the token stays on this host', async (t) => {
  t.equal(withoutToken('/?token=abc'), '/')
  t.equal(withoutToken('/comfy/?a=1&token=abc&b=2'), '/comfy/?a=1&b=2')
  t.equal(withoutToken('//evil.com/?token=abc'), '/evil.com/')
  t.equal(withoutToken('/\\evil.com/?token=abc'), '/evil.com/')
  t.equal(withoutToken('/a'), '/a')
})
