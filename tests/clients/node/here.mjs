// Sends every request of node's http and https to the demo, and prints events.
import http from 'node:http'
import https from 'node:https'

export const here = new URL(process.argv[2])

export const say = (event, facts = {}) => process.stdout.write(JSON.stringify({ event, ...facts }) + '\n')

const request = http.request
http.request = https.request = (options, ...rest) => {
  const at = performance.now() / 1000
  say('asks', { method: options.method, host: options.hostname, path: options.path.split('?')[0], at })
  const headers = Object.entries(options.headers).filter(([name]) => name.toLowerCase() !== 'host')
  const there = { protocol: here.protocol, host: here.hostname, hostname: here.hostname, port: here.port, agent: false }
  return request({ ...options, ...there, headers: Object.fromEntries(headers) }, ...rest)
}
