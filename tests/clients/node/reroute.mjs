// Sends the requests of a client, by node's http and https, to the demo, and reports what happens.
import http from 'node:http'
import https from 'node:https'

export const demo = new URL(process.argv[2])

export const report = (event, facts = {}) => {
  process.stdout.write(JSON.stringify({ event, ...facts }) + '\n')
}

const request = http.request
http.request = https.request = (options, ...rest) => {
  const { method, hostname } = options
  const at = performance.now() / 1000
  report('asks', { method, host: hostname, path: options.path.split('?')[0], at })
  const headers = Object.entries(options.headers).filter(([name]) => name.toLowerCase() !== 'host')
  const { protocol, hostname: host, port } = demo
  const target = { protocol, host, hostname: host, port, agent: false }
  return request({ ...options, ...target, headers: Object.fromEntries(headers) }, ...rest)
}
