// openid-client, which reads the discovery document of RFC 8414 or, with `oidc`, that of OpenID Connect.
import * as client from 'openid-client'
import { here, say } from './here.mjs'

const options = { algorithm: process.argv[3] ?? 'oauth2', execute: [client.allowInsecureRequests] }
const config = await client.discovery(here, 'a test', undefined, client.None(), options)
const device = await client.initiateDeviceAuthorization(config, { scope: 'openid' })
say('shows', { text: device.user_code })
try {
  const tokens = await client.pollDeviceAuthorizationGrant(config, device)
  const person = await client.fetchUserInfo(config, tokens.access_token, client.skipSubjectCheck)
  say('in', { who: person.name })
} catch (error) {
  say('stopped', { why: error.error ?? error.cause?.name ?? error.name })
}
