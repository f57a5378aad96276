// Sends the requests of a client, by node's http and https, to the demo, and reports what happens.
import http from 'node:http'
import https from 'node:https'

export const demo = new URL(process.argv[2])

export const report = (event, facts = {}) => process.stdout.write(JSON.stringify({ event, ...facts }) + '\n')

const request = http.request
http.request = https.request = (options, ...rest) => {
  const at = performance.now() / 1000
  report('asks', { method: options.method, host: options.hostname, path: options.path.split('?')[0], at })
  const headers = Object.entries(options.headers).filter(([name]) => name.toLowerCase() !== 'host')
  const target = { protocol: demo.protocol, host: demo.hostname, hostname: demo.hostname, port: demo.port, agent: false }
  return request({ ...options, ...target, headers: Object.fromEntries(headers) }, ...rest)
}
