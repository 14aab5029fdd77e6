import t from 'tap'
import { homePage, homeText } from '../../src/gateway/home-page.ts'

const facts = { name: 'studio', version: '1.2.3', hasFrontend: false, running: 0, waiting: 0 }

t.test('an idle agent without a frontend says how to get one', async (t) => {
  const page = homePage(facts)
  t.match(page, /comfymesh runs on studio/)
  t.match(page, /<dd>idle<\/dd>/)
  t.match(page, /--frontend/)
  t.notMatch(page, /href="comfy\/"/)
  t.notMatch(page, /<script/)
})

t.test('a busy agent with a frontend links to it', async (t) => {
  const busy = { ...facts, hasFrontend: true, running: 1, waiting: 12 }
  t.match(homePage(busy), /href="comfy\/"/)
  t.match(homePage(busy), /1 running, 12 waiting/)
  t.notMatch(homePage(busy), /--frontend/)
  t.match(homeText(busy), /1\.2\.3 on studio: 1 running, 12 waiting(.|\n)*\/comfy\//)
  t.notMatch(homeText(facts), /\/comfy\//)
})

t.test('a name is text, whatever is in it', async (t) => {
  const page = homePage({ ...facts, name: '<img src=x onerror=alert(1)>&"\'' })
  t.notMatch(page, /<img/)
  t.match(page, /&lt;img src=x onerror=alert\(1\)&gt;&amp;&quot;&#39;/)
})
