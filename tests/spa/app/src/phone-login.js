/** Logs in with a code on the screen. Returns what the server answered to the redeem, with your
 * application's token; null if the person said no. Throws the server's error, such as
 * {error: "expired"}: then offer a new code.
 *
 * base    where the browser routes are: "/qrlogin/" or "https://api.example.com/qrlogin/"
 * show    gets {size, path} of the code to draw, or null when a phone has scanned it
 * ask     gets the name of who approved, and returns a promise of "is this you?"
 * signal  ends the login, for example when the component is unmounted */
export async function logInByPhone(base, { show, ask, signal }) {
  let deviceCode = ''

  async function once(path, body) {
    const headers = {}
    if (body) headers['Content-Type'] = 'application/json'
    if (deviceCode) headers.Authorization = `Bearer ${deviceCode}`
    const init = { method: body ? 'POST' : 'GET', headers, credentials: 'omit', signal }
    const answer = await fetch(base + path, body ? { ...init, body: JSON.stringify(body) } : init)
    const fields = await answer.json()
    if (answer.ok) return fields
    throw Object.assign(new Error(fields.error_description), fields)
  }

  // Every request may be repeated: a lost answer loses no login.
  async function send(path, body) {
    for (let pause = 1; ; pause *= 2) {
      try {
        return await once(path, body)
      } catch (error) {
        const passing = error instanceof TypeError || error.error === 'unavailable'
        if (!passing || signal?.aborted || pause > 8) throw error
        await sleep(error.retry_after ?? pause)
      }
    }
  }

  let seen = await send('begin', { deliver: 'body' })
  const id = seen.login_id
  deviceCode = seen.device_code // keep it in memory only
  while (seen.state !== 'confirmed') {
    if (seen.state !== 'pending' && seen.state !== 'scanned') throw { error: seen.state }
    // No code may be shown any more. Offer a new one.
    if (seen.state === 'pending' && !seen.qr) throw { error: 'expired' }
    show(seen.qr ?? null)
    await sleep(seen.retry_after ?? 0)
    seen = await send(`${id}?after=${seen.version}&wait=25`)
  }
  show(null)
  if (!(await ask(seen.scanned_by.name))) {
    await send(`${id}/cancel`, {})
    return null
  }
  // The same op in every repetition: the answer is then the same, too.
  const click = { acknowledged: seen.scanned_by.tag, op: crypto.randomUUID() }
  return send(`${id}/redeem`, click)
}

const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds))
