// In development, the proxy makes the page and the API one origin. Without API there is no proxy:
// the page then calls another origin, as the built page does.
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

const api = process.env.API
const proxy = api && { '/qrlogin': { target: api, ws: true }, '/api': { target: api } }

export default defineConfig({
  plugins: [vue()],
  server: { proxy, strictPort: true },
  preview: { strictPort: true },
})
