// openid-client. It reads the discovery document of RFC 8414, or with `oidc` the other one.
import * as client from 'openid-client'
import { demo, report } from './reroute.mjs'

const options = { algorithm: process.argv[3] ?? 'oauth2', execute: [client.allowInsecureRequests] }
const config = await client.discovery(demo, 'a test', undefined, client.None(), options)
const device = await client.initiateDeviceAuthorization(config, { scope: 'openid' })
report('shows', { text: device.user_code })
try {
  const tokens = await client.pollDeviceAuthorizationGrant(config, device)
  const person = await client.fetchUserInfo(config, tokens.access_token, client.skipSubjectCheck)
  report('in', { who: person.name })
} catch (error) {
  report('stopped', { why: error.error ?? error.cause?.name ?? error.name })
}
