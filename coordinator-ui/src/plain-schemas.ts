/** The page's policy forbids code made of text, which zod would try for speed. Before any schema. */
import { config } from 'zod'

config({ jitless: true })
