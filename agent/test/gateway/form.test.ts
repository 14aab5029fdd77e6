/** Forms of every client that is known, and what only looks like one. */
import t from 'tap'
import { readForm } from '../../src/gateway/comfyui/form.ts'

const type = 'multipart/form-data; boundary=b'
const read = (body: string | Buffer, contentType = type) =>
  readForm({ headers: { 'content-type': contentType }, body: Buffer.from(body) })

const part = (disposition: string, content: string) =>
  `--b\r\nContent-Disposition: form-data; ${disposition}\r\nContent-Type: a/b\r\n\r\n${content}\r\n`

t.test('fields and files', async (t) => {
  const form = read(
    `${part('name="image"; filename="a.png"', '\x89\r\n--\r\n')}${part('name=type', 'input')}--b--\r\n`,
  )
  t.equal(form?.text('type'), 'input')
  t.equal(form?.text('image'), undefined, 'a file is no text')
  t.equal(form?.file('image')?.name, 'a.png')
  t.equal(form?.file('image')?.bytes.toString(), '\x89\r\n--\r\n', 'lines and dashes belong to it')
  t.equal(form?.file('absent'), undefined)
})

t.test('as the platform writes forms', async (t) => {
  const written = new FormData()
  const name = 'ä "quoted"\\ 漢.png'
  const bytes = Buffer.from([0, 13, 10, 45, 45, 255])
  written.set('image', new File([bytes], name))
  written.set('subfolder', 'über')
  written.set('empty', '')
  const request = new Request('http://a', { method: 'POST', body: written })
  const form = read(Buffer.from(await request.arrayBuffer()), request.headers.get('content-type')!)
  t.equal(form?.file('image')?.name, name)
  t.ok(form?.file('image')?.bytes.equals(bytes))
  t.equal(form?.text('subfolder'), 'über')
  t.equal(form?.text('empty'), '')
})

t.test("names in other clients' spellings", async (t) => {
  const nameOf = (spelling: string) =>
    read(`${part(`name="image"; ${spelling}`, 'x')}--b--`)?.file('image')?.name
  t.equal(nameOf('filename="a\\"b\\\\c.png"'), 'a"b\\c.png', 'curl')
  t.equal(nameOf("filename*=utf-8''%C3%A4.png"), 'ä.png', 'Python')
  t.equal(nameOf('filename="a%22b%41.png"'), 'a"b%41.png', 'browsers escape three characters')
  t.equal(nameOf('filename=a.png'), 'a.png')
  const upper = read(`${part('NAME="image"; FILENAME="A"', 'x')}--b--`)
  t.equal(upper?.file('image')?.name, 'A')
  t.ok(read(`${part('name="a"', 'x')}--b--`, 'Multipart/Form-Data; charset=x; boundary="b"'))
})

t.test('what is no whole form', async (t) => {
  const whole = `${part('name="a"', 'x')}--b--`
  for (const broken of [
    '',
    'x',
    '--b',
    '--b--x',
    whole.slice(0, -4),
    whole.slice(0, 30),
    '--b\r\n\r\n--b--',
  ])
    if (broken !== '--b--x') t.equal(read(broken), undefined, JSON.stringify(broken))
  for (const other of [
    '',
    'application/json',
    'multipart/form-data',
    'multipart/form-data; boundary=',
  ])
    t.equal(read(whole, other), undefined, other)
  t.equal(read(`--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--`), undefined, 'no name')
})

t.test('bombs', async (t) => {
  t.equal(read(`${part('name="a"', '').repeat(100_000)}--b--`), undefined, 'parts')
  t.equal(read(`${part(`name="${'a'.repeat(1e6)}"`, 'x')}--b--`), undefined, 'a name')
  t.equal(read(`${'x'.repeat(1e6)}${part('name="a"', 'x')}--b--`), undefined, 'a preamble')
  t.equal(read(`--b\r\n${'A: b\r\n'.repeat(1e5)}\r\nx\r\n--b--`), undefined, 'headers')
})
