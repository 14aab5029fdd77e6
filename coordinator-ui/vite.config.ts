import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

/** `npm run dev` serves the page with an agent of this machine behind it. */
const agent = 'http://127.0.0.1:8288'

/** Compresses what was built once, so that the agent need not do it for each visitor. */
function compressed(): Plugin {
  let folder = ''
  return {
    name: 'compressed',
    apply: 'build',
    configResolved: ({ root, build }) => {
      folder = join(root, build.outDir)
    },
    closeBundle: () => {
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(js|css|svg|html)$/.test(name)) continue
        const bytes = readFileSync(join(folder, name))
        writeFileSync(join(folder, `${name}.br`), brotliCompressSync(bytes))
        writeFileSync(join(folder, `${name}.gz`), gzipSync(bytes))
      }
    },
  }
}

export default defineConfig({
  // Relative, so that the page works below any path of a reverse proxy.
  base: './',
  plugins: [react(), compressed()],
  resolve: {
    conditions: ['@comfymesh/source', 'module', 'browser', 'import', 'default'],
    // A test client of the agent brings an older React along; the page has one.
    dedupe: ['react', 'react-dom'],
  },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    chunkSizeWarningLimit: 900,
    rolldownOptions: {
      // In one file, so that the schema library is set before the first schema is made.
      output: {
        codeSplitting: {
          groups: [{ name: 'schemas', test: /node_modules[\\/]zod|plain-schemas/ }],
        },
      },
    },
  },
  server: {
    proxy: { '/api': agent, '/v1': agent, '/health': agent, '/ws': { target: agent, ws: true } },
  },
})
