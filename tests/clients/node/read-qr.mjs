// Each line of the input names a picture: width, height, and a file of RGBA bytes.
// The answer is what jsQR and zbar read in it.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { scanRGBABuffer } from '@undecaf/zbar-wasm'
import jsqr from 'jsqr'

for await (const line of createInterface({ input: process.stdin })) {
  const { width, height, file } = JSON.parse(line)
  const bytes = readFileSync(file)
  const found = jsqr.default(new Uint8ClampedArray(bytes), width, height, { inversionAttempts: 'dontInvert' })
  const symbols = await scanRGBABuffer(new Uint8Array(bytes).buffer, width, height)
  const codes = symbols.filter(({ typeName }) => typeName === 'ZBAR_QRCODE').map((symbol) => symbol.decode())
  process.stdout.write(JSON.stringify({ jsqr: found ? [found.data] : [], zbar: codes }) + '\n')
}
